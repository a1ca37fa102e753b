"""Reading a session without writing: renewal is told of, and asked for by POST."""

from datetime import timedelta

import pytest

from watchword import SessionOptions
from watchword.crypto.signing import sign
from watchword.storage.query import F

SECRET = "correct-horse-battery-staple-0123456789"
TOKEN, DATA, FORGET = (
    f"better-auth.{name}" for name in ("session_token", "session_data", "dont_remember")
)
CLEARED = ("", "Max-Age=0; Path=/; HttpOnly; SameSite=Lax")
LASTING = "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"
NEVER_CACHED = {"cache-control": "no-store", "pragma": "no-cache"}


@pytest.fixture
def auth(new_auth):
    """An instance whose reads never write."""
    return new_auth(session=SessionOptions(defer_refresh=True))


@pytest.fixture
def ada(auth, new_browser, run):
    """Ada's browser, in which she is signed in."""
    browser = new_browser(auth)
    run(browser.sign_up())
    return browser


async def rows_of(auth):
    """Return every session as it is stored."""
    return await auth.store.find_many("session")


# --- reading -----------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "due"), [(timedelta(days=1, microseconds=-1), False), (1, True)])
async def test_a_read_tells_whether_a_renewal_is_due(auth, ada, clock, age, due):
    """Beside the session and its user; nothing is written and no cookie sent."""
    clock.now += age if isinstance(age, timedelta) else timedelta(days=age)
    before = await rows_of(auth)

    answer = await ada.session()

    assert set(answer.json) == {"session", "user", "needsRefresh"}
    assert answer.json["needsRefresh"] is due
    assert answer.json["session"]["expiresAt"] == "2026-05-24T12:00:00.123Z"
    assert (await rows_of(auth), answer.set_cookies) == (before, [])
    assert NEVER_CACHED.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("query", ["disableRefresh=true", "disableRefresh=false"])
async def test_who_declines_a_renewal_is_not_told_that_it_is_due(ada, clock, query):
    """The client would ask for it at once."""
    clock.advance(days=2)

    answer = await ada.session(query=query)

    assert answer.json["needsRefresh"] is False


async def test_who_is_not_remembered_never_needs_a_renewal(auth, new_browser, clock):
    """The session ends a day after the sign-in."""
    browser = new_browser(auth)
    await browser.sign_up(rememberMe=False)
    clock.advance(hours=23)

    answer = await browser.session()

    assert answer.json["needsRefresh"] is False


async def test_sessions_that_are_never_renewed_need_none(new_auth, new_browser, clock):
    """Where renewal is off, reading tells so."""
    options = SessionOptions(defer_refresh=True, refresh=False)
    browser = new_browser(new_auth(session=options))
    await browser.sign_up()
    clock.advance(days=6)

    answer = await browser.session()

    assert answer.json["needsRefresh"] is False


async def test_nobody_is_null(auth, new_browser):
    """Without a cookie nothing is set."""
    answer = await new_browser(auth).session()

    assert (answer.status, answer.body, answer.set_cookies) == (200, b"null", [])


async def test_reading_an_expired_session_leaves_its_row(auth, ada, clock):
    """Null, and the cookies go; the row goes with a POST or a purge."""
    clock.advance(days=7)

    answer = await ada.session()

    assert (answer.status, answer.body) == (200, b"null")
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]
    assert await auth.store.count("session") == 1


async def test_a_signed_cookie_of_no_session_is_cleared(auth, new_browser):
    """As without deferral."""
    browser = new_browser(auth, {TOKEN: sign("unknown", SECRET)})

    answer = await browser.session()

    assert (answer.body, list(answer.cookies.values())) == (b"null", [CLEARED] * 3)


async def test_other_endpoints_do_not_renew_either(auth, ada, clock):
    """They act for who is signed in, and leave the session as it is."""
    clock.advance(days=2)
    before = await rows_of(auth)

    answer = await ada.get("/list-accounts")

    assert (answer.status, answer.set_cookies) == (200, [])
    assert await rows_of(auth) == before


async def test_other_endpoints_refuse_who_is_expired(auth, ada, clock):
    """401, and the row stays."""
    clock.advance(days=7)

    answer = await ada.get("/list-accounts")

    assert answer.refusal == (401, "UNAUTHORIZED")
    assert await auth.store.count("session") == 1


# --- asking for the renewal --------------------------------------------------------------


@pytest.mark.parametrize("body", [None, {}])
async def test_a_post_renews(ada, clock, body):
    """The answer is the session as it is then, without `needsRefresh`, and the cookie."""
    clock.advance(days=1)

    answer = await ada.post("/get-session", body)

    assert set(answer.json) == {"session", "user"}
    assert answer.json["session"]["expiresAt"] == "2026-05-25T12:00:00.123Z"
    [(name, (value, attributes))] = answer.cookies.items()
    assert (name, attributes) == (TOKEN, LASTING)
    assert value.startswith(f"{answer.json['session']['token']}.")
    assert NEVER_CACHED.items() <= dict(answer.headers).items()
    assert (await ada.session()).json["needsRefresh"] is False


async def test_a_post_too_early_renews_nothing(auth, ada, clock):
    """It answers with the session as it is."""
    clock.advance(hours=23)
    before = await rows_of(auth)

    answer = await ada.post("/get-session", {})

    assert (answer.status, answer.set_cookies) == (200, [])
    assert await rows_of(auth) == before


async def test_a_post_can_decline_the_renewal(auth, ada, clock):
    """The same parameter as in a read."""
    clock.advance(days=2)
    before = await rows_of(auth)

    answer = await ada.post("/get-session", {}, query="disableRefresh=true")

    assert (answer.status, answer.set_cookies) == (200, [])
    assert await rows_of(auth) == before


async def test_a_post_does_not_renew_who_is_not_remembered(auth, new_browser, clock):
    """However often it is asked."""
    browser = new_browser(auth)
    await browser.sign_up(rememberMe=False)
    clock.advance(hours=23)
    before = await rows_of(auth)

    answer = await browser.post("/get-session", {})

    assert (answer.status, answer.set_cookies) == (200, [])
    assert await rows_of(auth) == before


async def test_a_post_removes_an_expired_session(auth, ada, clock):
    """Null, its row and its cookies gone."""
    clock.advance(days=7)

    answer = await ada.post("/get-session", {})

    assert (answer.status, answer.body) == (200, b"null")
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]
    assert await auth.store.count("session") == 0


async def test_a_post_of_nobody_is_null(auth, new_browser):
    """Without a cookie nothing is set."""
    answer = await new_browser(auth).post("/get-session", {})

    assert (answer.status, answer.body, answer.set_cookies) == (200, b"null", [])


async def test_attack_a_post_from_another_site(auth, ada, clock):
    """It keeps no session alive."""
    clock.advance(days=2)
    before = await rows_of(auth)

    answer = await ada.post("/get-session", {}, headers={"origin": "https://evil.example"})

    assert answer.refusal == (403, "INVALID_ORIGIN")
    assert await rows_of(auth) == before


# --- sessions that are not renewed at all ------------------------------------------------


async def test_without_renewal_a_session_ends_when_it_was_to_end(new_auth, new_browser, clock):
    """However often it is read."""
    auth = new_auth(session=SessionOptions(refresh=False))
    browser = new_browser(auth)
    await browser.sign_up()
    before = await rows_of(auth)

    for _ in range(6):
        clock.advance(days=1)
        answer = await browser.session()
        assert set(answer.json) == {"session", "user"}
        assert answer.set_cookies == []
    unchanged = await rows_of(auth)
    clock.advance(days=1)

    assert unchanged == before
    assert (await browser.session()).body == b"null"


async def test_without_renewal_a_post_is_refused_as_ever(new_auth, new_browser):
    """It is for deferred renewals alone."""
    browser = new_browser(new_auth(session=SessionOptions(refresh=False)))
    await browser.sign_up()

    answer = await browser.post("/get-session", {})

    assert answer.refusal == (405, "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED")


async def test_a_session_that_moved_to_its_end_is_due(auth, ada, clock):
    """What counts is the row, not the cookie's age."""
    await auth.store.update(
        "session", F.expires_at > clock.now, {"expires_at": clock.now + timedelta(days=5)}
    )

    assert (await ada.session()).json["needsRefresh"] is True
