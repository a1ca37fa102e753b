"""Sessions are read on, whatever becomes of Redis: few wait, and nobody who is out comes in."""

from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Final

import pytest
import redis

from watchword import BlockingWatchword, EmailPassword, RateLimits
from watchword.adapters.redis import RedisStorage
from watchword.concurrency import run_blocking, sleep
from watchword.crypto.tokens import digest
from watchword.errors import StorageError
from watchword.storage.cached_sessions import CachedSessions

pytestmark = [
    pytest.mark.redis,
    pytest.mark.xdist_group("redis-adapters"),
    pytest.mark.usefixtures("forgotten_nodes"),
]

MANY: Final = 50
# Seconds that are waited for what hangs.
HASTY: Final = 0.5
BOB: Final = {"name": "Bob", "email": "bob@example.org"}
FAILS, BACK = "secondary storage fails", "secondary storage answers again"
SESSIONS, VERSIONS = "watchword:session:*", "watchword:session-version:*"


class Watched(RedisStorage):
    """Counts its calls, and those that failed."""

    calls = failed = 0

    async def _ask(self, *args, **settings):
        self.calls += 1
        try:
            return await super()._ask(*args, **settings)
        except StorageError:
            self.failed += 1
            raise


@pytest.fixture
def open_watched(run):
    """Make storages that count."""
    made = []

    def open_watched(url, **settings):
        made.append(Watched(url, **settings))
        return made[-1]

    yield open_watched
    for it in made:
        run(it.close())


@pytest.fixture
def told(caplog):
    """Return how the lines of the log begin."""

    def told():
        lines = [it.getMessage() for it in caplog.records if it.name == "watchword"]
        return [next(it for it in (FAILS, BACK, line) if line.startswith(it)) for line in lines]

    return told


def forget(client, keys=VERSIONS):
    """End values past the storage: marks of changes, which would stand for some seconds."""
    for key in client.scan_iter(keys):
        client.delete(key)


def another(browser, cookies=(), at=None):
    """Return another browser of the same application, or with these cookies at another one."""
    return type(browser)(at or browser.auth, dict(cookies))


class Faults:
    """What is kept in every one."""

    timeout = 30.0
    trips = 1  # calls for a request whose session is copied
    is_noticed = True
    telling = 2  # calls to tell of a change: the mark, and to take the version away without it
    probing = 1  # how many calls are, of which one fails
    refused = 0  # how many calls are at most, where it is not noticed

    @pytest.fixture
    def url(self, server):
        """Return the URL that leads to Redis."""
        return server.url

    @pytest.fixture
    def client(self, server):
        """Return a client past the storage."""
        with server.client() as client:
            yield client

    @pytest.fixture
    def fault(self):
        """Return what makes it, as long as a block lasts."""
        raise NotImplementedError

    @pytest.fixture
    def storage(self, open_watched, url):
        """The storage of the instance."""
        return open_watched(url, timeout=self.timeout)

    @pytest.fixture
    def auth(self, sql_auth, sqlite_database, storage):
        """An instance that reads its sessions there."""
        return sql_auth(sqlite_database, sessions=CachedSessions(storage=storage))

    @pytest.fixture
    def ada(self, auth, new_browser, run):
        """A browser whose session is in the storage."""
        browser = new_browser(auth)
        run(browser.sign_up())
        assert run(browser.session()).json["user"]["name"] == "Ada"
        return browser

    @pytest.fixture
    def bob(self, auth, new_browser, run):
        """Another one."""
        browser = new_browser(auth)
        run(browser.sign_up(**BOB))
        assert run(browser.session()).json["user"]["name"] == "Bob"
        return browser

    async def test_everybody_is_served(self, ada, bob, fault):
        """Who comes, who is there, who changes something and who goes."""
        held = dict(ada.cookies)

        with fault():
            newcomer, returning = another(ada), another(ada)
            answers = [
                await newcomer.sign_up(email="eve@example.org", name="Eve"),
                await returning.sign_in(),
                *[await it.session() for it in (ada, bob, newcomer, returning)],
                await ada.post("/update-user", {"name": "Countess"}),
                await returning.session(),
                await ada.post("/sign-out", {}),
                await another(ada, held).session(),
                await returning.session(),
            ]

        assert [it.status for it in answers] == [200] * 11
        names = [it.json and it.json["user"]["name"] for it in (*answers[2:6], *answers[9:])]
        assert names == ["Ada", "Bob", "Eve", "Ada", None, "Countess"]
        assert answers[7].json["user"]["name"] == "Countess"

    async def test_what_was_revoked_stays_so_afterwards(self, ada, bob, fault, clock):
        """Also if the storage comes back with copies from before; and nobody else is out."""
        held = dict(ada.cookies)
        other = another(ada)
        await other.sign_in()
        await other.session()

        with fault():
            await ada.post("/sign-out", {})
        at_once = await another(ada, held).session()
        clock.advance(seconds=2)
        later = [(await another(ada, held).session()).json for _ in range(3)]

        assert (at_once.json, later) == (None, [None] * 3)
        assert (await other.session()).json["user"]["name"] == "Ada"
        assert (await bob.session()).json["user"]["name"] == "Bob"

    async def test_few_wait(self, ada, bob, storage, fault, clock):
        """The first one, one in two seconds, and who signs out: that is to be told."""
        newcomer = another(ada)
        await newcomer.sign_in()
        seen = []

        def note():
            seen.append(storage.failed)

        with fault():
            calls, failed = storage.calls, storage.failed
            await newcomer.session()
            note()
            first = storage.calls - calls
            for _ in range(MANY):
                await newcomer.session()
            note()
            asked = storage.calls - calls - first
            await ada.post("/sign-out", {})
            note()
            clock.advance(seconds=2)
            calls = storage.calls
            for _ in range(MANY):
                await bob.session()
            note()
            probed = storage.calls - calls

        waited = [it - failed for it in seen]
        if self.is_noticed:
            told = 1 + self.telling
            assert (waited, asked) == ([1, 1, told, told + 1], 0)
            assert 1 <= probed <= self.probing
        else:
            assert max(waited) <= self.refused

    async def test_the_log_has_two_lines(self, ada, bob, fault, clock, told):
        """One when it begins and one when it is over, however often it is asked meanwhile."""
        newcomer = another(ada)
        await newcomer.sign_in()

        with fault():
            for _ in range(MANY):
                await newcomer.session()
                await bob.session()
                clock.advance(seconds=0.2)
            during = told()
            await ada.post("/sign-out", {})
        clock.advance(seconds=2)
        for _ in range(MANY):
            await newcomer.session()
            await bob.session()
            clock.advance(seconds=0.2)

        noticed = (during, told())
        assert noticed == (([FAILS], [FAILS, BACK]) if self.is_noticed else ([], []))

    async def test_copies_are_read_again_afterwards(self, bob, storage, fault, clock, client):
        """In one call for a request, as before."""
        with fault():
            await bob.session()
            await bob.post("/update-user", {"name": "Robert"})
        for _ in range(3):  # a cluster's client learns of a new master by a failure
            clock.advance(seconds=2)
            await bob.session()
        forget(client)
        await bob.session()
        calls = storage.calls

        await bob.session()

        assert storage.calls - calls == self.trips


# --- Redis does not answer -----------------------------------------------------------------


class TestKilled(Faults):
    """It is gone, and comes back with nothing."""

    @pytest.fixture
    def fault(self, server):
        """End the server as a crash does, and start another one in its place."""

        @contextmanager
        def fault():
            server.kill()
            yield
            server.start()

        return fault


class TestPaused(Faults):
    """It hangs with its connections open, and goes on with all that it had."""

    timeout = HASTY

    @pytest.fixture
    def fault(self, server):
        """Stop the process."""
        return server.stopped

    async def test_of_many_at_once_one_waits(self, ada, storage, fault, clock, race):
        """The others read the database meanwhile."""
        with fault():
            await ada.session()
            clock.advance(seconds=2)
            calls, failed = storage.calls, storage.failed
            answers = await race(16, lambda: another(ada, ada.cookies).session())
            asked = (storage.calls - calls, storage.failed - failed)

        assert [it.json["user"]["name"] for it in answers] == ["Ada"] * 16
        assert asked == (1, 1)


class TestTooSlow(Faults):
    """Each answer comes after the one who asked has gone."""

    timeout = HASTY

    @pytest.fixture
    def url(self, proxy):
        """Lead through the proxy."""
        return f"redis://127.0.0.1:{proxy.port}"

    @pytest.fixture
    def fault(self, proxy):
        """Hold answers back."""

        @contextmanager
        def fault():
            proxy.delay = 60.0
            yield
            proxy.delay = 0.0

        return fault


class TestDropped(Faults):
    """Each connection ends when something is asked on it; what was asked is done."""

    @pytest.fixture
    def url(self, proxy):
        """Lead through the proxy."""
        return f"redis://127.0.0.1:{proxy.port}"

    @pytest.fixture
    def fault(self, proxy):
        """Lose each answer."""

        @contextmanager
        def fault():
            proxy.loses_answers_to = b"*"  # each command begins so
            yield
            proxy.loses_answers_to = b""

        return fault


class Masters:
    """The nodes of a cluster that are alive and have slots, past the storage."""

    def __init__(self, nodes):
        self.nodes = nodes

    def alive(self):
        """Go through them, each with a client."""
        for node in self.nodes:
            if node.process is not None:
                with node.client() as client:
                    if client.info("replication")["role"] == "master":
                        yield node, client

    def scan_iter(self, keys):
        """Go through the keys of all."""
        for _, client in self.alive():
            yield from client.scan_iter(keys)

    def delete(self, key):
        """Delete a key, wherever it is."""
        for _, client in self.alive():
            with suppress(redis.exceptions.MovedError):
                client.delete(key)


# The driver drops a node that is gone without closing what it had opened.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
class TestFailingOver(Faults):
    """The node of a cluster that has some of the keys ends, and its replica takes its place."""

    telling = 1
    trips = 2
    probing = 3  # the probe and the copy may be on nodes that are there

    @pytest.fixture
    def url(self, replicated_cluster):
        """Name a replica, which is still there afterwards."""
        return f"redis+cluster://127.0.0.1:{replicated_cluster[-1].port}"

    @pytest.fixture
    def client(self, replicated_cluster):
        """Return what asks all nodes."""
        return Masters(replicated_cluster)

    @pytest.fixture
    def ada_id(self, auth, ada, run):
        """Return the id of Ada."""
        return run(auth.users.get_by_email("ada@example.org")).id

    @pytest.fixture
    def fault(self, client, failing_over, ada_id):
        """End the master of the version of Ada."""
        return partial(failing_over, f"{VERSIONS[:-1]}{digest(ada_id)}")

    @pytest.fixture
    def failing_over(self, client, patiently):
        """Return what ends the master of a key."""

        @contextmanager
        def failing_over(keys):
            [master] = [it for it, there in client.alive() if list(there.scan_iter(keys))]
            patiently(lambda: master.replica_port() is not None)
            port = master.replica_port()
            master.kill()
            yield
            [replica] = [it for it in client.nodes if it.port == port]
            with replica.client() as it:
                it.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")
            alive = [it for it in client.nodes if it.process is not None]
            patiently(lambda: all(leads(it, port) for it in alive))

        return failing_over

    async def test_the_log_has_two_lines(self, ada, bob, fault, clock, told):
        """Though whoever asks a node that is there finds the storage back, again and again."""
        newcomer = another(ada)
        await newcomer.sign_in()

        with fault():
            for _ in range(MANY):
                await newcomer.session()
                await bob.session()
            first = told()
            clock.advance(seconds=2)
            for _ in range(MANY):
                await newcomer.session()
                await bob.session()
            second = told()[len(first) :]
        for _ in range(MANY):
            clock.advance(seconds=0.2)
            await newcomer.session()

        assert first == [FAILS]
        assert second in ([], [BACK])
        assert told()[-1] == BACK

    async def test_the_node_of_a_copy(self, ada, client, failing_over, clock):
        """Whoever has a session there is served, and is out when they go."""
        held = dict(ada.cookies)

        with failing_over(SESSIONS):
            served = await ada.session()
            left = await ada.post("/sign-out", {})
            gone = await another(ada, held).session()
        clock.advance(seconds=2)
        later = [(await another(ada, held).session()).json for _ in range(3)]

        assert (served.json["user"]["name"], left.status) == ("Ada", 200)
        assert (gone.json, later) == (None, [None] * 3)


def leads(node, port):
    """Tell whether a node knows another one as a master with slots."""
    with node.client() as client:
        return port in {it[2][1] for it in client.execute_command("CLUSTER", "SLOTS")}


# --- Redis refuses -------------------------------------------------------------------------


class TestWrongPassword(Faults):
    """Somebody changed the password."""

    @pytest.fixture
    def fault(self, server):
        """Ask for one that the storage does not know."""

        @contextmanager
        def fault():
            with server.client() as client:
                client.config_set("requirepass", "changed")
                client.client_kill_filter(_type="normal", skipme=True)
            yield
            with server.client(password="changed") as client:
                client.config_set("requirepass", "")

        return fault


class TestFull(Faults):
    """It has no memory left and gives none up: it tells what it has, and takes nothing."""

    telling = 1

    @pytest.fixture
    def fault(self, client):
        """Leave it less than it uses."""

        @contextmanager
        def fault():
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)
            yield
            client.config_set("maxmemory", 0)

        return fault


class TestReadOnly(Faults):
    """It became a replica, whose master is away."""

    @pytest.fixture
    def fault(self, client):
        """Let it follow a master that nobody reaches."""

        @contextmanager
        def fault():
            client.replicaof("127.0.0.1", 1)
            yield
            client.replicaof("NO", "ONE")

        return fault


class TestForbidden(Faults):
    """Its user may read, and write nothing."""

    telling = 1

    @pytest.fixture
    def fault(self, client):
        """Take the permission away."""

        @contextmanager
        def fault():
            client.execute_command("ACL", "SETUSER", "default", "-set", "-evalsha", "-eval")
            yield
            client.execute_command("ACL", "SETUSER", "default", "+@all")

        return fault


# --- Redis answers, and has lost something -------------------------------------------------


class TestFlushed(Faults):
    """Everything is gone."""

    is_noticed = False

    @pytest.fixture
    def fault(self, client):
        """Empty it."""

        @contextmanager
        def fault():
            client.flushall()
            yield

        return fault


class TestEvicting(Faults):
    """It is full of other things, and gives up what was not asked for."""

    is_noticed = False

    @pytest.fixture
    def fault(self, client):
        """Fill it until copies and versions are gone; others go on to write."""

        @contextmanager
        def fault():
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", used + 1_000_000)
            count = 0
            while any(any(client.scan_iter(it)) for it in (SESSIONS, VERSIONS)):
                client.set(f"other:{count}", "x" * 10_000)
                count += 1
            assert client.info("stats")["evicted_keys"] > 0
            yield
            client.config_set("maxmemory", 0)

        return fault


class TestSlow(Faults):
    """Answers come late, and in time."""

    is_noticed = False

    @pytest.fixture
    def url(self, proxy):
        """Lead through the proxy."""
        return f"redis://127.0.0.1:{proxy.port}"

    @pytest.fixture
    def fault(self, proxy):
        """Hold answers back for a moment."""

        @contextmanager
        def fault():
            proxy.delay = 0.005
            yield
            proxy.delay = 0.0

        return fault


# --- what is believed when Redis could not be told, or forgot it ---------------------------


class TestPartition:
    """One process does not reach Redis, where the copies stay; another one does."""

    staleness = timedelta(minutes=1)

    @pytest.fixture
    def here(self, proxy, sql_auth, sqlite_database, open_watched):
        """The process that changes something."""
        storage = open_watched(f"redis://127.0.0.1:{proxy.port}", timeout=30)
        return sql_auth(sqlite_database, sessions=self._cached(storage))

    @pytest.fixture
    def there(self, here, server, sql_auth, sqlite_database, open_watched):
        """The other one."""
        storage = open_watched(server.url, timeout=30)
        return sql_auth(sqlite_database, sessions=self._cached(storage))

    def _cached(self, storage):
        return CachedSessions(storage=storage, max_staleness=self.staleness)

    @pytest.fixture
    def ada(self, here, new_browser, run):
        """A browser whose session is in Redis."""
        browser = new_browser(here)
        run(browser.sign_up())
        run(browser.session())
        return browser

    @pytest.fixture
    def partition(self, server, proxy):
        """Let nobody reach Redis through the proxy."""

        @contextmanager
        def partition():
            proxy.target = 1  # where nobody listens
            with server.client() as client:
                client.client_kill_filter(_type="normal", skipme=True)
            yield
            proxy.target = server.port

        return partition

    async def test_the_other_process_believes_it_until_it_is_told(
        self, ada, there, partition, clock
    ):
        """By the next request of anybody at the process that changed it."""
        held = dict(ada.cookies)
        bob = another(ada)
        await bob.sign_up(**BOB)

        with partition():
            await ada.post("/sign-out", {})
            untold = await another(ada, held, at=there).session()
            unbelieved = await another(ada, held).session()
        clock.advance(seconds=2)
        await bob.session()
        heard = await another(ada, held, at=there).session()

        assert untold.json["user"]["name"] == "Ada"
        assert (unbelieved.json, heard.json) == (None, None)

    async def test_no_copy_is_believed_for_longer_than_was_said(
        self, ada, there, partition, clock, server
    ):
        """By the clock, even if nobody is ever told and the version never ends."""
        with partition(), server.client() as client:
            await ada.post("/update-user", {"name": "Countess"})
            assert forever(client) == 1
            clock.advance(seconds=59.999)
            young = await another(ada, ada.cookies, at=there).session()
            clock.advance(seconds=0.001)
            old = await another(ada, ada.cookies, at=there).session()
            again = await another(ada, ada.cookies, at=there).session()

        assert young.json["user"]["name"] == "Ada"
        assert [it.json["user"]["name"] for it in (old, again)] == ["Countess"] * 2

    async def test_a_version_lives_no_longer_than_was_said(self, ada, there, partition, server):
        """By the clock of Redis, even if that of the process stands still."""
        with partition(), server.client() as client:
            [version] = client.scan_iter(VERSIONS)
            left = client.pttl(version)
            await ada.post("/update-user", {"name": "Countess"})
            client.pexpire(version, 1)
            await until(lambda: not client.exists(version))
            found = await another(ada, ada.cookies, at=there).session()

        assert 0 < left <= self.staleness.total_seconds() * 1000
        assert found.json["user"]["name"] == "Countess"

    async def test_who_is_cut_off_at_the_commit(self, ada, there, partition):
        """The mark of before stands: the writer need not be there to tell of the commit."""
        user = (await ada.session()).json["user"]

        with ExitStack() as stack:
            async with ada.auth.transaction():
                await ada.auth.users.update(user["id"], name="Countess")
                before = await another(ada, ada.cookies, at=there).session()
                stack.enter_context(partition())
            after = await another(ada, ada.cookies, at=there).session()

        assert before.json["user"]["name"] == "Ada"
        assert after.json["user"]["name"] == "Countess"

    async def test_a_mark_that_is_lost_before_the_commit(self, ada, there, server):
        """What was copied meanwhile is believed until the commit, and no longer."""
        user = (await ada.session()).json["user"]

        async with ada.auth.transaction():
            await ada.auth.users.update(user["id"], name="Countess")
            with server.client() as client:
                client.flushall()
            before = [await another(ada, ada.cookies, at=there).session() for _ in range(2)]
        after = await another(ada, ada.cookies, at=there).session()

        assert [it.json["user"]["name"] for it in before] == ["Ada"] * 2
        assert after.json["user"]["name"] == "Countess"


def forever(client, keys=VERSIONS):
    """Let values never end; return how many there are."""
    return sum(client.persist(it) for it in client.scan_iter(keys))


async def until(done):
    """Ask again and again."""
    while not done():
        await sleep(0)


class TestOldSnapshot:
    """Redis comes back with what it had before a change that it was told of."""

    @pytest.fixture
    def here(self, server, sql_auth, sqlite_database, open_watched):
        """The process that changes something."""
        storage = open_watched(server.url, timeout=30)
        return sql_auth(sqlite_database, sessions=CachedSessions(storage=storage))

    @pytest.fixture
    def there(self, here, server, sql_auth, sqlite_database, open_watched):
        """Another one."""
        storage = open_watched(server.url, timeout=30)
        return sql_auth(sqlite_database, sessions=CachedSessions(storage=storage))

    @pytest.fixture
    def ada(self, here, new_browser, run):
        """A browser whose session is in Redis."""
        browser = new_browser(here)
        run(browser.sign_up())
        run(browser.session())
        return browser

    @pytest.fixture
    def forgetting(self, server):
        """Let Redis forget what it is told in a block, as a failover does."""

        @contextmanager
        def forgetting():
            with server.client() as client:
                client.save()
            yield
            server.kill()
            server.start()

        return forgetting

    async def test_others_believe_it_no_longer_than_was_said(
        self, ada, there, forgetting, clock, server
    ):
        """By the clock, even if what came back never ends."""
        held = dict(ada.cookies)
        await another(ada, held, at=there).session()

        with forgetting():
            await ada.post("/sign-out", {})
            told = await another(ada, held, at=there).session()
        await notice()
        with server.client() as client:
            assert forever(client) == 1
        came_back = await another(ada, held, at=there).session()
        clock.advance(minutes=1)
        later = await another(ada, held, at=there).session()

        assert (told.json, later.json) == (None, None)
        assert came_back.json["user"]["name"] == "Ada"


async def notice():
    """Let a loop look at its sockets: it was held up while the server was killed."""
    for _ in range(3):
        await sleep(0)


# --- what stands there is none of ours -----------------------------------------------------

FOREIGN: Final = {
    "a text": lambda client, key: client.set(key, "foreign"),
    "nothing": lambda client, key: client.set(key, ""),
    "a copy without a signature": lambda client, key: client.set(key, client.get(key)[64:]),
    "no text": lambda client, key: client.set(key, b"\xff"),
    "no value": lambda client, key: client.delete(key) and client.rpush(key, "foreign"),
}


class TestForeignValues(TestFlushed):
    """Somebody else writes under our prefix; it makes room for what is ours."""

    refused = 2  # for each browser that has something there, once

    @pytest.fixture(params=FOREIGN)
    def put(self, request, client):
        """Put such a value in the place of all ours of a kind."""

        def put(keys):
            for key in list(client.scan_iter(keys)):
                FOREIGN[request.param](client, key)

        return put

    @pytest.fixture(params=[SESSIONS, VERSIONS], ids=["copies", "versions"])
    def fault(self, request, put):
        """Do it with the copies, or with the versions."""

        @contextmanager
        def fault():
            put(request.param)
            yield

        return fault


# --- who else there is ---------------------------------------------------------------------


class TestSecrets:
    """Applications that share one Redis and one prefix."""

    @pytest.fixture
    def under(self, new_auth, server, open_watched):
        """Make instances with databases of their own, under different secrets."""

        def under(*secrets):
            storage = open_watched(server.url, timeout=30)
            cached = CachedSessions(storage=storage)
            return new_auth(
                secret=[f"{it}-horse-battery-staple-0123456789" for it in secrets], sessions=cached
            )

        return under

    @pytest.fixture
    def token(self, under, run):
        """The token of a session that is copied, and in the database of the first one."""
        auth = under("old")

        async def copied():
            user = await auth.users.create(email="ada@example.org", name="Ada")
            session = await auth.sessions.create(user.id)
            for _ in range(2):
                assert await auth.instance.sessions.find(session.token)
            return session.token

        return run(copied())

    async def test_attack_a_copy_under_another_secret(self, under, token):
        """It lets nobody in at another application."""
        assert await under("new").instance.sessions.find(token) is None

    async def test_a_copy_under_an_older_secret(self, under, token):
        """It is believed where that secret is still accepted; this one has no row of it."""
        found = await under("new", "old").instance.sessions.find(token)

        assert found.user.name == "Ada"

    async def test_attack_a_copy_under_the_key_of_another_token(self, under, token, server):
        """Whoever writes into Redis cannot give a session another token."""
        with server.client() as client:
            [copy] = client.scan_iter(SESSIONS)
            client.set(f"watchword:session:{digest('stolen')}", client.get(copy))

        assert await under("old").instance.sessions.find("stolen") is None


class TestBlocking:
    """An instance without an event loop keeps the same."""

    @pytest.fixture
    def auth(self, server, sqlite_database, cheap_passwords, clock):
        """An instance that reads its sessions there."""
        auth = BlockingWatchword(
            sqlite_database,
            secret="correct-horse-battery-staple-0123456789",
            base_url="http://localhost:8000",
            email_password=EmailPassword(),
            passwords=cheap_passwords,
            clock=clock,
            rate_limits=RateLimits(enabled=False),
            sessions=CachedSessions(storage=RedisStorage(server.url, timeout=HASTY)),
        )
        auth.create_tables()
        yield auth
        auth.close()

    def test_redis_hangs(self, auth, server, clock, told):
        """Whoever comes is served, whoever goes is out, and the log has two lines."""
        user = auth.users.create(email="ada@example.org", name="Ada")
        stays, goes = (auth.sessions.create(user.id).token for _ in range(2))
        assert find(auth, stays) == find(auth, goes) == "Ada"

        with server.stopped():
            during = {find(auth, stays) for _ in range(MANY)}
            auth.sessions.revoke(goes)
            gone = find(auth, goes)
        clock.advance(seconds=2)

        assert (during, gone) == ({"Ada"}, None)
        assert (find(auth, goes), find(auth, stays)) == (None, "Ada")
        assert told() == [FAILS, BACK]


def find(auth, token):
    """Return the name of whose session it is, without an event loop."""
    found = run_blocking(auth.instance.sessions.find(token))
    return found and found.user.name
