"""The store over the adapter: what it refuses, retries, composes and leaves for after a commit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from watchword.errors import FieldTooLong, InvalidValue, StorageUnavailable
from watchword.schema import Schema
from watchword.storage.contract import Adapter, Record
from watchword.storage.hooks import DatabaseHook
from watchword.storage.query import F, FieldRef, Increment, Where
from watchword.storage.store import Store
from watchword.testing.modes import Mode
from watchword.testing.suite.fixtures import Backend, Peek, PlainSealer, Race, Spawn, Suite

__all__ = ["Stores"]

# Refused by every database in its own way, if it got there: by field, value.
REFUSED: tuple[tuple[str, Any], ...] = (
    ("string", "x" * 256),
    ("string", "nul\0"),
    ("text", "\ud800 is half a character"),
    ("text", b"bytes"),
    ("string", 0),
    ("integer", 2**31),
    ("integer", "1"),
    ("integer", True),
    ("bigint", -(2**63) - 1),
    ("boolean", 1),
    ("datetime", datetime(2026, 5, 17, 12)),  # noqa: DTZ001 - the refusal is the test
    ("datetime", "2026-05-17T12:00:00Z"),
    ("json", {"a": {1, 2}}),
    ("json", {"a": "nul\0"}),
    ("json", float("nan")),
    ("uuid", "not a uuid"),
    ("bytes", "text"),
    ("strings", ["a", 1]),
    ("strings", "ab"),
)


class _WithoutConsume:
    """The required operations of an adapter, and nothing that is optional."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        if name in {"consume_one", "create_many", "transaction", "create_schema", "using"}:
            raise AttributeError(name)
        return getattr(self._adapter, name)


# Long enough for a backend that lets two transactions go on at once to get there.
_MOMENT = 0.3


class Stores(Suite):
    """A store keeps its promises on this adapter too."""

    @pytest.fixture
    def heard(self) -> list[Any]:
        """Which tickets the hooks of `hooked_store` heard of after a commit."""
        return []

    @pytest.fixture
    def hooked_store(self, transactional: Backend, schema: Schema, heard: list[Any]) -> Store:
        """The same, with hooks: it changes and deletes tickets one by one."""

        def note(row: Record) -> None:
            heard.append(row["code"])

        hooks = [
            DatabaseHook(model="ticket", operation="update", after=note),
            DatabaseHook(model="ticket", operation="delete", after=note),
        ]
        return Store(transactional, schema, hooks=hooks, sealer=PlainSealer())

    @pytest.mark.parametrize(
        ("field", "value"), REFUSED, ids=[f"{it[0]}-{n}" for n, it in enumerate(REFUSED)]
    )
    async def test_unstorable_values_are_refused(
        self, store: Store, peek: Peek, field: str, value: Any
    ) -> None:
        """By the same error on every backend, by field, before anything is written."""
        row = await store.create("specimen", {"string": "kept"})

        for write in (
            store.create("specimen", {field: value}),
            store.update("specimen", F.id == row["id"], {field: value}),
            store.update_many("specimen", None, {field: value}),
        ):
            with pytest.raises(InvalidValue) as refusal:
                await write
            assert (refusal.value.model, refusal.value.field) == ("specimen", field)

        assert [row["string"] for row in peek("specimen")] == ["kept"]

    async def test_too_long_is_told_with_its_limit(self, store: Store, peek: Peek) -> None:
        """Characters are counted, not bytes; the longest text that fits is kept."""
        with pytest.raises(FieldTooLong) as refusal:
            await store.create("signature", {"mark": "😀" * 769})

        assert refusal.value.limit == 768
        assert peek("signature") == []
        assert (await store.create("signature", {"mark": "😀" * 768}))["mark"] == "😀" * 768

    @pytest.mark.parametrize("text", ["nul\0", "\ud800"], ids=["nul", "surrogate"])
    async def test_impossible_texts_match_nothing(self, store: Store, text: str) -> None:
        """An attacker's text is no error of ours: no row has it, every row differs from it."""
        await store.create("specimen", {"string": "nul"})
        conditions: Mapping[Where, int] = {
            F.string == text: 0,
            F.string.in_([text]): 0,
            F.string.contains(text): 0,
            F.string != text: 1,
            F.string.not_in([text]): 1,
        }

        for where, expected in conditions.items():
            assert await store.count("specimen", where) == expected

    @pytest.mark.parametrize("text", ["", "no id", "g" * 24, "0" * 25, "0" * 24 + "\n"], ids=repr)
    async def test_any_text_may_be_looked_for_as_an_id(self, store: Store, text: str) -> None:
        """A request may bring it: no row has it, every row differs from it."""
        author = await store.create("author", {"name": "Ada"})
        await store.create("book", {"title": "Notes", "author_id": author["id"]})

        for model, field in {"author": "id", "book": "author_id"}.items():
            it, known = FieldRef(field), author["id"]
            assert await store.find_one(model, it == text) is None
            assert await store.consume_one(model, it == text) is None
            assert await store.count(model, it.in_([text])) == 0
            assert await store.count(model, it.in_([text, known])) == 1
            assert await store.count(model, it != text) == 1
            assert await store.count(model, it.not_in([text])) == 1
            assert await store.count(model, it.not_in([text, known])) == 0

    @pytest.mark.parametrize("value", [0, True, {"$ne": None}, ["one"], b"one"], ids=repr)
    async def test_other_types_never_reach_a_comparison(self, store: Store, value: Any) -> None:
        """A number or an object from a JSON body is refused where a text is looked up."""
        await store.create("ticket", {"code": "one"})

        for where in (F.code == value, F.code != value, ~(F.code == value), F.code.in_([value])):
            with pytest.raises(InvalidValue):
                await store.find_one("ticket", where)

    async def test_rows_get_ids_and_defaults(self, store: Store, peek: Peek) -> None:
        """What the schema promises is written, not only returned."""
        user = await store.create("user", {"name": "Ada", "email": "ada@example.org"})

        assert user["id"] is not None
        assert user["email_verified"] is False
        assert user["created_at"].tzinfo is not None
        assert await store.find_one("user", F.id == user["id"]) == user
        assert [row["email"] for row in peek("user")] == ["ada@example.org"]

    async def test_consume_without_the_protocol(
        self, backend: Adapter, schema: Schema, race: Race, peek: Peek
    ) -> None:
        """Composed from a read and a counted delete, a token still goes to one caller."""
        store = Store(_WithoutConsume(backend), schema, sealer=PlainSealer())
        for number in range(max(1, self.rounds // 10)):
            record = await store.create("ticket", {"code": str(number)})
            where = F.code == str(number)

            results = await race(self.callers, lambda: store.consume_one("ticket", where))  # noqa: B023 - the race ends in this turn

            assert [it for it in results if it is not None] == [record]
        assert peek("ticket") == []

    async def test_transactions_are_tried_again(
        self, transactional_store: Store, peek: Peek
    ) -> None:
        """What the database asks to repeat is repeated, and its first try is undone."""
        tries = 0

        async def work() -> Record:
            nonlocal tries
            tries += 1
            record = await transactional_store.create("ticket", {"code": "one"})
            if tries < 3:
                raise StorageUnavailable("deadlock", retryable=True)
            return record

        assert (await transactional_store.run_in_transaction(work))["code"] == "one"
        assert tries == 3
        assert [row["code"] for row in peek("ticket")] == ["one"]

    async def test_what_must_not_be_repeated_is_not(
        self, transactional_store: Store, peek: Peek
    ) -> None:
        """A failure that may have left something is the caller's to judge."""
        tries = 0

        async def work() -> None:
            nonlocal tries
            tries += 1
            await transactional_store.create("ticket", {"code": "one"})
            raise StorageUnavailable("gone", retryable=False)

        with pytest.raises(StorageUnavailable):
            await transactional_store.run_in_transaction(work)

        assert tries == 1
        assert peek("ticket") == []

    async def test_opposite_locks_are_both_done(
        self, transactional_store: Store, spawn: Spawn, mode: Mode
    ) -> None:
        """Two transactions that block each other end well, one of them at its second try."""
        for code in ("a", "b"):
            await transactional_store.create("ticket", {"code": code, "uses": 0})
        signals = {"a": mode.signal(), "b": mode.signal()}

        async def count_both(first: str, second: str) -> None:
            async def work() -> None:
                await transactional_store.update("ticket", F.code == first, {"uses": Increment()})
                signals[first].set()
                await signals[second].wait(within=0.3)
                await transactional_store.update("ticket", F.code == second, {"uses": Increment()})

            await transactional_store.run_in_transaction(work)

        pair = [spawn(lambda: count_both("a", "b")), spawn(lambda: count_both("b", "a"))]
        for child in pair:
            await child.result()

        assert await transactional_store.count("ticket", F.uses == 2) == 2

    async def test_work_for_after_the_commit(self, transactional_store: Store, peek: Peek) -> None:
        """It runs when the rows are there for others, and not if they are undone."""
        seen: list[int] = []

        async def look() -> None:
            seen.append(len(peek("ticket")))

        async with transactional_store.transaction():
            await transactional_store.create("ticket", {"code": "one"})
            await transactional_store.after_commit(look)
            assert seen == []
        with pytest.raises(LookupError):  # noqa: PT012 - the whole transaction
            async with transactional_store.transaction():
                await transactional_store.after_commit(look)
                raise LookupError

        assert seen == [1]

    # --- with hooks, row by row --------------------------------------------------------

    @pytest.mark.parametrize("write", ["update_many", "delete_many"])
    async def test_row_by_row_finds_all_rows(
        self, hooked_store: Store, heard: list[Any], peek: Peek, write: str
    ) -> None:
        """Each that matches, once, in the order of ids; the others are left alone."""
        rows = [
            await hooked_store.create("ticket", {"code": str(number), "uses": number % 2})
            for number in range(40)
        ]

        assert await _write_all(hooked_store, write, F.uses == 1) == 20

        odd = [row for row in rows if row["uses"] == 1]
        assert heard == [row["code"] for row in sorted(odd, key=lambda row: row["id"])]
        assert len([row for row in peek("ticket") if row["uses"] == 0]) == 20

    @pytest.mark.parametrize("write", ["update_many", "delete_many"])
    async def test_row_by_row_finds_what_was_committed_meanwhile(
        self, hooked_store: Store, heard: list[Any], spawn: Spawn, mode: Mode, write: str
    ) -> None:
        """Also what the transaction's own first look could not see, behind a lock it waited for.

        Or a session that is made with the old password, while a reset waits, survives it.
        """
        await hooked_store.create("seat", {"room": "lock"})
        await hooked_store.create("ticket", {"code": "before"})
        locked, seen = mode.signal(), mode.signal()

        async def create_one() -> None:
            async with hooked_store.transaction():
                await hooked_store.find_one("seat", F.room == "lock", lock=True)
                locked.set()
                await seen.wait(within=_MOMENT)
                await hooked_store.create("ticket", {"code": "meanwhile"})

        async def write_after_it() -> int:
            await hooked_store.count("ticket")
            seen.set()
            await hooked_store.find_one("seat", F.room == "lock", lock=True)
            return await _write_all(hooked_store, write, None)

        other = spawn(create_one)
        await locked.wait()
        written = await hooked_store.run_in_transaction(write_after_it)
        await other.result()

        assert written == 2
        assert sorted(heard) == ["before", "meanwhile"]

    @pytest.mark.parametrize("write", ["update_many", "delete_many"])
    async def test_row_by_row_is_done_again_after_a_deadlock(
        self, hooked_store: Store, heard: list[Any], spawn: Spawn, mode: Mode, write: str
    ) -> None:
        """It ends well against another one that locks the other way round; hooks hear once."""
        for code in ("a", "b"):
            await hooked_store.create("ticket", {"code": code, "uses": 0})
        rows = await hooked_store.find_many("ticket")
        first, last = (F.id == rows[0]["id"]), (F.id == rows[-1]["id"])
        locked, waiting = mode.signal(), mode.signal()

        async def lock_backwards() -> None:
            await hooked_store.find_one("ticket", last, lock=True)
            locked.set()
            await waiting.wait()
            await hooked_store.find_one("ticket", first, lock=True)

        other = spawn(lambda: hooked_store.run_in_transaction(lock_backwards))
        await locked.wait()
        bulk = spawn(lambda: _write_all(hooked_store, write, None))
        await bulk.ended(within=_MOMENT)
        waiting.set()
        await other.result()

        assert await bulk.result() == 2
        assert sorted(heard) == ["a", "b"]

    async def test_row_by_row_each_row_is_deleted_for_one_caller(
        self, hooked_store: Store, heard: list[Any], race: Race, peek: Peek
    ) -> None:
        """The counts of all who delete the same rows add up, and each is heard of once."""
        codes = [str(number) for number in range(10)]
        for code in codes:
            await hooked_store.create("ticket", {"code": code})

        counts = await race(8, lambda: hooked_store.delete_many("ticket", None))

        assert sum(counts) == 10
        assert sorted(heard) == codes
        assert peek("ticket") == []


async def _write_all(store: Store, write: str, where: Where | None) -> int:
    if write == "delete_many":
        return await store.delete_many("ticket", where)
    return await store.update_many("ticket", where, {"holder": "Ada"})
