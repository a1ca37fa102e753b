"""Many at once, and failures half-way, on every database: once means once, all means all."""

import os
from collections import Counter
from itertools import count
from typing import Final
from urllib.parse import urlsplit

import pytest
from sqlalchemy import NullPool, create_engine, text

from watchword import DatabaseHook
from watchword.storage.query import F

NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}
ONE_OF_EACH = {"user": 1, "account": 1, "session": 1, "verification": 0}
ADDRESS = "ada@example.org"
UNAUTHORISED = (401, "INVALID_EMAIL_OR_PASSWORD")
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
# More than there are connections, so that some of them wait for one.
CALLERS: Final = 32 if IS_SOAK else 18

# In a soak all of this runs, with more callers.
pytestmark = [pytest.mark.slow] if IS_SOAK else []


async def change_password(auth):
    """Do what a password change does: a new hash, and no session of the old one."""
    async with auth.store.transaction():
        await auth.store.update("account", F.provider_id == "credential", {"password": "changed"})
        await auth.store.delete_many("session", None)


async def delete_user(auth):
    """Delete the account with all that hangs on it."""
    await auth.store.delete("user", F.email == ADDRESS)


class Races:
    """What every database has to keep."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def auth(self, sql_auth, database):
        """An instance on the database."""
        return sql_auth(database)

    @pytest.fixture
    def with_hooks(self, auth, new_auth):
        """Make another instance on the same adapter that has hooks."""
        return lambda *hooks: new_auth(auth.adapter, database_hooks=hooks)

    @pytest.fixture
    def interrupted(self, sql_auth, database, interrupted_passwords):
        """An instance in which something can happen between a password and its session."""
        return sql_auth(database, passwords=interrupted_passwords)

    @pytest.fixture
    def seen_by_others(self, database):
        """Count the committed users, past everything."""

        def seen_by_others() -> int:
            engine = create_engine(database, poolclass=NullPool)
            with engine.connect() as connection:
                return connection.execute(text("SELECT count(*) FROM watchword_users")).scalar()

        return seen_by_others

    async def test_racing_sign_ups_of_one_address(self, auth, new_browser, race, count_rows):
        """One gets the address, the others are told that it is taken, and nobody gets a 500."""
        answers = await race(CALLERS, lambda: new_browser(auth).sign_up())

        codes = Counter(it.json.get("code", "signed up") for it in answers)
        assert codes == {"signed up": 1, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL": CALLERS - 1}
        assert Counter(it.status for it in answers) == {200: 1, 422: CALLERS - 1}
        assert await count_rows(auth) == ONE_OF_EACH

    async def test_racing_sign_ups_of_distinct_addresses(self, auth, new_browser, race):
        """Each succeeds: none is told that the database is locked."""
        numbers = count()

        answers = await race(
            CALLERS, lambda: new_browser(auth).sign_up(email=f"ada{next(numbers)}@example.org")
        )

        assert Counter(it.status for it in answers) == {200: CALLERS}
        assert await auth.store.count("session") == CALLERS

    async def test_racing_sign_ins(self, auth, new_browser, race):
        """Each gets a session of its own."""
        await new_browser(auth).sign_up()

        answers = await race(CALLERS, lambda: new_browser(auth).sign_in())

        assert len({it.json["token"] for it in answers}) == CALLERS
        assert await auth.store.count("session") == CALLERS + 1

    async def test_racing_sign_outs(self, auth, new_browser, race):
        """All are told the same, and one row went."""
        browser = new_browser(auth)
        await browser.sign_up()
        await new_browser(auth).sign_in()

        answers = await race(
            CALLERS, lambda: new_browser(auth, dict(browser.cookies)).post("/sign-out", {})
        )

        assert [(it.status, it.json) for it in answers] == [(200, {"success": True})] * CALLERS
        assert await auth.store.count("session") == 1

    async def test_racing_readers_renew_once(self, with_hooks, new_browser, race, clock):
        """Of many readers one writes; the row lives longer, and all are told how long."""
        writes = []
        auth = with_hooks(DatabaseHook(model="session", operation="update", after=writes.append))
        browser = new_browser(auth)
        await browser.sign_up()
        clock.advance(days=1)

        answers = await race(CALLERS, lambda: new_browser(auth, dict(browser.cookies)).session())

        assert len(writes) == 1
        [session] = await auth.store.find_many("session")
        assert (session["expires_at"] - clock.now).days == 7
        assert {it.json["session"]["expiresAt"] for it in answers} == {"2026-05-25T12:00:00.123Z"}

    @pytest.mark.parametrize(("change", "users"), [(change_password, 1), (delete_user, 0)])
    async def test_attack_session_from_a_password_that_is_no_longer(
        self, interrupted, new_browser, change, users
    ):
        """Changed, or gone with its user, after it was verified: 401, and no session."""
        await new_browser(interrupted).sign_up()
        await interrupted.store.delete_many("session", None)
        pool = interrupted.instance.passwords.pool
        pool.interruption = lambda: change(interrupted)

        answer = await new_browser(interrupted).sign_in()

        assert pool.interruption is None
        assert answer.refusal == UNAUTHORISED
        assert answer.set_cookies == []
        assert await interrupted.store.count("session") == 0
        assert await interrupted.store.count("user") == users

    async def test_attack_sign_in_while_the_password_changes(self, auth, new_browser, spawn):
        """Whoever read the old hash before the commit waits for it, and is refused."""
        await new_browser(auth).sign_up()

        async with auth.store.transaction():
            await change_password(auth)
            sign_in = spawn(lambda: new_browser(auth).sign_in())
            await sign_in.ended(within=0.2)
        answer = await sign_in.result()

        assert answer.refusal == UNAUTHORISED
        assert await auth.store.count("session") == 0

    async def test_racing_sign_ins_and_a_deletion(self, auth, new_browser, race, count_rows):
        """Nobody gets a 500, and no session outlives its user."""
        await new_browser(auth).sign_up()
        turns = count()

        async def sign_in_or_delete():
            if next(turns) == 3:
                return await delete_user(auth)
            return await new_browser(auth).sign_in()

        answers = await race(12, sign_in_or_delete)

        assert {it.status for it in answers if it is not None} <= {200, 401}
        assert await count_rows(auth) == NOTHING

    @pytest.mark.parametrize("model", ["account", "session"])
    async def test_a_sign_up_that_fails_half_way_leaves_nothing(
        self, with_hooks, new_browser, count_rows, model
    ):
        """No user without an account, and the address is free."""
        refusing = with_hooks(
            DatabaseHook(model=model, operation="create", before=lambda _row: False)
        )

        answer = await new_browser(refusing).sign_up()

        assert answer.status == 400
        assert await count_rows(refusing) == NOTHING
        assert (await new_browser(with_hooks()).sign_up()).status == 200

    async def test_hooks_see_what_others_see(self, with_hooks, new_browser, seen_by_others):
        """They run when the user is there for all; before, nobody else sees one."""
        seen = []
        auth = with_hooks(
            *(
                DatabaseHook(
                    model=model,
                    operation="create",
                    before=lambda _row: seen.append(("before", seen_by_others())),
                    after=lambda _row: seen.append(("after", seen_by_others())),
                )
                for model in ("user", "account", "session")
            )
        )

        await new_browser(auth).sign_up()

        assert seen == [("before", 0)] * 3 + [("after", 1)] * 3

    async def test_hooks_hear_nothing_of_what_was_undone(self, with_hooks, new_browser):
        """A user who was rolled back is nobody to write to."""
        heard = []
        auth = with_hooks(
            DatabaseHook(model="user", operation="create", after=heard.append),
            DatabaseHook(model="session", operation="create", before=lambda _row: False),
        )

        answer = await new_browser(auth).sign_up()

        assert (answer.status, heard) == (400, [])

    async def test_a_failing_hook_after_the_commit_fails_nothing(
        self, with_hooks, new_browser, caplog
    ):
        """The user exists; to answer otherwise would be a lie. The others still run."""
        heard = []

        def fail(_row):
            raise ConnectionError("the mail server is down")

        auth = with_hooks(
            DatabaseHook(model="user", operation="create", after=fail),
            DatabaseHook(model="user", operation="create", after=heard.append),
        )

        answer = await new_browser(auth).sign_up()

        assert answer.status == 200
        assert [row["email"] for row in heard] == [ADDRESS]
        assert "work after the commit failed" in caplog.text


class TestSQLite(Races):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(Races):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(Races):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestMongoDB(Races):
    """MongoDB."""

    @pytest.fixture
    def database(self, mongodb_place):
        """Return a database of this test."""
        return mongodb_place

    @pytest.fixture
    def seen_by_others(self, database, mongodb_client):
        """Count the committed users, past everything."""
        name = urlsplit(database).path.strip("/")
        return lambda: mongodb_client[name]["watchword_users"].count_documents({})
