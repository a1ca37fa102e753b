"""What a request costs where sessions are read in Redis: on PostgreSQL, and on Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import pytest
import redis

from watchword.adapters.redis import RedisStorage
from watchword.storage.cached_sessions import CachedSessions
from watchword.storage.secondary_sessions import SecondarySessions

pytestmark = pytest.mark.redis

PINGS: Final = {"", ";", "SELECT 1", "select 1"}  # asks whether a connection is alive
# Without encryption, so that the wire can be read.
PLAIN: Final = {
    "asyncpg": {"ssl": "disable"},
    "psycopg": {"sslmode": "disable", "gssencmode": "disable"},
}
PASSWORDS: Final = {"currentPassword": "difference-engine", "newPassword": "analytical-engine"}


@dataclass(frozen=True)
class Figure:
    """What one request costs: the first word of each statement and command, in order.

    Args:
        request: Method and path.
        statements: On PostgreSQL without a cache; those of one transaction in parentheses.
        cached: The same where the session is in Redis.
        commands: On Redis then, each of which is a round trip.
        body: Sent as JSON.
    """

    request: str
    statements: str
    cached: str
    commands: str
    body: dict[str, Any] | None = None


FIGURES: Final = {
    "anonymous": Figure("GET /ok", "", "", ""),
    "session": Figure("GET /get-session", "SELECT", "", "MGET"),
    "list sessions": Figure("GET /list-sessions", "SELECT SELECT", "SELECT", "MGET"),
    "sign-in": Figure(
        *("POST /sign-in/email", *["SELECT SELECT ( SELECT INSERT )"] * 2, ""),
        {"email": "ada@example.org", "password": "difference-engine"},
    ),
    # Whose session it is has to be known before it is gone.
    "sign-out": Figure("POST /sign-out", "DELETE", "SELECT DELETE", "SET SET", {}),
    "update user": Figure(
        *("POST /update-user", "SELECT UPDATE", "UPDATE", "MGET SET SET"), {"name": "Countess"}
    ),
    "change password": Figure(
        *("POST /change-password", "SELECT SELECT UPDATE", "SELECT UPDATE", "MGET"), PASSWORDS
    ),
    "change password, revoking": Figure(
        "POST /change-password",
        "SELECT SELECT ( UPDATE DELETE INSERT )",
        "SELECT ( UPDATE DELETE INSERT )",
        "MGET SET SET",
        {**PASSWORDS, "revokeOtherSessions": True},
    ),
    "revoke sessions": Figure(
        *("POST /revoke-sessions", "SELECT DELETE", "DELETE", "MGET SET SET"), {}
    ),
    "revoke other sessions": Figure(
        *("POST /revoke-other-sessions", "SELECT DELETE", "DELETE", "MGET SET SET"), {}
    ),
}


class Cost:
    """The statements and the commands of one request."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.asked: list[str] = []

    @property
    def statements(self) -> str:
        """The first word of each, in order; a transaction stands in parentheses."""
        words = [it.split()[0].upper() for it in self.sent if it not in PINGS]
        return " ".join({"BEGIN": "(", "COMMIT": ")"}.get(it, it) for it in words)

    @property
    def commands(self) -> str:
        """The first word of each, in order."""
        return " ".join(self.asked)


class Monitor:
    """Hears every command that a server of Redis is given, from whatever client."""

    def __init__(self, url: str, prefix: str) -> None:
        self.client = redis.Redis.from_url(url, protocol=2, socket_timeout=30)
        self.prefix = prefix

    @contextmanager
    def hearing(self, asked: list[str]) -> Iterator[None]:
        """Note the commands on keys of one prefix, in a block."""
        with self.client.monitor() as monitor:
            yield
            end = f"{self.prefix}end"
            self.client.exists(end)
            while (it := monitor.next_command())["command"] != f"EXISTS {end}":
                # What a script does is no round trip.
                if self.prefix in it["command"] and it["client_type"] != "lua":
                    asked.append(it["command"].split()[0])


class Costs:
    """Each driver comes to the same."""

    driver: str

    @pytest.fixture
    def prefix(self) -> str:
        """What the keys of this test begin with."""
        return f"test-{token_hex(6)}:"

    @pytest.fixture
    def storage(self, redis_url, prefix, run) -> Iterator[RedisStorage]:
        """Where sessions are read."""
        storage = RedisStorage(redis_url, prefix=prefix, timeout=30)
        yield storage
        run(storage.close())

    @pytest.fixture
    def forget(self, redis_url, prefix):
        """End values past the storage."""

        def forget(keys):
            with redis.Redis.from_url(redis_url, protocol=2) as client:
                for key in client.scan_iter(prefix + keys):
                    client.delete(key)

        return forget

    @pytest.fixture
    def tapped(self, proxy_to, postgresql_database):
        """The proxy, and the URL that leads through it."""
        return proxy_to(postgresql_database, **PLAIN[self.driver])

    @pytest.fixture
    def plain(self, tapped, sql_auth):
        """An instance that reads sessions in the database."""
        return sql_auth(tapped[1])

    @pytest.fixture
    def cached(self, plain, tapped, sql_auth, storage):
        """One that reads them in Redis."""
        return sql_auth(tapped[1], sessions=CachedSessions(storage=storage))

    @pytest.fixture
    def alone(self, plain, tapped, sql_auth, storage, clock):
        """One that keeps them there."""
        return sql_auth(tapped[1], sessions=SecondarySessions(storage, clock))

    @pytest.fixture
    def cost(self, tapped, redis_url, prefix):
        """Count what passes in a block."""
        proxy, _ = tapped
        monitor = Monitor(redis_url, prefix)

        @contextmanager
        def cost() -> Iterator[Cost]:
            start, it = len(proxy.executed), Cost()
            with monitor.hearing(it.asked):
                yield it
            it.sent = [statement.strip() for statement in proxy.executed[start:]]

        return cost

    @pytest.fixture
    def sign_in(self, new_browser):
        """Sign Ada in at an instance that has connected already, and that nothing is left of."""

        async def sign_in(auth):
            for _ in range(2):  # what drivers ask on a new connection, and learn of types
                await auth.store.delete_many("user", None)
                browser = new_browser(auth)
                await browser.sign_up()
                await browser.session()
                await browser.session()
            return browser

        return sign_in

    @pytest.fixture
    def ask(self, sign_in, cost):
        """Make the request of a figure; return what it costs."""

        async def ask(auth, figure) -> Cost:
            browser = await sign_in(auth)
            method, path = figure.request.split()
            with cost() as it:
                answer = await browser.send(method, path, body=figure.body)
            assert answer.status == 200
            return it

        return ask

    @pytest.mark.parametrize("name", FIGURES)
    async def test_what_a_request_costs(self, plain, cached, ask, name):
        """To the statement and to the round trip."""
        figure = FIGURES[name]

        without, it = await ask(plain, figure), await ask(cached, figure)

        assert (without.statements, without.commands) == (figure.statements, "")
        assert (it.statements, it.commands) == (figure.cached, figure.commands)

    async def test_the_first_read_of_a_session(self, cached, sign_in, cost, forget):
        """Of one that this process knows, and of one that nobody knows the user of."""
        browser = await sign_in(cached)
        forget("*")

        with cost() as first:
            await browser.session()
        await browser.sign_in()
        with cost() as second:
            await browser.session()

        assert (first.statements, first.commands) == ("SELECT", "MGET SET SET")
        assert (second.statements, second.commands) == ("SELECT SELECT", "GET MGET SET")

    async def test_reads_after_a_change(self, cached, sign_in, cost, forget, clock):
        """While the mark stands nothing is copied; then the copy is made anew, once."""
        browser = await sign_in(cached)
        await browser.post("/update-user", {"name": "Countess"})
        clock.advance(seconds=1)

        with cost() as marked:
            await browser.session()
        forget("session-version:*")
        with cost() as anew:
            await browser.session()
        with cost() as copied:
            await browser.session()

        assert (marked.statements, marked.commands) == ("SELECT", "MGET")
        assert (anew.statements, anew.commands) == ("SELECT", "MGET SET EVALSHA")
        assert (copied.statements, copied.commands) == ("", "MGET")

    async def test_a_copy_that_is_too_old(self, cached, sign_in, cost, clock):
        """It is made anew with the version that is in force."""
        browser = await sign_in(cached)
        clock.advance(minutes=1)

        with cost() as it:
            await browser.session()

        assert (it.statements, it.commands) == ("SELECT", "MGET EVALSHA")

    async def test_a_transaction_reads_the_database(self, cached, sign_in, cost):
        """And asks Redis nothing."""
        browser = await sign_in(cached)

        with cost() as it:
            async with cached.transaction():
                await browser.session()

        assert (it.statements, it.commands) == ("( SELECT )", "")

    async def test_sessions_in_redis_alone(self, alone, sign_in, cost):
        """Who asks is read from a copy there too; a session is made and ended without SQL."""
        browser = await sign_in(alone)

        with cost() as copied:
            await browser.session()
        with cost() as left:
            await browser.post("/sign-out", {})
        with cost() as came:
            await browser.sign_in()
        with cost() as first:
            await browser.session()

        assert (copied.statements, copied.commands) == ("", "MGET")
        assert left.statements == ""
        assert came.statements == "SELECT SELECT ( SELECT )"
        assert first.statements == "SELECT"  # of the user, while the mark of the sign-out stands
        assert first.commands == "GET GET GET MGET"

    async def test_a_stranger(self, cached, new_browser, cost, sign_in):
        """Whoever is not signed in costs nothing; of a session that is gone a copy is left."""
        browser = await sign_in(cached)
        gone = new_browser(cached, dict(browser.cookies))
        await browser.post("/sign-out", {})

        with cost() as anonymous:
            await new_browser(cached).session()
        with cost() as it:
            await gone.session()

        assert (anonymous.statements, anonymous.commands) == ("", "")
        assert (it.statements, it.commands) == ("SELECT", "MGET")


class TestAsyncpg(Costs):
    """asyncpg, under an event loop."""

    driver = "asyncpg"
    needs_loop = True


class TestPsycopg(Costs):
    """psycopg, without one."""

    driver = "psycopg"
    never_loop = True
