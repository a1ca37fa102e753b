"""The meaning of `SecondaryStorage`: one that passes can be trusted with what lives for a while.

    class TestOurs(SecondaryStorageSuite):
        @pytest.fixture
        def storage(self, run):
            storage = OurStorage(...)
            yield storage
            run(storage.close())

        @pytest.fixture
        def time_left(self):
            return ...                  # key -> seconds, read past the storage

        @pytest.fixture
        def pass_time(self):
            return ...                  # key -> its lifetime has passed

Each test runs on an event loop and without one; a class that needs one says `needs_loop = True`.
Keys are made up for each test, so the storage need not be empty.
"""

from functools import partial
from math import inf, nan
from typing import Any, Final

import pytest

from watchword.concurrency import sleep
from watchword.errors import InvalidValue
from watchword.storage.secondary import LONGEST_KEY, SecondaryStorage, get_many
from watchword.testing.modes import MakeCoroutine, Mode
from watchword.testing.secondary_storage_ground import TTL, PassTime, Race, TimeLeft, about
from watchword.testing.secondary_storage_races import SecondaryStorageRaces
from watchword.testing.store_suite import in_turn

__all__ = ["SecondaryStorageSuite"]

TEXTS: Final = (
    *("", " ", "ada", "Zoë 😀", "nul\0 in it", "\0", "a\r\nb\t", "007", "null", "\x7f\x80\u2028"),
    *('{"a": ["b"]}', "x" * 1_000_000, "é" * 500_000),
)
NAMES: Final = (
    *("ada", "Ada", "ada ", " ada", "a da", "é", "e\N{COMBINING ACUTE ACCENT}", "ß", "ss"),
    *("*", "?", "[a]", "a:b", "a::b", "{a}b", "{b}b", "a\nb", "a%00", "a\\", "'", '"', "😀", "0"),
)
REFUSED_KEYS: Final[tuple[Any, ...]] = (
    *("", "x" * (LONGEST_KEY + 1), "é" * (LONGEST_KEY // 2 + 1), "nul\0", "\ud800", None, 5),
    b"ada",
)
REFUSED_LIFETIMES: Final[tuple[Any, ...]] = (0, -1, -0.001, nan, inf, 1e12, None, "5")


class SecondaryStorageSuite(SecondaryStorageRaces):
    """Everything that a secondary storage has to keep; subclass it with three fixtures."""

    # --- values ----------------------------------------------------------------------------

    async def test_it_says_whether_it_needs_a_loop(
        self, storage: SecondaryStorage, watchword_mode: Mode
    ) -> None:
        """So that a blocking program can refuse it before it is used."""
        assert isinstance(storage, SecondaryStorage)
        assert storage.needs_loop in ({True, False} if watchword_mode.name == "loop" else {False})

    @pytest.mark.parametrize("text", TEXTS, ids=[f"{it[:12]!r}" for it in TEXTS])
    async def test_a_value_comes_back(
        self, storage: SecondaryStorage, key: str, text: str
    ) -> None:
        """Any text, as it was, by each way in and out."""
        await storage.set(key, text, ttl=TTL)
        assert await storage.get(key) == text
        assert await storage.compare_and_set(key, text, f"{text}!", ttl=TTL) is True
        assert await storage.compare_and_set(key, f"{text}!", text, ttl=TTL) is True
        assert await storage.get_and_delete(key) == text
        assert await storage.set_if_absent(key, text, ttl=TTL) is True
        assert await storage.get(key) == text

    async def test_where_nothing_is(self, storage: SecondaryStorage, key: str) -> None:
        """The answer says so, and nothing is made by asking."""
        assert await storage.get(key) is None
        assert await storage.delete(key) is False
        assert await storage.get_and_delete(key) is None
        assert await storage.compare_and_set(key, "", "new", ttl=TTL) is False
        assert await storage.get(key) is None

    async def test_a_value_is_replaced(self, storage: SecondaryStorage, key: str) -> None:
        """By the last, unless it is to be kept only where none is."""
        await storage.set(key, "first", ttl=TTL)
        await storage.set(key, "second", ttl=TTL)

        assert await storage.set_if_absent(key, "third", ttl=TTL) is False
        assert await storage.get(key) == "second"

    async def test_another_value_is_not_swapped(self, storage: SecondaryStorage, key: str) -> None:
        """What was expected is compared to the end, and byte for byte."""
        await storage.set(key, "é 1", ttl=TTL)

        for other in ("", "É 1", "e\N{COMBINING ACUTE ACCENT} 1", "é 1 ", "é", "é 10", "None"):
            assert await storage.compare_and_set(key, other, "new", ttl=TTL) is False
        assert await storage.get(key) == "é 1"

    async def test_a_value_is_deleted_once(self, storage: SecondaryStorage, key: str) -> None:
        """And is as if it had never been."""
        await storage.set(key, "ada", ttl=TTL)

        deleted = [await storage.delete(key) for _ in range(2)]

        assert deleted == [True, False]
        assert await storage.get(key) is None

    async def test_a_value_is_taken_once(self, storage: SecondaryStorage, key: str) -> None:
        """And is as if it had never been."""
        await storage.set(key, "ada", ttl=TTL)

        taken = [await storage.get_and_delete(key) for _ in range(2)]

        assert taken == ["ada", None]
        assert await storage.get(key) is None

    async def test_several_values_are_read(
        self, storage: SecondaryStorage, key: str, pass_time: PassTime
    ) -> None:
        """In the order of their keys, each as it is read alone; `get_many` may be left out."""
        here, ended, never = f"{key}:here", f"{key}:ended", f"{key}:never"
        await storage.set(ended, "before", ttl=TTL)
        pass_time(ended)
        await storage.set(here, "nul\0 é", ttl=TTL)

        read = await get_many(storage, [ended, here, never, here])

        assert read == [None, "nul\0 é", None, "nul\0 é"]
        assert await get_many(storage, [never]) == [None]

    # --- keys ------------------------------------------------------------------------------

    async def test_keys_differ_in_every_byte(self, storage: SecondaryStorage, key: str) -> None:
        """In case, blanks and composed accents, and none is a pattern."""
        filled = key + "x" * (LONGEST_KEY - len(key))
        keys = [*(f"{key}{it}" for it in NAMES), *(f"{it}{key}" for it in NAMES), filled]
        for number, it in enumerate(keys):
            await storage.set(it, str(number), ttl=TTL)

        assert [await storage.get(it) for it in keys] == [str(it) for it in range(len(keys))]
        assert [await storage.delete(it) for it in keys] == [True] * len(keys)

    @pytest.mark.parametrize("refused", REFUSED_KEYS, ids=[f"{it!r:.12}" for it in REFUSED_KEYS])
    async def test_a_key_is_refused(self, storage: SecondaryStorage, refused: Any) -> None:
        """By every call, with an error that does not tell it."""
        calls: tuple[MakeCoroutine[Any], ...] = (
            partial(storage.get, refused),
            partial(get_many, storage, ["ada", refused]),
            partial(storage.set, refused, "ada", ttl=TTL),
            partial(storage.delete, refused),
            partial(storage.get_and_delete, refused),
            partial(storage.set_if_absent, refused, "ada", ttl=TTL),
            partial(storage.compare_and_set, refused, "ada", "eve", ttl=TTL),
            partial(storage.increment, refused, window=TTL),
        )

        for call in calls:
            with pytest.raises(InvalidValue) as refusal:
                await call()
            assert refusal.value.field == "key"

    async def test_half_a_character_is_refused(self, storage: SecondaryStorage, key: str) -> None:
        """As a value, and where one is expected; what was there stays."""
        await storage.set(key, "ada", ttl=TTL)
        calls: tuple[MakeCoroutine[Any], ...] = (
            partial(storage.set, key, "\ud83d", ttl=TTL),
            partial(storage.set_if_absent, key, "\ud83d", ttl=TTL),
            partial(storage.compare_and_set, key, "ada", "\ud83d", ttl=TTL),
            partial(storage.compare_and_set, key, "\ud83d", "ada", ttl=TTL),
        )

        for call in calls:
            with pytest.raises(InvalidValue):
                await call()
        assert await storage.get(key) == "ada"

    # --- for a while -----------------------------------------------------------------------

    async def test_every_value_has_an_end(
        self, storage: SecondaryStorage, key: str, time_left: TimeLeft
    ) -> None:
        """As long as it was given, by each call that writes."""
        await storage.set(f"{key}set", "a", ttl=TTL)
        await storage.set_if_absent(f"{key}absent", "a", ttl=TTL)
        await storage.set(f"{key}swapped", "a", ttl=TTL / 2)
        await storage.compare_and_set(f"{key}swapped", "a", "b", ttl=TTL)
        count = await storage.increment(f"{key}counter", window=TTL)

        for it in ("set", "absent", "swapped", "counter"):
            assert about(TTL, time_left(f"{key}{it}")), it
        assert about(TTL, count.ends_in)

    async def test_nobody_sees_a_value_without_an_end(
        self, storage: SecondaryStorage, key: str, time_left: TimeLeft, race: Race
    ) -> None:
        """Whoever looks the moment it appears sees how long it stays: a crash leaves nothing."""
        keys = [f"{key}{it}" for it in range(3)]

        async def look(name: str) -> float:
            while (left := time_left(name)) is None:
                await sleep(0)
            return left

        calls: list[MakeCoroutine[Any]] = [partial(look, it) for it in keys]
        calls += [
            partial(storage.set, keys[0], "a", ttl=TTL),
            partial(storage.set_if_absent, keys[1], "a", ttl=TTL),
            partial(storage.increment, keys[2], window=TTL),
        ]

        results = await race(len(calls), in_turn(calls))

        seen = [it for it in results if isinstance(it, float)]
        assert len(seen) == len(keys), results
        assert inf not in seen

    @pytest.mark.parametrize("ttl", REFUSED_LIFETIMES)
    async def test_a_lifetime_is_refused(
        self, storage: SecondaryStorage, key: str, ttl: Any
    ) -> None:
        """One that would end nothing, or never end; what was there stays."""
        await storage.set(key, "1", ttl=TTL)
        calls: tuple[MakeCoroutine[Any], ...] = (
            partial(storage.set, key, "2", ttl=ttl),
            partial(storage.set_if_absent, f"{key}new", "2", ttl=ttl),
            partial(storage.compare_and_set, key, "1", "2", ttl=ttl),
            partial(storage.increment, key, window=ttl),
        )

        for call in calls:
            with pytest.raises(InvalidValue):
                await call()
        assert await storage.get(key) == "1"
        assert await storage.get(f"{key}new") is None

    async def test_what_has_ended_is_absent(
        self, storage: SecondaryStorage, key: str, pass_time: PassTime
    ) -> None:
        """For every call, and there is room for another value."""
        await storage.set(key, "1", ttl=TTL)
        pass_time(key)
        assert await storage.get(key) is None
        assert await storage.delete(key) is False

        await storage.set(key, "1", ttl=TTL)
        pass_time(key)
        assert await storage.get_and_delete(key) is None

        await storage.set(key, "1", ttl=TTL)
        pass_time(key)
        assert await storage.compare_and_set(key, "1", "2", ttl=TTL) is False
        assert await storage.set_if_absent(key, "3", ttl=TTL) is True
        assert await storage.get(key) == "3"

    async def test_a_new_value_has_a_new_lifetime(
        self, storage: SecondaryStorage, key: str, time_left: TimeLeft
    ) -> None:
        """Longer or shorter than the old one had."""
        for ttl in (TTL * 3, TTL, TTL * 2):
            await storage.set(key, "a", ttl=ttl)
            assert about(ttl, time_left(key))
            assert await storage.compare_and_set(key, "a", "b", ttl=ttl + TTL) is True
            assert about(ttl + TTL, time_left(key))

    async def test_what_was_not_written_prolongs_nothing(
        self, storage: SecondaryStorage, key: str, time_left: TimeLeft
    ) -> None:
        """Whoever came too late does not keep the other's value alive."""
        await storage.set(key, "a", ttl=TTL)

        assert await storage.set_if_absent(key, "b", ttl=TTL * 2) is False
        assert await storage.compare_and_set(key, "b", "c", ttl=TTL * 2) is False

        assert about(TTL, time_left(key))

    # --- counters --------------------------------------------------------------------------

    async def test_a_counter_counts(self, storage: SecondaryStorage, key: str) -> None:
        """From one; it is read and forgotten as any value."""
        counts = [await storage.increment(key, window=TTL) for _ in range(3)]

        assert [it.value for it in counts] == [1, 2, 3]
        assert await storage.get(key) == "3"
        assert await storage.delete(key) is True
        assert (await storage.increment(key, window=TTL)).value == 1

    async def test_a_window_does_not_move(
        self, storage: SecondaryStorage, key: str, time_left: TimeLeft, pass_time: PassTime
    ) -> None:
        """Whatever later calls ask for; when it has ended another one begins."""
        await storage.increment(key, window=TTL)

        later = [await storage.increment(key, window=it) for it in (TTL * 2, TTL / 2)]

        assert all(about(TTL, it.ends_in) for it in later)
        assert about(TTL, time_left(key))
        pass_time(key)
        fresh = await storage.increment(key, window=TTL * 2)
        assert fresh.value == 1
        assert about(TTL * 2, fresh.ends_in)

    @pytest.mark.parametrize("text", ["", "ada", "1.5", " 1", "+1", "01", "1e3", "٣"])
    async def test_a_text_is_not_counted(
        self, storage: SecondaryStorage, key: str, text: str
    ) -> None:
        """It stays as it is."""
        await storage.set(key, text, ttl=TTL)

        with pytest.raises(InvalidValue):
            await storage.increment(key, window=TTL)

        assert await storage.get(key) == text

    async def test_a_number_is_counted_on(self, storage: SecondaryStorage, key: str) -> None:
        """One that was set is a counter that began there."""
        await storage.set(key, "41", ttl=TTL)

        count = await storage.increment(key, window=TTL * 2)

        assert count.value == 42
        assert about(TTL, count.ends_in)
