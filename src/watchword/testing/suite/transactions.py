"""Several operations commit or vanish together, and nobody sees them before."""

# A transaction's body is several statements, and which exception leaves it is the test.
# ruff: noqa: PT012

from typing import Any

import pytest

from watchword.errors import StorageUnavailable, TransactionEnded, UniqueViolation
from watchword.storage.query import F
from watchword.testing.modes import Mode
from watchword.testing.suite.fixtures import Add, Backend, Peek, Race, Spawn, Suite

__all__ = ["Transactions"]

# Long enough for a backend that lets both transactions go on at once to get there; one that
# serialises them never does, and goes on after it.
_MOMENT = 0.3


class _OurError(Exception):
    """Raised to undo a transaction."""


class Transactions(Suite):
    """`async with adapter.transaction()` is all or nothing."""

    async def test_a_transaction_commits(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """At its end both rows are there for others."""
        async with transactional.transaction():
            author = await add("author")
            await add("book", author_id=author["id"])

        assert (len(peek("author")), len(peek("book"))) == (1, 1)

    async def test_an_exception_undoes_all(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """Creates, changes and deletes are undone, and the exception goes on as it was."""
        kept = await add("ticket", code="kept", uses=1)
        await add("ticket", code="deleted")

        with pytest.raises(_OurError):
            async with transactional.transaction():
                await add("ticket", code="new")
                await transactional.update("ticket", F.code == "kept", {"uses": 2})
                await transactional.delete("ticket", F.code == "deleted")
                await transactional.update_many("ticket", None, {"holder": "Ada"})
                raise _OurError

        assert sorted(row["code"] for row in peek("ticket")) == ["deleted", "kept"]
        assert await transactional.find_one("ticket", F.code == "kept") == kept

    async def test_a_violation_undoes_all(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """An error of the database's is an exception like any other."""
        await add("ticket", code="one")

        with pytest.raises(UniqueViolation):
            async with transactional.transaction():
                await add("ticket", code="two")
                await add("ticket", code="one")

        assert [row["code"] for row in peek("ticket")] == ["one"]

    async def test_own_writes_are_seen(self, transactional: Backend, add: Add) -> None:
        """Each operation sees what earlier ones of its transaction did."""
        async with transactional.transaction():
            author = await add("author")
            assert await transactional.find_many("author") == [author]
            await transactional.update("author", F.id == author["id"], {"name": "Grace"})
            assert await transactional.count("author", F.name == "Grace") == 1
            assert await transactional.delete_many("author", None) == 1
            assert await transactional.count("author") == 0

    async def test_a_savepoint_is_undone_alone(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """The transaction around it goes on and commits."""
        async with transactional.transaction():
            await add("ticket", code="before")
            with pytest.raises(_OurError):
                async with transactional.transaction():
                    await add("ticket", code="inside")
                    raise _OurError
            await add("ticket", code="after")

        assert sorted(row["code"] for row in peek("ticket")) == ["after", "before"]

    async def test_a_violation_in_a_savepoint(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """A refused row inside a savepoint leaves the transaction usable."""
        await add("ticket", code="taken")

        async with transactional.transaction():
            with pytest.raises(UniqueViolation):
                async with transactional.transaction():
                    await add("ticket", code="taken")
            await add("ticket", code="free")

        assert sorted(row["code"] for row in peek("ticket")) == ["free", "taken"]

    async def test_a_violation_that_is_caught_inside(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """It ends the transaction all the same: nothing goes on, and nothing is kept."""
        await add("ticket", code="taken")

        with pytest.raises(TransactionEnded):
            async with transactional.transaction():
                await add("ticket", code="first")
                with pytest.raises(UniqueViolation):
                    await add("ticket", code="taken")

        with pytest.raises(TransactionEnded):
            async with transactional.transaction():
                with pytest.raises(UniqueViolation):
                    await add("ticket", code="taken")
                await transactional.count("ticket")
        assert [row["code"] for row in peek("ticket")] == ["taken"]

    async def test_a_violation_that_is_caught_in_a_savepoint(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """It ends the savepoint; the transaction around it goes on."""
        await add("ticket", code="taken")

        async with transactional.transaction():
            with pytest.raises(TransactionEnded):
                async with transactional.transaction():
                    await add("ticket", code="inside")
                    with pytest.raises(UniqueViolation):
                        await add("ticket", code="taken")
            await add("ticket", code="after")

        assert sorted(row["code"] for row in peek("ticket")) == ["after", "taken"]

    async def test_savepoints_commit_with_the_outermost(
        self, transactional: Backend, add: Add, peek: Peek
    ) -> None:
        """What ended well inside is undone with what is around it, or kept with it."""
        with pytest.raises(_OurError):
            async with transactional.transaction():
                async with transactional.transaction():
                    await add("ticket", code="undone")
                raise _OurError
        transaction = transactional.transaction
        async with transaction(), transaction(), transaction():
            await add("ticket", code="kept")

        assert [row["code"] for row in peek("ticket")] == ["kept"]

    async def test_uncommitted_rows_are_private(
        self, transactional: Backend, add: Add, spawn: Spawn, mode: Mode
    ) -> None:
        """Another transaction sees the row neither before nor after it is undone."""
        written = mode.signal()

        async def onlooker() -> int:
            await written.wait()
            async with transactional.transaction():
                return await transactional.count("ticket")

        other = spawn(onlooker)
        with pytest.raises(_OurError):
            async with transactional.transaction():
                await add("ticket")
                written.set()
                await other.ended(within=_MOMENT)
                raise _OurError

        assert await other.result() == 0

    async def test_a_child_does_not_join(
        self, transactional: Backend, add: Add, spawn: Spawn, mode: Mode, peek: Peek
    ) -> None:
        """What a task or thread started inside does stays, though its parent is undone."""
        started = mode.signal()

        async def child() -> None:
            started.set()
            await add("ticket", code="child")

        with pytest.raises(_OurError):
            async with transactional.transaction():
                await add("ticket", code="parent")
                offspring = spawn(child)
                await started.wait()
                await offspring.ended(within=_MOMENT)
                raise _OurError
        await offspring.result()

        assert [row["code"] for row in peek("ticket")] == ["child"]

    async def test_a_child_has_transactions_of_its_own(
        self, transactional: Backend, add: Add, spawn: Spawn, mode: Mode, peek: Peek
    ) -> None:
        """One opened in a child is no savepoint of the parent's, and is undone alone."""
        started = mode.signal()

        async def child() -> None:
            started.set()
            async with transactional.transaction():
                await add("ticket", code="child")
                raise _OurError

        async with transactional.transaction():
            await add("ticket", code="parent")
            offspring = spawn(child)
            await started.wait()
            await offspring.ended(within=_MOMENT)
        with pytest.raises(_OurError):
            await offspring.result()

        assert [row["code"] for row in peek("ticket")] == ["parent"]

    @pytest.mark.parametrize("find", ["find_one", "find_many"])
    async def test_a_locked_row_waits(
        self, transactional: Backend, add: Add, race: Race, peek: Peek, find: str
    ) -> None:
        """16 callers read with a lock, then write: every one of them counts."""
        await add("ticket", code="one", uses=0)

        async def read_and_write() -> None:
            async with transactional.transaction():
                found = await getattr(transactional, find)("ticket", F.code == "one", lock=True)
                [row] = found if find == "find_many" else [found]
                changes = {"uses": row["uses"] + 1}
                assert await transactional.update("ticket", F.code == "one", changes)

        assert await race(16, read_and_write) == [None] * 16
        assert [row["uses"] for row in peek("ticket")] == [16]

    async def test_locks_in_opposite_order(
        self, transactional: Backend, add: Add, spawn: Spawn, mode: Mode
    ) -> None:
        """One of two that block each other is told to try again, or both are done; none hangs."""
        for code in ("a", "b"):
            await add("ticket", code=code, uses=0)
        signals = {"a": mode.signal(), "b": mode.signal()}

        async def lock_both(first: str, second: str) -> None:
            async with transactional.transaction():
                await transactional.update("ticket", F.code == first, {"holder": first})
                signals[first].set()
                await signals[second].wait(within=_MOMENT)
                await transactional.update("ticket", F.code == second, {"holder": first})

        pair = [spawn(lambda: lock_both("a", "b")), spawn(lambda: lock_both("b", "a"))]
        outcomes = [await _outcome(child) for child in pair]

        assert outcomes.count("done") >= 1
        assert set(outcomes) <= {"done", "try again"}
        await lock_both("a", "b")
        assert await transactional.count("ticket", F.holder == "a") == 2

    async def test_transactions_race_for_a_key(
        self, transactional: Backend, add: Add, race: Race, peek: Peek
    ) -> None:
        """Of 16 that write one key exactly one commits, with all that it wrote."""

        async def write_two() -> None:
            async with transactional.transaction():
                await add("author")
                await add("ticket", code="one")

        results = await race(16, write_two)

        losers = [it for it in results if it is not None]
        assert all(_is_loss(it) for it in losers), losers
        assert len(losers) == 15
        assert (len(peek("ticket")), len(peek("author"))) == (1, 1)


async def _outcome(child: Any) -> str:
    try:
        await child.result()
    except StorageUnavailable as error:
        return "try again" if error.retryable else "failed"
    return "done"


def _is_loss(result: object) -> bool:
    """A loser sees the conflict, or is asked to try again and would see it then."""
    return isinstance(result, UniqueViolation) or (
        isinstance(result, StorageUnavailable) and result.retryable
    )
