"""Sign-in goes on while the Redis that counts is away: as before, but each process for itself."""

import logging
from contextlib import contextmanager
from typing import Final

import pytest

from watchword import RateLimit, RateLimits
from watchword.concurrency import sleep

pytestmark = [
    pytest.mark.redis,
    pytest.mark.xdist_group("redis-adapters"),
    pytest.mark.usefixtures("forgotten_nodes"),
]

SHORT: Final = 1.0
STRANGER: Final = "198.51.100.9"
RULES: Final = [RateLimit("/*", window=600, max=500)]
ANSWERS: Final = "secondary storage answers again"


@pytest.fixture
def new_process(new_auth, open_storage):
    """Make an instance as another process has it: on the same database and the same Redis."""

    def new_process(url, database=None, timeout=30.0):
        store = open_storage(url, timeout=timeout)
        return new_auth(database, rate_limits=RateLimits(rules=RULES, store=store))

    return new_process


class Visitors:
    """Ada, who knows her password, and strangers, who guess it; and what the log says."""

    def __init__(self, new_browser, clock, caplog) -> None:
        self.new_browser = new_browser
        self.clock = clock
        self.caplog = caplog

    async def guess(self, auth, times, address=STRANGER):
        """Guess so often; return the statuses."""
        browser = self.new_browser(auth, address=address)
        return [(await browser.sign_in(password="wrong")).status for _ in range(times)]

    async def sign_in(self, auth):
        """Return the status that Ada meets."""
        return (await self.new_browser(auth).sign_in()).status

    async def notice_nothing(self, auth, address=STRANGER):
        """Sign in and guess, through more than one of the breaker's pauses."""
        for _ in range(3):
            assert await self.sign_in(auth) == 200
            assert await self.guess(auth, 1, address) == [401]
            self.clock.advance(seconds=1)
        assert await self.guess(auth, 8, address) == [401] * 7 + [429]
        assert await self.sign_in(auth) == 200

    async def share(self, *processes, address="192.0.2.33"):
        """Guess at each in turn: they have ten guesses together."""
        self.clock.advance(seconds=2)
        for turn in range(10):
            assert await self.guess(processes[turn % len(processes)], 1, address) == [401]
        assert [await self.guess(it, 1, address) for it in processes] == [[429]] * len(processes)

    def lines(self):
        """Return what the log says, without what failed how."""
        said = [it.getMessage() for it in self.caplog.records if it.name == "watchword"]
        return ["fails" if it.startswith("secondary storage fails") else it for it in said]


@pytest.fixture
def visitors(new_browser, clock, caplog):
    """Them."""
    caplog.set_level(logging.INFO, "watchword")
    return Visitors(new_browser, clock, caplog)


@pytest.fixture
def one(server, new_process, new_browser, run):
    """A process; Ada has signed up there."""
    auth = new_process(server.url)
    run(new_browser(auth).sign_up())
    return auth


@pytest.fixture
def other(server, one, new_process):
    """Another one that shares all with it."""
    return new_process(server.url, one.adapter)


async def notice():
    """Let a loop look at its sockets: it was held up while the server was killed."""
    for _ in range(3):
        await sleep(0)


@contextmanager
def killed(server):
    """Crash, and start again with nothing in it."""
    server.kill()
    yield
    server.start()


@contextmanager
def asking_for_a_password(server):
    """Change the password, and end the connections that knew the old one."""
    with server.client() as client:
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)
    yield
    with server.client(password="another") as client:
        client.config_set("requirepass", "")


@contextmanager
def full(server):
    """Have no room for anything more; what is there can be read and deleted."""
    with server.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


@contextmanager
def read_only(server):
    """Be a replica of nobody, as during a failover."""
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield
        client.execute_command("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize("outage", [killed, asking_for_a_password, full, read_only])
async def test_sign_in_goes_on(server, one, other, visitors, outage):
    """Right passwords let in, wrong ones do not, and the eleventh is refused; it is in the log."""
    assert await visitors.guess(one, 4) == [401] * 4

    with outage(server):
        await notice()
        await visitors.notice_nothing(one)
        during = visitors.lines()

    await visitors.share(one, other)
    assert (during, visitors.lines()) == (["fails"], ["fails", ANSWERS])


async def test_each_process_counts_by_itself_meanwhile(server, one, other, visitors):
    """So a stranger has ten guesses at each, and not one more."""
    with killed(server):
        await notice()

        guessed = [await visitors.guess(it, 12) for it in (one, other)]

    assert guessed == [[401] * 10 + [429] * 2] * 2


async def test_what_redis_counted_before_counts_after(server, one, other, visitors):
    """What it kept through the outage is not forgotten by it."""
    assert await visitors.guess(one, 10) == [401] * 10
    with full(server):
        assert await visitors.guess(one, 11) == [401] * 10 + [429]

    visitors.clock.advance(seconds=2)

    assert await visitors.guess(one, 1) == [429]
    assert await visitors.guess(other, 1) == [429]


async def test_a_full_redis_that_deletes_is_not_back(server, one, visitors):
    """The right password's is the first call after the pause: the log tells of no end."""
    with full(server):
        await visitors.guess(one, 1)
        visitors.clock.advance(seconds=2)

        await one.instance.guesses.at("ada@example.org", STRANGER).was_right()

        assert visitors.lines() == ["fails"]


async def test_who_signed_in_during_the_outage_is_known_during_it(server, one, visitors):
    """Strangers do not lock her out from where she was let in."""
    with killed(server):
        await notice()
        assert await visitors.sign_in(one) == 200
        for number in range(10):
            await visitors.guess(one, 10, address=f"198.51.100.{number}")

        assert await visitors.guess(one, 1, address="203.0.113.99") == [429]
        assert await visitors.sign_in(one) == 200


# --- waiting -------------------------------------------------------------------------------


@pytest.fixture
def waiting(server, proxy, one, new_process):
    """A process that waits a second for Redis; each wait costs it the connection."""
    return new_process(f"redis://127.0.0.1:{proxy.port}", one.adapter, timeout=SHORT)


async def test_a_server_that_hangs_is_waited_for_once(server, proxy, waiting, other, visitors):
    """One request meets it on the open connection; another, two seconds later, makes a new one."""
    assert await visitors.sign_in(waiting) == 200

    with server.stopped():
        proxy.connections = 0
        assert await visitors.guess(waiting, 11) == [401] * 10 + [429]
        assert await visitors.sign_in(waiting) == 200
        first = proxy.connections
        visitors.clock.advance(seconds=2)
        assert await visitors.guess(waiting, 5, address="192.0.2.1") == [401] * 5
        second = proxy.connections

    await visitors.share(waiting, other)
    assert (first, second) == (0, 1)
    assert visitors.lines() == ["fails", ANSWERS]


async def test_many_who_meet_a_server_that_hangs(server, proxy, waiting, visitors, race):
    """Each of those waits once, and none of those who come later."""
    assert await visitors.sign_in(waiting) == 200

    with server.stopped():
        together = await race(16, lambda: visitors.guess(waiting, 1))
        proxy.connections = 0
        later = await race(16, lambda: visitors.guess(waiting, 1, address="192.0.2.1"))
        waited = proxy.connections

    expected = [[401]] * 10 + [[429]] * 6
    assert (sorted(together), sorted(later)) == (expected, expected)
    assert waited == 0
    assert visitors.lines() == ["fails"]


@pytest.mark.parametrize("loss", ["drips", "loses_answers_to"])
async def test_an_answer_that_never_comes(proxy, waiting, other, visitors, loss):
    """It was counted in Redis, and is counted here: in each once, and nobody hears of it."""
    assert await visitors.sign_in(waiting) == 200
    setattr(proxy, loss, {"drips": True, "loses_answers_to": b"EVALSHA"}[loss])

    await visitors.notice_nothing(waiting)

    setattr(proxy, loss, type(getattr(proxy, loss))())
    await visitors.share(waiting, other)
    assert visitors.lines() == ["fails", ANSWERS]
