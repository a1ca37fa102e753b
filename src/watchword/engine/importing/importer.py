"""Importing users in batches: each is looked at, written in a transaction, and told of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from watchword.engine.importing.lines import Line, batches, decoded
from watchword.engine.importing.newcomer import Entrance, Newcomer
from watchword.engine.importing.outcome import (
    Imported,
    LineRefused,
    OnBatch,
    Progress,
    Reason,
    Refusal,
    Trace,
    spread,
)
from watchword.engine.importing.presence import find_present
from watchword.engine.importing.seen import Seen
from watchword.engine.importing.trial import REFUSALS, line_refused, try_out
from watchword.errors import ConfigurationError
from watchword.http.emails import is_email
from watchword.storage.contract import TransactionalAdapter
from watchword.storage.own_stores import OwnStores
from watchword.storage.store import Store

__all__ = ["import_users"]

# So many users of a batch stand for it: the first, the middle one, the last.
_TRACES: Final = 3


async def import_users(
    store: Store,
    lines: Iterable[Line],
    *,
    batch_size: int = 1000,
    dry_run: bool = False,
    first_line: int = 1,
    on_batch: OnBatch | None = None,
) -> Imported:
    """Write the users that lines tell of, each with their accounts or not at all.

    A line has the fields of a user by their wire names (`email`, `name`, `emailVerified`, those
    of plugins and the application's own), `password` with a hash that a sign-in can verify, and
    `accounts`, a list of objects with `providerId` and `accountId`.

    What cannot be written is refused line by line; the others go in. Whatever ends the import,
    what was told of stays. Given the same lines again it goes on: users whom it has written
    are recognised, and counted as already there. Hooks run as with any new user, those before
    the write perhaps several times for one line.

    Args:
        store: Where to.
        lines: JSON texts, or what they stand for. Taken batch by batch, never all at once.
        batch_size: How many lines are written in a transaction.
        dry_run: Check all, and write nothing; of repeated addresses it notices those within
            half a million lines.
        first_line: The number of the first line.
        on_batch: Hears of each batch when it is committed.

    Raises:
        ConfigurationError: `batch_size` is not positive, `lines` is nothing to go through, or the
            adapter has no transactions.
        StorageUnavailable: The database is away; batches that were told of are there.
    """
    _check(store, batch_size)
    _check_lines(lines)
    entrance, so_far, taken = Entrance(store.schema), Imported(), 0
    seen = Seen(store.adapter.capabilities.instant_resolution) if dry_run else None
    for count, batch in batches(lines, size=batch_size, first=first_line):
        work = _Batch(store, seen)
        await work.take(list(work.understood(entrance, batch)))
        taken, so_far = taken + count, so_far.plus(work.outcome)
        if on_batch is not None:
            on_batch(work.progress(taken, so_far))
    return so_far


def _check(store: Store, batch_size: int) -> None:
    if batch_size < 1:
        raise ConfigurationError(
            f"A batch of {batch_size} lines imports nothing.", hint="Use 1 or more, such as 1000."
        )
    if isinstance(store.adapter, OwnStores) and store.adapter.keeps & {"user", "account"}:
        raise ConfigurationError(
            "Users and accounts are imported into the database, but stores of the application's "
            "own keep them.",
            hint="Bring the users into that store.",
        )
    if not isinstance(store.adapter, TransactionalAdapter):
        raise ConfigurationError(
            f"{type(store.adapter).__name__} cannot write a user and their accounts together.",
            hint="Import into a database that has transactions.",
        )


def _check_lines(lines: object) -> None:
    """Refuse what goes through its letters or keys, or through nothing at all."""
    if isinstance(lines, str | bytes | bytearray | Mapping) or not isinstance(lines, Iterable):
        raise ConfigurationError(
            f"Users are imported from lines, one after the other, and {type(lines).__name__} has "
            "none.",
            hint='Pass open("users.jsonl", "rb"), or a list of dicts.',
        )


@dataclass(slots=True)
class _Batch:
    """Some lines on their way into the database; or, in a dry run, past it."""

    store: Store
    seen: Seen | None
    imported: int = 0
    already_there: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    @property
    def outcome(self) -> Imported:
        """What became of the lines."""
        reasons = [it.reason for it in self.refusals]
        return Imported(
            imported=self.imported,
            already_there=self.already_there,
            refused={it: reasons.count(it) for it in set(reasons)},
        )

    def progress(self, taken: int, so_far: Imported) -> Progress:
        """Return what is told when it is committed."""
        return Progress(
            lines=taken,
            so_far=so_far,
            refusals=sorted(self.refusals, key=lambda it: it.line),
            traces=spread(self.traces, _TRACES),
        )

    def understood(
        self, entrance: Entrance, lines: Iterable[tuple[int, Line]]
    ) -> Iterator[Newcomer]:
        """Go through those lines that can be understood."""
        for number, line in lines:
            email = None
            try:
                said = decoded(line)
                email = said.get("email")
                newcomer = entrance.newcomer(number, said)
            except LineRefused as refused:
                self._refuse(number, email, refused)
            else:
                yield newcomer

    async def take(self, newcomers: Sequence[Newcomer]) -> None:
        """Write whoever is not there, in the order of lines where two want the same."""
        while newcomers:
            newcomers = await self._new_ones(newcomers)
            distinct, newcomers = _distinct(newcomers)
            await (self._write if self.seen is None else self._try_out)(distinct)

    # --- who is there already ------------------------------------------------------------

    async def _new_ones(self, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
        """Return those who are not there, and count or refuse the others."""
        present, new = await find_present(self.store, newcomers), []
        for newcomer in newcomers:
            try:
                if present.has(newcomer):
                    self.already_there += 1
                    self.traces.append(present.trace_of(newcomer))
                elif self.seen is not None and self.seen.has(newcomer):
                    self.already_there += 1
                else:
                    new.append(newcomer)
            except LineRefused as refused:
                self._refuse(newcomer.line, newcomer.email, refused)
        return new

    # --- writing -------------------------------------------------------------------------

    async def _write(self, newcomers: Sequence[Newcomer]) -> None:
        """Write all at once; if that is refused, find out whose fault it is."""
        if not newcomers:
            return
        try:
            traces = await self.store.run_in_transaction(partial(_create, self.store, newcomers))
        except REFUSALS as error:
            if len(newcomers) == 1:
                await self._write_one_failed(newcomers[0], error)
            else:
                await self._write_apart(newcomers)
        else:
            self.imported += len(newcomers)
            self.traces += traces

    async def _write_one_failed(self, newcomer: Newcomer, error: Exception) -> None:
        """Refuse a line, unless another process was faster with the same one."""
        for left in await self._new_ones([newcomer]):
            self._refuse(left.line, left.email, line_refused(error))

    async def _write_apart(self, newcomers: Sequence[Newcomer]) -> None:
        """Leave out whom a trial finds at fault; where it finds nobody, halve the batch.

        The trial costs no transaction, and the halves cost one for each step: a file in which
        one of ten lines is refused by a hook would take ten times as long.
        """
        trial = await try_out(self.store, newcomers)
        self._refuse_failed(trial.failed)
        if len(trial.passed) < len(newcomers):
            await self._write(trial.passed)
            await self._write(trial.later)
            return
        middle = len(newcomers) // 2
        await self._write(newcomers[:middle])
        await self._write(newcomers[middle:])

    # --- dry runs ------------------------------------------------------------------------

    async def _try_out(self, newcomers: Sequence[Newcomer]) -> None:
        trial = await try_out(self.store, newcomers)
        self._refuse_failed(trial.failed)
        self.imported += len(trial.passed)
        if self.seen is not None:
            self.seen.remember(trial.passed)
        for newcomer in trial.later:
            refused = LineRefused(Reason.VALUE_TAKEN, "An earlier line has a value of it.")
            self._refuse(newcomer.line, newcomer.email, refused)

    # --- refusing ------------------------------------------------------------------------

    def _refuse_failed(self, failed: Iterable[tuple[Newcomer, LineRefused]]) -> None:
        for newcomer, refused in failed:
            self._refuse(newcomer.line, newcomer.email, refused)

    def _refuse(self, line: int, email: object, refused: LineRefused) -> None:
        # What is no address may be anything, a password too.
        known = email if isinstance(email, str) and is_email(email) else None
        self.refusals.append(
            Refusal(line=line, email=known, reason=refused.reason, sentence=refused.sentence)
        )


async def _create(store: Store, newcomers: Sequence[Newcomer]) -> list[Trace]:
    """Write users and their accounts, and return their traces."""
    users = await store.create_many("user", [it.user for it in newcomers])
    pairs = zip(newcomers, users, strict=True)
    accounts = [row for it, user in pairs for row in it.account_rows(user["id"])]
    await store.create_many("account", accounts)
    return [Trace(id=str(it["id"]), email=it["email"]) for it in users]


def _distinct(newcomers: Sequence[Newcomer]) -> tuple[list[Newcomer], list[Newcomer]]:
    """Return the first of those who want the same, and the others, who are asked for later."""
    first: list[Newcomer] = []
    others: list[Newcomer] = []
    taken: set[tuple[str, ...]] = set()
    for newcomer in newcomers:
        keys = set(newcomer.keys)
        (first if taken.isdisjoint(keys) else others).append(newcomer)
        taken |= keys
    return first, others
