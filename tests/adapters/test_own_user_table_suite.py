"""The SQL adapter keeps the contract where its users stand in a table of the application's."""

import os
from typing import ClassVar, Final

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    MetaData,
    NullPool,
    String,
    Table,
    Text,
    Uuid,
    create_engine,
    make_url,
    select,
)
from sqlalchemy.dialects.mysql import DATETIME

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.testing.suite.joins import Joins
from watchword.testing.suite.models import suite_schema
from watchword.testing.suite.stores import Stores
from watchword.testing.suite.values import Values
from watchword.testing.suite.violations import Violations

INSTANT = DateTime(timezone=True).with_variant(DATETIME(fsp=6), "mysql", "mariadb")


# Races take their time; `make soak` runs them at full length.
ROUNDS: Final = 100 if "WATCHWORD_SOAK" in os.environ else 5


class OnTheirTable(Joins, Violations, Values, Stores):
    """What of the suite is about users and what points at them.

    The adapter and its tables stay from test to test; the rows do not, nor do connections.
    """

    rounds = ROUNDS
    driver: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def database(cls) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def people(cls):
        """The application's table."""
        return Table(
            "people",
            MetaData(),
            Column("number", Uuid, primary_key=True),
            Column("name", String(100), nullable=False),
            Column("email", String(254), nullable=False, unique=True),
            Column("emailVerified", Boolean, nullable=False),
            Column("picture", Text),
            Column("created_at", INSTANT, nullable=False),
            Column("updated_at", INSTANT, nullable=False),
        )

    @pytest.fixture(scope="class")
    @classmethod
    def other_way(cls, database, people):
        """An engine that the adapter knows nothing of; it makes the application's table."""
        engine = create_engine(database, poolclass=NullPool)
        people.metadata.create_all(engine)
        yield engine
        engine.dispose()

    @pytest.fixture(scope="class")
    @classmethod
    def shared_adapter(cls, database, people):
        """The adapter of all tests."""
        return SQLAlchemyAdapter(
            make_url(database).set(drivername=cls.driver),
            user_model=people,
            fields={"id": "number", "image": "picture"},
        )

    @pytest.fixture(scope="class")
    @classmethod
    def schema(cls, shared_adapter):
        """The suite's, with the application's table in it."""
        own = shared_adapter.own_tables(hooked=False, makes_ids=False)
        return suite_schema(own=own)

    @pytest.fixture
    def adapter(self, shared_adapter, other_way):
        """On tables without rows."""
        yield shared_adapter
        with other_way.begin() as connection:
            for table in reversed(shared_adapter.tables.metadata.sorted_tables):
                connection.execute(table.delete())

    @pytest.fixture
    def peek(self, other_way, adapter):
        """Reads by a connection of its own."""

        def peek(model):
            it = adapter.tables.require(model)
            with other_way.connect() as connection:
                rows = connection.execute(select(*it.columns)).all()
            return [dict(zip(it.fields, row, strict=True)) for row in rows]

        return peek


class TestSQLite(OnTheirTable):
    """A file."""

    driver = "sqlite+aiosqlite"
    needs_loop = True

    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, tmp_path_factory):
        """The database of this class."""
        return f"sqlite:///{tmp_path_factory.mktemp('people')}/auth.db"


class TestPostgreSQL(OnTheirTable):
    """PostgreSQL."""

    driver = "postgresql+psycopg"

    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, postgresql_database):
        """The database of this module."""
        return postgresql_database


class TestAsyncpg(TestPostgreSQL):
    """The same, by the driver that reads sessions past SQLAlchemy."""

    driver = "postgresql+asyncpg"
    needs_loop = True


class TestMariaDB(OnTheirTable):
    """MariaDB, or MySQL."""

    driver = "mysql+pymysql"

    @pytest.fixture(scope="class")
    @classmethod
    def database(cls, mysql_database):
        """The database of this module."""
        return mysql_database
