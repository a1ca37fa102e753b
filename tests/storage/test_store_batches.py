"""Many rows at once: what the store adds to each, and what its hooks hear."""

import pytest

from watchword.crypto.tokens import digest
from watchword.errors import ConfigurationError, OperationRefused, UniqueViolation, UnknownField
from watchword.storage.hooks import DatabaseHook


async def test_each_row_gets_what_create_gives_it(store, rows, clock):
    """Its own id and defaults; what is hashed is hashed, and what is sealed sealed."""
    created = await store.create_many("ticket", [{"code": "a"}, {"code": "b", "secret": "s"}])

    assert len({row["id"] for row in created}) == len({row["number"] for row in created}) == 2
    assert [row["code"] for row in created] == [digest("a"), digest("b")]
    assert {row["made_at"] for row in created} == {clock()}
    assert store.unseal("ticket", created[1], "secret") == "s" != created[1]["secret"]
    assert await rows() == created


async def test_hooks_hear_of_each_row(new_store, heard):
    """Before all are written, in their order, and after."""
    store = new_store(
        DatabaseHook(
            model="ticket",
            operation="create",
            before=lambda row: heard.append(("before", row["label"])) or {"label": "changed"},
            after=lambda row: heard.append(("after", row["label"])),
        )
    )

    created = await store.create_many("ticket", [{"label": "a"}, {"label": "b"}])

    assert heard == [("before", "a"), ("before", "b"), *[("after", "changed")] * 2]
    assert [row["label"] for row in created] == ["changed", "changed"]


async def test_a_hook_refuses_all_rows_with_one(new_store, rows, heard):
    """Nothing is written, and nothing is heard of."""
    store = new_store(
        DatabaseHook(
            model="ticket",
            operation="create",
            before=lambda row: row["label"] != "b",
            after=heard.append,
        )
    )

    with pytest.raises(OperationRefused):
        await store.create_many("ticket", [{"label": "a"}, {"label": "b"}])

    assert await rows() == heard == []


async def test_hooks_hear_nothing_of_rows_that_were_not_written(new_store, rows, heard):
    """A key that is taken undoes all of them, and what hooks had written for them."""
    plain = new_store()

    async def write_beside(_row):
        await plain.create("ticket", {})

    hook = DatabaseHook(
        model="ticket", operation="create", before=write_beside, after=heard.append
    )
    store = new_store(hook)

    with pytest.raises(UniqueViolation):
        await store.create_many("ticket", [{"code": "a"}, {"code": "a"}])

    assert await rows() == heard == []


async def test_a_field_that_no_model_has(store, rows):
    """One wrong row of many is refused like one alone."""
    with pytest.raises(UnknownField):
        await store.create_many("ticket", [{"label": "a"}, {"lable": "b"}])

    assert await rows() == []


async def test_an_adapter_that_could_write_a_part_only(new_store, required, rows):
    """It says so before anything is written."""
    store = new_store(over=required)

    with pytest.raises(ConfigurationError, match="Required has no transactions"):
        await store.create_many("ticket", [{"label": "a"}, {"label": "b"}])

    assert await rows() == []
    assert await store.create_many("ticket", []) == []
