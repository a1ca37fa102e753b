"""Order and pages: where null stands, how texts go, and that no row is lost or repeated."""

from typing import Any

import pytest

from watchword.errors import InvalidValue
from watchword.storage.contract import Adapter
from watchword.storage.query import F, OrderBy
from watchword.testing.suite.fixtures import Add, Suite, values_of
from watchword.testing.suite.operators import ORDERED

__all__ = ["Ordering"]


class Ordering(Suite):
    """Rows come in one order on every backend."""

    @pytest.mark.parametrize("field", ORDERED)
    async def test_null_is_the_smallest(self, backend: Adapter, add: Add, field: str) -> None:
        """First when ascending, last when descending; texts go by their code points."""
        expected = [None, *ORDERED[field]]
        for value in reversed(expected):
            await add("specimen", **{field: value})

        async def listed(*, descending: bool) -> list[Any]:
            order = (OrderBy(field, descending=descending),)
            return await values_of(backend, "specimen", field, order_by=order)

        assert await listed(descending=False) == expected
        assert await listed(descending=True) == expected[::-1]

    async def test_ties_go_by_id(self, backend: Adapter, add: Add) -> None:
        """Upwards, whichever way the field is sorted, and without any order as well."""
        ids = sorted([(await add("author"))["id"] for _ in range(20)])
        orders: tuple[tuple[OrderBy, ...], ...] = (
            (),
            (OrderBy("name"),),
            (OrderBy("name", descending=True),),
        )

        for order in orders:
            assert await values_of(backend, "author", "id", order_by=order) == ids

    async def test_ids_can_be_sorted_by(self, backend: Adapter, add: Add) -> None:
        """In both directions."""
        ids = sorted([(await add("author"))["id"] for _ in range(9)])

        descending = (OrderBy("id", descending=True),)
        assert await values_of(backend, "author", "id", order_by=(OrderBy("id"),)) == ids
        assert await values_of(backend, "author", "id", order_by=descending) == ids[::-1]

    async def test_the_first_order_wins(self, backend: Adapter, add: Add) -> None:
        """A further one decides between rows that tie in those before it."""
        for string in ("b", None, "a"):
            for integer in (2, None, 1):
                await add("specimen", string=string, integer=integer)

        rows = await backend.find_many(
            "specimen", order_by=[OrderBy("string", descending=True), OrderBy("integer")]
        )

        assert [(row["string"], row["integer"]) for row in rows] == [
            (string, integer) for string in ("b", "a", None) for integer in (None, 1, 2)
        ]

    @pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
    async def test_pages_lose_and_repeat_nothing(
        self, backend: Adapter, add: Add, *, descending: bool
    ) -> None:
        """Leafing through rows that tie shows each of them once."""
        ids = [(await add("seat", number=None, guest="Ada"))["id"] for _ in range(40)]
        ids += [(await add("seat", number=number))["id"] for number in range(10)]

        seen: list[Any] = []
        for start in range(0, 56, 7):
            order = [OrderBy("guest", descending=descending), OrderBy("room")]
            page = await backend.find_many("seat", order_by=order, limit=7, offset=start)
            seen += [row["id"] for row in page]

        assert sorted(seen) == sorted(ids)
        assert len(seen) == 50

    async def test_conditions_order_and_pages_together(self, backend: Adapter, add: Add) -> None:
        """The page is cut from what matches, after sorting."""
        for number in range(10):
            await add("seat", number=number)

        rows = await backend.find_many(
            "seat",
            F.number > 2,
            order_by=[OrderBy("number", descending=True)],
            limit=3,
            offset=1,
        )

        assert [row["number"] for row in rows] == [8, 7, 6]

    async def test_what_has_no_order_is_refused(self, backend: Adapter) -> None:
        """JSON, lists and bytes sort nowhere alike."""
        for field in ("json", "strings", "bytes"):
            with pytest.raises(InvalidValue, match="cannot be compared"):
                await backend.find_many("specimen", order_by=[OrderBy(field)])
