"""What differs between SQL databases, but for the types of columns: those are in `tables`."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Dialect,
    UnaryExpression,
    func,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.storage.query import Operator

__all__ = [
    "OUR_CONNECTIONS",
    "SCHEMA_PATIENCE",
    "all_or_nothing",
    "begin",
    "begin_joined",
    "compare_text",
    "engine_options",
    "is_in_memory",
    "is_mysql",
    "locks_one_table",
    "makes_tables_in_a_transaction",
    "now_in_utc",
    "ping",
    "prepare_connection",
    "release_schema_lock",
    "roll_back",
    "schema_lock",
    "sorted_by",
    "text_collation",
    "try_schema_lock",
    "undo",
]

OUR_CONNECTIONS: Final[Mapping[str, Any]] = {"watchword": True}
"""What marks the engine of our own connections; others may share its pool and its dialect."""
_MYSQL: Final = frozenset({"mysql", "mariadb"})
# How long a writer waits for another one, in seconds.
_SQLITE_PATIENCE: Final = 30.0
# For each process, and event loop; opened when needed. 15 is SQLAlchemy's own total.
_CONNECTIONS: Final = 15
SCHEMA_PATIENCE: Final = 600
"""How many seconds the lock on the schema is asked for, again and again.

Who waits inside one statement holds a snapshot, and PostgreSQL builds no index concurrently
before that is gone.
"""
# The number says "watchwor". What asks, what waits a little, and what gives it back.
_POSTGRESQL_LOCK: Final = (
    "SELECT pg_try_advisory_lock(8601401962404572018)",
    "SELECT pg_sleep(0.05)",
    "SELECT pg_advisory_unlock(8601401962404572018)",
)
# Locks are the whole server's here, so the name tells the database; at most 64 characters.
_MYSQL_NAME: Final = "CONCAT('watchword_schema_', SHA1(COALESCE(DATABASE(), '')))"
_MYSQL_LOCK: Final = (
    f"SELECT COALESCE(GET_LOCK({_MYSQL_NAME}, 1), 0)",
    "SELECT 0",
    f"SELECT RELEASE_LOCK({_MYSQL_NAME})",
)
_SCHEMA_LOCKS: Final = {
    "postgresql": _POSTGRESQL_LOCK,
    "mysql": _MYSQL_LOCK,
    "mariadb": _MYSQL_LOCK,
}


def is_mysql(dialect: Dialect) -> bool:
    """Tell whether it is MySQL's or MariaDB's; a URL of either may name the other."""
    return dialect.name in _MYSQL


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


def now_in_utc(dialect: Dialect) -> str:
    """Return the database's own clock, as an instant is stored."""
    # In parentheses for MySQL, which takes no other expression as a default.
    return "(UTC_TIMESTAMP(6))" if is_mysql(dialect) else "CURRENT_TIMESTAMP"


# --- connections -------------------------------------------------------------------------


def engine_options(url: URL) -> Mapping[str, Any]:
    """Return what an engine made from a URL needs besides the URL."""
    options: dict[str, Any] = {
        # One statement is one transaction; what is more says BEGIN and COMMIT itself.
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        # What could be logged with an error is e-mail addresses and password hashes.
        "hide_parameters": True,
        "execution_options": OUR_CONNECTIONS,
        # Connections above pool_size would be opened and closed for each use.
        "pool_size": _CONNECTIONS,
        "max_overflow": 0,
    }
    if url.get_backend_name() == "sqlite":
        # A connection may be used by one thread after another, never by two at once.
        options["connect_args"] = {"timeout": _SQLITE_PATIENCE, "check_same_thread": False}
        is_async = url.get_dialect().is_async
        options["poolclass"] = AsyncAdaptedQueuePool if is_async else QueuePool
        if is_in_memory(url):
            # One connection is the database: it is lent to one caller at a time.
            options |= {"pool_size": 1, "max_overflow": 0}
    return options


def is_in_memory(url: URL) -> bool:
    """Tell whether the database is gone with its last connection."""
    if url.get_backend_name() != "sqlite":
        return False
    return url.database in {None, "", ":memory:"} or "mode=memory" in str(url)


def prepare_connection(connection: Connection) -> None:
    """Set up a driver's connection on its first use, also one of the application's engine."""
    if connection.dialect.name != "sqlite" or "watchword" in connection.info:
        return
    for pragma in ("foreign_keys = ON", f"busy_timeout = {int(_SQLITE_PATIENCE * 1000)}"):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    if connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete":
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    connection.info["watchword"] = True


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
        if not _is_in_transaction(connection):
            prepare_connection(connection)
            begin(connection)
        elif not connection.exec_driver_sql("PRAGMA foreign_keys").scalar():
            raise ConfigurationError(
                "The session has written without foreign keys; references would break.",
                hint="Join the session before its first write, or switch them on when the "
                "engine connects.",
            )


def roll_back(connection: Connection) -> None:
    """Roll back; SQLite may have done so, or not have begun, and then refuses to."""
    if connection.dialect.name != "sqlite" or _is_in_transaction(connection):
        connection.exec_driver_sql("ROLLBACK")


def undo(connection: Connection) -> None:
    """Roll back; a connection that cannot is not used again."""
    try:
        roll_back(connection)
    except SQLAlchemyError:
        connection.invalidate()


@contextmanager
def all_or_nothing(connection: Connection) -> Iterator[None]:
    """Let all of it be done, or nothing."""
    begin(connection)
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        undo(connection)
        raise


def _is_in_transaction(connection: Connection) -> bool:
    driver_connection: Any = connection.connection.driver_connection
    return bool(driver_connection.in_transaction)


def makes_tables_in_a_transaction(connection: Connection) -> bool:
    """Tell whether making tables is best one transaction; elsewhere a lock guards it."""
    return connection.dialect.name == "sqlite"


@contextmanager
def schema_lock(connection: Connection) -> Iterator[None]:
    """Keep other processes from changing the schema; on SQLite the transaction does.

    Raises:
        StorageUnavailable: Another one does not come to an end.
    """
    give_up_at = monotonic() + SCHEMA_PATIENCE
    while not try_schema_lock(connection):
        if monotonic() > give_up_at:
            raise StorageUnavailable("Another process is changing the schema.", retryable=True)
        connection.exec_driver_sql(_SCHEMA_LOCKS[connection.dialect.name][1])
    try:
        yield
    finally:
        release_schema_lock(connection)


def try_schema_lock(connection: Connection) -> bool:
    """Keep other processes from changing the schema, if none does within a second."""
    locks = _SCHEMA_LOCKS.get(connection.dialect.name)
    return locks is None or bool(connection.exec_driver_sql(locks[0]).scalar())


def release_schema_lock(connection: Connection) -> None:
    """Let others change the schema."""
    locks = _SCHEMA_LOCKS.get(connection.dialect.name)
    if locks is not None:
        connection.exec_driver_sql(locks[-1])


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
    if is_mysql(dialect):
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
