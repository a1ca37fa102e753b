"""What would be lost when a table of SQLite is made anew, and is carried over.

SQLite changes little of a table in place. Alembic makes it anew, copies the rows and drops the
old one, with everything that hangs on it and that Alembic does not know.
"""

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Integer, String, column, delete, insert, inspect, select, text
from sqlalchemy import table as table_clause
from sqlalchemy.exc import SAWarning

from watchword.errors import MigrationRefused

__all__ = ["AS_WRITTEN", "carried_over", "send", "unasked_for_indexes"]

# Parts of a table that a reflection of it does not tell of.
_UNTOLD: Final = re.compile(r"\b(CHECK|COLLATE|GENERATED|STRICT|WITHOUT)\b", re.IGNORECASE)
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]")
_HANGING: Final = text(
    "SELECT type, name, sql FROM sqlite_master "
    "WHERE tbl_name = :name AND sql IS NOT NULL ORDER BY rowid"
)
# SQLite keeps the last number that it gave in a table, and forgets it with the one that is
# made anew: then it would give the number of a row that is gone to another.
_SEQUENCE: Final = table_clause(
    "sqlite_sequence", column("name", String()), column("seq", Integer())
)


@contextmanager
def unasked_for_indexes() -> Iterator[None]:
    """Be silent about indexes by an expression: they are somebody else's, and are left alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", SAWarning)
        yield


@contextmanager
def _views_untouched(connection: Connection) -> Iterator[None]:
    """Let views be that read the table: while it is gone, SQLite would not rename the new one."""
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")


@contextmanager
def carried_over(
    connection: Connection, table: str, *, dropped: Collection[str]
) -> Iterator[None]:
    """Keep triggers, indexes and the last number of a table that may be made anew inside.

    Args:
        connection: In the transaction of it all.
        table: Its name.
        dropped: Indexes that are to go.

    Raises:
        MigrationRefused: The table has what cannot be carried over; nothing was done.
    """
    hanging = connection.execute(_HANGING, {"name": table}).all()
    _check_told(table, next((sql for kind, _, sql in hanging if kind == "table"), ""))
    last = _last_number(connection, table)
    with unasked_for_indexes(), _views_untouched(connection):
        yield
    there = {name for _, name, _ in connection.execute(_HANGING, {"name": table})}
    for kind, name, sql in hanging:
        if kind != "table" and name not in there and name not in dropped:
            connection.exec_driver_sql(sql)
    if last is not None:
        send(connection, delete(_SEQUENCE).where(_SEQUENCE.c.name == table))
        send(connection, insert(_SEQUENCE).values(name=table, seq=last))


def _check_told(table: str, sql: str) -> None:
    found = _UNTOLD.search(_QUOTED.sub("", sql))
    if found:
        raise MigrationRefused(
            f"{table} has a {found[1].upper()} of somebody else's, which would be lost when "
            "SQLite makes the table anew; nothing was done.",
            hint="Take it off, or make the change by hand: `watchword migrate --sql` cannot.",
        )


def _last_number(connection: Connection, table: str) -> int | None:
    if not inspect(connection).has_table(_SEQUENCE.name):
        return None
    query = select(_SEQUENCE.c.seq).where(_SEQUENCE.c.name == table)
    return connection.scalar(query)


def send(connection: Connection, statement: Any) -> None:
    """Send a statement with its values inside, so that whoever prints it can send it too."""
    dialect = connection.dialect
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(str(compiled))


def _keep_colons(_inspector: object, _table: object, told: dict[str, Any]) -> None:
    """Keep a colon in a default from standing for a parameter when the table is copied."""
    if told["default"]:
        told["default"] = told["default"].replace(":", "\\:")


AS_WRITTEN: Final = {"listeners": [("column_reflect", _keep_colons)]}
"""How Alembic has to read a table, for its defaults to stay what they are."""
