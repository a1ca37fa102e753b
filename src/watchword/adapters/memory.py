"""Everything in the memory of this process: the reference for every other backend.

It keeps the contract in the plainest way, so that others can be compared with it, and so that
tests need no database. What it holds is lost when the process ends.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from watchword.concurrency import Mutex, current_owner
from watchword.errors import ReferenceViolation, TransactionEnded, UniqueViolation
from watchword.schema import Model, Schema
from watchword.storage.after_commit import is_in_generator, let_generators_close
from watchword.storage.checks import check_changes, check_order, check_row, check_where
from watchword.storage.contract import Capabilities, Record
from watchword.storage.matching import in_order, matches
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
        self._open: _Transaction | None = None

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
        lock: bool = False,  # noqa: ARG002 - who has the turn is alone
    ) -> list[Record]:
        """Return all rows that match, or a page of them."""
        kind = self._checked(model, where)
        check_order(kind, order_by)
        relations = [require_relation(self._schema, kind, it) for it in include]
        async with self._turn():
            rows = in_order(self._matching(kind, where), order_by)
            page = rows[offset:] if limit is None else rows[offset : offset + limit]
            return [self._with_related(row, relations) for row in page]

    async def count(
        self,
        model: str,
        where: Where | None = None,
        *,
        lock: bool = False,  # noqa: ARG002 - there are no snapshots that could be old
    ) -> int:
        """Return how many rows match."""
        kind = self._checked(model, where)
        async with self._turn():
            return len(self._matching(kind, where))

    # --- writing -----------------------------------------------------------------------

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row and return it."""
        [record] = await self._insert(model, [data])
        return record

    async def create_many(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Write all rows or none, and return them in the order in which they were given."""
        return await self._insert(model, rows)

    async def _insert(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        kind = self._schema.require_model(model)
        for row in rows:
            check_row(kind, row)
        async with self._turn():
            new = [self._new(kind, row) for row in rows]
            self._replace(kind, [], new)
            return [_copied(row) for row in new]

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
        outer = await self._joined()
        if outer is not None:
            with self._undone_on_error(outer):
                yield
            return
        async with self._mutex:
            self._open = opened = _Transaction(current_owner(), is_in_generator())
            try:
                with self._undone_on_error(opened):
                    yield
            finally:
                self._open = None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until nobody else is at work, unless it is our own transaction."""
        transaction = await self._joined()
        if transaction is not None:
            with transaction.ended_by_error():
                yield
            return
        async with self._mutex:
            yield

    async def _joined(self) -> "_Transaction | None":
        """Return the open transaction if it is this task's or thread's.

        A child task has its parent's context but is another owner: it does not join. One whose
        generator was left a moment ago is given the time to end.
        """
        if self._open is not None and self._open.is_ours() and self._open.may_be_left:
            await let_generators_close()
        return self._open if self._open is not None and self._open.is_ours() else None

    @contextmanager
    def _undone_on_error(self, transaction: "_Transaction") -> Iterator[None]:
        snapshot = {name: dict(rows) for name, rows in self._tables.items()}
        transaction.depth = depth = transaction.depth + 1
        try:
            yield
            transaction.has_ended |= self._open is not transaction or transaction.depth != depth
            transaction.check_not_ended()
        except BaseException:
            # What is open after it belongs to others.
            if self._open is transaction:
                self._tables = snapshot
                # Left by another task, a part takes with it what the owner has written since.
                transaction.has_ended = depth > 1 and not transaction.is_ours()
            raise
        finally:
            transaction.depth -= 1

    # --- rows ------------------------------------------------------------------------------

    def _checked(self, model: str, where: Where | None) -> Model:
        kind = self._schema.require_model(model)
        check_where(kind, where)
        return kind

    def _matching(self, model: Model, where: Where | None) -> list[Record]:
        rows = self._tables[model.name].values()
        return [row for row in rows if where is None or matches(row, where)]

    def _first(self, model: Model, where: Where) -> list[Record]:
        return in_order(self._matching(model, where), ())[:1]

    def _new(self, model: Model, data: Mapping[str, Any]) -> Record:
        row = {name: _stored(data.get(name)) for name in model.fields}
        if model.fields["id"].generated:
            row["id"] = self._generated_id(model.name, row["id"])
        return row

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
        _check_uniques(model, new, rest.values())
        after = rest | {row["id"]: row for row in new}
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
            related = [_copied(it) for it in in_order(joined, ())]
            record[relation.related.name] = related if relation.many else next(iter(related), None)
        return record


def _check_uniques(model: Model, new: Iterable[Record], others: Collection[Record]) -> None:
    for key in model.unique_keys:
        taken = {tuple(other[name] for name in key) for other in others}
        for row in new:
            values = tuple(row[name] for name in key)
            if None not in values and values in taken:
                raise UniqueViolation(model.name, key)
            taken.add(values)


@dataclass(slots=True)
class _Transaction:
    """What one task or thread has to itself."""

    owner: object
    may_be_left: bool
    depth: int = 0
    has_ended: bool = False

    def is_ours(self) -> bool:
        """Tell whether it is this task's or thread's."""
        return self.owner == current_owner()

    @contextmanager
    def ended_by_error(self) -> Iterator[None]:
        """Let a refused operation be the transaction's last, even if it is caught inside."""
        self.check_not_ended()
        try:
            yield
        except (UniqueViolation, ReferenceViolation):
            self.has_ended = True
            raise

    def check_not_ended(self) -> None:
        """Refuse to go on after an error.

        Raises:
            TransactionEnded: There was one.
        """
        if self.has_ended:
            raise TransactionEnded


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
