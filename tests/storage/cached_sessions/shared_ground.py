"""A database and a storage that several processes share, and in which each call is a step."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Final

from tests.storage.cached_sessions.interleaving import Actor, Died

from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.memory_storage import MemoryStorage
from watchword.errors import StorageUnavailable

STORAGE: Final = "/storage/"
DATABASE: Final = "/database"
_LOOKS: Final = frozenset({"find_one", "find_many", "count"})


async def _before(place: str, *, changes: bool) -> None:
    actor = Actor.current()
    if actor is not None:
        await actor.wait_for_turn(place, changes=changes)


async def _after() -> None:
    await _before("", changes=True)


class Ground:
    """The rows and the values, as everybody finds them.

    Reads see what is committed, even while somebody has a transaction open: a memory adapter
    alone would let them wait, and no read would ever be overtaken by a commit.

    Args:
        clock: Tells the time of the values.
    """

    def __init__(self, clock: Callable[[], Any]) -> None:
        self.adapter = MemoryAdapter()
        self.storage = MemoryStorage(clock)
        self._committed = MemoryAdapter()

    @property
    def is_taken(self) -> bool:
        """Whether a transaction is open, so that others do not write."""
        return self.adapter._open is not None

    @property
    def is_ours(self) -> bool:
        """Whether it is the caller's."""
        return self.adapter._open is not None and self.adapter._open.is_ours()

    @property
    def tables(self) -> Mapping[str, Mapping[Any, Mapping[str, Any]]]:
        """The rows that are committed."""
        return (self._committed if self.is_taken else self.adapter)._tables

    def note_begin(self) -> None:
        """Keep what is committed in view, while a transaction is open."""
        self._committed.bind(self.adapter._schema)
        self._committed._tables = dict(self.adapter._tables)

    def read_by(self, name: str, options: Mapping[str, Any]) -> MemoryAdapter:
        """Return where an operation is done."""
        sees_committed = name in _LOOKS and not options.get("lock")
        return self._committed if sees_committed and self._is_others else self.adapter

    @property
    def _is_others(self) -> bool:
        return self.is_taken and not self.is_ours

    def restore(self, tables: Mapping[str, Any], storage: MemoryStorage) -> None:
        """Be as it was."""
        assert not self.is_taken
        assert not self.adapter._mutex._held
        self.adapter._tables = dict(tables)
        self.storage = copy_of(storage)


def copy_of(storage: MemoryStorage) -> MemoryStorage:
    """Return a storage with the same values, which end when these end."""
    copy = MemoryStorage(storage._clock)
    copy._elapsed, copy._read_at = storage._elapsed, storage._read_at
    for entry in storage._entries.values():
        copy._put(entry.key, entry.value, entry.ends_at)
    return copy


def _operation(name: str) -> Callable[..., Any]:
    async def operation(self: "SteppedAdapter", *args: Any, **options: Any) -> Any:
        return await self._step(name, args, options)

    return operation


class SteppedAdapter:
    """One process's way to the database."""

    create, create_many = _operation("create"), _operation("create_many")
    find_one, find_many, count = map(_operation, ("find_one", "find_many", "count"))
    update, update_many = _operation("update"), _operation("update_many")
    delete, delete_many = _operation("delete"), _operation("delete_many")
    consume_one = _operation("consume_one")

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.capabilities = ground.adapter.capabilities

    def bind(self, schema: Any) -> None:
        """Let the database learn it."""
        self._ground.adapter.bind(schema)

    async def close(self) -> None:
        """Keep everything."""

    async def _step(self, name: str, args: Any, options: Any) -> Any:
        # What a transaction does is its own until the commit, and nobody else writes meanwhile.
        place = "" if self._ground.is_ours else DATABASE
        looks = name in _LOOKS and not options.get("lock")
        await _before(place, changes=not looks)
        adapter = self._ground.read_by(name, options)
        result = await getattr(adapter, name)(*args, **options)
        await _after()
        return result

    def transaction(self) -> "_SteppedTransaction":
        """Open one, or a savepoint."""
        return _SteppedTransaction(self._ground)


class _SteppedTransaction:
    """Begins in one step, and is committed or undone in another."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._inner = ground.adapter.transaction()
        self._place = ""

    async def __aenter__(self) -> None:
        self._place = "" if self._ground.is_ours else DATABASE
        await _before(self._place, changes=True)
        await self._inner.__aenter__()
        if self._place:
            self._ground.note_begin()
        await _after()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            await _before(self._place, changes=True)
        except Died as death:
            # Its connection is lost, so the database undoes what was open.
            await self._inner.__aexit__(type(death), error or death, death.__traceback__)
            raise
        suppressed = await self._inner.__aexit__(kind, error, trace)
        await _after()
        return suppressed


def _call(name: str) -> Callable[..., Any]:
    async def call(self: "SteppedStorage", key: str, *args: Any, **options: Any) -> Any:
        return await self._step(name, key, args, options)

    return call


class SteppedStorage:
    """One process's way to the storage; from a call that is chosen on it may fail."""

    needs_loop = False
    get, set, delete, get_and_delete = map(_call, ("get", "set", "delete", "get_and_delete"))
    set_if_absent, compare_and_set = _call("set_if_absent"), _call("compare_and_set")
    increment = _call("increment")

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.fails_after: int | None = None
        self.loses_answers = False
        self.failures = 0

    async def close(self) -> None:
        """Keep everything."""

    async def _step(self, name: str, key: str, args: Any, options: Any) -> Any:
        await _before(f"{STORAGE}{key}", changes=name != "get")
        fails = self._fails()
        if fails and not self.loses_answers:
            raise StorageUnavailable("The storage is away.", retryable=True)
        result = await getattr(self._ground.storage, name)(key, *args, **options)
        if fails:
            raise StorageUnavailable("Its answer is lost.", retryable=False)
        await _after()
        return result

    def _fails(self) -> bool:
        """Count a call; tell whether it is one that fails."""
        if self.fails_after is None:
            return False
        self.fails_after -= 1
        self.failures += self.fails_after < 0
        return self.fails_after < 0


MARK_ENDS_IN: Final = timedelta(seconds=11)
"""After which a mark of a change is gone."""
