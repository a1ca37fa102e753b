"""The two kinds of engines: how to open a connection, work on it, and give it back.

All SQL is written as plain functions of a blocking `Connection`; a line calls them there.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from sqlite3 import SQLITE_BUSY
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from watchword.adapters.sqlalchemy.dialects import prepare_connection
from watchword.concurrency import Backoff, acquire, finish, offload, offload_at_once
from watchword.errors import ConfigurationError, StorageUnavailable

__all__ = [
    "AsyncLine",
    "BlockingLine",
    "Connected",
    "Line",
    "NotFetchedError",
    "Work",
    "connected",
]

T = TypeVar("T")

Work: TypeAlias = Callable[[Connection], T]
"""A plain function of a blocking connection."""
Keep: TypeAlias = Callable[[Any], None]
"""Remembers a connection as soon as it is open, so that a cancelled caller can return it."""


_TRIES: Final = 60


class Line(Protocol):
    """One kind of engine; its connections are opaque to whoever holds them."""

    @property
    def needs_loop(self) -> bool:
        """Whether calls wait for an event loop."""

    async def open(self, keep: Keep) -> None:
        """Take a connection from the pool."""

    async def call(self, connection: Any, work: Work[T]) -> T:
        """Run work on a connection, to its end even if the caller is cancelled."""

    async def once(self, work: Work[T]) -> T:
        """Open, work and give back, in one go."""

    async def give_back(self, connection: Any) -> None:
        """Return a connection to the pool."""

    @property
    def direct_dialect(self) -> Dialect | None:
        """What to compile for, if the driver itself takes SQL by `fetch_row`."""

    async def fetch_row(self, sql: str, arguments: Sequence[Any]) -> Sequence[Any] | None:
        """Read one row by the driver alone.

        Raises:
            NotFetchedError: The driver could not; the ordinary way will tell why.
        """


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that somebody holds for more than one piece of work."""

    line: Line
    connection: Any

    async def call(self, work: Work[T]) -> T:
        """Run work on it, to its end even if the caller is cancelled."""
        return await self.line.call(self.connection, work)


@asynccontextmanager
async def connected(line: Line) -> AsyncIterator[Connected]:
    """Hold a connection; a server's is closed in the end, whatever was set or locked on it."""
    opened: list[Any] = []
    await line.open(opened.append)
    held = Connected(line, opened[0])
    try:
        await _prepare(held)
        yield held
    finally:
        try:
            await held.call(_leave)
        finally:
            await line.give_back(held.connection)


async def _prepare(held: Connected) -> None:
    """Set the connection up; of several that open a new SQLite file at once all but one wait.

    It answers them at once that it is locked, however long they would wait for a write.
    """
    backoff = Backoff(first=0.005, longest=0.25)
    for _ in range(_TRIES):
        try:
            await held.call(prepare_connection)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != SQLITE_BUSY:
                raise
            await backoff.pause()
        else:
            return
    await held.call(prepare_connection)


def _leave(connection: Connection) -> None:
    # In memory, SQLite's one connection is the database.
    if connection.dialect.name != "sqlite":
        connection.invalidate()


class NotFetchedError(Exception):
    """A direct read failed; reading is repeatable, so the ordinary way may be tried."""


class AsyncLine:
    """An `AsyncEngine`; where there is one for each event loop, the running loop's."""

    needs_loop = True

    def __init__(self, engine: Callable[[], AsyncEngine]) -> None:
        self._engine = engine

    @property
    def direct_dialect(self) -> Dialect | None:
        """asyncpg's; other drivers have no faster way than SQLAlchemy's."""
        engine = self._engine()
        # Where SQLAlchemy writes other schemas into the SQL, its own way is the right one.
        if "schema_translate_map" in engine.get_execution_options():
            return None
        return engine.dialect if engine.dialect.driver == "asyncpg" else None

    async def fetch_row(self, sql: str, arguments: Sequence[Any]) -> Sequence[Any] | None:
        """Read one row by the driver alone, on a connection of the same pool."""
        engine = self._engine()
        with _reachable():
            pooled = await engine.raw_connection()
        driver: Any = pooled.driver_connection
        try:
            row: Sequence[Any] | None = await driver.fetchrow(sql, *arguments)
        except BaseException as error:
            # A failed or cancelled read leaves a connection that nobody should use again.
            await finish(greenlet_spawn(pooled.invalidate))
            asyncpg: Any = engine.dialect.loaded_dbapi.asyncpg
            if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
                raise NotFetchedError from error
            raise
        await greenlet_spawn(pooled.close)
        return row

    async def open(self, keep: Keep) -> None:
        """Take a connection from the pool."""
        keep(await acquire(_connect(self._engine()), _close))

    async def call(self, connection: AsyncConnection, work: Work[T]) -> T:
        """Run work on a connection, to its end even if the caller is cancelled."""
        return await finish(connection.run_sync(work))

    async def once(self, work: Work[T]) -> T:
        """Open, work and give back, in one go."""
        connection = await acquire(_connect(self._engine()), _close)
        return await finish(_work_and_close(connection, work))

    async def give_back(self, connection: AsyncConnection) -> None:
        """Return a connection to the pool."""
        await finish(_close(connection))


async def _connect(engine: AsyncEngine) -> AsyncConnection:
    with _reachable():
        return await engine.connect()


@contextmanager
def _reachable() -> Iterator[None]:
    """Tell that nobody was there, and so nothing was done, if a driver raises it bare."""
    try:
        with _understood():
            yield
    except OSError as error:
        raise StorageUnavailable("The database cannot be reached.", retryable=True) from error


@contextmanager
def _understood() -> Iterator[None]:
    """Tell that the driver does not take what stands behind the URL's question mark.

    Drivers get it as keyword arguments, when the first connection is opened.
    """
    try:
        yield
    except TypeError:
        # Its words are not repeated: where a password holds an unescaped @, they are its end.
        raise ConfigurationError(
            "The driver does not take all that the database URL says.",
            hint="Look at what stands after the question mark (for asyncpg sslmode=require is "
            "ssl=require), and write a password's own @ : / ? as %40 %3A %2F %3F.",
        ) from None


async def _work_and_close(connection: AsyncConnection, work: Work[T]) -> T:
    try:
        return await connection.run_sync(work)
    finally:
        await connection.close()


async def _close(connection: AsyncConnection) -> None:
    await connection.close()


class BlockingLine:
    """An `Engine`; under an event loop its work goes to threads."""

    needs_loop = False
    direct_dialect = None

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    async def open(self, keep: Keep) -> None:
        """Take a connection from the pool."""
        await offload(lambda: keep(self._connect()))

    async def call(self, connection: Connection, work: Work[T]) -> T:
        """Run work on a connection, to its end even if the caller is cancelled.

        It never queues for a thread: those that do may be waiting for this connection.
        """
        return await offload_at_once(work, connection)

    async def once(self, work: Work[T]) -> T:
        """Open, work and give back, in one go."""
        return await offload(self._work_and_close, work)

    async def fetch_row(self, _sql: str, _arguments: Sequence[Any]) -> Sequence[Any] | None:
        """Fetch nothing: there is no direct way."""
        raise NotFetchedError

    def _work_and_close(self, work: Work[T]) -> T:
        with self._connect() as connection:
            return work(connection)

    def _connect(self) -> Connection:
        with _understood():
            return self._engine().connect()

    async def give_back(self, connection: Connection) -> None:
        """Return a connection to the pool."""
        await offload_at_once(connection.close)
