"""Purging: rows that have expired go, in small steps that nobody has to wait for."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from watchword.clock import Clock
from watchword.errors import ConfigurationError
from watchword.storage.contract import Record
from watchword.storage.query import F, OrderBy, Where
from watchword.storage.store import Store

__all__ = ["OnProgress", "Purged", "count_expired", "purge_expired", "purge_model"]

OnProgress: TypeAlias = Callable[[int, int], None]
"""Hears after each batch how many rows went, and how many it will be."""

# What of `Purged` counts which model; each model has an indexed `expires_at`.
_EXPIRING: Final = {
    "sessions": "session",
    "verifications": "verification",
    "rate_limits": "rate_limit",
}
# Drivers take 32,766 parameters in a statement at least.
_MOST_IDS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many rows of each model went, or would go.

    Args:
        sessions: Those that had ended.
        verifications: Values that had expired.
        rate_limits: Counters of windows that had ended, where the database counts requests.
    """

    sessions: int
    verifications: int
    rate_limits: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.sessions + self.verifications + self.rate_limits


async def count_expired(store: Store, clock: Clock, *, elsewhere: Collection[str] = ()) -> Purged:
    """Return how many rows a purge would delete now, but for those elsewhere; deletes none."""
    now = clock()
    return Purged(
        **{
            name: 0 if name in elsewhere else await store.count(model, F.expires_at <= now)
            for name, model in _expiring(store)
        }
    )


async def purge_expired(
    store: Store,
    clock: Clock,
    *,
    batch_size: int = 1000,
    on_progress: OnProgress | None = None,
    elsewhere: Mapping[str, Callable[[], Awaitable[int]]] = MappingProxyType({}),
) -> Purged:
    """Delete all rows that have expired by now, and return how many this call deleted.

    Each batch is a transaction of its own: whatever ends the purge, what went stays gone. A
    session that is renewed meanwhile survives, and rows that live are neither locked nor
    waited for. Several purges may run at once; each row is counted by one of them. Inside a
    transaction all of this is lost: everything is locked until its end.

    Args:
        store: The rows.
        clock: Tells what has expired; asked once, so that the purge has an end.
        batch_size: How many rows go at a time at most.
        on_progress: Hears of each batch.
        elsewhere: Purges of what stores of the application's own keep, by the name in `Purged`.

    Raises:
        ConfigurationError: `batch_size` is not positive.
        OperationRefused: A hook refused to delete a row; that row's batch is undone.
        StorageUnavailable: The database is away, or a batch was not possible in several tries.
    """
    if batch_size < 1:
        raise ConfigurationError(
            f"A batch of {batch_size} rows deletes nothing.", hint="Use 1 or more, such as 1000."
        )
    now = clock()
    expected = await count_expired(store, lambda: now, elsewhere=elsewhere)
    progress = _Progress(expected.total, on_progress)
    purged = {name: await purge() for name, purge in elsewhere.items()}
    for name, model in _expiring(store):
        if name not in elsewhere:
            left = getattr(expected, name)
            expired = _Expired(store, model, F.expires_at <= now, left)
            purged[name] = await _purge(expired, batch_size=batch_size, progress=progress)
    return Purged(**purged)


def _expiring(store: Store) -> list[tuple[str, str]]:
    """Return what is counted, with its model; requests may be counted elsewhere."""
    return [it for it in _EXPIRING.items() if it[1] in store.schema.models]


async def purge_model(store: Store, model: str, *, now: datetime, batch_size: int = 1000) -> int:
    """Delete the rows of one model that have expired by an instant, as `purge_expired` does."""
    condition = F.expires_at <= now
    expected = await store.count(model, condition)
    progress = _Progress(expected, None)
    expired = _Expired(store, model, condition, expected)
    return await _purge(expired, batch_size=batch_size, progress=progress)


@dataclass(slots=True)
class _Progress:
    """How far all models together have come."""

    expected: int
    tell: OnProgress | None
    done: int = 0

    def add(self, rows: int) -> None:
        self.done += rows
        if self.tell is not None:
            self.tell(self.done, max(self.done, self.expected))


@dataclass(slots=True)
class _Expired:
    """The expired rows of a model, and how many of them are left, as far as is known."""

    store: Store
    model: str
    condition: Where
    left: int

    async def find(self, page: Where, limit: int) -> list[Record]:
        order = (OrderBy("expires_at"),)
        rows = await self.store.find_many(self.model, page, order_by=order, limit=limit)
        if len(rows) < limit:
            self.left = len(rows)  # others may have deleted some that were counted
        return rows

    async def delete(self, rows: Sequence[Record]) -> int:
        """Delete rows, but for those that were renewed or deleted after they were found."""
        # In one order, so that of two purges one waits for the other and not both.
        ids = sorted(row["id"] for row in rows)
        gone = await self.store.run_in_transaction(partial(self._delete, ids))
        self.left -= len(ids)
        return gone

    async def _delete(self, ids: Sequence[Any]) -> int:
        conditions = [self.condition & F.id.in_(it) for it in _pieces(ids, of=self.left)]
        return sum([await self.store.delete_many(self.model, it) for it in conditions])


async def _purge(expired: _Expired, *, batch_size: int, progress: _Progress) -> int:
    purged, page, before = 0, expired.condition, None
    while (rows := await expired.find(page, batch_size)) and rows != before:
        gone = await expired.delete(rows)
        progress.add(gone)
        purged += gone
        if len(rows) < batch_size:
            break
        # A transaction may see rows that others have deleted: the same page again is the end.
        before = None if gone else rows
        # An index names deleted rows for a while: starting over would read them with each batch.
        page = expired.condition & (F.expires_at >= rows[-1]["expires_at"])
    return purged


def _pieces(ids: Sequence[Any], *, of: int) -> Iterator[Sequence[Any]]:
    """Go through ids, with each statement an eighth at most of the rows that are left.

    What names most rows of a table, or most that have expired, is executed by MariaDB and
    MySQL as a scan of the table or of the index on `expires_at`, and locks what it meets: all
    rows, or the next one that lives. An eighth is looked up row by row (the optimizer's limit
    is near a fifth), and so are two of however few.
    """
    while ids:
        size = min(max(of // 8, 2), _MOST_IDS)
        yield ids[:size]
        ids, of = ids[size:], of - size
