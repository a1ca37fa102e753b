"""Watchword: an instance for applications on an event loop."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TypeVar

from watchword.auth.joined import Joined
from watchword.endpoints import API
from watchword.engine.api import AsyncCalls
from watchword.engine.findings import Finding
from watchword.engine.purge import OnProgress, Purged, purge_expired
from watchword.http.messages import Request, Response
from watchword.migrations import Aim, Migrated, OnMigration, Renames
from watchword.migrations.start import check_tables
from watchword.storage.entities import Identity, PublicUser

__all__ = ["Watchword"]

AsyncCallsOf = TypeVar("AsyncCallsOf", bound=AsyncCalls)


class Watchword(Joined[PublicUser]):
    """Authentication for an application that runs on an event loop."""

    @property
    def api(self) -> API:
        """What the endpoints do, as coroutines."""
        return API(self._handler)

    def calls(self, of: type[AsyncCallsOf]) -> AsyncCallsOf:
        """Return what the endpoints of a plugin do: `auth.calls(UsernameAPI)`."""
        return of(self._handler)

    async def handle(self, request: Request) -> Response:
        """Answer a request to an endpoint; whatever happens, the answer is a response."""
        return await self._handler.handle(request)

    async def identify(self, request: Request) -> Identity[PublicUser] | None:
        """Return who sends a request, or None; reads one row and writes nothing.

        Raises:
            StorageUnavailable: The database cannot tell.
        """
        return await self._identify(request)

    async def create_tables(self) -> None:
        """Make the tables that are missing; safe on every start."""
        await self._create_tables()

    async def check_schema(self) -> list[Finding]:
        """Return what is amiss with the tables, and what mends it; nothing is changed.

        Raises:
            StorageUnavailable: The database cannot be reached.
        """
        return await check_tables(self.adapter, self.schema)

    async def migrate(
        self,
        *,
        renames: Mapping[str, str] = MappingProxyType({}),
        drop: bool = False,
        keep: bool = False,
        to: int | None = None,
        on_progress: OnMigration | None = None,
    ) -> Migrated:
        """Bring the tables up to what the schema wants; safe on every start.

        One process does it, others wait and find it done. Killed at any point, it goes on from
        there when it is called again. People can be signed in meanwhile.

        Args:
            renames: Old names to new ones, such as `{"user.name": "fullName"}`; nothing is
                guessed.
            drop: Remove what nobody wants any more, with its values. Otherwise it is kept.
            keep: Go on with code that is older than the database, and keep what came after.
            to: Go back to this version, and remove what came after it with its values.
            on_progress: Hears of each statement, and of each batch of rows.

        Raises:
            MigrationRefused: It cannot be done, and nothing was: the database is newer than the
                code, rows lack a value, or a type cannot be converted.
            MigrationFailed: The database refused a step; the next call goes on from there.
            StorageUnavailable: The database cannot be reached, or another process does not
                come to an end.
        """
        aim = Aim(renames=Renames(renames), drop=drop, keep=keep, to=to)
        return await self._migrate(aim, on_progress)

    async def purge_expired(
        self, *, batch_size: int = 1000, on_progress: OnProgress | None = None
    ) -> Purged:
        """Delete sessions and verification values that have expired, in short batches.

        Args:
            batch_size: How many rows go at a time at most.
            on_progress: Hears of each batch.
        """
        return await purge_expired(
            self.store, self.instance.clock, batch_size=batch_size, on_progress=on_progress
        )

    async def drain(self) -> None:
        """Wait until the mail that was begun is sent."""
        await self.instance.background.drain()

    async def close(self) -> None:
        """Send what mail is under way, and close the connections that were opened."""
        await self._close()

    async def dispose(self) -> None:
        """Do as `close()`, by the name that engines know it; the next use connects again."""
        await self._close()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Look at the tables at the start of an application; close connections at its end.

        In a database that has none of them they are made. In any other nothing is made or
        changed, and what is amiss is logged as warnings; `schema_check` decides otherwise.

        Raises:
            ConfigurationError: By `schema_check="error"`: the tables are not as they should be.
            StorageUnavailable: The database cannot be reached.
        """
        try:
            await self._start()
            yield
        finally:
            await self.close()
