"""Work inside a transaction of the application's own session or connection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only

from watchword.adapters.sqlalchemy.lines import AsyncLine, BlockingLine, Line
from watchword.concurrency import current_loop, offload, run_blocking, start_on
from watchword.errors import ConfigurationError, StorageError

__all__ = ["application_connection", "check_commits", "check_still_in"]

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
            connection = await session.connection()
            _follow(session.sync_session, lambda: await_only(_coroutine(committed)), undone)
            return AsyncLine(_no_engine), connection
        case Session():
            begun = await offload(session.connection)
            _follow(session, _started(committed, current_loop()), undone)
            return BlockingLine(_no_engine), begun
        case AsyncConnection():
            return AsyncLine(_no_engine), session
        case Connection():
            return BlockingLine(_no_engine), session
    raise ConfigurationError(
        f"A {type(session).__name__} cannot be joined.",
        hint="Pass a Session, AsyncSession, Connection or AsyncConnection.",
    )


def check_commits(connection: Connection) -> None:
    """Refuse a connection on which each statement commits by itself.

    On SQLite one that the application has said BEGIN on is none: it is what makes the driver's
    savepoints work.

    Raises:
        ConfigurationError: A rollback of the application's would leave our rows.
    """
    pooled = connection.connection
    driver: Any = pooled.driver_connection
    if connection.dialect.name == "sqlite" and driver.in_transaction:
        return
    if connection.dialect.detect_autocommit_setting(cast("Any", pooled.dbapi_connection)):
        raise ConfigurationError(
            "The session is in AUTOCOMMIT: it has no transaction that could be joined.",
            hint='Make the session\'s engine without isolation_level="AUTOCOMMIT".',
        )


def check_still_in(transaction: object, connection: Connection) -> None:
    """Refuse to go on where the application has ended its transaction, if it had one.

    Raises:
        StorageError: It did, inside `using()`.
    """
    if transaction is not None and connection.get_transaction() is not transaction:
        raise StorageError(
            "the session was committed or rolled back inside using(), which ended what was "
            "joined; end it behind the block"
        )


async def _coroutine(committed: Committed) -> None:
    await committed()


def _started(committed: Committed, loop: object | None) -> Callable[[], None]:
    """Return what does the work after a blocking commit, on the loop if there is one."""
    if loop is None:
        return lambda: run_blocking(_coroutine(committed))
    return lambda: start_on(loop, _coroutine(committed))


def _no_engine() -> Any:
    raise AssertionError  # pragma: no cover - a joined connection is not opened by us


# --- to the end of the session's transaction -----------------------------------------------

_KEY: Final = "watchword"


@dataclass(slots=True)
class _Joined:
    """What waits for the end of a transaction, and the transaction or savepoint it was in."""

    within: SessionTransaction | None
    committed: Callable[[], None]
    undone: Undone
    is_committed: bool = False

    def is_within(self, transaction: SessionTransaction) -> bool:
        at = self.within
        while at is not None and at is not transaction:
            at = at.parent
        return at is transaction


def _follow(session: Session, committed: Callable[[], None], undone: Undone) -> None:
    """Call one of the two when what the session is in now has come to its end."""
    if _KEY not in session.info:
        session.info[_KEY] = []
        event.listen(session, "after_commit", _after_commit)
        event.listen(session, "after_soft_rollback", _after_rollback)
        event.listen(session, "after_transaction_end", _after_end)
    within = session.get_nested_transaction() or session.get_transaction()
    session.info[_KEY].append(_Joined(within, committed, undone))


def _after_commit(session: Session) -> None:
    """Remember the commit; the session still holds the connection that our work may need."""
    if not session.in_nested_transaction():
        for joined in session.info[_KEY]:
            joined.is_committed = True


def _after_rollback(session: Session, transaction: SessionTransaction) -> None:
    for joined in _taken(session, lambda it: it.is_within(transaction)):
        joined.undone()


def _after_end(session: Session, transaction: SessionTransaction) -> None:
    """Come to the end: a session that is closed rolls back without saying so."""
    if transaction.parent is None:
        for joined in _taken(session, lambda _: True):
            if joined.is_committed:
                joined.committed()
            else:
                joined.undone()


def _taken(session: Session, chosen: Callable[[_Joined], bool]) -> list[_Joined]:
    waiting: list[_Joined] = session.info[_KEY]
    session.info[_KEY] = [it for it in waiting if not chosen(it)]
    return [it for it in waiting if chosen(it)]
