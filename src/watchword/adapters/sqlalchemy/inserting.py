"""New rows: the statements that write them, and the records that are known without reading."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, CursorResult, Dialect, insert

from watchword.adapters.sqlalchemy.reading import Reader, batches
from watchword.adapters.sqlalchemy.statements import insert_row
from watchword.adapters.sqlalchemy.tables import ModelTable
from watchword.storage.contract import Record
from watchword.storage.query import F

__all__ = ["create_row", "create_rows", "kept", "reads_back"]

_NOT_KEPT_AS_IS: Final = frozenset({"datetime", "json", "strings"})


def create_row(
    connection: Connection, reader: Reader, *, it: ModelTable, data: Mapping[str, Any]
) -> Record:
    """Insert a row and return it."""
    if not it.model.ours:
        return _create_theirs(connection, reader, it=it, data=data)
    inserted = connection.execute(insert_row(it, data))
    values = {name: kept(value) for name, value in data.items()}
    return {**dict.fromkeys(it.fields), "id": _generated_id(inserted), **values}


def reads_back(it: ModelTable, dialect: Dialect) -> bool:
    """Tell whether it takes a second statement to know the row that was inserted."""
    return not it.model.ours and not dialect.insert_returning


def _create_theirs(
    connection: Connection, reader: Reader, *, it: ModelTable, data: Mapping[str, Any]
) -> Record:
    """Insert a row and read it, for there are defaults that we know nothing of.

    What was given is returned as it was given, also where a column cuts instants: who signs
    up with a known address is shown them uncut.
    """
    given = {name: kept(value) for name, value in data.items() if value is not None}
    statement = insert_row(it, data)
    if not reads_back(it, connection.dialect):
        row = connection.execute(statement.returning(*it.columns)).one()
        return dict(zip(it.fields, row, strict=True)) | given
    key = _generated_id(connection.execute(statement))
    [found] = reader.rows(connection, it=it, where=F.id == key)
    return found | given


def create_rows(
    connection: Connection, reader: Reader, *, it: ModelTable, rows: Sequence[Mapping[str, Any]]
) -> list[Record]:
    """Insert rows and return them in their order; the caller makes it one transaction."""
    records: list[Record] = []
    for has_id, run in groupby(rows, key=_has_id):
        for batch in batches(list(run)):
            if _goes_row_by_row(it, connection.dialect, has_id=has_id):
                records += [create_row(connection, reader, it=it, data=row) for row in batch]
            else:
                records += _create_batch(connection, it, batch, has_id=has_id)
    return records


def _has_id(row: Mapping[str, Any]) -> bool:
    return row.get("id") is not None


def _goes_row_by_row(it: ModelTable, dialect: Dialect, *, has_id: bool) -> bool:
    # A statement for many rows gives all of them the same columns, and so no defaults of
    # theirs; MySQL does not tell which ids it gave to them.
    return not it.model.ours or not (has_id or dialect.insert_returning)


def _create_batch(
    connection: Connection, it: ModelTable, batch: Sequence[Mapping[str, Any]], *, has_id: bool
) -> list[Record]:
    nulls = dict.fromkeys(it.fields)
    values = [{**nulls, **row} for row in batch]
    records = _records(it, values)
    if has_id:
        # Without RETURNING each driver has a faster way of its own.
        connection.execute(insert(it.table), values)
        return records
    statement = insert(it.table).returning(it.table.c.id, sort_by_parameter_order=True)
    ids = connection.execute(statement, [_without_id(row) for row in values]).scalars()
    return [{**record, "id": key} for record, key in zip(records, ids, strict=True)]


def _without_id(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in row.items() if name != "id"}


def _records(it: ModelTable, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Return rows as they will be read; most values need no look."""
    changing = [name for name, field in it.model.fields.items() if field.type in _NOT_KEPT_AS_IS]
    return [{**row, **{name: kept(row[name]) for name in changing}} for row in rows]


def _generated_id(inserted: CursorResult[Any]) -> Any:
    key = inserted.inserted_primary_key
    return None if key is None else key[0]


def kept(value: Any) -> Any:
    """Return a value as it will be read: instants in UTC, JSON as a copy of its own."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case dict() | list():
            return deepcopy(value)
    return value
