"""Tables and columns that are there under another name than the one that is wanted."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Final, Literal, TypeAlias

from sqlalchemy import Connection, inspect

from watchword.adapters.sqlalchemy.dialects import is_mysql
from watchword.engine.findings import Code, Finding, Level
from watchword.migrations.changes import Change, RenameColumn, RenameTable
from watchword.migrations.renames import renamed
from watchword.schema import Naming, Schema
from watchword.schema.snapshot import Snapshot, TableState

__all__ = ["Adapted", "adapted"]

Present: TypeAlias = Mapping[str, list[str]]
"""Tables by name, with the names of their columns."""

_CASES: Final[tuple[Literal["snake", "camel"], ...]] = ("snake", "camel")


@dataclass(frozen=True, slots=True)
class Adapted:
    """What is wanted, by the names that are there, and a finding for each that differs."""

    wanted: Snapshot
    findings: tuple[Finding, ...] = ()


def adapted(
    connection: Connection, schema: Schema, live: Snapshot, recorded: Snapshot | None
) -> Adapted:
    """Return what is wanted by the names that are there, where these are others.

    A name that we wrote ourselves is none of these: a migration changes it.
    """
    wanted = Snapshot.of(schema)
    known = [wanted, recorded or Snapshot()]
    if all(_has(live, it) for it in wanted.tables.values()):
        return Adapted(wanted)
    present = _present(connection, schema, wanted)
    if recorded is None:
        naming = _naming_of(schema, present)
        if naming is not None:
            other = Snapshot.of(replace(schema, naming=naming))
            return Adapted(other, (_whole(naming, other),))
    search = _Search(connection, schema, present, _names(known))
    return search.adapt(wanted)


def _has(live: Snapshot, table: TableState) -> bool:
    there = live.tables.get(table.name)
    return there is not None and set(table.columns) <= set(there.columns)


def _present(connection: Connection, schema: Schema, wanted: Snapshot) -> Present:
    """Read the tables that could be ours, with their columns."""
    inspector = inspect(connection)
    folded = {it for table in wanted.tables.values() for it in _spellings(schema, table)}
    there = inspector.get_table_names(schema=wanted.schema)
    names = [it for it in there if _folded(it) in folded]
    if not names:
        return {}
    told = inspector.get_multi_columns(schema=wanted.schema, filter_names=names)
    return {str(name): [it["name"] for it in columns] for (_, name), columns in told.items()}


def _spellings(schema: Schema, table: TableState) -> set[str]:
    """Return what a table could be called, folded."""
    others = (it.table(table.model) for it in _namings(schema.naming))
    return {_folded(it) for it in (table.name, *others)}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _names(known: Iterable[Snapshot]) -> dict[str, set[str]]:
    """Return the names that are ours: tables, each with its columns."""
    names: dict[str, set[str]] = {}
    for snapshot in known:
        for table in snapshot.tables.values():
            names.setdefault(table.name, set()).update(table.columns)
    return names


# --- another naming ----------------------------------------------------------------------------


def _namings(naming: Naming) -> Iterator[Naming]:
    """Go through the namings that the tables may have been made by.

    Who chose a prefix shares the database: tables without it are another application's.
    """
    prefixes = ("", naming.prefix) if naming.prefix == Naming().prefix else (naming.prefix,)
    for prefix, plural, case in product(prefixes, (True, False), _CASES):
        it = replace(naming, prefix=prefix, plural=plural, case=case)
        if it != naming:
            yield it


def _naming_of(schema: Schema, present: Present) -> Naming | None:
    """Return the naming by which all of the core's tables are there; None if there is none."""
    if _fits(schema, schema.naming, present):
        return None
    fitting = (it for it in _namings(schema.naming) if _fits(schema, it, present))
    return next(fitting, None)


def _fits(schema: Schema, naming: Naming, present: Present) -> bool:
    tables = Snapshot.of(replace(schema, naming=naming)).tables.values()
    return all(_core_columns(it) <= set(present.get(it.name, ())) for it in tables if _is_core(it))


def _is_core(table: TableState) -> bool:
    return table.owner == "core"


def _core_columns(table: TableState) -> set[str]:
    return {it.name for it in table.columns.values() if it.owner in {"core", table.owner}}


def _whole(naming: Naming, other: Snapshot) -> Finding:
    tables = ", ".join(it.name for it in other.tables.values() if _is_core(it))
    return Finding(
        Code.W003,
        "error",
        f"the tables have the names of another Naming: {tables}",
        f"naming={_written(naming)}",
    )


def _written(naming: Naming) -> str:
    if naming == Naming.wire():
        return "Naming.wire()"
    usual = Naming()
    changed = [
        f"{it.name}={getattr(naming, it.name)!r}"
        for it in fields(naming)
        if it.name != "schemas" and getattr(naming, it.name) != getattr(usual, it.name)
    ]
    return f"Naming({', '.join(changed)})"


# --- single names ------------------------------------------------------------------------------


class _Search:
    """Finds names that differ in case or in how words are joined."""

    def __init__(
        self,
        connection: Connection,
        schema: Schema,
        present: Present,
        ours: Mapping[str, set[str]],
    ) -> None:
        self._dialect = connection.dialect
        self._schema = schema
        self._present = present
        self._ours = ours
        self._findings: list[Finding] = []

    def adapt(self, wanted: Snapshot) -> Adapted:
        """Return what is wanted by the names that are there."""
        for find in (self._table, self._columns):
            changes = [it for table in wanted.tables.values() for it in find(table)]
            wanted = renamed(wanted, changes)
        return Adapted(wanted, tuple(self._findings))

    def _table(self, table: TableState) -> Iterator[Change]:
        """Find a table, unless it is there by its own name."""
        if table.name in self._present:
            return
        for name, columns in self._present.items():
            if name not in self._ours and self._is_it(table, name, columns):
                mend = self._mend(f'tables={{"{table.model}": "{name}"}}', name, table.name)
                self._tell(f"table {table.name} is there as {name}", table.name, name, mend)
                yield RenameTable(table.name, name)
                return

    def _is_it(self, table: TableState, name: str, columns: list[str]) -> bool:
        if _folded(name) == _folded(table.name):
            return True
        wanted = {_folded(it) for it in _core_columns(table)}
        # A `users` of the application's own is not ours: it has not all of the columns.
        fits = wanted <= set(map(_folded, columns))
        return fits and _folded(name) in _spellings(self._schema, table)

    def _columns(self, table: TableState) -> Iterator[Change]:
        """Find the columns of a table that are not there by their own names."""
        present = self._present.get(table.name, [])
        ours = {*table.columns, *self._ours.get(table.name, ())}
        others = {_folded(it): it for it in present if it not in ours}
        for column in table.columns.values():
            name = others.get(_folded(column.name))
            if column.name in present or name is None:
                continue
            written = f'columns={{"{table.model}.{column.field}": "{name}"}}'
            mend = self._mend(written, table.name, column.name, column=name)
            message = f"column {table.name}.{column.name} is there as {name}"
            self._tell(message, column.name, name, mend, is_column=True)
            yield RenameColumn(table.name, column, name)

    def _tell(
        self, message: str, wanted: str, name: str, mend: str, *, is_column: bool = False
    ) -> None:
        is_alike = self._is_alike(wanted, name, is_column=is_column)
        level: Level = "warning" if is_alike else "error"
        self._findings.append(Finding(Code.W003, level, message, mend))

    def _is_alike(self, wanted: str, name: str, *, is_column: bool) -> bool:
        """Tell whether the database itself takes one name for the other."""
        dialect = self._dialect
        folds = dialect.name == "sqlite" or (is_column and is_mysql(dialect))
        return folds and wanted.lower() == name.lower()

    def _mend(self, naming: str, table: str, name: str, *, column: str | None = None) -> str:
        quote = self._dialect.identifier_preparer.quote
        schema = self._schema.naming.schema
        place = f"{quote(schema)}.{quote(table)}" if schema else quote(table)
        what = "" if column is None else f"COLUMN {quote(column)} "
        return f"naming=Naming({naming}), or `ALTER TABLE {place} RENAME {what}TO {quote(name)}`"
