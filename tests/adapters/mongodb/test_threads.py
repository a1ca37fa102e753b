"""Many at once: threads, event loops beside one another, and few connections for all."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient, MongoClient

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.documents import Collections
from watchword.concurrency import run_blocking
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.storage.query import F, Increment
from watchword.testing.suite.cancellation import Cancellation
from watchword.testing.suite.faults import Faults
from watchword.testing.suite.models import SUITE_SCHEMA

CALLERS = 8
# Milliseconds that are waited for an answer.
HASTY = 300
ONE = F.code == "one"
COUNT = {"uses": Increment()}


class TestMongoClientInThreads(Cancellation, Faults):
    """A blocking client under an event loop, each step in a thread."""

    needs_loop = True
    has_pool = True
    survives_disconnect = True

    @pytest.fixture
    def open_blocking(self, empty):
        """Make adapters with blocking clients."""
        made = []

        def open_blocking(url, **options):
            made.append(MongoClient(url, **options))
            return MongoDBAdapter(made[-1], name=empty.name)

        yield open_blocking
        for it in made:
            it.close()

    @pytest.fixture
    def adapter(self, proxy, open_blocking):
        """By a way that may be cut."""
        return open_blocking(proxy.url)

    @pytest.fixture
    def small_pool(self, open_blocking, mongodb_url):
        """By one connection."""
        return open_blocking(mongodb_url, maxPoolSize=1)

    @pytest.fixture
    def disconnect(self, proxy):
        """Cuts it."""
        return proxy.disconnect


@pytest.fixture
def adapter(mongodb_url, empty):
    """By the URL, with one ticket in the database."""
    return opened(mongodb_url, empty)


@pytest.fixture
def uses(empty):
    """How often the ticket was used."""
    return lambda: empty[Collections(SUITE_SCHEMA).require("ticket").name].find_one()["uses"]


def opened(database, empty):
    """Return an adapter on a database with one ticket."""
    adapter = MongoDBAdapter(database, name=empty.name)
    adapter.bind(SUITE_SCHEMA)
    by_thread = MongoDBAdapter(empty)
    run_blocking(by_thread.create_schema(SUITE_SCHEMA))
    by_thread.bind(SUITE_SCHEMA)
    row = {"id": str(uuid4()), "code": "one", "uses": 0}
    run_blocking(by_thread.create("ticket", row))
    return adapter


async def use_twice(adapter):
    """Do two steps of one transaction."""
    async with adapter.transaction():
        await adapter.update("ticket", ONE, COUNT)
        await adapter.update("ticket", ONE, COUNT)


def side_by_side(function):
    """Call a function in several threads that begin at once; return what each returned."""
    start = threading.Barrier(CALLERS)

    def call(_):
        start.wait()
        return function()

    with ThreadPoolExecutor(CALLERS) as threads:
        return list(threads.map(call, range(CALLERS)))


@pytest.mark.never_loop
class TestSideBySide:
    """One adapter for a URL serves whoever comes, from the first call on."""

    def test_threads_have_transactions_of_their_own(self, adapter, uses):
        """They share one client, and each counts."""
        side_by_side(lambda: run_blocking(use_twice(adapter)))

        assert uses() == 2 * CALLERS
        run_blocking(adapter.close())

    def test_loops_have_clients_of_their_own(self, adapter, uses):
        """Each closes its own, and no other one."""

        async def use_and_leave():
            await use_twice(adapter)
            await adapter.close()
            await adapter.count("ticket")
            await adapter.close()

        side_by_side(lambda: asyncio.run(use_and_leave()))

        assert uses() == 2 * CALLERS

    def test_loops_one_after_another(self, adapter, uses):
        """What one did before is no hindrance; without a loop it works as well."""

        async def use_and_leave():
            await use_twice(adapter)
            await adapter.close()

        for _ in range(3):
            asyncio.run(use_and_leave())
            run_blocking(use_twice(adapter))
        run_blocking(adapter.close())

        assert uses() == 12

    def test_closing_without_a_loop_leaves_the_loops(self, adapter, uses):
        """An async client is closed on its own loop, by whoever runs there."""
        with asyncio.Runner() as runner:
            runner.run(use_twice(adapter))
            run_blocking(use_twice(adapter))
            run_blocking(adapter.close())
            runner.run(use_twice(adapter))
            runner.run(adapter.close())

        assert uses() == 6

    def test_an_async_client_of_another_loop(self, mongodb_url, empty):
        """It is refused, with what to pass instead."""
        client = AsyncMongoClient(mongodb_url)
        adapter = opened(client, empty)

        with asyncio.Runner() as runner:
            runner.run(adapter.count("ticket"))
            for call in (adapter.count("ticket"), use_twice(adapter)):
                with pytest.raises(ConfigurationError, match="another event loop"):
                    asyncio.run(call)
            runner.run(client.close())


class TestFewConnections:
    """A transaction holds rows, but no connection between its steps."""

    @pytest.mark.needs_loop
    @pytest.mark.parametrize("kind", [MongoClient, AsyncMongoClient])
    async def test_a_write_that_waits_for_a_transaction(self, proxy, empty, uses, kind):
        """The server lets it wait, with the only connection, no longer than for an answer."""
        client = kind(proxy.url, maxPoolSize=1, socketTimeoutMS=HASTY, retryWrites=False)
        adapter = opened(client, empty)

        async with adapter.transaction():
            await adapter.update("ticket", ONE, COUNT)
            waiting = asyncio.ensure_future(adapter.update("ticket", ONE, COUNT))
            await asyncio.to_thread(proxy.wait_for, "findAndModify", 2)
            await adapter.update("ticket", ONE, COUNT)
        [outage] = await asyncio.gather(waiting, return_exceptions=True)

        assert isinstance(outage, StorageUnavailable)
        assert not outage.retryable
        assert uses() >= 2
        closing = client.close()
        if closing is not None:
            await closing
