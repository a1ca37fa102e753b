"""The exchanges of the better-auth JavaScript client with the core, as they go over the wire."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TOKEN = re.compile(r"[A-Za-z0-9]{32}")
SIGNED = re.compile(r"[A-Za-z0-9]{32}\.[A-Za-z0-9%]{43,}%3D")
ID = re.compile(r"[0-9a-f-]{36}")
USER = {
    "id": ID,
    "name": "Ada",
    "email": "ada@example.org",
    "emailVerified": False,
    "image": None,
    "createdAt": INSTANT,
    "updatedAt": INSTANT,
}
SESSION = {
    "id": ID,
    "userId": ID,
    "token": TOKEN,
    "expiresAt": INSTANT,
    "createdAt": INSTANT,
    "updatedAt": INSTANT,
    "ipAddress": "203.0.113.7",
    "userAgent": "",
}
COOKIE = "better-auth.{}=(.*); Max-Age={}; Path=/; HttpOnly; SameSite=Lax"
CLEARED = [
    COOKIE.format(name, 0).replace("(.*)", "")
    for name in ("session_token", "session_data", "dont_remember")
]
SIGN_UP = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
SIGN_IN = {"email": "ada@example.org", "password": "difference-engine"}


@dataclass(frozen=True)
class Exchange:
    """One request of the client's, and the answer that it reads."""

    method: str
    path: str
    status: int
    answer: Any
    body: Any = None
    cookies: tuple[str, ...] = ()
    headers: dict[str, str | None] = field(default_factory=dict)


def refusal(code: str, message: str) -> dict[str, str]:
    """Return the body of a refusal."""
    return {"message": message, "code": code}


def signed_up(**changes: Any) -> Exchange:
    """Sign up, and be signed in by it."""
    return Exchange(
        "POST", "/sign-up/email", 200, {"token": TOKEN, "user": USER}, {**SIGN_UP, **changes}, ANY
    )


ANY = ("*",)
LASTING = (COOKIE.format("session_token", 604_800),)
ASK = Exchange("GET", "/get-session", 200, {"session": SESSION, "user": USER})
NOBODY = Exchange("GET", "/get-session", 200, None)

CONVERSATIONS = {
    "a first visit": [NOBODY],
    "sign up, look, leave, look": [
        Exchange("POST", "/sign-up/email", 200, {"token": TOKEN, "user": USER}, SIGN_UP, LASTING),
        ASK,
        Exchange("POST", "/sign-out", 200, {"success": True}, {}, tuple(CLEARED)),
        NOBODY,
    ],
    "sign in again, with a place to go": [
        signed_up(),
        Exchange(
            "POST",
            "/sign-in/email",
            200,
            {"redirect": True, "url": "/dash?tab=1", "token": TOKEN, "user": USER},
            {**SIGN_IN, "callbackURL": "/dash?tab=1", "rememberMe": True},
            LASTING,
        ),
        ASK,
    ],
    "do not remember me": [
        signed_up(),
        Exchange(
            "POST",
            "/sign-in/email",
            200,
            {"redirect": False, "token": TOKEN, "user": USER},
            {**SIGN_IN, "rememberMe": False},
            (
                "better-auth.session_token=(.*); Path=/; HttpOnly; SameSite=Lax",
                "better-auth.dont_remember=true(.*); Path=/; HttpOnly; SameSite=Lax",
            ),
        ),
        Exchange(
            "POST",
            "/sign-in/email",
            200,
            {"redirect": False, "token": TOKEN, "user": USER},
            SIGN_IN,
            (
                *LASTING,
                "better-auth.dont_remember=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
            ),
        ),
    ],
    "the address is taken": [
        signed_up(),
        Exchange(
            "POST",
            "/sign-up/email",
            422,
            refusal(
                "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
                "User already exists. Use another email.",
            ),
            SIGN_UP,
        ),
    ],
    "the password is wrong": [
        signed_up(),
        Exchange(
            "POST",
            "/sign-in/email",
            401,
            refusal("INVALID_EMAIL_OR_PASSWORD", "Invalid email or password"),
            {**SIGN_IN, "password": "analytical-engine"},
        ),
    ],
    "the client in node, without an origin": [
        Exchange(
            "POST",
            "/sign-in/email",
            403,
            refusal("MISSING_OR_NULL_ORIGIN", "Missing or null Origin"),
            SIGN_IN,
            headers={"origin": None, "sec-fetch-mode": "cors"},
        ),
    ],
    "curl, which sends neither": [
        Exchange(
            "POST",
            "/sign-up/email",
            200,
            {"token": TOKEN, "user": USER},
            SIGN_UP,
            ANY,
            {"origin": None},
        ),
    ],
    "a refresh that is not deferred": [
        Exchange(
            "POST",
            "/get-session",
            405,
            refusal(
                "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED",
                "POST method requires deferSessionRefresh to be enabled in session config",
            ),
            {},
        ),
    ],
}


def assert_like(found: Any, expected: Any) -> None:
    """Compare: the same keys, the same values, and texts of the right form."""
    if isinstance(expected, re.Pattern):
        assert isinstance(found, str)
        assert expected.fullmatch(found), (found, expected.pattern)
    elif isinstance(expected, dict):
        assert isinstance(found, dict)
        assert set(found) == set(expected)
        for key, value in expected.items():
            assert_like(found[key], value)
    else:
        assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_a_conversation(browser, name):
    """Status, body to the last key, and every cookie with its attributes in order."""
    for it in CONVERSATIONS[name]:
        answer = await browser.send(it.method, it.path, body=it.body, headers=it.headers)

        assert answer.status == it.status
        assert_like(answer.json, it.answer)
        if it.cookies != ANY:
            assert len(answer.set_cookies) == len(it.cookies)
            for cookie, expected in zip(answer.set_cookies, it.cookies, strict=True):
                assert re.fullmatch(expected, cookie), (cookie, expected)


async def test_a_session_cookie_is_signed_as_the_wire_does(browser):
    """The token, a dot and 44 characters of padded base64, the whole percent-encoded."""
    answer = await browser.sign_up()

    value = answer.set_cookies[0].partition("=")[2].partition(";")[0]
    assert SIGNED.fullmatch(value)
    assert value.startswith(answer.json["token"])


async def test_escapes_of_either_case_are_read(auth, browser, new_browser):
    """Clients that handle the cookie themselves write them as they like."""
    await browser.sign_up()
    value = browser.cookies["better-auth.session_token"]
    spelt_in_lower_case = re.sub("%[0-9A-F]{2}", lambda it: it[0].lower(), value)

    answer = await new_browser(auth, {"better-auth.session_token": spelt_in_lower_case}).session()

    assert answer.json["user"]["email"] == "ada@example.org"


async def test_instants_have_three_decimals_and_are_in_utc(browser, clock):
    """Cut off, not rounded; zeros stay."""
    for microsecond, written in ((999_999, "999"), (0, "000"), (1_000, "001")):
        clock.now = clock.now.replace(microsecond=microsecond)
        answer = await browser.sign_up(email=f"ada{microsecond}@example.org")
        assert answer.json["user"]["createdAt"] == f"2026-05-17T12:00:00.{written}Z"


async def test_nothing_is_the_four_letters_of_null(browser):
    """With its type, and never from a cache."""
    answer = await browser.session()

    assert answer.body == b"null"
    assert answer.header("content-type") == "application/json"
    assert (answer.header("cache-control"), answer.header("pragma")) == ("no-store", "no-cache")
