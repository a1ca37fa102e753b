"""Too few connections, and connections that are cut."""

from collections.abc import Callable
from functools import partial

import pytest

from watchword.errors import StorageUnavailable
from watchword.schema import Schema
from watchword.storage.query import F, Increment
from watchword.testing.modes import MakeCoroutine
from watchword.testing.suite.fixtures import Add, Backend, Race, Suite, new_row

__all__ = ["Faults"]


class Faults(Suite):
    """A backend with one connection gets everything done; one that was cut off comes back."""

    @pytest.mark.watchword_needs("has_pool")
    async def test_one_connection_is_enough(
        self, small_backend: Backend, schema: Schema, race: Race
    ) -> None:
        """32 transactions of several operations take turns; none waits for a second one."""
        await small_backend.create("ticket", new_row(schema, "ticket", uses=0))

        async def work() -> None:
            async with small_backend.transaction():
                author = await small_backend.create("author", new_row(schema, "author"))
                assert await small_backend.find_one("author", F.id == author["id"]) == author
                async with small_backend.transaction():
                    changes = {"uses": Increment()}
                    assert await small_backend.update("ticket", F.code == "one", changes)
                await small_backend.update("author", F.id == author["id"], {"name": "Grace"})

        assert await race(32, work) == [None] * 32
        assert await small_backend.count("author", F.name == "Grace") == 32
        assert await small_backend.count("ticket", F.uses == 32) == 1

    @pytest.mark.watchword_needs("has_pool")
    async def test_one_connection_is_given_back_after_errors(
        self, small_backend: Backend, schema: Schema, race: Race
    ) -> None:
        """Neither a refused operation nor an undone transaction keeps it."""

        async def fail() -> None:
            async with small_backend.transaction():
                await small_backend.create("author", new_row(schema, "author"))
                raise LookupError

        results = await race(32, fail)

        assert all(isinstance(it, LookupError) for it in results), results
        assert await small_backend.count("author") == 0

    @pytest.mark.watchword_needs("survives_disconnect")
    @pytest.mark.parametrize("kind", ["read", "write", "transaction"])
    async def test_a_cut_connection_is_replaced(
        self, backend: Backend, add: Add, disconnect: Callable[[], None], kind: str
    ) -> None:
        """The next call after the cut works, three times in a row."""
        await add("author")
        calls: dict[str, MakeCoroutine[object]] = {
            "read": partial(backend.count, "author"),
            "write": partial(add, "author"),
            "transaction": partial(_two_in_a_transaction, backend, add),
        }

        for _ in range(3):
            disconnect()
            await calls[kind]()

        expected = {"read": 1, "write": 4, "transaction": 7}
        assert await backend.count("author") == expected[kind]

    @pytest.mark.watchword_needs("survives_disconnect")
    async def test_a_transaction_that_is_cut_is_all_or_nothing(
        self, transactional: Backend, add: Add, disconnect: Callable[[], None]
    ) -> None:
        """It says that nothing of it stays, or is done again from its beginning."""
        kept = 2
        try:
            async with transactional.transaction():
                await add("author")
                disconnect()
                await add("author")
        except StorageUnavailable:
            kept = 0

        assert await transactional.count("author") == kept
        await _two_in_a_transaction(transactional, add)
        assert await transactional.count("author") == kept + 2


async def _two_in_a_transaction(backend: Backend, add: Add) -> None:
    async with backend.transaction():
        await add("author")
        await add("author")
