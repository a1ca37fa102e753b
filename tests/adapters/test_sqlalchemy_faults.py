"""What goes wrong around the SQL adapter: cancelled tasks, slow servers, odd engines."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.crypto.sealing import KeyRing
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.schema import CORE_MODELS, resolve_schema
from watchword.storage.hooks import DatabaseHook
from watchword.storage.query import F
from watchword.storage.store import Store

SCHEMA = resolve_schema(CORE_MODELS)
ADA = {"name": "Ada", "email": "ada@example.org"}
EVE = {"name": "Eve", "email": "eve@example.org"}


def _store(database, *hooks: DatabaseHook) -> Store:
    sealer = KeyRing(["0123456789abcdefghijklmnopqrstuv"])
    return Store(SQLAlchemyAdapter(database), SCHEMA, sealer=sealer, hooks=hooks)


@pytest.fixture
def memory(run):
    """A store on an SQLite database in memory, which is one connection."""
    store = _store("sqlite://")
    run(store.adapter.create_schema(SCHEMA))
    yield store
    run(store.adapter.close())


@pytest.fixture
def asyncpg_url(postgresql_database):
    """A PostgreSQL database by its driver for event loops."""
    return make_url(postgresql_database).set(drivername="postgresql+asyncpg")


@pytest.fixture
def postgresql(asyncpg_url, run):
    """A store on it, without users."""
    store = _store(asyncpg_url)
    run(store.adapter.create_schema(SCHEMA))
    run(store.delete_many("user", None))
    yield store
    run(store.adapter.close())


class TestCancellation:
    """A task that is cancelled takes nothing with it."""

    @pytest.mark.needs_loop
    async def test_a_waiting_transaction_leaves_the_database_in_memory(self, memory):
        """The connection that it got too late is the database."""
        entered = asyncio.Event()
        leave = asyncio.Event()

        async def holder() -> None:
            async with memory.transaction():
                await memory.create("user", ADA)
                entered.set()
                await leave.wait()

        async def waiter() -> None:
            async with memory.transaction():
                await memory.create("user", EVE)

        holding = asyncio.ensure_future(holder())
        await entered.wait()
        waiting = asyncio.ensure_future(waiter())
        await asyncio.sleep(0.05)  # it waits in a thread, which tells nobody
        waiting.cancel()
        leave.set()
        await holding
        with suppress(asyncio.CancelledError):
            await waiting

        assert await memory.count("user") == 1

    @pytest.mark.needs_loop
    async def test_a_cancelled_commit_sends_its_mail(self, postgresql):
        """Wherever the cancellation comes: a row that is kept is spoken of, another is not."""
        outcomes = set()
        for turns in range(0, 240, 3):
            sent: list[str] = []

            async def mail(sent=sent) -> None:
                sent.append("mail")

            async def sign_up(mail=mail) -> None:
                async with postgresql.transaction():
                    await postgresql.create("user", ADA)
                    await postgresql.after_commit(mail)

            task = asyncio.ensure_future(sign_up())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            kept = await postgresql.delete_many("user", None)

            assert len(sent) == kept
            outcomes.add(kept)
        assert outcomes == {0, 1}


class TestSlowServer:
    """An answer that does not come in time may mean anything."""

    @pytest.mark.needs_loop
    async def test_a_write_that_timed_out_is_not_to_be_repeated(self, postgresql, asyncpg_url):
        """Its connection was open, so it may have been done."""
        await postgresql.create("user", ADA)
        engine = create_async_engine(asyncpg_url, connect_args={"command_timeout": 0.3})
        hasty = _store(engine)

        async with postgresql.transaction():
            await postgresql.update("user", F.email == ADA["email"], {"name": "Grace"})
            with pytest.raises(StorageUnavailable) as failure:
                await _elsewhere(hasty.update("user", F.email == ADA["email"], {"name": "Eve"}))

        assert failure.value.retryable is False
        await engine.dispose()


async def _elsewhere(coroutine):
    """Run it in a task of its own, outside of the open transaction."""
    return await asyncio.ensure_future(coroutine)


class TestErrorsOfOthers:
    """A transaction goes by its own errors."""

    async def test_another_databases_outage_keeps_no_half(self, memory):
        """A savepoint that is left by it is undone like any other."""
        other = _store("postgresql+psycopg://postgres@127.0.0.1:1/nobody")

        async with memory.transaction():
            await memory.create("user", ADA)
            with suppress(StorageUnavailable):
                async with memory.transaction():
                    await memory.create("user", EVE)
                    await other.count("user")

        [user] = await memory.find_many("user")
        assert user["name"] == "Ada"


class TestEngines:
    """Engines of applications come in all shapes."""

    def test_one_connection_for_all_is_refused(self):
        """Tasks would get into each other's transactions."""
        with pytest.raises(ConfigurationError, match="StaticPool"):
            SQLAlchemyAdapter(create_engine("sqlite://", poolclass=StaticPool))
        with pytest.raises(ConfigurationError, match="StaticPool"):
            SQLAlchemyAdapter(create_async_engine("sqlite+aiosqlite://"))

    def test_one_database_for_each_thread_is_refused(self):
        """Nobody would find what another thread wrote."""
        with pytest.raises(ConfigurationError, match="SingletonThreadPool"):
            SQLAlchemyAdapter(create_engine("sqlite://"))

    def test_many_adapters_listen_once(self):
        """What is asked of an application's engine does not grow with each of them."""
        engine = create_engine("postgresql+psycopg://postgres@127.0.0.1:1/nobody")

        for _ in range(3):
            SQLAlchemyAdapter(engine)

        assert len(list(engine.dialect.dispatch.handle_error)) == 1

    @pytest.mark.needs_loop
    async def test_a_translated_schema_is_read_as_it_is_written(self, postgresql, asyncpg_url):
        """All ways of reading find the rows of one tenant."""
        engine = create_async_engine(asyncpg_url)
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA IF EXISTS tenant CASCADE"))
            await connection.execute(text("CREATE SCHEMA tenant"))
        tenant = _store(engine.execution_options(schema_translate_map={None: "tenant"}))
        await tenant.adapter.create_schema(SCHEMA)
        await postgresql.create("user", ADA)
        await tenant.create("user", ADA | {"name": "Tenant's"})

        found = await tenant.find_one("user", F.email == ADA["email"])

        assert found == (await tenant.find_many("user"))[0]
        assert found["name"] == "Tenant's"
        await engine.dispose()

    @pytest.mark.never_loop
    async def test_a_translated_schema_of_a_blocking_engine(self, postgresql_database):
        """The same, where a connection of SQLAlchemy's takes the text of a read."""
        engine = create_engine(postgresql_database)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA IF EXISTS tenant CASCADE"))
            connection.execute(text("CREATE SCHEMA tenant"))
        stores = (
            _store(engine),
            _store(engine.execution_options(schema_translate_map={None: "tenant"})),
        )
        for store, name in zip(stores, ("Ours", "Tenant's"), strict=True):
            await store.adapter.create_schema(SCHEMA)
            await store.delete_many("user", None)
            await store.create("user", ADA | {"name": name})

        found = [await store.find_one("user", F.email == ADA["email"]) for store in stores]

        assert [it["name"] for it in found] == ["Ours", "Tenant's"]
        engine.dispose()

    async def test_a_session_without_foreign_keys_is_refused(self, tmp_path):
        """A deleted user would leave their sessions to whoever comes next."""
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        store = _store(engine)
        await store.adapter.create_schema(SCHEMA)
        engine.dispose()

        with Session(engine) as session:
            session.execute(text("UPDATE watchword_users SET name = 'x'"))
            with pytest.raises(ConfigurationError, match="without foreign keys"):
                async with store.using(session):
                    await store.delete_many("user", None)
        engine.dispose()


class TestSchema:
    """Tables are made outside of transactions."""

    async def test_not_inside_one(self, memory):
        """MariaDB would commit what is open; so no database is asked."""
        with suppress(ConfigurationError):
            async with memory.transaction():
                await memory.create("user", ADA)
                await memory.adapter.create_schema(SCHEMA)

        assert await memory.count("user") == 0


@pytest.mark.needs_loop
async def test_each_caller_consumes_a_row_of_its_own(asyncpg_url, postgresql, race):
    """With a hook as without: as many callers as rows, and nothing is left."""
    gone: list[str] = []
    hook = DatabaseHook(model="user", operation="delete", after=lambda row: gone.append(row["id"]))
    store = _store(asyncpg_url, hook)
    for number in range(4):
        await store.create("user", ADA | {"email": f"{number}@example.org"})

    rows = await race(4, lambda: store.consume_one("user", F.name == "Ada"))

    assert len({row["id"] for row in rows}) == 4
    assert sorted(gone) == sorted(row["id"] for row in rows)
    await store.adapter.close()
