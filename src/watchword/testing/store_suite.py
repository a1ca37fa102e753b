"""What the suites for stores of one's own share: callers, a clock, and stores of either kind."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import Parameter, signature
from itertools import takewhile
from secrets import token_hex
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeVar

import pytest

from watchword.concurrency import call
from watchword.testing.modes import PATIENCE, MakeCoroutine

__all__ = [
    "EXPIRES_IN",
    "STRANGE_TEXTS",
    "Awaited",
    "MovingClock",
    "NewUserId",
    "OwnStoreSuite",
    "Race",
    "StandingClock",
    "differing",
    "everything",
    "in_turn",
    "moment",
    "outcome_of",
    "pages",
]

T = TypeVar("T")

Race: TypeAlias = Callable[[int, MakeCoroutine[Any]], Awaitable[list[Any]]]
NewUserId: TypeAlias = Callable[[], Awaitable[str]]

EXPIRES_IN: Final = timedelta(hours=1)

STRANGE_TEXTS: Final = (
    *("", " ", "0", "-1", "999999999999999999999", "x" * 5000, "nul\0", "\ud800", "line\nbreak"),
    *("../../etc/passwd", "' OR '1'='1", "*)(uid=*", "%", "_", "😀", "None", "a,b;c\"d'"),
    *("00000000-0000-7000-8000-000000000000", "ada@example.org"),
)
"""What attackers and strangers ask for: no id, no token, no address of anybody."""

_END: Final = object()


class MovingClock(Protocol):
    """What the store under test takes for the time."""

    def __call__(self) -> datetime:
        """Tell the time, aware, in UTC."""

    def advance(self, **span: float) -> None:
        """Let time pass: `advance(hours=1)`."""


class StandingClock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self._now = datetime(2026, 5, 17, 12, 0, 0, 123000, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self._now

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self._now += timedelta(**span)


class Awaited:
    """A store whose methods are all awaited, be they written with `def` or `async def`."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Return a method of the store as a coroutine function."""
        method = getattr(self._store, name)

        async def awaited(*args: Any, **values: Any) -> Any:
            return await call(partial(method, *args, **values))

        return awaited

    def all(self, **values: Any) -> AsyncIterator[Any]:
        """Go through what the store's `all()` goes through, with `async for` or with `for`."""
        found = self._store.all(**values)
        return found if isinstance(found, AsyncIterator) else _stepped(found)


async def _stepped(found: Iterable[T]) -> AsyncIterator[T]:
    step = partial(next, iter(found), _END)
    while (it := await call(step)) is not _END:
        yield it


async def everything(found: AsyncIterator[T]) -> list[T]:
    """Return all that an iterator goes through."""
    return [it async for it in found]


async def pages(page: Callable[[str | None], Awaitable[Sequence[Any]]]) -> list[Any]:
    """Return what all pages hold, each of which begins after the last id of the one before."""
    found: list[Any] = []
    while rows := await page(found[-1].id if found else None):
        found += rows
        assert len(found) < 1000, "the pages come to no end"
    return found


async def outcome_of(made: Awaitable[T], *refusals: type[Exception]) -> T | Exception:
    """Return the result, or the error if it is one of these."""
    try:
        return await made
    except refusals as error:
        return error


def moment(instant: datetime) -> datetime:
    """Return an instant as coarse as stores may keep it: to the second."""
    assert instant.utcoffset() == timedelta(0), "instants are aware, and in UTC"
    return instant.replace(microsecond=0)


def in_turn(calls: Iterable[MakeCoroutine[Any]]) -> MakeCoroutine[Any]:
    """Let each caller of a race make another one of these calls."""
    left = iter(calls)

    async def call_next() -> Any:
        return await next(left)()

    return call_next


def differing(tokens: Sequence[str]) -> int:
    """Return how many characters are left of each without what all begin and end with."""
    endings = [it[::-1] for it in tokens]
    return min(map(len, tokens)) - _in_common(tokens) - _in_common(endings)


def _in_common(texts: Sequence[str]) -> int:
    """Return with how many characters all of them begin alike."""
    alike = takewhile(lambda it: len(set(it)) == 1, zip(*texts, strict=False))
    return sum(1 for _ in alike)


def _samples(user_id: str) -> dict[str, Any]:
    """Return what is given for the parameters that are not any text, by name."""
    return {
        "user_id": user_id,
        "email": f"{token_hex(8)}@example.org",
        "field": "email",
        "ip_address": "192.0.2.1",
        "expires_at": datetime(2100, 1, 1, tzinfo=UTC),
        "expires_in": EXPIRES_IN,
        "expected": {},
        "even_last": True,
        "after": None,
        "offset": 0,
        **dict.fromkeys(("limit", "batch_size"), 10),
    }


def _calls(method: Callable[..., Any], user_id: str) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Go through the ways to give a method all its parameters: by position, and by name."""
    _, *parameters = signature(method).parameters.values()
    for placed in (Parameter.POSITIONAL_OR_KEYWORD, None):
        samples = _samples(user_id)
        given = [
            (it, samples.get(it.name, token_hex(8)))
            for it in parameters
            if it.kind is not Parameter.VAR_KEYWORD
        ]
        yield (
            [value for it, value in given if it.kind is placed],
            {it.name: value for it, value in given if it.kind is not placed},
        )


class OwnStoreSuite:
    """The ground of the suites for stores; each is subclassed with the fixture `store`."""

    pytestmark: ClassVar[Any] = pytest.mark.watchword_async

    patience: ClassVar[float] = PATIENCE
    """Seconds after which a call counts as hanging."""
    rounds: ClassVar[int] = 20
    """How often a race is run; more for a soak."""
    callers: ClassVar[int] = 64
    """How many take part in a race."""
    knows_users: ClassVar[bool] = True
    """The store can tell who its users are; False for one that keeps their ids alone."""
    protocol: ClassVar[type]
    """What the store keeps to; each suite names its own."""

    @pytest.fixture
    def store(self) -> Any:
        """Return a store in which nothing is; its methods are `def` or `async def`."""
        raise NotImplementedError("the subclass provides the fixture 'store'")

    @pytest.fixture
    def clock(self) -> MovingClock:
        """Tell the store the time, and move it; `store` asks for this and hands it over.

        A store with a time of its own, such as a server's, has a subclass that returns what
        moves that.
        """
        return StandingClock()

    @pytest.fixture
    def new_user_id(self) -> NewUserId:
        """Make the ids of users whom the store has to know; any texts, unless it is told."""

        async def new_user_id() -> str:
            return token_hex(8)

        return new_user_id

    @pytest.fixture
    def user_id(self, run: Callable[..., Any], new_user_id: NewUserId) -> str:
        """The id of one user."""
        return str(run(new_user_id()))

    async def test_methods_are_called_as_the_protocol_has_them(
        self, store: Any, user_id: str
    ) -> None:
        """With all parameters: by position where that may be, and by their names."""
        awaited = Awaited(store)
        for name, method in vars(self.protocol).items():
            is_asked = name != "get_by_provider" or self.knows_users
            if name.startswith("_") or not is_asked:
                continue
            for args, values in _calls(method, user_id):
                answer = getattr(awaited, name)(*args, **values)
                await (everything(answer) if isinstance(answer, AsyncIterator) else answer)
