"""Counting under a limit: whoever counts the same rows waits for the row that they all lock."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final, TypeAlias, TypeVar

from watchword.clock import Clock
from watchword.errors import ConfigurationError, ReferenceViolation, UniqueViolation
from watchword.schema import Schema
from watchword.storage.contract import Adapter, Record, TransactionalAdapter
from watchword.storage.own_stores import OwnStores
from watchword.storage.query import And, Comparison, F, Operator, Where
from watchword.storage.rows import Rows

__all__ = ["Limits", "Turn", "require_transactions"]

# After this a purge may delete a guard. Who needs it then makes another one.
_GUARD_EXPIRES_IN: Final = timedelta(days=1)

T = TypeVar("T")

Transact: TypeAlias = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


def require_transactions(adapter: Adapter[Any], purpose: str) -> None:
    """Refuse an adapter on which several operations cannot be one.

    Raises:
        ConfigurationError: It has no transactions.
    """
    if not (adapter.capabilities.transactions and isinstance(adapter, TransactionalAdapter)):
        raise ConfigurationError(
            f"{type(adapter).__name__} has no transactions, so it cannot {purpose}.",
            hint="Use an adapter with transactions, such as SQLAlchemyAdapter.",
        )


class Limits:
    """Finds the row that those have to lock who count the same rows."""

    def __init__(self, adapter: Adapter[Any], schema: Schema, *, rows: Rows, clock: Clock) -> None:
        self._adapter = adapter
        self._schema = schema
        self._rows = rows
        self._clock = clock

    def turn(self, model: str, where: Where) -> "Turn":
        """Return the turn to count the rows that match a stored condition.

        If the condition names another row by a reference, that row is the one to lock: it is
        there already, and its lock lasts no longer. Otherwise it is a guard, a row of no other
        use, for all whose conditions have the same fields equal to the same values.

        Raises:
            ConfigurationError: The adapter has no transactions.
        """
        require_transactions(self._adapter, "count under a limit")
        pinned = _pinned(where)
        # A store of the application's own knows no locks.
        elsewhere = self._adapter.keeps if isinstance(self._adapter, OwnStores) else frozenset()
        for field, target in self._schema.require_model(model).references.items():
            if pinned.get(field) is not None and target not in elsewhere:
                return Turn(self._adapter, model, where, target, F.id == pinned[field])
        guard = self._guard(_guard_name(model, pinned))
        name = F.identifier == guard["identifier"]
        return Turn(self._adapter, model, where, "verification", name, guard)

    def _guard(self, name: str) -> Record:
        expires_at = self._clock() + _GUARD_EXPIRES_IN
        return self._rows.new(
            "verification", {"identifier": name, "value": "limit", "expires_at": expires_at}
        )


def _pinned(where: Where) -> Mapping[str, Any]:
    """Return the fields that a condition holds to one value each."""
    parts = where.parts if isinstance(where, And) else (where,)
    return {
        part.field: part.value
        for part in parts
        if isinstance(part, Comparison) and part.operator is Operator.EQ
    }


def _guard_name(model: str, pinned: Mapping[str, Any]) -> str:
    # Other comparisons have no part in it: an instant differs with each call, and callers who
    # count the same rows would not wait for one another.
    text = json.dumps(sorted(pinned.items()), default=str)
    return f"limit:{model}:{sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to count and write, of one caller at a time.

    Args:
        adapter: The rows.
        model: Whose rows are counted.
        counted: Which of them.
        locked: The model of the row that is locked.
        where: Names that row.
        guard: The row itself, if nobody else makes it.
    """

    adapter: Adapter[Any]
    model: str
    counted: Where
    locked: str
    where: Where
    guard: Record | None = None

    async def use(
        self, function: Callable[[int], Awaitable[T]], transact: Transact, *, is_alone: bool
    ) -> T:
        """Call a function with the count, in a transaction, while nobody else counts the same.

        Args:
            function: What is done with it.
            transact: Runs work in a transaction; inside another one in a savepoint.
            is_alone: There is no other one. What has read nothing before can count without
                locks, which on InnoDB would be on gaps that others need to write in.

        Raises:
            ReferenceViolation: The condition names a row that does not exist.
        """

        async def count_and_call() -> T:
            await self._wait(transact)
            count = await self.adapter.count(self.model, self.counted, lock=not is_alone)
            return await function(count)

        await self._prepare(transact)
        result: T = await transact(count_and_call)
        return result

    async def _prepare(self, transact: Transact) -> None:
        """Make the guard if there is none; before the transaction that will lock it.

        It is looked for without a lock: on InnoDB a lock on a row that is not there is one on
        the gap, and two who have it keep each other from filling it.
        """
        if self.guard is None or await self.adapter.find_one(self.locked, self.where) is not None:
            return
        with suppress(UniqueViolation):  # another caller was faster
            await transact(partial(self.adapter.create, self.locked, self.guard))

    async def _wait(self, transact: Transact) -> None:
        while await self.adapter.find_one(self.locked, self.where, lock=True) is None:
            if self.guard is None:
                raise ReferenceViolation(self.model)
            # A purge was between, or this transaction is too old to have seen the guard.
            with suppress(UniqueViolation):
                await transact(partial(self.adapter.create, self.locked, self.guard))
