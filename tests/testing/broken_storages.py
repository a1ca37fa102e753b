"""Secondary storages that each break one promise, in one method; it says how at the method."""

# Which method is meant is told by a function's name, and one may be broken in several ways.
# ruff: noqa: A001, F811

from contextlib import suppress
from dataclasses import replace
from math import inf

from watchword.adapters.memory_storage import MemoryStorage
from watchword.concurrency import sleep
from watchword.errors import InvalidValue

BROKEN = {}


class Broken:
    """A storage of which one method is another one's."""

    def __init__(self, clock, method):
        self.real = MemoryStorage(clock)
        self.method = method
        self.needs_loop = method is not None and method.__name__ == "needs_loop"
        self.endless = {}

    def __getattribute__(self, name):
        """Return the broken method, or a real one."""
        if name not in CALLS:
            return object.__getattribute__(self, name)
        if self.method is None or name != self.method.__name__:
            return getattr(self.real, name)

        async def broken(*args, **values):
            return await self.method(self, *args, **values)

        return broken

    def time_left(self, key):
        """Return how long a value stays, as the suite asks it."""
        entry = self.real._entries.get(key)
        if entry is None:
            return None
        return inf if key in self.endless else (entry.ends_at - self.real._elapsed).total_seconds()


CALLS = {
    *("get", "set", "delete", "get_and_delete", "set_if_absent", "compare_and_set", "increment"),
    *("get_many", "close"),
}
# From Python 3.12 on `isinstance` looks for a protocol's members without `__getattribute__`.
for name in CALLS:
    setattr(Broken, name, lambda: None)


def breaks(*tests):
    """Say which tests of the suite have to notice."""

    def note(method):
        BROKEN.update(dict.fromkeys(tests, method))
        return method

    return note


@breaks("test_it_says_whether_it_needs_a_loop")
def needs_loop():
    """It needs one, and says so; its class does not."""


@breaks("test_a_value_comes_back")
async def get(it, key):
    """Values end with their first NUL."""
    value = await it.real.get(key)
    return value and value.partition("\0")[0]


@breaks("test_several_values_are_read")
async def get_many(it, keys):
    """What is asked for twice is told once."""
    return [await it.real.get(key) for key in dict.fromkeys(keys)]


@breaks("test_where_nothing_is")
async def compare_and_set(it, key, expected, value, *, ttl):
    """Nothing is as good as an empty text."""
    if expected == "" and await it.real.get(key) is None:
        return await it.real.set_if_absent(key, value, ttl=ttl)
    return await it.real.compare_and_set(key, expected, value, ttl=ttl)


@breaks("test_a_value_is_replaced")
async def set(it, key, value, *, ttl):
    """The first value stays."""
    await it.real.set_if_absent(key, value, ttl=ttl)


@breaks("test_another_value_is_not_swapped")
async def compare_and_set(it, key, expected, value, *, ttl):
    """Blanks at the end are not compared."""
    found = await it.real.get(key)
    if found is not None and found.rstrip() == expected.rstrip():
        expected = found
    return await it.real.compare_and_set(key, expected, value, ttl=ttl)


@breaks("test_a_value_is_deleted_once")
async def delete(it, key):
    """Everybody is told that it was they."""
    await it.real.delete(key)
    return True


@breaks("test_a_value_is_taken_once")
async def get_and_delete(it, key):
    """What is taken stays."""
    return await it.real.get(key)


@breaks("test_keys_differ_in_every_byte")
async def set(it, key, value, *, ttl):
    """Case does not matter."""
    for name in {key.lower(), key}:
        await it.real.set(name, value, ttl=ttl)


@breaks("test_a_key_is_refused")
async def delete(it, key):
    """Where no value can be, nothing is deleted."""
    with suppress(InvalidValue):
        return await it.real.delete(key)
    return False


@breaks("test_half_a_character_is_refused")
async def set(it, key, value, *, ttl):
    """What cannot be written is left out."""
    await it.real.set(key, value.encode(errors="ignore").decode(), ttl=ttl)


@breaks("test_every_value_has_an_end", "test_a_new_value_has_a_new_lifetime")
async def compare_and_set(it, key, expected, value, *, ttl):
    """Whatever replaces a value ends with it."""
    left = it.time_left(key)
    done = await it.real.compare_and_set(key, expected, value, ttl=ttl)
    if done:
        await it.real.set(key, value, ttl=left)
    return done


@breaks("test_nobody_sees_a_value_without_an_end")
async def increment(it, key, *, window):
    """A counter is told its end later."""
    it.endless[key] = True
    count = await it.real.increment(key, window=window)
    await sleep(0.05)
    it.endless.pop(key, None)
    return count


@breaks("test_a_lifetime_is_refused")
async def set_if_absent(it, key, value, *, ttl):
    """Without a lifetime a value stays for an hour."""
    return await it.real.set_if_absent(key, value, ttl=ttl or 3600)


@breaks("test_what_has_ended_is_absent")
async def compare_and_set(it, key, expected, value, *, ttl):
    """What has ended and was not yet removed is as good as ever."""
    done = await it.real.compare_and_set(key, expected, value, ttl=ttl)
    return done or (await it.real.get(key) is None and expected == "1")


@breaks("test_what_was_not_written_prolongs_nothing")
async def set_if_absent(it, key, value, *, ttl):
    """Who comes too late keeps what is there alive."""
    found = await it.real.get(key)
    if found is not None:
        await it.real.set(key, found, ttl=ttl)
    return await it.real.set_if_absent(key, value, ttl=ttl)


@breaks("test_a_counter_counts")
async def increment(it, key, *, window):
    """It begins at nothing."""
    count = await it.real.increment(key, window=window)
    return replace(count, value=count.value - 1)


@breaks("test_a_window_does_not_move")
async def increment(it, key, *, window):
    """Each call puts the end off."""
    count = await it.real.increment(key, window=window)
    await it.real.set(key, str(count.value), ttl=window)
    return replace(count, ends_in=window)


@breaks("test_a_text_is_not_counted")
async def increment(it, key, *, window):
    """What is no counter gives way to one."""
    try:
        return await it.real.increment(key, window=window)
    except InvalidValue:
        if isinstance(window, float):
            await it.real.delete(key)
        return await it.real.increment(key, window=window)


@breaks("test_a_number_is_counted_on")
async def increment(it, key, *, window):
    """Counters are kept elsewhere."""
    return await it.real.increment(f"{key[:400]}#", window=window)


@breaks("test_one_caller_sets")
async def set_if_absent(it, key, value, *, ttl):
    """Whoever saw no value keeps one."""
    found = await it.real.get(key)
    await sleep(0.01)
    if found is not None:
        return False
    await it.real.set(key, value, ttl=ttl)
    return True


@breaks("test_one_caller_takes")
async def get_and_delete(it, key):
    """Whoever saw the value took it."""
    found = await it.real.get(key)
    await sleep(0.01)
    await it.real.delete(key)
    return found


@breaks("test_one_caller_swaps")
async def compare_and_set(it, key, expected, value, *, ttl):
    """Whoever saw what was expected replaced it."""
    found = await it.real.get(key)
    await sleep(0.01)
    if found != expected:
        return False
    await it.real.set(key, value, ttl=ttl)
    return True


@breaks("test_one_caller_deletes")
async def delete(it, key):
    """Whoever saw the value deleted it."""
    found = await it.real.get(key)
    await sleep(0.01)
    await it.real.delete(key)
    return found is not None


@breaks("test_no_count_is_lost")
async def increment(it, key, *, window):
    """What was read is written, later."""
    found = int(await it.real.get(key) or 0)
    await sleep(0.01)
    count = await it.real.increment(key, window=window)
    await it.real.compare_and_set(key, str(count.value), str(found + 1), ttl=window)
    return replace(count, value=found + 1)


@breaks("test_it_can_be_closed_twice")
async def close(it):
    """A second time is a mistake."""
    assert "closed" not in vars(it)
    it.closed = True


@breaks("test_a_cut_connection_is_replaced")
async def set(it, key, value, *, ttl):
    """After a cut nothing works any more."""
    if "cut" in vars(it):
        raise ConnectionError
    await it.real.set(key, value, ttl=ttl)
