"""The cookie cache: its settings, and what it spares the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from watchword import ConfigurationError, CookieCache, Field, SessionOptions
from watchword.engine.cookie_cache import SessionCopies
from watchword.storage.entities import Identity, Session, User

SECRET = "correct-horse-battery-staple-0123456789"
NOW = datetime(2026, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)
TOKEN, DATA = "better-auth.session_token", "better-auth.session_data"
PINGS = {"", ";", "SELECT 1", "select 1"}  # asks whether a connection is alive
# Without encryption, so that the wire can be read.
PLAIN = {
    "asyncpg": {"ssl": "disable"},
    "psycopg": {"sslmode": "disable", "gssencmode": "disable"},
}


@pytest.mark.parametrize(
    "given",
    [
        {"max_age": timedelta(0)},
        {"max_age": timedelta(milliseconds=999)},
        {"max_age": timedelta(seconds=-5)},
        {"max_age": 300},
        {"strategy": "none"},
        {"strategy": "HS256"},
        {"version": ""},
        {"version": 2},
        {"version": None},
    ],
)
def test_settings_that_cannot_work_are_refused(given):
    """When they are made, not at the first request."""
    with pytest.raises(ConfigurationError):
        CookieCache(**given)


def test_a_copy_is_not_believed_for_longer_than_a_session_lasts():
    """Nor for longer than time goes."""
    cache = CookieCache(max_age=timedelta(hours=1))

    assert SessionOptions(cookie_cache=cache, expires_in=timedelta(days=1)).cookie_cache is cache
    for it in (CookieCache(max_age=timedelta(days=8)), CookieCache(max_age=timedelta.max)):
        with pytest.raises(ConfigurationError, match="max_age is longer than expires_in"):
            SessionOptions(cookie_cache=it)


def test_the_cache_is_off_unless_it_is_asked_for(new_auth):
    """Whoever revokes a session expects it to end."""
    assert SessionOptions().cookie_cache is None
    assert new_auth().instance.copies is None


# --- copies ------------------------------------------------------------------------------------


def identity_of(**changes) -> Identity:
    """Return somebody who is signed in."""
    times = {"created_at": NOW, "updated_at": NOW}
    session = {
        "id": "s",
        "token": "t",
        "user_id": "u",
        "ip_address": None,
        "user_agent": "",
        "expires_at": NOW + timedelta(days=7),
        **times,
        **changes,
    }
    user = {"id": "u", "name": "Ada", "email": "ada@example.org", "image": None, **times}
    return Identity(Session(**session), User(**user, email_verified=False))


@pytest.fixture
def copies(auth, clock):
    """The copies of an instance, for five minutes."""
    schema = auth.instance.store.schema
    return SessionCopies(CookieCache(), secrets=[SECRET], schema=schema, clock=clock)


async def test_a_copy_ages_from_when_the_store_was_read(copies, clock):
    """Not from when it was written, which may be a slow call later."""
    clock.advance(minutes=2)

    copy = await copies.write(identity_of(), read_at=NOW, lasting=True)

    clock.advance(minutes=2, seconds=59, milliseconds=999)
    assert (await copies.read(copy, token="t")).user.name == "Ada"
    clock.advance(milliseconds=1)
    assert await copies.read(copy, token="t") is None


async def test_a_copy_is_read_for_its_own_token_alone(copies):
    """A prefix, another case or nothing is another token."""
    copy = await copies.write(identity_of(token="Token"), read_at=NOW, lasting=True)

    found = [it for it in ("token", "Toke", "", "ü") if await copies.read(copy, token=it)]

    assert found == []
    assert await copies.read(copy, token="Token") is not None


async def test_a_copy_gives_back_what_went_in_to_the_millisecond(copies):
    """Instants are written as JavaScript writes them."""
    copy = await copies.write(identity_of(), read_at=NOW, lasting=True)

    found = await copies.read(copy, token="t")

    cut = NOW.replace(microsecond=123000)
    expected = identity_of(created_at=cut, updated_at=cut, expires_at=cut + timedelta(days=7))
    assert found.session == expected.session
    assert found.user.created_at == cut


@pytest.mark.parametrize(("returned", "complete"), [(True, True), (False, False)])
def test_a_copy_is_complete_where_everything_is_returned(new_auth, clock, returned, complete):
    """Of session and user both."""
    theme = {"theme": Field("string", required=False, returned=returned)}
    auth = new_auth(
        session=SessionOptions(cookie_cache=CookieCache(), additional_fields=theme),
    )

    assert auth.instance.copies.are_complete is complete


# --- statements --------------------------------------------------------------------------------


class OnTheWire:
    """Counted between the driver and PostgreSQL, so no shortcut of ours goes unseen."""

    driver: str

    @pytest.fixture
    def tapped(self, proxy_to, postgresql_database):
        """The proxy, and the URL that leads through it."""
        return proxy_to(postgresql_database, **PLAIN[self.driver])

    @pytest.fixture
    def browser(self, sql_auth, tapped, new_browser, run):
        """A browser in which Ada is signed in, at an instance that has connected already."""
        auth = sql_auth(tapped[1], session=SessionOptions(cookie_cache=CookieCache()))
        for _ in range(2):  # what drivers ask on a new connection, and learn of types
            run(new_browser(auth).sign_up(email="first@example.org"))
            run(new_browser(auth).sign_in(email="first@example.org"))
        browser = new_browser(auth)
        run(browser.sign_up())
        return browser

    @pytest.fixture
    def cost(self, tapped):
        """Note what a block has the server execute: the first word of each statement."""
        proxy, _ = tapped

        @contextmanager
        def cost() -> Iterator[list[str]]:
            start, words = len(proxy.executed), []
            yield words
            sent = [it.strip() for it in proxy.executed[start:]]
            words += [it.split()[0] for it in sent if it not in PINGS]

        return cost

    async def test_a_session_is_read_from_its_copy_without_a_statement(self, browser, cost, clock):
        """Then once from the store, which makes the next copy; and so on."""
        with cost() as copied:
            for _ in range(5):
                assert (await browser.session()).json["user"]["name"] == "Ada"
        clock.advance(minutes=5)
        with cost() as aged:
            await browser.session()
        with cost() as again:
            await browser.session()

        assert (copied, aged, again) == ([], ["SELECT"], [])

    async def test_what_is_not_from_a_copy_costs_what_it_did(self, browser, cost):
        """One read for who asks, and the call's own."""
        with cost() as accounts:
            await browser.get("/list-accounts")
        with cost() as sessions:
            await browser.get("/list-sessions")
        with cost() as update:
            await browser.post("/update-user", {"name": "Countess"})
        with cost() as past:
            await browser.session(query="disableCookieCache=1")

        assert (accounts, sessions) == (["SELECT"], ["SELECT", "SELECT"])
        assert (update, past) == (["SELECT", "UPDATE"], ["SELECT"])

    async def test_attack_a_forged_copy_costs_one_read(self, browser, cost):
        """As much as none; with no session's cookie beside it, nothing."""
        copy = browser.cookies[DATA]
        browser.cookies[DATA] = copy[:-4] + "AAAA"
        with cost() as forged:
            await browser.session()
        browser.cookies = {DATA: copy}
        with cost() as alone:
            answer = await browser.session()

        assert (forged, alone, answer.json) == (["SELECT"], [], None)


class TestAsyncpg(OnTheWire):
    """asyncpg, under an event loop."""

    driver = "asyncpg"
    needs_loop = True


class TestPsycopg(OnTheWire):
    """psycopg, without one."""

    driver = "psycopg"
    never_loop = True
