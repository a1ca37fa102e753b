"""A circuit breaker: while a storage does not answer, few callers wait to learn that."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from watchword.clock import Clock
from watchword.concurrency import Lock
from watchword.errors import InvalidValue, StorageError, StorageUnavailable

__all__ = ["CircuitBreaker"]

T = TypeVar("T")

_log = logging.getLogger("watchword")

_PAUSE: Final = timedelta(seconds=2)
_QUIET: Final = timedelta(minutes=1)


class CircuitBreaker:
    """Lets calls through, and after one that failed none for two seconds.

    Then one call finds out whether the storage answers again; if it does not come back within
    two seconds, another one does. The log has a line when the storage stops to answer, and one
    when it is back, however many callers there are; of one that comes and goes, as a cluster does
    that lacks a node, a pair of them in a minute.

    Args:
        meanwhile: What is done instead, for the log.
        clock: Tells the time.
    """

    def __init__(self, meanwhile: str, clock: Clock) -> None:
        self._meanwhile = meanwhile
        self._clock = clock
        self._lock = Lock()
        self._failed_at: datetime | None = None
        self._changes = 0
        self._said_at: datetime | None = None
        self._is_said = False

    @property
    def is_open(self) -> bool:
        """Whether the storage failed, and no call has found it back."""
        return self._failed_at is not None

    async def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """Call a function of the storage, unless it failed a moment ago.

        Raises:
            StorageError: It failed now, or then, as `StorageUnavailable`.
        """
        if not self._may_try():
            raise StorageUnavailable("The secondary storage did not answer.", retryable=True)
        return await self.insist(function)

    async def insist(self, function: Callable[[], Awaitable[T]]) -> T:
        """Call a function of the storage in any case.

        Raises:
            StorageError: It failed.
        """
        changes = self._changes
        try:
            result = await function()
        except InvalidValue:
            raise  # the caller's mistake
        except StorageError as error:
            self._note_failure(error, changes)
            raise
        if self.is_open:
            self._note_success(changes)
        return result

    def _may_try(self) -> bool:
        if not self.is_open:
            return True
        with self._lock:
            if self._failed_at is None:
                return True
            now = self._clock()
            if now - self._failed_at < _PAUSE:
                # Where the clock was put back, that moment is not to be waited for.
                self._failed_at = min(self._failed_at, now)
                return False
            self._failed_at = now  # the others wait for what this caller learns
            return True

    # A call that began before the last change tells of an earlier time: a slow failure does not
    # open again what has come back, and an answer that was under way closes nothing. Otherwise
    # each outage of many callers would be several in the log.

    def _note_failure(self, error: StorageError, changes: int) -> None:
        with self._lock:
            if changes != self._changes:
                return
            self._changes += self._failed_at is None
            self._failed_at = now = self._clock()
            is_news = not self._is_said and not self._has_said_since(now - _QUIET)
            if is_news:
                self._is_said, self._said_at = True, now
        if is_news:
            _log.warning("secondary storage fails (%s) and %s", error, self._meanwhile)

    def _note_success(self, changes: int) -> None:
        with self._lock:
            if self._failed_at is None or changes != self._changes:
                return
            self._failed_at = None
            self._changes += 1
            is_news, self._is_said = self._is_said, False
        if is_news:
            _log.warning("secondary storage answers again")

    def _has_said_since(self, moment: datetime) -> bool:
        return self._said_at is not None and moment < self._said_at <= moment + _QUIET
