"""The reads of sessions: from the storage what is surely so, from the database all else."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias, TypeVar

from watchword.clock import Clock
from watchword.crypto.tokens import digest, equal
from watchword.errors import ConfigurationError, StorageError
from watchword.schema import Schema
from watchword.storage.cached_sessions.entries import Entries, Entry
from watchword.storage.cached_sessions.owners import Owners
from watchword.storage.cached_sessions.texts import find_text
from watchword.storage.cached_sessions.versions import UserVersions
from watchword.storage.circuit_breaker import CircuitBreaker
from watchword.storage.contract import Record
from watchword.storage.secondary import SecondaryStorage

__all__ = ["CachedSessions", "ReadRow", "SessionCache"]

T = TypeVar("T")
ReadRow: TypeAlias = Callable[[str], Awaitable[Record | None]]
"""Reads the session of a token from the database, with its user."""

_PREFIX: Final = "session:"
_PROBE: Final = "session-probe"
_SHORTEST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(days=365)


@dataclass(frozen=True)
class CachedSessions:
    """Keep sessions in the database, and read them from a secondary storage; as `sessions=`.

    What ends or changes a session or its user takes effect with the call that does it. Without
    the storage the database is read.

    Args:
        storage: Such as `RedisStorage`, the same for all processes.
        max_staleness: How long a copy is believed at most, where the storage could not be told
            of a change: nobody reached it, it lost what it was told, or the change was made past
            Watchword.

    Raises:
        ConfigurationError: Nothing could be read like this.
    """

    storage: SecondaryStorage
    _: KW_ONLY
    max_staleness: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        if not isinstance(self.storage, SecondaryStorage):
            raise ConfigurationError(
                f"{type(self.storage).__name__} is no secondary storage.",
                hint="Pass RedisStorage(…), or one that SecondaryStorageSuite proves.",
            )
        staleness = self.max_staleness
        if not isinstance(staleness, timedelta) or not _SHORTEST <= staleness <= _LONGEST:
            raise ConfigurationError(
                "max_staleness is no span between a second and a year.",
                hint="Write it like timedelta(minutes=1).",
            )


class SessionCache:
    """Finds sessions for one instance.

    Args:
        settings: Where copies are, and how long they are believed.
        schema: What sessions and users are.
        secrets: The current one first, then older ones that are still accepted.
        clock: Tells the time.
        base_url: Of the instance.
    """

    def __init__(
        self,
        settings: CachedSessions,
        *,
        schema: Schema,
        secrets: Sequence[str],
        clock: Clock,
        base_url: str,
    ) -> None:
        self._storage = settings.storage
        self._max_staleness = settings.max_staleness
        self._clock = clock
        self._entries = Entries(schema, secrets, base_url)
        self._owners = Owners()
        self._breaker = CircuitBreaker("copies of sessions are not used", clock)
        self.versions = UserVersions(
            settings.storage, self._breaker, settings.max_staleness, clock
        )

    def lets_in(self, expires_at: datetime) -> bool:
        """Tell whether a copy of a session that ends then may be believed."""
        return expires_at > self._clock()

    async def find(self, token: str, read: ReadRow) -> Record | None:
        """Return the session of a token with its user; None if there is none.

        Args:
            token: As the client holds it.
            read: Asks the database, where no copy is surely as the database has it.

        Raises:
            StorageError: The database cannot tell.
        """
        key = f"{_PREFIX}{digest(token)}"
        seen = await self._tried(partial(self._look, key))
        if seen is None:
            return await read(token)
        if seen.row is not None:
            return seen.row
        if seen.user_id is None:
            row = await read(token)
            if row is None or row["user"] is None:
                return row
            # It tells whose session it is, and may be older than the version that is learnt now.
            learn = partial(self._learn, str(row["user_id"]), seen.text)
            seen = await self._tried(learn) or seen
            if seen.version is None:
                return row
        return await self._read_anew(token, read, key, seen)

    async def forget(self, hashed_tokens: Iterable[str]) -> None:
        """Drop copies of sessions that the database does not have.

        They were ended by somebody who could not tell, and whose they were is not known.
        """
        for it in hashed_tokens:
            # While it fails no copy is believed. A storage that is full deletes, and is not back.
            if not self._breaker.is_open:
                await self._tried(partial(self._storage.delete, f"{_PREFIX}{it}"))

    async def _look(self, key: str) -> "_Seen":
        """See what copy there is, and whether it can be believed."""
        if self._breaker.is_open:
            # A storage that is full still answers reads, and is not back before it takes writes.
            await self._storage.set(_PROBE, "", ttl=1)
        seen = await self._fetch(key)
        entry = self._entries.read(seen.text)
        if entry is None or key != f"{_PREFIX}{entry.row['token']}":
            return seen
        user_id = str(entry.row["user_id"])
        if user_id != seen.user_id:
            self._owners.remember(key, user_id)
            seen = await self._learn(user_id, seen.text)
        return replace(seen, row=entry.row) if self._holds(entry, seen.version) else seen

    async def _fetch(self, key: str) -> "_Seen":
        """Ask for the copy; and in the same trip for the version, if it is known whose it is."""
        owner = self._owners.find(key)
        if owner is None:
            return _Seen(await find_text(self._storage, key))
        version, text = await self.versions.current_with(owner, key)
        return _Seen(text, owner, version)

    def _holds(self, entry: Entry, version: str | None) -> bool:
        now = self._clock()
        is_young = now - entry.read_at < self._max_staleness
        is_current = version is not None and equal(entry.version, version)
        return is_current and is_young and self.lets_in(entry.row["expires_at"])

    async def _learn(self, user_id: str, text: str | None) -> "_Seen":
        return _Seen(text, user_id, await self.versions.current(user_id))

    async def _read_anew(
        self, token: str, read: ReadRow, key: str, seen: "_Seen"
    ) -> Record | None:
        """Read the database, and keep a copy with the version that was in force before."""
        read_at = self._clock()
        row = await read(token)
        if row is not None and row["user"] is not None and seen.version is not None:
            self._owners.remember(key, str(row["user_id"]))
            copy = self._entries.write(Entry(seen.version, read_at, row))
            await self._tried(partial(self._keep, key, seen.text, copy))
        return row

    async def _keep(self, key: str, before: str | None, copy: str) -> bool:
        """Put a copy in the place of the one that was found before, and of no other."""
        ttl = self._max_staleness.total_seconds()
        if before is not None:
            return await self._storage.compare_and_set(key, before, copy, ttl=ttl)
        if await self._storage.set_if_absent(key, copy, ttl=ttl):
            return True
        await find_text(self._storage, key)  # where none was seen, something else may stand
        return False

    async def _tried(self, function: Callable[[], Awaitable[T]]) -> T | None:
        """Ask the storage; None if it does not answer, which the breaker has logged."""
        try:
            return await self._breaker.call(function)
        except StorageError:
            return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the storage has of a session.

    Args:
        text: The copy as it stands there.
        user_id: Whose session it is, if that is known.
        version: Of that user; None while they are being changed.
        row: The session, if the copy is to be believed.
    """

    text: str | None
    user_id: str | None = None
    version: str | None = None
    row: Record | None = None
