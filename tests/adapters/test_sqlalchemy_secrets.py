"""What the errors of a database may tell whoever reads a log."""

import traceback

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.concurrency import offload
from watchword.crypto.sealing import KeyRing
from watchword.errors import StorageError
from watchword.schema import CORE_MODELS, Naming, resolve_schema
from watchword.storage.store import Store

ADA = {"name": "Ada", "email": "ada@example.org"}
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def url(request, watchword_mode):
    """Each kind of database, by the driver that fits the test's mode."""
    url = make_url(request.getfixturevalue(f"{request.param}_database"))
    return url.set(drivername=ASYNC_DRIVERS[request.param]) if _on_loop(watchword_mode) else url


@pytest.fixture(params=["url", "engine"])
def adapter(request, url, watchword_mode, run):
    """An adapter on our engine, and on one of an application that hides nothing."""
    if request.param == "url":
        adapter = SQLAlchemyAdapter(url)
        yield adapter
        run(adapter.close())
    elif _on_loop(watchword_mode):
        engine = create_async_engine(url)
        yield SQLAlchemyAdapter(engine)
        run(engine.dispose())
    else:
        blocking = create_engine(url)
        yield SQLAlchemyAdapter(blocking)
        run(offload(blocking.dispose))


def _on_loop(mode) -> bool:
    return bool(mode.name == "loop")


async def test_no_parameter_is_printed(adapter):
    """Addresses and password hashes stay out of an error and of all that stands behind it."""
    schema = resolve_schema(CORE_MODELS, naming=Naming(prefix="never_made_"))
    store = Store(adapter, schema, sealer=KeyRing(["0123456789abcdefghijklmnopqrstuv"]))

    with pytest.raises(StorageError) as failure:
        await store.create("user", ADA)

    printed = "".join(traceback.format_exception(failure.value))
    assert "INSERT INTO never_made_users" in printed
    assert ADA["email"] not in printed
