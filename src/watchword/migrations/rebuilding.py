"""SQLite, where a change is one transaction and a table may have to be made anew.

SQLite changes little of a table in place. Alembic makes it anew, copies the rows and drops the
old one, with everything that hangs on it and that Alembic does not know.
"""

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Integer,
    String,
    column,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy import table as table_clause
from sqlalchemy.exc import SAWarning

from watchword.errors import MigrationFailed, MigrationRefused
from watchword.schema.snapshot import Snapshot

__all__ = [
    "AS_WRITTEN",
    "FOREIGN_KEYS_OFF",
    "FOREIGN_KEYS_ON",
    "carried_over",
    "check_references",
    "send",
    "taken_down",
    "unasked_for_indexes",
    "without_foreign_keys",
]

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
def carried_over(connection: Connection, table: str, *, ours: Collection[str]) -> Iterator[None]:
    """Keep triggers, indexes and the last number of a table that may be made anew inside.

    Args:
        connection: In the transaction of it all.
        table: Its name.
        ours: The names of all that we made or shall make; anything else is somebody else's.

    Raises:
        MigrationRefused: The table has what cannot be carried over; nothing was done.
    """
    hanging = connection.execute(_HANGING, {"name": table}).all()
    _check_told(table, next((sql for kind, _, sql in hanging if kind == "table"), ""))
    _check_references_of(connection, table, ours)
    last = _last_number(connection, table)
    with unasked_for_indexes(), _views_untouched(connection):
        yield
    there = {name: sql for _, name, sql in connection.execute(_HANGING, {"name": table})}
    for kind, name, sql in hanging:
        if kind == "table" or name in ours or there.get(name) == sql:
            continue
        if name in there:  # without what a reflection of it does not tell, such as an order
            quoted = connection.dialect.identifier_preparer.quote(name)
            connection.exec_driver_sql(f"DROP INDEX {quoted}")
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


def _check_references_of(connection: Connection, table: str, ours: Collection[str]) -> None:
    quoted = connection.dialect.identifier_preparer.quote(table)
    folded = {name.lower() for name in ours}
    for row in connection.execute(text(f"PRAGMA foreign_key_list({quoted})")).mappings():
        if row["from"].lower() not in folded:
            raise MigrationRefused(
                f"{table}.{row['from']} of somebody else's points at {row['table']}, which would "
                "be changed when SQLite makes the table anew; nothing was done.",
                hint="Take the column off, or make the change by hand.",
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


# --- all of it in one transaction --------------------------------------------------------------

FOREIGN_KEYS_OFF: Final = "PRAGMA foreign_keys = OFF"
FOREIGN_KEYS_ON: Final = "PRAGMA foreign_keys = ON"


@contextmanager
def without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let a table be made anew: to drop the old one would delete what points at its rows."""
    connection.exec_driver_sql(FOREIGN_KEYS_OFF)
    try:
        yield
    finally:
        connection.exec_driver_sql(FOREIGN_KEYS_ON)


def check_references(connection: Connection, made: Snapshot) -> None:
    """Look whether rows of ours, and tables of others, still point at what there is."""
    quote = connection.dialect.identifier_preparer.quote
    tables = inspect(connection).get_table_names()
    for table in tables:
        broken = connection.execute(text(f"PRAGMA foreign_key_check({quote(table)})")).all()
        if broken and table in made.tables:
            raise MigrationFailed(
                f"{len(broken):,} rows of {table} point at rows that do not exist.",
                hint=f"Nothing was changed. `PRAGMA foreign_key_check({table})` lists them.",
            )
        told = connection.execute(text(f"PRAGMA foreign_key_list({quote(table)})")).mappings()
        missing = {row["table"] for row in told} - set(tables)
        if missing:
            raise MigrationFailed(
                f"{table} points at {', '.join(sorted(missing))}, which would be gone.",
                hint=f"Nothing was changed. Take the foreign key off {table} first.",
            )


@contextmanager
def taken_down(connection: Connection) -> Iterator[list[str]]:
    """Take down what changes something."""
    heard: list[str] = []

    def hear(_c: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
        reads = sql.lstrip().upper().startswith(("SELECT", "PRAGMA")) and " = O" not in sql
        if not reads:
            heard.append(sql.strip())

    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(connection, "before_cursor_execute", hear)
