"""With the cookie cache reads are answered from a copy: as the store would, and not for long."""

import json
from base64 import urlsafe_b64decode
from datetime import timedelta

import pytest

from watchword import EmailVerification, Field, UserOptions
from watchword.engine.options import ChangeEmail
from watchword.storage.query import F

TOKEN, DATA, FORGET = (
    f"better-auth.{name}" for name in ("session_token", "session_data", "dont_remember")
)
ATTRIBUTES = "Path=/; HttpOnly; SameSite=Lax"
FOR_FIVE_MINUTES = f"Max-Age=300; {ATTRIBUTES}"
STRATEGIES = ["compact", "jwt", "jwe"]
FIELDS = {
    "plan": Field("string", required=False),
    "visits": Field("bigint", required=False),
    "born_at": Field("datetime", required=False),
    "settings": Field("json", required=False),
    "tags": Field("strings", required=False),
    "key": Field("bytes", required=False, input=False),
    "device": Field("uuid", required=False),
    "is_member": Field("boolean", default=True, input=False),
    "class": Field("text", required=False),
}


@pytest.fixture
def auth(caching):
    """An instance that sends copies, compact and for five minutes."""
    return caching(user=FIELDS)


@pytest.fixture
def revoke(auth):
    """End every session behind the back of those who have one."""

    async def revoke():
        await auth.store.delete_many("session", None)

    return revoke


def content(cookie: str) -> dict:
    """Return what a compact copy holds."""
    return json.loads(urlsafe_b64decode(cookie + "=="))


# --- what is sent ------------------------------------------------------------------------------


async def test_a_sign_in_sends_a_copy(browser, clock):
    """It goes beside the session's cookie, and holds what get-session tells."""
    answer = await browser.sign_up()

    assert answer.cookies[DATA][1] == FOR_FIVE_MINUTES
    assert list(answer.cookies) == [TOKEN, DATA]
    copy = content(browser.cookies[DATA])
    assert list(copy) == ["session", "expiresAt", "signature"]
    told = (await browser.session(query="disableCookieCache=1")).json
    now = 1779019200123
    assert copy["session"] == {**told, "updatedAt": now, "version": "1"}
    assert copy["expiresAt"] == now + 300_000


async def test_a_copy_has_what_is_returned_and_no_more(caching, new_browser):
    """Whoever has the cookie can read it."""
    fields = {"note": Field("string", default="secret-note", returned=False)}
    browser = new_browser(caching(user=fields))

    await browser.sign_up()

    copy = content(browser.cookies[DATA])
    assert "secret-note" not in json.dumps(copy)
    assert set(copy["session"]["user"]) == {
        *("id", "name", "email", "emailVerified", "image", "createdAt", "updatedAt")
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_copy_answers_as_the_store_does(caching, new_browser, strategy):
    """To the byte: fields of every type, and letters of any kind."""
    auth = caching(user=FIELDS, strategy=strategy)
    browser = new_browser(auth)
    values = {
        "plan": 'Ü "\u2028\\ 😀',
        "visits": 2**53 - 1,
        "settings": {"1": [1.5, 1e-7, None, True], "2": {"é": "\t"}},
        "tags": ["a", "ü"],
        "device": "0190a3c1-7c1e-7000-8000-000000000001",
        "class": "x" * 5000,
    }
    signed_up = await browser.sign_up(name="Ada Lovelace 😀", **values)
    assert signed_up.status == 200, signed_up.json
    user = await auth.store.find_one("user", F.email == "ada@example.org")
    now = user["created_at"]
    await auth.store.update(
        "user", F.id == user["id"], {"key": b"\0\xff", "born_at": now, "visits": 2**60}
    )

    stored = await browser.session(query="disableCookieCache=1")
    await auth.store.delete_many("user", None)
    copied = await browser.session()

    assert copied.status == 200
    assert copied.body == stored.body
    assert copied.json["user"]["key"] == "AP8="
    assert stored.set_cookies
    assert copied.set_cookies == []


async def test_who_is_not_remembered_has_a_copy_for_a_minute(auth, browser, clock, revoke):
    """It goes with the browser, and is believed for no longer than that minute."""
    await browser.sign_up()
    answer = await browser.sign_in(rememberMe=False)

    assert answer.cookies[DATA][1] == ATTRIBUTES
    assert set(browser.cookies) == {TOKEN, DATA, FORGET}
    await revoke()
    clock.advance(seconds=59.999)
    assert (await browser.session()).json is not None
    clock.advance(seconds=0.001)
    assert (await browser.session()).json is None


async def test_a_session_that_goes_on_after_a_short_one_is_copied_as_such(browser):
    """The next remembered sign-in has the five minutes again; a change keeps what there is."""
    await browser.sign_up(rememberMe=False)
    changed = await browser.post("/update-user", {"name": "Countess"})
    remembered = await browser.sign_in()

    assert changed.cookies[DATA][1] == ATTRIBUTES
    assert remembered.cookies[DATA][1] == FOR_FIVE_MINUTES
    assert FORGET not in browser.cookies


# --- how long it is believed -------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seconds", [1, 30, 300])
async def test_a_revoked_session_ends_with_its_copy(
    caching, new_browser, clock, strategy, seconds
):
    """After `max_age` at most, to the millisecond; then its cookies are cleared."""
    auth = caching(strategy=strategy, max_age=timedelta(seconds=seconds))
    browser = new_browser(auth)
    await browser.sign_up()
    await auth.store.delete_many("session", None)

    # Times in tokens are whole seconds, the rest cut off.
    clock.advance(seconds=seconds - 0.2)
    last = await browser.session()
    clock.advance(seconds=0.2)
    ended = await browser.session()

    assert last.json["user"]["email"] == "ada@example.org"
    assert last.set_cookies == []
    assert ended.json is None
    assert browser.cookies == {}


async def test_a_copy_is_made_of_the_store_alone(browser, clock, revoke):
    """However often it is used, it is not renewed from itself."""
    await browser.sign_up()
    copy = browser.cookies[DATA]
    await revoke()

    for _ in range(299):
        clock.advance(seconds=1)
        assert (await browser.session()).json is not None
        assert browser.cookies[DATA] == copy
    clock.advance(seconds=1)

    assert (await browser.session()).json is None


async def test_a_read_of_the_store_sends_a_new_copy(auth, browser, clock):
    """Once the old one has aged; what was changed meanwhile is then told."""
    await browser.sign_up()
    await auth.store.update("user", F.email == "ada@example.org", {"name": "Countess"})

    clock.advance(seconds=299)
    before = await browser.session()
    clock.advance(seconds=1)
    after = await browser.session()
    again = await browser.session()

    assert before.json["user"]["name"] == "Ada"
    assert after.json["user"]["name"] == "Countess"
    assert list(after.cookies) == [DATA]
    assert again.json == after.json
    assert again.set_cookies == []


async def test_what_takes_no_copies_sends_none(browser):
    """It reads the store in any case, and what it does with that is not told from here."""
    await browser.sign_up()

    for method, path, body in [
        ("GET", "/list-sessions", None),
        ("POST", "/verify-password", {"password": "difference-engine"}),
        ("POST", "/revoke-other-sessions", {}),
    ]:
        assert (await browser.send(method, path, body=body)).set_cookies == [], path


@pytest.mark.parametrize("value", ["1", "true", "false", "0"])
@pytest.mark.parametrize("deferred", [False, True])
async def test_whoever_asks_past_the_cache_asks_the_store(caching, new_browser, value, deferred):
    """Any text says so, "false" too, as the published server takes it; an empty one does not."""
    auth = caching(session={"defer_refresh": deferred})
    browser = new_browser(auth)
    await browser.sign_up()
    await auth.store.delete_many("session", None)

    assert (await browser.session(query="disableCookieCache=")).json is not None
    assert (await browser.session(query=f"disableCookieCache={value}")).json is None


async def test_an_expired_session_has_no_copy_that_holds(caching, new_browser, clock):
    """The session's own end counts, however young the copy is."""
    lifetime = {"expires_in": timedelta(minutes=10), "update_age": timedelta(0), "refresh": False}
    browser = new_browser(caching(session=lifetime))
    await browser.sign_up()

    clock.advance(minutes=9)
    copied = await browser.session()
    clock.advance(minutes=1)

    assert list(copied.cookies) == [DATA]
    assert (await browser.session()).json is None


async def test_a_session_that_is_due_is_renewed_past_its_copy(caching, new_browser, clock):
    """A copy does not keep a session in use from being extended; one is sent of the new end."""
    lifetime = {"expires_in": timedelta(hours=1), "update_age": timedelta(minutes=2)}
    browser = new_browser(caching(session=lifetime))
    before = (await browser.sign_up()).cookies[DATA]

    clock.advance(minutes=2)
    declined = await browser.session(query="disableRefresh=1")
    renewed = await browser.session()
    again = await browser.session()

    assert declined.set_cookies == []
    assert set(renewed.cookies) == {TOKEN, DATA}
    assert renewed.cookies[DATA] != before
    assert renewed.json["session"]["expiresAt"] == "2026-05-17T13:02:00.123Z"
    assert (again.json, again.set_cookies) == (renewed.json, [])


async def test_a_deferred_renewal_is_told_from_the_copy(caching, new_browser, clock):
    """The POST renews, from the store; the copy that it sends says that none is due."""
    lifetime = {"update_age": timedelta(minutes=2), "defer_refresh": True}
    auth = caching(session=lifetime)
    browser = new_browser(auth)
    await browser.sign_up()

    clock.advance(minutes=2)
    due = await browser.session()
    renewed = await browser.post("/get-session", {})
    after = await browser.session()

    assert (due.json["needsRefresh"], due.set_cookies) == (True, [])
    assert set(renewed.cookies) == {TOKEN, DATA}
    assert (after.json["needsRefresh"], after.set_cookies) == (False, [])
    await auth.store.delete_many("session", None)
    assert (await browser.post("/get-session", {})).json is None


async def test_a_shorter_max_age_holds_for_copies_that_are_out(home, caching, new_browser, clock):
    """What is deployed now says how old one may be, not what was when it was made."""
    database = home.new_adapter()
    browser = new_browser(caching(database))
    await browser.sign_up()
    browser.auth = caching(database, max_age=timedelta(seconds=30))
    await browser.auth.store.delete_many("session", None)

    clock.advance(seconds=30)

    assert (await browser.session()).json is None


# --- changes are told at once ------------------------------------------------------------------


async def test_who_changes_something_sees_it_at_once(caching, new_browser):
    """Their own browser gets a new copy with the answer."""
    session = {"additional_fields": {"theme": Field("string", required=False)}}
    browser = new_browser(caching(user=FIELDS, session=session))
    await browser.sign_up()

    await browser.post("/update-user", {"name": "Countess", "plan": "gold"})
    await browser.post("/update-session", {"theme": "dark"})
    told = await browser.session()

    assert told.set_cookies == []
    user, session = told.json["user"], told.json["session"]
    assert (user["name"], user["plan"], session["theme"]) == ("Countess", "gold", "dark")


@pytest.mark.parametrize("auto_sign_in", [True, False])
async def test_a_verified_or_new_address_is_seen_at_once(caching, new_browser, auto_sign_in):
    """In the browser that opens the link, if the user is signed in there."""
    mails = []
    settings = {
        "mail": mails.append,
        "user": UserOptions(change_email=ChangeEmail(unverified_at_once=True)),
        "email_verification": EmailVerification(auto_sign_in=auto_sign_in),
    }
    browser = new_browser(caching(settings=settings))
    await browser.sign_up()

    await browser.post("/change-email", {"newEmail": "countess@example.org"})
    at_once = await browser.session()
    await browser.get("/verify-email", query=f"token={mails[-1].token}")
    verified = await browser.session()
    await browser.post("/change-email", {"newEmail": "lovelace@example.org"})
    await browser.get("/verify-email", query=f"token={mails[-1].token}")
    changed = await browser.session()

    assert [it.set_cookies for it in (at_once, verified, changed)] == [[], [], []]
    users = [it.json["user"] for it in (at_once, verified, changed)]
    assert [it["emailVerified"] for it in users] == [False, True, True]
    assert [it["email"].partition("@")[0] for it in users] == ["countess", "countess", "lovelace"]


async def test_a_password_change_that_ends_all_sessions_replaces_the_copy(browser):
    """The copy of the session that was ended tells nothing any more."""
    await browser.sign_up()
    before = dict(browser.cookies)
    passwords = {"currentPassword": "difference-engine", "newPassword": "analytical-engine"}

    answer = await browser.post("/change-password", {**passwords, "revokeOtherSessions": True})

    told = (await browser.session()).json["session"]["token"]
    assert told == answer.json["token"]
    browser.cookies = {**browser.cookies, DATA: before[DATA]}
    assert (await browser.session()).json["session"]["token"] == answer.json["token"]
