"""Rows under a limit: what hooks hear, what the guard says, and who cannot count."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.errors import ConfigurationError, InvalidValue, OperationRefused, UnknownField
from watchword.storage.hooks import DatabaseHook
from watchword.storage.query import EVERYTHING, F


def take(store, *, where=F.label == "a", limit=1, **values):
    """Take one of the places for tickets."""
    return store.create_under_limit("ticket", {"label": "a", **values}, where, limit)


async def test_hooks_hear_of_places_that_were_given(new_store, heard):
    """Before and after; of one that was refused they hear nothing."""
    store = new_store(
        DatabaseHook(
            model="ticket",
            operation="create",
            before=lambda row: {"label": f"{row['label']}!"},
            after=lambda row: heard.append(row["label"]),
        )
    )

    given = [await take(store, where=F.label == "a!", limit=2) for _ in range(4)]

    assert [it is not None for it in given] == [True, True, False, False]
    assert heard == ["a!", "a!"]


async def test_a_hook_hears_after_the_outermost_commit(new_store, heard):
    """What is undone was never heard of, and its place is free."""
    hook = DatabaseHook(model="ticket", operation="create", after=lambda _: heard.append("heard"))
    store = new_store(hook)

    with pytest.raises(LookupError):  # noqa: PT012 - the whole transaction
        async with store.transaction():
            await take(store)
            raise LookupError
    assert heard == []

    assert await take(store) is not None
    assert heard == ["heard"]


async def test_a_hook_that_refuses_takes_no_place(new_store, rows):
    """Its refusal goes on to the caller, and nothing was written."""
    refusing = new_store(
        DatabaseHook(model="ticket", operation="create", before=lambda row: row["uses"] == 0)
    )

    with pytest.raises(OperationRefused):
        await take(refusing, uses=1)

    assert await rows() == []
    assert await take(refusing, uses=0) is not None


@pytest.mark.parametrize(
    ("data", "where", "refusal"),
    [
        ({"label": 1}, EVERYTHING, InvalidValue),
        ({"label": "a"}, F.label == 1, InvalidValue),
        ({"label": "a"}, F.lable == "a", UnknownField),
    ],
)
async def test_what_cannot_be_written_or_counted(store, rows, data, where, refusal):
    """It is refused as by `create` and `count`."""
    with pytest.raises(refusal):
        await store.create_under_limit("ticket", data, where, 1)

    assert await rows() == []


async def test_one_guard_serves_all_who_count_the_same(store, rows, clock):
    """However they say it, and whatever else; it expires, so that a purge takes it away."""
    for number in range(3):
        where = (F.uses == 0) & (F.label == "a") & (F.number > -number)
        await take(store, where=where, limit=3)
    await take(store, where=(F.made_at <= clock()) & (F.label == "a") & (F.uses == 0))

    [guard] = await rows("verification")

    assert guard["identifier"].startswith("limit:ticket:")
    assert guard["expires_at"] == clock() + timedelta(days=1)
    assert len(await rows()) == 3


async def test_those_who_count_others_have_other_guards(store, rows):
    """Another value, another field or another model is another limit."""
    wheres = (F.label == "a", F.label == "b", F.label == None, F.code == "a", EVERYTHING)  # noqa: E711 - a condition
    for where in wheres:
        await take(store, where=where, limit=9)
    await store.create_under_limit("verification", guard("x"), EVERYTHING, 9)

    guards = [it for it in await rows("verification") if it["value"] == "limit"]

    assert len({it["identifier"] for it in guards}) == len(guards) == len(wheres) + 1


def guard(identifier):
    """Return a verification that is none of a limit's."""
    return {"identifier": identifier, "value": "x", "expires_at": datetime(2100, 1, 1, tzinfo=UTC)}


async def test_a_row_that_is_there_needs_no_guard(store, rows):
    """The one that the condition names is locked itself."""
    ticket = await store.create("ticket", {})
    note = {"ticket_id": ticket["id"], "text": "t"}

    given = [
        await store.create_under_limit("note", note, F.ticket_id == ticket["id"], 1)
        for _ in range(2)
    ]

    assert [it is not None for it in given] == [True, False]
    assert await rows("verification") == []


class PurgesInBetween(MemoryAdapter):
    """Somebody purges before each transaction, up to a number of times; notes what is locked."""

    purges = 3

    def __init__(self):
        super().__init__()
        self.locked = []

    async def find_one(self, model, where, *, lock=False, **options):
        """Find, and note it."""
        found = await super().find_one(model, where, lock=lock, **options)
        if lock:
            self.locked.append(found)
        return found

    @asynccontextmanager
    async def transaction(self):
        """Purge, and go on as always."""
        if self.purges:
            self.purges -= 1
            await self.delete_many("verification", None)
        async with super().transaction():
            yield


async def test_a_guard_that_is_purged_in_between_is_made_again(new_store):
    """Nobody counts without a lock, and nobody looks for it for ever."""
    adapter = PurgesInBetween()
    store = new_store(over=adapter)

    assert await take(store) is not None
    assert [it is not None for it in adapter.locked] == [False, True]
    assert await adapter.count("verification") == 1
    assert await take(store) is None


async def test_an_adapter_without_transactions_cannot_count(new_store, required, rows):
    """It says so before anything is written; two callers would both find the last place."""
    store = new_store(over=required)

    with pytest.raises(ConfigurationError, match="Required has no transactions"):
        await take(store)

    assert await rows() + await rows("verification") == []
