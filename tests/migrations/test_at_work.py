"""Migrating while people sign in, while others hold locks, and while a caller is cancelled."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from watchword.adapters.sqlalchemy.dialects import schema_lock
from watchword.concurrency import run_blocking
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.plugins.username import Username
from watchword.schema import Field
from watchword.storage.query import F

# Seconds after which something that should have happened will not.
PATIENCE = 30
WAITING = {
    "postgresql": "SELECT 1 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    "mysql": "SELECT 1 FROM information_schema.processlist "
    "WHERE db = DATABASE() AND state = 'Waiting for table metadata lock'",
}
ASKING = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
    "AND query LIKE 'SELECT pg_try_advisory_lock%%' AND pid <> pg_backend_pid()",
    "mysql": "SELECT 1 FROM information_schema.processlist "
    "WHERE db = DATABASE() AND state = 'User lock'",
}

on_servers = pytest.mark.parametrize("emptied", ["postgresql", "mysql"], indirect=True)


@contextmanager
def _elsewhere(database: str) -> Iterator[Connection]:
    """Connect as somebody else; each statement commits by itself."""
    engine = create_engine(database, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def _until(is_so: Callable[[], Any]) -> None:
    """Ask again and again."""
    give_up_at = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < give_up_at


class TestSomebodyHoldsTheTable:
    """A transaction of somebody else is open, and has a lock on the table of users."""

    @on_servers
    @pytest.mark.parametrize("lock", ["", " FOR UPDATE"], ids=["read", "row"])
    def test_people_sign_in_meanwhile(self, emptied, lock, new_auth, new_browser, execute):
        """Who waits for the table lets those behind pass, and gets it when it is free."""
        url = make_url(emptied)
        old, new = new_auth(url), new_auth(url, plugins=[Username()])
        run_blocking(old.migrate())
        for name in ("ada", "eve"):
            run_blocking(new_browser(old).sign_up(email=f"{name}@example.org"))
        told: list[Any] = []
        answers: list[Any] = []
        migrating = threading.Thread(target=lambda: told.append(run_blocking(new.migrate())))
        browser = new_browser(old)
        signing_in = threading.Thread(
            target=lambda: answers.append(run_blocking(browser.sign_in()))
        )

        with _elsewhere(emptied) as holder:
            holder.exec_driver_sql("BEGIN")
            # Not of the one who signs in.
            eve = "SELECT id FROM watchword_users WHERE email = 'eve@example.org'"
            holder.exec_driver_sql(eve + lock)
            migrating.start()
            waiting = WAITING[url.get_backend_name()]
            _until(lambda: execute(emptied, waiting))
            signing_in.start()
            signing_in.join(PATIENCE)
            assert [it.status for it in answers] == [200]
            _until(lambda: execute(emptied, waiting))
            assert told == []
            holder.exec_driver_sql("COMMIT")
        migrating.join(PATIENCE)

        [migrated] = told
        assert migrated.version == 2
        for auth in (old, new):
            run_blocking(auth.close())


# What an application does with the user of an id, by a statement of its own each.
ASKED: dict[str, Callable[[Any, str], Any]] = {
    "found": lambda auth, key: auth.users.get(key),
    "listed": lambda auth, key: auth.store.find_many("user", F.id == key),
    "changed": lambda auth, key: auth.store.update("user", F.id == key, {"name": "Grace"}),
    "locked": lambda auth, key: auth.store.find_one("user", F.id == key, lock=True),
}
# psycopg prepares what it is asked more often than this on one connection.
OFTEN = 6


@pytest.fixture
def pool(emptied_postgresql) -> Iterator[Engine]:
    """An application's engine whose pool holds more connections than anybody tries."""
    engine = create_engine(emptied_postgresql, pool_size=20)
    with ExitStack() as opened:
        for _ in range(20):
            opened.enter_context(engine.connect())
    yield engine
    engine.dispose()


@pytest.fixture
def migrate_plan(application) -> Callable[[Any], Any]:
    """Give a column of the users another type, as the next version of an application does."""

    async def migrate(database: Any) -> None:
        changed = await application(database, {"plan": Field("text", required=False)}).migrate()
        assert len(changed.changes) == 1

    return migrate


@pytest.fixture
def running(application) -> Callable[[Any], Any]:
    """An application with tables, as it runs on while another one migrates; and its user."""

    async def running(database: Any) -> tuple[Any, str]:
        auth = application(database, {"plan": Field("string", required=False)})
        await auth.create_tables()
        return auth, (await auth.users.create(email="ada@example.org", name="Ada")).id

    return running


class TestPreparedStatements:
    """A running process prepared its statements before a column got another type."""

    @pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
    async def test_it_goes_on(self, emptied_postgresql, running, migrate_plan, ask):
        """Reads and writes alike are run again on a new connection."""
        auth, ada = await running(emptied_postgresql)
        for _ in range(OFTEN):
            assert await ask(auth, ada)

        await migrate_plan(emptied_postgresql)

        for _ in range(OFTEN):
            assert await ask(auth, ada)

    @pytest.mark.needs_loop
    @pytest.mark.parametrize("make", [make_url, create_async_engine], ids=["url", "engine"])
    async def test_psycopg_on_a_loop(self, emptied_postgresql, running, migrate_plan, make):
        """The driver prepares there as it does without a loop."""
        url = make_url(emptied_postgresql).set(drivername="postgresql+psycopg_async")
        database = make(url)
        auth, ada = await running(database)
        for _ in range(OFTEN):
            assert await auth.users.get(ada)

        await migrate_plan(emptied_postgresql)

        assert await auth.users.get(ada)
        await (auth.close() if database is url else database.dispose())

    async def test_on_every_connection(self, pool, emptied_postgresql, running, migrate_plan):
        """However many there are, nobody hears of it."""
        auth, ada = await running(pool)
        for _ in range(OFTEN * pool.pool.checkedin()):
            await auth.users.get(ada)

        await migrate_plan(emptied_postgresql)

        assert await auth.users.get(ada)

    async def test_a_transaction_that_begins(
        self, pool, emptied_postgresql, running, migrate_plan
    ):
        """Nothing was done yet, so it begins on another connection."""
        auth, ada = await running(pool)
        for _ in range(OFTEN * pool.pool.checkedin()):
            await auth.users.get(ada)

        await migrate_plan(emptied_postgresql)

        async with auth.transaction():
            assert await auth.users.get(ada)

    async def test_a_transaction_that_has_begun(self, emptied_postgresql, running, migrate_plan):
        """It is undone, and whoever repeats it succeeds."""
        auth, ada = await running(emptied_postgresql)

        async def work() -> Any:
            await auth.store.count("session")
            await auth.store.update("user", F.email == "ada@example.org", {"image": "half"})
            return await auth.store.find_many("user", F.id == ada)

        for _ in range(OFTEN):
            await auth.run_in_transaction(work)
        await auth.users.update(ada, image="")

        await migrate_plan(emptied_postgresql)

        with pytest.raises(StorageUnavailable, match="tables were changed") as failure:
            async with auth.transaction():
                await work()
        assert failure.value.retryable
        assert (await auth.users.get(ada)).image == ""
        assert await auth.run_in_transaction(work)

    async def test_a_joined_session(self, pool, emptied_postgresql, running, migrate_plan):
        """The application's connection stays its own; after its rollback all is well."""
        auth, ada = await running(pool)
        by_id = F.id == ada

        with pool.connect() as connection, Session(connection) as session:
            for _ in range(OFTEN):
                async with auth.using(session):
                    await auth.store.find_many("user", by_id)
                session.commit()
            theirs = connection.connection.dbapi_connection
            await migrate_plan(emptied_postgresql)
            with pytest.raises(StorageUnavailable) as failure:
                async with auth.using(session):
                    await auth.store.find_many("user", by_id)
            session.rollback()
            async with auth.using(session):
                found = await auth.store.find_many("user", by_id)

            assert failure.value.retryable
            assert len(found) == 1
            assert connection.connection.dbapi_connection is theirs


@pytest.mark.needs_loop
class TestCancelled:
    """The task that migrates is cancelled."""

    @on_servers
    async def test_between_two_statements(self, emptied, application):
        """The connection and the lock are given back, and the next run does the rest."""
        engine = create_async_engine(_with_loop(emptied), pool_size=1, max_overflow=0)
        auth = application(engine)
        is_at_work = asyncio.Event()

        async def stay(progress: Any) -> None:
            if progress.step == 3:
                is_at_work.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(auth.migrate(on_progress=stay))
        await is_at_work.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.pool.checkedout() == 0
        async with asyncio.timeout(PATIENCE):
            migrated = await application(emptied).migrate()
        assert migrated.version == 1
        assert migrated.changes != ()
        assert (await auth.migrate()).changes == ()
        await engine.dispose()

    @on_servers
    async def test_while_it_waits_for_its_turn(self, emptied, application, execute):
        """It ends at once, though another process is still at work."""
        engine = create_async_engine(_with_loop(emptied), pool_size=1, max_overflow=0)
        auth = application(engine)
        asking = ASKING[make_url(emptied).get_backend_name()]

        with _elsewhere(emptied) as other, schema_lock(other):
            other.exec_driver_sql("SELECT 1")  # it is not the one that is asking
            task = asyncio.create_task(auth.migrate())
            async with asyncio.timeout(PATIENCE):
                while not await asyncio.to_thread(execute, emptied, asking):
                    assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                async with asyncio.timeout(PATIENCE):
                    await task
            assert engine.pool.checkedout() == 0

        assert (await auth.migrate()).version == 1
        await engine.dispose()

    async def test_at_any_moment(self, emptied, application):
        """Wherever it is, the next run finds a database that it can go on with."""
        for moments in range(0, 60, 6):
            auth = application(emptied)
            task = asyncio.create_task(auth.migrate())
            for _ in range(moments):
                await asyncio.wait([task], timeout=0.001)
            task.cancel()
            await asyncio.wait([task])

        assert (await application(emptied).migrate()).version == 1


class TestCallers:
    """Who calls it, and on what."""

    async def test_one_connection_is_enough(self, emptied, application, watchword_mode):
        """It is the application's own, and free again for it."""
        size = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 5}
        if watchword_mode.name == "loop":
            engine = create_async_engine(_with_loop(emptied), **size)
            dispose = engine.dispose
        else:
            engine = create_engine(emptied, **size)
            dispose = _blocking(engine.dispose)
        auth = application(engine)

        first, again = await auth.migrate(), await auth.migrate()

        assert (first.version, again.version, again.changes) == (1, 1, ())
        assert await auth.store.count("user") == 0
        await dispose()

    async def test_a_blocking_engine(self, emptied, application):
        """Under an event loop its statements go to threads."""
        engine = create_engine(emptied, pool_size=1, max_overflow=0)
        auth = application(engine)

        assert (await auth.migrate()).version == 1
        assert await auth.store.count("user") == 0
        engine.dispose()

    async def test_inside_a_transaction(self, emptied, application):
        """It is refused: tables are not changed in a transaction of somebody's."""
        auth = application(emptied)

        with pytest.raises(ConfigurationError, match="transaction"):
            async with auth.store.transaction():
                await auth.migrate()

        assert (await auth.migrate()).version == 1

    def test_one_loop_after_the_other(self, emptied, new_auth):
        """What a loop has made does not keep the next one from working."""
        auth = new_auth(_with_loop(emptied))

        async def migrate_and_count() -> tuple[int, int]:
            try:
                return (await auth.migrate()).version, await auth.store.count("user")
            finally:
                await auth.close()

        assert asyncio.run(migrate_and_count()) == (1, 0)
        assert asyncio.run(migrate_and_count()) == (1, 0)

    def test_two_loops_at_once(self, emptied, new_auth):
        """One does it, the other one finds it done."""
        auth = new_auth(_with_loop(emptied))
        start = threading.Barrier(2)
        told: list[Any] = []

        async def migrate() -> None:
            start.wait()
            try:
                told.append(await auth.migrate())
            finally:
                await auth.close()

        threads = [threading.Thread(target=lambda: asyncio.run(migrate())) for _ in range(2)]
        for it in threads:
            it.start()
        for it in threads:
            it.join(PATIENCE)

        assert [it.version for it in told] == [1, 1]
        assert sorted(bool(it.changes) for it in told) == [False, True]


def _with_loop(database: str) -> Any:
    """Return the URL for a driver that needs an event loop."""
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "mysql": "mysql+aiomysql",
    }
    url = make_url(database)
    return url.set(drivername=drivers[url.get_backend_name()])


def _blocking(function: Callable[[], None]) -> Callable[[], Any]:
    async def call() -> None:
        function()

    return call
