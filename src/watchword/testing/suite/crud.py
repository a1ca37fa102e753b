"""Creating, finding, changing and deleting rows, one and many."""

from collections import Counter
from typing import Any

import pytest

from watchword.errors import InvalidValue, UnknownField, UnknownModel
from watchword.schema import Schema
from watchword.storage.contract import Adapter
from watchword.storage.query import NOTHING, F, Increment, OrderBy
from watchword.testing.suite.fixtures import Add, Peek, Suite, consume, new_row, values_of

__all__ = ["Crud"]


class Crud(Suite):
    """The eight operations do what their names say, to exactly the rows that match."""

    # --- create ------------------------------------------------------------------------

    async def test_create_returns_every_field(self, backend: Adapter, schema: Schema) -> None:
        """Fields that were not named come back as null."""
        row = new_row(schema, "ticket", code="one")

        record = await backend.create("ticket", row)

        assert record == {"holder": None, "uses": None, "total": None, **row, "id": record["id"]}

    async def test_what_is_created_is_stored(self, add: Add, peek: Peek) -> None:
        """Every new row is in the database, as someone else reads it."""
        await add("ticket", code="one", uses=0)
        await add("ticket", code="two", holder="")

        rows = sorted(peek("ticket"), key=lambda row: str(row["code"]))

        assert [row["code"] for row in rows] == ["one", "two"]
        assert [row["uses"] for row in rows] == [0, None]
        assert [row["holder"] for row in rows] == [None, ""]

    async def test_ids_are_texts_or_integers(self, add: Add) -> None:
        """An id is a text, or an integer where the database makes it; no two are equal."""
        ids = [(await add("author"))["id"] for _ in range(3)]

        assert {type(it) for it in ids} == {int if self.ids == "bigint" else str}
        assert len(set(ids)) == 3

    async def test_an_id_is_never_given_again(self, backend: Adapter, add: Add) -> None:
        """What still names a deleted row, such as a link in a mail, never means another one."""
        gone = [(await add("author"))["id"] for _ in range(3)]

        await backend.delete("author", F.id == gone[-1])
        gone.append((await add("author"))["id"])
        await backend.delete_many("author", None)
        new = (await add("author"))["id"]

        assert len({*gone, new}) == 5

    async def test_a_required_field_is_required(self, backend: Adapter, schema: Schema) -> None:
        """A row without it is refused by name, and not written."""
        row = new_row(schema, "ticket", holder="Ada")
        del row["code"]

        with pytest.raises(InvalidValue) as refusal:
            await backend.create("ticket", row)

        assert (refusal.value.model, refusal.value.field) == ("ticket", "code")
        assert await backend.count("ticket") == 0

    async def test_nothing_is_shared_with_the_caller(
        self, backend: Adapter, schema: Schema
    ) -> None:
        """Changing what was passed in, or what came back, changes no row."""
        row = new_row(schema, "specimen", json={"a": [1]}, strings=["x"])
        record = await backend.create("specimen", row)

        row["json"]["a"].append(2)
        record["json"]["a"].append(3)
        record["strings"].append("y")
        record["string"] = "changed"

        [found] = await backend.find_many("specimen")
        assert (found["json"], found["strings"], found["string"]) == ({"a": [1]}, ["x"], None)

    # --- find --------------------------------------------------------------------------

    async def test_find_one_returns_the_row_or_none(self, backend: Adapter, add: Add) -> None:
        """What matches is found whole; what does not is None."""
        record = await add("ticket", code="one", uses=3)

        assert await backend.find_one("ticket", F.code == "one") == record
        assert await backend.find_one("ticket", F.code == "two") is None

    async def test_find_one_returns_the_first_by_id(self, backend: Adapter, add: Add) -> None:
        """Of several rows that match, it is always the same one."""
        ids = sorted([(await add("author"))["id"] for _ in range(5)])

        found = await backend.find_one("author", F.name == "Ada")

        assert found is not None
        assert found["id"] == ids[0]

    async def test_find_many_has_no_limit_of_its_own(self, backend: Adapter, add: Add) -> None:
        """A thousand rows are a thousand rows."""
        for _ in range(1000):
            await add("author")

        assert len(await backend.find_many("author")) == 1000
        assert len(await backend.find_many("author", F.name == "Ada")) == 1000
        assert await backend.count("author") == 1000

    async def test_limit_and_offset(self, backend: Adapter, add: Add) -> None:
        """A limit of 0 is no row, an offset beyond the end is no row."""
        for number in range(5):
            await add("ticket", code=str(number))

        async def page(**bounds: Any) -> list[str]:
            order = [OrderBy("code")]
            return [
                it["code"] for it in await backend.find_many("ticket", **bounds, order_by=order)
            ]

        assert await page(limit=2) == ["0", "1"]
        assert await page(limit=2, offset=4) == ["4"]
        assert await page(offset=3) == ["3", "4"]
        assert await page(limit=0) == []
        assert await page(offset=5) == []
        assert await page(limit=9, offset=99) == []

    async def test_count_counts_what_matches(self, backend: Adapter, add: Add) -> None:
        """With a condition, without one, and with one that nothing meets."""
        for number in range(3):
            await add("ticket", code=str(number))

        assert await backend.count("ticket") == 3
        assert await backend.count("ticket", F.code != "1") == 2
        assert await backend.count("ticket", NOTHING) == 0

    # --- update ------------------------------------------------------------------------

    async def test_update_returns_the_row_as_it_is_then(
        self, backend: Adapter, add: Add, peek: Peek
    ) -> None:
        """The new value is in the answer and in the database; the rest stays."""
        record = await add("ticket", holder="Ada", uses=1)

        changed = await backend.update("ticket", F.id == record["id"], {"holder": "Grace"})

        assert changed == {**record, "holder": "Grace"}
        assert [row["holder"] for row in peek("ticket")] == ["Grace"]

    async def test_update_of_what_it_searched_by(self, backend: Adapter, add: Add) -> None:
        """A row that no longer matches is returned all the same."""
        record = await add("ticket", code="one")

        changed = await backend.update("ticket", F.code == "one", {"code": "two"})

        assert changed == {**record, "code": "two"}

    async def test_update_to_the_same_value(self, backend: Adapter, add: Add) -> None:
        """A row that matched counts, even if nothing about it is new."""
        record = await add("ticket", code="one", holder="Ada")

        assert await backend.update("ticket", F.code == "one", {"holder": "Ada"}) == record
        assert await backend.update_many("ticket", F.code == "one", {"holder": "Ada"}) == 1

    async def test_update_without_changes(self, backend: Adapter, add: Add) -> None:
        """Nothing to change is no error: the answer is what matches."""
        record = await add("ticket", code="one")

        assert await backend.update("ticket", F.code == "one", {}) == record
        assert await backend.update("ticket", F.code == "two", {}) is None
        assert await backend.update_many("ticket", F.code == "one", {}) == 1
        assert await backend.update_many("ticket", F.code == "two", {}) == 0

    async def test_update_without_a_match(self, backend: Adapter, add: Add, peek: Peek) -> None:
        """None, and nothing is changed or made."""
        await add("ticket", code="one", holder="Ada")

        assert await backend.update("ticket", F.code == "two", {"holder": "Grace"}) is None
        assert [row["holder"] for row in peek("ticket")] == ["Ada"]

    async def test_update_changes_one_row(self, backend: Adapter, add: Add, peek: Peek) -> None:
        """Of four that match exactly one is changed, and it is the one returned."""
        for _ in range(4):
            await add("author", name="Ada")

        changed = await backend.update("author", F.name == "Ada", {"name": "Grace"})

        assert changed is not None
        assert changed["name"] == "Grace"
        assert Counter(row["name"] for row in peek("author")) == {"Ada": 3, "Grace": 1}
        assert await backend.find_many("author", F.name == "Grace") == [changed]

    async def test_update_many_counts_exactly(
        self, backend: Adapter, add: Add, peek: Peek
    ) -> None:
        """Those that match are changed and counted; no condition means all."""
        for number in range(5):
            await add("seat", number=number)

        assert await backend.update_many("seat", F.number < 3, {"guest": "Ada"}) == 3
        assert Counter(row["guest"] for row in peek("seat")) == {"Ada": 3, None: 2}
        assert await backend.update_many("seat", None, {"guest": "Grace"}) == 5
        assert await backend.update_many("seat", F.number > 9, {"guest": "Ada"}) == 0

    async def test_increment_adds_to_what_is_stored(self, backend: Adapter, add: Add) -> None:
        """Null counts as zero, a negative step takes away, both kinds of integer work."""
        await add("ticket", code="one", uses=None, total=2**40)

        changed = await backend.update(
            "ticket", F.code == "one", {"uses": Increment(), "total": Increment(2**40)}
        )
        assert changed is not None
        assert (changed["uses"], changed["total"]) == (1, 2**41)

        changed = await backend.update("ticket", F.uses == 1, {"uses": Increment(-3)})
        assert changed is not None
        assert changed["uses"] == -2

    async def test_increment_of_many_rows(self, backend: Adapter, add: Add) -> None:
        """Each row has its own sum."""
        for code, uses in (("a", None), ("b", 0), ("c", 5)):
            await add("ticket", code=code, uses=uses)

        assert await backend.update_many("ticket", None, {"uses": Increment(2)}) == 3

        assert await values_of(backend, "ticket", "uses", order_by=(OrderBy("code"),)) == [2, 2, 7]

    # --- delete ------------------------------------------------------------------------

    async def test_delete_takes_one_row(self, backend: Adapter, add: Add, peek: Peek) -> None:
        """Of three that match two stay; nothing to delete is no error."""
        for _ in range(3):
            await add("author")

        await backend.delete("author", F.name == "Ada")
        assert len(peek("author")) == 2

        await backend.delete("author", F.name == "Grace")
        assert len(peek("author")) == 2

    async def test_delete_many_counts_exactly(
        self, backend: Adapter, add: Add, peek: Peek
    ) -> None:
        """Those that match go and are counted; no condition means all."""
        for number in range(5):
            await add("seat", number=number)

        assert await backend.delete_many("seat", F.number < 2) == 2
        assert sorted(row["number"] for row in peek("seat")) == [2, 3, 4]
        assert await backend.delete_many("seat", F.number < 2) == 0
        assert await backend.delete_many("seat", None) == 3
        assert peek("seat") == []

    async def test_consume_one_deletes_and_returns(
        self, backend: Adapter, add: Add, peek: Peek
    ) -> None:
        """The row comes back whole, once; of several that match one goes."""
        record = await add("ticket", code="one", holder="Ada")
        for _ in range(2):
            await add("author")

        assert await consume(backend, "ticket", F.code == "one") == record
        assert await consume(backend, "ticket", F.code == "one") is None
        assert await consume(backend, "author", F.name == "Ada") is not None
        assert (len(peek("ticket")), len(peek("author"))) == (0, 1)

    # --- names -------------------------------------------------------------------------

    async def test_unknown_models_are_named(self, backend: Adapter) -> None:
        """Every operation refuses a model that the schema lacks."""
        calls = (
            backend.create("ghost", {}),
            backend.find_one("ghost", F.id == "1"),
            backend.find_many("ghost"),
            backend.update("ghost", F.id == "1", {}),
            backend.update_many("ghost", None, {}),
            backend.delete("ghost", F.id == "1"),
            backend.delete_many("ghost", None),
            backend.count("ghost"),
        )

        for call in calls:
            with pytest.raises(UnknownModel) as refusal:
                await call
            assert refusal.value.model == "ghost"

    async def test_unknown_fields_are_named(self, backend: Adapter, schema: Schema) -> None:
        """In a row, a condition however deep, a change or an order, before anything is done."""
        deep = (F.code == "one") | ~(F.uses.is_null() & (F.ghost == 1))
        calls = (
            backend.create("ticket", new_row(schema, "ticket", ghost=1)),
            backend.find_one("ticket", deep),
            backend.find_many("ticket", deep),
            backend.find_many("ticket", order_by=[OrderBy("ghost")]),
            backend.update("ticket", deep, {"uses": 1}),
            backend.update("ticket", F.code == "one", {"ghost": 1}),
            backend.update_many("ticket", None, {"ghost": 1}),
            backend.delete("ticket", deep),
            backend.delete_many("ticket", deep),
            backend.count("ticket", deep),
        )

        for call in calls:
            with pytest.raises(UnknownField) as refusal:
                await call
            assert (refusal.value.model, refusal.value.field) == ("ticket", "ghost")
