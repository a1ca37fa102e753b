"""What is in a database: the tables of ours that are there, in a snapshot's terms."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Dialect, inspect, text
from sqlalchemy.types import String

from watchword.adapters.sqlalchemy.dialects import is_mysql, text_collation
from watchword.migrations.columns import type_of
from watchword.migrations.defaults import stored_default, texts_of_defaults
from watchword.migrations.live import LeftOver, Live, columns_of
from watchword.migrations.rebuilding import unasked_for_indexes
from watchword.schema.snapshot import (
    ColumnState,
    Key,
    Reference,
    Snapshot,
    StoredDefault,
    TableState,
)

__all__ = ["read_live", "unfinished"]

# Equality under these is equality of bytes; they differ in nothing that is asked for.
_EXACT_ON_POSTGRESQL: Final = frozenset({None, "C", "POSIX", "default", "ucs_basic"})


def read_live(connection: Connection, wanted: Snapshot, recorded: Snapshot | None = None) -> Live:
    """Return the tables that are wanted, or were recorded, as they are.

    A column's type is that of the schema where the database has the same.
    """
    known = [*wanted.tables.values(), *(recorded or Snapshot()).tables.values()]
    names = sorted({it.name for it in known})
    begun = unfinished(connection, wanted.schema, names)
    unready = frozenset(it.name for it in begun)
    parts = _Parts.read(connection, wanted.schema, names)
    tables = [
        parts.table(name, columns_of(known, name), connection.dialect, unready)
        for name in names
        if name in parts.columns
    ]
    ours = {key for table in known for key in table.key_names}
    return Live(
        Snapshot(schema=wanted.schema).with_tables(tables),
        tuple(it for it in begun if it.name in ours or it.is_check),
        _places(connection, wanted.schema, names),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the database tells of several tables, by their names."""

    columns: Mapping[str, list[Any]]
    uniques: Mapping[str, list[Any]]
    indexes: Mapping[str, list[Any]]
    references: Mapping[str, list[Any]]

    @classmethod
    def read(cls, connection: Connection, schema: str | None, names: list[str]) -> "_Parts":
        inspector = inspect(connection)
        there = sorted(set(names) & set(inspector.get_table_names(schema=schema)))
        asked: Any = {"schema": schema, "filter_names": there}
        if not there:
            return cls({}, {}, {}, {})
        with unasked_for_indexes():
            told_of = (
                inspector.get_multi_columns(**asked),
                inspector.get_multi_unique_constraints(**asked),
                inspector.get_multi_indexes(**asked),
                inspector.get_multi_foreign_keys(**asked),
            )
        columns, uniques, indexes, references = (
            {name: [*some] for (_, name), some in told.items() if name is not None}
            for told in told_of
        )
        told_better = texts_of_defaults(connection, schema, there)
        for table, column in ((table, it) for table, some in columns.items() for it in some):
            column["default"] = told_better.get((table, column["name"]), column["default"])
        return cls(columns, uniques, indexes, references)

    def table(
        self,
        name: str,
        known: Mapping[str, ColumnState],
        dialect: Dialect,
        begun: frozenset[str],
    ) -> TableState:
        columns = [_column(it, known.get(it["name"]), dialect) for it in self.columns[name]]
        indexes = [it for it in self.indexes.get(name, ()) if it["name"] not in begun]
        references = self.references.get(name, ())
        return TableState(
            name=name,
            columns={it.name: it for it in columns},
            uniques=_uniques(self.uniques.get(name, ()), indexes),
            indexes=tuple(_key(it) for it in indexes if not it["unique"] and _is_plain(it)),
            references=tuple(
                _reference(it, dialect)
                for it in references
                if it["name"] not in begun and len(it["constrained_columns"]) == 1
            ),
        )


# --- columns ---------------------------------------------------------------------------------


def _column(told: Mapping[str, Any], known: ColumnState | None, dialect: Dialect) -> ColumnState:
    """Return a column in the terms of what is known of it."""
    guide = known or ColumnState(name=told["name"], type="text")
    kind = _canonical(told["type"].compile(dialect), dialect)
    return ColumnState(
        name=told["name"],
        nullable=bool(told["nullable"]),
        comment=told.get("comment"),
        field=guide.field,
        owner=guide.owner,
        generated=guide.generated,
        borrowed=guide.borrowed,
        default=None if guide.generated else _default(told["default"], guide, dialect),
        collation=_odd_collation(told["type"], guide, dialect),
        **_typed(kind, guide, dialect),
    )


def _default(told: str | None, guide: ColumnState, dialect: Dialect) -> StoredDefault:
    return stored_default(told, guide, escapes=is_mysql(dialect))


def _typed(kind: str, guide: ColumnState, dialect: Dialect) -> dict[str, Any]:
    """Tell a type's name in the schema, its length, or that it has none."""
    if kind == _canonical(type_of(guide).compile(dialect), dialect):
        return {"type": guide.type, "length": guide.length, "raw": guide.raw}
    found = re.fullmatch(r"VARCHAR\((\d+)\)", kind)
    if found:
        return {"type": "string", "length": int(found[1])}
    known = {"TEXT": "text", "LONGTEXT": "text", "INTEGER": "integer", "BIGINT": "bigint"}
    if kind in known:
        return {"type": known[kind]}
    return {"type": guide.type, "raw": kind.lower()}


def _canonical(kind: str, dialect: Dialect) -> str:
    """Return a type's name such that what a database takes for one has one."""
    kind = re.sub(r" (CHARACTER SET|COLLATE) \S+", "", kind.upper())
    if dialect.name == "sqlite":
        return _affinity(kind)
    if dialect.name == "postgresql":
        return "TEXT" if kind == "VARCHAR" else kind
    kind = re.sub(r"\b(INTEGER|BIGINT)\(\d+\)", r"\1", kind)
    if kind == "JSON" and getattr(dialect, "is_mariadb", False):
        return "LONGTEXT"
    return "TINYINT(1)" if kind in {"BOOL", "BOOLEAN"} else kind


def _affinity(kind: str) -> str:
    """Return what SQLite makes of a type's name (https://www.sqlite.org/datatype3.html, 3.1)."""
    for words, affinity in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(word in kind for word in words):
            return affinity
    return "NUMERIC"


def _odd_collation(kind: Any, guide: ColumnState, dialect: Dialect) -> str | None:
    """Return a collation under which text does not compare byte for byte."""
    if guide.type not in {"string", "text"} or not isinstance(kind, String) or guide.borrowed:
        return None
    if dialect.name == "postgresql":
        return None if kind.collation in _EXACT_ON_POSTGRESQL else kind.collation
    if is_mysql(dialect) and kind.collation != text_collation(dialect):
        return kind.collation or "by default"
    return None


# --- keys and references ---------------------------------------------------------------------


def _uniques(constraints: Iterable[Any], indexes: Iterable[Any]) -> tuple[Key, ...]:
    """Return unique constraints, and unique indexes that do the same."""
    named = [*constraints, *(it for it in indexes if it["unique"] and _is_plain(it))]
    keys = {it["name"] or str(it["column_names"]): _key(it) for it in named}
    return tuple(keys.values())


def _key(told: Mapping[str, Any]) -> Key:
    return Key(told["name"] or "", tuple(told["column_names"]))


def _is_plain(told: Mapping[str, Any]) -> bool:
    """Tell whether an index is of whole columns, and of all rows."""
    options = told.get("dialect_options", {})
    # A condition is an expression of SQLAlchemy's, which is neither true nor false.
    partial = any(key.endswith("_where") and it is not None for key, it in options.items())
    cut = any(key.endswith("_length") and it for key, it in options.items() if it is not None)
    return None not in told["column_names"] and not (told.get("expressions") or partial or cut)


def _reference(told: Mapping[str, Any], dialect: Dialect) -> Reference:
    # MariaDB and MySQL tell nothing where nothing may be deleted.
    usual: Any = "restrict" if is_mysql(dialect) else "no action"
    on_delete: Any = told["options"].get("ondelete", usual).lower()
    return Reference(
        told["name"] or "",
        told["constrained_columns"][0],
        told["referred_table"],
        told["referred_columns"][0],
        usual if on_delete == "no action" else on_delete,
    )


# --- what was begun --------------------------------------------------------------------------

# A schema's name as it is: what turns it into an identifier would fold and parse it.
_OF_OURS: Final = """
      AND t.relname = ANY(:names)
      AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_table_is_visible(t.oid)
               ELSE n.nspname = CAST(:schema AS text) END
"""
_UNFINISHED: Final = text(
    f"""
    SELECT t.relname, c.relname, true
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE NOT i.indisvalid {_OF_OURS}
    UNION ALL
    SELECT t.relname, o.conname, false
    FROM pg_constraint o JOIN pg_class t ON t.oid = o.conrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE (o.contype = 'f' AND NOT o.convalidated
           OR o.contype = 'c' AND o.conname ~ '^watchword_[0-9a-f]{{16}}_not_null$') {_OF_OURS}
    """  # noqa: S608 - of constants
)
_PLACES: Final = text(
    f"""
    SELECT t.relname, n.nspname FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE t.relkind IN ('r', 'p') {_OF_OURS}
    """  # noqa: S608 - of constants
)


def unfinished(connection: Connection, schema: str | None, names: list[str]) -> list[LeftOver]:
    """Find what only PostgreSQL can leave behind: elsewhere a statement is done or undone.

    Args:
        connection: To the database.
        schema: The database schema of the tables.
        names: Of the tables.
    """
    if connection.dialect.name != "postgresql":
        return []
    given = {"schema": schema, "names": names}
    return [LeftOver(*row) for row in connection.execute(_UNFINISHED, given)]


def _places(connection: Connection, schema: str | None, names: list[str]) -> dict[str, str]:
    """Return the database schema of each table; by itself an index's name is anybody's."""
    if connection.dialect.name != "postgresql":
        return {}
    rows = connection.execute(_PLACES, {"schema": schema, "names": names})
    return {row.relname: row.nspname for row in rows}
