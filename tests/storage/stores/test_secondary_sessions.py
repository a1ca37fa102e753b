"""Sessions in a secondary storage pass the suite for stores of one's own."""

import os
from datetime import UTC, datetime
from secrets import token_hex
from typing import Final

import pytest

from watchword.adapters.memory_storage import MemoryStorage
from watchword.adapters.redis import RedisStorage
from watchword.storage.secondary_sessions import SecondarySessions
from watchword.testing import SessionStoreSuite

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
ADDED: Final = {
    "theme": "dark",
    "seen_at": datetime(2026, 5, 17, 12, 0, 0, 654321, tzinfo=UTC),
    "key": b"\0\xff",
    "points": 9_007_199_254_740_993,
    "share": 0.1,
    "trusted": True,
    "roles": ["admin", ""],
    "device": {"at": "2026-05-17T12:00:00Z", "os": None, "sizes": [1, 1.5]},
    "nothing": None,
}


class TestInMemory(SessionStoreSuite):
    """In this process."""

    additional = ADDED
    rounds = 100 if IS_SOAK else 3

    @pytest.fixture
    def store(self, clock):
        """One in which nothing is."""
        return SecondarySessions(MemoryStorage(clock), clock)


class TestInRedis(SessionStoreSuite):
    """With an event loop and without one."""

    additional = ADDED
    rounds = 100 if IS_SOAK else 1
    callers = 64 if IS_SOAK else 24

    @pytest.fixture
    def store(self, clock, redis_url, run):
        """One in which nothing is."""
        storage = RedisStorage(redis_url, prefix=f"test_{token_hex(4)}:")
        yield SecondarySessions(storage, clock)
        run(storage.close())
