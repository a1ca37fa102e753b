"""Adapters that each break one promise of the contract, as real ones have been seen to."""

# What an operation does is the contract's; what is wrong with it stands at its class.
# ruff: noqa: D102

import re
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from random import Random
from uuid import uuid4

from watchword.adapters.memory import MemoryAdapter
from watchword.concurrency import current_owner, sleep
from watchword.errors import UniqueViolation
from watchword.schema import Schema
from watchword.storage.query import And, Comparison, F, Increment, Not, Operator, Or


def rewritten(where, change):
    """Return a condition in which every comparison was changed."""
    match where:
        case Comparison():
            return change(where)
        case And(parts):
            return And(tuple(rewritten(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(rewritten(part, change) for part in parts))
        case Not(part):
            return Not(rewritten(part, change))
        case _:
            return where


class UpdatesAll(MemoryAdapter):
    """`update` changes every row that matches."""

    async def update(self, model, where, changes):
        rows = await self.find_many(model, where)
        await self.update_many(model, where, changes)
        return await self.find_one(model, F.id == rows[0]["id"]) if rows else None


class LosesWhatItSearchedBy(MemoryAdapter):
    """`update` looks for the changed row by the old condition."""

    async def update(self, model, where, changes):
        await super().update(model, where, changes)
        return await self.find_one(model, where)


class ConsumesTwice(MemoryAdapter):
    """`consume_one` reads, waits, deletes, and takes the row for its own."""

    async def consume_one(self, model, where):
        row = await self.find_one(model, where)
        await sleep(0)
        await self.delete_many(model, where & (F.id == row["id"]) if row else where)
        return row


class ReadsThenWrites(MemoryAdapter):
    """`update` tests first and changes later."""

    async def update(self, model, where, changes):
        row = await self.find_one(model, where)
        await sleep(0)
        return await super().update(model, F.id == row["id"], changes) if row else None


class CountsInPython(MemoryAdapter):
    """Increments are computed from a row read before."""

    async def update_many(self, model, where, changes):
        rows = await self.find_many(model, where)
        await sleep(0)
        for row in rows:
            sums = {
                name: (row[name] or 0) + it.by if isinstance(it, Increment) else it
                for name, it in changes.items()
            }
            await super().update_many(model, F.id == row["id"], sums)
        return len(rows)


class NullCountersStayNull(MemoryAdapter):
    """Null plus one is null."""

    async def update(self, model, where, changes):
        row = await self.find_one(model, where)
        known = {
            name: it
            for name, it in changes.items()
            if not (isinstance(it, Increment) and row and row[name] is None)
        }
        return await super().update(model, where, known)


class SkipsNulls(MemoryAdapter):
    """`!=` and `not in` do not find nulls."""

    def _matching(self, model, where):
        def change(it):
            negative = it.operator in {Operator.NE, Operator.NOT_IN} and it.value is not None
            return it & ~F.__getattr__(it.field).is_null() if negative else it

        return super()._matching(model, rewritten(where, change))


class ThreeValued(MemoryAdapter):
    """A negated comparison with null is unknown, so it is not found."""

    def _matching(self, model, where):
        def not_null(it):
            return ~Comparison(it.field, Operator.IS_NULL, None)

        rows = super()._matching(model, where)
        if isinstance(where, Not):
            known = [not_null(it) for it in where.comparisons() if it.value is not None]
            return [row for row in rows if row in super()._matching(model, And(tuple(known)))]
        return rows


class WildcardsWork(MemoryAdapter):
    """`contains` takes % for anything."""

    def _matching(self, model, where):
        def change(it):
            if it.operator is not Operator.CONTAINS:
                return it
            pattern = re.compile(
                re.escape(it.value).replace("%", ".*").replace("_", "."), re.DOTALL
            )
            texts = {row[it.field] for row in self._tables[model.name].values()} - {None}
            found = tuple(text for text in texts if pattern.search(text))
            return Comparison(it.field, Operator.IN, found)

        return super()._matching(model, rewritten(where, change))


class FoldsCase(MemoryAdapter):
    """Texts are equal whatever their case and trailing spaces, as under many collations."""

    def _matching(self, model, where):
        def change(it):
            if it.operator is not Operator.EQ or not isinstance(it.value, str):
                return it
            texts = {row[it.field] for row in self._tables[model.name].values()} - {None}
            same = it.value.rstrip(" ").lower()
            found = tuple(text for text in texts if text.rstrip(" ").lower() == same)
            return Comparison(it.field, Operator.IN, found)

        return super()._matching(model, rewritten(where, change))


class StopsAt100(MemoryAdapter):
    """`find_many` has a limit that nobody asked for."""

    async def find_many(self, model, where=None, **options):
        return await super().find_many(model, where, **{"limit": 100, **options})


class LeavesTiesToChance(MemoryAdapter):
    """Rows that tie come in another order each time."""

    def __init__(self):
        super().__init__()
        self._random = Random(1)

    async def find_many(self, model, where=None, *, limit=None, offset=0, **options):
        rows = await super().find_many(model, where, **options)
        fields = [it.field for it in options.get("order_by", ())]
        groups = {}
        for row in rows:
            groups.setdefault(tuple(row[name] for name in fields), []).append(row)
        for group in groups.values():
            self._random.shuffle(group)
        rows = [row for group in groups.values() for row in group]
        return rows[offset:] if limit is None else rows[offset : offset + limit]


class KeepsNoKeys(MemoryAdapter):
    """Unique keys are not enforced."""

    def bind(self, schema):
        models = {
            name: replace(
                model,
                uniques=(),
                fields={key: replace(it, unique=False) for key, it in model.fields.items()},
            )
            for name, model in schema.models.items()
        }
        super().bind(Schema(models))


class KeepsNoReferences(MemoryAdapter):
    """Foreign keys are off."""

    def _check_references(self, model, row, after):
        pass

    def _remove(self, model, rows):
        for row in rows:
            del self._tables[model.name][row["id"]]


class EmptyIsNull(MemoryAdapter):
    """Empty texts are stored as null."""

    async def create(self, model, data):
        return await super().create(model, {k: None if v == "" else v for k, v in data.items()})


class CutsSeconds(MemoryAdapter):
    """Instants lose what is finer than a second."""

    async def create(self, model, data):
        return await super().create(
            model,
            {
                k: v.replace(microsecond=0) if isinstance(v, datetime) else v
                for k, v in data.items()
            },
        )


class SharesRows(MemoryAdapter):
    """Records are the stored rows themselves."""

    async def create(self, model, data):
        record = await super().create(model, data)
        return self._tables[model][record["id"]]


class NeverRollsBack(MemoryAdapter):
    """A transaction ends the same way whatever happened in it."""

    @contextmanager
    def _undone_on_error(self):
        yield


class KeepsHalfWhenCancelled(MemoryAdapter):
    """A transaction is undone by errors, but not by a cancellation; its calls wait."""

    async def create(self, model, data):
        await sleep(0)
        return await super().create(model, data)

    @contextmanager
    def _undone_on_error(self):
        snapshot = {name: dict(rows) for name, rows in self._tables.items()}
        try:
            yield
        except Exception:
            self._tables = snapshot
            raise


class LosesItsConnection(MemoryAdapter):
    """A cancelled call never gives back what it holds."""

    async def create(self, model, data):
        async with self._turn():
            pass
        if self._is_ours():
            return await super().create(model, data)
        await self._mutex.acquire()
        await sleep(0)
        self._mutex.release()
        return await super().create(model, data)


class SwallowsCancellation(MemoryAdapter):
    """Whoever is cancelled goes on as if nothing had been."""

    async def create(self, model, data):
        try:
            await sleep(0)
        except BaseException as error:
            if type(error).__name__ != "CancelledError":
                raise
        return await super().create(model, data)


class ShowsTheUncommitted(MemoryAdapter):
    """A transaction does not keep others out."""

    @asynccontextmanager
    async def transaction(self):
        with self._undone_on_error():
            yield


_joined = ContextVar("joined", default=None)


class AdoptsChildren(MemoryAdapter):
    """A child task or thread joins the transaction that was open when it was started."""

    @asynccontextmanager
    async def transaction(self):
        if _joined.get() is self:
            with self._undone_on_error():
                yield
            return
        async with self._mutex:
            token = _joined.set(self)
            try:
                with self._undone_on_error():
                    yield
            finally:
                _joined.reset(token)

    def _is_ours(self):
        return _joined.get() is self


class BreaksSavepoints(MemoryAdapter):
    """A nested transaction is none: its errors undo nothing of their own."""

    @asynccontextmanager
    async def transaction(self):
        if self._owner == current_owner():
            yield
            return
        async with super().transaction():
            yield


class MultipliesRows(MemoryAdapter):
    """A page is cut after the join, as by LIMIT on joined rows."""

    async def find_many(self, model, where=None, *, include=(), limit=None, **options):
        rows = await super().find_many(model, where, include=include, **options)
        joined = [row for row in rows for _ in (row.get("note") or [0] if include else [0])]
        kept = joined if limit is None else joined[:limit]
        return [row for n, row in enumerate(kept) if row not in kept[:n]]


class CountsThenWrites(MemoryAdapter):
    """Transactions lock nothing: between a count and the row that it allows others come in."""

    @asynccontextmanager
    async def transaction(self):
        with self._undone_on_error():
            yield

    async def count(self, model, where=None, *, lock=False):
        number = await super().count(model, where)
        await sleep(0)
        return number


_counted = ContextVar("counted", default=None)


class CountsWhatItSaw(MemoryAdapter):
    """A transaction counts what was there at its first count, even if it is to look again."""

    @asynccontextmanager
    async def transaction(self):
        token = _counted.set({})
        try:
            with self._undone_on_error():
                yield
        finally:
            _counted.reset(token)

    async def count(self, model, where=None, *, lock=False):
        number = await super().count(model, where)
        seen = _counted.get()
        return number if seen is None else seen.setdefault((model, where), number)


class CountsForOne(MemoryAdapter):
    """A count with a lock counts all rows, whatever is asked for."""

    async def count(self, model, where=None, *, lock=False):
        return await super().count(model, None if lock else where)


class WritesAPart(MemoryAdapter):
    """`create_many` writes a hundred after a hundred, up to the first that are refused."""

    async def create_many(self, model, rows):
        parts = [rows[it : it + 100] for it in range(0, len(rows), 100)]
        return [
            row
            for part in parts
            for row in await super(WritesAPart, self).create_many(model, part)
        ]


class ReturnsManyInAnyOrder(MemoryAdapter):
    """The rows of `create_many` come back the other way round."""

    async def create_many(self, model, rows):
        return (await super().create_many(model, rows))[::-1]


class WritesAThousand(MemoryAdapter):
    """`create_many` writes as many rows as fit into one statement, and tells of all."""

    async def create_many(self, model, rows):
        written = await super().create_many(model, rows[:1000])
        return [*written, *map(dict, rows[1000:])]


class TakesFieldsOfTheFirst(MemoryAdapter):
    """`create_many` writes the fields that the first row has."""

    async def create_many(self, model, rows):
        names = {name for row in rows[:1] for name, value in row.items() if value is not None}
        known = [{k: v for k, v in row.items() if k in names} for row in rows]
        return await super().create_many(model, known)


class GivesItsOwnIds(MemoryAdapter):
    """`create_many` drops the ids that rows bring along."""

    async def create_many(self, model, rows):
        return await super().create_many(model, [{**row, "id": str(uuid4())} for row in rows])


class PassesKeysOver(MemoryAdapter):
    """`create_many` leaves rows out whose keys are taken, and says nothing."""

    async def create_many(self, model, rows):
        written = []
        for row in rows:
            with suppress(UniqueViolation):
                written.append(await self.create(model, row))
        return written


class CommitsManyAtOnce(MemoryAdapter):
    """What `create_many` writes in a transaction stays, whatever becomes of that."""

    async def create_many(self, model, rows):
        self._lasting = [*getattr(self, "_lasting", ()), (model, rows)]
        return await super().create_many(model, rows)

    @contextmanager
    def _undone_on_error(self):
        try:
            with super()._undone_on_error():
                yield
        except LookupError:
            for model, rows in self._lasting:
                self._tables[model] |= {row["id"]: dict(row) for row in rows}
            raise
