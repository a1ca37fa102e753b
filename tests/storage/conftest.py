"""What tests of the store share: a schema, stores over one memory, and who hears of what."""

import os
from itertools import count
from pathlib import Path

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.crypto.sealing import KeyRing
from watchword.schema import NOW, VERIFICATION, Field, Model, resolve_schema
from watchword.storage.store import Store

SECRET = "correct-horse-battery-staple-0123456789"
NUMBERS = count(1)
TICKET = Model(
    "ticket",
    {
        "code": Field("string", unique=True, digest=True, required=False),
        "secret": Field("text", sealed=True, required=False),
        "label": Field("string", default="none"),
        "number": Field("integer", default=lambda: next(NUMBERS)),
        "uses": Field("integer", default=0),
        "made_at": Field("datetime", default=NOW),
        "changed_at": Field("datetime", default=NOW, on_update=NOW),
    },
)
NOTE = Model("note", {"ticket_id": Field.reference("ticket"), "text": Field("string")})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Let the soak run every race of these tests: elsewhere they have fewer rounds and callers."""
    if "WATCHWORD_SOAK" not in os.environ:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents and "race" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


class Required:
    """An adapter with the operations that every one has, and none of the others."""

    def __init__(self, adapter):
        self._adapter = adapter

    def __getattr__(self, name):
        """Hide what is optional."""
        if name in {"consume_one", "create_many", "transaction", "create_schema", "using"}:
            raise AttributeError(name)
        return getattr(self._adapter, name)


@pytest.fixture
def adapter():
    """The memory of this test."""
    return MemoryAdapter()


@pytest.fixture
def new_store(adapter, clock):
    """Make stores over one adapter."""

    def new_store(*hooks, ids="uuid", secrets=(SECRET,), over=None, **options):
        schema = resolve_schema([TICKET, NOTE, VERIFICATION], ids=ids)
        options = {"clock": clock, "sealer": KeyRing(secrets), **options}
        return Store(over or adapter, schema, hooks=hooks, **options)

    return new_store


@pytest.fixture
def store(new_store):
    """A store without hooks."""
    return new_store()


@pytest.fixture
def rows(adapter):
    """Read rows past the store."""

    async def rows(model="ticket"):
        return await adapter.find_many(model)

    return rows


@pytest.fixture
def required(adapter):
    """The same memory, by the operations that every adapter has."""
    return Required(adapter)


@pytest.fixture
def heard():
    """What hooks were told."""
    return []


@pytest.fixture
def note(heard):
    """Make work for after the commit."""

    def note(text):
        async def work():
            heard.append(text)

        return work

    return note
