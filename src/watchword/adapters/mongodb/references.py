"""What a database with foreign keys does by itself: rows that point point at something.

In a transaction nobody comes between. Without one the row goes first, to one caller, and what
belonged to it right after; a row that is written at that moment may point at nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson.objectid import ObjectId

from watchword.adapters.mongodb.documents import (
    ID,
    LOCK,
    Collections,
    ModelCollection,
    Referrer,
)
from watchword.adapters.mongodb.filters import Filter, both
from watchword.adapters.mongodb.lines import Hand
from watchword.errors import ReferenceViolation

__all__ = ["check_references", "delete_one", "delete_rows", "hold", "lock_first", "lock_rows"]

Document = dict[str, Any]


async def lock_rows(hand: Hand, it: ModelCollection, ids: Sequence[Any]) -> int:
    """Keep others from changing rows until the transaction ends; return how many there are."""
    result = await hand.call(it.name, "update_many", {ID: {"$in": list(ids)}}, _mark())
    return int(result.matched_count)


async def lock_first(
    hand: Hand, it: ModelCollection, matching: Filter, order: Mapping[str, int]
) -> Document | None:
    """Return the first row that matches, and keep others from it until the transaction ends."""
    row: Document | None = await hand.call(
        it.name,
        "find_one_and_update",
        matching,
        _mark(),
        projection={LOCK: 0},
        sort=list(order.items()),
    )
    return row


def _mark() -> Document:
    """Return what locks a row: MongoDB locks what is written, and none of the fields changes."""
    return {"$set": {LOCK: ObjectId()}}


async def check_references(
    hand: Hand, collections: Collections, it: ModelCollection, documents: Sequence[Document]
) -> None:
    """Check that what rows, or changes, point at is there, and keep it there.

    Raises:
        ReferenceViolation: It is not.
    """
    wanted: dict[str, set[Any]] = {}
    for name, target in it.model.references.items():
        ids = {document.get(it.keys[name]) for document in documents} - {None}
        wanted.setdefault(target, set()).update(ids)
    for target, ids in wanted.items():
        collection = collections.require(target)
        missing = {row for row in ids if (collection.name, row) not in hand.held}
        found = await lock_rows(hand, collection, sorted(missing)) if missing else 0
        if found != len(missing):
            raise ReferenceViolation(it.model.name)
        hold(hand, collection, missing)


def hold(hand: Hand, it: ModelCollection, ids: Iterable[Any]) -> None:
    """Note that a transaction has written rows, so that they need not be locked again."""
    hand.held.update((it.name, row) for row in ids)


async def delete_one(
    hand: Hand, collections: Collections, it: ModelCollection, matching: Filter
) -> Document | None:
    """Delete the first row that matches, and what belongs to it; return the row.

    Raises:
        ReferenceViolation: A row that has to stay points at one that would go.
    """
    if not collections.referrers(it.model.name):
        return await _claim(hand, it, matching)
    while True:
        first = await hand.call(it.name, "find_one", matching, {ID: 1}, sort=[(ID, 1)])
        if first is None:
            return None
        hanging = await _hanging(hand, collections, it, [first[ID]])
        # Another caller may have been faster; where one was, the next row may be ours.
        row = await _claim(hand, it, both({ID: first[ID]}, matching))
        if row is not None:
            await _let_go(hand, hanging)
            return row


async def _claim(hand: Hand, it: ModelCollection, matching: Filter) -> Document | None:
    hand.held.clear()
    row: Document | None = await hand.call(
        it.name, "find_one_and_delete", matching, projection={LOCK: 0}, sort=[(ID, 1)]
    )
    return row


async def delete_rows(
    hand: Hand, collections: Collections, it: ModelCollection, matching: Filter
) -> int:
    """Delete all rows that match, and what belongs to them; return how many matched.

    Raises:
        ReferenceViolation: A row that has to stay points at one that would go.
    """
    hanging: list[_Hanging] = []
    if collections.referrers(it.model.name):
        ids = await _ids(hand, it, matching)
        hanging = await _hanging(hand, collections, it, ids)
        matching = both({ID: {"$in": ids}}, matching)
    hand.held.clear()
    result = await hand.call(it.name, "delete_many", matching)
    await _let_go(hand, hanging)
    return int(result.deleted_count)


@dataclass(frozen=True, slots=True)
class _Hanging:
    """Rows that point at some that go."""

    by: Referrer
    ids: Sequence[Any]

    @property
    def matching(self) -> Filter:
        """The filter for them, those that came meanwhile as well."""
        return {self.by.key: {"$in": list(self.ids)}}


async def _ids(hand: Hand, it: ModelCollection, matching: Filter) -> list[Any]:
    return [row[ID] for row in await hand.call(it.name, "find", matching, {ID: 1})]


async def _hanging(
    hand: Hand, collections: Collections, it: ModelCollection, ids: Sequence[Any]
) -> list[_Hanging]:
    """Return what points at rows, and at what goes with them; refuse if some of it must stay."""
    doomed: dict[str, set[Any]] = {it.model.name: set(ids)}
    found: list[_Hanging] = []
    waiting = [(it, list(ids))]
    while waiting:
        parent, gone = waiting.pop()
        for by in collections.referrers(parent.model.name):
            found.append(hanging := _Hanging(by, gone))
            if by.on_delete == "cascade":
                known = doomed.setdefault(by.child.model.name, set())
                more = await _ids(hand, by.child, hanging.matching)
                if new := [row for row in more if row not in known]:
                    known.update(new)
                    waiting.append((by.child, new))
    await _check_may_go(hand, it, found, doomed)
    return found


async def _check_may_go(
    hand: Hand, it: ModelCollection, found: Sequence[_Hanging], doomed: dict[str, set[Any]]
) -> None:
    for hanging in found:
        if hanging.by.on_delete == "restrict":
            child = hanging.by.child
            goes_too = {ID: {"$nin": list(doomed.get(child.model.name, ()))}}
            stays = both(hanging.matching, goes_too)
            if await hand.call(child.name, "find_one", stays, {ID: 1}) is not None:
                raise ReferenceViolation(it.model.name)


async def _let_go(hand: Hand, found: Sequence[_Hanging]) -> None:
    for hanging in found:
        child, key = hanging.by.child, hanging.by.key
        if hanging.by.on_delete == "cascade":
            await hand.call(child.name, "delete_many", hanging.matching)
        elif hanging.by.on_delete == "set null":
            await hand.call(child.name, "update_many", hanging.matching, {"$set": {key: None}})
