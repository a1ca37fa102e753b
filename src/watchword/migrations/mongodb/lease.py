"""The lease that keeps two processes from changing the collections at once.

MongoDB has no lock that ends with a connection. So whoever migrates says until when, by the
server's clock, and says so again before each step; if it dies, another one goes on soon.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from secrets import token_hex
from time import monotonic
from typing import Any, Final

from pymongo.errors import DuplicateKeyError, PyMongoError

from watchword.adapters.mongodb.documents import ID
from watchword.adapters.mongodb.lines import Line
from watchword.concurrency import Backoff
from watchword.errors import StorageUnavailable
from watchword.migrations.mongodb.history import LEASE

__all__ = ["TERM", "Lease", "is_held", "leased"]

# Longer than any batch takes. An index may take longer: whoever takes over meanwhile asks for the
# same one, and MongoDB builds it once.
TERM: Final = timedelta(seconds=30)
_PATIENCE: Final = 600


class Lease:
    """The right to change collections, for a while.

    Args:
        line: The way to the database.
        collection: In which it is written down.
    """

    def __init__(self, line: Line, collection: str) -> None:
        self._line = line
        self._collection = collection
        self._owner = token_hex(8)

    async def take(self) -> bool:
        """Take it, or tell that somebody else has it."""
        now = await _server_time(self._line)
        free = {ID: LEASE, "$or": [{"until": {"$lt": now}}, {"owner": self._owner}]}
        ours = {"$set": {"owner": self._owner, "until": now + TERM}}
        try:
            await self._line.do(
                lambda it: it[self._collection].update_one(free, ours, upsert=True)
            )
        except DuplicateKeyError:
            return False
        return True

    async def keep(self) -> None:
        """Go on having it.

        Raises:
            StorageUnavailable: This took too long, and somebody else has gone on.
        """
        until = await _server_time(self._line) + TERM
        mine = {ID: LEASE, "owner": self._owner}
        result = await self._line.do(
            lambda it: it[self._collection].update_one(mine, {"$set": {"until": until}})
        )
        if not result.matched_count:
            raise StorageUnavailable("Another process goes on with this.", retryable=True)

    async def give_back(self) -> None:
        """Let others have it at once."""
        mine = {ID: LEASE, "owner": self._owner}
        await self._line.do(lambda it: it[self._collection].delete_one(mine))


@asynccontextmanager
async def leased(line: Line, collection: str) -> AsyncIterator[Lease]:
    """Let nobody else change the collections meanwhile; who waits for that can be cancelled.

    Raises:
        StorageUnavailable: Another process does not come to an end.
    """
    lease = Lease(line, collection)
    give_up_at = monotonic() + _PATIENCE
    backoff = Backoff(first=0.05, longest=0.5)
    while not await lease.take():
        if monotonic() > give_up_at:
            raise StorageUnavailable("Another process is changing the schema.", retryable=True)
        await backoff.pause()
    try:
        yield lease
    except BaseException:
        # What went wrong matters more than a lease, which ends by itself.
        with suppress(PyMongoError):
            await lease.give_back()
        raise
    await lease.give_back()


async def is_held(line: Line, collection: str) -> bool:
    """Tell whether somebody is changing the collections."""
    now = await _server_time(line)
    held = {ID: LEASE, "until": {"$gte": now}}
    return await line.do(lambda it: it[collection].find_one(held)) is not None


async def _server_time(line: Line) -> datetime:
    told: dict[str, Any] = await line.do(lambda it: it.command("hello"))
    now: datetime = told["localTime"]
    return now
