"""Where work meets a session: alone, or in the transaction of its task or thread.

MongoDB ends a transaction at every conflict and every violation, and has no savepoints. So a
transaction keeps what was done in it: when it has to be begun again it is all done again, in
order, and goes on only if each answer is the one that was given before.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from pymongo import ReadPreference, WriteConcern
from pymongo.errors import InvalidOperation, PyMongoError
from pymongo.read_concern import ReadConcern

from watchword.adapters.mongodb.lines import Hand, Line
from watchword.adapters.mongodb.refusals import is_lost_race
from watchword.concurrency import Backoff, complete, current_owner
from watchword.errors import StorageError, StorageUnavailable, TransactionEnded
from watchword.storage.owned_transactions import OwnedTransaction

__all__ = ["Gate", "Translated", "Work"]

T = TypeVar("T")

Work: TypeAlias = Callable[[Hand], Awaitable[T]]
"""Calls of collections; the same for whoever does it again."""

# How often work is done again after losing a race, and the pauses.
_ATTEMPTS: Final = 20
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25

_SNAPSHOT: Final[dict[str, Any]] = {
    "read_concern": ReadConcern("snapshot"),
    "write_concern": WriteConcern("majority"),
    "read_preference": ReadPreference.PRIMARY,
}


class Translated(Protocol):
    """Turns the driver's errors about a model into the contract's."""

    def __call__(self, model: str, *, writes: bool) -> AbstractContextManager[None]:
        """Return the place in which they are turned."""


class Gate:
    """Hands work to the right session.

    Args:
        line: The way to the database.
        translated: Makes the contract's errors of the driver's.
        has_transactions: The server has them.
    """

    def __init__(self, line: Line, translated: Translated, *, has_transactions: bool) -> None:
        self._line = line
        self._translated = translated
        self._has_transactions = has_transactions

    async def read(self, model: str, work: Work[T], *, lock: bool = False) -> T:
        """Do work that reads; with `lock` in a transaction what is committed by now."""
        transaction = await _Transaction.joined(self)
        if transaction is not None:
            return await transaction.run(model, work, is_kept=lock, is_fresh=lock)
        with self._translated(model, writes=False):
            return await work(Hand(self._line))

    async def write(self, model: str, work: Work[T], *, whole: bool = False) -> T:
        """Do work that writes; `whole` if it is several calls that belong together."""
        transaction = await _Transaction.joined(self)
        if transaction is not None:
            return await transaction.run(model, work)
        if whole and self._has_transactions:
            return await self._whole(model, work)
        with self._translated(model, writes=True):
            return await work(Hand(self._line))

    async def _whole(self, model: str, work: Work[T]) -> T:
        backoff = Backoff(first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        for tries_left in reversed(range(_ATTEMPTS)):
            try:
                async with self._opened() as transaction:
                    return await transaction.run(model, work)
            except StorageUnavailable as error:
                if not is_lost_race(error.__cause__) or not tries_left:
                    raise
            await backoff.pause()
        raise AssertionError  # pragma: no cover - the last try returned or raised

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Open a transaction for this task or thread; inside another one, a savepoint.

        On a server without transactions it is nothing: what was done stays done.
        """
        outer = await _Transaction.joined(self)
        if outer is not None:
            async with outer.savepoint():
                yield
        elif not self._has_transactions:
            yield
        else:
            async with self._opened() as transaction:
                with transaction.ambient():
                    yield

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator["_Transaction"]:
        transaction = _Transaction(self, self._line, self._translated)
        try:
            yield transaction
        except BaseException:
            await transaction.roll_back()
            raise
        await transaction.commit()

    def is_open(self) -> bool:
        """Tell whether this task or thread has a transaction open here."""
        return _Transaction.find(self) is not None


@dataclass(frozen=True, slots=True)
class _Done:
    """A piece of work in a transaction, and what it answered."""

    model: str
    work: Work[Any]
    answer: Any


class _Transaction(OwnedTransaction):
    """A transaction of one task or thread, in one session.

    It begins with its first work, so nothing is held while a password is hashed.
    """

    def __init__(self, gate: Gate, line: Line, translated: Translated) -> None:
        super().__init__(gate)
        self._line = line
        self._translated = translated
        self._session: Any = None
        self._held: set[Any] = set()
        self._done: list[_Done] = []
        self._failed = False
        self._depth = 0

    async def run(
        self, model: str, work: Work[T], *, is_kept: bool = True, is_fresh: bool = False
    ) -> T:
        """Do work in the session; the first begins it.

        Args:
            model: What it is about.
            work: What is done.
            is_kept: It is done again, with the same answer, if the transaction is begun again.
            is_fresh: It sees what is committed by now.
        """
        if self._failed:
            raise TransactionEnded
        try:
            if is_fresh:
                await self._leave_session()
            answer = await self._run(model, work)
        except BaseException:
            self._failed = True
            raise
        if is_kept:
            self._done.append(_Done(model, work, answer))
        return answer

    async def _run(self, model: str, work: Work[T]) -> T:
        """Do work, and once more whatever was done before if a race was lost."""
        backoff = Backoff(first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        for tries_left in reversed(range(_ATTEMPTS)):
            try:
                with self._translated(model, writes=True):
                    hand = await self._begun()
                    return await work(hand)
            except StorageUnavailable as error:
                await self._leave_session()
                if not is_lost_race(error.__cause__) or not tries_left:
                    raise
            await backoff.pause()
        raise AssertionError  # pragma: no cover - the last try returned or raised

    async def _begun(self) -> Hand:
        """Return the open session's hand; if there is none, begin, and do what was done."""
        if self._session is None:
            await complete(self._begin())
            for done in self._done:
                await self._do_again(done)
        return Hand(self._line, self._session, self._held)

    async def _begin(self) -> None:
        self._held = set()
        self._session = await self._line.do(lambda database: database.client.start_session())
        await self._line.do(lambda _: self._session.start_transaction(**_SNAPSHOT))

    async def _do_again(self, done: _Done) -> None:
        changed = StorageUnavailable("The rows were changed meanwhile.", retryable=True)
        try:
            answer = await done.work(Hand(self._line, self._session, self._held))
        except StorageError as error:
            raise changed from error
        except PyMongoError as error:
            if is_lost_race(error):
                raise
            raise changed from error
        if answer != done.answer:
            raise changed

    async def _leave_session(self) -> None:
        """Have the server undo what it has of this; the next work begins again."""
        session, self._session = self._session, None
        if session is not None:
            await complete(self._end(session))

    async def _end(self, session: Any) -> None:
        # Ending a session also undoes its transaction. The driver hides it if that fails, but
        # for a client that was closed meanwhile: the server forgets it by itself.
        with suppress(InvalidOperation):
            await self._line.do(lambda _: session.end_session(), at_once=True)

    async def commit(self) -> None:
        """Commit, or undo and say so if an error was passed over, or a part is open."""
        if self._failed or self._depth:
            await self.roll_back()
            raise TransactionEnded
        try:
            if self._session is None and self._done:
                await self._run("transaction", _nothing)
            self._failed = True  # Nothing begins it again, whoever still holds it.
            if self._session is not None:
                with self._translated("transaction", writes=True):
                    # A cancellation waits: who asks for the end of a transaction has to
                    # learn it.
                    await complete(self._commit())
        finally:
            await self.roll_back()

    async def _commit(self) -> None:
        await self._line.do(lambda _: self._session.commit_transaction(), at_once=True)

    async def roll_back(self) -> None:
        """Undo everything that is not committed; nothing begins it again."""
        self._failed = True
        await self._leave_session()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Let a part be undone alone: by doing all again that was before it."""
        if self._failed:
            raise TransactionEnded
        self._depth = depth = self._depth + 1
        before = len(self._done)
        try:
            try:
                yield
            except BaseException:
                await self._back_to(before)
                raise
            if self._failed or self._depth != depth:
                await self._back_to(before)
                raise TransactionEnded
        finally:
            self._depth -= 1

    async def _back_to(self, before: int) -> None:
        """Forget what was done in a part.

        Left by another task it is no part of its own any more: what the owner has written since
        would vanish unseen, so the whole transaction fails.
        """
        if self.owner != current_owner():
            self._failed = True
        elif self._failed or len(self._done) > before:
            del self._done[before:]
            await self._leave_session()
            self._failed = False


async def _nothing(_hand: Hand) -> None:
    """Do no more than what was done before."""
