"""A resolved schema as it is in a database, in plain values that a file can keep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgspec

from watchword.schema.core import CORE_VERSION
from watchword.schema.fields import Field, FieldType, Model, Moment, OnDelete, Schema

__all__ = [
    "FORMAT",
    "ColumnState",
    "Key",
    "Reference",
    "Snapshot",
    "StoredDefault",
    "TableState",
    "snapshot_of",
]

FORMAT: Final = 1
"""How snapshots are written; raised when an older reader would misunderstand one."""

StoredDefault: TypeAlias = str | int | bool | Mapping[str, str] | None
"""A constant, or `{"moment": "now"}` for the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnState:
    """A column.

    Args:
        name: In the database.
        type: Of its values.
        length: Most characters of a `string`.
        nullable: It may be null.
        default: What the database writes by itself.
        generated: The database numbers the rows by it.
        comment: For who reads the database.
        field: Its logical name.
        owner: Who wants it: `core`, a plugin's id, or the application.
        retired: Nobody wants it any more; it is kept with its values.
        raw: The database's own type, where it is none of ours.
        collation: How text compares, where it is not byte for byte.
        borrowed: It holds ids of a table of the application's, and is of their type.
        expiry: When this instant is past, the row may go.
    """

    name: str
    type: FieldType
    length: int | None = None
    nullable: bool = False
    default: StoredDefault = None
    generated: bool = False
    comment: str | None = None
    field: str = ""
    owner: str = ""
    retired: bool = False
    raw: str | None = None
    collation: str | None = None
    borrowed: bool = False
    expiry: bool = False

    @property
    def kind(self) -> str:
        """The type in a word, such as `string(254)`."""
        kind = self.raw or (f"{self.type}({self.length})" if self.length else self.type)
        return f"{kind} collated {self.collation}" if self.collation else kind


@dataclass(frozen=True, slots=True)
class Key:
    """A unique constraint or an index."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of one column.

    Args:
        name: Of the constraint.
        column: That points.
        table: Whose rows it points at.
        target: The column there.
        on_delete: What becomes of this row when the other one goes.
        schema: The database schema of the other table, if it is another one than ours; empty
            for the connection's default.
    """

    name: str
    column: str
    table: str
    target: str
    on_delete: OnDelete
    schema: str | None = field(default=None, compare=False)

    def place(self, ours: str | None) -> str | None:
        """Return the database schema of the other table."""
        return ours if self.schema is None else self.schema or None

    def pointed_at(self, ours: str | None) -> str:
        """Return what it points at as SQLAlchemy writes it: `schema.table.column`."""
        return ".".join(it for it in (self.place(ours), self.table, self.target) if it)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """A table, with all that hangs on it."""

    name: str
    model: str = ""
    owner: str = ""
    comment: str | None = None
    primary_key: str = ""
    columns: Mapping[str, ColumnState] = field(default_factory=dict)
    uniques: tuple[Key, ...] = ()
    indexes: tuple[Key, ...] = ()
    references: tuple[Reference, ...] = ()
    retired: bool = False

    @property
    def key_names(self) -> list[str]:
        """The names of its keys and references."""
        keys = [it.name for it in (*self.uniques, *self.indexes)]
        return [*keys, *(it.name for it in self.references)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every table that is ours, by name, in the order in which they can be made.

    Args:
        tables: The tables.
        schema: The database schema that they are in; None is the connection's default.
        format: How this is written.
        core: Which version of the core's models is in it.
    """

    tables: Mapping[str, TableState] = field(default_factory=dict)
    schema: str | None = None
    format: int = FORMAT
    core: int = CORE_VERSION

    @classmethod
    def of(cls, schema: Schema) -> "Snapshot":
        """Return a schema's own; tables of the application's are not in it."""
        ours = [_table(model, schema) for model in schema.models.values() if model.ours]
        tables = {table.name: table for table in _in_order(ours)}
        return cls(tables=tables, schema=schema.naming.schema)

    def with_tables(self, tables: Iterable[TableState]) -> "Snapshot":
        """Return it with other tables."""
        return replace(self, tables={table.name: table for table in _in_order(tables)})

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON knows, leaving out what is as usual."""
        return {
            "format": self.format,
            "core": self.core,
            "schema": self.schema,
            "tables": [_table_json(table) for table in self.tables.values()],
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Snapshot":
        """Return what `to_json` wrote.

        Raises:
            ValueError: It is none, or of a newer format.
        """
        known = written.get("format") if isinstance(written, Mapping) else None
        if not isinstance(known, int) or known > FORMAT:
            raise ValueError(f"format {known!r} is not known")
        tables = [_table_from(it) for it in written["tables"]]
        found = {it.name: it for it in tables}
        return cls(tables=found, schema=written["schema"], core=written["core"])

    @property
    def fingerprint(self) -> str:
        """What tells it from others: who wants a column, and comments, do not matter."""
        essence = (self.schema, sorted(map(_essence, self.tables.values())))
        return sha256(repr(essence).encode()).hexdigest()


def snapshot_of(schema: Schema) -> dict[str, Any]:
    """Return a schema's snapshot as values that JSON knows."""
    return Snapshot.of(schema).to_json()


# --- from a schema -------------------------------------------------------------------------


def _table(model: Model, schema: Schema) -> TableState:
    naming = schema.naming
    owner = schema.owners.get(model.name, "")

    def column(name: str) -> str:
        return naming.column(model.name, name)

    def key(kind: Any, fields: tuple[str, ...]) -> Key:
        return Key(kind(model.name, fields), tuple(map(column, fields)))

    columns = (
        replace(
            _column(column(name), name, it, schema.owners.get(f"{model.name}.{name}", owner)),
            borrowed=it.references is not None and not schema.models[it.references].ours,
        )
        for name, it in model.fields.items()
    )
    return TableState(
        name=naming.table(model.name),
        model=model.name,
        owner=owner,
        comment=model.comment,
        primary_key=naming.primary_key(model.name),
        columns={it.name: it for it in columns},
        uniques=tuple(key(naming.unique, it) for it in model.unique_keys[1:]),
        indexes=tuple(key(naming.index, it) for it in model.index_keys),
        references=tuple(
            _reference(model, name, target, schema) for name, target in model.references.items()
        ),
    )


def _column(column: str, name: str, it: Field, owner: str) -> ColumnState:
    default = it.stored_default
    return ColumnState(
        name=column,
        type="json" if it.type == "strings" else it.type,
        length=it.limit if it.type == "string" else None,
        nullable=not it.required,
        default={"moment": default.value} if isinstance(default, Moment) else default,
        generated=it.generated,
        comment=it.comment,
        field=name,
        owner=owner,
        expiry=it.expiry,
    )


def _reference(model: Model, name: str, target: str, schema: Schema) -> Reference:
    naming = schema.naming
    return Reference(
        naming.foreign_key(model.name, name),
        naming.column(model.name, name),
        naming.table(target),
        naming.column(target, "id"),
        model.fields[name].on_delete,
        None if naming.schema_of(target) == naming.schema else naming.schema_of(target) or "",
    )


def _in_order(tables: Iterable[TableState]) -> list[TableState]:
    """Put each table behind those that it points at; of a circle some come too early."""
    waiting = list(tables)
    ordered: list[TableState] = []
    while waiting:
        later = {it.name for it in waiting}
        ready = [it for it in waiting if not (_targets(it) & later)] or waiting[:1]
        ordered += ready
        waiting = [it for it in waiting if it not in ready]
    return ordered


def _targets(table: TableState) -> set[str]:
    return {it.table for it in table.references if it.table != table.name}


def _essence(table: TableState) -> tuple[Any, ...]:
    columns = [
        (it.name, it.kind, it.nullable, repr(it.default), it.retired)
        for it in table.columns.values()
    ]
    keys = (table.uniques, table.indexes, table.references)
    return (table.name, table.retired, sorted(columns), *(sorted(map(repr, it)) for it in keys))


# --- to JSON and back ------------------------------------------------------------------------


def _table_json(table: TableState) -> dict[str, Any]:
    written: dict[str, Any] = _without_usual(table)
    written["columns"] = [_without_usual(it) for it in table.columns.values()]
    for name in ("uniques", "indexes", "references"):
        if getattr(table, name):
            written[name] = [msgspec.to_builtins(it) for it in getattr(table, name)]
    return written


def _without_usual(state: TableState | ColumnState) -> dict[str, Any]:
    """Leave out what says nothing, so that people can read the file."""
    written: dict[str, Any] = msgspec.to_builtins(state)
    return {
        key: it
        for key, it in written.items()
        if key == "name"
        or (it is not None and it is not False and it not in ("", [], (), {}))
        or (key in {"default", "comment"} and it is not None)
    }


def _table_from(written: Mapping[str, Any]) -> TableState:
    columns = [msgspec.convert(it, ColumnState) for it in written["columns"]]
    table: TableState = msgspec.convert({**written, "columns": {}}, TableState)
    return replace(table, columns={it.name: it for it in columns})
