"""Hooks around the store's writes: each row is heard of, also in bulk, and once."""

from itertools import count

import pytest

from watchword.crypto.tokens import digest
from watchword.errors import OperationRefused, StorageUnavailable, UnknownField
from watchword.storage.hooks import DatabaseHook
from watchword.storage.query import F, Increment

# What is several statements as soon as there is a hook, and on how many of two rows.
WRITES = {
    "update_many": ("update", 2, lambda store: store.update_many("ticket", None, {"uses": 1})),
    "delete_many": ("delete", 2, lambda store: store.delete_many("ticket", None)),
    "consume_one": ("delete", 1, lambda store: store.consume_one("ticket", F.label == "a")),
    "delete": ("delete", 1, lambda store: store.delete("ticket", F.label == "a")),
}


@pytest.fixture
def losing(new_store, store, heard):
    """Make a store on two rows that loses a deadlock at one of its writes of a kind."""

    async def losing(operation, at):
        for label in ("a", "b"):
            await store.create("ticket", {"label": label})
        writes = count(1)

        def lose(_row):
            heard.append("before")
            if next(writes) == at:
                raise StorageUnavailable("deadlock", retryable=True)

        hook = DatabaseHook(
            model="ticket",
            operation=operation,
            before=lose,
            after=lambda row: heard.append(row["label"]),
        )
        return new_store(hook)

    return losing


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


@pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
async def test_a_bulk_write_with_hooks_finds_every_row(new_store, heard, ids):
    """In the order of ids, whatever their type, and only where the condition holds."""
    asked = []
    hooks = [
        DatabaseHook(
            model="ticket",
            operation=it,
            before=asked.append,
            after=lambda row: heard.append((row["id"], row["uses"])),
        )
        for it in ("update", "delete")
    ]
    store = new_store(*hooks, ids=ids)
    made = [await store.create("ticket", {"uses": number % 2}) for number in range(24)]
    odd = sorted(it["id"] for it in made if it["uses"])

    changed = await store.update_many("ticket", F.uses == 1, {"uses": Increment()})
    gone = await store.delete_many("ticket", F.uses > 1)

    assert (changed, gone) == (12, 12)
    assert heard == [(it, 2) for it in odd] * 2
    assert len(asked) == 24
    assert await store.count("ticket", F.uses == 0) == 12


async def test_a_bulk_write_with_hooks_knows_a_token_by_its_digest(listening):
    """As any other look for one does."""
    for code in ("token", "other"):
        await listening.create("ticket", {"code": code})

    changed = await listening.update_many("ticket", F.code == "token", {"uses": 1})
    gone = await listening.delete_many("ticket", F.code == "token")

    assert (changed, gone) == (1, 1)
    assert await listening.count("ticket", F.code == "other") == 1


async def test_rows_that_a_hook_makes_are_not_written_in_turn(new_store, store, rows):
    """A bulk write ends, though each row that goes leaves another one that matches."""
    await store.create("ticket", {"label": "a"})

    async def leave_another(row):
        await store.create("ticket", {"label": f"after {row['label']}"})

    hook = DatabaseHook(model="ticket", operation="delete", before=leave_another)

    assert await new_store(hook).delete_many("ticket", None) == 1
    assert [it["label"] for it in await rows()] == ["after a"]


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_that_loses_a_deadlock_is_done_again(losing, store, heard, name):
    """Whole: hooks before it run with each try, those after it once, when it is committed."""
    operation, written, write = WRITES[name]
    loser = await losing(operation, at=written)
    told = ["a", "b"][:written]

    result = await write(loser)

    assert result == written or not isinstance(result, int)
    assert heard == ["before"] * 2 * written + told
    assert await store.count("ticket", F.uses == 0) == 2 - written


@pytest.mark.parametrize("name", WRITES)
async def test_in_a_transaction_a_lost_write_is_not_done_again_alone(losing, rows, heard, name):
    """The deadlock undid what is around it too; only that can be repeated."""
    operation, written, write = WRITES[name]
    loser = await losing(operation, at=written)
    before = await rows()

    with pytest.raises(StorageUnavailable):
        async with loser.transaction():
            await write(loser)

    assert heard == ["before"] * written
    assert await rows() == before
