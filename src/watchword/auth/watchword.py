"""Watchword: an instance for applications on an event loop."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from watchword.auth.joined import Joined
from watchword.endpoints import API
from watchword.engine.api import AsyncCalls
from watchword.engine.findings import Finding
from watchword.engine.importing import Imported, Line, OnBatch, import_users
from watchword.engine.personal_data import Erased, erase_user, export_user
from watchword.http.messages import Request, Response
from watchword.migrations import Aim, Migrated, OnMigration, Renames
from watchword.migrations.start import check_tables
from watchword.storage.after_commit import Unit, Work
from watchword.storage.entities import Identity, PublicUser
from watchword.storage.purge import OnProgress, Purged, purge_expired
from watchword.storage.store import Store
from watchword.storage.stores import (
    AccountStore,
    SessionStore,
    UserStore,
    VerificationStore,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

__all__ = ["Watchword"]

AsyncCallsOf = TypeVar("AsyncCallsOf", bound=AsyncCalls)
StoreOf = TypeVar("StoreOf")
T = TypeVar("T")
Using: TypeAlias = AbstractAsyncContextManager[Unit]


class Watchword(Joined[PublicUser]):
    """Authentication for an application that runs on an event loop."""

    @property
    def api(self) -> API:
        """What the endpoints do, as coroutines."""
        return API(self._handler)

    def calls(self, of: type[AsyncCallsOf]) -> AsyncCallsOf:
        """Return what the endpoints of a plugin do: `auth.calls(UsernameAPI)`."""
        return of(self._handler)

    # --- stores ----------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The rows of every model, without types."""
        return self.instance.store

    @property
    def users(self) -> UserStore[PublicUser]:
        """The users."""
        return self._users

    @property
    def sessions(self) -> SessionStore:
        """The sessions."""
        return self.instance.sessions.stored

    @property
    def accounts(self) -> AccountStore[PublicUser]:
        """The ways in that users have."""
        return self._accounts

    @property
    def verifications(self) -> VerificationStore:
        """Values that prove something once."""
        return self.instance.verifications

    def stores(self, of: Callable[[Store], StoreOf]) -> StoreOf:
        """Return the typed store of a plugin: `auth.stores(Notes)`."""
        return of(self.store)

    # --- transactions ----------------------------------------------------------------------

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Let what this task does commit or vanish together.

        Inside another one it is a savepoint. Child tasks do not join: what they do is their
        own. Mail and hooks after writes wait for the outermost commit, and are dropped with
        what is undone.

        Raises:
            TransactionEnded: At its end, where an error of the database was caught inside.
            StorageUnavailable: The database gave up on it; `retryable` if the same work may be
                done again, as `run_in_transaction` does.
        """
        return self.store.transaction()

    async def run_in_transaction(
        self, function: Callable[[], Awaitable[T]], *, attempts: int = 5
    ) -> T:
        """Call a function in a transaction, again if the database asks for it.

        A deadlock or a serialization failure undoes the whole transaction, so the function
        must be able to run more than once. Inside another transaction it runs once.

        Raises:
            StorageUnavailable: Every attempt failed.
        """
        return await self.store.run_in_transaction(function, attempts=attempts)

    def using(self, session: "AsyncSession | AsyncConnection | Session | Connection") -> Using:
        """Let what this task does be part of the application's own transaction.

        Its rows and ours commit or roll back together; the application commits. Mail and hooks
        after writes wait for that; a bare connection does not tell of its commit, so call
        `run()` on what this yields then.

        Raises:
            ConfigurationError: The database cannot join this.
        """
        return self.store.using(session)

    async def after_commit(self, work: Work) -> None:
        """Do something once when the open transaction is committed; at once if there is none."""
        await self.store.after_commit(work)

    # --- requests --------------------------------------------------------------------------

    async def handle(self, request: Request) -> Response:
        """Answer a request to an endpoint; whatever happens, the answer is a response."""
        return await self._handler.handle(request)

    async def identify(self, request: Request) -> Identity[PublicUser] | None:
        """Return who sends a request, or None; reads one row and writes nothing.

        With a cookie cache a copy spares the read, for GET and HEAD; it is at most `max_age` old.

        Raises:
            StorageUnavailable: The database cannot tell.
        """
        return await self._identify(request)

    # --- people ----------------------------------------------------------------------------

    async def export_user(self, user_id: str) -> dict[str, Any]:
        """Return everything that is kept about a person, as JSON values by wire names.

        Secrets are named, and not shown.

        Raises:
            NoSuchUser: There is nobody of this id.
        """
        return await export_user(self.instance.store, user_id)

    async def erase_user(self, user_id: str) -> Erased:
        """Delete a person with everything of theirs, in one transaction.

        Rows that outlive their person, by `on_delete="set null"`, lose what is personal.

        Raises:
            NoSuchUser: There is nobody of this id.
            StillReferenced: Rows stand in the way, by `on_delete="restrict"` or in tables of the
                application's; nothing was erased.
        """
        return await erase_user(self.instance.store, user_id)

    async def import_users(
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
        return await import_users(
            self.instance.store, lines, batch_size=batch_size, dry_run=dry_run, on_batch=on_batch
        )

    # --- tables ----------------------------------------------------------------------------

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
            self.store,
            self.instance.clock,
            batch_size=batch_size,
            on_progress=on_progress,
            elsewhere=self.instance.purges,
        )

    async def drop_cached_sessions(self, user_id: str) -> None:
        """Let no cached copy of a user's sessions be believed that was made until now.

        For what was changed past Watchword: call it when that is committed. Without
        `CachedSessions` there is nothing to do.

        Raises:
            InvalidValue: This is no id of a user.
            StorageUnavailable: The storage could not be told; copies end by themselves.
        """
        await self._drop_cached_sessions(user_id)

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
