"""Reads of rows, in order, in pages and with what is related to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from watchword.adapters.mongodb.documents import ID, LOCK, Collections, ModelCollection
from watchword.adapters.mongodb.filters import Filter
from watchword.adapters.mongodb.lines import Hand
from watchword.storage.contract import Record
from watchword.storage.query import Include, OrderBy
from watchword.storage.relations import Relation, require_relation

__all__ = ["Page", "Reader"]

# Stands before a related model's name where its documents are put; no field begins so.
_RELATED: Final = "_with_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which of the rows that match are wanted, and in what order."""

    order_by: Sequence[OrderBy] = ()
    limit: int | None = None
    offset: int = 0

    def sort(self, it: ModelCollection) -> dict[str, int]:
        """Return the order; rows that tie are ordered by id."""
        order: dict[str, int] = {}
        for by in self.order_by:
            order.setdefault(it.keys[by.field], -1 if by.descending else 1)
        order.setdefault(ID, 1)
        return order


class Reader:
    """Reads documents, and makes records of them.

    Args:
        collections: Those of the schema.
    """

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    def relations(self, it: ModelCollection, include: Sequence[Include]) -> list[Relation]:
        """Return what an include asks for."""
        schema = self._collections.schema
        return [require_relation(schema, it.model, one) for one in include]

    async def documents(
        self,
        hand: Hand,
        it: ModelCollection,
        matching: Filter,
        *,
        page: Page,
        relations: Sequence[Relation] = (),
    ) -> list[dict[str, Any]]:
        """Return documents as they are, with those that are related to each."""
        if page.limit == 0:
            return []
        if relations:
            steps = self._steps(it, matching, page, relations)
            joined: list[dict[str, Any]] = await hand.call(it.name, "aggregate", steps)
            return joined
        found: list[dict[str, Any]] = await hand.call(
            it.name,
            "find",
            matching,
            {LOCK: 0},
            sort=list(page.sort(it).items()),
            skip=page.offset,
            limit=page.limit or 0,
        )
        return found

    def record(
        self, it: ModelCollection, document: Mapping[str, Any], relations: Sequence[Relation] = ()
    ) -> Record:
        """Return a document's record; related ones stand under their models' names."""
        record = it.record(document)
        for relation in relations:
            other = self._collections.require(relation.related.name)
            related = [other.record(one) for one in document[_RELATED + other.model.name]]
            record[other.model.name] = related if relation.many else next(iter(related), None)
        return record

    def _steps(
        self, it: ModelCollection, matching: Filter, page: Page, relations: Sequence[Relation]
    ) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = [{"$match": matching}, {"$sort": page.sort(it)}]
        if page.offset:
            steps.append({"$skip": page.offset})
        if page.limit is not None:
            steps.append({"$limit": page.limit})
        steps.append({"$project": {LOCK: 0}})
        return [*steps, *(self._lookup(it, relation) for relation in relations)]

    def _lookup(self, it: ModelCollection, relation: Relation) -> dict[str, Any]:
        other = self._collections.require(relation.related.name)
        return {
            "$lookup": {
                "from": other.name,
                "localField": it.keys[relation.own_field],
                "foreignField": other.keys[relation.field],
                "pipeline": [{"$sort": {ID: 1}}, {"$project": {LOCK: 0}}],
                "as": _RELATED + other.model.name,
            }
        }
