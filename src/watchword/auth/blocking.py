"""BlockingWatchword: an instance for applications without an event loop."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from watchword.auth.joined import Joined
from watchword.concurrency import run_blocking
from watchword.endpoints import BlockingAPI
from watchword.engine.api import BlockingCalls
from watchword.engine.findings import Finding
from watchword.engine.importing import Imported, Line, OnBatch, import_users
from watchword.engine.personal_data import Erased, erase_user, export_user
from watchword.errors import ConfigurationError
from watchword.http.messages import Request, Response
from watchword.migrations import Aim, Migrated, OnMigration, Renames
from watchword.migrations.start import check_tables
from watchword.storage.blocking import BlockingStore, BlockingUnit
from watchword.storage.contract import Adapter
from watchword.storage.entities import Identity, PublicUser
from watchword.storage.purge import OnProgress, Purged, purge_expired
from watchword.storage.stores.blocking import (
    BlockingAccountStore,
    BlockingSessionStore,
    BlockingStoredAccounts,
    BlockingStoredSessions,
    BlockingStoredUsers,
    BlockingStoredVerifications,
    BlockingUserStore,
    BlockingVerificationStore,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

__all__ = ["BlockingWatchword"]

BlockingCallsOf = TypeVar("BlockingCallsOf", bound=BlockingCalls)
StoreOf = TypeVar("StoreOf")
T = TypeVar("T")
Using: TypeAlias = AbstractContextManager[BlockingUnit]


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

    def _check_waiting(self, store: object) -> None:
        if getattr(store, "needs_loop", False):
            raise ConfigurationError(
                f"{type(store).__name__} needs an event loop here, but this instance is blocking.",
                hint="Pass a blocking one, such as RedisStorage with a URL, or use Watchword "
                "instead of BlockingWatchword.",
            )

    @property
    def api(self) -> BlockingAPI:
        """What the endpoints do, as functions."""
        return BlockingAPI(self._handler)

    def calls(self, of: type[BlockingCallsOf]) -> BlockingCallsOf:
        """Return what the endpoints of a plugin do: `auth.calls(BlockingUsernameAPI)`."""
        return of(self._handler)

    # --- stores ----------------------------------------------------------------------------

    @property
    def store(self) -> BlockingStore:
        """The rows of every model, without types."""
        return BlockingStore(self.instance.store)

    @property
    def users(self) -> BlockingUserStore[PublicUser]:
        """The users."""
        return BlockingStoredUsers(self._users)

    @property
    def sessions(self) -> BlockingSessionStore:
        """The sessions."""
        return BlockingStoredSessions(self.instance.sessions.stored)

    @property
    def accounts(self) -> BlockingAccountStore[PublicUser]:
        """The ways in that users have."""
        return BlockingStoredAccounts(self._accounts)

    @property
    def verifications(self) -> BlockingVerificationStore:
        """Values that prove something once."""
        return BlockingStoredVerifications(self.instance.verifications)

    def stores(self, of: Callable[[BlockingStore], StoreOf]) -> StoreOf:
        """Return the typed store of a plugin: `auth.stores(BlockingNotes)`."""
        return of(self.store)

    # --- transactions ----------------------------------------------------------------------

    def transaction(self) -> AbstractContextManager[None]:
        """Let what this thread does commit or vanish together.

        Inside another one it is a savepoint. Threads that it starts do not join: what they do
        is their own. Mail and hooks after writes wait for the outermost commit, and are dropped
        with what is undone.

        Raises:
            TransactionEnded: At its end, where an error of the database was caught inside.
            StorageUnavailable: The database gave up on it; `retryable` if the same work may be
                done again, as `run_in_transaction` does.
        """
        return self.store.transaction()

    def run_in_transaction(self, function: Callable[[], T], *, attempts: int = 5) -> T:
        """Call a function in a transaction, again if the database asks for it.

        A deadlock or a serialization failure undoes the whole transaction, so the function
        must be able to run more than once. Inside another transaction it runs once.

        Raises:
            StorageUnavailable: Every attempt failed.
        """
        return self.store.run_in_transaction(function, attempts=attempts)

    def using(self, session: "Session | Connection") -> Using:
        """Let what this thread does be part of the application's own transaction.

        Its rows and ours commit or roll back together; the application commits. Mail and hooks
        after writes wait for that; a bare connection does not tell of its commit, so call
        `run()` on what this yields then.

        Raises:
            ConfigurationError: The database cannot join this.
        """
        return self.store.using(session)

    def after_commit(self, work: Callable[[], object]) -> None:
        """Do something once when the open transaction is committed; at once if there is none."""
        self.store.after_commit(work)

    # --- requests --------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a request to an endpoint; whatever happens, the answer is a response."""
        return run_blocking(self._handler.handle(request))

    def identify(self, request: Request) -> Identity[PublicUser] | None:
        """Return who sends a request, or None; reads one row and writes nothing.

        With a cookie cache a copy spares the read, for GET and HEAD; it is at most `max_age` old.

        Raises:
            StorageUnavailable: The database cannot tell.
        """
        return run_blocking(self._identify(request))

    # --- people ----------------------------------------------------------------------------

    def export_user(self, user_id: str) -> dict[str, Any]:
        """Return everything that is kept about a person, as JSON values by wire names.

        Secrets are named, and not shown.

        Raises:
            NoSuchUser: There is nobody of this id.
        """
        return run_blocking(export_user(self.instance.store, user_id))

    def erase_user(self, user_id: str) -> Erased:
        """Delete a person with everything of theirs, in one transaction.

        Rows that outlive their person, by `on_delete="set null"`, lose what is personal.

        Raises:
            NoSuchUser: There is nobody of this id.
            StillReferenced: Rows stand in the way, by `on_delete="restrict"` or in tables of the
                application's; nothing was erased.
        """
        return run_blocking(erase_user(self.instance.store, user_id))

    def import_users(
        self,
        lines: Iterable[Line],
        *,
        batch_size: int = 1000,
        dry_run: bool = False,
        on_batch: OnBatch | None = None,
    ) -> Imported:
        """Write users that come from another system, with the hashes of their passwords.

        Given the same lines again it goes on: who is there already is recognised.

        Args:
            lines: JSON texts, or what they stand for: the fields of a user by their wire names,
                `password` with a hash that a sign-in can verify, and `accounts`.
            batch_size: How many lines are written in a transaction.
            dry_run: Check all, and write nothing.
            on_batch: Hears of each batch when it is committed.

        Raises:
            ConfigurationError: `batch_size` is not positive, or the database has no transactions.
            StorageUnavailable: The database is away; batches that were told of are there.
        """
        return run_blocking(
            import_users(
                self.instance.store,
                lines,
                batch_size=batch_size,
                dry_run=dry_run,
                on_batch=on_batch,
            )
        )

    # --- tables ----------------------------------------------------------------------------

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
                self.instance.store,
                self.instance.clock,
                batch_size=batch_size,
                on_progress=on_progress,
                elsewhere=self.instance.purges,
            )
        )

    def drop_cached_sessions(self, user_id: str) -> None:
        """Let no cached copy of a user's sessions be believed that was made until now.

        For what was changed past Watchword: call it when that is committed. Without
        `CachedSessions` there is nothing to do.

        Raises:
            InvalidValue: This is no id of a user.
            StorageUnavailable: The storage could not be told; copies end by themselves.
        """
        run_blocking(self._drop_cached_sessions(user_id))

    def drain(self) -> None:
        """Wait until the mail that was begun is sent."""
        run_blocking(self.instance.background.drain())

    def close(self) -> None:
        """Send what mail is under way, and close the connections that were opened."""
        run_blocking(self._close())

    def dispose(self) -> None:
        """Do as `close()`, by the name that engines know it; the next use connects again."""
        run_blocking(self._close())
