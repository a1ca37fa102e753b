"""What the SQL adapter makes of a URL, and what it sets up on its connections."""

import asyncio
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect, make_url, text

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.concurrency import run_blocking
from watchword.crypto.sealing import KeyRing
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.schema import CORE_MODELS, Naming, resolve_schema
from watchword.storage.query import F
from watchword.storage.store import Store

SCHEMA = resolve_schema(CORE_MODELS)
REQUIRING = "ada:tiger@127.0.0.1:1/shop?sslmode=require"
NOBODY = "0190c1f0-0000-7000-8000-000000000000"
ADA = {"name": "Ada", "email": "ada@example.org"}


def _store(database: Any) -> Store:
    sealer = KeyRing(["0123456789abcdefghijklmnopqrstuv"])
    return Store(SQLAlchemyAdapter(database), SCHEMA, sealer=sealer)


async def refused_parameter(store: Store) -> None:
    """See that `sslmode` is refused wherever a connection is opened."""
    works = (
        lambda: store.count("user"),
        lambda: store.find_one("user", F.id == NOBODY),
        lambda: store.run_in_transaction(lambda: store.count("user")),
    )
    for work in works:
        with pytest.raises(ConfigurationError, match="does not take all") as refusal:
            await work()

        assert "ssl=require" in refusal.value.hint
        assert "tiger" not in "".join(traceback.format_exception(refusal.value))


@pytest.fixture
def new_store() -> Iterator[Callable[[Any], Store]]:
    """Makes stores on blocking drivers and closes them."""
    stores: list[Store] = []

    def new_store(database: Any) -> Store:
        stores.append(_store(database))
        return stores[-1]

    yield new_store
    for store in stores:
        run_blocking(store.adapter.close())


class TestURL:
    """A URL is checked when the adapter is made, and connected to later."""

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("not a url", "cannot be read"),
            ("", "cannot be read"),
            ("oracle+nothing://host/db", "no database driver"),
            ("mysql+asyncmy://root@host/db", "not installed"),
            ("postgresql+psycopg://host/db?port=some", "has a value"),
            ("postgresql+asyncpg://host/db?port=some", "has a value"),
            ("mysql+aiomysql://root@host/db?connect_timeout=long", "has a value"),
            ("mysql+pymysql://root@host/db?connect_timeout=long", "has a value"),
            ("sqlite:///auth.db?timeout=long", "has a value"),
        ],
    )
    def test_a_bad_one_is_refused(self, url, message):
        """Mistakes show at the start, with a hint."""
        with pytest.raises(ConfigurationError, match=message) as refusal:
            SQLAlchemyAdapter(url)

        assert refusal.value.hint

    def test_a_password_is_never_shown(self):
        """The refusal of a URL does not repeat it."""
        with pytest.raises(ConfigurationError) as refusal:
            SQLAlchemyAdapter("oracle+nothing://scott:tiger@host/db")

        assert "tiger" not in str(refusal.value)

    @pytest.mark.parametrize(
        "url", ["postgresql://ada:pre@tiger:x@host/db", "postgresql+asyncpg://ada:x@host:tiger/db"]
    )
    def test_a_part_of_a_password_is_never_shown(self, url):
        """One with an @ that is not escaped is read wrongly; no traceback repeats a part."""
        with pytest.raises(ConfigurationError, match="cannot be read") as refusal:
            SQLAlchemyAdapter(url)

        printed = "".join(traceback.format_exception(refusal.value))
        assert re.findall("tiger|pre@|x@", printed) == []
        assert "%40" in refusal.value.hint

    @pytest.mark.needs_loop
    @pytest.mark.parametrize("driver", ["postgresql+asyncpg", "mysql+aiomysql"])
    async def test_a_parameter_that_an_async_driver_does_not_know(self, driver):
        """It is named, and no more of the URL, whatever opens the connection."""
        await refused_parameter(_store(f"{driver}://{REQUIRING}"))

    async def test_a_parameter_that_a_blocking_driver_does_not_know(self, new_store):
        """As by an async one."""
        await refused_parameter(new_store(f"mysql+pymysql://{REQUIRING}"))

    def test_something_else_is_refused(self):
        """What is no database is refused by name."""
        with pytest.raises(ConfigurationError, match="A int is no database"):
            SQLAlchemyAdapter(42)

    async def test_nobody_is_there(self, new_store):
        """An unreachable database is not available; nothing else comes through."""
        store = new_store("postgresql+psycopg://postgres@127.0.0.1:1/nobody")

        with pytest.raises(StorageUnavailable):
            await store.count("user")

    @pytest.mark.needs_loop
    async def test_nobody_is_there_under_a_loop(self):
        """The same by a driver that raises errors of the operating system."""
        store = _store("postgresql+asyncpg://postgres@127.0.0.1:1/nobody")

        with pytest.raises(StorageUnavailable):
            await store.find_one("user", F.email == "ada@example.org")

    @pytest.mark.never_loop
    async def test_an_async_driver_without_a_loop(self):
        """A call that is driven says which kind of driver it wants."""
        store = _store("sqlite+aiosqlite://")

        with pytest.raises(ConfigurationError, match="needs an event loop"):
            await store.count("user")


class TestLoops:
    """Connections belong to an event loop; an adapter made from a URL outlives several."""

    def test_each_loop_has_its_own_engine(self, postgresql_database):
        """Tables made in one loop serve the requests of the next."""
        store = _store(make_url(postgresql_database).set(drivername="postgresql+asyncpg"))

        async def prepare() -> None:
            await store.adapter.create_schema(SCHEMA)
            await store.delete_many("user", None)
            await store.adapter.close()

        async def use() -> int:
            await store.create("user", ADA)
            count = await store.count("user")
            await store.adapter.close()
            return count

        asyncio.run(prepare())

        assert asyncio.run(use()) == 1


class TestSQLite:
    """A file that several writers share."""

    def test_connections_are_set_up(self, tmp_path, new_store):
        """Readers and writers go side by side, references hold, writers wait."""
        url = f"sqlite:///{tmp_path}/rows.db"
        store = new_store(url)
        run_blocking(store.adapter.create_schema(SCHEMA))
        pragmas = ("journal_mode", "foreign_keys", "busy_timeout")

        def read(connection: Any) -> dict[str, Any]:
            return {it: connection.exec_driver_sql(f"PRAGMA {it}").scalar() for it in pragmas}

        found = run_blocking(store.adapter._gate.read("user", read))

        assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}

    async def test_memory_is_one_database(self, new_store):
        """In memory every call finds what the others wrote, also in a transaction."""
        store = new_store("sqlite://")
        await store.adapter.create_schema(SCHEMA)

        async with store.transaction():
            await store.create("user", ADA)

        assert await store.count("user") == 1

    async def test_the_applications_engine_is_set_up_too(self, tmp_path):
        """References hold on an engine that the application made."""
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        store = _store(engine)
        await store.adapter.create_schema(SCHEMA)
        user = await store.create("user", ADA)
        await store.create(
            "account", {"user_id": user["id"], "account_id": "1", "provider_id": "x"}
        )

        await store.delete("user", F.id == user["id"])

        assert await store.count("account") == 0
        engine.dispose()


class TestTables:
    """What `create_schema` makes."""

    async def test_many_at_once(self, postgresql_database, race):
        """Eight processes may start together; tables are made once, and nobody fails."""
        await self._make_at_once(postgresql_database, race)

    async def test_many_at_once_on_mariadb(self, mysql_database, race):
        """The same where tables cannot be made in a transaction."""
        await self._make_at_once(mysql_database, race)

    async def test_many_at_once_on_sqlite(self, sqlite_database, race):
        """The same in a file that is not there yet."""
        await self._make_at_once(sqlite_database, race)

    async def _make_at_once(self, database, race):
        async def make() -> None:
            store = _store(database)
            await store.adapter.create_schema(SCHEMA)
            await store.adapter.close()

        outcomes = await race(8, make)

        assert outcomes == [None] * 8
        engine = create_engine(database)
        assert "watchword_users" in inspect(engine).get_table_names()
        engine.dispose()

    def test_every_foreign_key_cascades_and_has_an_index(self, postgresql_database, new_store):
        """Deleting a user needs no search through whole tables, and leaves nothing."""
        run_blocking(new_store(postgresql_database).adapter.create_schema(SCHEMA))
        engine = create_engine(postgresql_database)
        inspector = inspect(engine)

        for table in ("watchword_sessions", "watchword_accounts"):
            indexed = {tuple(it["column_names"]) for it in inspector.get_indexes(table)}
            for key in inspector.get_foreign_keys(table):
                assert key["options"]["ondelete"] == "CASCADE"
                assert tuple(key["constrained_columns"]) in indexed
        engine.dispose()

    def test_mariadb_keeps_fractions_and_compares_exactly(self, mysql_database, new_store):
        """Instants have microseconds; text is equal only to itself."""
        run_blocking(new_store(mysql_database).adapter.create_schema(SCHEMA))
        engine = create_engine(mysql_database)

        with engine.connect() as connection:
            columns = connection.execute(
                text(
                    "SELECT data_type, datetime_precision, collation_name FROM "
                    "information_schema.columns WHERE table_schema = database() "
                    "AND column_name IN ('created_at', 'email', 'user_agent')"
                )
            ).all()

        kinds = {tuple(row) for row in columns}
        assert ("datetime", 6, None) in kinds
        assert {row[2] for row in kinds if row[2]} <= {"utf8mb4_nopad_bin", "utf8mb4_0900_bin"}
        engine.dispose()


@pytest.mark.parametrize("server", ["sqlite", "postgresql", "mysql"])
def test_a_number_is_never_given_again(request, server):
    """A link that was mailed to a deleted user does nothing to the next one."""
    adapter = SQLAlchemyAdapter(request.getfixturevalue(f"{server}_database"))
    schema = resolve_schema(CORE_MODELS, ids="bigint", naming=Naming(prefix="numbered_"))
    store = Store(adapter, schema, sealer=KeyRing(["0123456789abcdefghijklmnopqrstuv"]))
    run_blocking(adapter.create_schema(schema))

    first = run_blocking(store.create("user", ADA))
    run_blocking(store.delete("user", F.id == first["id"]))
    second = run_blocking(store.create("user", ADA))

    assert second["id"] not in {None, first["id"]}
    run_blocking(adapter.close())


class TestStatements:
    """What reaches the database."""

    @pytest.fixture
    def heard(self, postgresql_database):
        """A store, and the statements that it sends."""
        engine = create_engine(postgresql_database)
        statements: list[str] = []
        event.listen(
            engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, *_: statements.append(statement.split()[0]),
        )
        store = _store(engine)
        run_blocking(store.adapter.create_schema(SCHEMA))
        run_blocking(store.delete_many("user", None))
        statements.clear()
        yield store, statements
        engine.dispose()

    async def test_a_read_is_one_statement(self, heard):
        """No BEGIN and no ROLLBACK stand around it."""
        store, statements = heard

        await store.find_one("user", F.email == "ada@example.org")

        assert statements == ["SELECT"]

    async def test_a_write_is_one_statement(self, heard):
        """No SELECT follows an INSERT."""
        store, statements = heard

        await store.create("user", ADA)
        await store.update("user", F.email == ADA["email"], {"name": "Eve"})
        await store.consume_one("user", F.email == ADA["email"])

        assert statements == ["INSERT", "UPDATE", "DELETE"]

    async def test_a_transaction_begins_with_its_first_statement(self, heard):
        """An empty one costs nothing; another has one BEGIN and one COMMIT."""
        store, statements = heard

        async with store.transaction():
            pass
        async with store.transaction():
            await store.create("user", ADA)

        assert statements == ["BEGIN", "INSERT", "COMMIT"]


def test_threads_share_an_adapter(sqlite_database, new_store):
    """Writers of many threads wait for one another; none finds the database locked."""
    store = new_store(sqlite_database)
    run_blocking(store.adapter.create_schema(SCHEMA))
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            run_blocking(store.create("user", ADA | {"email": f"{number}@example.org"}))
        except BaseException as error:  # noqa: BLE001 - judged below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert run_blocking(store.count("user")) == 40
    run_blocking(store.adapter.close())
