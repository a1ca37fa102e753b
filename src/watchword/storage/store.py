"""The store: an adapter with ids, defaults, limits, digests, sealing and hooks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Final, TypeVar

from watchword.clock import Clock, utc_now
from watchword.concurrency import Backoff, call
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.schema import Schema
from watchword.storage.after_commit import Unit, Work
from watchword.storage.cached_sessions import Changes, SessionCache
from watchword.storage.checks import check_ids
from watchword.storage.conditions import stored_condition
from watchword.storage.consuming import consume_in_steps
from watchword.storage.contract import (
    Adapter,
    BulkAdapter,
    ConsumingAdapter,
    JoiningAdapter,
    Record,
    TransactionalAdapter,
)
from watchword.storage.hooks import DatabaseHook, DatabaseHooks, Operation
from watchword.storage.ids import NewId
from watchword.storage.limits import Limits, require_transactions
from watchword.storage.query import EVERYTHING, F, Include, OrderBy, Where
from watchword.storage.rows import Rows, Sealer

__all__ = ["Store"]

T = TypeVar("T")

_PAUSES: Final = {"first": 0.01, "longest": 0.5}


class Store:
    """Reads and writes rows of a schema; the one way to an adapter.

    Args:
        adapter: The backend, bound to the schema by this.
        schema: The resolved schema.
        clock: Tells what `NOW` is.
        new_id: Makes ids; by default what fits the adapter and the type of ids in the schema.
        hooks: Run around writes.
        sealer: Needed if a field is sealed.
        session_cache: Where sessions are read; told of what changes them and their users.

    Raises:
        ConfigurationError: A field is sealed without a sealer, or the database makes no ids.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        schema: Schema,
        *,
        clock: Clock = utc_now,
        new_id: NewId | None = None,
        hooks: Iterable[DatabaseHook] = (),
        sealer: Sealer | None = None,
        session_cache: SessionCache | None = None,
    ) -> None:
        self.adapter = adapter
        self.schema = schema
        self._hooks = DatabaseHooks(hooks)
        new_id = new_id or adapter.capabilities.new_id
        self._rows = Rows(schema, clock=clock, new_id=new_id, sealer=sealer)
        self.session_cache = session_cache
        self._changes = Changes(adapter, session_cache, self.after_commit)
        self._limits = Limits(adapter, schema, rows=self._rows, clock=clock)
        check_ids(schema, adapter)
        adapter.bind(schema)

    # --- reading ---------------------------------------------------------------------

    async def find_one(
        self,
        model: str,
        where: Where,
        *,
        include: Sequence[Include] = (),
        lock: bool = False,
    ) -> Record | None:
        """Return the row that matches, the first by id if several do, or None."""
        condition = self._condition(model, where)
        return await self.adapter.find_one(model, condition, include=include, lock=lock)

    async def find_many(
        self,
        model: str,
        where: Where | None = None,
        *,
        order_by: Sequence[OrderBy] = (),
        limit: int | None = None,
        offset: int = 0,
        include: Sequence[Include] = (),
    ) -> list[Record]:
        """Return all rows that match, or a page of them."""
        return await self.adapter.find_many(
            model,
            where if where is None else self._condition(model, where),
            order_by=order_by,
            limit=limit,
            offset=offset,
            include=include,
        )

    async def count(self, model: str, where: Where | None = None) -> int:
        """Return how many rows match."""
        return await self.adapter.count(
            model, where if where is None else self._condition(model, where)
        )

    def unseal(self, model: str, record: Record, field: str) -> str | None:
        """Return a sealed field's text.

        Rows come back with such fields still sealed, so that one row under a lost key does
        not stop a list of all.
        """
        return self._rows.unsealed(model, field, record[field])

    # --- writing ---------------------------------------------------------------------

    def new_id(self, model: str) -> str | None:
        """Return an id for a new row; None if the database makes it."""
        return self._rows.new_id(model)

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row with its id and defaults, and return it.

        Raises:
            InvalidValue: A value is not what its field keeps; nothing was written.
            OperationRefused: A hook refused; nothing was written.
            UniqueViolation: Another row has one of its unique keys.
            ReferenceViolation: It points at a row that does not exist.
        """
        data = await self._hooks.before(model, "create", data)
        record = await self.adapter.create(model, self._rows.new(model, data))
        await self._after(model, "create", record)
        return record

    async def create_many(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Write all rows or none, as `create` would, and return them in the same order.

        Hooks before the write run for all rows before the first is written.

        Raises:
            ConfigurationError: The adapter can neither do this nor has it transactions.
        """
        if not rows:
            return []
        if self._hooks.concern(model, "create"):
            return await self.run_in_transaction(partial(self._create_heard, model, rows))
        return await self._create_all(model, [self._rows.new(model, row) for row in rows])

    async def _create_heard(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        heard = [await self._hooks.before(model, "create", row) for row in rows]
        records = await self._create_all(model, [self._rows.new(model, row) for row in heard])
        for record in records:
            await self._after(model, "create", record)
        return records

    async def _create_all(self, model: str, rows: Sequence[Record]) -> list[Record]:
        if isinstance(self.adapter, BulkAdapter):
            return await self.adapter.create_many(model, rows)
        require_transactions(self.adapter, "write all of many rows or none")
        async with self.transaction():
            return [await self.adapter.create(model, row) for row in rows]

    async def create_under_limit(
        self, model: str, data: Mapping[str, Any], where: Where, limit: int
    ) -> Record | None:
        """Write a row if fewer than `limit` match, and return it; None if there is no place.

        Exact among all who name the same limit: whose conditions have the same fields equal to
        the same values, whatever else they say. `create` and `update` wait for none of them.

        Raises:
            ConfigurationError: The adapter has no transactions.
            ReferenceViolation: The condition names a row that does not exist.
        """

        async def create_if_there_is_place(count: int) -> Record | None:
            return None if count >= limit else await self.create(model, data)

        return await self.when_counted(model, where, create_if_there_is_place)

    async def when_counted(
        self, model: str, where: Where, function: Callable[[int], Awaitable[T]]
    ) -> T:
        """Call a function with how many rows match, while nobody else counts the same.

        In a transaction, as `create_under_limit` does it, and with the same errors.
        """
        turn = self._limits.turn(model, self._condition(model, where))
        is_alone = Unit.of(self) is None
        return await turn.use(function, self.run_in_transaction, is_alone=is_alone)

    async def imagine(self, model: str, data: Mapping[str, Any]) -> Record:
        """Return the row that `create` would write, and write nothing.

        Lets an answer about a row that must not be told of look like any other; hooks before
        the write run as they would.

        Raises:
            OperationRefused: A hook refused.
        """
        data = await self._hooks.before(model, "create", data)
        fields = self.schema.require_model(model).fields
        return {**dict.fromkeys(fields), **self._rows.new(model, data)}

    async def update(self, model: str, where: Where, changes: Mapping[str, Any]) -> Record | None:
        """Change one row that matches, in one atomic step, and return it; None if none does."""
        changes = await self._hooks.before(model, "update", changes)
        write = partial(self.adapter.update, model, changes=self._rows.changes(model, changes))
        record = await self._changes.make(model, self._condition(model, where), write)
        if record is not None:
            await self._after(model, "update", record)
        return record

    async def update_many(
        self, model: str, where: Where | None, changes: Mapping[str, Any]
    ) -> int:
        """Change all rows that match and return how many did."""
        if self._hooks.concern(model, "update"):
            return await self._each(model, where, partial(self.update, model, changes=changes))
        stored = self._rows.changes(model, changes)
        write = partial(self.adapter.update_many, model, changes=stored)
        return await self._changes.make(model, self._condition(model, where), write)

    async def delete(self, model: str, where: Where) -> None:
        """Delete one row that matches, if there is one."""
        if self._hooks.concern(model, "delete"):
            await self.consume_one(model, where)
        else:
            condition = self._condition(model, where)
            await self._changes.make(model, condition, partial(self.adapter.delete, model))

    async def delete_many(self, model: str, where: Where | None) -> int:
        """Delete all rows that match and return how many went."""
        if self._hooks.concern(model, "delete"):
            return await self._each(model, where, partial(self.consume_one, model))
        condition = self._condition(model, where)
        return await self._changes.make(model, condition, partial(self.adapter.delete_many, model))

    async def consume_one(self, model: str, where: Where) -> Record | None:
        """Delete one row that matches and return it, to one of several racing callers."""
        condition = self._condition(model, where)
        if not self._hooks.concern(model, "delete"):
            return await self._consume(model, condition)
        return await self.run_in_transaction(partial(self._consume_heard, model, condition))

    async def _consume_heard(self, model: str, condition: Where) -> Record | None:
        # Who loses a row to another caller looks for the next one.
        while (row := await self.adapter.find_one(model, condition, lock=True)) is not None:
            await self._hooks.before(model, "delete", row)
            gone = await self._consume(model, condition & (F.id == row["id"]))
            if gone is not None:
                await self._after(model, "delete", gone)
                return gone
        return None

    async def _consume(self, model: str, condition: Where) -> Record | None:
        if isinstance(self.adapter, ConsumingAdapter):
            write = partial(self.adapter.consume_one, model)
        else:
            write = partial(consume_in_steps, self.adapter, model)
        return await self._changes.make(model, condition, write)

    async def _each(
        self,
        model: str,
        where: Where | None,
        write: Callable[[Where], Awaitable[Record | None]],
    ) -> int:
        """Write row by row, so that hooks see each; return how many were still there."""
        condition = EVERYTHING if where is None else where

        async def write_all() -> int:
            ids = await self._locked(model, self._condition(model, condition))
            # Asked again with each write: a hook may have made the condition false, or another
            # caller where the backend has no transactions to hold a lock.
            ours = [await write(condition & (F.id == it)) for it in ids]
            return sum(row is not None for row in ours)

        return await self.run_in_transaction(write_all)

    async def _locked(self, model: str, condition: Where) -> list[Any]:
        """Lock the rows that match by now, and return their ids.

        A plain read may show what was there at the transaction's first one, as on InnoDB: a
        session that was made since with the old password would survive its reset. A read that
        locks shows what is there now; in the order of ids, so that of two callers one waits
        for the other and not both.
        """
        rows = await self.adapter.find_many(model, condition, lock=True)
        return [row["id"] for row in rows]

    # --- transactions ----------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Let the operations of this task, or thread, commit or vanish together.

        Inside another transaction it is a savepoint. Work for after the commit runs when
        the outermost one is committed; what a rolled back savepoint queued is dropped.
        """
        outer = Unit.of(self)
        async with self._adapter_transaction():
            with Unit(self) as unit:  # ends before the adapter waits: nobody joins a rollback
                yield
        if outer is None or outer.has_ended:
            await unit.run()
        else:
            outer.take_over(unit)

    async def run_in_transaction(
        self, function: Callable[[], Awaitable[T]], *, attempts: int = 5
    ) -> T:
        """Call a function in a transaction, again if the database asks for it.

        A deadlock or a serialization failure undoes the whole transaction, so the function
        must be able to run more than once. Inside another transaction it runs once: what
        has to be repeated is the outermost one.

        Raises:
            StorageUnavailable: Every attempt failed.
        """
        attempts = 1 if self.is_in_transaction else attempts
        backoff = Backoff(**_PAUSES)
        while True:
            try:
                async with self.transaction():
                    return await call(function)
            except StorageUnavailable as error:
                attempts -= 1
                if not error.retryable or attempts <= 0:
                    raise
            await backoff.pause()

    @asynccontextmanager
    async def using(self, session: Any) -> AsyncIterator[Unit]:
        """Join the application's own session or connection; it commits, not we.

        Work for after the commit runs when the session commits and is dropped when it rolls
        back. A bare connection does not tell: call `run()` on what this yields after its
        commit.

        Raises:
            ConfigurationError: The adapter cannot join this.
        """
        if not isinstance(self.adapter, JoiningAdapter):
            raise ConfigurationError(
                f"{type(self.adapter).__name__} cannot join another session.",
                hint="Use store.transaction() instead.",
            )
        unit = Unit(self)
        try:
            async with self.adapter.using(session, committed=unit.run, undone=unit.drop):
                with unit:
                    yield unit
        except BaseException:
            unit.drop()
            raise

    @property
    def is_in_transaction(self) -> bool:
        """Whether what this task, or thread, does is part of a transaction that is open."""
        return Unit.of(self) is not None

    async def after_commit(self, work: Work) -> None:
        """Do something when the open transaction is committed; at once if there is none."""
        unit = await Unit.joined(self)
        if unit is not None:
            unit.add(work)
            return
        (alone := Unit(self)).add(work)
        await alone.run()

    def _adapter_transaction(self) -> AbstractAsyncContextManager[None]:
        if isinstance(self.adapter, TransactionalAdapter):
            return self.adapter.transaction()
        return nullcontext()

    async def _after(self, model: str, operation: Operation, record: Record) -> None:
        for hook in self._hooks.after(model, operation):
            await self.after_commit(partial(call, hook, dict(record)))

    # --- what is stored ----------------------------------------------------------------

    def _condition(self, model: str, where: Where | None) -> Where:
        if where is None:
            return EVERYTHING
        return stored_condition(self.schema.require_model(model), where)
