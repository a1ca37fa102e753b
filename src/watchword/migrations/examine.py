"""Look how far a database is."""

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection, func, select

from watchword.migrations.borrowed import with_borrowed_types
from watchword.migrations.columns import table_of
from watchword.migrations.history import History
from watchword.migrations.plan import Plan, said_empty
from watchword.migrations.reading import read_live
from watchword.migrations.state import State
from watchword.schema.snapshot import Snapshot

__all__ = ["empty_rows", "examine", "seen_in"]


def examine(
    connection: Connection, history: History, wanted: Snapshot, *, to: int | None = None
) -> State:
    """Look how far a database is.

    Args:
        connection: To the database.
        history: Its version table.
        wanted: As it should be.
        to: The version that matters instead, if one does.

    Raises:
        ConfigurationError: A newer release wrote what this one cannot read, there is no such
            version, or a table of the application's is not there.
    """
    wanted = with_borrowed_types(connection, wanted)
    versions = history.read(connection)
    return seen_in(connection, State.of(wanted, versions, has_prefix=history.has_prefix), to=to)


def seen_in(connection: Connection, state: State, *, to: int | None = None) -> State:
    """Return what was recorded with the tables that are wanted, or were made, as they are.

    Args:
        connection: To the database.
        state: What was recorded.
        to: The version that matters instead of what is wanted, if one does.

    Raises:
        ConfigurationError: There is no such version.
    """
    return replace(state, live=read_live(connection, *state.looked_for(to)))


def empty_rows(connection: Connection, plan: Plan) -> Iterator[str]:
    """Tell of rows that lack what becomes required and has no default."""
    for change in plan.unfilled:
        table = table_of(plan.after.tables[change.table], plan.after.schema)
        empty = table.c[change.column.name].is_(None)
        number = connection.execute(select(func.count()).select_from(table).where(empty)).scalar()
        if number:
            yield said_empty(change, number)
