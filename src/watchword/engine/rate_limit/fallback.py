"""Counting goes on in memory while the store that was given does not answer."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from watchword.clock import Clock
from watchword.engine.rate_limit.counters import Count, MemoryCounters, RevocableCounters
from watchword.errors import InvalidValue, StorageError
from watchword.storage.circuit_breaker import CircuitBreaker

__all__ = ["FallbackCounters", "counting_breaker"]

T = TypeVar("T")


def counting_breaker(clock: Clock) -> CircuitBreaker:
    """Return what all counters of one instance share, so that the log tells once."""
    return CircuitBreaker("each process counts requests and guesses by itself", clock)


class FallbackCounters:
    """Counts in a store, and in the memory of this process for as long as that fails.

    Nobody waits longer than the store's own timeout, and when it has failed one caller in two
    seconds at most does. What is counted in memory stays there, and goes on with the next
    outage: however often the store comes and goes, a window has room for the limit once in the
    store, and once in each process.

    Only `StorageError` is a failure; whatever else a store raises is a bug of it, and raised.

    Args:
        store: What the processes share.
        breaker: Knows whether it fails.
        clock: Tells the time, for the memory.
    """

    def __init__(self, store: RevocableCounters, breaker: CircuitBreaker, clock: Clock) -> None:
        self._store = store
        self._breaker = breaker
        self._memory = MemoryCounters(clock)

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a key's counter, there or here, and return what that has come to."""
        try:
            return await self._breaker.call(partial(self._store.increment, key, window=window))
        except InvalidValue:
            raise  # the store answered
        except StorageError:
            # Perhaps it was counted and the answer lost: then it is in both, once in each.
            return await self._memory.increment(key, window=window)

    async def get(self, key: str) -> str | None:
        """Return what a counter has come to, as a text; None if it has ended or never began."""
        in_memory = await self._memory.get(key)
        return await self._told(partial(self._store.get, key), otherwise=in_memory)

    async def delete(self, key: str) -> bool:
        """Forget a counter, here too; tell whether this call did."""
        # What an earlier outage left would otherwise count on with the next one.
        in_memory = await self._memory.delete(key)
        return await self._told(partial(self._store.delete, key), otherwise=in_memory)

    async def _told(self, function: Callable[[], Awaitable[T]], *, otherwise: T) -> T:
        # A store that is full still answers these. Only what fails in it tells that it is back.
        if self._breaker.is_open:
            return otherwise
        try:
            return await self._breaker.call(function)
        except InvalidValue:
            raise  # the store answered
        except StorageError:
            return otherwise
