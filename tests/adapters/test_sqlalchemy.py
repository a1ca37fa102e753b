"""The SQL adapter keeps the contract, on every database and by every driver."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar, Final

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, select
from sqlalchemy.ext.asyncio import create_async_engine

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.adapters.sqlalchemy.tables import Tables
from watchword.testing import AdapterSuite

# Races take their time, and the whole suite has to fit into a coffee break.
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
pytestmark = [pytest.mark.slow] if IS_SOAK else []
FEWER_ROUNDS: Final = 100 if IS_SOAK else 10
FEWER_HISTORIES: Final = 100 if IS_SOAK else 5


@cache
def make_once(database: str, tables: Tables) -> None:
    """Make the tables in a database, unless that was done before."""
    engine = create_engine(database, poolclass=NullPool)
    tables.metadata.create_all(engine)
    engine.dispose()


class SQLSuite(AdapterSuite):
    """What the suites of all databases and drivers share.

    The tables stay from test to test; the rows do not. Races have fewer rounds than the suite's
    hundred, and histories are fewer; `make soak` gives all drivers hundred.
    """

    rounds = FEWER_ROUNDS
    examples = FEWER_HISTORIES
    has_pool = True
    driver: ClassVar[str]

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of an empty database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def url(self, database):
        """The database by the driver of this class."""
        return make_url(database).set(drivername=self.driver)

    @pytest.fixture(scope="class")
    @classmethod
    def tables(cls, schema):
        """The tables that the suite's models have."""
        return Tables(schema)

    @pytest.fixture
    def other_way(self, database, tables) -> Iterator[Engine]:
        """An engine that the adapter knows nothing of; it empties what is left."""
        engine = create_engine(database, poolclass=NullPool)
        make_once(database, tables)
        with engine.begin() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(table.delete())
        yield engine
        engine.dispose()

    @pytest.fixture
    def adapter(self, url, other_way):
        """On a database without rows."""
        return SQLAlchemyAdapter(url)

    @pytest.fixture
    def small_pool(self, url, other_way, mode):
        """On an engine of one connection."""
        if url.get_dialect().is_async:
            engine = create_async_engine(url, pool_size=1, max_overflow=0)
            yield SQLAlchemyAdapter(engine)
            mode.run(engine.dispose())
        else:
            blocking = create_engine(url, pool_size=1, max_overflow=0)
            yield SQLAlchemyAdapter(blocking)
            blocking.dispose()

    @pytest.fixture
    def peek(self, other_way, tables):
        """Reads by a connection of its own."""

        def peek(model: str) -> list[dict[str, Any]]:
            it = tables.require(model)
            with other_way.connect() as connection:
                rows = connection.execute(select(*it.columns)).all()
            return [dict(zip(it.fields, row, strict=True)) for row in rows]

        return peek


class OnServer(SQLSuite):
    """A server whose connections can be cut."""

    survives_disconnect = True
    cut: ClassVar[str]

    @pytest.fixture
    def disconnect(self, other_way) -> Callable[[], None]:
        """Ends every connection but its own, from within the server."""

        def disconnect() -> None:
            with other_way.connect() as connection:
                for (statement,) in connection.exec_driver_sql(self.cut).all():
                    connection.exec_driver_sql(statement)

        return disconnect


class OnSQLite(SQLSuite):
    """A file."""

    @pytest.fixture
    def database(self, sqlite_database):
        """The database of this module."""
        return sqlite_database


class OnPostgreSQL(OnServer):
    """PostgreSQL."""

    cut = (
        "SELECT 'SELECT pg_terminate_backend(' || pid || ')' FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    @pytest.fixture
    def database(self, postgresql_database):
        """The database of this module."""
        return postgresql_database


class OnMariaDB(OnServer):
    """MariaDB, or MySQL."""

    cut = (
        "SELECT concat('KILL ', id) FROM information_schema.processlist "
        "WHERE db = database() AND id <> connection_id()"
    )

    @pytest.fixture
    def database(self, mysql_database):
        """The database of this module."""
        return mysql_database


class TestSQLite(OnSQLite):
    """Without an event loop; in threads under one, as `TestPsycopg` is, in the soak."""

    driver = "sqlite"
    never_loop = not IS_SOAK


class TestAiosqlite(OnSQLite):
    """SQLite under an event loop."""

    driver = "sqlite+aiosqlite"
    needs_loop = True


class TestPsycopg(OnPostgreSQL):
    """PostgreSQL without an event loop, and in threads under one."""

    driver = "postgresql+psycopg"


class TestPsycopgAsync(OnPostgreSQL):
    """PostgreSQL under an event loop."""

    driver = "postgresql+psycopg_async"
    needs_loop = True


class TestAsyncpg(OnPostgreSQL):
    """PostgreSQL under an event loop."""

    driver = "postgresql+asyncpg"
    needs_loop = True


class TestPyMySQL(OnMariaDB):
    """MariaDB without an event loop; in threads under one, as `TestPsycopg` is, in the soak."""

    driver = "mysql+pymysql"
    never_loop = not IS_SOAK


class TestAiomysql(OnMariaDB):
    """MariaDB under an event loop."""

    driver = "mysql+aiomysql"
    needs_loop = True


class TestSQLiteMakesIds(OnSQLite):
    """The same with integers for ids."""

    driver = "sqlite"
    ids = "bigint"
    rounds = 3
    never_loop = not IS_SOAK
