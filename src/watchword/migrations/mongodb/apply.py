"""Bring a MongoDB database up to date: one process does it, the others wait and find it done."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.documents import ID
from watchword.adapters.mongodb.filters import Filter
from watchword.clock import Clock, utc_now
from watchword.concurrency import call
from watchword.errors import ConfigurationError
from watchword.migrations.aims import Aim, Migrated, OnMigration, Progress
from watchword.migrations.changes import ChangeColumn, said
from watchword.migrations.jobs import Job, refuse
from watchword.migrations.mongodb.history import History
from watchword.migrations.mongodb.lease import Lease, leased
from watchword.migrations.mongodb.patience import PatientLine
from watchword.migrations.mongodb.reading import read_live
from watchword.migrations.mongodb.refusals import permitted, refusals_told
from watchword.migrations.mongodb.state import CollectionsState, examine
from watchword.migrations.mongodb.steps import Step, steps_of, walk
from watchword.migrations.plan import Plan, said_empty
from watchword.schema import Schema
from watchword.schema.snapshot import Snapshot

__all__ = ["Migrator"]


class Migrator:
    """Changes the collections of one database to what a schema wants.

    Every run looks at what is there and does what is missing, as it does on SQL databases.

    Args:
        adapter: Of the database.
        schema: That is wanted.
        clock: Tells when versions were made.
    """

    def __init__(self, adapter: MongoDBAdapter, schema: Schema, *, clock: Clock = utc_now) -> None:
        self._line = PatientLine(adapter.line)
        self._wanted = adapter.snapshot_of(schema)
        self._history = History(self._line, schema.naming)
        self._clock = clock

    async def state(self) -> CollectionsState:
        """Return how far the database is; writes nothing."""
        with permitted(writes=False):
            return await self._examined(Aim())

    async def present(self, recorded: Snapshot | None = None) -> Snapshot:
        """Return the collections that are wanted, or were recorded, as they are."""
        with permitted(writes=False):
            live = await read_live(self._line, self._wanted, recorded)
        return live.snapshot

    async def plan(self, aim: Aim) -> Plan:
        """Return what `run` would do; writes nothing.

        Raises:
            MigrationRefused: As `run` does; but for rows that lack a value.
        """
        with permitted(writes=False):
            return (await self._examined(aim)).plan(aim)

    async def statements(self, _aim: Aim, /) -> list[str]:
        """Refuse: there is no SQL.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            "MongoDB takes no SQL.", hint="--dry-run tells what would be done."
        )

    async def run(self, aim: Aim, *, on_progress: OnMigration | None = None) -> Migrated:
        """Do what is missing, while others may be at work.

        Raises:
            MigrationRefused: It cannot be done, and nothing was: the database is newer than the
                code, documents lack a value, or a type cannot be converted.
            MigrationFailed: The database refused a step; the next run goes on from there.
            StorageUnavailable: The database cannot be reached, or another process does not
                come to an end.
        """
        with permitted(writes=True):
            # Looked at first: who has nothing to do, or cannot, leaves no trace.
            state, plan = await self._planned(aim)
            if not plan.changes and state.is_at(aim):
                return Migrated(version=state.version)
            async with leased(self._line, self._history.name) as lease:
                job = await self._begun(aim, lease)
                if isinstance(job, Migrated):
                    return job
                await self._carry_out(job, lease, on_progress)
                await self._finish(job)
                return job.migrated

    # --- deciding ------------------------------------------------------------------------

    async def _examined(self, aim: Aim) -> CollectionsState:
        return await examine(self._line, self._history, self._wanted, to=aim.to)

    async def _planned(
        self, aim: Aim, lease: Lease | None = None
    ) -> tuple[CollectionsState, Plan]:
        """Return what is to be done, or refuse it; writes nothing but the lease."""
        state = await self._examined(aim)
        plan = state.plan(aim)
        refuse([*plan.conflicts, *[it async for it in self._empty_rows(plan, lease)]])
        return state, plan

    async def _begun(self, aim: Aim, lease: Lease) -> Job[CollectionsState] | Migrated:
        """Write down what is to be done; or tell that meanwhile somebody else has done it."""
        state, plan = await self._planned(aim, lease)
        if not plan.changes and state.is_at(aim):
            return Migrated(version=state.version)
        number = await self._history.begin(
            plan.after,
            fingerprint=state.wanted.fingerprint,
            renames=state.renames(aim),
            at=self._clock(),
        )
        return Job(number=number, plan=plan, state=state, back_to=aim.to)

    async def _empty_rows(self, plan: Plan, lease: Lease | None) -> AsyncIterator[str]:
        """Tell of documents that lack what becomes required and has no default."""
        for change in plan.unfilled:
            number = 0
            async with aclosing(self._empty(plan, change)) as numbers:
                async for found in numbers:
                    number += found
                    if lease is not None:
                        await lease.keep()
            if number:
                yield said_empty(change, number)

    async def _empty(self, plan: Plan, change: ChangeColumn) -> AsyncGenerator[int, None]:
        """Count them in batches; what is to be renamed has its old name still."""
        collection = plan.name_before(change.table)
        key = plan.column_before(change.table, change.column.name)
        table = replace(plan.after.tables[change.table], name=collection)
        async with aclosing(walk(self._line, table)) as batches:
            async for ids in batches:
                yield await self._count(collection, {ID: {"$in": ids}, key: None})

    async def _count(self, collection: str, matching: Filter) -> int:
        return int(await self._line.do(lambda it: it[collection].count_documents(matching)))

    # --- one step after the other ---------------------------------------------------------

    async def _carry_out(
        self, job: Job[CollectionsState], lease: Lease, on_progress: OnMigration | None
    ) -> None:
        steps = steps_of(job.plan, job.state, now=self._clock())
        for number, step in enumerate(steps, start=1):
            progress = Progress(step=number, steps=len(steps), doing=said(step.change))
            await self._do(step, lease, progress, on_progress)

    async def _do(
        self, step: Step, lease: Lease, progress: Progress, on_progress: OnMigration | None
    ) -> None:
        if on_progress is not None:
            await call(on_progress, progress)
        rows = 0
        async with aclosing(step.run(self._line)) as batches:
            while True:
                await lease.keep()
                with refusals_told(step.change):
                    changed = await anext(batches, None)
                if changed is None:
                    return
                rows += changed
                if on_progress is not None and changed:
                    await call(on_progress, replace(progress, rows=rows))

    async def _finish(self, job: Job[CollectionsState]) -> None:
        if job.back_to is None:
            await self._history.finish(job.number, self._clock())
        else:
            await self._history.go_back(job.back_to)
