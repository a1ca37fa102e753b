"""From what a snapshot holds to SQLAlchemy's columns, constraints and values."""

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine, UserDefinedType

from watchword.adapters.sqlalchemy.tables import column_type, server_default
from watchword.migrations.calls import DefaultOf, PrimaryKeyOf, TypeOf, UniqueOf
from watchword.schema import Field, Moment
from watchword.schema.snapshot import ColumnState, Reference, StoredDefault, TableState

__all__ = ["built", "column_of", "constant_of", "table_of", "type_of"]


def built(value: Any, schema: str | None, dialect: Dialect) -> Any:
    """Return what an argument of a call stands for."""
    match value:
        case ColumnState():
            value = column_of(value)
        case TypeOf(column):
            value = _resolved(type_of(column), dialect)
        case DefaultOf(default, kind):
            value = _default(default, kind)
        case PrimaryKeyOf(name, columns):
            value = PrimaryKeyConstraint(*columns, name=name)
        case UniqueOf(key):
            value = UniqueConstraint(*key.columns, name=key.name)
        case Reference():
            value = reference_of(value, schema)
    return value


def column_of(state: ColumnState) -> Column[Any]:
    """Return a column."""
    return Column(
        state.name,
        type_of(state),
        nullable=state.nullable,
        autoincrement=state.generated,
        server_default=_default(state.default, state.type),
        comment=state.comment,
    )


def type_of(state: ColumnState) -> TypeEngine[Any]:
    """Return a column's type."""
    if state.raw is not None:
        return _Raw(state.raw)
    return column_type(Field(state.type, max_length=state.length))


class _Raw(UserDefinedType[Any]):
    """A type as the database calls it."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_options: Any) -> str:
        """Return its name."""
        return self.name


def _resolved(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """Return the dialect's own type: Alembic takes a decorator for a type with a constraint."""
    return kind.load_dialect_impl(dialect) if isinstance(kind, TypeDecorator) else kind


def reference_of(reference: Reference, schema: str | None) -> ForeignKeyConstraint:
    """Return a foreign key."""
    return ForeignKeyConstraint(
        [reference.column],
        [reference.pointed_at(schema)],
        name=reference.name,
        ondelete=reference.on_delete.upper(),
    )


def table_of(state: TableState, schema: str | None) -> Table:
    """Return a table with its columns alone, to read and write rows."""
    return Table(state.name, MetaData(schema=schema), *map(column_of, state.columns.values()))


def constant_of(state: ColumnState) -> ColumnElement[Any] | None:
    """Return what rows get that have no value yet."""
    return _default(state.default, state.type)


def _default(value: StoredDefault, kind: str) -> ColumnElement[Any] | None:
    given: Any = Moment(value["moment"]) if isinstance(value, dict) else value
    return server_default(Field(kind, default=given))  # type: ignore[arg-type]  # one of ours
