"""What must happen once happens once, however many try at the same time."""

from watchword.errors import UniqueViolation
from watchword.storage.contract import Adapter
from watchword.storage.query import F, Increment
from watchword.testing.suite.fixtures import Add, Backend, Peek, Race, Suite, consume

__all__ = ["Races"]


class Races(Suite):
    """Callers race for one thing; `callers` and `rounds` say how many and how often."""

    async def test_one_caller_consumes(
        self, backend: Adapter, add: Add, race: Race, peek: Peek
    ) -> None:
        """Of all who redeem one token exactly one gets the row."""
        for number in range(self.rounds):
            code = str(number)
            record = await add("ticket", code=code)

            results = await race(self.callers, lambda: consume(backend, "ticket", F.code == code))  # noqa: B023 - the race ends in this turn

            assert [it for it in results if it is not None] == [record]
        assert peek("ticket") == []

    async def test_one_caller_creates(self, add: Add, race: Race, peek: Peek) -> None:
        """Of all who write one key exactly one does; the others are told which key."""
        for number in range(self.rounds):
            code = str(number)

            results = await race(self.callers, lambda: add("ticket", code=code))  # noqa: B023 - the race ends in this turn

            losers = [it for it in results if isinstance(it, UniqueViolation)]
            winners = [it for it in results if isinstance(it, dict)]
            assert (len(winners), len(losers)) == (1, self.callers - 1), results
            assert {(it.model, it.fields) for it in losers} == {("ticket", ("code",))}
        assert len(peek("ticket")) == self.rounds

    async def test_a_limit_holds(self, backend: Adapter, add: Add, race: Race, peek: Peek) -> None:
        """Of all who count up to a limit exactly so many succeed, each with its own number."""
        limit = min(5, self.callers)
        for number in range(self.rounds):
            code = str(number)
            await add("ticket", code=code, uses=0)
            below = (F.code == code) & (F.uses < limit)

            results = await race(
                self.callers,
                lambda: backend.update("ticket", below, {"uses": Increment()}),  # noqa: B023 - the race ends in this turn
            )

            winners = [it["uses"] for it in results if it is not None]
            assert sorted(winners) == list(range(1, limit + 1))
        assert {row["uses"] for row in peek("ticket")} == {limit}

    async def test_counts_are_not_lost(
        self, backend: Adapter, add: Add, race: Race, peek: Peek
    ) -> None:
        """All increments without a limit add up, from null as well."""
        await add("ticket", code="one", uses=None)

        async def increment() -> int:
            return await backend.update_many("ticket", F.code == "one", {"uses": Increment()})

        for _ in range(max(1, self.rounds // 10)):
            assert await race(self.callers, increment) == [1] * self.callers

        [row] = peek("ticket")
        assert row["uses"] == self.callers * max(1, self.rounds // 10)

    async def test_one_caller_swaps(
        self, backend: Adapter, add: Add, race: Race, peek: Peek
    ) -> None:
        """Of all who replace a value they have seen exactly one does (refresh rotation)."""
        await add("ticket", code="one", holder="0")
        for number in range(self.rounds):
            seen = (F.code == "one") & (F.holder == str(number))
            changes = {"holder": str(number + 1)}

            results = await race(
                self.callers,
                lambda: backend.update("ticket", seen, changes),  # noqa: B023 - the race ends in this turn
            )

            assert len([it for it in results if it is not None]) == 1
        assert [row["holder"] for row in peek("ticket")] == [str(self.rounds)]

    async def test_each_row_is_deleted_for_one_caller(
        self, backend: Adapter, add: Add, race: Race
    ) -> None:
        """The counts of all who delete the same rows add up to the rows."""
        for number in range(max(1, self.rounds // 10)):
            room = str(number)
            for seat in range(10):
                await add("seat", room=room, number=seat)

            results = await race(
                self.callers,
                lambda: backend.delete_many("seat", F.room == room),  # noqa: B023 - the race ends in this turn
            )

            assert sum(results) == 10

    async def test_several_tokens_go_to_several_callers(
        self, backend: Adapter, add: Add, race: Race, peek: Peek
    ) -> None:
        """As many callers as there are rows get one each, never the same one twice."""
        for _ in range(max(1, self.rounds // 10)):
            for number in range(4):
                await add("seat", number=number)

            results = await race(self.callers, lambda: _take_a_seat(backend))

            taken = [it["number"] for it in results if it is not None]
            assert sorted(taken) == [0, 1, 2, 3]
        assert peek("seat") == []

    async def test_transactions_race_for_a_limit(
        self, transactional: Backend, add: Add, race: Race, peek: Peek
    ) -> None:
        """The last slot, taken by a counter, and the row that fills it agree."""
        await add("ticket", code="slots", uses=0)

        async def take_a_slot() -> bool:
            async with transactional.transaction():
                free = (F.code == "slots") & (F.uses < 5)
                if await transactional.update("ticket", free, {"uses": Increment()}) is None:
                    return False
                await add("author")
                return True

        results = await race(self.callers, take_a_slot)

        assert results.count(True) == 5
        assert results.count(False) == self.callers - 5
        assert len(peek("author")) == 5


async def _take_a_seat(backend: Adapter) -> dict[str, object] | None:
    """Take any free seat; a backend that composes this looks again for another one."""
    while await backend.count("seat"):
        seat = await consume(backend, "seat", F.room == "hall")
        if seat is not None:
            return seat
    return None
