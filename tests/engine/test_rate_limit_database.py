"""Requests counted in the database: exact on every one of them, and only where it is asked for."""

from datetime import timedelta
from typing import Final

import pytest

from watchword import DatabaseHook, RateLimits
from watchword.engine.rate_limit import DatabaseCounters
from watchword.errors import ConfigurationError
from watchword.storage.query import F

IN_DATABASE: Final = RateLimits(max=2, store="database")
KEY: Final = "rate:203.0.113.7|/ok"
CALLERS: Final = 64
EACH_ONCE: Final = [*range(1, CALLERS + 1)]


async def values(counters, key, times=1):
    """Count so many requests; return what the counter came to each time."""
    return [(await counters.increment(key, window=10)).value for _ in range(times)]


class Counting:
    """What every database has to keep."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def auth(self, sql_auth, database, run):
        """An instance that counts in the database, where nothing is counted yet."""
        auth = sql_auth(database, rate_limits=IN_DATABASE)
        run(auth.store.delete_many("rate_limit", None))
        return auth

    @pytest.fixture
    def counters(self, auth, clock):
        """Its counters."""
        return DatabaseCounters(auth.store, clock)

    async def test_a_window_begins_with_the_first_request(self, counters, clock):
        """It ends after its length, whatever comes in between, and the next begins another."""
        first = await counters.increment(KEY, window=10)
        clock.advance(seconds=4)
        second = await counters.increment(KEY, window=10)
        clock.advance(seconds=6)
        third = await counters.increment(KEY, window=10)

        assert [it.value for it in (first, second, third)] == [1, 2, 1]
        assert [it.ends_in for it in (first, second, third)] == pytest.approx(
            [10, 6, 10], abs=0.001
        )

    async def test_attack_many_first_requests_at_the_same_time(self, counters, race):
        """One of them makes the row, and none is forgotten."""
        counted = await race(CALLERS, lambda: counters.increment(KEY, window=10))

        assert sorted(it.value for it in counted) == EACH_ONCE

    async def test_attack_many_requests_at_the_end_of_a_window(self, counters, clock, race):
        """One of them begins the next one in its place."""
        await values(counters, KEY, times=3)
        clock.advance(seconds=10)

        counted = await race(CALLERS, lambda: counters.increment(KEY, window=10))

        assert sorted(it.value for it in counted) == EACH_ONCE

    async def test_attack_many_requests_while_ended_rows_are_swept(self, auth, clock, race):
        """A row that goes takes no count with it."""
        counters = DatabaseCounters(auth.store, clock)
        for number in range(8):
            await counters.increment(f"old {number}", window=10)
        clock.advance(seconds=10)

        async def come_back(number):
            # Each has counters of its own, which sweep with their first newcomer.
            mine = DatabaseCounters(auth.store, clock)
            await mine.increment(f"new {number}", window=10)
            return (await mine.increment(f"old {number % 8}", window=10)).value

        numbers = iter(range(32))
        counted = await race(32, lambda: come_back(next(numbers)))

        assert sorted(counted) == sorted([*range(1, 5)] * 8)

    async def test_a_counter_is_forgotten_once(self, counters, clock, race):
        """One of several callers forgets it; what has ended is not there to be forgotten."""
        await values(counters, KEY, times=2)
        present = await counters.get(KEY)

        forgotten = await race(8, lambda: counters.delete(KEY))

        assert present == "2"
        assert sorted(forgotten) == [False] * 7 + [True]
        assert await counters.get(KEY) is None
        assert await values(counters, KEY) == [1]
        clock.advance(seconds=10)
        assert await counters.get(KEY) is None
        assert await counters.delete(KEY) is False

    async def test_instances_have_one_limit(self, auth, new_auth, new_browser):
        """The second goes on where the first was."""
        other = new_auth(auth.adapter, rate_limits=IN_DATABASE)

        answers = [await new_browser(it).get("/ok") for it in (auth, other, auth, other)]

        assert [it.status for it in answers] == [200, 200, 429, 429]
        assert answers[-1].header("x-retry-after") == "10"


class TestSQLite(Counting):
    """SQLite counts exactly."""

    @pytest.fixture
    def database(self, sqlite_database):
        """A file."""
        return sqlite_database


@pytest.mark.postgresql
class TestPostgreSQL(Counting):
    """PostgreSQL counts exactly."""

    @pytest.fixture
    def database(self, postgresql_database):
        """A database of this module."""
        return postgresql_database


@pytest.mark.mysql
class TestMySQL(Counting):
    """MariaDB or MySQL counts exactly."""

    @pytest.fixture
    def database(self, mysql_database):
        """A database of this module."""
        return mysql_database


class TestMemory(Counting):
    """The memory adapter counts exactly."""

    @pytest.fixture
    def auth(self, new_auth):
        """An instance in memory."""
        return new_auth(rate_limits=IN_DATABASE)


# --- what holds on all of them -----------------------------------------------------------


@pytest.fixture
def counting(new_auth):
    """An instance in memory that counts in its database."""
    return new_auth(rate_limits=IN_DATABASE)


@pytest.fixture
def counters(counting, clock):
    """Its counters."""
    return DatabaseCounters(counting.store, clock)


async def keys(auth):
    """Return whose windows have rows."""
    return {row["key"] for row in await auth.store.find_many("rate_limit")}


def test_the_table_is_there_only_where_it_is_asked_for(auth, counting):
    """Who counts elsewhere has nothing to migrate."""
    assert "rate_limit" not in auth.schema.models
    assert {"key", "count", "last_request"} < set(counting.schema.models["rate_limit"].fields)


async def test_a_known_client_costs_one_write(new_auth, clock):
    """The row is changed in one step; only a newcomer's costs more."""
    written = []
    hooks = [
        DatabaseHook(model="rate_limit", operation=operation, before=written.append)
        for operation in ("create", "update", "delete")
    ]
    auth = new_auth(rate_limits=IN_DATABASE, database_hooks=hooks)
    counters = DatabaseCounters(auth.store, clock)
    await counters.increment(KEY, window=10)
    written.clear()

    await counters.increment(KEY, window=10)

    assert len(written) == 1


async def test_a_row_of_a_compatible_server_has_ended(counting, counters):
    """It does not say when it would end, so that nobody waits for ever."""
    await counting.store.create("rate_limit", {"key": KEY, "count": 99, "last_request": 0})

    assert await values(counters, KEY, times=2) == [1, 2]


async def test_a_request_that_fails_was_counted(counting, new_browser):
    """Otherwise guesses that cause an error are free."""
    browser = new_browser(counting)

    answers = [await browser.post("/sign-in/email", b"{") for _ in range(4)]

    assert [it.status for it in answers] == [400, 400, 400, 429]


async def test_attack_a_count_that_is_rolled_back(counting, counters):
    """Inside a transaction nothing is counted, and so nothing passes."""
    with pytest.raises(ConfigurationError, match="inside a transaction"):
        async with counting.store.transaction():
            await counters.increment(KEY, window=10)

    assert await keys(counting) == set()


async def test_attack_a_table_filled_with_addresses(counting, counters, clock):
    """While clients come, those whose windows have ended go; nobody whose window is open does."""
    for number in range(200):
        await counters.increment(f"first {number}", window=10)
    clock.advance(seconds=5)
    await counters.increment("open", window=10)
    clock.advance(seconds=5)

    for number in range(200):
        await counters.increment(f"second {number}", window=10)

    assert await keys(counting) == {"open", *(f"second {number}" for number in range(200))}


async def test_a_purge_deletes_windows_that_have_ended(counting, counters, clock):
    """They are told apart from sessions, and open ones stay."""
    await counters.increment("ended", window=10)
    await counters.increment("open", window=20)
    clock.advance(seconds=10)

    purged = await counting.purge_expired()

    assert (purged.rate_limits, purged.total) == (1, 1)
    assert await keys(counting) == {"open"}


async def test_a_purge_passes_over_a_table_that_is_not_there(auth):
    """As where requests are counted in memory."""
    assert (await auth.purge_expired()).total == 0


async def test_machines_whose_clocks_differ_lose_no_request(counting, clock):
    """A difference makes windows shorter by so much, and forgets nothing within them."""
    ahead = DatabaseCounters(counting.store, lambda: clock() + timedelta(seconds=2))
    behind = DatabaseCounters(counting.store, clock)

    passed = 0
    for turn in range(800):
        counters = ahead if turn % 2 else behind
        passed += (await counters.increment(KEY, window=10)).value <= 3
        clock.advance(milliseconds=100)

    assert passed <= 3 * 80 / (10 - 2)
    assert passed >= 3 * 80 / (10 + 2)


async def test_what_is_stored_names_no_more_than_the_wire(counting, counters, clock):
    """The last request is in milliseconds, as servers of the wire have it."""
    await counters.increment(KEY, window=10)
    clock.advance(seconds=1)
    await counters.increment(KEY, window=10)

    row = await counting.store.find_one("rate_limit", F.key == KEY)

    assert (row["count"], row["last_request"]) == (2, int(clock().timestamp() * 1000))
