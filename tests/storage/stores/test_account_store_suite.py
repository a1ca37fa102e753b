"""The accounts of every database pass the suite for stores of one's own."""

import os
from secrets import token_hex
from typing import Final

import pytest

from watchword.testing import AccountStoreSuite

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ


class TestStoredAccounts(AccountStoreSuite):
    """In memory, SQLite, PostgreSQL and MariaDB, with an event loop and without one."""

    rounds = 100 if IS_SOAK else 1
    callers = 64 if IS_SOAK else 24

    @pytest.fixture
    def store(self, stored):
        """Those of an instance in which nobody is."""
        return stored.accounts

    @pytest.fixture
    def new_user_id(self, stored):
        """Accounts refer to users who are there."""

        async def new_user_id() -> str:
            user = await stored.users.create(email=f"{token_hex(8)}@example.org", name="Ada")
            return user.id

        return new_user_id
