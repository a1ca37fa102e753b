"""Verification values in a secondary storage pass the suite for stores of one's own."""

import os
from secrets import token_hex
from typing import Final

import pytest

from watchword.adapters.memory_storage import MemoryStorage
from watchword.adapters.redis import RedisStorage
from watchword.storage.secondary_verifications import SecondaryVerifications
from watchword.testing import VerificationStoreSuite

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ


class TestInMemory(VerificationStoreSuite):
    """In this process."""

    rounds = 100 if IS_SOAK else 3
    callers = 64 if IS_SOAK else 24

    @pytest.fixture
    def store(self, clock):
        """One in which nothing is."""
        return SecondaryVerifications(MemoryStorage(clock), clock)


class TestInRedis(VerificationStoreSuite):
    """With an event loop and without one."""

    rounds = 100 if IS_SOAK else 3
    callers = 64 if IS_SOAK else 24

    @pytest.fixture
    def store(self, clock, redis_url, run):
        """One in which nothing is."""
        storage = RedisStorage(redis_url, prefix=f"test_{token_hex(4)}:")
        yield SecondaryVerifications(storage, clock)
        run(storage.close())
