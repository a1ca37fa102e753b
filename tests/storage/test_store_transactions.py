"""The store's transactions: what waits for the commit, what is repeated, what is composed."""

import asyncio
import logging
from itertools import count

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.errors import (
    ConfigurationError,
    StorageUnavailable,
    TransactionEnded,
    UniqueViolation,
)
from watchword.storage.query import F


class Failing(Exception):
    """Ends a block."""


async def test_work_outside_a_transaction_runs_at_once(store, note, heard):
    """There is nothing to wait for."""
    await store.after_commit(note("done"))

    assert heard == ["done"]


async def test_work_waits_for_the_outermost_commit(store, note, heard):
    """In the order in which it was asked for."""
    async with store.transaction():
        await store.after_commit(note("outer"))
        async with store.transaction():
            await store.after_commit(note("inner"))
        await store.after_commit(note("last"))
        assert heard == []

    assert heard == ["outer", "inner", "last"]


async def test_work_of_a_savepoint_that_was_undone_is_dropped(store, note, heard, rows):
    """With its rows; what was outside of it stays."""

    async def fail_half_way():
        async with store.transaction():
            await store.create("ticket", {"label": "undone"})
            await store.after_commit(note("undone"))
            async with store.transaction():
                await store.after_commit(note("undone with it"))
            raise Failing

    async with store.transaction():
        await store.create("ticket", {"label": "kept"})
        await store.after_commit(note("kept"))
        with pytest.raises(Failing):
            await fail_half_way()

    assert heard == ["kept"]
    assert [row["label"] for row in await rows()] == ["kept"]


async def test_nothing_runs_after_a_rollback(store, note, heard, rows):
    """Neither work nor hooks of what was written."""

    async def fail_half_way():
        async with store.transaction():
            await store.create("ticket", {})
            await store.after_commit(note("never"))
            raise Failing

    with pytest.raises(Failing):
        await fail_half_way()

    assert (heard, await rows()) == ([], [])


async def test_work_that_fails_stops_no_other(store, note, heard, caplog):
    """What was promised is done; the failure is logged."""

    async def fail():
        raise Failing

    with caplog.at_level(logging.ERROR, logger="watchword"):
        async with store.transaction():
            await store.after_commit(fail)
            await store.after_commit(note("done"))

    assert heard == ["done"]
    assert isinstance(caplog.records[0].exc_info[1], Failing)


@pytest.mark.needs_loop
async def test_work_that_waits_for_what_was_cancelled_stops_no_other(store, note, heard, caplog):
    """A cancellation that is a piece's own is a failure like others, and nobody else's."""

    async def wait_for_nothing():
        cancelled = asyncio.ensure_future(asyncio.Event().wait())
        cancelled.cancel()
        await cancelled

    with caplog.at_level(logging.ERROR, logger="watchword"):
        async with store.transaction():
            await store.after_commit(wait_for_nothing)
            await store.after_commit(note("done"))

    assert heard == ["done"]
    assert isinstance(caplog.records[0].exc_info[1], asyncio.CancelledError)


async def test_what_is_given_may_be_a_plain_function(store, heard, caplog):
    """For after the commit, at once, and to be run in a transaction."""
    async with store.transaction():
        await store.after_commit(lambda: heard.append("committed"))
        before = list(heard)
    await store.after_commit(lambda: heard.append("at once"))
    result = await store.run_in_transaction(lambda: 42)

    assert before == []
    assert heard == ["committed", "at once"]
    assert result == 42
    assert caplog.records == []


async def test_work_may_write_and_queue_more(store, note, heard, rows):
    """It runs outside of the transaction that it waited for."""

    async def write():
        async with store.transaction():
            await store.create("ticket", {"label": "later"})
            await store.after_commit(note("after that"))

    async with store.transaction():
        await store.after_commit(write)

    assert [row["label"] for row in await rows()] == ["later"]
    assert heard == ["after that"]


async def test_a_child_does_not_join(new_store, required, spawn, note, heard):
    """Its work is its own, and does not wait for the parent's commit."""
    store = new_store(over=required)

    async with store.transaction():
        await store.after_commit(note("parent"))
        child = spawn(lambda: store.after_commit(note("child")))
        await child.result()
        assert heard == ["child"]

    assert heard == ["child", "parent"]


async def test_the_work_of_two_stores_is_kept_apart(new_store, note, heard):
    """A transaction of one is none of the other's."""
    one, other = new_store(), new_store(over=MemoryAdapter())

    async with one.transaction():
        await other.after_commit(note("other"))
        await one.after_commit(note("one"))
        assert heard == ["other"]

    assert heard == ["other", "one"]


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (4, 5)])
async def test_what_the_database_asks_to_repeat_is_repeated(store, rows, failures, tries):
    """Up to four times, each time from the start."""
    tried = count(1)

    async def work():
        number = next(tried)
        await store.create("ticket", {"label": str(number)})
        if number <= failures:
            raise StorageUnavailable("deadlock", retryable=True)
        return number

    assert await store.run_in_transaction(work) == tries
    assert [row["label"] for row in await rows()] == [str(tries)]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (StorageUnavailable("deadlock", retryable=True), 5),
        (StorageUnavailable("gone", retryable=False), 1),
        (UniqueViolation("ticket", ["code"]), 1),
        (Failing(), 1),
    ],
    ids=["again", "gone", "unique", "bug"],
)
async def test_what_does_not_get_better_is_given_up(store, rows, error, tries):
    """With its own error, and nothing written."""
    tried = []

    async def work():
        tried.append(True)
        await store.create("ticket", {})
        raise error

    with pytest.raises(type(error)):
        await store.run_in_transaction(work)

    assert (len(tried), await rows()) == (tries, [])


async def test_inside_another_transaction_nothing_is_repeated(store, rows):
    """What has to be repeated is the outermost one."""
    tried = []

    async def work():
        tried.append(True)
        raise StorageUnavailable("deadlock", retryable=True)

    with pytest.raises(StorageUnavailable):
        async with store.transaction():
            await store.run_in_transaction(work)

    assert len(tried) == 1


async def test_work_of_a_try_that_failed_is_dropped(store, note, heard):
    """A mail is sent once, however often the database asked."""
    tried = count(1)

    async def work():
        number = next(tried)
        await store.after_commit(note(number))
        if number < 3:
            raise StorageUnavailable("deadlock", retryable=True)

    await store.run_in_transaction(work)

    assert heard == [3]


# --- left early, and by others ---------------------------------------------------------------


async def labelled(store, label, note):
    """Write a ticket in a transaction, and yield inside of it."""
    async with store.transaction():
        await store.create("ticket", {"label": label})
        await store.after_commit(note(label))
        yield


async def test_a_generator_that_is_left_takes_nothing_else_with_it(store, note, heard, rows):
    """Its own row is undone, and what it queued; what its task does next is kept."""
    async for _ in labelled(store, "left", note):
        break
    await store.create("ticket", {"label": "at once"})
    async for _ in labelled(store, "left", note):
        break
    await store.after_commit(note("alone"))
    async for _ in labelled(store, "left", note):
        break
    async with store.transaction():
        await store.create("ticket", {"label": "together"})

    assert sorted(row["label"] for row in await rows()) == ["at once", "together"]
    assert heard == ["alone"]


async def test_a_transaction_may_be_left_by_another_task_or_thread(
    store, note, heard, rows, spawn
):
    """It is committed, and what waited for that is done once."""
    parts = labelled(store, "kept", note)

    for _ in range(2):
        await spawn(lambda: anext_or_none(parts)).result()

    assert [row["label"] for row in await rows()] == ["kept"]
    assert heard == ["kept"]


async def anext_or_none(parts):
    """Go one step on."""
    return await anext(parts, None)


async def test_a_part_that_outlives_its_transaction_undoes_nothing_of_others(
    store, note, heard, rows
):
    """The transaction is undone as a whole, and the part does not put back what it saw."""
    outer, part = labelled(store, "outer", note), labelled(store, "part", note)
    await anext(outer)
    await anext(part)

    with pytest.raises(TransactionEnded):
        await anext(outer)
    await store.create("ticket", {"label": "other"})
    with pytest.raises(TransactionEnded):
        await anext(part)

    assert [row["label"] for row in await rows()] == ["other"]
    assert heard == []


@pytest.mark.needs_loop
async def test_a_part_that_another_task_undoes_undoes_the_whole(store, note, heard, rows):
    """What the owner has written since is not taken away unseen."""
    part = labelled(store, "part", note)

    async def work():
        async with store.transaction():
            await anext(part)
            await store.create("ticket", {"label": "since"})
            await asyncio.create_task(closed(part))

    with pytest.raises(TransactionEnded):
        await work()

    assert (await rows(), heard) == ([], [])


async def closed(part):
    """Close it, as the event loop does."""
    await part.aclose()


# --- adapters with less ---------------------------------------------------------------------


async def test_without_consume_one_a_row_goes_to_one_caller(new_store, required, race):
    """Composed from a read and a counted delete."""
    store = new_store(over=required)
    row = await store.create("ticket", {"code": "token"})

    results = await race(32, lambda: store.consume_one("ticket", F.code == "token"))

    assert [it for it in results if it is not None] == [row]
    assert await store.count("ticket") == 0


async def test_without_consume_one_the_next_row_is_found(new_store, required, race):
    """A loser looks for another row that matches, until there is none."""
    store = new_store(over=required)
    for _ in range(8):
        await store.create("ticket", {"label": "same"})

    results = await race(16, lambda: store.consume_one("ticket", F.label == "same"))

    assert len({it["id"] for it in results if it is not None}) == 8


async def test_without_transactions_work_still_waits_for_the_block(
    new_store, required, note, heard
):
    """The promise to wait is the store's."""
    store = new_store(over=required)

    async with store.transaction():
        await store.after_commit(note("done"))
        assert heard == []

    assert heard == ["done"]


async def test_a_session_that_cannot_be_joined_is_refused(store):
    """With what to do instead."""
    with pytest.raises(ConfigurationError, match="cannot join") as error:
        async with store.using(object()):
            pass

    assert "store.transaction()" in error.value.hint
