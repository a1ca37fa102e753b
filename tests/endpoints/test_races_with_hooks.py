"""Who races a new password where hooks listen: rows go one by one, and none may be missed."""

import os
from itertools import count
from typing import Final

import pytest

from watchword import DatabaseHook

ADDRESS = "ada@example.org"
OLD, NEW = "difference-engine", "analytical-engine"
REPLACE = {"currentPassword": OLD, "newPassword": NEW, "revokeOtherSessions": True}
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ

# In a soak all of this runs, ids that are counted under an event loop, too.
pytestmark = [pytest.mark.slow] if IS_SOAK else []


class RacesWithHooks:
    """What every database has to keep."""

    ids = "uuid"

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def outbox(self):
        """Every mail that was sent."""
        return []

    @pytest.fixture
    def ended(self):
        """The digests of the tokens of sessions whose end a hook heard of."""
        return []

    @pytest.fixture
    def settings(self, outbox, ended):
        """What the instance is made with."""
        hook = DatabaseHook(
            model="session", operation="delete", after=lambda row: ended.append(row["token"])
        )
        return {"mail": outbox.append, "ids": self.ids, "database_hooks": [hook]}

    @pytest.fixture
    def auth(self, sql_auth, database, settings, run):
        """An instance on the database, without rows."""
        auth = sql_auth(database, **settings)
        run(auth.store.delete_many("verification", None))
        return auth

    @pytest.fixture
    def ada(self, auth, new_browser, run, ended):
        """Ada's browser, in which she is signed in."""
        ended.clear()
        browser = new_browser(auth)
        run(browser.sign_up())
        return browser

    @pytest.fixture
    def reset(self, auth, new_browser, outbox, run, ada):
        """Redeem a link that was sent before."""
        run(ada.post("/request-password-reset", {"email": ADDRESS}))
        body = {"newPassword": NEW, "token": outbox[-1].token}

        async def reset():
            return await new_browser(auth).post("/reset-password", body)

        return reset

    @pytest.fixture
    def signals(self, watchword_mode):
        """Set when the slow sign-in has locked the account, and when it is to go on."""
        return watchword_mode.signal(), watchword_mode.signal()

    @pytest.fixture
    def slow(self, auth, new_auth, settings, signals):
        """An instance on the same database that stops before it writes a session."""
        locked, go_on = signals

        async def stop(_row):
            locked.set()
            await go_on.wait()

        hook = DatabaseHook(model="session", operation="create", before=stop)
        return new_auth(auth.adapter, **{**settings, "database_hooks": [hook]})

    @pytest.fixture
    def during_a_sign_in(self, slow, signals, new_browser, spawn):
        """Do what has to wait for a sign-in that was begun before; return both answers."""
        locked, go_on = signals

        async def during_a_sign_in(replace):
            signing_in = spawn(new_browser(slow).sign_in)
            await locked.wait()
            replacing = spawn(replace)
            await replacing.ended(within=0.3)
            go_on.set()
            return await signing_in.result(), await replacing.result()

        return during_a_sign_in

    async def test_attack_sign_in_that_a_reset_waits_for(
        self, ada, reset, during_a_sign_in, ended
    ):
        """Its session is younger than the reset's first look, and ends with the old password."""
        answers = await during_a_sign_in(reset)

        assert [it.status for it in answers] == [200, 200]
        assert await ada.auth.store.count("session") == 0
        assert len(ended) == len(set(ended)) == 2

    async def test_attack_sign_in_that_a_change_waits_for(self, ada, during_a_sign_in, ended):
        """The same; the one session that was made with the new password stays."""
        answers = await during_a_sign_in(lambda: ada.post("/change-password", REPLACE))

        assert [it.status for it in answers] == [200, 200]
        assert await ada.auth.store.count("session") == 1
        assert (await ada.session()).json["user"]["email"] == ADDRESS
        assert len(ended) == len(set(ended)) == 2

    async def test_attack_sign_in_with_the_password_that_is_reset(
        self, ada, new_browser, race, reset, ended
    ):
        """Whoever gets in with the old one meanwhile is out again; each end is heard of once."""
        turns = count()

        async def sign_in_or_reset():
            return await (reset() if next(turns) == 3 else new_browser(ada.auth).sign_in())

        answers = await race(12, sign_in_or_reset)

        assert {it.status for it in answers} <= {200, 401}
        assert await ada.auth.store.count("session") == 0
        assert len(ended) == len(set(ended))
        assert len(ended) == sum(it.status == 200 for it in answers)  # Ada's own, not the reset

    async def test_all_who_end_sessions_meanwhile_succeed(self, ada, new_browser, race, ended):
        """Nobody hears of a deadlock; each session was ended once, or is still there."""
        for _ in range(6):
            await new_browser(ada.auth).sign_in()
        cookies, turns = dict(ada.cookies), count()

        async def end_or_begin():
            turn = next(turns) % 3
            if turn == 0:
                return await new_browser(ada.auth).sign_in()
            path = "/revoke-sessions" if turn == 1 else "/revoke-other-sessions"
            return await new_browser(ada.auth, dict(cookies)).post(path)

        answers = await race(12, end_or_begin)

        assert {it.status for it in answers} <= {200, 401}
        assert len(ended) == len(set(ended))
        assert len(ended) + await ada.auth.store.count("session") == 7 + 4


class TestMemory(RacesWithHooks):
    """The memory of this process."""

    @pytest.fixture
    def auth(self, new_auth, settings):
        """An instance in memory."""
        return new_auth(**settings)


class TestSQLite(RacesWithHooks):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestIntegerIds(TestSQLite):
    """SQLite, with ids that it counts."""

    ids = "bigint"
    never_loop = not IS_SOAK  # a loop changes nothing about ids


class TestPostgreSQL(RacesWithHooks):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(RacesWithHooks):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestMongoDB(RacesWithHooks):
    """MongoDB."""

    @pytest.fixture
    def database(self, mongodb_place):
        """Return a database of this test."""
        return mongodb_place
