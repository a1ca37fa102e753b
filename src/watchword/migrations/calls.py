"""From changes to calls of Alembic's operations, which a program makes or a file holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, TypeAlias

from watchword.migrations.changes import (
    AddColumn,
    AddIndex,
    AddReference,
    AddUnique,
    Change,
    ChangeColumn,
    CreateTable,
    DropColumn,
    DropIndex,
    DropReference,
    DropTable,
    DropUnique,
    RenameColumn,
    RenameTable,
)
from watchword.schema.snapshot import ColumnState, Key, Reference, StoredDefault, TableState

__all__ = [
    "TABLE_OPTIONS",
    "Backfill",
    "Batch",
    "Call",
    "DefaultOf",
    "PrimaryKeyOf",
    "RenameKey",
    "Step",
    "TypeOf",
    "UniqueOf",
    "steps_of",
]


@dataclass(frozen=True, slots=True)
class TypeOf:
    """Stands for a column's type."""

    column: ColumnState


@dataclass(frozen=True, slots=True)
class DefaultOf:
    """Stands for what the database writes by itself."""

    value: StoredDefault
    type: str


@dataclass(frozen=True, slots=True)
class PrimaryKeyOf:
    """Stands for a table's primary key."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UniqueOf:
    """Stands for a unique constraint inside a table."""

    key: Key


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an operation: `name(*arguments, **options)`."""

    name: str
    arguments: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backfill:
    """Give rows without a value the default."""

    table: str
    column: ColumnState


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that change one table; SQLite makes it anew, once for all of them.

    Args:
        table: Its name.
        calls: Of operations of the batch.
        numbers_rows: The database numbers its rows, without ever giving a number twice.
        has_colons: A default of it would be taken for one with parameters.
    """

    table: str
    calls: Sequence[Call]
    numbers_rows: bool = False
    has_colons: bool = False


@dataclass(frozen=True, slots=True)
class RenameKey:
    """Rename a primary key on PostgreSQL: elsewhere its name stands in nobody's way."""

    name: str
    becomes: str


Step: TypeAlias = Call | Backfill | Batch | RenameKey

TABLE_OPTIONS: Final[Mapping[str, Any]] = {
    "mysql_charset": "utf8mb4",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
}
"""What every table is made with: by another engine MariaDB and MySQL would keep no references."""


def steps_of(
    changes: Iterable[Change],
    *,
    schema: str | None = None,
    tables: Mapping[str, TableState] | None = None,
) -> list[Step]:
    """Return the calls that make changes; those of one table in a batch.

    Args:
        changes: In their order.
        schema: The database schema of the tables.
        tables: As they are or will be; tells whose rows the database numbers.
    """
    return [
        step
        for (table, _), some in groupby(changes, _batch_of)
        for step in _steps(table, list(some), schema=schema, tables=tables or {})
    ]


def _batch_of(change: Change) -> tuple[str | None, bool]:
    """Tell what goes together: changes of one table, but what is renamed for itself."""
    if isinstance(change, CreateTable | DropTable | RenameTable):
        return None, False
    return change.table, isinstance(change, RenameColumn)


def _steps(
    table: str | None,
    changes: Sequence[Change],
    *,
    schema: str | None,
    tables: Mapping[str, TableState],
) -> Iterator[Step]:
    if table is None:
        for change in changes:
            yield from _whole(change, schema)
        return
    required = [it for it in changes if isinstance(it, ChangeColumn) and it.becomes_required]
    yield from (Backfill(table, it.column) for it in required if it.column.default is not None)
    calls = tuple(call for change in changes for call in _calls(change, schema))
    columns = tables[table].columns.values() if table in tables else ()
    numbered = any(it.generated for it in columns)
    colons = any(isinstance(it.default, str) and ":" in it.default for it in columns)
    yield Batch(table, calls, numbered, colons)


# --- whole tables ----------------------------------------------------------------------------


def _whole(change: Change, schema: str | None) -> Iterator[Call | RenameKey]:
    where = _only({"schema": schema})
    match change:
        case CreateTable(state):
            yield _create(state, schema)
            for it in state.indexes:
                yield Call("create_index", (it.name, state.name, [*it.columns]), where)
        case DropTable(state):
            yield Call("drop_table", (state.name,), where)
        case RenameTable(table, name, key):
            yield Call("rename_table", (table, name), where)
            if all(key):
                yield RenameKey(*key)


def _create(state: TableState, schema: str | None) -> Call:
    numbers_rows = any(it.generated for it in state.columns.values())
    key = tuple(it.name for it in state.columns.values() if it.field == "id") or ("id",)
    return Call(
        "create_table",
        (
            state.name,
            *state.columns.values(),
            PrimaryKeyOf(state.primary_key, key),
            *map(UniqueOf, state.uniques),
            *state.references,
        ),
        {
            **_only({"schema": schema, "comment": state.comment}),
            **({"sqlite_autoincrement": True} if numbers_rows else {}),
            **TABLE_OPTIONS,
        },
    )


def _only(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: it for key, it in options.items() if it is not None}


# --- parts of a table ------------------------------------------------------------------------


def _calls(change: Change, schema: str | None) -> Iterator[Call]:
    match change:
        case AddColumn(_, column):
            yield Call("add_column", (column,))
        case DropColumn(_, column):
            yield Call("drop_column", (column.name,))
        case RenameColumn(_, column, name):
            yield Call("alter_column", (column.name,), {"new_column_name": name, **_known(column)})
        case ChangeColumn():
            yield _altered(change)
        case AddReference(_, reference):
            yield _referring(reference, schema)
        case DropReference(_, reference):
            yield Call("drop_constraint", (reference.name,), {"type_": "foreignkey"})
        case _:
            yield from _calls_for_keys(change)


def _calls_for_keys(change: Change) -> Iterator[Call]:
    match change:
        case AddUnique(_, key):
            yield Call("create_unique_constraint", (key.name, [*key.columns]))
        case DropUnique(_, key):
            yield Call("drop_constraint", (key.name,), {"type_": "unique"})
        case AddIndex(_, key):
            yield Call("create_index", (key.name, [*key.columns]))
        case DropIndex(_, key):
            yield Call("drop_index", (key.name,))


def _altered(change: ChangeColumn) -> Call:
    before, column = change.before, change.column
    options: dict[str, Any] = {}
    if change.changes_type:
        options["type_"] = TypeOf(column)
    if before.nullable != column.nullable:
        options["nullable"] = column.nullable
    if change.changes_default:
        options["server_default"] = DefaultOf(column.default, column.type)
    return Call("alter_column", (column.name,), {**options, **_known(before)})


def _known(column: ColumnState) -> dict[str, Any]:
    """Return what MariaDB and MySQL would forget of a column that is altered."""
    default = DefaultOf(column.default, column.type) if column.default is not None else None
    return {
        "existing_type": TypeOf(column),
        "existing_nullable": column.nullable,
        **_only({"existing_server_default": default, "existing_comment": column.comment}),
    }


def _referring(reference: Reference, schema: str | None) -> Call:
    place = _only({"referent_schema": reference.place(schema)})
    return Call(
        "create_foreign_key",
        (reference.name, reference.table, [reference.column], [reference.target]),
        {"ondelete": reference.on_delete.upper(), **place},
    )
