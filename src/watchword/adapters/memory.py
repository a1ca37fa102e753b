"""Everything in the memory of this process: the reference for every other backend.

It keeps the contract in the plainest way, so that others can be compared with it, and so that
tests need no database. What it holds is lost when the process ends.
"""

import operator
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from watchword.concurrency import Mutex, current_owner
from watchword.errors import ReferenceViolation, TransactionEnded, UniqueViolation
from watchword.schema import Model, Schema
from watchword.storage.checks import check_changes, check_order, check_row, check_where
from watchword.storage.contract import Capabilities, Record
from watchword.storage.matching import matches
from watchword.storage.query import Include, Increment, OrderBy, Where
from watchword.storage.relations import Relation, require_relation

__all__ = ["MemoryAdapter"]


class MemoryAdapter:
    """Keeps rows in dicts; one transaction, or one operation, at a time.

    Stored rows are never changed in place, only replaced, so a copy of the dicts that hold
    them is a snapshot.

    Whoever waits, inside a transaction, for another task or thread that uses the adapter,
    waits for ever: that one waits for the transaction's end.
    """

    capabilities: Final = Capabilities(durable=False)

    def __init__(self) -> None:
        self._schema = Schema({})
        self._tables: dict[str, dict[Any, Record]] = {}
        self._last_ids: dict[str, int] = {}
        self._mutex = Mutex()
        self._owner: object = None
        self._has_ended = False

    def bind(self, schema: Schema) -> None:
        """Learn the models; rows of those known before stay."""
        self._schema = schema
        self._tables = {name: self._tables.get(name, {}) for name in schema.models}

    async def create_schema(self, schema: Schema) -> None:
        """Do no more than `bind`: dicts need no making."""
        self.bind(schema)

    async def close(self) -> None:
        """Keep everything: there are no connections."""

    # --- reading -----------------------------------------------------------------------

    async def find_one(
        self,
        model: str,
        where: Where,
        *,
        include: Sequence[Include] = (),
        lock: bool = False,  # noqa: ARG002 - a transaction has all rows to itself anyway
    ) -> Record | None:
        """Return the first row by id that matches, or None."""
        found = await self.find_many(model, where, limit=1, include=include)
        return found[0] if found else None

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
        kind = self._checked(model, where)
        check_order(kind, order_by)
        relations = [require_relation(self._schema, kind, it) for it in include]
        async with self._turn():
            rows = _sorted(self._matching(kind, where), order_by)
            page = rows[offset:] if limit is None else rows[offset : offset + limit]
            return [self._with_related(row, relations) for row in page]

    async def count(self, model: str, where: Where | None = None) -> int:
        """Return how many rows match."""
        kind = self._checked(model, where)
        async with self._turn():
            return len(self._matching(kind, where))

    # --- writing -----------------------------------------------------------------------

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row and return it."""
        kind = self._schema.require_model(model)
        check_row(kind, data)
        async with self._turn():
            row = {name: _stored(data.get(name)) for name in kind.fields}
            if kind.fields["id"].generated:
                row["id"] = self._generated_id(model, row["id"])
            self._replace(kind, [], [row])
            return _copied(row)

    async def update(self, model: str, where: Where, changes: Mapping[str, Any]) -> Record | None:
        """Change the first row by id that matches and return it; None if none does."""
        kind = self._checked(model, where)
        check_changes(kind, changes)
        async with self._turn():
            for row in self._first(kind, where):
                changed = _changed(row, changes)
                self._replace(kind, [row], [changed])
                return _copied(changed)
            return None

    async def update_many(
        self, model: str, where: Where | None, changes: Mapping[str, Any]
    ) -> int:
        """Change all rows that match, or none if one of them would break a rule."""
        kind = self._checked(model, where)
        check_changes(kind, changes)
        async with self._turn():
            rows = self._matching(kind, where)
            self._replace(kind, rows, [_changed(row, changes) for row in rows])
            return len(rows)

    async def delete(self, model: str, where: Where) -> None:
        """Delete the first row by id that matches, if there is one."""
        await self.consume_one(model, where)

    async def delete_many(self, model: str, where: Where | None) -> int:
        """Delete all rows that match and return how many went."""
        kind = self._checked(model, where)
        async with self._turn():
            rows = self._matching(kind, where)
            self._remove(kind, rows)
            return len(rows)

    async def consume_one(self, model: str, where: Where) -> Record | None:
        """Delete the first row by id that matches and return it, to one caller."""
        kind = self._checked(model, where)
        async with self._turn():
            for row in self._first(kind, where):
                self._remove(kind, [row])
                return _copied(row)
            return None

    # --- taking turns --------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Have the tables to oneself until the end; inside another one, a savepoint."""
        if self._is_ours():
            with self._undone_on_error():
                yield
            return
        async with self._mutex:
            self._owner = current_owner()
            try:
                with self._undone_on_error():
                    yield
            finally:
                self._owner = None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until nobody else is at work, unless it is our own transaction."""
        if self._is_ours():
            with self._ended_by_error():
                yield
            return
        async with self._mutex:
            yield

    def _is_ours(self) -> bool:
        """Tell whether the open transaction is this task's or thread's.

        A child task has its parent's context but is another owner: it does not join.
        """
        return self._owner is not None and self._owner == current_owner()

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        snapshot = {name: dict(rows) for name, rows in self._tables.items()}
        try:
            yield
            self._check_not_ended()
        except BaseException:
            self._tables = snapshot
            self._has_ended = False
            raise

    @contextmanager
    def _ended_by_error(self) -> Iterator[None]:
        """Let a refused operation be the transaction's last, even if it is caught inside."""
        self._check_not_ended()
        try:
            yield
        except (UniqueViolation, ReferenceViolation):
            self._has_ended = True
            raise

    def _check_not_ended(self) -> None:
        if self._has_ended:
            raise TransactionEnded

    # --- rows ------------------------------------------------------------------------------

    def _checked(self, model: str, where: Where | None) -> Model:
        kind = self._schema.require_model(model)
        check_where(kind, where)
        return kind

    def _matching(self, model: Model, where: Where | None) -> list[Record]:
        rows = self._tables[model.name].values()
        return [row for row in rows if where is None or matches(row, where)]

    def _first(self, model: Model, where: Where) -> list[Record]:
        return _sorted(self._matching(model, where), ())[:1]

    def _generated_id(self, model: str, given: int | None) -> int:
        """Return an id that was never used, not even by a transaction that was undone."""
        last = self._last_ids.get(model, 0)
        number = last + 1 if given is None else given
        self._last_ids[model] = max(last, number)
        return number

    def _replace(self, model: Model, old: Iterable[Record], new: Sequence[Record]) -> None:
        """Put new rows in the place of old ones, all of them or none."""
        rest = dict(self._tables[model.name])
        for row in old:
            del rest[row["id"]]
        after = dict(rest)
        for row in new:
            _check_uniques(model, row, after.values())
            after[row["id"]] = row
        for row in new:
            self._check_references(model, row, after)
        self._tables[model.name] = after

    def _check_references(self, model: Model, row: Record, after: Mapping[Any, Record]) -> None:
        for name, target in model.references.items():
            table = after if target == model.name else self._tables[target]
            if row[name] is not None and row[name] not in table:
                raise ReferenceViolation(model.name)

    def _remove(self, model: Model, rows: Iterable[Record]) -> None:
        """Delete rows and what hangs on them, all of it or nothing."""
        doomed: dict[str, set[Any]] = {}
        self._doom(model.name, {row["id"] for row in rows}, doomed)
        self._tables = {
            name: self._spared(name, doomed, blamed=model.name) for name in self._tables
        }

    def _doom(self, model: str, ids: set[Any], doomed: dict[str, set[Any]]) -> None:
        """Collect rows that go, and those that go with them."""
        more = ids - doomed.setdefault(model, set())
        if not more:
            return
        doomed[model] |= more
        for child in self._schema.models.values():
            for name, field in child.fields.items():
                if field.references == model and field.on_delete == "cascade":
                    rows = self._tables[child.name].values()
                    self._doom(child.name, {it["id"] for it in rows if it[name] in more}, doomed)

    def _spared(
        self, model: str, doomed: Mapping[str, set[Any]], *, blamed: str
    ) -> dict[Any, Record]:
        """Return the rows of a model that stay, pointing at nothing that goes."""
        kind = self._schema.models[model]
        gone = doomed.get(model, set())
        spared = {key: row for key, row in self._tables[model].items() if key not in gone}
        for name, target in kind.references.items():
            lost = doomed.get(target, set())
            for row in [row for row in spared.values() if row[name] in lost]:
                if kind.fields[name].on_delete == "restrict":
                    raise ReferenceViolation(blamed)
                spared[row["id"]] = {**spared[row["id"]], name: None}
        return spared

    def _with_related(self, row: Record, relations: Iterable[Relation]) -> Record:
        record = _copied(row)
        for relation in relations:
            others = self._tables[relation.related.name].values()
            wanted = row[relation.own_field]
            joined = [it for it in others if wanted is not None and it[relation.field] == wanted]
            related = [_copied(it) for it in _sorted(joined, ())]
            record[relation.related.name] = related if relation.many else next(iter(related), None)
        return record


def _check_uniques(model: Model, row: Record, others: Iterable[Record]) -> None:
    for key in model.unique_keys:
        values = [row[name] for name in key]
        if None in values:
            continue
        if any(values == [other[name] for name in key] for other in others):
            raise UniqueViolation(model.name, key)


# --- values ----------------------------------------------------------------------------


def _stored(value: Any) -> Any:
    """Return a value as a database would give it back: instants in UTC, nothing shared."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case list() | tuple():
            return [_stored(item) for item in value]
        case dict():
            return {key: _stored(item) for key, item in value.items()}
        case _:
            return value


def _copied(row: Record) -> Record:
    return {name: _stored(value) for name, value in row.items()}


def _changed(row: Record, changes: Mapping[str, Any]) -> Record:
    return row | {
        name: (row[name] or 0) + value.by if isinstance(value, Increment) else _stored(value)
        for name, value in changes.items()
    }


def _sorted(rows: Iterable[Record], order_by: Sequence[OrderBy]) -> list[Record]:
    """Sort by the last key first: sorting is stable, so earlier keys win."""
    result = sorted(rows, key=operator.itemgetter("id"))
    for it in reversed(order_by):
        result.sort(key=partial(_rank, it.field), reverse=it.descending)
    return result


def _rank(field: str, row: Record) -> tuple[bool, Any]:
    """Put null before any value, without comparing the two."""
    return (row[field] is not None, row[field])
