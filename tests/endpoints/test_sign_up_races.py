"""Sign-ups and requests for links by many at once, on every database: none fails by another's."""

import os
from collections import Counter
from itertools import count
from typing import Final

import pytest

from watchword import DatabaseHook, EmailPassword, EmailVerification
from watchword.adapters.memory import MemoryAdapter
from watchword.storage.query import F

ADDRESS = "ada@example.org"
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
# More than there are connections, so that some of them wait for one; an even number.
CALLERS: Final = 50 if IS_SOAK else 18

# In a soak all of this runs, with more callers.
pytestmark = [pytest.mark.slow] if IS_SOAK else []


class SignUpRaces:
    """What every database has to keep."""

    @pytest.fixture
    def adapter(self, sql_auth, database, run):
        """The adapter of the database, which has no rows yet."""
        auth = sql_auth(database)
        run(auth.store.delete_many("verification", None))
        return auth.adapter

    @pytest.fixture
    def outbox(self):
        """The mail that went out."""
        return []

    @pytest.fixture
    def new_instance(self, new_auth, adapter, outbox):
        """Make instances on the database that send mail."""
        return lambda **settings: new_auth(adapter, mail=outbox.append, **settings)

    async def test_many_sign_ups_of_one_address(self, new_instance, new_browser, race):
        """One is a user; the others are told that the address is taken, and nobody gets a 500."""
        auth = new_instance()

        answers = await race(CALLERS, lambda: new_browser(auth).sign_up())

        assert Counter(it.status for it in answers) == {200: 1, 422: CALLERS - 1}
        assert await auth.store.count("user") == await auth.store.count("account") == 1

    async def test_attack_racing_sign_ups_tell_who_is_known(
        self, new_instance, new_browser, race, outbox, count_rows
    ):
        """Where answers are alike all are, one is a user, and one mail goes out."""
        auth = new_instance(
            email_password=EmailPassword(hide_existing_users=True),
            email_verification=EmailVerification(send_on_sign_up=True),
        )

        answers = await race(CALLERS, lambda: new_browser(auth).sign_up())

        assert Counter(it.status for it in answers) == {200: CALLERS}
        assert {tuple(it.json) for it in answers} == {("token", "user")}
        rows = await count_rows(auth)
        assert (rows["user"], rows["account"], rows["session"]) == (1, 1, 0)
        assert [it.to for it in outbox] == [ADDRESS]

    async def test_mail_of_one_is_not_lost_by_the_failure_of_another(
        self, new_instance, new_browser, race, outbox
    ):
        """Of many every second is undone half-way: the others' mail goes out, theirs not."""
        numbers = count()

        def refuse_odd(row):
            return False if "odd" in row["user_agent"] else None

        auth = new_instance(
            database_hooks=[DatabaseHook(model="session", operation="create", before=refuse_odd)],
            email_verification=EmailVerification(send_on_sign_up=True),
        )

        async def sign_up():
            number = next(numbers)
            kind = "odd" if number % 2 else "even"
            body = {"name": kind, "email": f"{kind}{number}@example.org", "password": "x" * 8}
            headers = {"user-agent": kind}
            return await new_browser(auth).post("/sign-up/email", body, headers=headers)

        answers = await race(CALLERS, sign_up)
        await auth.drain()

        assert Counter(it.status for it in answers) == {200: CALLERS / 2, 400: CALLERS / 2}
        addresses = {it["email"] for it in await auth.store.find_many("user")}
        assert sorted(it.to for it in outbox) == sorted(addresses)
        assert len(addresses) == CALLERS / 2
        assert not any("odd" in it for it in addresses)

    @pytest.mark.parametrize("path", ["/request-password-reset", "/send-verification-email"])
    async def test_racing_requests_for_a_link(self, new_instance, new_browser, race, outbox, path):
        """Everybody is sent one, no deadlock is told, and each link works until one is used."""
        auth = new_instance(email_verification=EmailVerification())
        await new_browser(auth).sign_up()

        answers = await race(CALLERS, lambda: new_browser(auth).post(path, {"email": ADDRESS}))
        await auth.drain()

        assert Counter(it.status for it in answers) == {200: CALLERS}
        assert len({it.token for it in outbox}) == CALLERS
        assert (
            await auth.store.count("verification", F.expires_at > auth.instance.clock()) == CALLERS
        )


class TestMemory(SignUpRaces):
    """The adapter in memory."""

    @pytest.fixture
    def adapter(self):
        """Return one of this test."""
        return MemoryAdapter()


class TestSQLite(SignUpRaces):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(SignUpRaces):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(SignUpRaces):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestMongoDB(SignUpRaces):
    """MongoDB."""

    @pytest.fixture
    def database(self, mongodb_place):
        """Return a database of this test."""
        return mongodb_place
