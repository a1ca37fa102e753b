"""A GET is sent by images, previews and mail scanners: what one may change is listed."""

from datetime import timedelta
from typing import Any

import pytest

from watchword import DeleteUser, EmailVerification, SessionOptions, UserOptions
from watchword.plugins.open_api import OpenAPI

MODELS = ("user", "account", "session", "verification")
ADDRESS = "ada@example.org"

# Route to what it may change, and why a GET has to.
CHANGING = {
    "/verify-email": "A person opens it in a mail; opened by a scanner first, it says the same.",
    "/delete-user/callback": "Likewise, but it acts only for who is signed in as that user.",
}
# Route to the path and the query that make it do all it can.
READING: dict[str, tuple[str, str]] = {
    "/get-session": ("/get-session", ""),
    "/list-sessions": ("/list-sessions", ""),
    "/list-accounts": ("/list-accounts", ""),
    "/ok": ("/ok", ""),
    "/error": ("/error", "error=INVALID_TOKEN"),
    "/reset-password/:token": ("/reset-password/{reset-password}", "callbackURL=/"),
    "/verify-email": ("/verify-email", "token={verify-email}"),
    "/delete-user/callback": ("/delete-user/callback", "token={delete-user}"),
    "/open-api/generate-schema": ("/open-api/generate-schema", ""),
    "/reference": ("/reference", ""),
}


@pytest.fixture
def outbox() -> list:
    """The mail that was sent."""
    return []


@pytest.fixture
def auth(new_auth, outbox):
    """An instance with every route that is read."""
    return new_auth(
        mail=outbox.append,
        plugins=[OpenAPI()],
        email_verification=EmailVerification(auto_sign_in=True),
        user=UserOptions(delete_user=DeleteUser(confirm_by_mail=True)),
        session=SessionOptions(update_age=timedelta(0)),
    )


@pytest.fixture
def read(browser, outbox, run, clock):
    """Send a GET that has all it needs, from a browser that is signed in or not."""
    run(browser.sign_up())
    run(browser.post("/send-verification-email", {"email": ADDRESS}))
    run(browser.post("/request-password-reset", {"email": ADDRESS}))
    run(browser.post("/delete-user", {}))
    tokens = {mail.purpose: mail.token for mail in outbox}
    clock.advance(minutes=1)

    async def read(route: str):
        path, query = (it.format_map(tokens) for it in READING[route])
        return await browser.get(path, query=query)

    return read


async def rows_of(auth) -> dict[str, list[Any]]:
    """Read every row."""
    return {model: await auth.store.find_many(model) for model in MODELS}


def without_renewal(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Leave out what keeps a session alive: whoever uses one shows it by any request."""
    kept = [
        {name: it for name, it in row.items() if name not in {"expires_at", "updated_at"}}
        for row in rows["session"]
    ]
    return {**rows, "session": kept}


def test_every_route_that_is_read_is_here(auth):
    """A new one says what makes it do all it can, and has a reason if it changes anything."""
    routes = {it.path for it in auth.instance.endpoints if it.method == "GET"}

    assert set(READING) == routes
    assert set(CHANGING) <= routes


@pytest.mark.parametrize("route", READING)
async def test_attack_a_state_changing_get(auth, read, outbox, route):
    """It changes no row and sends no mail, but for what is listed; a session is renewed."""
    before, sent = await rows_of(auth), list(outbox)

    answer = await read(route)

    assert answer.status in {200, 302}
    after = await rows_of(auth)
    changed = without_renewal(after) != without_renewal(before)
    assert changed is (route in CHANGING)
    assert outbox == sent


@pytest.mark.parametrize("route", READING)
async def test_attack_a_mail_scanner_follows_links(auth, browser, read, route):
    """Without the person's cookie it deletes nobody, sets no password and ends no session."""
    browser.cookies.clear()
    before = await rows_of(auth)

    await read(route)

    after = await rows_of(auth)
    assert {it["id"] for it in after["user"]} == {it["id"] for it in before["user"]}
    assert after["account"] == before["account"]
    assert [it for it in before["session"] if it not in after["session"]] == []
