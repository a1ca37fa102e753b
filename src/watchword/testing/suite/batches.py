"""Many rows at once: all of them or none, and as they were given."""

from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from watchword.errors import InvalidValue, ReferenceViolation, UniqueViolation
from watchword.schema import IdType, Schema
from watchword.storage.contract import Adapter, BulkAdapter, Record
from watchword.storage.query import F
from watchword.storage.store import Store
from watchword.testing.suite.fixtures import Add, Backend, Peek, PlainSealer, Race, Suite, id_of

__all__ = ["Batches"]

# More than go to any database in one statement.
_MANY = 2_345


class _WithoutBulk:
    """An adapter that has transactions, and writes its rows one by one."""

    def __init__(self, adapter: Backend) -> None:
        self._adapter = adapter

    def transaction(self) -> Any:
        return self._adapter.transaction()

    def __getattr__(self, name: str) -> Any:
        if name == "create_many":
            raise AttributeError(name)
        return getattr(self._adapter, name)


class Batches(Suite):
    """`store.create_many` keeps every promise of `create`, for all rows together."""

    @pytest.fixture
    def many(self, backend: Adapter, store: Store) -> Store:
        """Return the store; skip the test if it could not undo a part of many rows."""
        if not isinstance(backend, BulkAdapter) and not backend.capabilities.transactions:
            pytest.skip("the adapter has no capability: transactions")
        return store

    async def test_many_rows_come_back_in_order(self, many: Store, peek: Peek) -> None:
        """With ids and defaults, each at its place; there may be any number of them."""
        given = [{"name": f"n{n}", "email": f"{n}@example.org"} for n in range(_MANY)]

        users = await many.create_many("user", given)

        assert [user["email"] for user in users] == [row["email"] for row in given]
        assert {user["email_verified"] for user in users} == {False}
        stored = {user["id"]: user for user in await many.find_many("user")}
        assert stored == {user["id"]: user for user in users}
        assert len(peek("user")) == _MANY

    async def test_many_rows_may_differ(self, many: Store, peek: Peek) -> None:
        """Each has the fields that it names; the others are null, not its neighbour's."""
        given: list[Record] = [
            {"string": "a"},
            {},
            {"integer": 2, "json": {"list": [1]}, "strings": ["x"], "bytes": b"\0"},
            {"string": "", "text": "t", "bigint": 2**40, "boolean": False},
            {"uuid": "0190163d-8694-739b-aea5-966c26f8ad91"},
        ]

        rows = await many.create_many("specimen", given)

        for row, values in zip(rows, given, strict=True):
            assert await many.find_one("specimen", F.id == row["id"]) == row
            assert {name: it for name, it in row.items() if it is not None and name != "id"} == (
                values
            )
        assert len(peek("specimen")) == len(given)

    async def test_many_rows_may_bring_their_ids(self, many: Store, peek: Peek) -> None:
        """Those that have one keep it, those that have none get one."""
        given = [_own_id(self.ids, number) for number in range(3)]
        names = [{"name": "first"}, *({"name": it, "id": it} for it in given), {"name": "last"}]

        rows = await many.create_many("author", [{**it, "name": str(it["name"])} for it in names])

        assert [row["id"] for row in rows[1:4]] == given
        assert len({row["id"] for row in rows}) == len(peek("author")) == 5
        assert await many.find_one("author", F.id == rows[4]["id"]) == rows[4]

    async def test_no_rows_are_written(self, many: Store, peek: Peek) -> None:
        """Of none there is nothing to do."""
        assert await many.create_many("author", []) == []

        assert peek("author") == []

    async def test_one_taken_key_leaves_none_of_many(
        self, many: Store, add: Add, peek: Peek
    ) -> None:
        """Another row's, or one that two of them share; it is named as by `create`."""
        await add("ticket", code=str(_MANY - 1))
        for codes in (range(_MANY), [*range(5), 3]):
            with pytest.raises(UniqueViolation) as refusal:
                await many.create_many("ticket", [{"code": str(code)} for code in codes])
            assert (refusal.value.model, refusal.value.fields) == ("ticket", ("code",))

        assert [row["code"] for row in peek("ticket")] == [str(_MANY - 1)]

    async def test_one_lost_reference_leaves_none_of_many(
        self, referential: Adapter, many: Store, add: Add, peek: Peek, missing_id: Any
    ) -> None:
        """All that point at a row that is there go too."""
        author = await add("author")
        ids = [author["id"], author["id"], missing_id]

        with pytest.raises(ReferenceViolation) as refusal:
            await many.create_many("note", [{"author_id": it} for it in ids])

        assert refusal.value.model == "note"
        assert peek("note") == []
        assert referential.capabilities.references

    async def test_one_impossible_value_leaves_none_of_many(
        self, many: Store, backend: Adapter, schema: Schema, peek: Peek
    ) -> None:
        """It is refused before anything is written, by the store and by the adapter."""
        with pytest.raises(InvalidValue):
            await many.create_many("specimen", [{"string": "fits"}, {"string": "x" * 256}])
        if isinstance(backend, BulkAdapter):
            with pytest.raises(InvalidValue):
                await backend.create_many("ticket", [{"id": "1", "code": "a"}, {"id": "2"}])

        assert peek("specimen") + peek("ticket") == []
        assert schema.require_model("ticket").fields["code"].required

    async def test_many_rows_in_a_transaction(
        self, transactional_store: Store, peek: Peek
    ) -> None:
        """They are seen inside, go with it, and a refused savepoint leaves the rest."""
        store = transactional_store
        with pytest.raises(LookupError):  # noqa: PT012 - the whole transaction
            async with store.transaction():
                await store.create_many("ticket", [{"code": "a"}, {"code": "b"}])
                assert await store.count("ticket") == 2
                raise LookupError
        async with store.transaction():
            await store.create_many("ticket", [{"code": "c"}, {"code": "d"}])
            with pytest.raises(UniqueViolation):
                async with store.transaction():
                    await store.create_many("ticket", [{"code": "e"}, {"code": "c"}])

        assert sorted(row["code"] for row in peek("ticket")) == ["c", "d"]

    async def test_many_rows_race_for_a_key(self, many: Store, race: Race, peek: Peek) -> None:
        """Of all whose rows share a key one writes all of its own; the others write none."""
        for number in range(max(1, self.rounds // 50)):
            callers = iter(range(self.callers))

            async def write() -> list[Record]:
                own = f"{number} {next(callers)}"  # noqa: B023 - the race ends in this turn
                return await many.create_many(
                    "ticket",
                    [{"code": own}, {"code": f"{number} all"}],  # noqa: B023 - as above
                )

            results = await race(self.callers, write)

            losers = [it for it in results if isinstance(it, UniqueViolation)]
            winners = [it for it in results if isinstance(it, list)]
            assert (len(winners), len(losers)) == (1, self.callers - 1), results
            assert len(peek("ticket")) == 2 * (number + 1)

    async def test_many_rows_without_the_protocol(
        self, transactional: Backend, schema: Schema, peek: Peek
    ) -> None:
        """Composed from creates in a transaction they are all or none as well."""
        store = Store(_WithoutBulk(transactional), schema, sealer=PlainSealer())

        rows = await store.create_many("ticket", [{"code": "a"}, {"code": "b"}])
        with pytest.raises(UniqueViolation):
            await store.create_many("ticket", [{"code": "c"}, {"code": "a"}])

        assert [row["code"] for row in rows] == ["a", "b"]
        assert sorted(row["code"] for row in peek("ticket")) == ["a", "b"]


def _own_id(ids: IdType, number: int) -> Any:
    # Far from those that a database gives: PostgreSQL does not skip ids that were brought.
    return id_of(ids, uuid5(NAMESPACE_OID, str(number))) or 1_000_000 + number
