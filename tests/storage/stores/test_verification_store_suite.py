"""The verification values of every database pass the suite for stores of one's own."""

import os
from typing import Final

import pytest

from watchword.testing import VerificationStoreSuite

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ


class TestStoredVerifications(VerificationStoreSuite):
    """In memory, SQLite, PostgreSQL and MariaDB, with an event loop and without one."""

    rounds = 100 if IS_SOAK else 1
    callers = 64 if IS_SOAK else 24

    @pytest.fixture
    def store(self, stored):
        """Those of an instance in which nothing is."""
        return stored.verifications
