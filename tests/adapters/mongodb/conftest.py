"""A MongoDB for the tests: the server of WATCHWORD_MONGODB_URL, or a stand-in of our own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.synchronous.database import Database

STAND_IN: Final = Path(__file__).with_name("stand_in.py")
REAL: Final = os.environ.get("WATCHWORD_MONGODB_URL")


@contextmanager
def server_of(folder: Path, *flags: str) -> Iterator[str]:
    """Start a stand-in and return its URL; it writes what goes wrong to `log` in the folder."""
    command = [sys.executable, str(STAND_IN), "0", *flags]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, f"it did not start: see {log.name}"
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory) -> Iterator[str]:
    """A replica set, without a database's name."""
    if REAL is not None:
        yield REAL
        return
    with server_of(tmp_path_factory.mktemp("mongodb")) as url:
        yield url


@pytest.fixture(scope="session")
def mongodb_alone_url(tmp_path_factory) -> Iterator[str]:
    """A server that is no replica set, and knows no transactions; the real one does as well."""
    if REAL is not None:
        yield REAL
        return
    with server_of(tmp_path_factory.mktemp("alone"), "--alone") as url:
        yield url


@pytest.fixture(scope="session")
def mongodb_name() -> str:
    """The name of a database that nobody else has."""
    return f"watchword_{token_hex(6)}"


@contextmanager
def database_at(url: str, name: str) -> Iterator[Database]:
    """Open a database by a client that no adapter knows; drop it in the end."""
    with MongoClient(url, tz_aware=True) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="session")
def mongodb_database(mongodb_url, mongodb_name) -> Iterator[Database]:
    """That database of the replica set."""
    with database_at(mongodb_url, mongodb_name) as database:
        yield database


@pytest.fixture(scope="session")
def mongodb_alone_database(mongodb_alone_url, mongodb_name) -> Iterator[Database]:
    """That database of the server that is alone."""
    with database_at(mongodb_alone_url, mongodb_name) as database:
        yield database


def emptied(database: Database) -> Database:
    """Delete all documents; the indexes stay."""
    for name in database.list_collection_names():
        database[name].delete_many({})
    return database


@pytest.fixture
def empty(mongodb_database) -> Database:
    """The database without documents."""
    return emptied(mongodb_database)


@pytest.fixture
def alone_empty(mongodb_alone_database) -> Database:
    """The same on the server that is alone."""
    return emptied(mongodb_alone_database)


@contextmanager
def client_of(url: str, mode: Any, run: Any) -> Iterator[MongoClient | AsyncMongoClient]:
    """Open PyMongo's client that fits a mode."""
    if mode.name == "driven":
        with MongoClient(url) as blocking:
            yield blocking
        return
    asynchronous = AsyncMongoClient(url)
    yield asynchronous
    run(asynchronous.close())


@pytest.fixture
def client(mongodb_url, watchword_mode, run):
    """PyMongo's client that fits the test's mode."""
    with client_of(mongodb_url, watchword_mode, run) as client:
        yield client


@pytest.fixture
def alone_client(mongodb_alone_url, watchword_mode, run):
    """The same of the server that is alone."""
    with client_of(mongodb_alone_url, watchword_mode, run) as client:
        yield client
