"""One step of a random history: done by an adapter and by the reference, then compared."""

from collections.abc import Awaitable, Iterable, Iterator
from typing import Any, TypeAlias

from watchword.adapters.memory import MemoryAdapter
from watchword.errors import StorageError
from watchword.storage.contract import Adapter, Record, TransactionalAdapter
from watchword.storage.query import F, OrderBy, Where
from watchword.testing.suite.fixtures import consume

__all__ = [
    "Pair",
    "Refused",
    "Step",
    "consume_row",
    "count_rows",
    "create",
    "delete",
    "delete_many",
    "find",
    "find_one",
    "sift",
    "together",
    "update",
    "update_many",
]

Step: TypeAlias = tuple[Any, ...]
"""A function of this file with its arguments, but for the pair that it is done with."""


class Pair:
    """The adapter that is tested, and the reference beside it."""

    def __init__(self, tested: Adapter, reference: MemoryAdapter, ids: Iterator[Any]) -> None:
        self.tested = tested
        self.reference = reference
        self.ids = ids

    async def take(self, step: Step) -> None:
        """Do one thing with both and compare.

        Raises:
            StorageError: Both refused alike.
        """
        operation, *arguments = step
        await operation(self, *arguments)

    async def compare(self, model: str) -> None:
        """Check that both hold the same rows, in the same order."""
        tested = await self.tested.find_many(model)
        assert tested == await self.reference.find_many(model)

    async def only_first(self, model: str, where: Where) -> Where:
        """Narrow a condition to one row: which of several is changed is the backend's choice."""
        row = await self.reference.find_one(model, where)
        return where if row is None else where & (F.id == row["id"])


async def create(pair: Pair, model: str, row: Record) -> None:
    """Write one row, under one id."""
    chosen = next(pair.ids)
    given = row if chosen is None else {"id": chosen, **row}
    made = await _outcome(pair.tested.create(model, given))
    if isinstance(made, dict):
        given = {"id": made["id"], **row}
    _agree(made, await _outcome(pair.reference.create(model, given)))


async def find(
    pair: Pair, model: str, where: Where | None, order_by: list[OrderBy], page: Record
) -> None:
    """Read a page in an order."""
    found = await pair.tested.find_many(model, where, order_by=order_by, **page)
    _agree(found, await pair.reference.find_many(model, where, order_by=order_by, **page))


async def find_one(pair: Pair, model: str, where: Where) -> None:
    """Read the first row by id."""
    _agree(await pair.tested.find_one(model, where), await pair.reference.find_one(model, where))


async def sift(pair: Pair, model: str, conditions: Iterable[Where]) -> None:
    """Ask for one value in every way that its field allows."""
    for where in conditions:
        for side in (where, ~where):
            tested = await pair.tested.find_many(model, side)
            assert tested == await pair.reference.find_many(model, side), side


async def count_rows(pair: Pair, model: str, where: Where | None) -> None:
    """Count what matches."""
    _agree(await pair.tested.count(model, where), await pair.reference.count(model, where))


async def update(pair: Pair, model: str, where: Where, changes: Record) -> None:
    """Change one row."""
    one = await pair.only_first(model, where)
    tested = await _outcome(pair.tested.update(model, one, changes))
    _agree(tested, await _outcome(pair.reference.update(model, one, changes)))
    await pair.compare(model)


async def update_many(pair: Pair, model: str, where: Where | None, changes: Record) -> None:
    """Change all that match, or none if one of them may not be."""
    tested = await _outcome(pair.tested.update_many(model, where, changes))
    _agree(tested, await _outcome(pair.reference.update_many(model, where, changes)))
    await pair.compare(model)


async def delete(pair: Pair, model: str, where: Where) -> None:
    """Delete one row."""
    one = await pair.only_first(model, where)
    await pair.tested.delete(model, one)
    await pair.reference.delete(model, one)
    await pair.compare(model)


async def delete_many(pair: Pair, model: str, where: Where) -> None:
    """Delete all that match."""
    tested = await pair.tested.delete_many(model, where)
    _agree(tested, await pair.reference.delete_many(model, where))
    await pair.compare(model)


async def consume_row(pair: Pair, model: str, where: Where) -> None:
    """Delete one row and look at what comes back."""
    one = await pair.only_first(model, where)
    _agree(await consume(pair.tested, model, one), await consume(pair.reference, model, one))
    await pair.compare(model)


async def together(pair: Pair, steps: list[Step], *, commits: bool, models: Iterable[str]) -> None:
    """Take several steps in a transaction of both; inside another one it is a savepoint."""
    assert isinstance(pair.tested, TransactionalAdapter)
    try:
        async with pair.tested.transaction(), pair.reference.transaction():
            for step in steps:
                await pair.take(step)
            if not commits:
                raise _Undone  # noqa: TRY301 - leaves the transaction as a caller would
    except (Refused, _Undone):
        pass
    for model in models:
        await pair.compare(model)


class _Undone(Exception):
    """Ends a transaction that does not commit."""


class Refused(Exception):
    """Both refused a step alike; it undoes the transaction around it."""


async def _outcome(call: Awaitable[Any]) -> Any:
    """Return what a call returned, or what of its refusal must be the same everywhere."""
    try:
        return await call
    except StorageError as error:
        return (type(error), getattr(error, "model", None), getattr(error, "fields", None))


def _agree(tested: Any, expected: Any) -> None:
    assert tested == expected
    if isinstance(expected, tuple):
        raise Refused
