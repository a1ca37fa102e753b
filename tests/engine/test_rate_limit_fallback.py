"""While a shared store fails each process counts by itself: limits hold, and nobody gets a 503."""

import logging
from typing import Final

import pytest

from watchword import RateLimit, RateLimits
from watchword.adapters.memory_storage import MemoryStorage
from watchword.engine.rate_limit import Count, FallbackCounters, counting_breaker
from watchword.errors import InvalidValue, StorageError, StorageUnavailable

DOWN: Final = StorageUnavailable("it is down", retryable=True)
LOST: Final = StorageUnavailable("its answer was lost", retryable=False)
KEY: Final = "rate:203.0.113.7|/ok"
THREE: Final = [RateLimit("/*", window=10, max=3)]


class Shared(MemoryStorage):
    """What processes share; it fails as the test says, and counts how often it was asked."""

    error: Exception | None = None
    asked = 0

    def _ask(self, error):
        self.asked += 1
        if error is not None:
            raise error

    async def increment(self, key, *, window):
        """Count, and lose the answer if the test says so."""
        self._ask(None if self.error is LOST else self.error)
        counted = await super().increment(key, window=window)
        if self.error is LOST:
            raise LOST
        return counted

    async def get(self, key):
        """Look."""
        self._ask(self.error)
        return await super().get(key)

    async def delete(self, key):
        """Forget."""
        self._ask(self.error)
        return await super().delete(key)


class Full(Shared):
    """Looks and forgets, and counts nothing more while it is full."""

    async def get(self, key):
        """Look."""
        return await MemoryStorage.get(self, key)

    async def delete(self, key):
        """Forget."""
        return await MemoryStorage.delete(self, key)


@pytest.fixture
def shared(clock):
    """A store that answers."""
    return Shared(clock)


@pytest.fixture
def new_process(shared, clock):
    """Make counters of another process that shares the store."""
    return lambda store=shared: FallbackCounters(store, counting_breaker(clock), clock)


@pytest.fixture
def lines(caplog):
    """What was logged; to be called."""
    caplog.set_level(logging.INFO, "watchword")
    return lambda: [it.getMessage() for it in caplog.records if it.name == "watchword"]


FAILS: Final = (
    "secondary storage fails (it is down) and each process counts requests and guesses by itself"
)
ANSWERS: Final = "secondary storage answers again"


async def values(counters, times, window=10):
    """Count so often; return what the counter came to each time."""
    return [(await counters.increment(KEY, window=window)).value for _ in range(times)]


# --- counting ------------------------------------------------------------------------------


async def test_while_the_store_answers_it_alone_counts(new_process, shared, lines):
    """Two processes have one count."""
    counted = await values(new_process(), 2) + await values(new_process(), 2)

    assert counted == [1, 2, 3, 4]
    assert (shared.asked, lines()) == (4, [])


@pytest.mark.parametrize("error", [DOWN, LOST, StorageError("an answer nobody can read")])
async def test_while_the_store_fails_the_memory_counts(new_process, shared, error):
    """From the first one on; it is asked once, and the others do not wait."""
    counters = new_process()
    await values(counters, 2)
    shared.error, shared.asked = error, 0

    counted = await values(counters, 4)

    assert counted == [1, 2, 3, 4]
    assert shared.asked == 1


async def test_windows_in_memory_end(new_process, shared, clock):
    """As they do in the store."""
    counters = new_process()
    shared.error = DOWN
    first = await counters.increment(KEY, window=10)
    clock.advance(seconds=4)

    assert (first, await counters.increment(KEY, window=10)) == (Count(1, 10), Count(2, 6))
    clock.advance(seconds=6)
    assert await values(counters, 1) == [1]


async def test_after_its_return_the_store_counts_again(new_process, shared, clock, lines):
    """It goes on where it was, and what memory counted stays in memory."""
    counters, other = new_process(), new_process()
    await values(counters, 2)
    shared.error = DOWN
    await values(counters, 5)
    shared.error = None
    clock.advance(seconds=2)

    counted = await values(counters, 1) + await values(other, 1)

    assert counted == [3, 4]
    assert lines() == [FAILS, ANSWERS]


async def test_attack_a_store_that_comes_and_goes(new_limiter, new_process, shared, clock):
    """In a window it lets the limit pass once in the store, and once in each process."""
    processes = [
        new_limiter(store=new_process(), rules=[RateLimit("/*", window=600, max=3)])
        for _ in range(2)
    ]

    passed = 0
    for _ in range(20):
        for error in (DOWN, None):
            shared.error = error
            clock.advance(seconds=2)
            passed += sum([await it.passing() for it in processes])

    assert passed == 3 + 3 * len(processes)


async def test_attack_many_requests_while_the_store_is_away(
    new_limiter, new_process, shared, race
):
    """Of 64 at the same time exactly as many pass as may."""
    shared.error = DOWN
    limiter = new_limiter(store=new_process(), rules=THREE)

    told = await race(64, limiter.wait)

    assert sorted(told, key=str) == [10] * 61 + [None] * 3


@pytest.mark.parametrize(
    "error", [InvalidValue("secondary storage", "value", "is no counter"), ValueError("a bug")]
)
@pytest.mark.parametrize("call", ["increment", "get", "delete"])
async def test_what_is_no_failure_is_raised(new_process, shared, lines, error, call):
    """A bug is not covered up, and does not stop others from counting."""
    counters = new_process()
    shared.error = error
    settings = {"window": 10} if call == "increment" else {}

    with pytest.raises(type(error)):
        await getattr(counters, call)(KEY, **settings)

    shared.error = None
    assert await values(counters, 1) == [1]
    assert lines() == []


# --- looking and forgetting ----------------------------------------------------------------


@pytest.mark.parametrize("first", ["get", "delete"])
async def test_looking_and_forgetting_goes_on_too(new_process, shared, lines, first):
    """Also where one of them is the first to find that the store is away."""
    counters = new_process()
    await values(counters, 2)
    shared.error, shared.asked = DOWN, 0

    found = await getattr(counters, first)(KEY)

    assert found is {"get": None, "delete": False}[first]
    assert await values(counters, 2) == [1, 2]
    assert await counters.get(KEY) == "2"
    assert await counters.delete(KEY) is True
    assert await counters.delete(KEY) is False
    assert await counters.get(KEY) is None
    assert (shared.asked, lines()) == (1, [FAILS])


async def test_what_is_forgotten_later_is_forgotten_here_too(new_process, shared, clock):
    """A right password forgets the wrong ones of an outage before the next one comes."""
    counters = new_process()
    shared.error = DOWN
    await values(counters, 2, window=600)
    shared.error = None
    clock.advance(seconds=2)
    await values(counters, 2, window=600)

    assert await counters.get(KEY) == "2"
    assert await counters.delete(KEY) is True

    shared.error = DOWN
    assert await counters.get(KEY) is None
    assert await values(counters, 1) == [1]


async def test_only_the_store_says_who_forgot(new_process, shared, clock):
    """Of two processes one did, whatever is in the memory of the other."""
    counters, other = new_process(), new_process()
    shared.error = DOWN
    await values(counters, 1, window=600)
    shared.error = None
    clock.advance(seconds=2)
    await values(counters, 1, window=600)

    assert await other.delete(KEY) is True
    assert await counters.delete(KEY) is False


async def test_a_full_store_is_not_taken_for_one_that_is_back(new_process, clock, lines):
    """It still looks and forgets, so the log would tell of an end every two seconds."""
    full = Full(clock)
    counters = new_process(full)
    full.error = DOWN

    for _ in range(30):
        clock.advance(seconds=1)
        await counters.get(KEY)
        await counters.delete("another")
        await values(counters, 1, window=600)

    assert await counters.get(KEY) == "30"
    assert full.asked == 15
    assert lines() == [FAILS]


# --- instances -----------------------------------------------------------------------------


async def test_requests_and_guesses_are_one_line_in_the_log(
    new_auth, new_browser, shared, clock, lines
):
    """Whichever finds it out, the other does not wait for the store."""
    auth = new_auth(
        rate_limits=RateLimits(rules=[RateLimit("/*", window=10, max=50)], store=shared)
    )
    browser = new_browser(auth)
    await browser.sign_up()
    shared.error, shared.asked = DOWN, 0

    answers = [await browser.sign_in(password="wrong-password") for _ in range(3)]

    assert [it.status for it in answers] == [401] * 3
    assert (shared.asked, lines()) == (1, [FAILS])
    shared.error = None
    clock.advance(seconds=2)
    assert (await browser.sign_in()).status == 200
    assert lines() == [FAILS, ANSWERS]


async def test_attack_guesses_worn_off_by_other_requests(new_auth, clock):
    """In memory requests and guesses have counters of their own, also during an outage."""
    shared = Shared(clock)
    auth = new_auth(rate_limits=RateLimits(store=shared))
    shared.error = DOWN
    requests, guesses = auth.instance.counters, auth.instance.guesses.at("ada", "203.0.113.7")

    await guesses.count()
    await requests.delete(guesses.of_pair)

    assert await guesses.counters.get(guesses.of_pair) == "1"


async def test_a_store_that_only_counts_falls_back_too(new_auth, new_browser, lines):
    """Where no guesses are counted it needs no more than `increment()`."""

    class Counting:
        async def increment(self, key, *, window):
            """Fail."""
            raise DOWN

    limits = RateLimits(rules=THREE, store=Counting(), guesses=None)
    browser = new_browser(new_auth(rate_limits=limits))

    answers = [await browser.get("/ok") for _ in range(4)]

    assert [it.status for it in answers] == [200, 200, 200, 429]
    assert lines() == [FAILS]


async def test_the_database_has_no_other_place(new_auth, new_browser, clock):
    """Without it nobody can sign in anyway: a count that fails there is an error."""
    auth = new_auth(rate_limits=RateLimits(store="database"))

    async with auth.store.transaction():
        answer = await new_browser(auth).get("/ok")

    assert answer.status == 500
