"""The users of every database pass the suite for stores of one's own."""

import os
from typing import Final

import pytest

from watchword.testing import UserStoreSuite

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ


class TestStoredUsers(UserStoreSuite):
    """In memory, SQLite, PostgreSQL and MariaDB, with an event loop and without one."""

    additional = {"plan": "pro, or not", "logins": 7}  # noqa: RUF012 - a class attribute of the suite
    has_usernames = True
    rounds = 100 if IS_SOAK else 1
    callers = 64 if IS_SOAK else 24

    @pytest.fixture
    def store(self, stored):
        """Those of an instance in which nobody is."""
        return stored.users
