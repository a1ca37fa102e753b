"""Versions of users: what makes copies of their sessions worthless in one step.

A copy carries the version of its user that was in force before the database was read, and is
believed while that is in force. Whoever changes the user or one of their sessions puts a mark in
the version's place, before the write and after its commit. So of any order of steps:

* What was read before a commit carries a version that is gone after it, and no version ever comes
  again: a late writer's copy is believed by nobody.
* While the mark stands there is no version, so nothing is copied or believed. It outlives a writer
  that dies between commit and second mark.
* A version that is lost, with all of the storage or alone, is one that no copy carries.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from watchword.clock import Clock
from watchword.crypto.tokens import digest, new_token
from watchword.errors import StorageError, StorageUnavailable
from watchword.storage.cached_sessions.texts import find_text, find_texts
from watchword.storage.circuit_breaker import CircuitBreaker
from watchword.storage.secondary import SecondaryStorage

__all__ = ["UserVersions"]

_CHANGING: Final = "changing"
# How long a writer has from its first mark to its commit, if it then dies before the second.
_MARKED_FOR: Final = timedelta(seconds=10)


class UserVersions:
    """The versions of an instance's users.

    Args:
        storage: Where they are, for all processes.
        breaker: Of that storage.
        lives: How long a version is in force at most, and with it each copy.
        clock: Tells the time.
    """

    def __init__(
        self, storage: SecondaryStorage, breaker: CircuitBreaker, lives: timedelta, clock: Clock
    ) -> None:
        self._storage = storage
        self._breaker = breaker
        self._lives = lives
        self._clock = clock
        self._untold: dict[str, _Change] = {}

    async def current(self, user_id: str) -> str | None:
        """Return the version in force, a new one if there is none; None during a change.

        Raises:
            StorageError: The storage cannot tell, or is not yet told what was changed here.
        """
        return (await self.current_with(user_id))[0]

    async def current_with(self, user_id: str, *keys: str) -> list[str | None]:
        """Return the same, and the values of other keys, in one trip if there is a version.

        Raises:
            StorageError: As above.
        """
        key = _key(user_id)
        if self._untold:
            # Or another user, so that the processes that share the storage are told soon.
            untold = list(self._untold)
            await self._tell([key] if key in untold else untold[:1])
        found, *others = await find_texts(self._storage, [key, *keys])
        if found is None:
            found = await self._begun(key)
        return [None if found == _CHANGING else found, *others]

    async def _begun(self, key: str) -> str | None:
        new = new_token()
        is_ours = await self._storage.set_if_absent(key, new, ttl=self._lives.total_seconds())
        return new if is_ours else await find_text(self._storage, key)

    async def begin_change(self, user_ids: Collection[str]) -> None:
        """Let no copy of these users' sessions be believed while they are changed.

        A transaction may be open and hold what others wait for, so it waits for no storage that
        did not answer a moment ago.
        """
        if told := self._noted(user_ids):
            with suppress(StorageError):  # the breaker has logged it
                await self._breaker.call(partial(self._tell, told))

    async def end_change(self, user_ids: Collection[str]) -> None:
        """Let none be believed that was made until now.

        If the storage cannot be told, none is believed here before it is. Other processes may
        go on to believe what they find, until it ends.
        """
        # Nothing to tell is no answer of the storage: the breaker would take it for one.
        if told := self._noted(user_ids):
            try:
                await self._breaker.insist(partial(self._tell, told))
            except StorageError:
                self._forget_ended()

    async def drop(self, user_id: str) -> None:
        """Let none of a user be believed that was made until now.

        Raises:
            StorageUnavailable: The storage was not told.
        """
        await self._breaker.insist(partial(self._tell, self._noted([user_id])))

    def _noted(self, user_ids: Iterable[str]) -> list[str]:
        """Note whose versions are to be marked, and return their keys."""
        keys = [_key(it) for it in user_ids]
        for key in keys:
            self._untold[key] = _Change(self._clock())
        return keys

    async def _tell(self, keys: Iterable[str]) -> None:
        for key in keys:
            change = self._untold.get(key)
            await self._mark(key)
            if self._untold.get(key) is change:  # else it was changed again meanwhile
                self._untold.pop(key, None)

    async def _mark(self, key: str) -> None:
        try:
            await self._storage.set(key, _CHANGING, ttl=_MARKED_FOR.total_seconds())
        except StorageUnavailable as error:
            if error.retryable:
                # A storage that is full still deletes. It is no mark, so the change stays untold
                # here; but nobody believes a copy whose version is gone.
                await self._storage.delete(key)
            raise

    def _forget_ended(self) -> None:
        """Keep no more users than were changed while a version lives."""
        oldest = self._clock() - self._lives
        for key, change in list(self._untold.items()):
            if change.at < oldest:
                self._untold.pop(key, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    at: datetime


def _key(user_id: str) -> str:
    # Digested: an own store's ids may be longer than a key, and may name people.
    return f"session-version:{digest(user_id)}"
