"""Databases of our own on the servers that tests run against."""

from collections.abc import Iterator
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import NullPool, create_engine


def _with_driver(url: str, driver: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme=driver, path=f"/{database}"))


def _own_database(server: str, driver: str, maintenance: str) -> Iterator[str]:
    """Make a database, and drop it when its tests are done."""
    name = f"watchword_{token_hex(6)}"
    url = _with_driver(server, driver, maintenance)
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield _with_driver(server, driver, name)
    with engine.connect() as connection:
        force = " WITH (FORCE)" if driver.startswith("postgresql") else ""
        connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


@pytest.fixture(scope="class")
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """An empty PostgreSQL database; the URL is of its blocking driver."""
    yield from _own_database(postgresql_url, "postgresql+psycopg", "postgres")


@pytest.fixture(scope="class")
def mysql_database(mysql_url: str) -> Iterator[str]:
    """An empty MariaDB or MySQL database; the URL is of its blocking driver."""
    yield from _own_database(mysql_url, "mysql+pymysql", "")


@pytest.fixture(scope="class")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An SQLite file that is not there yet; the URL is of the blocking driver."""
    return f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/rows.db"
