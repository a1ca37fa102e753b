"""Related rows that come along: one, many, none, and which of two ways."""

import pytest

from watchword.errors import ConfigurationError, UnknownField, UnknownModel
from watchword.storage.contract import Adapter, Record
from watchword.storage.query import F, Include, OrderBy
from watchword.testing.suite.fixtures import Add, Suite

__all__ = ["Joins"]


class Joins(Suite):
    """`include` brings whole rows, in both directions."""

    async def test_the_row_that_is_pointed_at(self, backend: Adapter, add: Add) -> None:
        """It stands under its model's name, as it would be found alone."""
        author = await add("author")
        note = await add("note", author_id=author["id"])

        found = await backend.find_one("note", F.id == note["id"], include=[Include("author")])

        assert found == {**note, "author": author}

    async def test_a_row_that_points_nowhere(self, backend: Adapter, add: Add) -> None:
        """It is found, with None in the place of the other."""
        note = await add("note", author_id=None)

        assert await backend.find_many("note", include=[Include("author")]) == [
            {**note, "author": None}
        ]

    async def test_the_rows_that_point_here(self, backend: Adapter, add: Add) -> None:
        """They are a list ordered by id, empty if there are none; other rows' are not in it."""
        busy, idle = await add("author", name="busy"), await add("author", name="idle")
        notes = [await add("note", author_id=busy["id"]) for _ in range(5)]
        await add("note", author_id=None)

        found = await backend.find_many(
            "author", include=[Include("note")], order_by=[OrderBy("name")]
        )

        assert found == [{**busy, "note": _by_id(notes)}, {**idle, "note": []}]

    async def test_a_page_counts_rows_not_what_comes_along(
        self, backend: Adapter, add: Add
    ) -> None:
        """Limit and offset are about the rows asked for."""
        authors = [await add("author", name=str(number)) for number in range(3)]
        for author in authors:
            for _ in range(3):
                await add("note", author_id=author["id"])

        found = await backend.find_many(
            "author", include=[Include("note")], order_by=[OrderBy("name")], limit=2, offset=1
        )

        assert [(row["name"], len(row["note"])) for row in found] == [("1", 3), ("2", 3)]
        one = await backend.find_one("author", F.name == "0", include=[Include("note")])
        assert one is not None
        assert len(one["note"]) == 3

    async def test_several_at_once(self, backend: Adapter, add: Add) -> None:
        """Two lists beside each other do not multiply."""
        author = await add("author")
        notes = [await add("note", author_id=author["id"]) for _ in range(3)]
        contracts = [await add("contract", author_id=author["id"]) for _ in range(2)]

        found = await backend.find_one(
            "author", F.id == author["id"], include=[Include("note"), Include("contract")]
        )

        assert found == {**author, "note": _by_id(notes), "contract": _by_id(contracts)}

    async def test_two_ways_need_a_name(self, backend: Adapter, add: Add) -> None:
        """`through` says which one; without it the question is refused."""
        writer, editor = await add("author", name="writer"), await add("author", name="editor")
        book = await add("book", author_id=writer["id"], editor_id=editor["id"])

        async def with_author(through: str) -> Record | None:
            include = Include("author", through=through)
            return await backend.find_one("book", F.id == book["id"], include=[include])

        assert await with_author("author_id") == {**book, "author": writer}
        assert await with_author("editor_id") == {**book, "author": editor}
        for model, related in (("book", "author"), ("author", "book")):
            with pytest.raises(ConfigurationError, match="author_id, editor_id"):
                await backend.find_many(model, include=[Include(related)])

    async def test_many_rows_through_a_name(self, backend: Adapter, add: Add) -> None:
        """The list holds what points here by that field alone."""
        writer, editor = await add("author", name="writer"), await add("author", name="editor")
        book = await add("book", author_id=writer["id"], editor_id=editor["id"])

        found = await backend.find_many(
            "author",
            include=[Include("book", through="editor_id")],
            order_by=[OrderBy("name")],
        )

        assert found == [{**editor, "book": [book]}, {**writer, "book": []}]

    async def test_the_joins_of_the_core(self, backend: Adapter, add: Add) -> None:
        """A session brings its user, a user its accounts."""
        user = await add("user")
        session = await add("session", user_id=user["id"])
        account = await add("account", user_id=user["id"])

        include = [Include("user")]
        assert await backend.find_one("session", F.token == "digest", include=include) == {
            **session,
            "user": user,
        }
        assert await backend.find_many("user", include=[Include("account")]) == [
            {**user, "account": [account]}
        ]

    async def test_what_is_not_related_is_refused(self, backend: Adapter) -> None:
        """By the name that is wrong: the model's or the field's."""
        with pytest.raises(UnknownModel):
            await backend.find_many("note", include=[Include("ghost")])
        for include in (Include("seat"), Include("author", through="text")):
            with pytest.raises(UnknownField):
                await backend.find_many("note", include=[include])


def _by_id(rows: list[Record]) -> list[Record]:
    return sorted(rows, key=lambda row: row["id"])
