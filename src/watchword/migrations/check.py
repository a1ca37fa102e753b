"""Compare a database with the schema that is wanted; nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, inspect

from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.adapters.sqlalchemy.tables import ModelTable
from watchword.adapters.sqlalchemy.violations import translated
from watchword.engine.findings import Code, Finding
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.migrations.borrowed import with_borrowed_types
from watchword.migrations.drift import Drift, Remedy
from watchword.migrations.examine import seen_in
from watchword.migrations.history import History
from watchword.migrations.live import Live
from watchword.migrations.lock import locked
from watchword.migrations.look import (
    KEEP,
    MIGRATE,
    Look,
    name_findings,
    of_newer_release,
    plan_of,
    version_findings,
)
from watchword.migrations.other_names import Adapted, adapted
from watchword.migrations.reading import read_live
from watchword.migrations.state import State
from watchword.schema import Schema
from watchword.schema.snapshot import Snapshot

__all__ = ["look_at"]

_PATIENCE: Final = 5
_ALEMBIC: Final = (
    "`watchword migrate`; with Alembic `alembic upgrade head`, before it "
    "`watchword generate --database-url …` if no revision has it"
)


async def look_at(adapter: SQLAlchemyAdapter[Any], schema: Schema) -> Look:
    """Compare the tables of an adapter's database with those of a schema.

    Raises:
        StorageUnavailable: The database cannot be reached.
    """
    checker = _Checker(adapter, schema)
    with translated(adapter.tables, "schema"):
        async with adapter.connected() as held:
            look = await held.call(checker.look)
            if not look.findings or look.may_create or look.is_being_changed:
                return look

            # Another process may be making the tables at this moment: wait for it, but not for
            # a long migration of somebody else's.
            try:
                async with locked(held, patience=_PATIENCE):
                    return await held.call(checker.look)
            except StorageUnavailable as error:
                if not error.retryable:
                    raise
                return look


class _Checker:
    """Looks at one database through any connection to it."""

    def __init__(self, adapter: SQLAlchemyAdapter[Any], schema: Schema) -> None:
        self._schema = schema
        self._history = History(schema.naming)
        models = (it for it in schema.models.values() if not it.ours)
        self._theirs = [adapter.tables.require(it.name) for it in models]

    def look(self, connection: Connection) -> Look:
        """Return what is found."""
        seen = self._seen(connection)
        it = _Comparison.of(connection, self._schema, seen.state)
        is_empty = not it.live.snapshot.tables and not it.renamed.findings
        return Look(
            (*seen.findings, *self._of_theirs(connection), *it.findings(connection)),
            may_create=is_empty and not seen.state.versions,
            is_being_changed=seen.state.pending is not None,
        )

    def _seen(self, connection: Connection) -> "_Seen":
        wanted = _borrowed(connection, Snapshot.of(self._schema))
        try:
            versions = self._history.read(connection)
        except ConfigurationError as error:
            # What a newer release wrote down cannot be read; what there is can.
            ahead = (of_newer_release(error),)
            return _Seen(seen_in(connection, State.of(wanted, ())), ahead)
        state = seen_in(connection, State.of(wanted, versions))
        return _Seen(state, tuple(version_findings(state)))

    def _of_theirs(self, connection: Connection) -> Iterator[Finding]:
        for it in self._theirs:
            yield from _lacking(connection, it)


def _borrowed(connection: Connection, wanted: Snapshot) -> Snapshot:
    """Return what is wanted with the types of the application's keys, if these are there."""
    try:
        return with_borrowed_types(connection, wanted)
    except ConfigurationError:
        return wanted  # what is missing is told of by itself


@dataclass(frozen=True, slots=True)
class _Seen:
    """How far the database is, and what is to be said of that."""

    state: State
    findings: tuple[Finding, ...]


def _lacking(connection: Connection, it: ModelTable) -> Iterator[Finding]:
    """Tell what a table of the application's own lacks; nobody but it changes that."""
    inspector, table = inspect(connection), it.table
    if not inspector.has_table(table.name, schema=table.schema):
        message = f"table {table.fullname}, the application's own, is missing"
        yield Finding(Code.W023, "error", message, "Make it by the application's own migrations")
        return
    there = {column["name"] for column in inspector.get_columns(table.name, schema=table.schema)}
    for column in it.columns:
        if column.name not in there:
            message = f"column {table.fullname}.{column.name}, the application's own, is missing"
            mend = "Add it by the application's own migrations"
            yield Finding(Code.W023, "error", message, mend)


# --- the comparison --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """The tables as they are beside those that are wanted, by the names that are there."""

    renamed: Adapted
    live: Live
    state: State
    known: Snapshot = field(default_factory=Snapshot)

    @classmethod
    def of(cls, connection: Connection, schema: Schema, state: State) -> "_Comparison":
        """Look for names first: what has another one is not missing."""
        recorded = state.recorded
        it = adapted(connection, schema, state.live.snapshot, recorded)
        it = replace(it, wanted=_borrowed(connection, it.wanted))
        live = read_live(connection, it.wanted, recorded) if it.findings else state.live
        return cls(renamed=it, live=live, state=state, known=recorded or Snapshot())

    def findings(self, connection: Connection) -> Iterator[Finding]:
        """Go through what differs."""
        wanted, present = self.renamed.wanted, self.live.snapshot
        aim = replace(self.state, wanted=wanted, live=self.live)
        plan = plan_of(aim)
        yield from self.renamed.findings
        yield from name_findings(self.known, wanted, present)
        remedy = Remedy(self._command(connection), plan.conflicts)
        yield from Drift(plan=plan, wanted=wanted, live=self.live, remedy=remedy).findings()
        yield from self._in_the_way(connection)

    def _command(self, connection: Connection) -> str:
        """Return what makes the changes: who has Alembic alone may want it to do so."""
        if self.state.newer_than is not None:
            return KEEP
        has_alembic = inspect(connection).has_table("alembic_version")
        return _ALEMBIC if has_alembic and not self.state.versions else MIGRATE

    def _in_the_way(self, connection: Connection) -> Iterator[Finding]:
        """Find columns that are not ours, without which no row of ours comes in."""
        for name, table in self.live.snapshot.tables.items():
            wanted = self.renamed.wanted.tables.get(name)
            recorded = self.known.tables.get(name)
            known = {*(wanted.columns if wanted else ()), *(recorded.columns if recorded else ())}
            foreign = {it.name for it in table.columns.values() if not it.nullable} - known
            if wanted is None or not foreign:
                continue
            for told in inspect(connection).get_columns(name, schema=self.live.snapshot.schema):
                if told["name"] in foreign and not _fills_itself(told):
                    yield _in_the_way(name, told["name"])


def _fills_itself(told: Any) -> bool:
    given = ("default", "computed", "identity")
    return any(told.get(it) is not None for it in given) or told.get("autoincrement") is True


def _in_the_way(table: str, column: str) -> Finding:
    return Finding(
        Code.W012,
        "error",
        f"column {table}.{column} is NOT NULL without a default, and nobody gives it a value",
        "Let it be null or give it a default, or make it a field, as "
        "UserOptions(additional_fields=…) does",
    )
