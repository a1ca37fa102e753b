"""What a process that was forked does with what its parent had open."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

SERVER: Final = Path(__file__).with_name("preforking_server.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


def _run(*command: str) -> str:
    """Run a program that forks; threads of the tests' own process would not survive it."""
    run = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=90, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


ASYNC_DRIVERS: Final = {
    "sqlite": [],
    "postgresql": ["postgresql+asyncpg", "postgresql+psycopg_async"],
    "mysql": ["mysql+aiomysql"],
}


class TestPreforkingServer:
    """An instance may be used before a server forks."""

    @pytest.mark.parametrize("server", ASYNC_DRIVERS)
    def test_everybody_gets_their_own_answers(self, request, server):
        """Children share no connection, and what they close is not the parent's.

        By our engine and by one of the application's; without an event loop, and where each
        child begins one.
        """
        url = make_url(request.getfixturevalue(f"{server}_database"))
        on_loops = [url.set(drivername=it) for it in ASYNC_DRIVERS[server]]
        cases = [
            *((kind, url) for kind in ("blocking", "own-blocking")),
            *((kind, it) for kind in ("loop", "own-loop") for it in on_loops),
        ]

        arguments = [
            text for kind, it in cases for text in (kind, it.render_as_string(hide_password=False))
        ]

        assert _run(str(SERVER), *arguments) == ""


PROGRAM: Final = """
import os, signal, sys
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.concurrency import run_blocking
from watchword.crypto.sealing import KeyRing
from watchword.schema import CORE_MODELS, resolve_schema
from watchword.storage.store import Store

signal.alarm(20)
schema = resolve_schema(CORE_MODELS)
adapter = SQLAlchemyAdapter(sys.argv[1])
store = Store(adapter, schema, sealer=KeyRing(["0123456789abcdefghijklmnopqrstuv"]))
run_blocking(adapter.create_schema(schema))

def create(name):
    run_blocking(store.create("user", {"name": name, "email": f"{name}@example.org"}))

create("parent")
(child_reads, parent_writes), (parent_reads, child_writes) = os.pipe(), os.pipe()
if os.fork() == 0:
    signal.alarm(20)
"""
WHOSE_PARENT_LEAVES: Final = (
    PROGRAM
    + """
    create("before")
    os.write(child_writes, b".")
    os.read(child_reads, 1)
    create("after")
    os._exit(0)
os.read(parent_reads, 1)
run_blocking(adapter.close())
os.write(parent_writes, b".")
print(os.wait()[1])
"""
)
IN_MEMORY: Final = (
    PROGRAM
    + """
    create("child")
    print(run_blocking(store.count("user")), flush=True)
    os._exit(0)
print(os.wait()[1], run_blocking(store.count("user")))
"""
)


class TestSQLite:
    """SQLite's locks belong to a process; its memory is copied."""

    def test_a_parent_that_leaves_takes_nothing_along(self, sqlite_database):
        """What a child wrote, before and after, is in the file."""
        assert _run("-c", WHOSE_PARENT_LEAVES, sqlite_database) == "0\n"

        engine = create_engine(sqlite_database, poolclass=NullPool)
        with engine.connect() as connection:
            names = connection.execute(text("SELECT name FROM watchword_users")).scalars().all()
        assert sorted(names) == ["after", "before", "parent"]

    def test_a_database_in_memory_is_copied(self):
        """A child finds what was there, and what it writes is its own."""
        assert _run("-c", IN_MEMORY, "sqlite://") == "2\n0 1\n"
