"""BlockingWatchword: an instance for applications without an event loop."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from watchword.auth.joined import Joined
from watchword.concurrency import run_blocking
from watchword.endpoints import BlockingAPI
from watchword.engine.api import BlockingCalls
from watchword.engine.findings import Finding
from watchword.engine.purge import OnProgress, Purged, purge_expired
from watchword.errors import ConfigurationError
from watchword.http.messages import Request, Response
from watchword.migrations import Aim, Migrated, OnMigration, Renames
from watchword.migrations.start import check_tables
from watchword.storage.contract import Adapter
from watchword.storage.entities import Identity, PublicUser

__all__ = ["BlockingWatchword"]

BlockingCallsOf = TypeVar("BlockingCallsOf", bound=BlockingCalls)


class BlockingWatchword(Joined[PublicUser]):
    """Authentication for an application without an event loop."""

    def _usable(self, adapter: Adapter[PublicUser]) -> Adapter[PublicUser]:
        if adapter.capabilities.needs_loop:
            raise ConfigurationError(
                f"{type(adapter).__name__} needs an event loop here, "
                "but this instance is blocking.",
                hint="Use a blocking driver (sqlite, postgresql+psycopg, mysql+pymysql), "
                "or Watchword instead of BlockingWatchword.",
            )
        return adapter

    @property
    def api(self) -> BlockingAPI:
        """What the endpoints do, as functions."""
        return BlockingAPI(self._handler)

    def calls(self, of: type[BlockingCallsOf]) -> BlockingCallsOf:
        """Return what the endpoints of a plugin do: `auth.calls(BlockingUsernameAPI)`."""
        return of(self._handler)

    def handle(self, request: Request) -> Response:
        """Answer a request to an endpoint; whatever happens, the answer is a response."""
        return run_blocking(self._handler.handle(request))

    def identify(self, request: Request) -> Identity[PublicUser] | None:
        """Return who sends a request, or None; reads one row and writes nothing.

        Raises:
            StorageUnavailable: The database cannot tell.
        """
        return run_blocking(self._identify(request))

    def create_tables(self) -> None:
        """Make the tables that are missing; safe on every start."""
        run_blocking(self._create_tables())

    def check_schema(self) -> list[Finding]:
        """Return what is amiss with the tables, and what mends it; nothing is changed.

        Raises:
            StorageUnavailable: The database cannot be reached.
        """
        return run_blocking(check_tables(self.adapter, self.schema))

    def migrate(
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
        return run_blocking(self._migrate(aim, on_progress))

    def purge_expired(
        self, *, batch_size: int = 1000, on_progress: OnProgress | None = None
    ) -> Purged:
        """Delete sessions and verification values that have expired, in short batches.

        Args:
            batch_size: How many rows go at a time at most.
            on_progress: Hears of each batch.
        """
        return run_blocking(
            purge_expired(
                self.store, self.instance.clock, batch_size=batch_size, on_progress=on_progress
            )
        )

    def drain(self) -> None:
        """Wait until the mail that was begun is sent."""
        run_blocking(self.instance.background.drain())

    def close(self) -> None:
        """Send what mail is under way, and close the connections that were opened."""
        run_blocking(self._close())

    def dispose(self) -> None:
        """Do as `close()`, by the name that engines know it; the next use connects again."""
        run_blocking(self._close())
