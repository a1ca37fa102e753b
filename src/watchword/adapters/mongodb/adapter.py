"""The storage contract on MongoDB: a collection for each model, a document for each row."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError

from watchword.adapters.mongodb import references
from watchword.adapters.mongodb.documents import (
    ID,
    LOCK,
    Collections,
    ModelCollection,
)
from watchword.adapters.mongodb.filters import Filter, Update, both, changes_of, filter_of
from watchword.adapters.mongodb.lines import Hand, Line
from watchword.adapters.mongodb.making import make_missing
from watchword.adapters.mongodb.reading import Page, Reader
from watchword.adapters.mongodb.refusals import translated
from watchword.adapters.mongodb.rules import snapshot_by
from watchword.adapters.mongodb.sources import MongoDB, open_source
from watchword.adapters.mongodb.topology import check_transactions
from watchword.adapters.mongodb.transactions import Gate
from watchword.adapters.mongodb.values import INSTANT_RESOLUTION, new_object_id
from watchword.errors import ConfigurationError
from watchword.schema import Schema
from watchword.schema.snapshot import Snapshot
from watchword.storage.checks import check_changes, check_order, check_row, check_where
from watchword.storage.contract import Capabilities, Record
from watchword.storage.query import Include, OrderBy, Where

__all__ = ["MongoDBAdapter"]


class MongoDBAdapter:
    """Rows in MongoDB 5.0 or newer, under an event loop or without one.

    Args:
        database: `mongodb://` or `mongodb+srv://`, which work under event loops and without
            one; or a client or database of PyMongo's, blocking or async. One of the latter
            kind stays on one loop. Clients stay the application's to close.
        name: The database's name; without it the URL's, or `watchword`.
        transactions: The server is a replica set or a sharded cluster, as all are in
            production. Without transactions each call is still one step, but several are not,
            nothing is undone, and references are kept whole only as far as nobody comes
            between.
        expires_rows: MongoDB itself deletes rows that have expired, about a minute later; hooks
            do not hear of it. False leaves them to `watchword purge`.
        object_ids: Ids are ObjectIds in the database, and their 24 digits everywhere else; the
            schema's are texts then, by `ids="string"`.

    Raises:
        ConfigurationError: The URL cannot be read, or nothing here leads to MongoDB.
    """

    def __init__(
        self,
        database: MongoDB,
        *,
        name: str | None = None,
        transactions: bool = True,
        expires_rows: bool = True,
        object_ids: bool = False,
    ) -> None:
        self._source = open_source(database, name)
        self._gate = Gate(self._source.line, self._translated, has_transactions=transactions)
        self._has_transactions = transactions
        self._expires_rows = expires_rows
        self._object_ids = object_ids
        self._learn(Schema({}))

    @property
    def line(self) -> Line:
        """The way to the database, for migrations."""
        return self._source.line

    @property
    def capabilities(self) -> Capabilities[Any]:
        """What this backend can do."""
        return Capabilities(
            needs_loop=self._source.line.needs_loop,
            transactions=self._has_transactions,
            waits=False,
            references=self._has_transactions,
            generates_ids=False,
            instant_resolution=INSTANT_RESOLUTION,
            new_id=new_object_id if self._object_ids else None,
        )

    def bind(self, schema: Schema) -> None:
        """Learn the models.

        Raises:
            ConfigurationError: Ids are ObjectIds, but no texts in the schema.
        """
        if self._object_ids:
            _check_texts(schema)
        self._learn(schema)

    def _learn(self, schema: Schema) -> None:
        self._collections = Collections(schema, object_ids=self._object_ids)
        self._reader = Reader(self._collections)

    async def close(self) -> None:
        """Close what was opened for a URL, of the running loop."""
        await self._source.close()

    def _translated(self, model: str, *, writes: bool) -> AbstractContextManager[None]:
        known = model in self._collections.schema.models
        return translated(self._collections.require(model) if known else None, writes=writes)

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
        rows = await self.find_many(model, where, limit=1, include=include, lock=lock)
        return rows[0] if rows else None

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
        it, matching = self._checked(model, where)
        check_order(it.model, order_by)
        relations = self._reader.relations(it, include)
        page = Page(order_by=order_by, limit=limit, offset=offset)

        async def read(hand: Hand) -> list[dict[str, Any]]:
            if lock and hand.session is not None and limit == 1 and not (offset or relations):
                row = await references.lock_first(hand, it, matching, page.sort(it))
                return [] if row is None else [row]
            found = await self._reader.documents(
                hand, it, matching, page=page, relations=relations
            )
            if lock and hand.session is not None:
                await references.lock_rows(hand, it, [row[ID] for row in found])
            return found

        found = await self._gate.read(model, read, lock=lock)
        return [self._reader.record(it, row, relations) for row in found]

    async def count(self, model: str, where: Where | None = None, *, lock: bool = False) -> int:
        """Return how many rows match, with `lock` of those that are committed now."""
        it, matching = self._checked(model, where)

        async def run(hand: Hand) -> int:
            return int(await hand.call(it.name, "count_documents", matching))

        return await self._gate.read(model, run, lock=lock)

    # --- writing ---------------------------------------------------------------------

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row and return it; fields not named are null."""
        [record] = await self.create_many(model, [data])
        return record

    async def create_many(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Write all rows or none, and return them in the order in which they were given.

        Without transactions those that were written before a refused one are deleted again.
        """
        it = self._collections.require(model)
        for row in rows:
            check_row(it.model, row)
        documents = [it.document(row) for row in rows]

        async def run(hand: Hand) -> None:
            await self._insert(hand, it, documents)
            references.hold(hand, it, [document[ID] for document in documents])
            if self._has_transactions:
                await references.check_references(hand, self._collections, it, documents)

        if documents:
            is_whole = len(documents) > 1 or bool(it.model.references)
            await self._gate.write(model, run, whole=is_whole)
        return [it.record(document) for document in documents]

    async def _insert(
        self, hand: Hand, it: ModelCollection, documents: Sequence[dict[str, Any]]
    ) -> None:
        if len(documents) == 1:
            await hand.call(it.name, "insert_one", documents[0])
            return
        try:
            await hand.call(it.name, "insert_many", documents)
        except BulkWriteError as error:
            written = [row[ID] for row in documents[: error.details["nInserted"]]]
            if hand.session is None:
                await hand.call(it.name, "delete_many", {ID: {"$in": written}})
            raise

    async def update(self, model: str, where: Where, changes: Mapping[str, Any]) -> Record | None:
        """Change one row that matches and return it as it is then; None if none matches."""
        it, matching = self._checked(model, where)
        check_changes(it.model, changes)
        if not changes:
            return await self.find_one(model, where)
        ways = changes_of(it, changes)

        async def run(hand: Hand) -> dict[str, Any] | None:
            await self._check_new_references(hand, it, ways)
            return await _change_one(hand, it, matching, ways)

        row = await self._gate.write(model, run, whole=_points(it, changes))
        return None if row is None else it.record(row)

    async def update_many(
        self, model: str, where: Where | None, changes: Mapping[str, Any]
    ) -> int:
        """Change all rows that match and return how many did.

        Without transactions a refused change leaves those before it changed.
        """
        it, matching = self._checked(model, where)
        check_changes(it.model, changes)
        if not changes:
            return await self.count(model, where)
        ways = changes_of(it, changes)

        async def run(hand: Hand) -> int:
            await self._check_new_references(hand, it, ways)
            return await _change_all(hand, it, matching, ways)

        return await self._gate.write(model, run, whole=True)

    async def _check_new_references(
        self, hand: Hand, it: ModelCollection, ways: Sequence[Update]
    ) -> None:
        if self._has_transactions:
            written = [update.get("$set", {}) for _, update in ways]
            await references.check_references(hand, self._collections, it, written)

    async def delete(self, model: str, where: Where) -> None:
        """Delete one row that matches, if there is one."""
        await self.consume_one(model, where)

    async def delete_many(self, model: str, where: Where | None) -> int:
        """Delete all rows that match and return how many went; each goes for one caller."""
        it, matching = self._checked(model, where)

        async def run(hand: Hand) -> int:
            return await references.delete_rows(hand, self._collections, it, matching)

        return await self._gate.write(model, run, whole=self._is_pointed_at(it))

    async def consume_one(self, model: str, where: Where) -> Record | None:
        """Delete one row that matches and return it, to one of several racing callers."""
        it, matching = self._checked(model, where)

        async def run(hand: Hand) -> dict[str, Any] | None:
            return await references.delete_one(hand, self._collections, it, matching)

        row = await self._gate.write(model, run, whole=self._is_pointed_at(it))
        return None if row is None else it.record(row)

    def _is_pointed_at(self, it: ModelCollection) -> bool:
        return bool(self._collections.referrers(it.model.name))

    # --- transactions, schema ----------------------------------------------------------

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Open a transaction that the calls of this task, or thread, join.

        On a server without transactions it is nothing: what was done stays done.
        """
        return self._gate.transaction()

    async def create_schema(self, schema: Schema) -> None:
        """Make the collections and indexes that are missing; what is there stays.

        Raises:
            ConfigurationError: A transaction is open here, the server has none, or an index
                cannot be made: without one that keeps values unique nothing may begin.
        """
        if self._gate.is_open():
            raise ConfigurationError(
                "Collections cannot be made inside a transaction.",
                hint="Make them before it begins.",
            )
        if self._has_transactions:
            await check_transactions(self.line)
        with translated(None, writes=True):
            await make_missing(self.line, self.snapshot_of(schema))

    def snapshot_of(self, schema: Schema) -> Snapshot:
        """Return the collections that a schema wants here."""
        collections = Collections(schema, object_ids=self._object_ids)
        return snapshot_by(collections, expires=self._expires_rows)

    def _checked(self, model: str, where: Where | None) -> tuple[ModelCollection, Filter]:
        it = self._collections.require(model)
        check_where(it.model, where)
        return it, filter_of(it, where)


def _check_texts(schema: Schema) -> None:
    others = {it.fields["id"].type for it in schema.models.values()} - {"string"}
    if others:
        raise ConfigurationError(
            f"Ids cannot be ObjectIds: in the schema they are of type {others.pop()}.",
            hint='Pass ids="string" beside MongoDBAdapter(..., object_ids=True).',
        )


def _points(it: ModelCollection, changes: Mapping[str, Any]) -> bool:
    return any(changes.get(name) is not None for name in it.model.references)


async def _change_one(
    hand: Hand, it: ModelCollection, matching: Filter, ways: Sequence[Update]
) -> dict[str, Any] | None:
    """Change the first row that fits one of the ways; each try is one step."""
    while True:
        for fits, update in ways:
            row: dict[str, Any] | None = await hand.call(
                it.name,
                "find_one_and_update",
                both(matching, fits),
                update,
                projection={LOCK: 0},
                sort=[(ID, 1)],
                return_document=ReturnDocument.AFTER,
            )
            if row is not None:
                return row
        # A counter that was null may have been counted by another caller between two ways.
        if len(ways) == 1 or await hand.call(it.name, "find_one", matching, {ID: 1}) is None:
            return None


async def _change_all(
    hand: Hand, it: ModelCollection, matching: Filter, ways: Sequence[Update]
) -> int:
    if len(ways) == 1:
        [(fits, update)] = ways
        result = await hand.call(it.name, "update_many", both(matching, fits), update)
        return int(result.matched_count)
    # A row must not be found again for what the way before it made of it.
    rows = await hand.call(it.name, "find", matching, {ID: 1})
    changed = [await _change_one(hand, it, both({ID: row[ID]}, matching), ways) for row in rows]
    return len([it for it in changed if it is not None])
