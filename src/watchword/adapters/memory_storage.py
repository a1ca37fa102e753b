"""Short-lived values in the memory of this process: the reference for every secondary storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from watchword.clock import Clock, utc_now
from watchword.concurrency import Lock
from watchword.errors import ConfigurationError
from watchword.storage.secondary import Count, check_key, check_value, counted, milliseconds

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """Keeps values in the memory of this process, for all its threads and event loops.

    Other processes have values of their own, and a restart forgets all of them. Each call costs
    the same few steps however many values there are: at most two that have ended are dropped on
    the way.

    Args:
        clock: Tells the time; while it goes back, the time of all values stands still.
        max_entries: When there are so many values, the one that ends first makes room for a new
            one: strangers can wear values off, but not the memory.

    Raises:
        ConfigurationError: There would be no room.
    """

    needs_loop: Final = False

    def __init__(self, clock: Clock = utc_now, *, max_entries: int = 100_000) -> None:
        if max_entries < 1:
            raise ConfigurationError(
                "MemoryStorage has no room for a value.", hint="Give max_entries of 1 or more."
            )
        self._clock = clock
        self._read_at = clock()
        self._elapsed = timedelta(0)
        self._max_entries = max_entries
        self._entries: dict[str, _Entry] = {}
        self._by_end = _ByEnd()
        self._lock = Lock()

    async def get(self, key: str) -> str | None:
        """Return a value; None if there is none, or none any more."""
        check_key(key)
        with self._lock:
            entry = self._find(key, self._now())
            return None if entry is None else entry.value

    async def get_many(self, keys: Sequence[str]) -> list[str | None]:
        """Return a value for each key, in their order."""
        return [await self.get(key) for key in keys]

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        """Keep a value for so many seconds, in place of any other."""
        kept, lifetime = self._checked(key, value, ttl)
        with self._lock:
            self._put(key, kept, self._now() + lifetime)

    async def delete(self, key: str) -> bool:
        """Forget a value; tell whether this call did."""
        return await self.get_and_delete(key) is not None

    async def get_and_delete(self, key: str) -> str | None:
        """Forget a value and return it."""
        check_key(key)
        with self._lock:
            entry = self._find(key, self._now())
            if entry is None:
                return None
            self._drop(entry)
            return entry.value

    async def set_if_absent(self, key: str, value: str, *, ttl: float) -> bool:
        """Keep a value if there is none; tell whether this call did."""
        kept, lifetime = self._checked(key, value, ttl)
        with self._lock:
            now = self._now()
            if self._find(key, now) is not None:
                return False
            self._put(key, kept, now + lifetime)
            return True

    async def compare_and_set(self, key: str, expected: str, value: str, *, ttl: float) -> bool:
        """Put a value in the place of the expected one; tell whether that was there."""
        check_value(expected)
        kept, lifetime = self._checked(key, value, ttl)
        with self._lock:
            now = self._now()
            entry = self._find(key, now)
            if entry is None or entry.value != expected:
                return False
            self._put(key, kept, now + lifetime)
            return True

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a counter and return what it has come to."""
        _, lifetime = self._checked(key, "", window)
        with self._lock:
            now = self._now()
            entry = self._find(key, now) or self._put(key, "0", now + lifetime)
            value = counted(entry.value) + 1
            entry.value = str(value)
            return Count(value, (entry.ends_at - now).total_seconds())

    async def close(self) -> None:
        """Do nothing: there are no connections, and the values stay."""

    @staticmethod
    def _checked(key: str, value: str, seconds: float) -> tuple[str, timedelta]:
        check_key(key)
        check_value(value)
        return value, timedelta(milliseconds=milliseconds(seconds))

    # --- under the lock --------------------------------------------------------------------

    def _now(self) -> timedelta:
        # Read under the lock: for a thread that was overtaken the clock would have gone back.
        read_at = self._clock()
        self._elapsed += max(read_at - self._read_at, timedelta(0))
        self._read_at = read_at
        self._drop_some(self._elapsed)
        return self._elapsed

    def _find(self, key: str, now: timedelta) -> "_Entry | None":
        entry = self._entries.get(key)
        return entry if entry is not None and entry.ends_at > now else None

    def _put(self, key: str, value: str, ends_at: timedelta) -> "_Entry":
        before = self._entries.get(key)
        if before is not None:
            self._drop(before)
        elif len(self._entries) >= self._max_entries:
            self._drop(self._by_end.first)
        self._entries[key] = entry = _Entry(key, value, ends_at)
        self._by_end.add(entry)
        return entry

    def _drop_some(self, now: timedelta) -> None:
        # One more than a call can add, so the ended ones become fewer; all of them at once
        # would stop an event loop for a moment that everybody feels.
        for _ in range(2):
            if self._entries and self._by_end.first.ends_at <= now:
                self._drop(self._by_end.first)

    def _drop(self, entry: "_Entry") -> None:
        self._by_end.remove(entry)
        del self._entries[entry.key]


# --- in the order of their ends ------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Entry:
    key: str
    value: str
    ends_at: timedelta
    place: int = 0


class _ByEnd:
    """A heap of entries that knows the place of each, so that any can be taken out.

    One that only left a note behind would count what was deleted long ago as full.
    """

    def __init__(self) -> None:
        self._heap: list[_Entry] = []

    @property
    def first(self) -> _Entry:
        """The entry that ends before all others."""
        return self._heap[0]

    def add(self, entry: _Entry) -> None:
        """Take an entry in."""
        self._heap.append(entry)
        self._rise(entry, len(self._heap) - 1)

    def remove(self, entry: _Entry) -> None:
        """Take an entry out."""
        last = self._heap.pop()
        if last is not entry:
            self._rise(last, entry.place)
            self._sink(last, last.place)

    def _rise(self, entry: _Entry, place: int) -> None:
        while place and self._heap[(place - 1) // 2].ends_at > entry.ends_at:
            self._set(place, self._heap[(place - 1) // 2])
            place = (place - 1) // 2
        self._set(place, entry)

    def _sink(self, entry: _Entry, place: int) -> None:
        while children := self._heap[2 * place + 1 : 2 * place + 3]:
            sooner = min(children, key=lambda it: it.ends_at)
            if sooner.ends_at >= entry.ends_at:
                break
            above, place = place, sooner.place
            self._set(above, sooner)
        self._set(place, entry)

    def _set(self, place: int, entry: _Entry) -> None:
        self._heap[place] = entry
        entry.place = place
