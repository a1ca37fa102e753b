"""What goes wrong on the way to MongoDB: lost questions, lost answers, no answers, no server."""

from contextlib import suppress
from uuid import uuid4

import pytest

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.documents import Collections
from watchword.adapters.mongodb.sources import open_source
from watchword.errors import StorageError, StorageUnavailable
from watchword.storage.query import F, Increment
from watchword.testing.suite.models import SUITE_SCHEMA

TICKETS = Collections(SUITE_SCHEMA).require("ticket").name
ONE = F.code == "one"
COUNT = {"uses": Increment()}
# What is sent for a call, and the call.
READS = {
    "find": lambda it: it.find_one("ticket", ONE),
    "aggregate": lambda it: it.count("ticket"),
}
WRITES = {
    "insert": lambda it: it.create("ticket", ticket("two")),
    "findAndModify": lambda it: it.update("ticket", ONE, COUNT),
}
# Milliseconds that are waited for what is held for ever.
HASTY = 200

# The driver's monitor may leave a socket to the garbage collector when it is cut off.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def ticket(code, **values):
    """Return a new row."""
    return {"id": str(uuid4()), "code": code, **values}


@pytest.fixture
def new_adapter(proxy, new_client, empty):
    """Make adapters that go by the proxy, on a database with one ticket."""

    async def new_adapter(**options):
        client = new_client(proxy.url, **options)
        adapter = MongoDBAdapter(client, name=empty.name)
        adapter.bind(SUITE_SCHEMA)
        await adapter.create_schema(SUITE_SCHEMA)
        await adapter.create("ticket", ticket("one", uses=0))
        proxy.seen.clear()
        return adapter

    return new_adapter


@pytest.fixture
def adapter(new_adapter, run):
    """One whose driver sends again what it may."""
    return run(new_adapter())


@pytest.fixture
def uses(empty):
    """How often the ticket was used, past the proxy."""
    return lambda: empty[TICKETS].find_one({"code": "one"})["uses"]


async def used_twice(adapter):
    """Do two steps of one transaction."""
    async with adapter.transaction():
        await adapter.update("ticket", ONE, COUNT)
        await adapter.update("ticket", ONE, COUNT)


async def outage_of(coroutine):
    """Return what is said about an outage."""
    with pytest.raises(StorageUnavailable) as outage:
        await coroutine
    return outage.value


class TestCutConnections:
    """A question is lost before it arrives, or its answer after it was done."""

    @pytest.mark.parametrize("fault", ["cut", "lose"])
    @pytest.mark.parametrize("command", READS)
    async def test_a_read_is_asked_again(self, adapter, proxy, command, fault):
        """Nobody hears of it."""
        expected = await READS[command](adapter)
        proxy.fail(command, fault)

        assert await READS[command](adapter) == expected

        assert proxy.times(command) == 3

    @pytest.mark.parametrize("fault", ["cut", "lose"])
    async def test_attack_a_lost_answer_counts_twice(self, adapter, proxy, uses, fault):
        """A replica set knows a write that is sent again, and answers as it did before."""
        proxy.fail("findAndModify", fault)

        row = await adapter.update("ticket", ONE, COUNT)

        assert proxy.times("findAndModify") == 2
        assert row["uses"] == uses() == 1

    async def test_attack_a_lost_answer_consumes_for_nobody(self, adapter, proxy):
        """Whoever consumed a row gets it, and nobody else does."""
        proxy.fail("findAndModify", "lose")

        row = await adapter.consume_one("ticket", ONE)

        assert row["code"] == "one"
        assert await adapter.consume_one("ticket", ONE) is None

    @pytest.mark.parametrize("command", WRITES)
    @pytest.mark.parametrize(("fault", "is_done"), [("cut", False), ("lose", True)])
    async def test_a_write_of_unknown_outcome(self, new_adapter, proxy, command, fault, is_done):
        """It is not sent again unless the server knows it again, and not called retryable."""
        adapter = await new_adapter(retryWrites=False)
        proxy.fail(command, fault)

        outage = await outage_of(WRITES[command](adapter))

        assert not outage.retryable
        assert proxy.times(command) == 1
        done = (F.code == "two") | (F.uses == 1)
        assert await adapter.count("ticket", done) == is_done

    async def test_a_write_that_is_lost_twice(self, adapter, proxy, uses):
        """The driver gives up; the first may have been done, and it was."""
        proxy.fail("findAndModify", "lose", "cut")

        outage = await outage_of(adapter.update("ticket", ONE, COUNT))

        assert not outage.retryable
        assert uses() == 1


class TestCutTransactions:
    """What was not committed was not done, so it may be done again from its beginning."""

    @pytest.mark.parametrize("fault", ["cut", "lose"])
    @pytest.mark.parametrize("before", [0, 1])
    async def test_it_begins_anew(self, adapter, proxy, uses, fault, before):
        """At its first step or at a later one; what was done before counts once."""
        async with adapter.transaction():
            for _ in range(before):
                await adapter.update("ticket", ONE, COUNT)
            proxy.fail("findAndModify", fault)
            await adapter.update("ticket", ONE, COUNT)

        assert uses() == before + 1

    async def test_a_single_call_of_several_steps_begins_anew(self, adapter, proxy, uses):
        """As one that the caller began."""
        proxy.fail("update", "lose")

        assert await adapter.update_many("ticket", ONE, COUNT) == 1

        assert uses() == 1

    @pytest.mark.parametrize("fault", ["cut", "lose"])
    async def test_a_commit_is_sent_twice(self, adapter, proxy, uses, fault):
        """A server that has committed says so again."""
        proxy.fail("commitTransaction", fault)

        await used_twice(adapter)

        assert proxy.times("commitTransaction") == 2
        assert uses() == 2

    @pytest.mark.parametrize("whole", [False, True])
    async def test_a_commit_of_unknown_outcome(self, adapter, proxy, uses, whole):
        """It is not done again, by nobody: it may be done, and here it is."""
        proxy.fail("commitTransaction", "lose", "cut")
        work = adapter.update_many("ticket", ONE, COUNT) if whole else used_twice(adapter)

        outage = await outage_of(work)

        assert not outage.retryable
        assert proxy.times("commitTransaction") == 2
        assert uses() == (1 if whole else 2)

    async def test_a_rollback_that_is_lost(self, adapter, proxy, uses):
        """The driver sends it again, and nobody hears of it."""
        proxy.fail("abortTransaction", "lose")

        with suppress(LookupError):
            async with adapter.transaction():
                await adapter.update("ticket", ONE, COUNT)
                raise LookupError

        assert proxy.times("abortTransaction") == 2
        await used_twice(adapter)
        assert uses() == 2

    @pytest.mark.parametrize("fault", ["cut", "lose"])
    async def test_a_savepoint_begins_anew(self, adapter, proxy, uses, fault):
        """What was undone in it stays undone."""
        async with adapter.transaction():
            await adapter.update("ticket", ONE, COUNT)
            with suppress(LookupError):
                async with adapter.transaction():
                    await adapter.update("ticket", ONE, COUNT)
                    raise LookupError
            proxy.fail("findAndModify", fault)
            await adapter.update("ticket", ONE, COUNT)

        assert uses() == 2


class TestSilence:
    """A server that takes a question and never answers it."""

    @pytest.mark.parametrize(("command", "calls"), [("find", READS), ("findAndModify", WRITES)])
    async def test_a_call_ends(self, new_adapter, proxy, command, calls):
        """A read may be asked again; a write may have been done."""
        adapter = await new_adapter(socketTimeoutMS=HASTY)
        proxy.fail(command, "hold", "hold")

        outage = await outage_of(calls[command](adapter))

        assert outage.retryable is (command == "find")
        assert proxy.times(command) == 2
        await used_twice(adapter)

    async def test_a_transaction_waits_once(self, new_adapter, proxy, uses):
        """It is not begun again at once, for that would take as long again; but it may be."""
        adapter = await new_adapter(socketTimeoutMS=HASTY)
        proxy.fail("findAndModify", "hold", "hold")

        outage = await outage_of(used_twice(adapter))

        assert outage.retryable
        assert proxy.times("findAndModify") == 1
        assert uses() == 0

    async def test_a_commit_without_an_answer(self, new_adapter, proxy):
        """It is asked for twice, and its outcome is unknown."""
        adapter = await new_adapter(socketTimeoutMS=HASTY)
        proxy.fail("commitTransaction", "lose", "hold")

        outage = await outage_of(used_twice(adapter))

        assert not outage.retryable
        assert proxy.times("commitTransaction") == 2

    async def test_a_url_waits_for_some_seconds(self):
        """For a server, a connection and an answer, unless it says otherwise in any case."""
        hasty = "mongodb://localhost/?serverSelectionTimeoutMS=1&SOCKETTIMEOUTMS=2000"
        bounds = [await bounds_of(it) for it in ("mongodb://localhost", hasty)]

        assert bounds == [(5, 5, 10, 10), (0.001, 5, 10, 2)]

    async def test_a_url_with_a_bound_for_everything(self, proxy, empty):
        """The driver's own bound of a whole call holds."""
        adapter = MongoDBAdapter(f"{proxy.url}&timeoutMS={HASTY}", name=empty.name)
        adapter.bind(SUITE_SCHEMA)
        await adapter.count("ticket")
        proxy.fail("find", "hold", "hold", "hold")

        outage = await outage_of(adapter.find_one("ticket", ONE))

        assert outage.retryable
        await adapter.close()


async def bounds_of(url):
    """Return how many seconds the driver waits for what."""
    source = open_source(url, None)
    database = await source.line.do(lambda database: [database])
    options = database[0].client.options
    pool = options.pool_options
    bounds = (
        options.server_selection_timeout,
        pool.connect_timeout,
        pool.wait_queue_timeout,
        pool.socket_timeout,
    )
    await source.close()
    return bounds


class TestKilledServers:
    """A server that is killed and comes back."""

    @pytest.fixture
    def adapter(self, server, run):
        """By the URL of the test's own server."""
        adapter = MongoDBAdapter(f"{server.url}/?serverSelectionTimeoutMS=500")
        adapter.bind(SUITE_SCHEMA)
        run(adapter.create_schema(SUITE_SCHEMA))
        yield adapter
        run(adapter.close())

    async def test_it_works_again(self, adapter, server):
        """Each call says that there is nobody, until there is somebody."""
        await adapter.create("ticket", ticket("one", uses=0))
        server.kill()

        for call in (READS["find"], WRITES["insert"], used_twice):
            with pytest.raises(StorageUnavailable):
                await call(adapter)
        assert (await outage_of(WRITES["insert"](adapter))).retryable
        server.start()

        await adapter.create("ticket", ticket("one", uses=0))
        await used_twice(adapter)
        assert await adapter.count("ticket", F.uses == 2) == 1

    async def test_killed_in_a_transaction(self, adapter, server):
        """It says that nothing was done; another one works."""

        async def write():
            async with adapter.transaction():
                await adapter.create("ticket", ticket("one"))
                server.kill()
                await adapter.create("ticket", ticket("two"))

        assert (await outage_of(write())).retryable
        server.start()

        assert await adapter.count("ticket") == 0
        await adapter.create("ticket", ticket("one", uses=0))
        await used_twice(adapter)

    async def test_closed_in_a_transaction(self, adapter):
        """It fails with an error of ours."""

        async def write():
            async with adapter.transaction():
                await adapter.create("ticket", ticket("one"))
                await adapter.close()
                await adapter.create("ticket", ticket("two"))

        with pytest.raises(StorageError):
            await write()
