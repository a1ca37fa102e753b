"""A MongoDB for the tests: the server of WATCHWORD_MONGODB_URL, or a stand-in of our own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Final

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.synchronous.database import Database

STAND_IN: Final = Path(__file__).with_name("stand_in.py")
REAL: Final = os.environ.get("WATCHWORD_MONGODB_URL")
# A program that starts takes seconds on a machine that is busy.
PATIENCE_MS: Final = 30_000


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory) -> Iterator[str]:
    """The server, without a database's name."""
    if REAL is not None:
        yield REAL
        return
    port = free_port()
    with (tmp_path_factory.mktemp("mongodb") / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, STAND_IN, str(port)], stdout=log, stderr=log)
    url = f"mongodb://127.0.0.1:{port}"
    try:
        with MongoClient(url, serverSelectionTimeoutMS=PATIENCE_MS) as client:
            client.admin.command("ping")
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def mongodb_name() -> str:
    """The name of a database that nobody else has."""
    return f"watchword_{token_hex(6)}"


@pytest.fixture(scope="session")
def mongodb_database(mongodb_url, mongodb_name) -> Iterator[Database]:
    """That database, by a client that no adapter knows."""
    with MongoClient(mongodb_url, tz_aware=True) as client:
        yield client[mongodb_name]
        client.drop_database(mongodb_name)


@pytest.fixture
def empty(mongodb_database) -> Database:
    """The same without documents; the indexes stay."""
    for name in mongodb_database.list_collection_names():
        mongodb_database[name].delete_many({})
    return mongodb_database


@pytest.fixture
def client(mongodb_url, watchword_mode, run):
    """PyMongo's client that fits the test's mode."""
    if watchword_mode.name == "driven":
        with MongoClient(mongodb_url) as blocking:
            yield blocking
        return
    asynchronous = AsyncMongoClient(mongodb_url)
    yield asynchronous
    run(asynchronous.close())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave races on the stand-in to the soak.

    It makes a collection in the transaction that first writes to it, and of many at once one may
    miss it when that is undone.
    """
    if REAL is not None or "WATCHWORD_SOAK" in os.environ:
        return
    here = Path(__file__).parent
    racing = [
        it
        for it in items
        if here in it.path.parents and {"race", "spawn"} & set(getattr(it, "fixturenames", ()))
    ]
    config.hook.pytest_deselected(items=racing)
    items[:] = [it for it in items if it not in set(racing)]
