"""Signing out: always a success, and nothing is left that could be used."""

import pytest

from watchword.crypto.signing import sign

SECRET = "correct-horse-battery-staple-0123456789"
TOKEN, DATA, FORGET = (
    f"better-auth.{name}" for name in ("session_token", "session_data", "dont_remember")
)
CLEARED = ("", "Max-Age=0; Path=/; HttpOnly; SameSite=Lax")


async def test_the_session_goes_and_the_cookies_with_it(auth, browser, new_browser):
    """A copy of the cookie is worth nothing from then on."""
    await browser.sign_up()
    stolen = dict(browser.cookies)

    answer = await browser.post("/sign-out", {})

    assert (answer.status, answer.json) == (200, {"success": True})
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]
    assert await auth.store.count("session") == 0
    assert (await new_browser(auth, stolen).session()).body == b"null"


async def test_other_sessions_stay(auth, browser, new_browser):
    """Of this user and of others."""
    await browser.sign_up()
    elsewhere = new_browser(auth)
    await elsewhere.sign_in()

    await browser.post("/sign-out", {})

    assert (await elsewhere.session()).json["user"]["email"] == "ada@example.org"


@pytest.mark.parametrize("cookie", [None, "", "forged.signature", sign("unknown", SECRET)])
@pytest.mark.parametrize("body", [None, {}, b'{"unknown": 1}'])
async def test_it_succeeds_for_whoever_is_not_signed_in(browser, cookie, body):
    """With or without a cookie, a body, or a session."""
    if cookie is not None:
        browser.cookies[TOKEN] = cookie

    answer = await browser.post("/sign-out", body)

    assert (answer.status, answer.json) == (200, {"success": True})
    assert list(answer.cookies.values()) == [CLEARED] * 3


async def test_the_parts_of_a_divided_cookie_are_cleared_with_it(browser):
    """Those that were sent."""
    await browser.sign_up()
    browser.cookies |= {f"{DATA}.0": "a", f"{DATA}.1": "b"}

    answer = await browser.post("/sign-out", {})

    assert list(answer.cookies) == [TOKEN, DATA, f"{DATA}.0", f"{DATA}.1", FORGET]


async def test_racing_sign_outs_all_succeed(auth, browser, new_browser, race):
    """Of 32 with one cookie each is told the same, and no session is left."""
    await browser.sign_up()

    answers = await race(
        32, lambda: new_browser(auth, dict(browser.cookies)).post("/sign-out", {})
    )

    assert [(it.status, it.json) for it in answers] == [(200, {"success": True})] * 32
    assert await auth.store.count("session") == 0


async def test_attack_sign_out_by_another_site(auth, browser):
    """With the visitor's cookie, but not from a page of ours."""
    await browser.sign_up()

    answer = await browser.post("/sign-out", {}, headers={"origin": "https://evil.example"})

    assert answer.refusal == (403, "INVALID_ORIGIN")
    assert await auth.store.count("session") == 1


async def test_attack_sign_out_by_get(auth, browser):
    """An image tag cannot do it: there is no such route."""
    await browser.sign_up()

    answer = await browser.get("/sign-out")

    assert (answer.status, answer.body) == (404, b"")
    assert await auth.store.count("session") == 1
