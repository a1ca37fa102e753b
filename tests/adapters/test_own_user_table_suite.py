"""The SQL adapter keeps the contract where its users stand in a table of the application's."""

from typing import ClassVar

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


class OnTheirTable(Joins, Violations, Values, Stores):
    """What of the suite is about users and what points at them."""

    rounds = 20
    driver: ClassVar[str]

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def people(self):
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

    @pytest.fixture
    def adapter(self, database, people):
        """On tables without rows."""
        engine = create_engine(database, poolclass=NullPool)
        people.metadata.create_all(engine)
        adapter = SQLAlchemyAdapter(
            make_url(database).set(drivername=self.driver),
            user_model=people,
            fields={"id": "number", "image": "picture"},
        )
        yield adapter
        with engine.begin() as connection:
            for table in reversed(adapter.tables.metadata.sorted_tables):
                connection.execute(table.delete())

    @pytest.fixture
    def schema(self, adapter):
        """The suite's, with the application's table in it."""
        own = adapter.own_tables(hooked=False, makes_ids=False)
        return suite_schema(own=own)

    @pytest.fixture
    def peek(self, database, adapter):
        """Reads by a connection of its own."""

        def peek(model):
            it = adapter.tables.require(model)
            with create_engine(database, poolclass=NullPool).connect() as connection:
                rows = connection.execute(select(*it.columns)).all()
            return [dict(zip(it.fields, row, strict=True)) for row in rows]

        return peek


class TestSQLite(OnTheirTable):
    """A file."""

    driver = "sqlite+aiosqlite"
    needs_loop = True

    @pytest.fixture
    def database(self, sqlite_database):
        """The database of this test."""
        return sqlite_database


class TestPostgreSQL(OnTheirTable):
    """PostgreSQL."""

    driver = "postgresql+psycopg"

    @pytest.fixture
    def database(self, postgresql_database):
        """The database of this module."""
        return postgresql_database


class TestAsyncpg(TestPostgreSQL):
    """The same, by the driver that reads sessions past SQLAlchemy."""

    driver = "postgresql+asyncpg"
    needs_loop = True


class TestMariaDB(OnTheirTable):
    """MariaDB, or MySQL."""

    driver = "mysql+pymysql"

    @pytest.fixture
    def database(self, mysql_database):
        """The database of this module."""
        return mysql_database
