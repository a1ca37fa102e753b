"""The store: what it writes for a row, and what of it can be read in the table."""

import re
from datetime import timedelta

import pytest

from watchword.crypto.sealing import KeyRing, UnsealError
from watchword.crypto.tokens import digest
from watchword.errors import (
    ConfigurationError,
    InvalidValue,
    UniqueViolation,
    UnknownField,
    UnknownModel,
)
from watchword.storage.query import F, Increment

SECRET = "correct-horse-battery-staple-0123456789"

# --- new rows -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "pattern"),
    [
        ("uuid", r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("string", r"[A-Za-z0-9]{32}"),
        ("bigint", r"[12]"),
    ],
)
async def test_ids_are_of_the_type_that_was_chosen(new_store, ids, pattern):
    """UUIDs of version 7, random texts, or numbers of the database's."""
    store = new_store(ids=ids)

    made = [await store.create("ticket", {}) for _ in range(2)]

    assert [bool(re.fullmatch(pattern, str(row["id"]))) for row in made] == [True, True]
    assert made[0]["id"] != made[1]["id"]
    note = await store.create("note", {"ticket_id": str(made[0]["id"]), "text": ""})
    assert note["ticket_id"] == made[0]["id"]


async def test_ids_may_come_from_the_application(new_store):
    """From a callable, or with the row."""
    store = new_store(ids="string", new_id=lambda: "ours")

    assert (await store.create("ticket", {}))["id"] == "ours"
    assert (await store.create("ticket", {"id": "given"}))["id"] == "given"


async def test_defaults_are_written_where_nothing_is_said(store, clock, rows):
    """Values, callables and the clock; null that was said is kept as null."""
    first = await store.create("ticket", {})
    second = await store.create("ticket", {"label": "mine", "uses": 7})

    assert (first["label"], first["uses"], first["code"]) == ("none", 0, None)
    assert (second["label"], second["uses"]) == ("mine", 7)
    assert second["number"] == first["number"] + 1
    assert first["made_at"] == first["changed_at"] == clock.now
    assert sorted(await rows(), key=lambda row: row["number"]) == [first, second]
    with pytest.raises(InvalidValue):
        await store.create("ticket", {"label": None})


async def test_the_clock_is_asked_once_for_a_row(new_store, clock):
    """Two fields of one row never tell of two instants."""

    def ticking():
        clock.advance(milliseconds=1)
        return clock.now

    row = await new_store(clock=ticking).create("ticket", {})

    assert row["made_at"] == row["changed_at"]


async def test_a_change_is_dated(store, clock):
    """By the field that asks for it, and by no other, unless the change says so."""
    row = await store.create("ticket", {})
    clock.advance(hours=1)

    changed = await store.update("ticket", F.id == row["id"], {"uses": Increment(2)})
    many = await store.update_many("ticket", None, {"label": "new"})
    said = await store.update(
        "ticket", F.id == row["id"], {"changed_at": clock.now - timedelta(days=1)}
    )

    assert (changed["uses"], changed["changed_at"], changed["made_at"]) == (
        2,
        clock.now,
        row["made_at"],
    )
    assert many == 1
    assert said["changed_at"] == clock.now - timedelta(days=1)


async def test_an_imagined_row_looks_like_a_real_one_and_is_none(store, rows):
    """With every field, id and defaults."""
    imagined = await store.imagine("ticket", {"label": "a"})
    real = await store.create("ticket", {"label": "a"})

    assert {name: type(value) for name, value in imagined.items()} == {
        name: type(value) for name, value in real.items()
    }
    assert imagined["id"] != real["id"]
    assert len(await rows()) == 1


@pytest.mark.parametrize("operation", ["create", "update", "update_many"])
async def test_what_the_schema_does_not_know_is_refused(store, rows, operation):
    """An unknown model or field, a changed id, a counted text; and nothing is written."""
    row = await store.create("ticket", {})
    calls = {
        "create": store.create,
        "update": lambda model, data: store.update(model, F.id == row["id"], data),
        "update_many": lambda model, data: store.update_many(model, None, data),
    }
    write = calls[operation]

    with pytest.raises(UnknownModel):
        await write("nonsense", {})
    with pytest.raises(UnknownField):
        await write("ticket", {"nonsense": 1})
    with pytest.raises(InvalidValue):
        await write("ticket", {"label": 5})
    if operation != "create":
        with pytest.raises(InvalidValue):
            await write("ticket", {"id": row["id"]})
        with pytest.raises(InvalidValue):
            await write("ticket", {"label": Increment()})

    assert await rows() == [row]


# --- what is stored -----------------------------------------------------------------------


async def test_attack_stolen_table_of_tokens(store, rows):
    """A digest is stored; the token finds the row and the digest does not."""
    await store.create("ticket", {"code": "token"})

    [row] = await rows()
    assert row["code"] == digest("token")
    assert await store.count("ticket", F.code == "token") == 1
    assert await store.count("ticket", F.code == row["code"]) == 0
    with pytest.raises(UniqueViolation):
        await store.create("ticket", {"code": "token"})
    await store.update("ticket", F.code == "token", {"code": "other"})
    assert await store.count("ticket", F.code == "other") == 1


async def test_attack_stolen_table_of_secrets(store, rows):
    """What is sealed is opened by the store alone, for its own field alone."""
    row = await store.create("ticket", {"secret": "hunter2"})
    again = await store.create("ticket", {"secret": "hunter2"})
    await store.update("ticket", F.id == again["id"], {"secret": "changed"})

    [stored, _] = await rows()
    assert "hunter2" not in str(await rows())
    assert store.unseal("ticket", row, "secret") == "hunter2"
    assert store.unseal("ticket", {"secret": None}, "secret") is None
    with pytest.raises(UnsealError):
        KeyRing([SECRET]).open("note.secret", stored["secret"])


async def test_a_row_under_a_lost_key_stops_no_list(new_store):
    """It comes back sealed; only opening it fails."""
    lost = new_store(secrets=["another-horse-battery-staple-9876543210"])
    await lost.create("ticket", {"secret": "a"})
    store = new_store()
    await store.create("ticket", {"secret": "b"})

    old, new = await store.find_many("ticket")

    assert store.unseal("ticket", new, "secret") == "b"
    with pytest.raises(UnsealError):
        store.unseal("ticket", old, "secret")


def test_sealed_fields_need_a_sealer(new_store):
    """Otherwise they would be stored in clear, and nobody would notice."""
    with pytest.raises(ConfigurationError, match=r"ticket\.secret is sealed") as error:
        new_store(sealer=None)

    assert "KeyRing" in error.value.hint
