"""Compare a MongoDB database with the schema that is wanted; nothing is changed."""

from collections.abc import AsyncIterator, Iterator, Sequence
from time import monotonic
from typing import Final

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.refusals import no_transactions, translated
from watchword.adapters.mongodb.topology import has_transactions
from watchword.concurrency import Backoff
from watchword.engine.findings import Code, Finding
from watchword.errors import ConfigurationError
from watchword.migrations.drift import Drift, Remedy
from watchword.migrations.look import (
    KEEP,
    MIGRATE,
    Look,
    name_findings,
    of_newer_release,
    plan_of,
    version_findings,
)
from watchword.migrations.mongodb.history import History
from watchword.migrations.mongodb.lease import is_held
from watchword.migrations.mongodb.state import CollectionsState, seen_in
from watchword.migrations.state import State
from watchword.migrations.versions import Version
from watchword.schema import Schema
from watchword.schema.snapshot import Snapshot

__all__ = ["look_at"]

_PATIENCE: Final = 5
# A collection that nobody made comes with its first document, and without what keeps it unique.
_VITAL: Final = frozenset({Code.W001, Code.W014})


async def look_at(adapter: MongoDBAdapter, schema: Schema) -> Look:
    """Compare the collections of an adapter's database with those of a schema.

    Raises:
        StorageUnavailable: The database cannot be reached.
    """
    checker = _Checker(adapter, schema)
    with translated(None, writes=False):
        look = await checker.look()
        if not look.findings or look.may_create or (look.is_being_changed and not look.vital):
            return look
        # Another process may be changing them at this moment; a long migration is not waited for.
        give_up_at = monotonic() + _PATIENCE
        backoff = Backoff(first=0.05, longest=0.5)
        while await checker.is_at_work() and monotonic() < give_up_at:
            await backoff.pause()
        return await checker.look()


class _Checker:
    """Looks at one database."""

    def __init__(self, adapter: MongoDBAdapter, schema: Schema) -> None:
        self._line = adapter.line
        self._promises = adapter.capabilities.transactions
        self._wanted = adapter.snapshot_of(schema)
        self._history = History(self._line, schema.naming)

    async def is_at_work(self) -> bool:
        """Tell whether somebody changes the collections."""
        return await is_held(self._line, self._history.name)

    async def look(self) -> Look:
        """Return what is found."""
        versions, ahead = await self._versions()
        state = await seen_in(self._line, State.of(self._wanted, versions))
        drift, server = list(_drift(state)), [it async for it in self._of_server()]
        missing = [it for it in drift if it.code in _VITAL]
        return Look(
            (*server, *ahead, *version_findings(state), *drift),
            may_create=bool(missing) and not versions and not ahead,
            is_being_changed=state.pending is not None,
            vital=(*server, *missing),
        )

    async def _of_server(self) -> AsyncIterator[Finding]:
        if self._promises and not await has_transactions(self._line):
            error = no_transactions()
            yield Finding(Code.W025, "error", error.message.rstrip("."), error.hint)

    async def _versions(self) -> tuple[Sequence[Version], list[Finding]]:
        try:
            return await self._history.read(), []
        except ConfigurationError as error:
            # What a newer release wrote down cannot be read; what there is can.
            return (), [of_newer_release(error)]


def _drift(state: CollectionsState) -> Iterator[Finding]:
    known, present = state.recorded or Snapshot(), state.live.snapshot
    yield from name_findings(known, state.wanted, present)
    plan = plan_of(state)
    remedy = Remedy(KEEP if state.newer_than else MIGRATE, plan.conflicts)
    yield from Drift(plan=plan, wanted=state.wanted, live=state.live, remedy=remedy).findings()
