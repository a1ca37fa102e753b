"""What keys and references forbid, and how it is said."""

from typing import Any

import pytest

from watchword.errors import InvalidValue, ReferenceViolation, UniqueViolation
from watchword.schema import Schema
from watchword.storage.contract import Adapter
from watchword.storage.query import F
from watchword.testing.suite.fixtures import Add, Peek, Suite, new_row

__all__ = ["Violations"]


class Violations(Suite):
    """The database refuses, the error names what, and nothing is half done."""

    # --- keys --------------------------------------------------------------------------

    async def test_a_taken_value_is_named(self, add: Add, peek: Peek) -> None:
        """The error holds logical names; the first row stays as it was."""
        await add("ticket", code="one", holder="Ada")

        with pytest.raises(UniqueViolation) as refusal:
            await add("ticket", code="one", holder="Grace")

        assert (refusal.value.model, refusal.value.fields) == ("ticket", ("code",))
        assert [row["holder"] for row in peek("ticket")] == ["Ada"]

    async def test_several_taken_values_are_named(self, add: Add) -> None:
        """All fields of the key, sorted; one of them alone may repeat."""
        await add("seat", room="hall", number=1)
        await add("seat", room="hall", number=2)
        await add("seat", room="loft", number=1)

        with pytest.raises(UniqueViolation) as refusal:
            await add("seat", room="hall", number=1)

        assert (refusal.value.model, refusal.value.fields) == ("seat", ("number", "room"))

    async def test_the_keys_of_the_core(self, add: Add) -> None:
        """Names are those of the model, whatever the columns are called."""
        user = await add("user")
        await add("account", user_id=user["id"])

        with pytest.raises(UniqueViolation) as refusal:
            await add("user", name="another")
        assert (refusal.value.model, refusal.value.fields) == ("user", ("email",))
        with pytest.raises(UniqueViolation) as refusal:
            await add("account", user_id=user["id"])
        expected = ("account", ("account_id", "provider_id"))
        assert (refusal.value.model, refusal.value.fields) == expected

    async def test_a_taken_id(self, add: Add) -> None:
        """The id is a key like others."""
        author = await add("author")

        with pytest.raises(UniqueViolation) as refusal:
            await add("author", id=author["id"])

        assert (refusal.value.model, refusal.value.fields) == ("author", ("id",))

    async def test_keys_tell_bytes_apart(self, backend: Adapter, add: Add) -> None:
        """Case, accents and trailing spaces make another value."""
        codes = ("jose", "JOSE", "josé", "jose\u0301", "jose ", " jose", "")

        for code in codes:
            await add("ticket", code=code)

        assert await backend.count("ticket") == len(codes)

    async def test_nulls_never_conflict(self, add: Add, peek: Peek) -> None:
        """A key with a null in it is no key."""
        for _ in range(3):
            await add("seat", room="hall", number=None)

        assert len(peek("seat")) == 3

    async def test_an_update_into_a_taken_value(self, backend: Adapter, add: Add) -> None:
        """It is refused like a new row, and both rows stay."""
        await add("ticket", code="one")
        two = await add("ticket", code="two")

        with pytest.raises(UniqueViolation) as refusal:
            await backend.update("ticket", F.code == "two", {"code": "one", "holder": "Ada"})

        assert (refusal.value.model, refusal.value.fields) == ("ticket", ("code",))
        assert await backend.find_one("ticket", F.code == "two") == two

    async def test_an_update_of_many_is_all_or_nothing(
        self, backend: Adapter, add: Add, peek: Peek
    ) -> None:
        """One conflict undoes the changes to all rows."""
        for number in range(3):
            await add("seat", room="hall", number=number)

        with pytest.raises(UniqueViolation):
            await backend.update_many("seat", None, {"number": 7, "guest": "Ada"})

        assert sorted(row["number"] for row in peek("seat")) == [0, 1, 2]
        assert {row["guest"] for row in peek("seat")} == {None}

    async def test_a_deleted_value_is_free(self, backend: Adapter, add: Add) -> None:
        """Who goes leaves the key to others."""
        await add("ticket", code="one")
        await backend.delete("ticket", F.code == "one")

        assert (await add("ticket", code="one"))["code"] == "one"

    async def test_required_fields_stay_required(self, backend: Adapter, add: Add) -> None:
        """A change to null is refused by the field's name; so is another id."""
        record = await add("ticket")

        for field in ("code", "id"):
            with pytest.raises(InvalidValue) as refusal:
                await backend.update("ticket", F.code == "one", {field: None})
            assert refusal.value.field == field

        assert await backend.find_one("ticket", F.code == "one") == record

    # --- references --------------------------------------------------------------------

    async def test_a_row_that_points_at_nothing(
        self, referential: Adapter, add: Add, schema: Schema, missing_id: Any
    ) -> None:
        """Neither a new row nor a changed one may."""
        note = await add("note", author_id=None)

        with pytest.raises(ReferenceViolation) as refusal:
            await referential.create("note", new_row(schema, "note", author_id=missing_id))
        assert refusal.value.model == "note"
        with pytest.raises(ReferenceViolation) as refusal:
            await referential.update("note", F.id == note["id"], {"author_id": missing_id})
        assert refusal.value.model == "note"
        assert await referential.find_many("note") == [note]

    async def test_what_belongs_to_a_row_goes_with_it(
        self, referential: Adapter, add: Add, peek: Peek
    ) -> None:
        """Cascades reach through several models, and take nobody else's rows."""
        ada, grace = await add("author", name="Ada"), await add("author", name="Grace")
        for author in (ada, grace):
            book = await add("book", author_id=author["id"])
            for _ in range(2):
                await add("chapter", book_id=book["id"])

        await referential.delete("author", F.name == "Ada")

        assert [len(peek(model)) for model in ("author", "book", "chapter")] == [1, 1, 2]
        assert await referential.delete_many("author", None) == 1
        assert [len(peek(model)) for model in ("author", "book", "chapter")] == [0, 0, 0]

    async def test_what_can_do_without_stays(
        self, referential: Adapter, add: Add, peek: Peek
    ) -> None:
        """`set null` keeps the row and forgets whom it pointed at."""
        ada, grace = await add("author", name="Ada"), await add("author", name="Grace")
        await add("note", author_id=ada["id"], text="hers")
        await add("book", author_id=grace["id"], editor_id=ada["id"])

        await referential.delete("author", F.name == "Ada")

        [note], [book] = peek("note"), peek("book")
        assert (note["text"], note["author_id"]) == ("hers", None)
        assert book["author_id"] is not None
        assert book["editor_id"] is None

    async def test_what_is_needed_cannot_go(
        self, referential: Adapter, add: Add, peek: Peek
    ) -> None:
        """`restrict` refuses the whole delete, with all that would have cascaded."""
        ada, _ = await add("author", name="Ada"), await add("author", name="Grace")
        await add("book", author_id=ada["id"])
        await add("note", author_id=ada["id"])
        await add("contract", author_id=ada["id"])

        with pytest.raises(ReferenceViolation) as refusal:
            await referential.delete("author", F.name == "Ada")
        assert refusal.value.model == "author"
        with pytest.raises(ReferenceViolation):
            await referential.delete_many("author", None)

        assert [len(peek(model)) for model in ("author", "book", "note")] == [2, 1, 1]
        assert peek("note")[0]["author_id"] is not None
        assert await referential.delete_many("contract", None) == 1
        assert await referential.delete_many("author", None) == 2

    async def test_deleting_a_user_leaves_nothing_behind(
        self, referential: Adapter, add: Add, peek: Peek
    ) -> None:
        """Sessions and accounts go with their user."""
        user = await add("user")
        await add("session", user_id=user["id"])
        await add("account", user_id=user["id"])

        await referential.delete("user", F.email == "ada@example.org")

        assert [peek(model) for model in ("user", "session", "account")] == [[], [], []]

    async def test_work_goes_on_after_a_refusal(self, backend: Adapter, add: Add) -> None:
        """A refused call leaves no broken connection behind."""
        await add("ticket", code="one")

        for _ in range(20):
            with pytest.raises(UniqueViolation):
                await add("ticket", code="one")

        await add("ticket", code="two")
        assert await backend.count("ticket") == 2
