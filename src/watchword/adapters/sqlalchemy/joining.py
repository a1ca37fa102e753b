"""Work inside a transaction of the application's own session or connection."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from watchword.adapters.sqlalchemy.lines import AsyncLine, BlockingLine, Line
from watchword.concurrency import offload, run_blocking
from watchword.errors import ConfigurationError

__all__ = ["application_connection"]

Committed = Callable[[], Awaitable[None]]
Undone = Callable[[], object]


async def application_connection(
    session: object, committed: Committed, undone: Undone
) -> tuple[Line, Any]:
    """Return the connection that a session works on, and the line that can use it.

    Raises:
        ConfigurationError: This is no session or connection, or it needs an event loop and
            there is none.
    """
    match session:
        case AsyncSession():
            _listen(session.sync_session, lambda: await_only(_coroutine(committed)), undone)
            return AsyncLine(_no_engine), await session.connection()
        case Session():
            _listen(session, _blocking(committed), undone)
            return BlockingLine(_no_engine), await offload(session.connection)
        case AsyncConnection():
            return AsyncLine(_no_engine), session
        case Connection():
            return BlockingLine(_no_engine), session
    raise ConfigurationError(
        f"A {type(session).__name__} cannot be joined.",
        hint="Pass a Session, AsyncSession, Connection or AsyncConnection.",
    )


async def _coroutine(committed: Committed) -> None:
    await committed()


def _blocking(committed: Committed) -> Callable[[], None]:
    return lambda: run_blocking(_coroutine(committed))


def _no_engine() -> Any:
    raise AssertionError  # pragma: no cover - a joined connection is not opened by us


def _listen(session: Session, committed: Callable[[], None], undone: Undone) -> None:
    """Follow the session's next outermost transaction to its end, and no further."""

    def after_commit(_session: Session) -> None:
        if not session.in_nested_transaction():
            stop()
            committed()

    def after_rollback(_session: Session) -> None:
        stop()
        undone()

    def stop() -> None:
        for name, listener in listeners.items():
            if event.contains(session, name, listener):
                event.remove(session, name, listener)

    listeners = {"after_commit": after_commit, "after_rollback": after_rollback}
    for name, listener in listeners.items():
        event.listen(session, name, listener)
