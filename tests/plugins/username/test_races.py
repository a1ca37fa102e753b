"""Names that many want at once, on every database: one gets it, the others are told."""

from collections import Counter
from itertools import count

import pytest

from watchword import EmailPassword
from watchword.adapters.memory import MemoryAdapter
from watchword.plugins.username import Username

TAKEN = (400, "USERNAME_IS_ALREADY_TAKEN")
CALLERS = 16


def code_of(answer) -> str:
    """Return how a call ended."""
    return answer.json.get("code", "done")


class UsernameRaces:
    """What every database has to keep."""

    @pytest.fixture
    def adapter(self, sql_auth, database):
        """The adapter of the database, which has no rows yet."""
        return sql_auth(database, plugins=[Username()]).adapter

    @pytest.fixture
    def named(self, adapter, new_auth):
        """Make instances on the database."""
        return lambda **settings: new_auth(adapter, plugins=[Username()], **settings)

    async def test_racing_sign_ups_for_one_name(self, named, new_browser, race, count_rows):
        """In any spelling: one user, one account, one session, and nobody gets a 500."""
        auth, numbers = named(), count()

        async def sign_up():
            number = next(numbers)
            name = "Ada" if number % 2 else "ADA"
            return await new_browser(auth).sign_up(email=f"ada{number}@example.org", username=name)

        answers = await race(CALLERS, sign_up)

        assert Counter(code_of(it) for it in answers) == {"done": 1, TAKEN[1]: CALLERS - 1}
        assert {it.status for it in answers} == {200, 400}
        assert await count_rows(auth) == {"user": 1, "account": 1, "session": 1, "verification": 0}

    async def test_racing_sign_ups_where_answers_are_uniform(self, named, new_browser, race):
        """The same, where sign-ups do not tell whose address is known."""
        auth = named(email_password=EmailPassword(auto_sign_in=False))
        numbers = count()

        answers = await race(
            CALLERS,
            lambda: new_browser(auth).sign_up(
                email=f"ada{next(numbers)}@example.org", username="Ada"
            ),
        )

        assert Counter(code_of(it) for it in answers) == {"done": 1, TAKEN[1]: CALLERS - 1}

    async def test_racing_updates_to_one_name(self, named, new_browser, race):
        """One changes, the others keep what they had."""
        auth = named()
        browsers = [new_browser(auth) for _ in range(CALLERS)]
        for number, browser in enumerate(browsers):
            await browser.sign_up(email=f"ada{number}@example.org", username=f"ada{number}")
        numbers = count()

        answers = await race(
            CALLERS,
            lambda: browsers[next(numbers)].post("/update-user", {"username": "Lovelace"}),
        )

        assert Counter(code_of(it) for it in answers) == {"done": 1, TAKEN[1]: CALLERS - 1}
        names = {it["username"] for it in await auth.store.find_many("user")}
        assert len(names) == CALLERS
        assert "lovelace" in names

    @pytest.mark.parametrize("address", ["ada@example.org", "unknown@example.org"])
    async def test_attack_learning_an_address_by_racing_for_a_name(
        self, named, new_browser, interrupted_passwords, address
    ):
        """A name that is taken after it was looked for is told alike for every address."""
        pool = interrupted_passwords.pool
        auth = named(
            email_password=EmailPassword(hide_existing_users=True), passwords=interrupted_passwords
        )
        await new_browser(auth).sign_up(email="ada@example.org")
        eve = {"name": "Eve", "email": "eve@example.org", "username": "eve"}
        pool.interruption = lambda: auth.store.create("user", eve)

        answer = await new_browser(auth).sign_up(email=address, username="EVE")

        assert pool.interruption is None
        assert answer.refusal == TAKEN

    async def test_attack_session_from_a_password_that_is_no_longer(
        self, named, new_browser, interrupted_passwords, count_rows
    ):
        """Changed after it was verified: one answer to all that is wrong, and no session."""
        auth = named(passwords=interrupted_passwords)
        await new_browser(auth).sign_up(username="ada")
        await auth.store.delete_many("session", None)

        async def change() -> None:
            await auth.store.update_many("account", None, {"password": "changed"})

        interrupted_passwords.pool.interruption = change
        body = {"username": "ada", "password": "difference-engine"}
        answer = await new_browser(auth).post("/sign-in/username", body)

        assert interrupted_passwords.pool.interruption is None
        assert answer.refusal == (401, "INVALID_USERNAME_OR_PASSWORD")
        assert (await count_rows(auth))["session"] == 0


class TestMemory(UsernameRaces):
    """The adapter in memory."""

    @pytest.fixture
    def adapter(self):
        """Return one of this test."""
        return MemoryAdapter()


class TestSQLite(UsernameRaces):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(UsernameRaces):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(UsernameRaces):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestMongoDB(UsernameRaces):
    """MongoDB."""

    @pytest.fixture
    def database(self, mongodb_place):
        """Return a database of this test."""
        return mongodb_place
