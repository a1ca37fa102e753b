"""Hooks around the store's writes: each row is heard of, also in bulk, and once."""

import pytest

from watchword.crypto.tokens import digest
from watchword.errors import OperationRefused, UnknownField
from watchword.storage.hooks import DatabaseHook
from watchword.storage.query import F, Increment


@pytest.fixture
def listening(new_store, heard):
    """A store whose every write is heard of."""

    def note(operation, moment):
        return lambda row: heard.append((moment, operation, row.get("label")))

    return new_store(
        *(
            DatabaseHook(
                model="ticket",
                operation=operation,
                before=note(operation, "before"),
                after=note(operation, "after"),
            )
            for operation in ("create", "update", "delete")
        )
    )


async def test_each_write_is_heard_of(listening, heard):
    """One row at a time, before and after, also in bulk."""
    for label in ("a", "b"):
        await listening.create("ticket", {"label": label})
    await listening.update("ticket", F.label == "a", {"uses": 1})
    changed = await listening.update_many("ticket", None, {"uses": 2})
    await listening.delete("ticket", F.label == "a")
    gone = await listening.delete_many("ticket", None)

    assert (changed, gone) == (2, 1)
    assert [it for it in heard if it[0] == "after"] == [
        ("after", "create", "a"),
        ("after", "create", "b"),
        ("after", "update", "a"),
        ("after", "update", "a"),
        ("after", "update", "b"),
        ("after", "delete", "a"),
        ("after", "delete", "b"),
    ]
    assert [operation for moment, operation, _ in heard if moment == "before"] == [
        *("create", "create", "update", "update", "update", "delete", "delete")
    ]


async def test_a_write_of_nothing_is_nothing_to_hear_of(listening, heard):
    """Nobody is told of a row that was not there."""
    await listening.update("ticket", F.label == "a", {"uses": 1})
    await listening.update_many("ticket", F.label == "a", {"uses": 1})
    await listening.delete("ticket", F.label == "a")
    await listening.delete_many("ticket", None)
    assert await listening.consume_one("ticket", F.label == "a") is None

    assert [it for it in heard if it[0] == "after"] == []


async def test_consuming_is_a_delete(listening, heard):
    """Hooks of a delete hear of it, and it returns the row."""
    row = await listening.create("ticket", {"label": "a", "code": "token"})
    heard.clear()

    assert await listening.consume_one("ticket", F.code == "token") == row
    assert await listening.consume_one("ticket", F.code == "token") is None
    assert heard == [("before", "delete", "a"), ("after", "delete", "a")]


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
async def test_a_hook_that_refuses_undoes_a_bulk_write(store, new_store, rows, operation):
    """All of it, though the refusal came with the second row."""
    for label in ("a", "b", "c"):
        await store.create("ticket", {"label": label})
    before = await rows()
    answers = iter([None, False])
    hook = DatabaseHook(
        model="ticket", operation=operation, before=lambda _row: next(answers, None)
    )
    strict = new_store(hook)

    async def create_many():
        async with strict.transaction():
            for label in ("d", "e"):
                await strict.create("ticket", {"label": label})

    writes = {
        "create": create_many,
        "update": lambda: strict.update_many("ticket", None, {"uses": 1}),
        "delete": lambda: strict.delete_many("ticket", None),
    }

    with pytest.raises(OperationRefused):
        await writes[operation]()

    assert await rows() == before


async def test_what_a_hook_changes_is_checked_and_hashed_like_the_rest(new_store, rows):
    """A hook is no way around the schema."""
    additions = iter([{"code": "token", "label": "hooked"}, {"nonsense": 1}])
    store = new_store(
        DatabaseHook(model="ticket", operation="create", before=lambda _row: next(additions))
    )

    row = await store.create("ticket", {"label": "plain"})
    with pytest.raises(UnknownField):
        await store.create("ticket", {})

    assert (row["label"], row["code"]) == ("hooked", digest("token"))
    assert await rows() == [row]


async def test_a_bulk_write_with_hooks_asks_its_condition_again(new_store, store, adapter):
    """A row that no longer matches when its turn comes is left alone, and not counted."""
    for label in ("a", "b"):
        await store.create("ticket", {"label": label})

    async def somebody_uses_b(_row):
        await adapter.update("ticket", F.label == "b", {"uses": 1})

    def hooked(operation):
        return new_store(DatabaseHook(model="ticket", operation=operation, before=somebody_uses_b))

    changed = await hooked("update").update_many("ticket", F.uses == 0, {"label": "changed"})
    gone = await hooked("delete").delete_many("ticket", F.uses == 0)

    assert (changed, gone) == (1, 1)
    [left] = await adapter.find_many("ticket")
    assert (left["label"], left["uses"]) == ("b", 1)


async def test_racing_swaps_in_bulk_have_one_winner(listening, race):
    """With hooks as without: the count names who made the condition false."""
    await listening.create("ticket", {})

    counts = await race(
        16, lambda: listening.update_many("ticket", F.uses == 0, {"uses": Increment()})
    )

    assert sorted(counts) == [0] * 15 + [1]
