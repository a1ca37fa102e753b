"""A caller that is cancelled leaves all or nothing behind, and no lost connection."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import pytest

from watchword.schema import Schema
from watchword.storage.contract import Adapter
from watchword.storage.query import F, Increment
from watchword.testing.suite.fixtures import Backend, Suite, consume, new_row

__all__ = ["Cancellation"]

_Write: TypeAlias = Callable[[], Coroutine[Any, Any, object]]


class _CancelledAt:
    """Awaits a coroutine and cancels the task when it waits for the n-th time.

    Args:
        coroutine: What is run.
        moment: Which of its waits is cancelled, from 1.
        answered: Cancel when what is waited for has come, but the task does not know yet;
            else before it comes.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], moment: int, *, answered: bool
    ) -> None:
        self._coroutine = coroutine
        self._moment = moment
        self._answered = answered
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, object]:
        go_on: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                waited_for = go_on()
            except StopIteration as stop:
                return stop.value
            self.waits += 1
            if self.waits == self._moment:
                self._cancel(waited_for)
            try:
                yield waited_for
                go_on = partial(self._coroutine.send, None)
            except BaseException as error:  # noqa: BLE001 - the coroutine decides about it
                go_on = partial(self._coroutine.throw, error)

    def _cancel(self, waited_for: asyncio.Future[Any] | None) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("cancellation is tested in a task")
        if self._answered and waited_for is not None:
            waited_for.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


async def _cancelled_at(
    coroutine: Coroutine[Any, Any, object], moment: int, *, answered: bool
) -> bool:
    """Run a coroutine in a task that is cancelled when it waits for the n-th time.

    Returns:
        Whether it waited so often; if not, it has ended undisturbed.
    """
    disturbed = _CancelledAt(coroutine, moment, answered=answered)

    async def run() -> None:
        await disturbed

    task = asyncio.ensure_future(run())
    await asyncio.wait([task])
    if disturbed.waits < moment:
        await task
        return False
    assert task.cancelled(), "a cancellation was swallowed, or became another error"
    return True


class Cancellation(Suite):
    """A cancelled call, at whichever of its awaits, did all of its work or none."""

    @pytest.mark.needs_loop
    async def test_a_cancelled_transaction(self, transactional: Backend, schema: Schema) -> None:
        """Two rows of one transaction are both there or both not."""
        await self._check_transaction(transactional, schema)

    @pytest.mark.needs_loop
    @pytest.mark.watchword_needs("has_pool")
    async def test_a_cancelled_transaction_on_one_connection(
        self, small_backend: Backend, schema: Schema
    ) -> None:
        """The only connection is never lost."""
        await self._check_transaction(small_backend, schema)

    async def _check_transaction(self, backend: Backend, schema: Schema) -> None:
        async def write_two() -> None:
            async with backend.transaction():
                await backend.create("author", new_row(schema, "author"))
                await backend.create("author", new_row(schema, "author"))

        assert await self._outcomes(
            backend, write_two, partial(backend.delete_many, "author", None)
        ) <= {0, 2}

    @pytest.mark.needs_loop
    async def test_a_cancelled_create(self, backend: Adapter, schema: Schema) -> None:
        """The row is there or not."""

        async def write() -> object:
            return await backend.create("author", new_row(schema, "author"))

        assert await self._outcomes(
            backend, write, partial(backend.delete_many, "author", None)
        ) <= {0, 1}

    @pytest.mark.needs_loop
    @pytest.mark.watchword_needs("has_pool")
    async def test_a_cancelled_create_on_one_connection(
        self, small_backend: Adapter, schema: Schema
    ) -> None:
        """The only connection is never lost."""

        async def write() -> object:
            return await small_backend.create("author", new_row(schema, "author"))

        assert await self._outcomes(
            small_backend, write, partial(small_backend.delete_many, "author", None)
        ) <= {0, 1}

    @pytest.mark.needs_loop
    async def test_a_cancelled_update(self, backend: Adapter, schema: Schema) -> None:
        """It counted or not; never twice."""
        await backend.create("ticket", new_row(schema, "ticket", uses=0))

        async def count() -> object:
            return await backend.update("ticket", F.code == "one", {"uses": Increment()})

        async def counted() -> int:
            row = await backend.find_one("ticket", F.code == "one")
            assert row is not None
            await backend.update("ticket", F.code == "one", {"uses": 0})
            return int(row["uses"])

        assert await self._outcomes(backend, count, counted) <= {0, 1}

    @pytest.mark.needs_loop
    async def test_a_cancelled_consume(self, referential: Adapter, schema: Schema) -> None:
        """The row is gone, and what belongs to it, or both are there."""
        author = new_row(schema, "author", name="Ada")

        async def write() -> None:
            written = await referential.create("author", author)
            await referential.create("book", new_row(schema, "book", author_id=written["id"]))

        async def take() -> object:
            return await consume(referential, "author", F.name == "Ada")

        async def left() -> int:
            books = await referential.delete_many("book", None)
            authors = await referential.delete_many("author", None)
            await write()
            return books + authors

        await write()
        assert await self._outcomes(referential, take, left) <= {0, 2}

    @pytest.mark.needs_loop
    async def test_a_cancelled_rollback(self, transactional: Backend, schema: Schema) -> None:
        """Nothing is left of what would not have been kept; of a savepoint neither."""

        async def undo_all() -> None:
            with suppress(LookupError):
                async with transactional.transaction():
                    with suppress(LookupError):
                        async with transactional.transaction():
                            await transactional.create("author", new_row(schema, "author"))
                            raise LookupError
                    await transactional.create("author", new_row(schema, "author"))
                    raise LookupError

        assert await self._outcomes(
            transactional, undo_all, partial(transactional.delete_many, "author", None)
        ) == {0}

    @pytest.mark.needs_loop
    async def test_cancelled_while_waiting_for_a_turn(
        self, transactional: Backend, schema: Schema
    ) -> None:
        """Callers that give up while another one is at work leave the others their turn."""

        async def write() -> None:
            async with transactional.transaction():
                await transactional.create("author", new_row(schema, "author"))

        async with transactional.transaction():
            await transactional.create("author", new_row(schema, "author"))
            waiting = [asyncio.ensure_future(write()) for _ in range(8)]
            await asyncio.sleep(0)  # lets them start; the test is right wherever they got
            for task in waiting[::2]:
                task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)

        assert all(isinstance(it, asyncio.CancelledError) for it in results[::2])
        assert results[1::2] == [None] * 4
        assert await transactional.count("author") == 5

    @pytest.mark.needs_loop
    async def test_cancelled_all_at_once(self, transactional: Backend, schema: Schema) -> None:
        """A loop that is shut down in the middle of much work leaves only whole transactions."""

        async def write_two() -> None:
            async with transactional.transaction():
                await transactional.create("author", new_row(schema, "author"))
                await transactional.create("author", new_row(schema, "author"))

        for pauses in range(12):
            tasks = [asyncio.ensure_future(write_two()) for _ in range(12)]
            for _ in range(pauses):
                await asyncio.sleep(0)  # another point to be cancelled at in each turn
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await transactional.count("author") % 2 == 0
        await _check_still_works(transactional)

    async def _outcomes(
        self, backend: Adapter, write: _Write, undo: Callable[[], Awaitable[int]]
    ) -> set[int]:
        """Cancel a write at each of its awaits; return how much each time was left to undo."""
        outcomes = set()
        for answered in (False, True):
            moment, cancelled = 1, True
            while cancelled:
                async with asyncio.timeout(self.patience):
                    cancelled = await _cancelled_at(write(), moment, answered=answered)
                    outcomes.add(await undo())
                moment += 1
            async with asyncio.timeout(self.patience):
                await _check_still_works(backend)
        return outcomes


async def _check_still_works(backend: Adapter) -> None:
    for _ in range(20):
        await backend.count("author")
