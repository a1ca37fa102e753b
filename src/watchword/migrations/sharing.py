"""Good manners in a shared database: what is the application's own tools' and what is ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    MetaData,
    Table,
    event,
    inspect,
)
from sqlalchemy.schema import conv
from sqlalchemy.sql.ddl import DDLIf

from watchword.adapters.sqlalchemy.joined_metadata import SCHEMA_KEY
from watchword.adapters.sqlalchemy.tables import Tables
from watchword.errors import ConfigurationError
from watchword.migrations.rendering import RenderItem, rendered_plainly
from watchword.migrations.versions import version_table_name
from watchword.schema import Schema

__all__ = [
    "REGISTERED",
    "HasSchema",
    "IncludeName",
    "IncludeObject",
    "alembic_filters",
    "register_foreign_tables",
    "schema_of",
]

IncludeName: TypeAlias = Callable[[Any, Any, Any], bool]
"""Alembic's hook for what it finds in the database."""
IncludeObject: TypeAlias = Callable[[Any, Any, Any, bool, Any], bool]
"""Alembic's hook for what it is about to compare."""


class HasSchema(Protocol):
    """A `Watchword` or `BlockingWatchword`."""

    @property
    def schema(self) -> Schema:
        """The resolved schema."""


def schema_of(auth: HasSchema | Schema) -> Schema:
    """Return the resolved schema of an instance."""
    return auth if isinstance(auth, Schema) else auth.schema


# --- an Alembic history that is the application's alone -------------------------------------


def alembic_filters(
    auth: HasSchema | Schema,
    *,
    include_name: IncludeName | None = None,
    include_object: IncludeObject | None = None,
    render_item: RenderItem | None = None,
) -> dict[str, Any]:
    """Return arguments of `context.configure()` with which Alembic leaves our tables alone.

    `alembic revision --autogenerate` neither creates nor changes nor drops them, nor what was
    made for a plugin that is not enabled any more. A table that the application itself
    defines, and that is not one of ours by its full name, is never hidden: our prefix only
    protects what is in the database and in no model.

    Args:
        auth: The instance, or its schema.
        include_name: A hook of the application's, asked about whatever is not ours.
        include_object: The same.
        render_item: The same; ours writes the types of columns that point at our tables.
    """
    filters = _Filters(_OurTables.of(schema_of(auth)), include_name, include_object)
    return {
        "include_name": filters.include_name,
        "include_object": filters.include_object,
        "render_item": rendered_plainly(render_item),
    }


@dataclass(frozen=True, slots=True)
class _OurTables:
    """Which tables are ours: for certain, or as far as their name tells."""

    names: frozenset[tuple[str | None, str]]
    theirs: frozenset[str]
    prefix: str
    schema: str | None

    @classmethod
    def of(cls, schema: Schema) -> "_OurTables":
        naming, models = schema.naming, schema.models.values()
        ours = {(naming.schema_of(it.name), naming.table(it.name)) for it in models if it.ours}
        theirs = {naming.table(it.name).lower() for it in models if not it.ours}
        return cls(
            names=frozenset({*ours, (naming.schema, version_table_name(naming))}),
            theirs=frozenset(theirs),
            prefix=naming.prefix.lower(),
            schema=naming.schema,
        )

    def include(self, schema: str | None, name: str) -> bool:
        """Tell whether a table is one of ours by its full name."""
        return (schema, name) in self.names

    def may_include(self, schema: str | None, name: str) -> bool:
        """Tell whether a table that no model describes may be one of ours.

        Better one too many: it is only that nobody proposes to drop it. A server may have
        folded the case of names, and the connection's default schema is told as None.
        """
        folded = name.lower()
        if folded in self.theirs:
            return False
        if schema is not None:
            return self.schema is not None and schema.lower() == self.schema.lower()
        is_prefixed = bool(self.prefix) and folded.startswith(self.prefix)
        return is_prefixed or folded in {it.lower() for _, it in self.names}


@dataclass(frozen=True, slots=True)
class _Filters:
    """Both hooks, with those of the application behind them."""

    ours: _OurTables
    name_filter: IncludeName | None
    object_filter: IncludeObject | None

    def include_name(self, name: Any, kind: Any, parents: Any) -> bool:
        """Tell whether Alembic may look at something that is in the database."""
        if kind == "table" and self.ours.include(parents["schema_name"], name):
            return False
        return self.name_filter is None or self.name_filter(name, kind, parents)

    def include_object(
        self,
        item: Any,
        name: Any,
        kind: Any,
        reflected: bool,  # noqa: FBT001 - Alembic passes it so
        compare_to: Any,
    ) -> bool:
        """Tell whether Alembic may compare something, and propose what to do about it."""
        if kind == "table":
            is_undescribed = reflected and compare_to is None
            if self.ours.include(item.schema, name) or (
                is_undescribed and self.ours.may_include(item.schema, name)
            ):
                return False
        return self.object_filter is None or self.object_filter(
            item, name, kind, reflected, compare_to
        )


# --- models of the application that point at our tables -------------------------------------

REGISTERED: Final = "watchword.registered"
"""Marks, in the `info` of a table, that it was registered and is not made from there."""
# What statements that create or drop look for, on tables and columns as on indexes.
_CONDITION: Final = "_ddl_if"


def register_foreign_tables(metadata: MetaData, auth: HasSchema | Schema) -> Mapping[str, Table]:
    """Let models of the application point at our tables: `ForeignKey("watchword_users.id")`.

    `metadata.create_all()` and `drop_all()` pass over our tables; `create_all()` needs them
    to be there before it makes a table that points at one. Calling this again changes nothing.

    Args:
        metadata: The application's, such as `Base.metadata`.
        auth: The instance, or its schema.

    Returns:
        Our tables by model, to map them or to point at `tables["user"].c.id`. Columns are
        keyed by field. A user table of the application's own is not among them.

    Raises:
        ConfigurationError: The application defines a table of the same name; by `create_all()`,
            if our tables are missing.
    """
    ours = _fresh_tables(schema_of(auth))
    new = [it for it in ours.values() if not _is_registered(it, metadata)]
    references = {it.key: it.foreign_key_constraints for it in new}
    for table in new:
        _copy(table, metadata)
    for key, pointers in references.items():
        for pointer in pointers:
            metadata.tables[key].append_constraint(_repeated(pointer, metadata))
        _pass_over(metadata.tables[key])
    if not event.contains(metadata, "before_create", _require_tables):
        event.listen(metadata, "before_create", _require_tables)
    return {name: metadata.tables[it.key] for name, it in ours.items()}


def _fresh_tables(schema: Schema) -> dict[str, Table]:
    tables = Tables(schema)
    ours = {it.name: tables.require(it.name).table for it in schema.models.values() if it.ours}
    for table in ours.values():
        # Final names: the application's naming convention has no part in them.
        for constraint in table.constraints:
            constraint.name = conv(str(constraint.name))
        for index in table.indexes:
            index.name = conv(str(index.name))
    return ours


def _is_registered(table: Table, metadata: MetaData) -> bool:
    present = metadata.tables.get(table.key)
    if present is not None and SCHEMA_KEY not in present.info:
        raise ConfigurationError(
            f"The application has a table {table.key} of its own, which is Watchword's.",
            hint="Rename it, or give Watchword another Naming(prefix=…). To map ours, call "
            "register_foreign_tables() first and use the table that it returns.",
        )
    return present is not None


def _copy(table: Table, metadata: MetaData) -> None:
    """Copy a table without its foreign keys, which would be looked for by name.

    Neither is to be where the application's metadata has its own tables by default.
    """
    table.constraints -= table.foreign_key_constraints
    default, metadata.schema = metadata.schema, None
    try:
        table.to_metadata(metadata).info[REGISTERED] = True
    finally:
        metadata.schema = default


def _repeated(pointer: ForeignKeyConstraint, metadata: MetaData) -> ForeignKeyConstraint:
    """Return the same foreign key, between tables of the application's metadata."""
    return ForeignKeyConstraint(
        pointer.column_keys,
        [_counterpart(it.column, metadata) for it in pointer.elements],
        name=pointer.name,
        ondelete=pointer.ondelete,
    )


def _counterpart(column: Column[Any], metadata: MetaData) -> Column[Any]:
    """Return the column of this name; in a table of the application's it may have another key."""
    table = metadata.tables.get(column.table.key, column.table)
    return next(it for it in table.columns if it.name == column.name)


def _pass_over(table: Table) -> None:
    """Let no statement be sent that creates, changes or drops any of this."""
    for it in (table, *table.columns, *table.indexes, *table.foreign_key_constraints):
        setattr(it, _CONDITION, DDLIf(None, _never, None))


def _never(*_ddl: object, **_options: object) -> bool:
    return False


def _require_tables(
    _metadata: MetaData, connection: object, *, tables: Sequence[Table] = (), **_options: object
) -> None:
    """Say what is missing, before the database does in other words, or SQLite not at all."""
    if not isinstance(connection, Connection):
        return  # only writing statements down
    new = [it for it in tables if REGISTERED not in it.info]
    wanted = {key.column.table for it in new for key in it.foreign_keys}
    ours = sorted((it for it in wanted if REGISTERED in it.info), key=lambda it: it.key)
    database = inspect(connection)
    missing = [
        it.key
        for it in ours
        if not database.has_table(it.name, schema=connection.schema_for_object(it))
    ]
    if missing:
        raise ConfigurationError(
            f"The application's tables point at {', '.join(missing)}, which is not there yet.",
            hint="Make Watchword's tables first: auth.create_tables().",
        )
