"""Where work meets a connection: alone, or in the transaction of its task.

A statement of its own costs no BEGIN and no COMMIT. It is run again if it lost a deadlock,
and if the connection was lost before anything could have been written; a write looks first
whether the connection is alive, because afterwards nobody could tell.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError

from watchword.adapters.sqlalchemy.dialects import (
    all_or_nothing,
    begin_joined,
    ping,
    prepare_connection,
)
from watchword.adapters.sqlalchemy.joining import check_commits
from watchword.adapters.sqlalchemy.lines import Line, NotFetchedError, Work
from watchword.adapters.sqlalchemy.prepared import PreparedRead
from watchword.adapters.sqlalchemy.transactions import (
    Transaction,
    Translated,
)
from watchword.adapters.sqlalchemy.violations import is_disconnect
from watchword.concurrency import Backoff
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.storage.contract import Record
from watchword.storage.query import Where

__all__ = ["Gate"]

T = TypeVar("T")

# How often a statement of its own is run again after losing a deadlock, and the pauses.
_ATTEMPTS: Final = 12
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25


class Gate:
    """Hands work to the right connection.

    Args:
        line: The engine.
        translated: Makes the contract's errors of the driver's.
    """

    def __init__(self, line: Line, translated: Translated) -> None:
        self._line = line
        self._translated = translated

    async def read(self, model: str, work: Work[T]) -> T:
        """Run work that writes nothing."""
        transaction = await Transaction.joined(self)
        if transaction is not None:
            return await transaction.run(model, work)
        return await self._alone(model, lambda _sent: _prepared(work))

    async def read_row(
        self, model: str, prepare: Callable[[Dialect], PreparedRead | None], where: Where
    ) -> Record | None:
        """Read a row by the driver alone, where there is a shorter way than `read`.

        Raises:
            NotFetchedError: There is none, or it failed; `read` finds out why.
        """
        dialect = None if Transaction.find(self) else self._line.direct_dialect
        prepared = None if dialect is None else prepare(dialect)
        if prepared is None:
            raise NotFetchedError
        with self._translated(model):
            row = await self._line.fetch_row(prepared.sql, prepared.arguments(where))
        return None if row is None else prepared.record(row)

    def check_alone(self) -> None:
        """Refuse what a database commits by itself, whatever is open around it.

        Raises:
            ConfigurationError: A transaction is open here.
        """
        if Transaction.find(self) is not None:
            raise ConfigurationError(
                "Tables cannot be made inside a transaction.", hint="Make them before it begins."
            )

    async def write(
        self, model: str, work: Work[T], *, whole: Callable[[Connection], bool] = lambda _: False
    ) -> T:
        """Run work that writes, in a transaction of its own where `whole` asks for one."""
        transaction = await Transaction.joined(self)
        if transaction is not None:
            return await transaction.run(model, work)
        return await self._alone(model, lambda sent: _checked(work, whole, sent))

    async def _alone(self, model: str, attempt: Callable[["_Sent"], Work[T]]) -> T:
        backoff = Backoff(first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        reconnected = False
        for tries_left in reversed(range(_ATTEMPTS)):
            sent = _Sent()
            try:
                with self._translated(model):
                    return await self._line.once(attempt(sent))
            except StorageUnavailable as error:
                if is_disconnect(error.__cause__) and not sent.yes and not reconnected:
                    reconnected = True
                    continue
                if not _lost_a_race(error) or not tries_left:
                    raise
            await backoff.pause()
        raise AssertionError  # pragma: no cover - the last try returned or raised

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Open a transaction for this task or thread; inside another one, a savepoint."""
        outer = await Transaction.joined(self)
        if outer is not None:
            async with outer.savepoint():
                yield
            return
        transaction = Transaction(self, self._line, self._translated)
        try:
            with transaction.ambient():
                yield
        except BaseException:
            await transaction.roll_back()
            raise
        await transaction.commit()

    @asynccontextmanager
    async def joined_to(self, line: Line, connection: Any) -> AsyncIterator[None]:
        """Work on a connection of the application's, in a savepoint of its transaction."""
        transaction = Transaction(self, line, self._translated, connection)
        with self._translated("transaction"):
            await line.call(connection, check_commits)
            await line.call(connection, begin_joined)
        async with transaction.savepoint():
            await transaction.stay_in_this()
            with transaction.ambient():
                yield


class _Sent:
    """Whether a statement may have reached the database."""

    yes = False


def _prepared(work: Work[T]) -> Work[T]:
    def run(connection: Connection) -> T:
        prepare_connection(connection)
        return work(connection)

    return run


def _checked(work: Work[T], whole: Callable[[Connection], bool], sent: _Sent) -> Work[T]:
    """Do work on a connection that was alive a moment ago."""

    def run(connection: Connection) -> T:
        prepare_connection(connection)
        if whole(connection):
            return _in_transaction(connection, work, sent)
        ping(connection)
        sent.yes = True
        return work(connection)

    return run


def _in_transaction(connection: Connection, work: Work[T], sent: _Sent) -> T:
    with all_or_nothing(connection):
        result = work(connection)
        # Until COMMIT is sent nothing is written, so a lost connection loses nothing.
        sent.yes = True
    return result


def _lost_a_race(error: StorageUnavailable) -> bool:
    return error.retryable and isinstance(error.__cause__, DBAPIError)
