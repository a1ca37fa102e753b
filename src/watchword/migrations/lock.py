"""The lock that keeps two processes from changing the tables at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from watchword.adapters.sqlalchemy.dialects import (
    SCHEMA_PATIENCE,
    release_schema_lock,
    try_schema_lock,
)
from watchword.adapters.sqlalchemy.lines import Connected
from watchword.concurrency import Backoff
from watchword.errors import StorageUnavailable

__all__ = ["locked"]


@asynccontextmanager
async def locked(held: Connected, *, patience: float = SCHEMA_PATIENCE) -> AsyncIterator[None]:
    """Let nobody else change the tables meanwhile; who waits for that can be cancelled.

    Args:
        held: The connection, which has the lock.
        patience: For how many seconds the lock is asked for.

    Raises:
        StorageUnavailable: Another process does not come to an end.
    """
    give_up_at = monotonic() + patience
    backoff = Backoff(first=0.05, longest=0.2)
    while not await held.call(try_schema_lock):
        if monotonic() > give_up_at:
            raise StorageUnavailable("Another process is changing the schema.", retryable=True)
        await backoff.pause()
    yield
    # After an error the end of the connection gives it back: what broke may be just that.
    await held.call(release_schema_lock)
