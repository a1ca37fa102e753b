"""Purging on every database: what has expired goes, once, and nothing else is touched."""

import os
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from itertools import count
from secrets import token_hex

import pytest
from sqlalchemy import NullPool, bindparam, create_engine, insert, text

from watchword import ConfigurationError, DatabaseHook
from watchword.errors import OperationRefused
from watchword.storage.ids import new_uuid
from watchword.storage.purge import Purged, count_expired, purge_expired
from watchword.storage.query import F

INSTANT = timedelta(microseconds=1)
MANY = 100_000 if "WATCHWORD_SOAK" in os.environ else 5_000
SOME_OF_BOTH = [
    pytest.param({"expired": expired, "live": live}, id=f"{expired} expired, {live} live")
    for expired, live in [(1, 1), (25, 5), (10, 40), (200, 1)]
]


class Purges:
    """What every backend has to keep."""

    @pytest.fixture
    def database(self):
        """Return the URL of a database, with its blocking driver; None is memory."""
        raise NotImplementedError

    @pytest.fixture
    def auth(self, database, new_auth, sql_auth, run):
        """An instance without rows."""
        auth = new_auth() if database is None else sql_auth(database)
        run(auth.store.delete_many("verification", None))
        return auth

    @pytest.fixture
    def with_hooks(self, auth, new_auth):
        """Make another instance on the same adapter that has hooks."""
        return lambda *hooks: new_auth(auth.adapter, database_hooks=hooks)

    @pytest.fixture
    def user(self, auth, run):
        """Somebody who can have sessions."""
        return run(auth.store.create("user", {"name": "Ada", "email": "ada@example.org"}))

    @pytest.fixture
    def purge(self, auth, clock):
        """Purge the instance, or another one."""

        async def purge(store=auth.store, **options):
            return await purge_expired(store, clock, **options)

        return purge

    @pytest.fixture
    def add_sessions(self, auth, user, clock):
        """Make sessions: the first expires now, others earlier; one lives an instant longer."""

        async def add_sessions(*, expired=0, live=0):
            ends = [clock.now - number * INSTANT for number in range(expired)]
            ends += [clock.now + (number + 1) * INSTANT for number in range(live)]
            rows = [
                {"user_id": user["id"], "token": token_hex(), "expires_at": end} for end in ends
            ]
            await auth.store.create_many("session", rows)

        return add_sessions

    @pytest.fixture
    def add_verifications(self, auth, clock):
        """Make verifications that expire now."""

        async def add_verifications(expired):
            rows = [
                {"identifier": token_hex(), "value": "", "expires_at": clock.now}
                for _ in range(expired)
            ]
            await auth.store.create_many("verification", rows)

        return add_verifications

    async def test_what_has_expired_goes_and_what_lives_stays(
        self, auth, clock, purge, add_sessions, add_verifications
    ):
        """To the instant, of both models."""
        await add_sessions(expired=3, live=2)
        await add_verifications(expired=4)
        await auth.store.create(
            "verification",
            {"identifier": "live", "value": "", "expires_at": clock.now + INSTANT},
        )

        purged = await purge()

        assert purged == Purged(sessions=3, verifications=4)
        assert purged.total == 7
        sessions = await auth.store.find_many("session")
        assert {it["expires_at"] - clock.now for it in sessions} == {INSTANT, 2 * INSTANT}
        [verification] = await auth.store.find_many("verification")
        assert verification["identifier"] == "live"

    async def test_a_session_goes_at_the_instant_when_it_ends_for_its_holder(
        self, auth, clock, purge, new_browser
    ):
        """Whoever is told to be signed in is so after a purge."""
        browser = new_browser(auth)
        await browser.sign_up()
        [session] = await auth.store.find_many("session")

        clock.now = session["expires_at"] - INSTANT
        early = await purge()
        clock.now = session["expires_at"]
        in_time = await purge()

        assert (early.sessions, in_time.sessions) == (0, 1)
        assert (await browser.session()).json is None

    async def test_rows_go_in_batches(self, auth, purge, add_sessions, add_verifications):
        """25 rows by 10 are three batches; the count goes on from model to model."""
        await add_sessions(expired=25, live=3)
        await add_verifications(expired=4)
        heard = []

        await purge(batch_size=10, on_progress=lambda *it: heard.append(it))

        assert heard == [(10, 29), (20, 29), (25, 29), (29, 29)]

    @pytest.mark.parametrize("rows", [20, 25])
    async def test_a_batch_that_ends_with_the_rows_is_the_last(
        self, auth, purge, add_sessions, rows
    ):
        """Full or not, no batch is empty, and none is left out."""
        await add_sessions(expired=rows)
        heard = []

        purged = await purge(batch_size=5, on_progress=lambda done, _: heard.append(done))

        assert heard == list(range(5, rows + 1, 5))
        assert purged == Purged(sessions=rows, verifications=0)

    async def test_rows_of_one_instant_go_in_batches_too(self, auth, purge, add_verifications):
        """More than a batch can expire at once."""
        await add_verifications(expired=7)

        purged = await purge(batch_size=2)

        assert purged == Purged(sessions=0, verifications=7)
        assert await auth.store.count("verification") == 0

    async def test_without_expired_rows_nothing_happens(self, auth, purge, add_sessions):
        """No batch, and no row."""
        await add_sessions(live=3)
        heard = []

        purged = await purge(on_progress=lambda *it: heard.append(it))

        assert (purged.total, heard) == (0, [])
        assert await auth.store.count("session") == 3

    async def test_counting_deletes_nothing(
        self, auth, clock, purge, add_sessions, add_verifications
    ):
        """It tells what a purge would do."""
        await add_sessions(expired=2, live=1)
        await add_verifications(expired=3)

        counted = await count_expired(auth.store, clock)

        assert counted == Purged(sessions=2, verifications=3)
        assert await purge() == counted

    async def test_what_went_stays_gone_when_a_purge_breaks_off(self, auth, purge, add_sessions):
        """Each batch is committed before the next begins."""
        await add_sessions(expired=25)

        def break_off(done, _expected):
            if done == 20:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await purge(batch_size=10, on_progress=break_off)

        assert await auth.store.count("session") == 5

    async def test_racing_purges_share_the_rows(
        self, auth, purge, race, add_sessions, add_verifications
    ):
        """All end, nobody gets an error, and each row is counted once."""
        await add_sessions(expired=120, live=3)
        await add_verifications(expired=40)

        purges = await race(6, lambda: purge(batch_size=10))

        assert sum(it.sessions for it in purges) == 120
        assert sum(it.verifications for it in purges) == 40
        assert await auth.store.count("session") == 3
        assert await auth.store.count("verification") == 0

    async def test_a_session_renewed_meanwhile_survives(
        self, auth, clock, purge, spawn, add_sessions
    ):
        """The purge has found it, waits for the renewal, and lets it be."""
        await add_sessions(expired=12)
        renewed = (await auth.store.find_many("session"))[6]

        async with auth.store.transaction():
            changes = {"expires_at": clock.now + timedelta(days=7)}
            await auth.store.update("session", F.id == renewed["id"], changes)
            purging = spawn(purge)
            waited = not await purging.ended(within=0.2)
        purged = await purging.result()

        assert waited
        assert purged.sessions == 11
        [left] = await auth.store.find_many("session")
        assert left["id"] == renewed["id"]

    async def test_racing_sign_ins_renewals_and_readers(
        self, auth, purge, race, new_browser, add_sessions
    ):
        """Nobody gets an error, nobody who is signed in is signed out, and no row is left."""
        stale, due = new_browser(auth), new_browser(auth)
        await stale.sign_up(email="eve@example.org")
        auth.instance.clock.advance(days=6)
        await due.sign_up(email="bob@example.org")
        auth.instance.clock.advance(days=1)
        await add_sessions(expired=60)
        turns, signed_in = count(), []

        async def sign_in():
            browser = new_browser(auth, address=f"203.0.113.{next(turns)}")
            signed_in.append(browser)
            return await browser.sign_in(email="bob@example.org")

        kinds = (
            lambda: purge(batch_size=7),
            sign_in,
            lambda: new_browser(auth, dict(due.cookies)).session(),
            lambda: new_browser(auth, dict(stale.cookies)).session(),
        )

        async def do_one_of_them():
            return await kinds[next(turns) % 4]()

        outcomes = await race(16, do_one_of_them)

        answers = [it for it in outcomes if not isinstance(it, Purged)]
        assert {getattr(it, "status", it) for it in answers} == {200}
        assert (await stale.session()).json is None
        for browser in (due, *signed_in):
            assert (await browser.session()).json["user"]["email"] == "bob@example.org"
        assert await auth.store.count("session") == 1 + len(signed_in)

    async def test_hooks_see_each_row_once(self, auth, purge, with_hooks, race, add_sessions):
        """As with any other deletion, whoever of two purges deletes it."""
        await add_sessions(expired=12, live=1)
        before, after = [], []
        hooked = with_hooks(
            DatabaseHook(
                model="session",
                operation="delete",
                before=lambda row: before.append(row["id"]),
                after=lambda row: after.append(row["id"]),
            )
        )
        live = F.expires_at > auth.instance.clock()
        rows = await auth.store.find_many("session", ~live)

        purges = await race(2, lambda: purge(hooked.store, batch_size=5))

        assert sum(it.sessions for it in purges) == 12
        assert Counter(after) == dict.fromkeys((it["id"] for it in rows), 1)
        assert set(before) == set(after)

    async def test_a_refusal_undoes_one_batch(self, auth, purge, with_hooks, add_sessions):
        """The row that a hook keeps is there, with its batch; what went before is gone."""
        await add_sessions(expired=25)
        asked = count(1)
        hooked = with_hooks(
            DatabaseHook(
                model="session",
                operation="delete",
                before=lambda _row: False if next(asked) == 15 else None,
            )
        )

        with pytest.raises(OperationRefused):
            await purge(hooked.store, batch_size=10)

        assert await auth.store.count("session") == 15

    @pytest.mark.parametrize("batch_size", [0, -1])
    async def test_a_batch_of_nothing_is_a_mistake(self, auth, purge, batch_size):
        """It would never end."""
        with pytest.raises(ConfigurationError, match="deletes nothing"):
            await purge(batch_size=batch_size)


class SQLPurges(Purges):
    """What can be seen past the adapter."""

    @pytest.fixture
    def elsewhere(self, database):
        """Open a connection past everything, in a transaction that is rolled back."""

        @contextmanager
        def elsewhere():
            with create_engine(database, poolclass=NullPool).connect() as connection:
                yield connection

        return elsewhere

    async def test_others_see_each_batch_at_once(self, auth, purge, elsewhere, add_sessions):
        """Between two batches nothing is open, and nothing is locked."""
        await add_sessions(expired=25)
        seen = []

        def look(_done, _expected):
            with elsewhere() as connection:
                connection.execute(text("UPDATE watchword_users SET name = 'Eve'"))
                query = text("SELECT count(*) FROM watchword_sessions")
                seen.append(connection.execute(query).scalar())

        await purge(batch_size=10, on_progress=look)

        assert seen == [15, 5, 0]


class ServerPurges(SQLPurges):
    """What is promised where rows are locked one by one."""

    impatience: str

    @pytest.fixture
    def use_the_living(self, auth, clock, elsewhere):
        """Elsewhere use every live session, and make one; nobody there waits for long."""

        @asynccontextmanager
        async def use_the_living():
            sessions = await auth.store.find_many("session", F.expires_at > clock.now)
            table = auth.adapter.tables.require("session").table
            with elsewhere() as connection:
                connection.execute(text(self.impatience))
                for row in sessions:
                    one = table.update().where(table.c.id == row["id"])
                    connection.execute(one.values(user_agent="in use"))
                new = {**sessions[0], "id": new_uuid(), "token": token_hex()}
                connection.execute(insert(table), new)
                yield

        return use_the_living

    @pytest.mark.parametrize("rows", SOME_OF_BOTH)
    async def test_it_waits_for_no_live_row(
        self, purge, spawn, add_sessions, use_the_living, rows
    ):
        """It ends though all live sessions, and one that is being made, are locked."""
        await add_sessions(**rows)

        async with use_the_living():
            purging = spawn(lambda: purge(batch_size=100))
            ended = await purging.ended(within=10)
        purged = await purging.result()

        assert ended
        assert purged.sessions == rows["expired"]

    @pytest.mark.parametrize("rows", SOME_OF_BOTH)
    async def test_nobody_waits_for_it_at_a_live_row(
        self, auth, purge, add_sessions, use_the_living, rows
    ):
        """Before it is committed, sessions can be used and made."""
        await add_sessions(**rows)

        async with auth.store.transaction():
            purged = await purge(batch_size=100)
            async with use_the_living():
                pass

        assert purged.sessions == rows["expired"]


class ManyRows:
    """Where a purge has never run before."""

    numbers: str
    id_of_n: str

    @pytest.mark.slow
    async def test_many_rows_go(self, auth, clock, purge, user, elsewhere):
        """Many times the default batch; the last one lives and stays."""
        kind = auth.adapter.tables.require("session").table.c.expires_at.type
        ends = [bindparam("ended", clock.now, kind), bindparam("lives", clock.now + INSTANT, kind)]
        statement = text(
            f"WITH RECURSIVE numbers AS ({self.numbers}) INSERT INTO watchword_sessions "
            "(id, user_id, token, expires_at, created_at, updated_at) "
            f"SELECT {self.id_of_n}, :user_id, n, CASE n WHEN 0 THEN :lives ELSE :ended END, "
            ":ended, :ended FROM numbers"
        )
        with elsewhere() as connection:
            connection.execute(statement.bindparams(*ends), {"user_id": user["id"]})
            connection.commit()

        purged = await purge()

        assert purged.sessions == MANY
        [left] = await auth.store.find_many("session")
        assert left["expires_at"] > clock.now


class TestMemory(Purges):
    """The reference."""

    @pytest.fixture
    def database(self):
        """Return nothing."""
        return


class TestSQLite(SQLPurges, ManyRows):
    """SQLite."""

    numbers = f"SELECT 0 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY}"
    id_of_n = "printf('%032x', n)"

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(ServerPurges, ManyRows):
    """PostgreSQL."""

    impatience = "SET lock_timeout = '1s'"
    numbers = f"SELECT generate_series(0, {MANY}) AS n"
    id_of_n = "lpad(to_hex(n), 32, '0')::uuid"

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(ServerPurges):
    """MariaDB, or MySQL."""

    impatience = "SET innodb_lock_wait_timeout = 1"

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database
