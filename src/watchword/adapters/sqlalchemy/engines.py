"""What an adapter can be made from: a URL, an engine, or a session factory."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import URL, Dialect, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import Pool, SingletonThreadPool, StaticPool

from watchword.adapters.sqlalchemy.dialects import (
    OUR_CONNECTIONS,
    engine_options,
    is_in_memory,
)
from watchword.adapters.sqlalchemy.lines import AsyncLine, BlockingLine, Line
from watchword.adapters.sqlalchemy.violations import is_outdated
from watchword.concurrency import PerProcess, current_loop, offload
from watchword.errors import ConfigurationError

__all__ = ["Database", "Source", "open_source"]

Database: TypeAlias = (
    str | URL | Engine | AsyncEngine | sessionmaker[Any] | async_sessionmaker[Any]
)

E = TypeVar("E", Engine, AsyncEngine)

_EXTRAS: Final = {"sqlite": "sqlite", "postgresql": "postgresql"}


@dataclass(frozen=True, slots=True)
class Source:
    """A line to the database, what it speaks, and how to close what we opened for it."""

    line: Line
    dialect: Dialect
    close: Callable[[], Awaitable[None]]


def open_source(database: Database) -> Source:
    """Return the way to a database; nothing is connected yet.

    Raises:
        ConfigurationError: The URL is malformed, its driver is not installed, or this is
            nothing that leads to a database.
    """
    match database:
        case str() | URL():
            return _from_url(database)
        case sessionmaker() | async_sessionmaker():
            return _from_engine(_bind_of(database))
        case Engine() | AsyncEngine():
            return _from_engine(database)
    raise ConfigurationError(
        f"A {type(database).__name__} is no database.",
        hint="Pass a URL, an Engine or AsyncEngine, or a sessionmaker or async_sessionmaker.",
    )


def _bind_of(factory: sessionmaker[Any] | async_sessionmaker[Any]) -> Engine | AsyncEngine:
    bind = factory.kw.get("bind")
    if isinstance(bind, Engine | AsyncEngine):
        return bind
    raise ConfigurationError(
        "The session factory is bound to no engine.",
        hint="Pass bind=engine to it, or pass the engine itself.",
    )


async def _leave_open() -> None:
    """Close nothing: the engine is the application's."""


def _from_engine(engine: Engine | AsyncEngine) -> Source:
    if isinstance(engine.pool, StaticPool | SingletonThreadPool):
        raise ConfigurationError(
            f"With a {type(engine.pool).__name__} tasks or threads get into each other's "
            "transactions, or see a database each.",
            hint="Pass the URL, or make the engine with poolclass=QueuePool "
            "(AsyncAdaptedQueuePool), pool_size=1 and max_overflow=0.",
        )
    if isinstance(engine, AsyncEngine):
        ours = _renewed(engine.execution_options(isolation_level="AUTOCOMMIT", **OUR_CONNECTIONS))
        return Source(AsyncLine(_in_each_process(ours)), engine.dialect, _leave_open)
    own = _renewed(engine.execution_options(isolation_level="AUTOCOMMIT", **OUR_CONNECTIONS))
    return Source(BlockingLine(_in_each_process(own)), engine.dialect, _leave_open)


def _from_url(database: str | URL) -> Source:
    url = _checked_url(database)
    if url.get_dialect().is_async:
        engines = _EnginePerLoop(url)
        return Source(AsyncLine(engines.current), url.get_dialect()(), engines.close)
    made = _renewed(create_engine(url, **engine_options(url)))
    engine = _in_each_process(made)

    async def close() -> None:
        await offload(lambda: engine().dispose())

    return Source(BlockingLine(engine), made.dialect, close)


def _checked_url(database: str | URL) -> URL:
    try:
        url = make_url(database)
    except (ArgumentError, ValueError):
        # Without the cause: it shows what was taken for the port, a part of a password with @.
        raise ConfigurationError(
            "The database URL cannot be read.",
            hint="Write it like sqlite+aiosqlite:///auth.db or postgresql+asyncpg://user@host/db, "
            "with @, : and / of a password as %40, %3A and %2F.",
        ) from None
    _check_driver(url)
    return url


def _check_driver(url: URL) -> None:
    backend = url.get_backend_name()
    try:
        create_engine(url)  # imports the driver and reads the parameters, and no more
    except NoSuchModuleError as error:
        raise ConfigurationError(
            f"There is no database driver {url.drivername!r}.",
            hint="Known: sqlite+aiosqlite, postgresql+asyncpg, postgresql+psycopg, "
            "mysql+aiomysql, sqlite, mysql+pymysql.",
        ) from error
    except ImportError as error:
        raise ConfigurationError(
            f"The driver of {url.drivername!r} is not installed.",
            hint=f'pip install "watchword[{_EXTRAS.get(backend, "mysql")}]"',
        ) from error
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "A parameter of the database URL has a value that its driver cannot take.",
            hint="Look behind the question mark: ports, timeouts and their like are numbers.",
        ) from None


# --- after the tables were changed ----------------------------------------------------------


def _renewed(engine: E) -> E:
    """Let the engine take new connections when the tables were changed under its own.

    A driver prepares what it is often asked, on each connection, and is refused from then on
    if a column is of another type now.
    """
    # There once, however many adapters are made from an engine of the application's.
    event.listen(engine.dialect, "handle_error", _renew)
    return engine


def _renew(context: ExceptionContext) -> None:
    """Take it for a lost connection: SQLAlchemy gives up the whole pool, and we ask again."""
    options = {} if context.engine is None else context.engine.get_execution_options()
    # What the application does on its own engine it sees for itself.
    if OUR_CONNECTIONS.items() <= options.items() and is_outdated(context.original_exception):
        context.is_disconnect = True


# --- processes and loops -------------------------------------------------------------------


def _in_each_process(engine: E) -> Callable[[], E]:
    """Return what gives the engine, in a process that was forked with a pool of its own.

    On the parent's connections people would get the answers to other people's questions.
    """
    own = PerProcess(lambda: engine, leave=_leave_pool)
    return lambda: own.here


def _leave_pool(engine: Engine | AsyncEngine) -> Pool:
    """Leave the connections to the parent, which goes on using them."""
    blocking = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    inherited = blocking.pool
    is_open_here = blocking.dialect.name == "sqlite" and not isinstance(engine, AsyncEngine)
    if is_open_here and is_in_memory(blocking.url):
        return inherited  # the connection is the database, and was copied with it
    # While SQLite's inherited connections are open here, new ones lock nothing: the file is
    # taken for locked by this process. https://www.sqlite.org/howtocorrupt.html (2.6)
    blocking.dispose(close=is_open_here)
    return inherited


class _EnginePerLoop:
    """An async engine for each event loop: its connections cannot be used from another.

    A process that was forked begins with none, even on a loop that it inherited.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._of_process: PerProcess[dict[Any, AsyncEngine]] = PerProcess(dict)

    def current(self) -> AsyncEngine:
        """Return the running loop's engine, made at its first use."""
        loop = current_loop()
        if loop is None:
            raise ConfigurationError(
                f"{self._url.drivername} needs an event loop, but this call is blocking.",
                hint="Use a blocking driver: sqlite, postgresql+psycopg or mysql+pymysql.",
            )
        engines = self._of_process.here
        if loop not in engines:
            _forget_ended_loops(engines)
            made = create_async_engine(self._url, **engine_options(self._url))
            engines[loop] = _renewed(made)
        return engines[loop]

    async def close(self) -> None:
        """Close the running loop's engine."""
        engine = self._of_process.here.pop(current_loop(), None)
        if engine is not None:
            await engine.dispose()


def _forget_ended_loops(engines: dict[Any, AsyncEngine]) -> None:
    """Let go of connections that nobody can use or close any more."""
    for loop in [it for it in engines if it.is_closed()]:
        engines.pop(loop).sync_engine.dispose(close=False)
