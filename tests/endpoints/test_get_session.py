"""Asking who is signed in: every answer, what is renewed, and what is cleared."""

from datetime import timedelta

import pytest

from watchword import DatabaseHook, SessionOptions
from watchword.crypto.signing import sign
from watchword.storage.query import F

SECRET = "correct-horse-battery-staple-0123456789"
TOKEN, DATA, FORGET = (
    f"better-auth.{name}" for name in ("session_token", "session_data", "dont_remember")
)
CLEARED = ("", "Max-Age=0; Path=/; HttpOnly; SameSite=Lax")
WEEK, DAY = timedelta(days=7), timedelta(days=1)


async def expiry(auth):
    """Return when the only session ends."""
    [session] = await auth.store.find_many("session")
    return session["expires_at"]


async def test_the_answer_is_the_session_and_its_user(browser, clock):
    """Exactly these keys; the token is the one that the cookie carries."""
    signed_up = await browser.sign_up()

    answer = await browser.session(headers={"user-agent": "ignored"})

    session = answer.json["session"]
    assert answer.json == {"session": session, "user": signed_up.json["user"]}
    assert session == {
        "id": session["id"],
        "userId": signed_up.json["user"]["id"],
        "token": signed_up.json["token"],
        "expiresAt": "2026-05-24T12:00:00.123Z",
        "createdAt": "2026-05-17T12:00:00.123Z",
        "updatedAt": "2026-05-17T12:00:00.123Z",
        "ipAddress": "203.0.113.7",
        "userAgent": "",
    }
    assert answer.set_cookies == []


async def test_no_cookie_is_null_and_sets_nothing(browser):
    """The four letters as JSON, status 200, and never from a cache."""
    answer = await browser.session()

    assert (answer.status, answer.body) == (200, b"null")
    assert answer.headers == [
        ("content-type", "application/json"),
        ("pragma", "no-cache"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "unsigned",
        "token.signature",
        "token.%E0%A4",
        "%",
        "token.Fm0oN6PSDjDyM1KyS/rW4jrxvSnJnqGg4pzsIrVCPVo=",
        '"quoted.quoted"',
        "\udcff.\udcff",
        ".",
        "x" * 100_000,
    ],
)
async def test_attack_broken_session_cookies(browser, value):
    """What we did not sign is no cookie at all: null, and nothing is set."""
    browser.cookies[TOKEN] = value

    answer = await browser.session()

    assert (answer.status, answer.body, answer.set_cookies) == (200, b"null", [])


async def test_a_cookie_under_another_secret_is_none(new_auth, new_browser, auth):
    """Unless that secret is still listed after the new one."""
    other = "another-horse-battery-staple-9876543210"
    old = new_browser(auth)
    await old.sign_up()

    strange = await new_browser(new_auth(auth.adapter, secret=other), old.cookies).session()
    rotated = await new_browser(new_auth(auth.adapter, secret=[other, SECRET]), old.cookies).get(
        "/get-session"
    )

    assert (strange.body, strange.set_cookies) == (b"null", [])
    assert rotated.json["user"]["email"] == "ada@example.org"


async def test_a_signed_cookie_of_no_session_is_cleared(auth, browser):
    """Null, and the three cookies go, in this order."""
    await browser.sign_up()
    await auth.store.delete_many("session", None)

    answer = await browser.session()

    assert (answer.status, answer.body) == (200, b"null")
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]


async def test_the_parts_of_a_divided_cookie_are_cleared_with_it(browser):
    """Those that were sent, by number; nothing else that a client names."""
    browser.cookies |= {
        TOKEN: sign("unknown", SECRET),
        f"{DATA}.0": "a",
        f"{DATA}.12": "b",
        f"{DATA}.x": "c",
        f"{DATA}.": "d",
        f"{DATA}.\u0661": "e",
        f"{DATA}.1%0d%0aset-cookie": "f",
        "other.session_data.3": "g",
    }

    answer = await browser.session()

    assert list(answer.cookies) == [TOKEN, DATA, f"{DATA}.0", f"{DATA}.12", FORGET]
    assert set(answer.cookies.values()) == {CLEARED}


@pytest.mark.parametrize("past", [timedelta(0), timedelta(days=3)])
async def test_an_expired_session_is_deleted_and_cleared(auth, browser, clock, past):
    """From its last instant on."""
    await browser.sign_up()
    clock.now += WEEK + past

    answer = await browser.session()

    assert (answer.status, answer.body) == (200, b"null")
    assert list(answer.cookies.values()) == [CLEARED] * 3
    assert await auth.store.count("session") == 0


async def test_a_session_lives_to_the_last_instant(auth, browser, clock):
    """Reading without renewal shows the same end until it comes."""
    await browser.sign_up()
    clock.now += WEEK - timedelta(microseconds=1)

    answer = await browser.session(query="disableRefresh=true")

    assert answer.json["session"]["expiresAt"] == "2026-05-24T12:00:00.123Z"


# --- renewal -----------------------------------------------------------------------------


async def test_a_session_in_use_is_renewed_after_a_day(auth, browser, clock):
    """The row itself lives longer, and the cookie as long as the row."""
    await browser.sign_up()
    made_at = clock.now
    clock.advance(days=1)

    answer = await browser.session()

    assert await expiry(auth) == made_at + DAY + WEEK
    assert answer.json["session"]["expiresAt"] == "2026-05-25T12:00:00.123Z"
    assert answer.json["session"]["updatedAt"] == "2026-05-18T12:00:00.123Z"
    assert answer.json["session"]["createdAt"] == "2026-05-17T12:00:00.123Z"
    [(name, (value, attributes))] = answer.cookies.items()
    assert (name, attributes) == (TOKEN, "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax")
    assert value.startswith(answer.json["session"]["token"])


async def test_it_is_not_renewed_before(auth, browser, clock):
    """A session in use is written once a day at most."""
    await browser.sign_up()
    end = await expiry(auth)
    clock.now += DAY - timedelta(microseconds=1)

    answer = await browser.session()

    assert (await expiry(auth), answer.set_cookies) == (end, [])


async def test_a_session_used_every_day_never_ends(auth, browser, clock):
    """Sliding means that the row slides, not the cookie alone."""
    await browser.sign_up()

    for _ in range(30):
        clock.advance(days=1)
        answer = await browser.session()

    assert answer.json["user"]["email"] == "ada@example.org"
    assert await auth.store.count("session") == 1


@pytest.mark.parametrize(
    ("query", "renewed"),
    [
        ("", True),
        ("disableRefresh=", True),
        ("disableRefresh=true", False),
        ("disableRefresh=false", False),
        ("disableCookieCache=true", True),
        ("disableRefresh=1&disableCookieCache=1&other=x", False),
    ],
)
async def test_renewal_can_be_declined(auth, browser, clock, query, renewed):
    """Any text that is not empty declines, "false" too."""
    await browser.sign_up()
    end = await expiry(auth)
    clock.advance(days=2)

    answer = await browser.session(query=query)

    assert (await expiry(auth) > end, bool(answer.set_cookies)) == (renewed, renewed)


async def test_who_is_not_to_be_remembered_is_not_renewed(auth, browser, clock):
    """The session ends a day after the sign-in, however often it is read."""
    await browser.sign_up(rememberMe=False)
    end = await expiry(auth)
    clock.advance(hours=23)

    answer = await browser.session()

    assert (await expiry(auth), answer.set_cookies) == (end, [])
    clock.advance(hours=1)
    assert (await browser.session()).body == b"null"


async def test_attack_a_forged_wish_to_be_forgotten(auth, browser, clock):
    """The cookie counts only if we signed it."""
    await browser.sign_up()
    end = await expiry(auth)
    browser.cookies[FORGET] = "true.Fm0oN6PSDjDyM1KyS/rW4jrxvSnJnqGg4pzsIrVCPVo="
    clock.advance(days=1)

    await browser.session()

    assert await expiry(auth) > end


async def test_spans_can_be_chosen(new_auth, new_browser, clock):
    """The cookie, the row and the renewal follow them."""
    options = SessionOptions(expires_in=timedelta(hours=2), update_age=timedelta(minutes=10))
    auth = new_auth(session=options)
    browser = new_browser(auth)
    signed_up = await browser.sign_up()
    clock.advance(minutes=10)

    answer = await browser.session()

    assert "Max-Age=7200;" in signed_up.set_cookies[0]
    assert "Max-Age=7200;" in answer.set_cookies[0]
    assert await expiry(auth) == clock.now + timedelta(hours=2)


async def test_racing_readers_write_once(new_auth, new_browser, race, clock):
    """Of 32 that find the session due one renews it; all get the new end."""
    writes = []
    hook = DatabaseHook(model="session", operation="update", after=writes.append)
    auth = new_auth(database_hooks=[hook])
    browser = new_browser(auth)
    await browser.sign_up()
    clock.advance(days=1)

    answers = await race(32, lambda: new_browser(auth, dict(browser.cookies)).session())

    assert len(writes) == 1
    assert {it.json["session"]["expiresAt"] for it in answers} == {"2026-05-25T12:00:00.123Z"}
    assert any(TOKEN in it.cookies for it in answers)


async def test_a_session_deleted_while_it_is_renewed_is_gone(new_auth, new_browser, clock):
    """A renewal never brings a session back that was ended meanwhile."""
    adapter = new_auth().adapter

    async def sign_out_meanwhile(_changes):
        await adapter.delete_many("session", None)

    hook = DatabaseHook(model="session", operation="update", before=sign_out_meanwhile)
    auth = new_auth(adapter, database_hooks=[hook])
    browser = new_browser(auth)
    await browser.sign_up()
    clock.advance(days=1)

    answer = await browser.session()

    assert (answer.body, list(answer.cookies.values())) == (b"null", [CLEARED] * 3)
    assert await auth.store.count("session") == 0


# --- other methods -----------------------------------------------------------------------


async def test_post_is_refused(browser):
    """405 with its code, session or not; but the origin comes first."""
    await browser.sign_up()

    answer = await browser.post("/get-session", {})
    foreign = await browser.post("/get-session", {}, headers={"origin": "https://evil.example"})

    assert answer.refusal == (405, "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED")
    assert answer.json["message"] == (
        "POST method requires deferSessionRefresh to be enabled in session config"
    )
    assert foreign.refusal == (403, "INVALID_ORIGIN")


async def test_a_repeated_flag_is_a_flag(browser):
    """Any value sets it, and so do two."""
    answer = await browser.session(query="disableRefresh=a&disableRefresh=b")

    assert (answer.status, answer.json) == (200, None)


async def test_a_deleted_user_is_nobody(auth, browser):
    """Their sessions went with them."""
    await browser.sign_up()
    await auth.store.delete("user", F.email == "ada@example.org")

    answer = await browser.session()

    assert (answer.body, list(answer.cookies.values())) == (b"null", [CLEARED] * 3)
