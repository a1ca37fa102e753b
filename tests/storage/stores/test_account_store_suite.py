"""The accounts of every database pass the suite for stores of one's own."""

import os
from secrets import token_hex

import pytest

from watchword.testing import AccountStoreSuite


class TestStoredAccounts(AccountStoreSuite):
    """In memory, SQLite, PostgreSQL and MariaDB, with an event loop and without one."""

    rounds = 100 if "WATCHWORD_SOAK" in os.environ else 1

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
