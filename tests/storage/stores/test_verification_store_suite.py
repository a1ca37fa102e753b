"""The verification values of every database pass the suite for stores of one's own."""

import os

import pytest

from watchword.testing import VerificationStoreSuite


class TestStoredVerifications(VerificationStoreSuite):
    """In memory, SQLite, PostgreSQL and MariaDB, with an event loop and without one."""

    rounds = 100 if "WATCHWORD_SOAK" in os.environ else 1

    @pytest.fixture
    def store(self, stored, run):
        """Those of an instance in which nothing is."""
        run(stored.store.delete_many("verification", None))
        return stored.verifications
