"""What every view of a schema shows: tables and columns, their keys and their owners."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from watchword.schema.fields import Field, Model, Moment, OnDelete, Schema
from watchword.schema.resolve import APPLICATION

__all__ = [
    "APPLICATION",
    "CORE",
    "ColumnOutline",
    "Mark",
    "Reference",
    "TableOutline",
    "outline",
    "owners_of",
]

CORE: Final = "core"


class Mark(StrEnum):
    """What a column is beside a value, in the two letters that diagrams use."""

    PRIMARY = "PK"
    FOREIGN = "FK"
    UNIQUE = "UK"
    INDEX = "IX"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of one column.

    Args:
        model: The model that it points to.
        table: That model's table.
        column: The key of that table.
        on_delete: What becomes of the row that points when the other goes.
    """

    model: str
    table: str
    column: str
    on_delete: OnDelete


@dataclass(frozen=True, slots=True)
class ColumnOutline:
    """A column by its name in the database.

    Args:
        name: The column's name.
        field: The logical name that Python has for it.
        type: The type in no database's terms, with its length if that is limited.
        required: Never null.
        default: What new rows get that name no value, in words; empty if that is nothing.
        marks: Its keys and indexes.
        reference: What it points to.
        owner: Who defines it: `core`, a plugin's id, or `the application`.
        comment: What it holds, if that is told.
    """

    name: str
    field: str
    type: str
    required: bool
    default: str
    marks: tuple[Mark, ...]
    reference: Reference | None
    owner: str
    comment: str | None

    @property
    def is_unique(self) -> bool:
        """Whether no two rows share a value."""
        return Mark.UNIQUE in self.marks or Mark.PRIMARY in self.marks


@dataclass(frozen=True, slots=True)
class TableOutline:
    """A table by its name in the database.

    Args:
        name: The table's name, behind that of its database schema if one is set.
        model: The logical name that Python has for it.
        owner: Who defines it: `core`, a plugin's id, or `the application`.
        is_ours: We make and change it; False for a table of the application's own.
        columns: In the order of the table.
        uniques: The columns of each unique key of several columns.
        indexes: The columns of each index over several columns.
        comment: What the table is for, if that is told.
    """

    name: str
    model: str
    owner: str
    is_ours: bool
    columns: tuple[ColumnOutline, ...]
    uniques: tuple[tuple[str, ...], ...]
    indexes: tuple[tuple[str, ...], ...]
    comment: str | None

    @property
    def joint_keys(self) -> tuple[str, ...]:
        """Keys and indexes over several columns, each in words."""
        return (
            *(f"unique ({', '.join(it)})" for it in self.uniques),
            *(f"index ({', '.join(it)})" for it in self.indexes),
        )


def outline(schema: Schema) -> tuple[TableOutline, ...]:
    """Return every table, in the order in which the models were defined."""
    return tuple(_table(schema, model) for model in schema.models.values())


def owners_of(tables: Sequence[TableOutline]) -> tuple[str, ...]:
    """Return whoever owns a table or a column: the core first, the application last."""
    found = [owner for it in tables for owner in (it.owner, *(at.owner for at in it.columns))]
    between = dict.fromkeys(it for it in found if it not in {CORE, APPLICATION})
    first = (it for it in (CORE,) if it in found)
    last = (it for it in (APPLICATION,) if it in found)
    return (*first, *between, *last)


def _table(schema: Schema, model: Model) -> TableOutline:
    return TableOutline(
        name=_table_name(schema, model.name),
        model=model.name,
        owner=schema.owners.get(model.name, CORE) if model.ours else APPLICATION,
        is_ours=model.ours,
        columns=tuple(_column(schema, model, name, it) for name, it in model.fields.items()),
        uniques=tuple(_columns(schema, model, it.fields) for it in model.uniques),
        indexes=tuple(_columns(schema, model, it.fields) for it in model.indexes),
        comment=model.comment,
    )


def _table_name(schema: Schema, model: str) -> str:
    naming = schema.naming
    table = naming.table(model)
    schema_name = naming.schema_of(model)
    return f"{schema_name}.{table}" if schema_name else table


def _columns(schema: Schema, model: Model, fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(schema.naming.column(model.name, it) for it in fields)


def _column(schema: Schema, model: Model, name: str, field: Field) -> ColumnOutline:
    owner = schema.owners.get(model.name, CORE)
    return ColumnOutline(
        name=schema.naming.column(model.name, name),
        field=name,
        type=_type(field),
        required=field.required,
        default=_default(field) if model.ours else _unstored_default(field),
        marks=tuple(_marks(name, field)),
        reference=_reference(schema, field),
        owner=schema.owners.get(f"{model.name}.{name}", owner),
        comment=field.comment,
    )


def _type(field: Field) -> str:
    limited = field.type == "string" or field.max_length is not None
    return f"{field.type}({field.limit})" if limited else field.type


def _default(field: Field) -> str:
    stored = field.stored_default
    if isinstance(stored, Moment):
        return stored.value
    if stored is not None:
        return json.dumps(stored, ensure_ascii=False)
    if field.generated:
        return "counted"
    return "" if field.default is None else "by Python"


def _unstored_default(field: Field) -> str:
    """Return the default in a table of the application's, where we have put none."""
    if field.generated:
        return "counted" if field.type in {"integer", "bigint"} else "by the database"
    return "" if field.default is None else "by Python"


def _marks(name: str, field: Field) -> list[Mark]:
    """Return the marks; what is a key has its index already."""
    marks = {
        Mark.PRIMARY: name == "id",
        Mark.FOREIGN: field.references is not None,
        Mark.UNIQUE: field.unique,
        Mark.INDEX: field.index and not field.unique,
    }
    return [mark for mark, is_there in marks.items() if is_there]


def _reference(schema: Schema, field: Field) -> Reference | None:
    if field.references is None:
        return None
    return Reference(
        model=field.references,
        table=_table_name(schema, field.references),
        column=schema.naming.column(field.references, "id"),
        on_delete=field.on_delete,
    )
