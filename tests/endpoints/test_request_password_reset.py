"""Asking for a link that sets a new password: what is sent, and what nobody learns by it."""

import json
import re

import pytest
from sqlalchemy import Engine, event

from watchword import EmailPassword
from watchword.storage.query import F

ADDRESS, NOBODY = "ada@example.org", "nobody@example.org"
BASE = "http://localhost:8000/api/auth"
ASKED = {
    "status": True,
    "message": "If this email exists in our system, check your email for the reset link",
}
MISSING = "Invalid input: expected string, received undefined"


@pytest.fixture
def auth(new_auth, outbox):
    """An instance in memory that sends mail."""
    return new_auth(mail=outbox.append)


async def ask(visitor, email=ADDRESS, **body):
    """Ask for a link."""
    return await visitor.post("/request-password-reset", {"email": email, **body})


async def test_a_link_is_sent(ada, visitor, outbox):
    """To the address, about its user; it leads to us and knows where it leads on."""
    answer = await ask(visitor, email="ADA@example.org", redirectTo="/reset?x=1&y=a b#top")

    [mail] = outbox
    assert (answer.status, answer.json, answer.set_cookies) == (200, ASKED, [])
    assert re.fullmatch(r"[A-Za-z0-9]{24,}", mail.token)
    assert mail.url == (
        f"{BASE}/reset-password/{mail.token}?callbackURL=%2Freset%3Fx%3D1%26y%3Da%20b%23top"
    )
    assert (mail.purpose, mail.to, mail.user.name) == ("reset-password", ADDRESS, "Ada")
    assert mail.token not in repr(mail)


@pytest.mark.parametrize("body", [{}, {"redirectTo": ""}])
async def test_a_link_may_lead_nowhere(ada, visitor, outbox, body):
    """The parameter is there, and empty."""
    await ask(visitor, **body)

    assert outbox[0].url == f"{BASE}/reset-password/{outbox[0].token}?callbackURL="


async def test_attack_links_of_a_stolen_table(auth, ada, visitor, outbox):
    """No column of any row holds the token, nor any part of it."""
    await ask(visitor)
    token = outbox[0].token

    rows = [row for model in auth.schema.models for row in await auth.store.find_many(model)]

    assert await auth.store.count("verification") == 1
    assert token not in repr(rows)
    assert token[:12] not in repr(rows)


async def test_attack_answers_tell_known_from_unknown_addresses(auth, ada, visitor, outbox):
    """Status, headers, body and the rows that are written are alike; only one gets mail."""
    unknown = await ask(visitor, NOBODY)
    [pretended] = await auth.store.find_many("verification")
    known = await ask(visitor)

    assert (known.status, known.headers, known.body) == (
        unknown.status,
        unknown.headers,
        unknown.body,
    )
    assert [mail.to for mail in outbox] == [ADDRESS]
    [issued] = await auth.store.find_many("verification", F.id != pretended["id"])
    assert len(issued["identifier"]) == len(pretended["identifier"])
    assert issued["identifier"].partition(":")[0] == pretended["identifier"].partition(":")[0]
    assert json.loads(issued["value"]).keys() == json.loads(pretended["value"]).keys()
    assert issued["expires_at"] == pretended["expires_at"]


@pytest.fixture
def on_sqlite(sql_auth, sqlite_database):
    """An instance whose statements can be listened to."""
    return sql_auth(sqlite_database, mail=lambda _mail: None)


@pytest.fixture
def statements():
    """Every statement that reaches a database from here on."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


async def test_attack_statements_tell_known_from_unknown_addresses(
    on_sqlite, new_browser, statements
):
    """The database does the same for both: it looks twice and writes once."""
    visitor = new_browser(on_sqlite)
    await new_browser(on_sqlite).sign_up()
    costs = []

    for email in (ADDRESS, NOBODY):
        statements.clear()
        await ask(visitor, email)
        costs.append([it for it in statements if not it.startswith("PRAGMA")])

    known, unknown = costs
    assert [it.split()[0] for it in known] == ["SELECT", "SELECT", "INSERT"]
    assert known == unknown


async def test_attack_a_mail_server_as_oracle(new_auth, new_browser, caplog):
    """One that fails changes no answer; what it raised is logged."""

    def fail(_mail):
        raise ConnectionError("the mail server is down")

    auth = new_auth(mail=fail)
    await new_browser(auth).sign_up()

    answers = [await ask(new_browser(auth), email) for email in (ADDRESS, NOBODY)]

    assert answers[0].body == answers[1].body
    assert [it.status for it in answers] == [200, 200]
    assert "the mail server is down" in caplog.text


@pytest.mark.parametrize(
    "settings",
    [
        {"mail": None},
        {"email_password": EmailPassword(reset_password=False)},
        {"email_password": None},
    ],
)
async def test_where_links_are_switched_off(new_auth, new_browser, outbox, settings):
    """It is told, and nothing is written."""
    auth = new_auth(**{"mail": outbox.append, **settings})

    answer = await ask(new_browser(auth))

    assert (answer.status, answer.json) == (
        400,
        {"message": "Reset password isn't enabled", "code": "RESET_PASSWORD_DISABLED"},
    )
    assert (outbox, await auth.store.count("verification")) == ([], 0)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "reset"],
)
async def test_attack_a_link_that_leads_elsewhere(auth, ada, visitor, outbox, target):
    """The token would be sent along."""
    answer = await ask(visitor, redirectTo=target)

    assert (answer.status, answer.json) == (
        403,
        {"message": "Invalid redirectURL", "code": "INVALID_REDIRECT_URL"},
    )
    assert (outbox, await auth.store.count("verification")) == ([], 0)


async def test_a_link_may_lead_to_a_trusted_origin(new_auth, new_browser, outbox):
    """To an app's own scheme as well."""
    auth = new_auth(mail=outbox.append, trusted_origins=["https://app.example.com", "myapp://"])
    await new_browser(auth).sign_up()

    for target in ("https://app.example.com/reset", "myapp://reset"):
        await ask(new_browser(auth), redirectTo=target)

    assert [mail.url.partition("callbackURL=")[2] for mail in outbox] == [
        "https%3A%2F%2Fapp.example.com%2Freset",
        "myapp%3A%2F%2Freset",
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        ([], "[body] Invalid input: expected object, received array"),
        ({}, f"[body.email] {MISSING}"),
        ({"email": 1}, "[body.email] Invalid input: expected string, received number"),
        ({"email": "ada"}, "[body.email] Invalid email address"),
        ({"email": f"{ADDRESS}\n"}, "[body.email] Invalid email address"),
        (
            {"email": ADDRESS, "redirectTo": None},
            "[body.redirectTo] Invalid input: expected string, received null",
        ),
        (
            {"email": ADDRESS, "redirectTo": 0},
            "[body.redirectTo] Invalid input: expected string, received number",
        ),
    ],
)
async def test_a_request_of_the_wrong_shape(ada, visitor, outbox, body, message):
    """What is wrong is named, and no mail is sent."""
    answer = await visitor.post("/request-password-reset", body)

    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})
    assert outbox == []


async def test_a_target_that_is_no_text_is_refused_first(visitor):
    """Before anything else of the body is looked at; this answer has no code."""
    answer = await visitor.post("/request-password-reset", {"redirectTo": ["/reset"]})

    assert (answer.status, answer.json) == (
        400,
        {"message": "Invalid redirectURL: expected a string"},
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_name_of_old_clients_does_not_exist(visitor, method):
    """404 with nothing in it."""
    answer = await visitor.send(method, "/forget-password", body={"email": ADDRESS})

    assert (answer.status, answer.body) == (404, b"")
