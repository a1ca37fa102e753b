"""What tests of migrations share: an application that changes, on a database of each kind."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest
from pymongo import MongoClient
from sqlalchemy import URL, NullPool, create_engine, make_url

from watchword import UserOptions, Watchword
from watchword.schema import Field

ASYNC_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}


FORKING: Final = Path(__file__).with_name("forking.py")


@pytest.fixture(scope="session")
def forked() -> Iterator[Callable[..., list[Any]]]:
    """Run `killing`, `racing` or a module in a process that knows it; return what it tells."""

    def forked(*words: Any) -> list[Any]:
        server.stdin.write(json.dumps([str(it) for it in words]) + "\n")
        server.stdin.flush()
        told: list[Any] = []
        while "ended" not in (it := json.loads(server.stdout.readline())):
            told.append(it)
        assert it["ended"] == 0, "it is told above why"
        return told

    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, str(FORKING)], stdin=pipe, stdout=pipe, text=True
    ) as server:
        yield forked


@pytest.fixture(scope="module")
def mongodb_database(mongodb_url) -> Iterator[str]:
    """A MongoDB database of this module; the URL of it."""
    with MongoClient(mongodb_url) as client:
        address, _, options = mongodb_url.partition("?")
        name = f"watchword_{token_hex(6)}"
        yield f"{address.rstrip('/')}/{name}{f'?{options}' if options else ''}"
        client.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def emptied(request) -> str:
    """An empty database of each kind; the URL is of the blocking driver."""
    database = str(request.getfixturevalue(f"{request.param}_database"))
    _empty(make_url(database))
    return database


@pytest.fixture
def emptied_postgresql(postgresql_database) -> str:
    """An empty database of PostgreSQL."""
    _empty(make_url(postgresql_database))
    return str(postgresql_database)


def _empty(url: URL) -> None:
    """Remove every table; an SQLite file is made again by whoever comes first."""
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).unlink(missing_ok=True)
        return
    whole = {"postgresql": "SCHEMA public", "mysql": f"DATABASE {url.database}"}
    name = whole[url.get_backend_name()]
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql(
            f"DROP {name}" + (" CASCADE" if name == "SCHEMA public" else "")
        )
        connection.exec_driver_sql(f"CREATE {name}")


@pytest.fixture
def application(new_auth, run, watchword_mode) -> Iterator[Callable[..., Watchword]]:
    """Make an application with fields of its own, by the driver that fits the test's mode."""
    made: list[Watchword] = []

    def application(
        database: Any, fields: Mapping[str, Field] | None = None, **settings: Any
    ) -> Watchword:
        if isinstance(database, str):
            database = make_url(database)
            if watchword_mode.name == "loop":
                driver = ASYNC_DRIVERS[database.get_backend_name()]
                database = database.set(drivername=driver)
        user = UserOptions(additional_fields=fields or {})
        made.append(new_auth(database, user=user, **settings))
        return made[-1]

    yield application
    for auth in made:
        run(auth.close())


@pytest.fixture
def execute() -> Callable[..., list[Any]]:
    """Run a statement past the application, and return its rows."""

    def execute(database: str, sql: str) -> list[Any]:
        engine = create_engine(database, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            result = connection.exec_driver_sql(sql)
            return list(result) if result.returns_rows else []

    return execute
