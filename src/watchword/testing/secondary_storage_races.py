"""Callers of a secondary storage that race, and connections that are cut."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from watchword.errors import StorageUnavailable
from watchword.storage.secondary import SecondaryStorage
from watchword.testing.modes import MakeCoroutine
from watchword.testing.secondary_storage_ground import (
    TTL,
    Race,
    SecondaryStorageGround,
    TimeLeft,
    about,
)
from watchword.testing.store_suite import in_turn

__all__ = ["SecondaryStorageRaces"]


class SecondaryStorageRaces(SecondaryStorageGround):
    """What must happen once happens once, however many try at the same time."""

    # --- races -----------------------------------------------------------------------------

    async def test_one_caller_sets(self, storage: SecondaryStorage, key: str, race: Race) -> None:
        """Of all who keep a value where none is one does, and it is that one's."""
        for turn in range(self.rounds):
            name = f"{key}{turn}"
            calls = [partial(_kept, storage, name, str(it)) for it in range(self.callers)]

            results = await race(self.callers, in_turn(calls))

            [winner] = [it for it in results if it is not None]
            assert await storage.get(name) == winner

    async def test_one_caller_takes(self, storage: SecondaryStorage, key: str, race: Race) -> None:
        """Of all who take one value one gets it."""
        for _ in range(self.rounds):
            await storage.set(key, "ada", ttl=TTL)

            results = await race(self.callers, partial(storage.get_and_delete, key))

            assert results.count("ada") == 1, results
            assert results.count(None) == self.callers - 1, results

    async def test_one_caller_swaps(self, storage: SecondaryStorage, key: str, race: Race) -> None:
        """Of all who replace what they have seen one does."""
        await storage.set(key, "0", ttl=TTL)
        for turn in range(self.rounds):
            swap = partial(storage.compare_and_set, key, str(turn), str(turn + 1), ttl=TTL)

            results = await race(self.callers, swap)

            assert results.count(True) == 1, results
            assert results.count(False) == self.callers - 1, results
        assert await storage.get(key) == str(self.rounds)

    async def test_one_caller_deletes(
        self, storage: SecondaryStorage, key: str, race: Race
    ) -> None:
        """Of all who forget one value, or take it, one did."""
        for _ in range(self.rounds):
            await storage.set(key, "ada", ttl=TTL)
            calls: list[MakeCoroutine[Any]] = [
                partial(storage.get_and_delete if it % 4 == 3 else storage.delete, key)
                for it in range(self.callers)
            ]

            results = await race(self.callers, in_turn(calls))

            assert len([it for it in results if it in (True, "ada")]) == 1, results
            assert len([it for it in results if it in (False, None)]) == self.callers - 1, results

    async def test_no_count_is_lost(
        self, storage: SecondaryStorage, key: str, race: Race, time_left: TimeLeft
    ) -> None:
        """All who count at once see a number each, and their window stays where it began."""
        await storage.increment(key, window=TTL)
        for turn in range(self.rounds):
            first = turn * self.callers + 2

            results = await race(self.callers, partial(storage.increment, key, window=TTL * 2))

            numbers = sorted(it.value for it in results)
            assert numbers == list(range(first, first + self.callers))
        assert about(TTL, time_left(key))

    # --- faults ----------------------------------------------------------------------------

    async def test_it_can_be_closed_twice(self, storage: SecondaryStorage, key: str) -> None:
        """Once by whoever is done, and once more by whoever cleans up."""
        await storage.set(key, "ada", ttl=TTL)

        await storage.close()
        await storage.close()

    @pytest.mark.watchword_needs("survives_disconnect")
    async def test_a_cut_connection_is_replaced(
        self, storage: SecondaryStorage, key: str, disconnect: Callable[[], None]
    ) -> None:
        """The call after the cut works or says that nobody answered; the one after that works."""
        await storage.set(key, "ada", ttl=TTL)
        calls: tuple[MakeCoroutine[Any], ...] = (
            partial(storage.get, key),
            partial(storage.set, key, "ada", ttl=TTL),
            partial(storage.delete, key),
            partial(storage.get_and_delete, key),
            partial(storage.set_if_absent, key, "ada", ttl=TTL),
            partial(storage.compare_and_set, key, "ada", "eve", ttl=TTL),
            partial(storage.increment, f"{key}counter", window=TTL),
        )

        for call in calls:
            disconnect()
            try:
                await call()
            except StorageUnavailable as failure:
                assert failure.__cause__ is not None  # noqa: PT017 - or none was raised
            await storage.set(key, "ada", ttl=TTL)
            assert await storage.get(key) == "ada"


async def _kept(storage: SecondaryStorage, key: str, value: str) -> str | None:
    """Keep a value where none is, and return it if that was done."""
    return value if await storage.set_if_absent(key, value, ttl=TTL) else None
