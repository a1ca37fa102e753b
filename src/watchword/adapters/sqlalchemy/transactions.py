"""A transaction of one task or thread: the connection it has, its savepoints, and its end.

It begins with its first statement, so nothing is held while a password is hashed.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from watchword.adapters.sqlalchemy.dialects import begin, prepare_connection, undo
from watchword.adapters.sqlalchemy.joining import check_still_in
from watchword.adapters.sqlalchemy.lines import Line, Work
from watchword.adapters.sqlalchemy.violations import is_disconnect
from watchword.concurrency import complete, current_owner
from watchword.errors import StorageError, StorageUnavailable, TransactionEnded
from watchword.storage.owned_transactions import OwnedTransaction

__all__ = ["Transaction", "Translated"]

T = TypeVar("T")

Translated: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Turns the driver's errors about a model into the contract's."""


class Transaction(OwnedTransaction):
    """A transaction of one task or thread, on one connection.

    An error of the database dooms it, or the savepoint in which it happened: databases
    differ in what could still be done, so nothing can.
    """

    def __init__(
        self, gate: object, line: Line, translated: Translated, connection: Any = None
    ) -> None:
        super().__init__(gate)
        self._line = line
        self._translated = translated
        self._connection = connection
        self._failed = False
        self._depth = 0
        self._within: object = None

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
