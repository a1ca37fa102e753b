"""What differs between SQL databases; nothing else in this package names one."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Dialect,
    UnaryExpression,
    func,
    text,
)
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from watchword.storage.query import Operator

__all__ = [
    "begin",
    "begin_joined",
    "compare_text",
    "engine_options",
    "hold_schema_lock",
    "locks_one_table",
    "ping",
    "prepare_connection",
    "sorted_by",
    "text_collation",
]

_MYSQL: Final = frozenset({"mysql", "mariadb"})
# How long a writer waits for another one, in seconds.
_SQLITE_PATIENCE: Final = 30.0
# For each process, and event loop; opened when needed. 15 is SQLAlchemy's own total.
_CONNECTIONS: Final = 15
_SCHEMA_LOCK: Final = "watchword_schema"
_SCHEMA_LOCK_NUMBER: Final = 0x7761746368776F72  # the same name, as PostgreSQL wants it


def text_collation(dialect: Dialect) -> str | None:
    """Return the collation under which text is equal only to itself, trailing spaces too."""
    match dialect.name:
        case "postgresql":
            return "C"
        case "mysql" | "mariadb" if getattr(dialect, "is_mariadb", False):
            return "utf8mb4_nopad_bin"
        case "mysql" | "mariadb":
            return "utf8mb4_0900_bin"
        case _:
            return None


# --- connections -------------------------------------------------------------------------


def engine_options(url: URL) -> Mapping[str, Any]:
    """Return what an engine made from a URL needs besides the URL."""
    options: dict[str, Any] = {
        # One statement is one transaction; what is more says BEGIN and COMMIT itself.
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        # What could be logged with an error is e-mail addresses and password hashes.
        "hide_parameters": True,
        # Connections above pool_size would be opened and closed for each use.
        "pool_size": _CONNECTIONS,
        "max_overflow": 0,
    }
    if url.get_backend_name() == "sqlite":
        # A connection may be used by one thread after another, never by two at once.
        options["connect_args"] = {"timeout": _SQLITE_PATIENCE, "check_same_thread": False}
        is_async = url.get_dialect().is_async
        options["poolclass"] = AsyncAdaptedQueuePool if is_async else QueuePool
        if _in_memory(url):
            # One connection is the database: it is lent to one caller at a time.
            options |= {"pool_size": 1, "max_overflow": 0}
    return options


def _in_memory(url: URL) -> bool:
    return url.database in {None, "", ":memory:"} or "mode=memory" in str(url)


def prepare_connection(connection: Connection) -> None:
    """Set up a driver's connection on its first use, also one of the application's engine."""
    if connection.dialect.name != "sqlite" or "watchword" in connection.info:
        return
    connection.info["watchword"] = True
    for pragma in ("foreign_keys = ON", f"busy_timeout = {int(_SQLITE_PATIENCE * 1000)}"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    if connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete":
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def ping(connection: Connection) -> None:
    """Find out whether the connection is alive; a file needs no asking.

    Raises:
        DBAPIError: It is not, and the pool knows it now.
    """
    dialect = connection.dialect
    if dialect.name == "sqlite":
        return
    driver_connection: Any = connection.connection.dbapi_connection
    try:
        dialect.do_ping(driver_connection)
    except dialect.loaded_dbapi.Error:
        connection.exec_driver_sql("SELECT 1")


def begin(connection: Connection) -> None:
    """Begin a transaction; on SQLite as a writer, since a reader could not become one."""
    immediate = " IMMEDIATE" if connection.dialect.name == "sqlite" else ""
    connection.exec_driver_sql(f"BEGIN{immediate}")


def begin_joined(connection: Connection) -> None:
    """Make sure that a transaction of the application's has begun.

    SQLite's driver says BEGIN before the first write alone; a savepoint before that would
    commit when it is released.
    """
    if connection.dialect.name == "sqlite":
        driver_connection: Any = connection.connection.driver_connection
        if not driver_connection.in_transaction:
            prepare_connection(connection)
            begin(connection)


def hold_schema_lock(connection: Connection) -> Callable[[], None]:
    """Wait until no other process changes the schema; return what ends the hold."""
    match connection.dialect.name:
        case "postgresql":
            connection.execute(text(f"SELECT pg_advisory_lock({_SCHEMA_LOCK_NUMBER})"))
            return lambda: _run(connection, f"SELECT pg_advisory_unlock({_SCHEMA_LOCK_NUMBER})")
        case "mysql" | "mariadb":
            connection.execute(text(f"SELECT GET_LOCK('{_SCHEMA_LOCK}', 60)"))
            return lambda: _run(connection, f"SELECT RELEASE_LOCK('{_SCHEMA_LOCK}')")
        case _:
            begin(connection)
            return lambda: _run(connection, "COMMIT")


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


# --- expressions -------------------------------------------------------------------------


def sorted_by(
    column: ColumnElement[Any], dialect: Dialect, *, descending: bool, nullable: bool
) -> UnaryExpression[Any]:
    """Order by a column, null before everything."""
    ordered = column.desc() if descending else column.asc()
    if not nullable or dialect.name != "postgresql":
        return ordered
    return ordered.nulls_last() if descending else ordered.nulls_first()


def locks_one_table(dialect: Dialect) -> bool:
    """Tell whether FOR UPDATE can name the table; where it must not lock what it joins."""
    return dialect.name == "postgresql"


def compare_text(
    column: ColumnElement[Any], operator: Operator, value: str, dialect: Dialect
) -> ColumnElement[bool]:
    """Compare text as it is: exact case, no wildcards; for IEQ ASCII letters in either case."""
    if operator is Operator.IEQ:
        return _equals_in_either_case(column, value, dialect)
    if not value:
        return column.is_not(None)
    if dialect.name == "sqlite":
        return _TEXT_ON_SQLITE[operator](column, value)
    return _TEXT_BY_LIKE[operator](column, value)


# SQLite's LIKE ignores the case of ASCII letters.
_TEXT_ON_SQLITE: Final[
    Mapping[Operator, Callable[[ColumnElement[Any], str], ColumnElement[bool]]]
] = {
    Operator.CONTAINS: lambda column, value: func.instr(column, value) > 0,
    Operator.STARTS_WITH: lambda column, value: func.substr(column, 1, len(value)) == value,
    Operator.ENDS_WITH: lambda column, value: func.substr(column, -len(value)) == value,
}
_TEXT_BY_LIKE: Final[
    Mapping[Operator, Callable[[ColumnElement[Any], str], ColumnElement[bool]]]
] = {
    Operator.CONTAINS: lambda column, value: column.contains(value, autoescape=True),
    Operator.STARTS_WITH: lambda column, value: column.startswith(value, autoescape=True),
    Operator.ENDS_WITH: lambda column, value: column.endswith(value, autoescape=True),
}


def _equals_in_either_case(
    column: ColumnElement[Any], value: str, dialect: Dialect
) -> ColumnElement[bool]:
    if dialect.name in _MYSQL:
        # LOWER() folds all of Unicode here; a pattern folds what we choose.
        return column.regexp_match(rf"\A{''.join(map(_either_case, value))}\z")
    if dialect.name == "postgresql":
        column = column.collate("C")
    return func.lower(column) == _ascii_lower(value)


def _either_case(character: str) -> str:
    if character.isascii() and character.isalpha():
        return f"[{character.lower()}{character.upper()}]"
    return re.escape(character)


def _ascii_lower(value: str) -> str:
    return "".join(it.lower() if it.isascii() else it for it in value)
