"""Bring a database up to date: one process does it, the others wait and find it done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from time import monotonic
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.adapters.sqlalchemy.dialects import (
    all_or_nothing,
    begin,
    roll_back,
)
from watchword.adapters.sqlalchemy.lines import Connected, Work
from watchword.adapters.sqlalchemy.violations import translated
from watchword.clock import Clock, utc_now
from watchword.concurrency import Backoff, call
from watchword.errors import StorageUnavailable
from watchword.migrations.aims import Aim, Migrated, OnMigration, Progress
from watchword.migrations.calls import steps_of
from watchword.migrations.changes import said
from watchword.migrations.examine import empty_rows, examine
from watchword.migrations.history import History
from watchword.migrations.jobs import Job, refuse
from watchword.migrations.lock import locked
from watchword.migrations.plan import Plan
from watchword.migrations.reading import read_live, unfinished
from watchword.migrations.rebuilding import (
    FOREIGN_KEYS_OFF,
    FOREIGN_KEYS_ON,
    check_references,
    taken_down,
    without_foreign_keys,
)
from watchword.migrations.refusals import refusals_told
from watchword.migrations.state import State
from watchword.migrations.statements import Statement, run_steps, statements_of, tidying
from watchword.schema import Schema
from watchword.schema.snapshot import Snapshot

__all__ = ["Migrator"]

T = TypeVar("T")

# How long a statement waits for a lock before it lets those behind it pass, and how many
# seconds it is tried again. MariaDB and MySQL know no fraction of a second.
_LOCK_WAIT: Final = "500ms"
_PATIENCE: Final = 600
_SERVER_SETTINGS: Final = {
    "postgresql": ("SET statement_timeout = 0",),
    "mysql": ("SET SESSION lock_wait_timeout = 1",),
    "mariadb": ("SET SESSION lock_wait_timeout = 1",),
}


class Migrator:
    """Changes the tables of one database to what a schema wants.

    Every run looks at what is there and does what is missing. So it does not matter where an
    earlier one was killed: the next one goes on from there.

    Args:
        adapter: Of the database.
        schema: That is wanted.
        clock: Tells when versions were made.
    """

    def __init__(
        self, adapter: SQLAlchemyAdapter, schema: Schema, *, clock: Clock = utc_now
    ) -> None:
        self._adapter = adapter
        self._wanted = Snapshot.of(schema)
        self._history = History(schema.naming)
        self._clock = clock

    async def state(self) -> State:
        """Return how far the database is; writes nothing."""
        async with self._connected() as held:
            return await held.call(lambda it: examine(it, self._history, self._wanted))

    async def present(self, recorded: Snapshot | None = None) -> Snapshot:
        """Return the tables that are wanted, or were recorded, as they are."""
        async with self._connected() as held:
            live = await held.call(lambda it: read_live(it, self._wanted, recorded))
        return live.snapshot

    async def plan(self, aim: Aim) -> Plan:
        """Return what `run` would do; writes nothing.

        Raises:
            MigrationRefused: As `run` does; but for rows that lack a value.
        """

        def look(connection: Connection) -> Plan:
            return self._examined(connection, aim).plan(aim)

        async with self._connected() as held:
            return await held.call(look)

    async def statements(self, aim: Aim, /) -> list[str]:
        """Return the SQL by which `run` would change the tables; writes nothing.

        What records the version is not among it: a run afterwards does that.
        """
        async with self._connected() as held:
            return await held.call(lambda connection: self._sql(connection, aim))

    async def run(self, aim: Aim, *, on_progress: OnMigration | None = None) -> Migrated:
        """Do what is missing, while others may be at work.

        Raises:
            MigrationRefused: It cannot be done, and nothing was: the database is newer than the
                code, rows lack a value, or a type cannot be converted.
            MigrationFailed: The database refused a step; the next run goes on from there.
            StorageUnavailable: The database cannot be reached, or another process does not
                come to an end.
        """
        async with self._connected() as held:
            if await held.call(lambda it: it.dialect.name) == "sqlite":
                with refusals_told(None):
                    return await self._patiently(
                        held, lambda it: self._in_one_transaction(it, aim)
                    )
            await held.call(_set_up)
            async with locked(held):
                job = await held.call(lambda it: self._prepared(it, aim))
                if isinstance(job, Job):
                    await self._carry_out(held, job, on_progress)
                    return job.migrated
                return job

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connected]:
        with translated(self._adapter.tables, "schema"):
            async with self._adapter.connected() as held:
                yield held

    # --- deciding ------------------------------------------------------------------------

    def _examined(self, connection: Connection, aim: Aim) -> State:
        return examine(connection, self._history, self._wanted, to=aim.to)

    def _prepared(self, connection: Connection, aim: Aim) -> Job[State] | Migrated:
        """Decide what is to be done and write that down; or tell that nothing is."""
        state = self._examined(connection, aim)
        plan = state.plan(aim)
        refuse([*plan.conflicts, *empty_rows(connection, plan)])
        if not plan.changes and state.is_at(aim):
            return Migrated(version=state.version)
        self._history.make(connection)
        number = self._history.begin(
            connection,
            plan.after,
            fingerprint=state.wanted.fingerprint,
            renames=state.renames(aim),
            at=self._clock(),
        )
        return Job(number=number, plan=plan, state=state, back_to=aim.to)

    def _finish(self, connection: Connection, job: Job[State]) -> None:
        if job.back_to is None:
            self._history.finish(connection, job.number, self._clock())
        elif job.back_to == 0:
            self._history.table.drop(connection)
        else:
            self._history.go_back(connection, job.back_to)

    # --- one statement after the other ----------------------------------------------------

    async def _carry_out(
        self, held: Connected, job: Job[State], on_progress: OnMigration | None
    ) -> None:
        statements = await held.call(lambda it: _statements(it, job))
        for number, statement in enumerate(statements, start=1):
            doing = said(statement.change)
            progress = Progress(step=number, steps=len(statements), doing=doing)
            await self._do(held, statement, progress, on_progress)
        await held.call(lambda connection: self._finish(connection, job))

    async def _do(
        self,
        held: Connected,
        statement: Statement,
        progress: Progress,
        on_progress: OnMigration | None,
    ) -> None:
        rows = 0
        while True:
            if on_progress is not None:
                await call(on_progress, replace(progress, rows=rows))
            changed = await self._sent(held, statement)
            rows += changed
            if not statement.repeats or not changed:
                return

    async def _sent(self, held: Connected, statement: Statement) -> int:
        """Run a statement, and return how many rows it changed."""
        with refusals_told(statement):
            return await self._patiently(held, lambda it: _executed(it, statement))

    async def _patiently(self, held: Connected, work: Work[T]) -> T:
        """Do work; who does not get a lock soon lets others pass and tries again."""
        give_up_at = monotonic() + _PATIENCE
        backoff = Backoff(first=0.1, longest=2)
        while True:
            try:
                with translated(self._adapter.tables, "schema"):
                    return await held.call(work)
            except StorageUnavailable as error:
                if not error.retryable or monotonic() > give_up_at:
                    raise
            await backoff.pause()

    # --- SQLite: all of it in one transaction ----------------------------------------------

    def _in_one_transaction(self, connection: Connection, aim: Aim) -> Migrated:
        with without_foreign_keys(connection), all_or_nothing(connection):
            job = self._prepared(connection, aim)
            if isinstance(job, Migrated):
                return job
            _make(connection, job.plan, job.state)
            check_references(connection, job.plan.after)
            self._finish(connection, job)
            return job.migrated

    def _sql(self, connection: Connection, aim: Aim) -> list[str]:
        state = self._examined(connection, aim)
        plan = state.plan(aim)
        refuse(plan.conflicts)
        if connection.dialect.name != "sqlite":
            changing = _changing(connection, plan, state)
            return [it.alone or it.sql.replace("%%", "%") for it in changing]
        # Tried out and undone: making a table anew depends on what is there.
        with without_foreign_keys(connection):
            begin(connection)
            try:
                with taken_down(connection) as heard:
                    _make(connection, plan, state)
            finally:
                roll_back(connection)
        if not heard:
            return []
        return [FOREIGN_KEYS_OFF, "BEGIN", *heard, "COMMIT", FOREIGN_KEYS_ON]


def _statements(connection: Connection, job: Job[State]) -> list[Statement]:
    """Return what is to be sent, where each statement is committed by itself."""
    changing = _changing(connection, job.plan, job.state)
    return [*tidying(job.state.live, job.plan.after, connection.dialect), *changing]


def _changing(connection: Connection, plan: Plan, state: State) -> list[Statement]:
    places = state.live.places
    return statements_of(plan.changes, plan.after, connection.dialect, places=places)


def _make(connection: Connection, plan: Plan, state: State) -> None:
    """Make the changes of a plan inside the transaction that is open."""
    steps = steps_of(plan.changes, schema=plan.after.schema, tables=plan.after.tables)
    run_steps(connection, steps, plan.after, state.recorded or Snapshot())


def _set_up(connection: Connection) -> None:
    for sql in _SERVER_SETTINGS.get(connection.dialect.name, ()):
        connection.exec_driver_sql(sql)


def _executed(connection: Connection, statement: Statement) -> int:
    if connection.dialect.name == "postgresql":
        wait = "0" if statement.is_patient else _LOCK_WAIT
        connection.exec_driver_sql(f"SET lock_timeout = '{wait}'")
    try:
        result = connection.exec_driver_sql(statement.sql)
    except DBAPIError as error:
        if not error.connection_invalidated:
            _undo(connection, statement)
        raise
    return max(result.rowcount, 0) if statement.repeats else 0


def _undo(connection: Connection, statement: Statement) -> None:
    """Remove what a statement left behind, and nothing else that has its name."""
    left = statement.leaves
    if left is None or statement.undo is None:
        return
    # If that is refused as well, the next run does it.
    with suppress(DBAPIError):
        if left in unfinished(connection, left.schema, [left.table]):
            _executed(connection, statement.undo)
