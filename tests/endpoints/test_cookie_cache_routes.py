"""Which routes take a copy at its word: all there are, with a session that was revoked."""

from dataclasses import dataclass
from typing import Any

import pytest

from watchword import (
    AccountOptions,
    CookieCache,
    DeleteUser,
    EmailVerification,
    Field,
    SessionOptions,
    UserOptions,
)
from watchword.engine.endpoint import get
from watchword.engine.options import ChangeEmail
from watchword.engine.plugin import Plugin
from watchword.errors import ConfigurationError
from watchword.plugins.open_api import OpenAPI
from watchword.plugins.username import Username

TOKEN, DATA = "better-auth.session_token", "better-auth.session_data"
PASSWORD = "difference-engine"
# What only reads: the only routes that a copy answers for somebody who was signed out.
COPIED = {("GET", "/get-session"), ("GET", "/list-accounts")}


@dataclass(frozen=True)
class Sent:
    """What a route is called with, so that nothing but the session can be amiss."""

    body: dict[str, Any] | None = None
    query: str = ""
    path: str = ""


ADA = {"email": "ada@example.org"}
CALLS = {
    ("POST", "/sign-up/email"): Sent({**ADA, "name": "Eve", "password": PASSWORD}),
    ("POST", "/sign-in/email"): Sent({**ADA, "password": "wrong-password"}),
    ("POST", "/sign-in/username"): Sent({"username": "ada", "password": "wrong-password"}),
    ("POST", "/is-username-available"): Sent({"username": "lovelace"}),
    ("POST", "/sign-out"): Sent({}),
    ("GET", "/get-session"): Sent(),
    ("POST", "/get-session"): Sent({}),
    ("GET", "/list-sessions"): Sent(),
    ("POST", "/revoke-session"): Sent({"token": "x"}),
    ("POST", "/revoke-sessions"): Sent({}),
    ("POST", "/revoke-other-sessions"): Sent({}),
    ("POST", "/update-session"): Sent({"theme": "dark"}),
    ("POST", "/update-user"): Sent({"name": "Countess"}),
    ("POST", "/change-email"): Sent({"newEmail": "countess@example.org"}),
    ("POST", "/send-verification-email"): Sent({"email": "eve@example.org"}),
    ("GET", "/verify-email"): Sent(query="token=x"),
    ("POST", "/delete-user"): Sent({"password": PASSWORD}),
    ("GET", "/delete-user/callback"): Sent(query="token=x"),
    ("POST", "/change-password"): Sent({"newPassword": PASSWORD, "currentPassword": PASSWORD}),
    ("POST", "/verify-password"): Sent({"password": PASSWORD}),
    ("POST", "/request-password-reset"): Sent({"email": "nobody@example.org"}),
    ("GET", "/reset-password/:token"): Sent(query="callbackURL=/", path="/reset-password/x"),
    ("POST", "/reset-password"): Sent({"newPassword": PASSWORD, "token": "x"}),
    ("GET", "/list-accounts"): Sent(),
    ("POST", "/unlink-account"): Sent({"accountId": "x"}),
    ("GET", "/ok"): Sent(),
    ("GET", "/error"): Sent(),
    ("GET", "/open-api/generate-schema"): Sent(),
    ("GET", "/reference"): Sent(),
}


@pytest.fixture(params=[False, True], ids=["renews", "defers"])
def auth(request, new_auth):
    """An instance with every route, that sends copies."""
    theme = {"theme": Field("string", required=False)}
    return new_auth(
        mail=lambda mail: None,
        session=SessionOptions(
            cookie_cache=CookieCache(), additional_fields=theme, defer_refresh=request.param
        ),
        user=UserOptions(change_email=ChangeEmail(), delete_user=DeleteUser()),
        account=AccountOptions(allow_unlinking_all=True),
        email_verification=EmailVerification(),
        plugins=[Username(), OpenAPI()],
    )


async def rows(auth) -> dict[str, list]:
    """Return all that is stored; but for links, which nobody has to be signed in for."""
    models = ("user", "account", "session")
    return {model: await auth.store.find_many(model) for model in models}


def routes(auth) -> dict[tuple[str, str], Any]:
    """Return every route of an instance by method and path below the base path."""
    return {
        (it.method, it.path): it.declaration
        for it in auth.instance.endpoints
        if it.declaration.routed
    }


def test_every_route_is_called(auth):
    """A new one is put into the table, and so its word about copies is tested."""
    assert set(CALLS) == set(routes(auth))
    assert {route for route, it in routes(auth).items() if it.copied} == COPIED


@pytest.mark.parametrize("route", CALLS, ids=" ".join)
async def test_attack_a_revoked_session_with_its_copy(auth, browser, new_browser, route):
    """Answered as without the copy, and nothing is written; but for what only reads."""
    await browser.sign_up()
    await auth.store.delete_many("session", None)
    sent, method = CALLS[route], route[0]
    path = sent.path or route[1]
    without = new_browser(auth, cookies={TOKEN: browser.cookies[TOKEN]})
    before = await rows(auth)

    answer = await browser.send(method, path, body=sent.body, query=sent.query)
    after = await rows(auth)
    expected = await without.send(method, path, body=sent.body, query=sent.query)

    if route in COPIED:
        assert (answer.status, answer.json) != (expected.status, expected.json)
        assert answer.status == 200
        assert "ada" in answer.body.decode() or "credential" in answer.body.decode()
    else:
        assert (answer.status, answer.body) == (expected.status, expected.body)
    assert not answer.cookies.get(DATA, ("",))[0]
    assert after == before


async def test_every_route_that_is_signed_in_only_lets_the_same_browser_pass(auth, browser):
    """The table's calls are refused for the session's sake: with one they are not."""
    for (method, path), sent in CALLS.items():
        browser.cookies.clear()
        await auth.store.delete_many("user", None)
        await browser.sign_up()

        answer = await browser.send(method, sent.path or path, body=sent.body, query=sent.query)

        assert answer.status != 401 or path.startswith(("/sign-in", "/verify-email")), path


def test_a_recent_sign_in_is_not_taken_from_a_copy():
    """Who declares both is told so at once."""
    with pytest.raises(ConfigurationError, match=r"recent sign-in.*copy"):

        class Careless(Plugin):
            id = "careless"

            @get("/secrets", fresh=True, copied=True)
            async def read(self, ctx) -> None:
                """Never declared."""
