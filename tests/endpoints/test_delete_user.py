"""Deleting oneself: what proves that it is meant, and that nothing is left."""

import re

import pytest

from watchword import (
    APIError,
    CoreError,
    DatabaseHook,
    DeleteUser,
    EmailVerification,
    SessionOptions,
    UserOptions,
)
from watchword.storage.query import F

NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}
ADDRESS, PASSWORD = "ada@example.org", "difference-engine"
DELETED = {"success": True, "message": "User deleted"}
CLEARED = ["better-auth.session_token", "better-auth.session_data", "better-auth.dont_remember"]


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def ada(new_auth, new_browser, outbox):
    """Sign Ada up where users can delete themselves; return her browser."""

    async def ada(settings=None, **deletion):
        options = UserOptions(delete_user=DeleteUser(**deletion))
        auth = new_auth(**{"user": options, "mail": outbox.append, **(settings or {})})
        browser = new_browser(auth)
        await browser.sign_up()
        return browser

    return ada


async def follow(browser, token, target=None):
    """Open the link of a mail."""
    query = f"token={token}" + (f"&callbackURL={target}" if target else "")
    return await browser.get("/delete-user/callback", query=query)


# --- refusals -----------------------------------------------------------------------------


async def test_users_stay_unless_that_is_set(browser, count_rows):
    """Validation, then the session, then an empty 404, whatever the body proves."""
    anonymous = await browser.post("/delete-user", {})
    await browser.sign_up()

    invalid = await browser.post("/delete-user", {"password": 1})
    answers = [await browser.post("/delete-user", it) for it in ({}, {"password": PASSWORD})]
    link = await follow(browser, "x", "/")

    assert anonymous.refusal == (401, "UNAUTHORIZED")
    assert invalid.refusal == (400, "VALIDATION_ERROR")
    assert [(it.status, it.body, it.set_cookies) for it in answers] == [(404, b"", [])] * 2
    assert (link.refusal, link.json["message"]) == ((404, "NOT_FOUND"), "Not found")
    assert (await count_rows(browser.auth))["user"] == 1


@pytest.mark.parametrize(
    ("password", "refusal"),
    [
        ("analytical-engine", (400, "INVALID_PASSWORD")),
        ("x" * 129, (400, "PASSWORD_TOO_LONG")),
    ],
)
async def test_a_password_that_is_given_has_to_be_right(ada, outbox, password, refusal):
    """Also where the session is fresh, and where a mail asks once more."""
    browsers = [await ada(), await ada(confirm_by_mail=True)]

    answers = [await it.post("/delete-user", {"password": password}) for it in browsers]

    assert [it.refusal for it in answers] == [refusal] * 2
    assert [await it.auth.store.count("user") for it in browsers] == [1, 1]
    assert outbox == []


@pytest.mark.parametrize("change", ["no account", "no password"])
async def test_a_user_without_a_password_cannot_give_one(ada, change):
    """Told as such to who is signed in."""
    browser = await ada()
    if change == "no account":
        await browser.auth.store.delete_many("account", None)
    else:
        await browser.auth.store.update_many("account", None, {"password": None})

    answer = await browser.post("/delete-user", {"password": PASSWORD})

    assert answer.refusal == (400, "CREDENTIAL_ACCOUNT_NOT_FOUND")
    assert answer.json["message"] == "Credential account not found"


@pytest.mark.parametrize("body", [{}, {"password": ""}, {"token": ""}])
async def test_without_a_proof_the_sign_in_has_to_be_recent(ada, clock, body):
    """A day old is too old; an empty proof is none."""
    browser = await ada()
    clock.advance(days=1)

    answer = await browser.post("/delete-user", body)

    assert answer.refusal == (400, "SESSION_EXPIRED")
    assert answer.json["message"] == "Session expired. Re-authenticate to perform this action."
    assert await browser.auth.store.count("user") == 1


# --- deleting -----------------------------------------------------------------------------


@pytest.mark.parametrize("age", [{"days": 0}, {"hours": 23}, {"days": 6}], ids=str)
async def test_everything_of_the_user_goes(ada, new_browser, count_rows, clock, age):
    """With every session, and the cookies of this one; others stay."""
    browser = await ada()
    eve = new_browser(browser.auth)
    await eve.sign_up(email="eve@example.org")
    await new_browser(browser.auth).sign_in()
    clock.advance(**age)
    body = {"password": PASSWORD} if "days" in age else {}

    answer = await browser.post("/delete-user", body)

    assert (answer.status, answer.json) == (200, DELETED)
    assert [it.partition("=")[0] for it in answer.set_cookies][-3:] == CLEARED
    assert all("Max-Age=0" in it for it in answer.set_cookies[-3:])
    assert browser.cookies == {}
    assert await count_rows(browser.auth) == {**NOTHING, "user": 1, "account": 1, "session": 1}
    assert (await eve.session()).json["user"]["email"] == "eve@example.org"
    assert (await browser.sign_in()).refusal == (401, "INVALID_EMAIL_OR_PASSWORD")


async def test_every_sign_in_may_count_as_recent(ada, clock):
    """A fresh age of zero is always."""
    session = SessionOptions(fresh_age=SessionOptions().fresh_age * 0)
    browser = await ada({"session": session})
    clock.advance(days=6)

    assert (await browser.post("/delete-user", {})).json == DELETED


async def test_attack_cookie_of_who_is_gone(ada, new_browser):
    """It is nobody's, also when the address is registered again."""
    browser = await ada()
    stolen = dict(browser.cookies)
    await browser.post("/delete-user", {})
    await browser.sign_up()

    answer = await new_browser(browser.auth, stolen).session()

    assert answer.json is None
    assert [it.partition("=")[0] for it in answer.set_cookies] == CLEARED


async def test_hooks_see_each_row_go(ada, new_browser):
    """Sessions first, then accounts, then the user."""
    gone = []
    hooks = [
        DatabaseHook(
            model=model, operation="delete", after=lambda row, model=model: gone.append(model)
        )
        for model in ("user", "account", "session")
    ]
    browser = await ada({"database_hooks": hooks})
    await new_browser(browser.auth).sign_in()

    await browser.post("/delete-user", {})

    assert gone == ["session", "session", "account", "user"]


@pytest.mark.needs_transactions
@pytest.mark.parametrize("model", ["session", "account", "user"])
async def test_a_database_hook_that_refuses_keeps_all(ada, count_rows, model):
    """The user stays signed in."""
    hook = DatabaseHook(model=model, operation="delete", before=lambda _row: False)
    browser = await ada({"database_hooks": [hook]})
    before = await count_rows(browser.auth)

    answer = await browser.post("/delete-user", {})

    assert (answer.refusal, answer.set_cookies) == ((403, "OPERATION_REFUSED"), [])
    assert await count_rows(browser.auth) == before
    assert (await browser.session()).json is not None


# --- callbacks ----------------------------------------------------------------------------


async def test_whoever_is_asked_before_may_refuse_and_nothing_is_deleted(ada, outbox, count_rows):
    """By code; the link still works when the answer is another."""
    verdict = [APIError(CoreError.OPERATION_REFUSED, status=409, message="Pay first")]

    async def ask(user):
        assert user.email == ADDRESS
        if verdict:
            raise verdict[0]

    browser = await ada(confirm_by_mail=True, before=ask)
    await browser.post("/delete-user", {})
    before = await count_rows(browser.auth)

    refused = await follow(browser, outbox[0].token, "/bye")
    kept = await count_rows(browser.auth)
    verdict.clear()
    allowed = await browser.post("/delete-user", {"token": outbox[0].token})

    assert (refused.refusal, refused.json["message"]) == ((409, "OPERATION_REFUSED"), "Pay first")
    assert (refused.set_cookies, kept) == ([], before)
    assert allowed.json == DELETED


async def test_who_is_told_after_sees_what_is_committed(ada, caplog):
    """Its failure is logged: the user is gone."""
    seen = []

    def tell(user):
        seen.append(user.email)
        raise ConnectionError("the queue is down")

    browser = await ada(after=tell)

    answer = await browser.post("/delete-user", {})

    assert (answer.json, seen) == (DELETED, [ADDRESS])
    assert "work after the commit failed" in caplog.text
    assert await browser.auth.store.count("user") == 0


# --- asked by mail ------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0, 6])
@pytest.mark.parametrize("proof", [{}, {"password": PASSWORD}])
async def test_a_mail_may_ask_once_more(ada, outbox, clock, days, proof):
    """Whatever else was proved, and however old the session is; nothing is deleted yet."""
    browser = await ada(confirm_by_mail=True)
    clock.advance(days=days)

    answer = await browser.post("/delete-user", {"callbackURL": "/bye?a=b", **proof})

    assert answer.json == {"success": True, "message": "Verification email sent"}
    [mail] = outbox
    assert (mail.purpose, mail.to, mail.user.email) == ("delete-user", ADDRESS, ADDRESS)
    assert re.fullmatch("[A-Za-z0-9]{32}", mail.token)
    base = "http://localhost:8000/api/auth/delete-user/callback"
    assert mail.url == f"{base}?token={mail.token}&callbackURL=%2Fbye%3Fa%3Db"
    assert await browser.auth.store.count("user") == 1
    [row] = await browser.auth.store.find_many("verification")
    assert (row["expires_at"] - clock.now).total_seconds() == 86400
    assert mail.token not in str(row)


async def test_the_link_deletes_who_is_signed_in(ada, outbox, count_rows):
    """The browser is led on, without cookies."""
    browser = await ada(confirm_by_mail=True)
    await browser.post("/delete-user", {})

    answer = await follow(browser, outbox[0].token, "/bye?a=b")

    assert outbox[0].url.endswith("&callbackURL=%2F")
    assert (answer.status, answer.body) == (302, b"")
    assert answer.header("location") == "/bye?a=b"
    assert [it.partition("=")[0] for it in answer.set_cookies] == CLEARED
    assert await count_rows(browser.auth) == NOTHING


async def test_without_a_target_the_link_answers_json(ada, outbox):
    """As the call with its token does."""
    browsers = [await ada(confirm_by_mail=True) for _ in range(2)]
    for it in browsers:
        await it.post("/delete-user", {})

    answers = [
        await follow(browsers[0], outbox[0].token),
        await browsers[1].post("/delete-user", {"token": outbox[1].token}),
    ]

    assert [(it.status, it.json) for it in answers] == [(200, DELETED)] * 2


async def test_attack_link_without_a_session(ada, new_browser, outbox):
    """A mail scanner deletes nobody, and the link still works afterwards."""
    browser = await ada(confirm_by_mail=True)
    await browser.post("/delete-user", {})
    scanner = new_browser(browser.auth)

    answer = await follow(scanner, outbox[0].token, "/bye")

    assert answer.refusal == (404, "FAILED_TO_GET_USER_INFO")
    assert answer.json["message"] == "Failed to get user info"
    assert (await follow(browser, outbox[0].token)).json == DELETED


async def test_attack_token_of_another_user(ada, new_browser, outbox):
    """Neither user goes; told as JSON although there is a target, and nothing is burnt."""
    browser = await ada(confirm_by_mail=True)
    await browser.post("/delete-user", {})
    eve, token = new_browser(browser.auth), outbox[0].token
    await eve.sign_up(email="eve@example.org")

    answers = [
        await follow(eve, token, "/bye"),
        await eve.post("/delete-user", {"token": token}),
        await eve.post("/delete-user", {"token": token, "password": PASSWORD}),
    ]

    assert [it.refusal for it in answers] == [(404, "INVALID_TOKEN")] * 3
    assert {it.json["message"] for it in answers} == {"Invalid token"}
    assert await browser.auth.store.count("user") == 2
    assert (await follow(browser, token)).json == DELETED


async def test_a_token_that_is_unknown_or_expired_is_refused(ada, outbox, clock):
    """The link works for a day to the second; nobody is asked about a dead one."""
    asked = []
    browser = await ada(confirm_by_mail=True, before=asked.append)
    await browser.post("/delete-user", {})
    clock.advance(days=1)

    answers = [await follow(browser, it) for it in ("", "unknown", outbox[0].token)]
    missing = await browser.get("/delete-user/callback")

    assert [it.refusal for it in answers] == [(404, "INVALID_TOKEN")] * 3
    assert missing.refusal == (400, "VALIDATION_ERROR")
    assert (asked, await browser.auth.store.count("user")) == ([], 1)


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example"])
async def test_attack_open_redirect(ada, outbox, target):
    """In the call and in the link: 403, and nobody goes."""
    browser = await ada(confirm_by_mail=True)
    asked = await browser.post("/delete-user", {"callbackURL": target})
    await browser.post("/delete-user", {})

    opened = await follow(browser, outbox[0].token, target)

    assert [asked.refusal, opened.refusal] == [(403, "INVALID_CALLBACK_URL")] * 2
    assert (len(outbox), await browser.auth.store.count("user")) == (1, 1)


@pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
async def test_attack_tokens_of_who_is_gone(ada, outbox, new_browser, ids):
    """Old links of every kind do nothing for who registers the address next."""
    settings = {"ids": ids, "email_verification": EmailVerification()}
    browser = await ada(settings, confirm_by_mail=True)
    await browser.post("/send-verification-email", {"email": ADDRESS})
    await browser.post("/request-password-reset", {"email": ADDRESS})
    await browser.post("/delete-user", {})
    await browser.post("/delete-user", {})
    verify, reset, unused, deletion = [it.token for it in outbox]
    await follow(browser, deletion)
    await browser.sign_up()

    body = {"token": reset, "newPassword": "analytical-engine"}
    answers = [
        await browser.get("/verify-email", query=f"token={verify}"),
        await new_browser(browser.auth).post("/reset-password", body),
        await follow(browser, unused),
    ]

    assert [it.refusal for it in answers] == [
        (401, "USER_NOT_FOUND"),
        (400, "USER_NOT_FOUND"),
        (404, "INVALID_TOKEN"),
    ]
    [user] = await browser.auth.store.find_many("user")
    assert user["email_verified"] is False
    assert (await new_browser(browser.auth).sign_in()).status == 200
    assert await browser.auth.store.count("account", F.user_id == user["id"]) == 1
