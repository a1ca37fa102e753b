"""The two kinds of clients: how a step is done by each, with a session or without.

A step is a plain function of a database. Both kinds have the same calls; those of one kind
return what has to be awaited.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Protocol, TypeAlias

from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.synchronous.command_cursor import CommandCursor
from pymongo.synchronous.cursor import Cursor

from watchword.concurrency import current_loop, finish, offload, offload_at_once
from watchword.errors import ConfigurationError

__all__ = ["AsyncLine", "BlockingLine", "EitherLine", "Hand", "Line", "Step"]

Step: TypeAlias = Callable[[Any], Any]
"""A plain function of a database, of whichever kind the line has."""


class Line(Protocol):
    """The way to a database."""

    needs_loop: bool

    async def do(self, step: Step, *, at_once: bool = False) -> Any:
        """Do a step, to its end even if the caller is cancelled; of a cursor return all rows.

        Args:
            step: What is done.
            at_once: Never wait for a free thread: others may be waiting for this one.
        """


class BlockingLine:
    """By a `MongoClient`; under a loop each step has a thread."""

    needs_loop = False

    def __init__(self, database: Callable[[], Any]) -> None:
        self._database = database

    async def do(self, step: Step, *, at_once: bool = False) -> Any:
        """Do a step in place, or in a thread."""
        run = offload_at_once if at_once else offload
        return await run(self._do, step)

    def _do(self, step: Step) -> Any:
        result = step(self._database())
        return result.to_list() if isinstance(result, Cursor | CommandCursor) else result


class AsyncLine:
    """By an `AsyncMongoClient`, which belongs to the loop that used it first."""

    needs_loop = True

    def __init__(self, database: Callable[[], Any]) -> None:
        self._database = database

    async def do(self, step: Step, *, at_once: bool = False) -> Any:  # noqa: ARG002 - no threads
        """Do a step on the running loop.

        Raises:
            ConfigurationError: There is none, or the client belongs to another one.
        """
        if current_loop() is None:
            raise ConfigurationError(
                "AsyncMongoClient needs an event loop, but this call is blocking.",
                hint="Pass the URL, or a MongoClient.",
            )
        return await finish(self._do(step))

    async def _do(self, step: Step) -> Any:
        try:
            result = step(self._database())
            if isawaitable(result):
                result = await result
            return await result.to_list() if _is_cursor(result) else result
        except RuntimeError as error:
            if "different event loop" not in str(error):
                raise
            raise ConfigurationError(
                "This AsyncMongoClient belongs to another event loop.",
                hint="Pass the URL: each loop has a client of its own then.",
            ) from error


def _is_cursor(result: Any) -> bool:
    return isinstance(result, AsyncCursor | AsyncCommandCursor)


class EitherLine:
    """One line under a loop, and another one without.

    Args:
        blocking: For who has no loop.
        asynchronous: For who has one.
    """

    needs_loop = False

    def __init__(self, blocking: Line, asynchronous: Line) -> None:
        self._blocking = blocking
        self._asynchronous = asynchronous

    async def do(self, step: Step, *, at_once: bool = False) -> Any:
        """Do a step by the line that fits."""
        line = self._blocking if current_loop() is None else self._asynchronous
        return await line.do(step, at_once=at_once)


class Hand:
    """Calls of collections, in a transaction's session or in none.

    Args:
        line: The way to the database.
        session: The driver's, if a transaction is open.
        held: Rows that this transaction has written: nobody else deletes them before its end.
    """

    def __init__(self, line: Line, session: Any = None, held: set[Any] | None = None) -> None:
        self._line = line
        self.session = session
        self.held = set() if held is None else held

    async def call(self, collection: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a collection's method; of a cursor return all rows."""

        def step(database: Any) -> Any:
            call = getattr(database[collection], method)
            return call(*arguments, session=self.session, **options)

        return await self._line.do(step, at_once=self.session is not None)
