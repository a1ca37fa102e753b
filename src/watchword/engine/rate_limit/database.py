"""Counting requests in the database: one limit for all processes that share it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from types import MappingProxyType
from typing import Final

from watchword.clock import Clock
from watchword.engine.rate_limit.rules import RateLimits
from watchword.errors import ConfigurationError, StorageUnavailable, UniqueViolation
from watchword.schema import Field, Model
from watchword.storage.after_commit import Unit
from watchword.storage.query import F, Increment, OrderBy, Where
from watchword.storage.secondary import Count
from watchword.storage.store import Store

__all__ = ["RATE_LIMIT", "CountersInSchema", "DatabaseCounters"]

RATE_LIMIT: Final = Model(
    "rate_limit",
    {
        "key": Field("string", unique=True, returned=False, input=False),
        "count": Field("bigint", returned=False, input=False),
        "last_request": Field(
            "bigint", returned=False, input=False, comment="Milliseconds since 1970"
        ),
        # Tables of wire-compatible servers have no such column: their rows count as ended.
        "expires_at": Field(
            "datetime", required=False, index=True, returned=False, input=False, expiry=True
        ),
    },
    comment="How often clients have called",
)

# Who loses a round has lost it to somebody whose window the next round finds open, unless that
# has ended meanwhile.
_ROUNDS: Final = 10
# Every so many new clients, twice as many rows that have ended go: so they become fewer.
_SWEEP_EVERY: Final = 64


class CountersInSchema:
    """The table of the counters, as an extension of the schema; nothing where it is not used."""

    id = "rate-limits"
    extends: Mapping[str, Mapping[str, Field]] = MappingProxyType({})

    def __init__(self, options: RateLimits) -> None:
        self.models: Sequence[Model] = (RATE_LIMIT,) if options.store == "database" else ()


class DatabaseCounters:
    """Counts in a table of ours, exactly, whatever the number of processes.

    A request of a client who was counted before is one statement. Each is committed at once,
    whatever becomes of the request.

    Rows that have ended go while other clients come, and with a purge.

    Args:
        store: The rows.
        clock: Tells the time; a machine whose clock is ahead of another's ends windows sooner by
            the difference, one that is behind later. No request is lost from a count by that.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._new_clients = count()

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a key's counter and return what it has come to, in one step.

        Raises:
            ConfigurationError: A transaction is open here.
            StorageUnavailable: The database cannot tell.
        """
        if Unit.of(self._store) is not None:
            # What is rolled back was not counted: whoever makes requests fail would be free.
            raise ConfigurationError(
                "Requests cannot be counted in the database inside a transaction.",
                hint="Handle requests outside of it, or count in another store.",
            )
        for _ in range(_ROUNDS):
            now = self._clock()
            counted = (
                await self._go_on(key, now)
                or await self._take_over(key, now, window)
                or await self._begin(key, now, window)
            )
            if counted is not None:
                return counted
        raise StorageUnavailable("too many counted at the same time", retryable=True)

    async def get(self, key: str) -> str | None:
        """Return what a counter has come to, as a text; None if it has ended or never began."""
        row = await self._store.find_one("rate_limit", self._is_open(key))
        return None if row is None else str(row["count"])

    async def delete(self, key: str) -> bool:
        """Forget a counter; tell whether this call did."""
        return await self._store.delete_many("rate_limit", self._is_open(key)) > 0

    def _is_open(self, key: str) -> Where:
        return (F.key == key) & (F.expires_at > self._clock())

    async def _go_on(self, key: str, now: datetime) -> Count | None:
        """Count in the window that is open."""
        is_open = (F.key == key) & (F.expires_at > now)
        changes = {"count": Increment(1), "last_request": _milliseconds(now)}
        row = await self._store.update("rate_limit", is_open, changes)
        return None if row is None else Count(row["count"], _seconds(row["expires_at"] - now))

    async def _take_over(self, key: str, now: datetime, window: float) -> Count | None:
        """Begin a window in the row of one that has ended; of several callers one does."""
        has_ended = (F.key == key) & ~(F.expires_at > now)
        row = await self._store.update("rate_limit", has_ended, _first(now, window))
        return None if row is None else Count(1, window)

    async def _begin(self, key: str, now: datetime, window: float) -> Count | None:
        """Begin the first window of a key; of several callers one does."""
        try:
            await self._store.create("rate_limit", {"key": key, **_first(now, window)})
        except UniqueViolation:
            return None
        if next(self._new_clients) % _SWEEP_EVERY == 0:
            await self._sweep(now)
        return Count(1, window)

    async def _sweep(self, now: datetime) -> None:
        """Delete some rows that have ended, if nobody is in the way."""
        has_ended = F.expires_at <= now
        with suppress(StorageUnavailable):
            rows = await self._store.find_many(
                "rate_limit",
                has_ended,
                order_by=(OrderBy("expires_at"),),
                limit=2 * _SWEEP_EVERY,
            )
            if rows:
                keys = sorted(row["key"] for row in rows)
                await self._store.delete_many("rate_limit", F.key.in_(keys) & has_ended)


def _first(now: datetime, window: float) -> dict[str, object]:
    expires_at = now + timedelta(seconds=window)
    return {"count": 1, "last_request": _milliseconds(now), "expires_at": expires_at}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _seconds(span: timedelta) -> float:
    return max(span.total_seconds(), 0.0)
