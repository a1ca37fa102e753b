"""The sessions of who is signed in: listed with handles, ended one by one or all."""

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
LASTING = "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"
DONE = (200, {"status": True})
BOB = {"name": "Bob", "email": "bob@example.org"}
KEYS = {
    *("id", "userId", "token", "expiresAt", "createdAt", "updatedAt", "ipAddress", "userAgent"),
}
NEVER_STALE = SessionOptions(fresh_age=timedelta(0))


async def others(browser):
    """Return the handles of the other sessions of who is signed in."""
    mine = (await browser.session()).json["session"]["id"]
    listed = (await browser.get("/list-sessions")).json
    return [it["token"] for it in listed if it["id"] != mine]


async def signed_in(browser):
    """Return the e-mail address of who is signed in, or None."""
    answer = (await browser.session()).json
    return answer and answer["user"]["email"]


@pytest.fixture
def elsewhere(auth, browser, new_browser, run):
    """Another browser; in both Ada is signed in."""
    other = new_browser(auth, address="198.51.100.9")
    run(browser.sign_up())
    run(other.sign_in())
    return other


@pytest.fixture
def stranger(auth, new_browser, run):
    """Bob's browser."""
    it = new_browser(auth)
    run(it.sign_up(**BOB))
    return it


# --- listing -----------------------------------------------------------------------------


async def test_every_session_is_listed(browser, elsewhere):
    """The caller's own as the cookie has it, the other with its id in place of the token."""
    answer = await browser.get("/list-sessions")

    own, other = answer.json
    assert answer.status == 200
    assert [set(it) for it in answer.json] == [KEYS, KEYS]
    assert own == (await browser.session()).json["session"]
    assert {**other, "token": "its token"} == {
        **(await elsewhere.session()).json["session"],
        "token": "its token",
    }
    assert other["token"] == other["id"]
    assert (own["ipAddress"], other["ipAddress"]) == ("203.0.113.7", "198.51.100.9")
    assert answer.set_cookies == []


async def test_attack_a_handle_as_session_cookie(auth, browser, elsewhere, new_browser):
    """What a list shows signs nobody in, not even under our signature."""
    [handle] = await others(browser)

    thief = new_browser(auth, {TOKEN: sign(handle, SECRET)})

    assert (await thief.session()).body == b"null"
    assert (await thief.get("/list-sessions")).refusal == (401, "UNAUTHORIZED")


async def test_attack_a_list_shows_no_token_of_another_session(browser, elsewhere):
    """A thief of one session does not become the holder of all."""
    token = (await elsewhere.session()).json["session"]["token"]

    answer = await browser.get("/list-sessions")

    assert token.encode() not in answer.body


async def test_sessions_of_others_are_not_listed(browser, stranger):
    """Each sees their own."""
    await browser.sign_up()

    assert [len((await it.get("/list-sessions")).json) for it in (browser, stranger)] == [1, 1]


async def test_an_expired_session_is_not_listed(new_auth, new_browser, clock):
    """From its last instant on, though its row is still there."""
    auth = new_auth(session=NEVER_STALE)
    browser = new_browser(auth)
    await browser.sign_up()
    await new_browser(auth).sign_in(rememberMe=False)
    clock.advance(days=1, microseconds=-1)
    before = await browser.get("/list-sessions")
    clock.advance(microseconds=1)

    after = await browser.get("/list-sessions")

    assert (len(before.json), len(after.json)) == (2, 1)
    assert await auth.store.count("session") == 2


async def test_more_than_a_hundred_are_listed_and_ended(auth, browser, stranger):
    """No page size stands between a user and their sessions."""
    user_id = (await browser.sign_up()).json["user"]["id"]
    for _ in range(250):
        await auth.instance.sessions.create(user_id, ip_address="", user_agent="", remembered=True)

    listed = await browser.get("/list-sessions")
    answer = await browser.post("/revoke-other-sessions", {})

    assert len({it["id"] for it in listed.json}) == 251
    assert (answer.status, answer.json) == DONE
    assert await auth.store.count("session", F.user_id == user_id) == 1
    assert await signed_in(browser) == "ada@example.org"


async def test_more_than_a_hundred_end_with_the_own(auth, browser, stranger):
    """All of Ada's; Bob's stays."""
    user_id = (await browser.sign_up()).json["user"]["id"]
    for _ in range(250):
        await auth.instance.sessions.create(user_id, ip_address="", user_agent="", remembered=True)

    await browser.post("/revoke-sessions", {})

    assert await auth.store.count("session", F.user_id == user_id) == 0
    assert await signed_in(stranger) == "bob@example.org"


async def test_a_list_needs_a_recent_sign_in(browser, clock):
    """A day after it, 403; the renewal that came with the request is still sent."""
    await browser.sign_up()
    clock.advance(days=1, microseconds=-1)
    before = await browser.get("/list-sessions")
    clock.advance(microseconds=1)

    after = await browser.get("/list-sessions")

    assert before.status == 200
    assert (after.status, after.json) == (
        403,
        {"message": "Session is not fresh", "code": "SESSION_NOT_FRESH"},
    )
    assert after.cookies[TOKEN][1] == LASTING


async def test_a_renewed_session_is_not_a_recent_sign_in(browser, clock):
    """Renewal asks for no password; a new sign-in does."""
    await browser.sign_up()
    clock.advance(days=1)
    await browser.session()

    stale = await browser.get("/list-sessions")
    await browser.sign_in()

    assert stale.refusal == (403, "SESSION_NOT_FRESH")
    assert (await browser.get("/list-sessions")).status == 200


@pytest.mark.parametrize(("age", "status"), [(0, 200), (59, 403), (61, 200)])
async def test_how_recent_can_be_chosen(new_auth, new_browser, clock, age, status):
    """Zero is recent for ever."""
    browser = new_browser(new_auth(session=SessionOptions(fresh_age=timedelta(minutes=age))))
    await browser.sign_up()
    clock.advance(hours=1)

    answer = await browser.get("/list-sessions")

    assert answer.status == status


# --- ending one --------------------------------------------------------------------------


async def test_another_session_is_ended_by_its_handle(browser, elsewhere):
    """The caller's own goes on, its cookies untouched."""
    [handle] = await others(browser)

    answer = await browser.post("/revoke-session", {"token": handle})

    assert (answer.status, answer.json, answer.set_cookies) == (*DONE, [])
    assert await signed_in(elsewhere) is None
    assert await signed_in(browser) == "ada@example.org"


async def test_another_session_is_ended_by_its_token(browser, elsewhere):
    """Where a client knows it, it works too."""
    token = (await elsewhere.session()).json["session"]["token"]

    answer = await browser.post("/revoke-session", {"token": token})

    assert (answer.status, answer.json, answer.set_cookies) == (*DONE, [])
    assert await signed_in(elsewhere) is None


@pytest.mark.parametrize("name", ["token", "id"])
async def test_the_own_session_is_ended_and_its_cookies_cleared(browser, elsewhere, name):
    """By its token or by its handle; the other session goes on."""
    own = (await browser.session()).json["session"][name]

    answer = await browser.post("/revoke-session", {"token": own})

    assert (answer.status, answer.json) == DONE
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]
    assert await signed_in(browser) is None
    assert await signed_in(elsewhere) == "ada@example.org"


@pytest.mark.parametrize("name", ["token", "id"])
async def test_attack_to_end_a_strangers_session(browser, stranger, name):
    """Nothing happens, and nothing is told."""
    await browser.sign_up()
    theirs = (await stranger.session()).json["session"][name]

    answer = await browser.post("/revoke-session", {"token": theirs})
    unknown = await browser.post("/revoke-session", {"token": "unknown"})

    assert (answer.status, answer.headers, answer.body) == (
        unknown.status,
        unknown.headers,
        unknown.body,
    )
    assert (answer.status, answer.json, answer.set_cookies) == (*DONE, [])
    assert await signed_in(stranger) == "bob@example.org"


@pytest.mark.parametrize("token", ["", "%", "*", "' OR 1=1 --", "\u00e9", "x" * 100_000])
async def test_attack_wildcards_as_token(auth, browser, elsewhere, token):
    """What names no session ends none."""
    answer = await browser.post("/revoke-session", {"token": token})

    assert (answer.status, answer.json) == DONE
    assert await auth.store.count("session") == 2


MISSING = "Invalid input: expected string, received undefined"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        ([], "[body] Invalid input: expected object, received array"),
        ({}, f"[body.token] {MISSING}"),
        ({"sessionToken": "x"}, f"[body.token] {MISSING}"),
        ({"token": None}, "[body.token] Invalid input: expected string, received null"),
        ({"token": 0}, "[body.token] Invalid input: expected string, received number"),
        ({"token": True}, "[body.token] Invalid input: expected string, received boolean"),
        ({"token": {"$ne": ""}}, "[body.token] Invalid input: expected string, received object"),
        ({"token": ["x"]}, "[body.token] Invalid input: expected string, received array"),
        ({"token": "\0"}, "[body.token] Invalid input"),
    ],
)
async def test_attack_tokens_that_are_no_text(auth, browser, elsewhere, body, message):
    """A number would match texts on some databases, an operator everything on others."""
    answer = await browser.post("/revoke-session", body)

    assert (answer.status, answer.json) == (
        400,
        {"message": message, "code": "VALIDATION_ERROR"},
    )
    assert await auth.store.count("session") == 2


# --- ending all --------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, {}])
async def test_all_sessions_are_ended(browser, elsewhere, stranger, body):
    """Ada's everywhere, with her cookies here; Bob's goes on."""
    answer = await browser.post("/revoke-sessions", body)

    assert (answer.status, answer.json) == DONE
    assert list(answer.cookies.items()) == [(TOKEN, CLEARED), (DATA, CLEARED), (FORGET, CLEARED)]
    assert [await signed_in(it) for it in (browser, elsewhere)] == [None, None]
    assert await signed_in(stranger) == "bob@example.org"


@pytest.mark.parametrize("body", [None, {}])
async def test_all_other_sessions_are_ended(browser, elsewhere, stranger, body):
    """The current one goes on, its cookies untouched; Bob's too."""
    answer = await browser.post("/revoke-other-sessions", body)

    assert (answer.status, answer.json, answer.set_cookies) == (*DONE, [])
    assert [await signed_in(it) for it in (browser, elsewhere)] == ["ada@example.org", None]
    assert await signed_in(stranger) == "bob@example.org"


async def test_hooks_see_each_session_end(new_auth, new_browser):
    """Of a bulk one by one, so that an application can follow."""
    ended = []
    hook = DatabaseHook(model="session", operation="delete", after=ended.append)
    auth = new_auth(database_hooks=[hook])
    browser = new_browser(auth)
    await browser.sign_up()
    for _ in range(3):
        await new_browser(auth).sign_in()

    await browser.post("/revoke-other-sessions", {})

    assert len({row["id"] for row in ended}) == 3
