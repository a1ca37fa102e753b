"""Columns that hold ids of a table of the application's: they are of its key's type."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Inspector, inspect

from watchword.errors import MigrationRefused
from watchword.schema.snapshot import ColumnState, Reference, Snapshot, TableState

__all__ = ["with_borrowed_types"]


def with_borrowed_types(connection: Connection, wanted: Snapshot) -> Snapshot:
    """Return what is wanted with the types that the application's keys have in this database.

    A database lets nothing point at a column of another type, or of another collation.

    Raises:
        MigrationRefused: A table of the application's is not there.
    """
    inspector = inspect(connection)
    return replace(
        wanted,
        tables={
            name: _with_types(table, inspector, wanted.schema)
            for name, table in wanted.tables.items()
        },
    )


def _with_types(table: TableState, inspector: Inspector, schema: str | None) -> TableState:
    columns = dict(table.columns)
    for reference in table.references:
        column = columns[reference.column]
        if column.borrowed:
            columns[column.name] = _typed(column, reference, inspector, schema)
    return replace(table, columns=columns)


def _typed(
    column: ColumnState, reference: Reference, inspector: Inspector, schema: str | None
) -> ColumnState:
    key: Any = _key(reference, inspector, reference.place(schema))
    return replace(column, raw=key["type"].compile(inspector.dialect))


def _key(reference: Reference, inspector: Inspector, schema: str | None) -> Any:
    """Return what the database tells of the application's key."""
    missing = f"table {reference.table}"
    if inspector.has_table(reference.table, schema=schema):
        for column in inspector.get_columns(reference.table, schema=schema):
            if column["name"] == reference.target:
                return column
        missing = f"column {reference.table}.{reference.target}"
    raise MigrationRefused(
        f"There is no {missing} in this database.",
        hint="The table is the application's: make it first, by its own migrations or "
        "metadata.create_all().",
    )
