"""What ends a copy of a session, and who else is answered from one."""

import json
from base64 import urlsafe_b64decode
from datetime import timedelta

import pytest

from watchword import APIError, EndpointCall, EndpointHook, Field, Plugin, Request, UserOptions
from watchword.engine.context import Context
from watchword.engine.hooks import after
from watchword.engine.options import DeleteUser
from watchword.storage.query import F

TOKEN, DATA = "better-auth.session_token", "better-auth.session_data"
STRATEGIES = ["compact", "jwt", "jwe"]


@pytest.fixture
def auth(caching):
    """An instance that sends copies, compact and for five minutes."""
    return caching(user={"plan": Field("string", required=False)})


@pytest.fixture
def revoke(auth):
    """End every session behind the back of those who have one."""

    async def revoke():
        await auth.store.delete_many("session", None)

    return revoke


def version_of(cookie: str) -> str:
    """Return the version that a compact copy holds."""
    return json.loads(urlsafe_b64decode(cookie + "=="))["session"]["version"]


# --- the end of a session ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sign-out", {}),
        ("/revoke-sessions", {}),
        ("/revoke-session", {"token": "own"}),
    ],
)
async def test_attack_the_copy_of_a_session_that_was_ended(browser, path, body):
    """The browser loses it with the session, in every part; kept, it is worth nothing."""
    await browser.sign_up(image="https://example.org/" + "x" * 9000)
    kept = dict(browser.cookies)
    assert set(kept) == {TOKEN, f"{DATA}.0", f"{DATA}.1", f"{DATA}.2", f"{DATA}.3"}
    token = (await browser.session()).json["session"]["token"]

    await browser.post(path, {"token": token} if body else {})

    assert browser.cookies == {}
    browser.cookies = {name: it for name, it in kept.items() if name != TOKEN}
    assert (await browser.session()).json is None


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_attack_a_copy_beside_the_token_of_another_session(caching, new_browser, strategy):
    """After a sign-out the copy that was kept tells nothing to who signs in next."""
    auth = caching(strategy=strategy)
    browser = new_browser(auth)
    await browser.sign_up()
    copy = browser.cookies[DATA]
    await browser.post("/sign-out", {})
    await browser.sign_up(name="Eve", email="eve@example.org")
    browser.cookies[DATA] = copy

    told = await browser.session()
    again = await browser.session()

    assert told.json["user"]["name"] == "Eve"
    assert list(told.cookies) == [DATA]
    assert (again.json, again.set_cookies) == (told.json, [])


async def test_a_deleted_user_leaves_no_copy(caching, new_browser):
    """The cookies go with the user."""
    browser = new_browser(caching(settings={"user": UserOptions(delete_user=DeleteUser())}))
    await browser.sign_up()

    await browser.post("/delete-user", {"password": "difference-engine"})

    assert browser.cookies == {}


async def test_without_the_cache_copies_are_neither_sent_nor_read(new_auth, auth, new_browser):
    """One that is left over from when it was on is cleared by the sign-out all the same."""
    browser = new_browser(auth)
    await browser.sign_up()
    await auth.store.delete_many("session", None)
    plan = {"plan": Field("string", required=False)}
    plain = new_auth(auth.adapter, user=UserOptions(additional_fields=plan))
    other = new_browser(plain, cookies=dict(browser.cookies))

    told = await other.session()
    other.cookies = {**browser.cookies, f"{DATA}.0": "x"}
    signed_in = await other.sign_in()
    await other.post("/sign-out", {})

    assert told.json is None
    assert DATA not in signed_in.cookies
    assert other.cookies == {}


# --- versions ----------------------------------------------------------------------------------


async def test_another_version_ends_all_copies(home, caching, new_browser):
    """A deployment that changes it reads the store once for each client."""
    database = home.new_adapter()
    browser = new_browser(caching(database))
    await browser.sign_up()
    browser.auth = caching(database, version="2")

    first, second = await browser.session(), await browser.session()

    assert list(first.cookies) == [DATA]
    assert version_of(browser.cookies[DATA]) == "2"
    assert second.set_cookies == []


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_version_of_a_user_ends_their_copies_at_once(caching, new_browser, kind):
    """Where it is kept elsewhere: in memory that processes share, for instance."""
    generations = {}

    def version(session, user):
        assert session.user_id == user.id
        return str(generations.get(user.email, 0))

    async def awaited(session, user):
        return version(session, user)

    auth = caching(version=version if kind == "def" else awaited)
    ada, eve = new_browser(auth), new_browser(auth)
    await ada.sign_up()
    await eve.sign_up(email="eve@example.org")
    await auth.store.delete_many("session", None)

    before = (await ada.session()).json
    generations["ada@example.org"] = 1

    assert before is not None
    assert (await ada.session()).json is None
    assert (await eve.session()).json is not None


async def test_a_release_with_other_fields_reads_the_store(home, caching, new_browser):
    """A copy that lacks a field, or has another type in it, is none."""
    database = home.new_adapter()
    browser = new_browser(caching(database, user={}))
    await browser.sign_up()

    browser.auth = caching(database, user={"plan": Field("string", required=False)})
    added = await browser.session()
    browser.auth = caching(database, user={"plan": Field("integer", required=False)})
    await browser.auth.store.update("user", F.email == "ada@example.org", {"plan": 5})
    untyped = await browser.session()
    browser.auth = caching(database, user={"plan": Field("string", required=False)})
    typed = await browser.session()

    assert (added.json["user"]["plan"], list(added.cookies)) == (None, [DATA])
    assert (untyped.json["user"]["plan"], untyped.set_cookies) == (None, [])
    assert list(typed.cookies) == []


# --- who else asks -----------------------------------------------------------------------------


def request_of(browser, method="GET") -> Request:
    """Return a request to a route of the application's own."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return Request(method=method, path="/me", headers=(("cookie", cookies),))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_an_applications_route_takes_a_copy_where_it_reads(auth, browser, revoke, method):
    """With the staleness that the user chose; what may change something asks the store."""
    await browser.sign_up(plan="gold")
    before = await auth.identify(request_of(browser, "POST"))
    await revoke()

    found = await auth.identify(request_of(browser, method))

    if method not in {"GET", "HEAD"}:
        assert found is None
        return
    assert found.user.extra == before.user.extra
    assert (found.user.email, found.session.token) == (before.user.email, before.session.token)
    assert abs(found.session.expires_at - before.session.expires_at) < timedelta(milliseconds=1)


async def test_an_application_gets_whole_users(caching, new_browser):
    """A copy lacks what is not returned to clients, so it is not taken there."""
    auth = caching(user={"note": Field("string", default="secret", returned=False)})
    browser = new_browser(auth)
    await browser.sign_up()

    found = await auth.identify(request_of(browser))
    await auth.store.delete_many("session", None)

    assert found.user.extra["note"] == "secret"
    assert await auth.identify(request_of(browser)) is None
    assert (await browser.session()).json is not None


async def test_a_call_from_python_takes_and_sends_copies(auth, browser, clock, revoke):
    """On behalf of who sends a request, as over HTTP."""
    await browser.sign_up()
    calls = auth.api.on_behalf_of(request_of(browser))

    copied = await calls.get_session()
    clock.advance(minutes=5)
    stored = await calls.get_session()
    await revoke()

    assert copied.user.email == stored.user.email == "ada@example.org"
    assert [it.partition("=")[0] for name, it in calls.headers if name == "set-cookie"] == [DATA]
    assert await auth.api.on_behalf_of(request_of(browser)).get_session() is None


async def test_a_hook_that_refuses_after_a_change_does_not_keep_the_old_copy(caching, new_browser):
    """What was written is told, though the answer is a refusal."""

    def refuse(call):
        raise APIError.bare(400, "no")

    hook = EndpointHook(path="/update-user", after=refuse)
    browser = new_browser(caching(settings={"hooks": [hook]}))
    await browser.sign_up()

    answer = await browser.post("/update-user", {"name": "Countess"})

    assert answer.status == 400
    assert (await browser.session()).json["user"]["name"] == "Countess"


class SecondFactor(Plugin):
    """Takes every sign-in back."""

    id = "second-factor"

    @after("/sign-in/email")
    async def take_back(self, ctx: Context, call: EndpointCall) -> None:
        """Forget the session that was just made."""
        ctx.forget_session()


async def test_attack_the_copy_of_a_sign_in_that_was_taken_back(caching, new_browser):
    """What forgets a session in the answer that made it sends no copy of it either."""
    auth = caching(settings={"plugins": [SecondFactor()]})
    browser = new_browser(auth)
    await browser.sign_up()
    browser.cookies.clear()

    answer = await browser.sign_in()

    assert browser.cookies == {}
    assert [value for value, _ in answer.cookies.values() if value] == []


async def test_a_slow_call_does_not_make_a_copy_younger(caching, new_browser, clock):
    """It ages from when the call began, which is before the store was read."""
    slow = EndpointHook(path="/get-session", after=lambda call: clock.advance(minutes=2))
    auth = caching(settings={"hooks": [slow]})
    browser = new_browser(auth)
    await browser.sign_up()
    clock.advance(minutes=5)
    await browser.session()
    await auth.store.delete_many("session", None)

    clock.advance(minutes=3)

    assert (await browser.session()).json is None
