"""Where work meets a connection: alone, or in the transaction of its task.

A statement of its own costs no BEGIN and no COMMIT. It is run again if it lost a deadlock,
and if the connection was lost before anything could have been written; a write looks first
whether the connection is alive, because afterwards nobody could tell. A transaction begins
with its first statement, so nothing is held while a password is hashed.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from watchword.adapters.sqlalchemy.dialects import (
    all_or_nothing,
    begin,
    begin_joined,
    ping,
    prepare_connection,
    undo,
)
from watchword.adapters.sqlalchemy.joining import check_commits, check_still_in
from watchword.adapters.sqlalchemy.lines import Line, NotFetchedError, Work
from watchword.adapters.sqlalchemy.prepared import PreparedRead
from watchword.adapters.sqlalchemy.violations import is_disconnect
from watchword.concurrency import Backoff, complete, current_owner
from watchword.errors import (
    ConfigurationError,
    StorageError,
    StorageUnavailable,
    TransactionEnded,
)
from watchword.storage.after_commit import is_in_generator, let_generators_close
from watchword.storage.contract import Record
from watchword.storage.query import Where

__all__ = ["Gate", "Translated"]

T = TypeVar("T")

Translated: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Turns the driver's errors about a model into the contract's."""

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
        transaction = await self._joined()
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
        dialect = None if self._found() else self._line.direct_dialect
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
        if self._found() is not None:
            raise ConfigurationError(
                "Tables cannot be made inside a transaction.", hint="Make them before it begins."
            )

    async def write(
        self, model: str, work: Work[T], *, whole: Callable[[Connection], bool] = lambda _: False
    ) -> T:
        """Run work that writes, in a transaction of its own where `whole` asks for one."""
        transaction = await self._joined()
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
        outer = await self._joined()
        if outer is not None:
            async with outer.savepoint():
                yield
            return
        transaction = _Transaction(self, self._line, self._translated)
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
        transaction = _Transaction(self, line, self._translated, connection)
        with self._translated("transaction"):
            await line.call(connection, check_commits)
            await line.call(connection, begin_joined)
        async with transaction.savepoint():
            await transaction.stay_in_this()
            with transaction.ambient():
                yield

    async def _joined(self) -> "_Transaction | None":
        """Return what is open here, but for one whose generator was left a moment ago."""
        transaction = self._found()
        if transaction is not None and transaction.may_be_left:
            await let_generators_close()
            transaction = self._found()
        return transaction

    def _found(self) -> "_Transaction | None":
        """Return the transaction that this task or thread has open here.

        A child task inherits the context, but not the transaction: it is not its owner.
        """
        for transaction in reversed(_open_transactions()):
            if transaction.gate is self and transaction.owner == current_owner():
                return transaction
        return None


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


# --- transactions --------------------------------------------------------------------------


class _Transaction:
    """A transaction of one task or thread, on one connection.

    An error of the database dooms it, or the savepoint in which it happened: databases
    differ in what could still be done, so nothing can.
    """

    def __init__(
        self, gate: Gate, line: Line, translated: Translated, connection: Any = None
    ) -> None:
        self.gate = gate
        self.owner = current_owner()
        self._line = line
        self._translated = translated
        self._connection = connection
        self._failed = False
        self._depth = 0
        self._within: object = None
        self.is_open = True
        self.may_be_left = is_in_generator()

    @contextmanager
    def ambient(self) -> Iterator[None]:
        """Let the calls of the owner find this transaction, until the body is left.

        It may be left in another context than it began in: a generator that was left early is
        closed by another task. So nothing is reset, and what has ended is passed over.
        """
        _transactions.set((*_open_transactions(), self))
        try:
            yield
        finally:
            self.is_open = False
            _transactions.set(_open_transactions())

    async def stay_in_this(self) -> None:
        """Remember the application's transaction: work in a later one would be a surprise."""
        self._within = await self._line.call(self._connection, Connection.get_transaction)

    async def run(self, model: str, work: Work[T]) -> T:
        """Run work on the transaction's connection; the first work begins it."""
        if self._failed:
            raise TransactionEnded
        try:
            with self._translated(model):
                if self._connection is None:
                    return await self._first(work)
                return await self._call(work)
        except StorageError:
            self._failed = True
            raise

    async def _call(self, work: Work[T]) -> T:
        def checked(connection: Connection) -> T:
            check_still_in(self._within, connection)
            return work(connection)

        return await self._line.call(self._connection, checked)

    async def _first(self, work: Work[T]) -> T:
        """Begin and work; if the connection turns out to be lost, once more on another."""

        def begun(connection: Connection) -> T:
            prepare_connection(connection)
            begin(connection)
            return work(connection)

        await self._open()
        try:
            return await self._line.call(self._connection, begun)
        except DBAPIError as error:
            if not is_disconnect(error):
                raise
        await self._give_back()
        await self._open()
        return await self._line.call(self._connection, begun)

    async def _open(self) -> None:
        def keep(connection: Any) -> None:
            self._connection = connection

        await self._line.open(keep)

    async def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        await self._line.give_back(connection)

    async def commit(self) -> None:
        """Commit, or roll back and say so if an error was passed over, or a part is open."""
        if self._failed or self._depth:
            await self.roll_back()
            raise TransactionEnded
        # Nothing begins it again, whoever still holds it.
        self._failed = True
        if self._connection is None:
            return
        try:
            with self._translated("transaction"):
                # A cancellation waits: who asks for the end of a transaction has to learn it.
                await complete(self._line.call(self._connection, _commit))
        finally:
            await complete(self._give_back())

    async def roll_back(self) -> None:
        """Undo everything; nothing begins it again."""
        self._failed = True
        if self._connection is None:
            return
        try:
            await self._line.call(self._connection, undo)
        finally:
            await self._give_back()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Let a part be undone alone."""
        self._depth = depth = self._depth + 1
        name = f"watchword_{depth}"
        try:
            await self.run("transaction", _savepoint(name))
            try:
                yield
            except BaseException as error:
                await self._roll_back_to(name, error)
                raise
            if self._failed or self._depth != depth:
                await self._roll_back_to(name, None)
                raise TransactionEnded
            await complete(self.run("transaction", _release(name)))
        finally:
            self._depth -= 1

    async def _roll_back_to(self, name: str, error: BaseException | None) -> None:
        """Undo to the savepoint; what the database undid altogether stays failed.

        Left by another task it is no part of its own any more: what the owner has written since
        would vanish unseen, so the whole transaction fails.
        """
        is_part = self._within is None or self._depth > 1
        if is_part and self.owner != current_owner():
            self._failed = True
            return
        undone_altogether = self._failed and isinstance(error, StorageUnavailable)
        if undone_altogether or self._connection is None:
            return
        try:
            await self._call(_back_to(name))
        except (SQLAlchemyError, StorageError):
            self._failed = True
        else:
            self._failed = False


def _commit(connection: Connection) -> None:
    try:
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        undo(connection)
        raise


def _savepoint(name: str) -> Work[None]:
    return lambda connection: _say(connection, f"SAVEPOINT {name}")


def _release(name: str) -> Work[None]:
    return lambda connection: _say(connection, f"RELEASE SAVEPOINT {name}")


def _back_to(name: str) -> Work[None]:
    return lambda connection: _say(connection, f"ROLLBACK TO SAVEPOINT {name}")


def _say(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


_transactions: ContextVar[tuple[_Transaction, ...]] = ContextVar(
    "watchword_transactions", default=()
)


def _open_transactions() -> tuple[_Transaction, ...]:
    """Return those of this context that have not ended, whose-ever they are."""
    return tuple(it for it in _transactions.get() if it.is_open)
