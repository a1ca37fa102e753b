"""Reads that are compiled once and handed to the driver as text.

Building, hashing and executing a statement through SQLAlchemy costs more than the database
takes to answer it. The read behind every authenticated request has one shape with new values
each time; so the SQL of a shape is kept, and only the values travel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, bindparam
from sqlalchemy.types import TypeEngine

from watchword.adapters.sqlalchemy.reading import Reader, joined_record
from watchword.adapters.sqlalchemy.statements import Joined, select_rows
from watchword.adapters.sqlalchemy.tables import ModelTable
from watchword.storage.contract import Record
from watchword.storage.query import And, Comparison, Operator, Where, matches_at_most_one
from watchword.storage.relations import Relation

__all__ = ["PreparedRead", "PreparedReads"]

Shape: TypeAlias = tuple[str, ...]
"""The fields that a condition pins to a value each."""
Key: TypeAlias = tuple[object, ...]
"""A model, a shape, and what comes along."""
Processor: TypeAlias = Callable[[Any], Any] | None


def shape_of(it: ModelTable, where: Where) -> Shape | None:
    """Return the shape of a condition; None unless it names at most one row by equality."""
    parts = where.parts if isinstance(where, And) else (where,)
    if not all(_pins(part) for part in parts):
        return None
    if not matches_at_most_one(where, it.model.unique_keys):
        return None
    return tuple(part.field for part in where.comparisons())


def _pins(part: Where) -> bool:
    return isinstance(part, Comparison) and part.operator is Operator.EQ and part.value is not None


@dataclass(frozen=True, slots=True)
class PreparedRead:
    """A read of one row, with the rows that it points at.

    Args:
        sql: The statement, its parameters by number.
        _bind: What each value passes through on its way to the driver.
        _order: Which value each parameter is; None where parameters are named.
        _read: What each column passes through on its way back.
        _it: The model.
        _joined: The rows beside it.
    """

    sql: str
    _bind: tuple[Processor, ...]
    _order: tuple[int, ...] | None
    _read: tuple[tuple[int, Callable[[Any], Any]], ...]
    _it: ModelTable
    _joined: Sequence[Joined]

    @classmethod
    def of(
        cls, it: ModelTable, shape: Shape, joined: Sequence[Joined], dialect: Dialect
    ) -> "PreparedRead":
        """Compile the read of a shape."""
        parameters = [
            bindparam(_name(number), type_=it.table.c[field].type)
            for number, field in enumerate(shape)
        ]
        where = And(tuple(map(Comparison, shape, repeat(Operator.EQ), parameters)))
        query = select_rows(it, where, dialect, limit=1, joined=joined)
        compiled = query.compile(dialect=dialect)
        columns = [*it.columns, *(column for join in joined for column in join.columns)]
        read = [_reading(column.type, dialect) for column in columns]
        return cls(
            str(compiled),
            tuple(_binding(it.table.c[field].type, dialect) for field in shape),
            None if compiled.positiontup is None else tuple(map(_number, compiled.positiontup)),
            tuple((number, it) for number, it in enumerate(read) if it is not None),
            it,
            joined,
        )

    def arguments(self, where: Where) -> list[Any]:
        """Return what the driver is given for a condition of this shape."""
        bound = [
            part.value if bind is None else bind(part.value)
            for part, bind in zip(where.comparisons(), self._bind, strict=True)
        ]
        return bound if self._order is None else [bound[number] for number in self._order]

    def fetch(self, connection: Connection, where: Where) -> Record | None:
        """Read the row on a connection."""
        given = self.arguments(where)
        named = {_name(number): value for number, value in enumerate(given)}
        parameters = named if self._order is None else tuple(given)
        row = connection.exec_driver_sql(self.sql, parameters).first()
        return None if row is None else self.record(row)

    def record(self, row: Sequence[Any]) -> Record:
        """Return the record of a driver's row."""
        values = list(row)
        for number, read in self._read:
            values[number] = read(values[number])
        return joined_record(self._it, self._joined, values)


def _name(number: int) -> str:
    return f"p{number}"


def _number(name: str) -> int:
    return int(name[1:])


def _binding(kind: TypeEngine[Any], dialect: Dialect) -> Processor:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reading(kind: TypeEngine[Any], dialect: Dialect) -> Processor:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


class PreparedReads:
    """The reads that were compiled so far; there are as many as the code has shapes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        # An application's session, that is joined, may speak through another driver.
        self._reads: WeakKeyDictionary[Dialect, dict[Key, PreparedRead]] = WeakKeyDictionary()

    def find(
        self, it: ModelTable, where: Where, relations: Sequence[Relation], dialect: Dialect
    ) -> PreparedRead | None:
        """Return the read for a condition; None if it is not of a kind that is kept."""
        shape = shape_of(it, where)
        if shape is None or any(relation.many for relation in relations):
            return None
        key = (it.model.name, shape, *((one.related.name, one.own_field) for one in relations))
        reads = self._reads.setdefault(dialect, {})
        prepared = reads.get(key)
        if prepared is None:
            joined = [self._reader.joined(relation) for relation in relations]
            prepared = reads[key] = PreparedRead.of(it, shape, joined, dialect)
        return prepared
