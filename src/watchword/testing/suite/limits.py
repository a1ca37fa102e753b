"""Rows under a limit: no more than so many, however many callers try, whatever they saw."""

# A transaction's body is several statements, and which exception leaves it is the test.
# ruff: noqa: PT012

from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, TypeAlias

import pytest

from watchword.errors import ReferenceViolation
from watchword.storage.contract import Record
from watchword.storage.query import F
from watchword.storage.store import Store
from watchword.testing.modes import Mode
from watchword.testing.suite.fixtures import Add, Backend, Peek, Race, Spawn, Suite

__all__ = ["Limits"]

Take: TypeAlias = Callable[[Any, int], Coroutine[Any, Any, Record | None]]
"""Takes one of so many places at the owner of this name."""

# Long enough for a backend that lets two transactions go on at once to get there.
_MOMENT = 0.3
_LATER = datetime(2100, 1, 1, tzinfo=UTC)


class _OurError(Exception):
    """Raised to undo a transaction."""


class Limits(Suite):
    """`store.create_under_limit` gives as many places as there are."""

    @pytest.fixture(params=["reference", "guard"])
    def take(self, transactional_store: Store, request: pytest.FixtureRequest) -> Take:
        """Take a place: a session of a user, who is a row, or a ticket of a holder, who is none.

        What else the condition says differs with each call, as the time does.
        """
        take = _take_session if request.param == "reference" else _take_ticket
        return partial(take, transactional_store, count(1))

    async def test_a_limit_holds_for_rows(
        self, take: Take, add: Add, race: Race, peek: Peek
    ) -> None:
        """Of all who try at once so many get a place as there are; the others write nothing."""
        places = min(5, self.callers)
        for number in range(max(1, self.rounds // 50)):
            owner = await _owner(add, number)

            results = await race(self.callers, lambda: take(owner, places))  # noqa: B023 - the race ends in this turn

            taken = [it for it in results if it is not None]
            assert (len(taken), [it for it in taken if not isinstance(it, dict)]) == (places, [])
            assert len(peek("session") + peek("ticket")) == (number + 1) * places

    async def test_a_limit_holds_for_several_at_once(
        self, take: Take, add: Add, race: Race, peek: Peek
    ) -> None:
        """Those who count others' rows do not disturb, nor are they given others' places."""
        owners = [await _owner(add, number) for number in range(4)]
        turns = count()

        results = await race(self.callers, lambda: take(owners[next(turns) % 4], 2))

        taken = [it for it in results if it is not None]
        assert [it for it in taken if not isinstance(it, dict)] == []
        assert len(taken) == len(peek("session") + peek("ticket")) == 8

    async def test_a_limit_holds_in_transactions(
        self, transactional_store: Store, take: Take, add: Add, race: Race, peek: Peek
    ) -> None:
        """Also of callers who have read before, and may be shown what was there then."""
        places = min(5, self.callers)
        owner = await _owner(add, 0)

        async def look_and_take() -> Record | None:
            await transactional_store.count("session")
            await transactional_store.count("ticket")
            async with transactional_store.transaction():
                return await take(owner, places)

        results = await race(
            self.callers, lambda: transactional_store.run_in_transaction(look_and_take)
        )

        taken = [it for it in results if it is not None]
        assert (len(taken), [it for it in taken if not isinstance(it, dict)]) == (places, [])
        assert len(peek("session") + peek("ticket")) == places

    async def test_a_limit_counts_what_was_committed_meanwhile(
        self,
        transactional_store: Store,
        take: Take,
        add: Add,
        spawn: Spawn,
        mode: Mode,
    ) -> None:
        """The last place, taken by another after this transaction's first look, is taken."""
        owner = await _owner(add, 0)
        await take(owner, 1)
        await transactional_store.delete_many("session", None)
        await transactional_store.delete_many("ticket", None)
        looked = mode.signal()

        async def take_the_last() -> Record | None:
            await looked.wait(within=_MOMENT)
            return await take(owner, 1)

        async def look_and_take() -> Record | None:
            await transactional_store.count("session")
            await transactional_store.count("ticket")
            looked.set()
            await other.ended(within=_MOMENT)
            return await take(owner, 1)

        other = spawn(take_the_last)
        ours = await transactional_store.run_in_transaction(look_and_take)
        theirs = await other.result()

        assert (ours is None) != (theirs is None)

    async def test_a_locking_count_is_of_what_is_committed_now(
        self, transactional: Backend, add: Add, spawn: Spawn, mode: Mode
    ) -> None:
        """A transaction that counted before counts with `lock` what came since."""
        looked = mode.signal()

        async def add_one() -> None:
            await looked.wait(within=_MOMENT)
            await add("ticket", code="theirs")

        other = spawn(add_one)
        async with transactional.transaction():
            await add("ticket", code="ours")
            assert await transactional.count("ticket") == 1
            looked.set()
            came = await other.ended(within=_MOMENT)
            assert await transactional.count("ticket", lock=True) == 1 + came
        await other.result()

        assert await transactional.count("ticket", lock=True) == 2
        assert await transactional.count("ticket", F.code == "ours", lock=True) == 1

    async def test_a_place_is_given_back(
        self, transactional_store: Store, take: Take, add: Add
    ) -> None:
        """By who undoes a savepoint or a transaction, and by who deletes the row."""
        owner = await _owner(add, 0)

        with pytest.raises(_OurError):
            async with transactional_store.transaction():
                with pytest.raises(_OurError):
                    async with transactional_store.transaction():
                        assert await take(owner, 1) is not None
                        raise _OurError
                assert await take(owner, 1) is not None
                assert await take(owner, 1) is None
                raise _OurError

        row = await take(owner, 1)
        assert row is not None
        assert await take(owner, 1) is None
        for model in ("session", "ticket"):
            await transactional_store.delete_many(model, F.id == row["id"])
        assert await take(owner, 1) is not None

    async def test_a_limit_of_none(self, take: Take, add: Add, peek: Peek) -> None:
        """Nobody gets a place where there is none, and nothing is written."""
        owner = await _owner(add, 0)

        assert await take(owner, 0) is None

        assert peek("session") + peek("ticket") == []

    async def test_a_limit_outlives_a_purge(
        self, transactional_store: Store, take: Take, add: Add, peek: Peek
    ) -> None:
        """What is deleted with the rows that have expired is no place."""
        owner = await _owner(add, 0)
        await take(owner, 2)

        await transactional_store.delete_many("verification", None)

        assert await take(owner, 2) is not None
        assert await take(owner, 2) is None
        assert len(peek("session") + peek("ticket")) == 2

    async def test_a_limit_at_nobody(
        self, transactional_store: Store, peek: Peek, missing_id: Any
    ) -> None:
        """The places of who does not exist are refused, as a row that points there would be."""
        take = partial(_take_session, transactional_store, count(1))

        for places in (0, 1):
            with pytest.raises(ReferenceViolation) as refusal:
                await take(missing_id, places)
            assert refusal.value.model == "session"

        assert peek("session") == []


async def _owner(add: Add, number: int) -> Any:
    return (await add("user", email=f"{number}@example.org"))["id"]


async def _take_session(
    store: Store, turns: Iterator[int], user_id: Any, limit: int
) -> Record | None:
    number = next(turns)
    return await store.create_under_limit(
        "session",
        {"user_id": user_id, "token": f"{user_id} {number}", "expires_at": _LATER},
        (F.user_id == user_id) & (F.expires_at > _LATER - timedelta(seconds=number)),
        limit,
    )


async def _take_ticket(
    store: Store, turns: Iterator[int], holder: Any, limit: int
) -> Record | None:
    number = next(turns)
    return await store.create_under_limit(
        "ticket",
        {"code": f"{holder} {number}", "holder": str(holder), "uses": 0},
        (F.holder == str(holder)) & (F.uses < number),
        limit,
    )
