"""Values in memory keep the contract, and do not fill the memory."""

import os
import random
import sys
import threading
from datetime import timedelta

import pytest

from watchword.adapters.memory_storage import MemoryStorage
from watchword.concurrency import run_blocking
from watchword.errors import ConfigurationError
from watchword.testing import SecondaryStorageSuite


class TestMemoryStorage(SecondaryStorageSuite):
    """The reference passes its own suite."""

    rounds = 100 if "WATCHWORD_SOAK" in os.environ else 10

    @pytest.fixture
    def storage(self, clock):
        """A storage by the clock of the test."""
        return MemoryStorage(clock)

    @pytest.fixture
    def time_left(self, storage):
        """Look at the value as it is kept."""

        def time_left(key):
            entry = storage._entries.get(key)
            return None if entry is None else (entry.ends_at - storage._elapsed).total_seconds()

        return time_left

    @pytest.fixture
    def pass_time(self, time_left, clock):
        """Put the clock forward."""
        return lambda key: clock.advance(seconds=time_left(key))


async def ends_of(storage):
    """Return the keys that are there, and check that the heap knows each of them once."""
    heap = storage._by_end._heap
    assert {it.key for it in heap} == set(storage._entries)
    assert [it.place for it in heap] == list(range(len(heap)))
    assert all(it.ends_at >= heap[(it.place - 1) // 2].ends_at for it in heap[1:])
    return set(storage._entries)


class TestBounds:
    """However many values come, so many stay."""

    async def test_the_one_that_ends_first_makes_room(self, clock):
        """Also where its lifetime was changed since."""
        storage = MemoryStorage(clock, max_entries=3)
        for key, ttl in (("a", 30), ("b", 20), ("c", 10)):
            await storage.set(key, key, ttl=ttl)
        await storage.set("a", "a", ttl=5)

        await storage.set("d", "d", ttl=1)

        assert await ends_of(storage) == {"b", "c", "d"}

    async def test_what_was_deleted_takes_no_room(self, clock):
        """Values that are taken before their end wear no others off."""
        storage = MemoryStorage(clock, max_entries=2)
        await storage.set("stays", "1", ttl=10)

        for it in range(10):
            await storage.set(f"token {it}", "1", ttl=1000)
            assert await storage.get_and_delete(f"token {it}") == "1"

        assert await storage.get("stays") == "1"
        assert await ends_of(storage) == {"stays"}

    async def test_what_is_replaced_takes_no_second_place(self, clock):
        """A value has one place, however often it is written."""
        storage = MemoryStorage(clock, max_entries=2)
        await storage.set("stays", "1", ttl=10)

        for it in range(10):
            await storage.set("other", str(it), ttl=100 - it)

        assert await ends_of(storage) == {"stays", "other"}

    async def test_ended_values_are_dropped_by_other_calls(self, clock):
        """Two by each call, whatever it is about."""
        storage = MemoryStorage(clock)
        for it in range(10):
            await storage.set(str(it), "1", ttl=10)
        clock.advance(seconds=10)

        for left in (8, 6, 4, 2, 0, 0):
            assert await storage.get("another") is None
            assert len(await ends_of(storage)) == left

    async def test_what_has_ended_and_is_still_kept_is_absent(self, clock):
        """More ended at once than one call drops."""
        storage = MemoryStorage(clock)
        for it in range(10):
            await storage.set(str(it), "1", ttl=10)
        clock.advance(seconds=10)

        assert await storage.get("5") is None

    def test_threads_that_take_turns_at_any_step_lose_no_count(self):
        """Python may change threads wherever it likes."""
        storage = MemoryStorage()
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)

        def count():
            for _ in range(500):
                run_blocking(storage.increment("a", window=60))

        threads = [threading.Thread(target=count) for _ in range(8)]
        for it in threads:
            it.start()
        for it in threads:
            it.join()
        sys.setswitchinterval(before)

        assert run_blocking(storage.get("a")) == "4000"

    async def test_order_is_kept_at_random(self, clock):
        """Whatever is written, deleted and passed by, against a list that is sorted."""
        storage = MemoryStorage(clock)
        chance = random.Random(7)
        expected = {}
        for _ in range(2000):
            key, ttl = str(chance.randrange(50)), chance.randrange(1, 100)
            if chance.random() < 0.3:
                assert await storage.delete(key) is (expected.pop(key, clock()) > clock())
            else:
                await storage.set(key, "1", ttl=ttl)
                expected[key] = clock() + timedelta(seconds=ttl)
            clock.advance(seconds=chance.randrange(3))
            there = await ends_of(storage)
            assert {it for it, end in expected.items() if end > clock()} <= there

    def test_no_room_is_refused(self):
        """It could keep nothing."""
        with pytest.raises(ConfigurationError, match="no room"):
            MemoryStorage(max_entries=0)


class TestClock:
    """The time of the machine may be set."""

    async def test_a_clock_that_goes_back_prolongs_nothing_twice(self, clock):
        """While it goes back the time of values stands still, and then goes on."""
        storage = MemoryStorage(clock)
        await storage.set("a", "1", ttl=100)
        clock.advance(seconds=60)
        assert await storage.get("a") == "1"
        clock.advance(hours=-5)
        assert await storage.get("a") == "1"

        clock.advance(seconds=40)

        assert await storage.get("a") is None
