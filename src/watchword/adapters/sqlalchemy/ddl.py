"""The statements that make a schema's tables, as text; no connection is needed."""

import re
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Dialect, create_mock_engine
from sqlalchemy.schema import CreateTable, ExecutableDDLElement

from watchword.adapters.sqlalchemy.adapter import SQLAlchemyAdapter
from watchword.adapters.sqlalchemy.tables import Tables
from watchword.errors import ConfigurationError
from watchword.schema import Model, Schema
from watchword.storage.contract import Adapter

__all__ = ["DIALECTS", "create_statements", "dialect_of", "tables_of"]

DIALECTS: Final = ("sqlite", "postgresql", "mysql", "mariadb")
"""The databases by name; MariaDB and MySQL differ in their collations."""

# Line breaks as they are made, but those within quotes are the application's.
_QUOTED_OR_BREAK: Final = re.compile(r"""('[^']*'|"[^"]*"|`[^`]*`)| *\n(\t?)""")


def dialect_of(adapter: Adapter) -> str | None:
    """Return the name of an adapter's database, as far as it is known without a connection.

    None if it takes no SQL.
    """
    if not isinstance(adapter, SQLAlchemyAdapter):
        return None
    is_mariadb = getattr(adapter.dialect, "is_mariadb", False)
    return "mariadb" if is_mariadb else adapter.dialect.name


def tables_of(adapter: Adapter, schema: Schema) -> Tables:
    """Return the tables that an adapter works with; for one without SQL, those it would have."""
    return adapter.tables if isinstance(adapter, SQLAlchemyAdapter) else Tables(schema)


def create_statements(tables: Tables, dialect: str) -> list[str]:
    """Return what makes an empty database the one that `create_tables()` makes.

    A comment before each table says who wants it; statements end in a semicolon.

    Args:
        tables: What is made, but for tables of the application's own.
        dialect: One of `DIALECTS`.

    Raises:
        ConfigurationError: The dialect is none of these.
    """
    if dialect not in DIALECTS:
        raise ConfigurationError(
            f"There is no SQL for {dialect!r}.", hint=f"Known: {', '.join(DIALECTS)}."
        )
    written: list[str] = []
    schema = tables.schema
    models = {tables.require(it.name).table: it for it in schema.models.values() if it.ours}

    def write(element: ExecutableDDLElement, *_: Any, **__: Any) -> None:
        told = _told(models[element.element], schema) if isinstance(element, CreateTable) else ()
        written.append("\n".join([*told, f"{_compiled(element, engine.dialect)};"]))

    # With parameters by name, a percent sign stands for itself.
    engine = create_mock_engine(f"{dialect}://", write, paramstyle="named")
    tables.metadata.create_all(engine, tables=list(models), checkfirst=False)
    return written


def _compiled(element: ExecutableDDLElement, dialect: Dialect) -> str:
    if dialect.name == "postgresql":
        # A connection would tell that a backslash stands for itself; without one releases of
        # SQLAlchemy differ in what they assume.
        dialect._backslash_escapes = False  # type: ignore[attr-defined]  # noqa: SLF001
    return _QUOTED_OR_BREAK.sub(_laid_out, str(element.compile(dialect=dialect)).strip())


def _laid_out(found: re.Match[str]) -> str:
    return found[1] or "\n" + "    " * len(found[2])


def _told(model: Model, schema: Schema) -> Iterator[str]:
    """Say in comments of SQL who wants a table, and who its columns."""
    owner = schema.owners.get(model.name, "core")
    about = f": {model.comment}" if model.comment else ""
    yield _comment(f"{schema.naming.table(model.name)}, of {owner}{about}")
    added: dict[str, list[str]] = {}
    for name in model.fields:
        wants = schema.owners.get(f"{model.name}.{name}", owner)
        added.setdefault(wants, []).append(schema.naming.column(model.name, name))
    for wants, columns in added.items():
        if wants != owner:
            yield _comment(f"  of {wants}: {', '.join(columns)}")


def _comment(words: str) -> str:
    """Return words behind two dashes; a line break in them would begin a statement."""
    return "-- " + "".join(it if it.isprintable() else " " for it in words)
