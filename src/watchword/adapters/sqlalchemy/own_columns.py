"""The columns of a table that the application has already: their names, and who fills them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Index,
    MetaData,
    Sequence,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.orm import Mapper

from watchword.adapters.sqlalchemy.dialects import is_mysql
from watchword.errors import ConfigurationError
from watchword.schema import camel_case

__all__ = ["OwnColumns", "is_made_by_the_database", "present_columns", "snake_case"]

# Inherited collations too, which reflection leaves out.
_COLLATIONS: Final = text(
    "SELECT column_name, character_maximum_length, character_set_name, collation_name "
    "FROM information_schema.columns WHERE collation_name IS NOT NULL "
    "AND table_name = :table AND table_schema = COALESCE(:schema, DATABASE())"
)


@dataclass(frozen=True, slots=True)
class OwnColumns:
    """A table with the names that its columns go by.

    Args:
        table: The application's.
        named: Columns by the names of attributes, and by their own.
        fields: Which of them is which field, where the name does not tell.
    """

    table: Table
    named: Mapping[str, Column[Any]]
    fields: Mapping[str, str]

    @classmethod
    def of(cls, user_model: Any, fields: Mapping[str, str]) -> "OwnColumns":
        """Read a mapped class or a table.

        Raises:
            ConfigurationError: This is neither.
        """
        table = user_model if isinstance(user_model, Table) else _mapped(user_model).local_table
        if not isinstance(table, Table):
            raise _no_table(user_model)
        attributes = {} if table is user_model else dict(_mapped(user_model).columns.items())
        own = {it.key: it for it in table.columns} | {it.name: it for it in table.columns}
        inherited = {name: it for name, it in attributes.items() if it.table is table}
        return cls(table, own | inherited, fields)

    def find(self, field: str) -> Column[Any] | None:
        """Return the column of a field, by the name that was given or by the field's own."""
        if field in self.fields:
            return self.named.get(self.fields[field])
        return self.named.get(field, self.named.get(camel_case(field)))

    def name_of(self, column: Column[Any]) -> str:
        """Return what the application calls a column, in snake_case."""
        attributes = (name for name, it in self.named.items() if it is column)
        # The attribute's name, if there is another one than the column's.
        names = sorted(attributes, key=lambda it: it in {column.name, column.key})
        return snake_case(names[0])

    def keeps_unique(self, *columns: Column[Any]) -> bool:
        """Tell whether no two rows can have the same values in these columns."""
        given = {it.name for it in columns}
        return any(unique and unique <= given for unique in self.unique_keys())

    def unique_keys(self) -> Iterator[set[str]]:
        """Go through the sets of columns that name at most one row."""
        yield {it.name for it in self.table.primary_key.columns}
        for constraint in self.table.constraints:
            if isinstance(constraint, UniqueConstraint):
                yield {it.name for it in constraint.columns}
        for index in self.table.indexes:
            if index.unique and not _is_partial(index):
                yield {it.name for it in index.columns}

    def require(self, name: str) -> Column[Any]:
        """Return the column that has this name in the database."""
        return next(it for it in self.table.columns if it.name == name)

    def named_unique_keys(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Go through the names by which databases speak of unique keys, with their columns."""
        table = self.table.name
        primary = self.table.primary_key
        yield str(primary.name or f"{table}_pkey"), tuple(it.name for it in primary.columns)
        for it in (*self.table.constraints, *self.table.indexes):
            if isinstance(it, UniqueConstraint) or (isinstance(it, Index) and it.unique):
                columns = tuple(column.name for column in it.columns)
                # Without a name PostgreSQL makes up the first, MariaDB and MySQL the second.
                made_up = (f"{table}_{'_'.join(columns)}_key", columns[0])
                yield from ((name, columns) for name in ([str(it.name)] if it.name else made_up))

    def fills_itself(self, column: Column[Any]) -> bool:
        """Tell whether a row can be written without a value for the column."""
        return (
            bool(column.nullable) or column.default is not None or is_made_by_the_database(column)
        )


def present_columns(own: OwnColumns, connection: Connection) -> OwnColumns:
    """Return the columns as they are in this database.

    MariaDB and MySQL let nothing point at a text that is of another collation; one that is
    not declared is whatever the database has.

    Raises:
        ConfigurationError: The table is not there.
    """
    table = own.table
    there = inspect(connection)
    if not there.has_table(table.name, schema=table.schema):
        raise ConfigurationError(
            f"There is no table {table.fullname} in this database.",
            hint="It is the application's: make it first, by its own migrations or "
            "metadata.create_all(). create_tables() makes Watchword's own.",
        )
    if not is_mysql(connection.dialect):
        return own
    collated = table.to_metadata(MetaData())
    by_name = {it.name: it for it in collated.columns}
    asked = {"table": table.name, "schema": table.schema}
    for name, length, charset, collation in connection.execute(_COLLATIONS, asked):
        if name in by_name:
            by_name[name].type = VARCHAR(length, charset=charset, collation=collation)
    return replace(own, table=collated, named=by_name)


def is_made_by_the_database(column: Column[Any]) -> bool:
    """Tell whether the database gives the column its value: a number, a default, a formula."""
    default = column.default
    return (
        column.server_default is not None
        or column.computed is not None
        or isinstance(default, Sequence)
        or (default is not None and default.is_clause_element)
        or column.table.autoincrement_column is column
    )


def snake_case(name: str) -> str:
    """Return a name as fields are named: `displayName` becomes `display_name`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _mapped(user_model: Any) -> Mapper[Any]:
    mapper = inspect(user_model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise _no_table(user_model)
    return mapper


def _no_table(user_model: Any) -> ConfigurationError:
    name = getattr(user_model, "__name__", type(user_model).__name__)
    return ConfigurationError(
        f"user_model={name} is neither a class that is mapped to a table nor a Table.",
        hint="Pass the class itself, such as user_model=AppUser.",
    )


def _is_partial(index: Index) -> bool:
    dialects = ("postgresql", "sqlite")
    return any(index.dialect_options[it].get("where") is not None for it in dialects)
