"""Counters in memory: exact for all threads and loops, and never larger than agreed."""

import asyncio
import sys
import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.clock import utc_now
from watchword.concurrency import run_blocking
from watchword.engine.rate_limit import Count, MemoryCounters

# --- races --------------------------------------------------------------------------------


@pytest.fixture
def hurried():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(threads, work):
    """Do something in so many threads, which start as one; return what came of it."""
    start = threading.Barrier(threads)
    results = []

    def go():
        start.wait(60)
        results.append(work())

    started = [threading.Thread(target=go) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
    assert len(results) == threads
    return results


async def hit(counters, keys):
    """Hit each key once; return the values."""
    return [(await counters.increment(key, window=10)).value for key in keys]


@pytest.mark.parametrize("run", [run_blocking, asyncio.run], ids=["driven", "loops"])
def test_threads_lose_no_count(hurried, run):
    """Each value is given once, with an event loop in every thread or in none."""
    counters = MemoryCounters()
    keys = [f"key {n}" for n in range(3000)]

    counted = in_threads(8, lambda: run(hit(counters, keys)))

    assert [sorted(values) for values in zip(*counted, strict=True)] == [[*range(1, 9)]] * 3000


def test_threads_wear_no_hole_into_full_counters(hurried):
    """Making room is one step with what needs it."""
    counters = MemoryCounters(max_entries=3)
    keys = [f"key {n % 7}" for n in range(2000)]

    in_threads(8, lambda: run_blocking(hit(counters, keys)))

    assert kept(counters) == 3


# --- the memory ---------------------------------------------------------------------------


def kept(counters):
    """Count what is kept, which is kept twice."""
    assert sorted(key for _, key in counters._ends) == sorted(counters._windows)
    return len(counters._windows)


async def test_attack_memory_filled_with_addresses(clock):
    """However many clients come, there is a bound; who ends first makes room."""
    counters = MemoryCounters(clock, max_entries=100)
    await counters.increment("first", window=10)
    await counters.increment("long", window=60)
    for n in range(1000):
        clock.advance(milliseconds=1)
        await counters.increment(f"client {n}", window=10)

    assert kept(counters) == 100
    assert (await counters.increment("long", window=60)).value == 2
    assert (await counters.increment("client 999", window=10)).value == 2
    assert (await counters.increment("first", window=10)).value == 1


async def test_a_client_that_came_back_is_not_taken_for_the_oldest(clock):
    """A window that was begun again ends later than it once did."""
    counters = MemoryCounters(clock, max_entries=4)
    for key in "abcd":
        await counters.increment(key, window=10)
    clock.advance(seconds=10)
    # While the others are dropped, two for each call, the last is opened again.
    await counters.increment("d", window=10)
    clock.advance(seconds=1)
    for key in "xyz":
        await counters.increment(key, window=5)
    assert kept(counters) == 4

    await counters.increment("more", window=5)

    assert (await counters.increment("d", window=10)).value == 2


async def test_ended_windows_are_dropped(clock):
    """They go while others come, so that the memory is only as large as what is counted."""
    counters = MemoryCounters(clock)
    for n in range(1000):
        await counters.increment(f"client {n}", window=10)
    clock.advance(seconds=10)

    for _ in range(500):
        await counters.increment("one", window=10)

    assert kept(counters) == 1


async def test_no_request_pays_for_all_ended_windows(clock):
    """Each drops two at most: a thousand at once would be felt by all who wait."""
    counters = MemoryCounters(clock)
    for n in range(1000):
        await counters.increment(f"client {n}", window=10)
    clock.advance(seconds=10)

    await counters.increment("one", window=10)

    assert kept(counters) == 999


async def test_a_counter_is_forgotten_once(clock, race):
    """One of several callers forgets it; what has ended is not there to be forgotten."""
    counters = MemoryCounters(clock)
    await counters.increment("key", window=10)
    present = await counters.get("key")

    forgotten = await race(8, lambda: counters.delete("key"))

    assert present == "1"
    assert sorted(forgotten) == [False] * 7 + [True]
    assert await counters.get("key") is None
    assert (await counters.increment("key", window=10)).value == 1
    clock.advance(seconds=10)
    assert await counters.get("key") is None
    assert await counters.delete("key") is False


async def test_forgotten_counters_leave_the_memory(clock):
    """At the latest when they would have ended."""
    counters = MemoryCounters(clock)
    for n in range(100):
        await counters.increment(f"client {n}", window=10)
        await counters.delete(f"client {n}")
    clock.advance(seconds=10)

    for _ in range(50):
        await counters.increment("one", window=10)

    assert kept(counters) == 1


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([1, 3, 10]), st.integers(-2, 6)),
    max_size=80,
)


@given(OPERATIONS)
def test_counters_are_what_a_simple_model_says(operations):
    """Whatever the order of keys, windows and steps of the clock, in both directions."""
    now = utc_now()
    counters, model, elapsed = MemoryCounters(lambda: now), {}, 0
    for key, window, step in operations:
        now += timedelta(seconds=step)
        elapsed += max(step, 0)
        value, ends_at = model.get(key, (0, 0))
        if ends_at <= elapsed:
            value, ends_at = 0, elapsed + window
        model[key] = value + 1, ends_at

        count = run_blocking(counters.increment(key, window=window))

        assert count == Count(value + 1, ends_at - elapsed)
        assert kept(counters) <= 8


@given(OPERATIONS)
def test_full_counters_keep_what_ends_last(operations):
    """The key that was just counted stays, and the bound holds at every step."""
    now = utc_now()
    counters = MemoryCounters(lambda: now, max_entries=3)
    for key, window, step in operations:
        now += timedelta(seconds=step)

        run_blocking(counters.increment(key, window=window))

        assert key in counters._windows
        assert kept(counters) <= 3
