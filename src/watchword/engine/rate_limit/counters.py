"""Where requests are counted: what any counter promises, and those in memory."""

from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush, heapreplace
from typing import Protocol, runtime_checkable

from watchword.clock import Clock, utc_now
from watchword.concurrency import Lock
from watchword.errors import ConfigurationError
from watchword.storage.secondary import Count

__all__ = ["Count", "Counters", "MemoryCounters", "RevocableCounters"]


class Counters(Protocol):
    """Where requests are counted; one that all processes share makes their limit one.

    Every `SecondaryStorage` is one. While it raises `StorageError`, each process that was given
    it counts in its memory; whatever else it raises is a bug, and answered 500. Its calls have
    to end by themselves.
    """

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a key's counter and return what it has come to, in one step.

        A counter begins with the first call and ends `window` seconds after that, whatever
        comes in between.

        Raises:
            StorageUnavailable: Nobody can tell.
        """


@runtime_checkable
class RevocableCounters(Counters, Protocol):
    """Counters that can be looked at and forgotten, as guesses at passwords need it.

    Every `SecondaryStorage` is such counters.
    """

    async def get(self, key: str) -> str | None:
        """Return what a counter has come to, as a text; None if it has ended or never began.

        Raises:
            StorageUnavailable: Nobody can tell.
        """

    async def delete(self, key: str) -> bool:
        """Forget a counter; tell whether this call did.

        Raises:
            StorageUnavailable: Nobody can tell.
        """


class MemoryCounters:
    """Counts in the memory of this process, for all its threads and event loops.

    Each call costs the same few steps however many counters there are: at most two that have
    ended are dropped on the way.

    Args:
        clock: Tells the time; while it goes back, the time of all counters stands still.
        max_entries: When so many clients are being counted, the counter that ends first makes
            room for a new one: that many addresses can wear a limit off, but not the memory.
    """

    def __init__(self, clock: Clock = utc_now, *, max_entries: int = 100_000) -> None:
        if max_entries < 1:
            raise ConfigurationError(
                "MemoryCounters has no room for a counter.", hint="Give max_entries of 1 or more."
            )
        self._clock = clock
        self._read_at = clock()
        self._elapsed = timedelta(0)
        self._max_entries = max_entries
        self._windows: dict[str, _Window] = {}
        # Each key once, with the end of its window, or of an earlier one.
        self._ends: list[tuple[timedelta, str]] = []
        self._lock = Lock()

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a key's counter and return what it has come to, in one step."""
        with self._lock:
            now = self._now()
            self._drop_some(now)
            found = self._windows.get(key)
            if found is None or found.ends_at <= now:
                found = self._begin(key, now + timedelta(seconds=window))
            found.value += 1
            return Count(found.value, (found.ends_at - now).total_seconds())

    async def get(self, key: str) -> str | None:
        """Return what a counter has come to, as a text; None if it has ended or never began."""
        with self._lock:
            found = self._windows.get(key)
            return None if found is None or found.ends_at <= self._now() else str(found.value)

    async def delete(self, key: str) -> bool:
        """Forget a counter; tell whether this call did."""
        with self._lock:
            now = self._now()
            found = self._windows.get(key)
            if found is None or found.ends_at <= now:
                return False
            # It stays until its turn, as one that has ended.
            found.ends_at = now
            return True

    def _now(self) -> timedelta:
        # Read under the lock: for a thread that was overtaken the clock would have gone back.
        read_at = self._clock()
        self._elapsed += max(read_at - self._read_at, timedelta(0))
        self._read_at = read_at
        return self._elapsed

    def _begin(self, key: str, ends_at: timedelta) -> "_Window":
        if key not in self._windows:
            while len(self._windows) >= self._max_entries:
                self._settle_first()
            heappush(self._ends, (ends_at, key))
        self._windows[key] = window = _Window(ends_at)
        return window

    def _drop_some(self, now: timedelta) -> None:
        # One more than a call can add, so the ended ones become fewer; all of them at once
        # would stop an event loop for a moment that everybody feels.
        for _ in range(2):
            if self._ends and self._ends[0][0] <= now:
                self._settle_first()

    def _settle_first(self) -> None:
        """Drop the counter that is noted to end first, or note when it really does."""
        noted, key = self._ends[0]
        ends_at = self._windows[key].ends_at
        if ends_at <= noted:  # earlier if it was forgotten
            heappop(self._ends)
            del self._windows[key]
        else:
            heapreplace(self._ends, (ends_at, key))


@dataclass(slots=True)
class _Window:
    ends_at: timedelta
    value: int = 0
