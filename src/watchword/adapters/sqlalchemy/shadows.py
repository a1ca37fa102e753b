"""Stand-ins for tables of the application's: the same columns, by our names and types.

Through them we query; the application's own Table and classes stay as they are.
"""

from typing import Any

from sqlalchemy import Column, FetchedValue, MetaData, Sequence, Table

from watchword.adapters.sqlalchemy.own_columns import OwnColumns, is_made_by_the_database
from watchword.adapters.sqlalchemy.own_types import stored_as
from watchword.schema import Field, Model, Naming

__all__ = ["shadow_of"]


def shadow_of(own: OwnColumns, model: Model, naming: Naming) -> Table:
    """Return the stand-in of a table, its columns keyed by logical field names."""
    theirs = {it.name: it for it in own.table.columns}
    known = {naming.column(model.name, name): name for name in model.fields}
    return Table(
        own.table.name,
        MetaData(),
        *(_known(theirs[it], name, model.fields[name]) for it, name in known.items()),
        *(_unknown(it) for name, it in theirs.items() if name not in known),
        schema=own.table.schema,
    )


def _known(column: Column[Any], name: str, field: Field) -> Column[Any]:
    # The id is the key for us, whatever theirs is: what an insert gives back.
    is_key = name == "id"
    numbers = is_key and column.table.autoincrement_column is column
    return Column(
        column.name,
        stored_as(field, column.type),
        key=name,
        nullable=column.nullable,
        primary_key=is_key,
        autoincrement=numbers,
        server_default=FetchedValue() if _is_fetched(column) else None,
        default=_argument(column.default),
        onupdate=_argument(column.onupdate),
    )


def _unknown(column: Column[Any]) -> Column[Any]:
    """Return a column that we neither read nor write, but for defaults of SQLAlchemy's."""
    return Column(
        column.name,
        column.type,
        key=f"~{column.name}",
        server_default=FetchedValue() if _is_fetched(column) else None,
        default=_argument(column.default),
        onupdate=_argument(column.onupdate),
    )


def _is_fetched(column: Column[Any]) -> bool:
    is_numbered = column.table.autoincrement_column is column
    return is_made_by_the_database(column) and column.default is None and not is_numbered


def _argument(default: Any) -> Any:
    """Return what a default was made from: a constant, a callable, an expression."""
    if isinstance(default, Sequence):
        return default.next_value()
    return None if default is None else default.arg
