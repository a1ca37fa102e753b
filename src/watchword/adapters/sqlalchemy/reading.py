"""From SQL rows to records, with the rows that they point at and that point at them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from watchword.adapters.sqlalchemy.statements import Joined, select_rows
from watchword.adapters.sqlalchemy.tables import ModelTable, Tables
from watchword.storage.contract import Record
from watchword.storage.query import F, Include, OrderBy, Where
from watchword.storage.relations import Relation, require_relation

__all__ = ["Reader", "batches", "record_of"]

T = TypeVar("T")

# How many ids one statement names, and how many rows go to a driver at a time; every database
# takes this many parameters.
_BATCH: Final = 1000


def record_of(it: ModelTable, row: Sequence[Any] | None) -> Record | None:
    """Return a row of `it.columns` by its logical names."""
    return None if row is None else dict(zip(it.fields, row, strict=True))


class Reader:
    """Reads records of one schema."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def rows(
        self,
        connection: Connection,
        *,
        it: ModelTable,
        where: Where | None,
        order_by: Sequence[OrderBy] = (),
        limit: int | None = None,
        offset: int = 0,
        relations: Sequence[Relation] = (),
        lock: bool = False,
    ) -> list[Record]:
        """Read rows; those that they point at come in the same statement."""
        joined = [self.joined(relation) for relation in relations if not relation.many]
        query = select_rows(
            it,
            where,
            connection.dialect,
            order_by=order_by,
            limit=limit,
            offset=offset,
            joined=joined,
            lock=lock,
        )
        records = [joined_record(it, joined, row) for row in connection.execute(query)]
        for relation in relations:
            if relation.many:
                self._add_many(connection, records, relation)
        return records

    def relations(self, it: ModelTable, include: Sequence[Include]) -> list[Relation]:
        """Return how the included models are related to the rows.

        Raises:
            UnknownModel, UnknownField: They are not.
            ConfigurationError: They are in several ways, and none is named.
        """
        return [require_relation(self._tables.schema, it.model, one) for one in include]

    def joined(self, relation: Relation) -> Joined:
        """Return the join for a row that is pointed at."""
        target = self._tables.require(relation.related.name)
        return Joined(relation.related.name, relation.own_field, target, target.table.alias())

    def _add_many(self, connection: Connection, records: list[Record], relation: Relation) -> None:
        """Add to each record the list of rows that point at it."""
        name = relation.related.name
        by_id: dict[Any, Record] = {record["id"]: record for record in records}
        for record in records:
            record[name] = []
        for ids in batches(list(by_id)):
            pointing = self.rows(
                connection,
                it=self._tables.require(name),
                where=F.__getattr__(relation.field).in_(ids),
            )
            for row in pointing:
                by_id[row[relation.field]][name].append(row)


def joined_record(it: ModelTable, joined: Sequence[Joined], row: Sequence[Any]) -> Record:
    """Cut a row into its record and the records beside it."""
    end = len(it.fields)
    record: Record = dict(zip(it.fields, row[:end], strict=True))
    for join in joined:
        start, end = end, end + len(join.target.fields)
        related = dict(zip(join.target.fields, row[start:end], strict=True))
        record[join.name] = None if related["id"] is None else related
    return record


def batches(of: list[T]) -> Iterator[list[T]]:
    """Go through ids or rows, as many at a time as may go together."""
    for start in range(0, len(of), _BATCH):
        yield of[start : start + _BATCH]
