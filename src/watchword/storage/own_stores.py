"""Rows that stores of the application's own keep, beside those in the database.

Everything above reads and writes records, so an own store stands below the `Store`: hooks,
defaults, digests and sealing work as for rows of ours. What the own store can look up is asked
of it, and the rest of the condition is held against its answer. A change names the values for
which the condition was true, so that test and change are one step there too.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any, Final

from watchword.errors import ConfigurationError, ReferenceViolation, StorageUnavailable
from watchword.schema import OnDelete, Schema
from watchword.schema.elsewhere import without
from watchword.storage.consuming import consume_in_steps
from watchword.storage.contract import (
    Adapter,
    Capabilities,
    ConsumingAdapter,
    JoiningAdapter,
    Record,
    SchemaAdapter,
    TransactionalAdapter,
)
from watchword.storage.matching import in_order, matches
from watchword.storage.own_rows import OwnRows
from watchword.storage.query import (
    EVERYTHING,
    F,
    Include,
    Increment,
    OrderBy,
    Where,
    is_impossible,
)
from watchword.storage.relations import Relation, require_relation
from watchword.storage.values import accepted, holds_integer_id

__all__ = ["OwnStores"]

# How often a change is tried again because others changed the row between look and change.
_ATTEMPTS: Final = 100


class OwnStores:
    """An adapter whose rows of some models are in stores of the application's own.

    Those take no part in transactions and know no locks: what was written there stays when a
    transaction is undone.

    Args:
        adapter: Keeps the other rows.
        own: The rows of the application's own stores, by model.
    """

    def __init__(self, adapter: Adapter[Any], own: Mapping[str, OwnRows]) -> None:
        self._adapter = adapter
        self._own = own
        self._schema = Schema({})

    @property
    def capabilities(self) -> Capabilities[Any]:
        """What the database can do."""
        return self._adapter.capabilities

    @property
    def keeps(self) -> frozenset[str]:
        """The models whose rows are in own stores."""
        return frozenset(self._own)

    def bind(self, schema: Schema) -> None:
        """Learn all models, and let the database learn its own."""
        self._schema = schema
        self._adapter.bind(without(schema, self._own))

    async def create_schema(self, schema: Schema) -> None:
        """Make what the database keeps."""
        if isinstance(self._adapter, SchemaAdapter):
            await self._adapter.create_schema(without(schema, self._own))

    async def close(self) -> None:
        """Close the database's connections; the own stores are the application's."""
        await self._adapter.close()

    # --- reading -----------------------------------------------------------------------

    async def find_one(
        self,
        model: str,
        where: Where,
        *,
        include: Sequence[Include] = (),
        lock: bool = False,
    ) -> Record | None:
        """Return the row that matches, the first by id if several do, or None."""
        if not self._concerns(model, include):
            return await self._adapter.find_one(model, where, include=include, lock=lock)
        if model in self._own:
            rows = await self._found(model, where, limit=1)
            row = rows[0] if rows else None
        else:
            row = await self._adapter.find_one(model, where, lock=lock)
        return None if row is None else await self._with_related(model, row, include)

    async def find_many(
        self,
        model: str,
        where: Where | None = None,
        *,
        order_by: Sequence[OrderBy] = (),
        limit: int | None = None,
        offset: int = 0,
        include: Sequence[Include] = (),
        lock: bool = False,
    ) -> list[Record]:
        """Return all rows that match, or a page of them; rows that tie are ordered by id."""
        page: dict[str, Any] = {"order_by": order_by, "limit": limit, "offset": offset}
        if not self._concerns(model, include):
            return await self._adapter.find_many(model, where, include=include, lock=lock, **page)
        if model in self._own:
            rows = await self._found(model, where, **page)
        else:
            rows = await self._adapter.find_many(model, where, lock=lock, **page)
        return [await self._with_related(model, row, include) for row in rows]

    async def count(self, model: str, where: Where | None = None, *, lock: bool = False) -> int:
        """Return how many rows match."""
        if model not in self._own:
            return await self._adapter.count(model, where, lock=lock)
        total = await self._own[model].total() if where is None else None
        return len(await self._found(model, where)) if total is None else total

    # --- writing -----------------------------------------------------------------------

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row and return it."""
        if model in self._own:
            return self._whole(model, await self._own[model].create(self._told(model, data)))
        return await self._adapter.create(model, data)

    async def update(self, model: str, where: Where, changes: Mapping[str, Any]) -> Record | None:
        """Change one row that matches and return it as it is then; None if none matches."""
        if model not in self._own:
            return await self._adapter.update(model, where, changes)
        for _ in range(_ATTEMPTS):
            found = await self._found(model, where, limit=1)
            if not found:
                return None
            changed = await self._change(model, found[0], where, changes)
            if changed is not None:
                return changed
        raise StorageUnavailable(f"The {model} is changed by others all the time.", retryable=True)

    async def update_many(
        self, model: str, where: Where | None, changes: Mapping[str, Any]
    ) -> int:
        """Change all rows that match and return how many did."""
        if model not in self._own:
            return await self._adapter.update_many(model, where, changes)
        condition = EVERYTHING if where is None else where
        found = await self._found(model, where)
        changed = [
            await self.update(model, condition & (F.id == row["id"]), changes) for row in found
        ]
        return sum(row is not None for row in changed)

    async def delete(self, model: str, where: Where) -> None:
        """Delete one row that matches, if there is one."""
        if model not in self._own:
            return await self._adapter.delete(model, where)
        for row in await self._found(model, where, limit=1):
            await self._gone(model, row)
        return None

    async def consume_one(self, model: str, where: Where) -> Record | None:
        """Delete one row that matches and return it, to one of several racing callers."""
        if model not in self._own and isinstance(self._adapter, ConsumingAdapter):
            return await self._adapter.consume_one(model, where)
        return await consume_in_steps(self, model, where)

    async def delete_many(self, model: str, where: Where | None) -> int:
        """Delete all rows that match and return how many went; each goes for one caller."""
        if model not in self._own:
            return await self._adapter.delete_many(model, where)
        found = await self._found(model, where)
        return sum([await self._gone(model, row) for row in found])

    async def _gone(self, model: str, row: Record) -> bool:
        """Delete a row; tell whether this call did, which another one may have done before.

        Raises:
            StorageUnavailable: Nobody did; whoever deletes until nothing is left would not end.
        """
        hanging = self._hanging_on(model)
        for name, field, on_delete in hanging:
            if on_delete == "restrict" and await self.count(name, getattr(F, field) == row["id"]):
                raise ReferenceViolation(model)
        if await self._own[model].delete(row):
            for name, field, on_delete in hanging:
                theirs = getattr(F, field) == row["id"]
                if on_delete == "cascade":
                    await self.delete_many(name, theirs)
                elif on_delete == "set null":
                    await self.update_many(name, theirs, {field: None})
            return True
        if await self._found(model, F.id == row["id"], limit=1):
            raise StorageUnavailable(f"Its store does not delete this {model}.", retryable=False)
        return False

    def _hanging_on(self, model: str) -> list[tuple[str, str, OnDelete]]:
        """Return what points at a model, for which the database has no foreign key."""
        return [
            (it.name, name, field.on_delete)
            for it in self._schema.models.values()
            for name, field in it.fields.items()
            if field.references == model
        ]

    async def _change(
        self, model: str, row: Record, where: Where, changes: Mapping[str, Any]
    ) -> Record | None:
        """Change a row unless what the condition, or an increment, depends on has changed."""
        compared = {it.field for it in where.comparisons()} - {"id", "token"}
        added = {name for name, it in changes.items() if isinstance(it, Increment)}
        expected = {name: row[name] for name in compared | added}
        new = {
            name: (row[name] or 0) + it.by if isinstance(it, Increment) else it
            for name, it in changes.items()
        }
        told, still = self._told(model, new), self._told(model, expected)
        changed = await self._own[model].update(row, told, still)
        return None if changed is None else self._whole(model, changed)

    # --- transactions --------------------------------------------------------------------

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Open a transaction of the database."""
        if isinstance(self._adapter, TransactionalAdapter):
            return self._adapter.transaction()
        return nullcontext()

    def using(
        self,
        session: Any,
        *,
        committed: Callable[[], Awaitable[None]],
        undone: Callable[[], object],
    ) -> AbstractAsyncContextManager[None]:
        """Let the database's rows be written in the application's transaction."""
        if not isinstance(self._adapter, JoiningAdapter):
            raise ConfigurationError(
                f"{type(self._adapter).__name__} cannot join another session.",
                hint="Use transaction() instead.",
            )
        return self._adapter.using(session, committed=committed, undone=undone)

    # --- rows ------------------------------------------------------------------------------

    def _concerns(self, model: str, include: Sequence[Include]) -> bool:
        return model in self._own or any(it.model in self._own for it in include)

    async def _found(
        self,
        model: str,
        where: Where | None,
        *,
        order_by: Sequence[OrderBy] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Record]:
        condition = EVERYTHING if where is None else where
        by_id = all(it == OrderBy("id") for it in order_by)
        enough = None if limit is None or not by_id else offset + limit
        found: list[Record] = []
        async with aclosing(self._rows(model, condition)) as rows:
            async for row in rows:
                if enough is not None and len(found) >= enough:
                    break
                if matches(row, condition):
                    found.append(row)
        page = found if by_id else in_order(found, order_by)
        return page[offset:] if limit is None else page[offset : offset + limit]

    async def _rows(self, model: str, where: Where) -> AsyncGenerator[Record, None]:
        """Go through the rows that can match, in the order of ids."""
        if is_impossible(where):
            return
        async for row in self._own[model].rows(where):
            yield self._whole(model, row)

    def _whole(self, model: str, row: Record) -> Record:
        """Return a row with every field of the model, and ids as other rows hold them."""
        fields = self._schema.require_model(model).fields
        ids = {
            name: accepted(model, name, fields[name], value)
            for name, value in self._integer_ids(model, row)
        }
        return {**dict.fromkeys(fields), **row, **ids}

    def _told(self, model: str, values: Mapping[str, Any]) -> Record:
        """Return values as own stores know them: every id is a text."""
        return {**values, **{name: str(it) for name, it in self._integer_ids(model, values)}}

    def _integer_ids(self, model: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        fields = self._schema.require_model(model).fields
        for name, value in values.items():
            if value is not None and name in fields and holds_integer_id(fields[name]):
                yield name, value

    async def _with_related(self, model: str, row: Record, include: Sequence[Include]) -> Record:
        kind = self._schema.require_model(model)
        for it in include:
            relation = require_relation(self._schema, kind, it)
            row = {**row, it.model: await self._related(row, relation)}
        return row

    async def _related(self, row: Record, relation: Relation) -> Any:
        wanted, model = row[relation.own_field], relation.related.name
        theirs = getattr(F, relation.field) == wanted
        if relation.many:
            return await self.find_many(model, theirs)
        return None if wanted is None else await self.find_one(model, theirs)
