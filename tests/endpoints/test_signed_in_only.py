"""What every endpoint for the signed-in shares: who is refused, and what comes before that."""

import pytest

from watchword.crypto.signing import sign

SECRET = "correct-horse-battery-staple-0123456789"
TOKEN, DATA, FORGET = (
    f"better-auth.{name}" for name in ("session_token", "session_data", "dont_remember")
)
CLEARED = ("", "Max-Age=0; Path=/; HttpOnly; SameSite=Lax")
LASTING = "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"
UNAUTHORIZED = (401, {"message": "Unauthorized", "code": "UNAUTHORIZED"})
PASSWORD = "difference-engine"
CALLS = [
    ("GET", "/list-sessions", None),
    ("POST", "/revoke-session", {"token": "x"}),
    ("POST", "/revoke-sessions", {}),
    ("POST", "/revoke-other-sessions", {}),
    ("POST", "/update-session", {"theme": "dark"}),
    ("POST", "/update-user", {"name": "Countess"}),
    ("POST", "/change-password", {"newPassword": PASSWORD, "currentPassword": PASSWORD}),
    ("POST", "/verify-password", {"password": PASSWORD}),
    ("GET", "/list-accounts", None),
    ("POST", "/unlink-account", {"accountId": "x"}),
]
ACTING = [call for call in CALLS if call[0] == "POST"]
WRONG = [
    ("/revoke-session", {"token": 5}),
    ("/update-session", []),
    ("/update-user", {"name": 5}),
    ("/change-password", {}),
    ("/verify-password", {}),
    ("/unlink-account", {}),
]

every_call = pytest.mark.parametrize("call", CALLS, ids=lambda it: it[1])
every_action = pytest.mark.parametrize("call", ACTING, ids=lambda it: it[1])


async def make(browser, call, origin="http://localhost:8000"):
    """Make a call as a page of an origin does."""
    method, path, body = call
    return await browser.send(method, path, body=body, headers={"origin": origin})


@every_call
@pytest.mark.parametrize("cookie", [None, "", "forged.signature", "unsigned"])
async def test_nobody_is_refused(browser, call, cookie):
    """401 with its code; no cookie is set, as none of ours was sent."""
    if cookie is not None:
        browser.cookies[TOKEN] = cookie

    answer = await make(browser, call)

    assert (answer.status, answer.json) == UNAUTHORIZED
    assert answer.set_cookies == []


@every_call
async def test_a_session_that_is_gone_is_cleared(browser, call):
    """401, and the three cookies go with it."""
    browser.cookies[TOKEN] = sign("unknown", SECRET)

    answer = await make(browser, call)

    assert (answer.status, answer.json) == UNAUTHORIZED
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]


@every_call
async def test_an_expired_session_is_nobodys(auth, browser, clock, call):
    """401 from its last instant on, and its row is removed."""
    await browser.sign_up()
    clock.advance(days=7)

    answer = await make(browser, call)

    assert (answer.status, answer.json) == UNAUTHORIZED
    assert list(answer.cookies.values()) == [CLEARED] * 3
    assert await auth.store.count("session") == 0


@every_call
async def test_the_other_method_does_not_exist(browser, call):
    """An image tag acts on nothing; a form reads nothing."""
    await browser.sign_up()
    method, path, _ = call
    other = {"GET": "POST", "POST": "GET"}[method]

    for it in (other, "HEAD", "OPTIONS", "PUT", "DELETE"):
        answer = await browser.send(it, path)

        assert (answer.status, answer.body) == (404, b"")


@every_action
@pytest.mark.parametrize(
    ("origin", "code"),
    [("https://evil.example", "INVALID_ORIGIN"), (None, "MISSING_OR_NULL_ORIGIN")],
)
async def test_attack_by_another_sites_page(auth, browser, call, origin, code):
    """With the visitor's cookies: refused, and nothing changes."""
    await browser.sign_up()
    before = [await auth.store.find_many(it) for it in ("user", "account", "session")]

    answer = await make(browser, call, origin)

    assert answer.refusal == (403, code)
    assert [await auth.store.find_many(it) for it in ("user", "account", "session")] == before


@pytest.mark.parametrize(("path", "body"), WRONG)
async def test_a_body_is_looked_at_before_the_session(browser, path, body):
    """400 for nobody too; the origin comes before both."""
    answer = await browser.post(path, body)
    browser.cookies["any"] = "cookie"
    foreign = await browser.post(path, body, headers={"origin": "https://evil.example"})

    assert answer.refusal == (400, "VALIDATION_ERROR")
    assert foreign.refusal == (403, "INVALID_ORIGIN")


async def test_a_session_in_use_is_renewed(browser, clock):
    """By any of them, not by asking for the session alone."""
    await browser.sign_up()
    clock.advance(days=1)

    answer = await browser.get("/list-accounts")

    assert answer.cookies[TOKEN][1] == LASTING
    assert (await browser.session()).json["session"]["expiresAt"] == "2026-05-25T12:00:00.123Z"


async def test_every_answer_is_kept_out_of_caches(browser):
    """They are one person's."""
    await browser.sign_up()

    for call in CALLS:
        answer = await make(browser, call)

        assert answer.header("cache-control") == "no-store"
