"""What the suite for secondary storages asks of a subclass."""

from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any, ClassVar, Final, TypeAlias

import pytest

from watchword.storage.secondary import SecondaryStorage
from watchword.testing.modes import PATIENCE, MakeCoroutine

__all__ = ["TTL", "PassTime", "Race", "SecondaryStorageGround", "TimeLeft", "about"]

Race: TypeAlias = Callable[[int, MakeCoroutine[Any]], Awaitable[list[Any]]]
TimeLeft: TypeAlias = Callable[[str], float | None]
PassTime: TypeAlias = Callable[[str], None]

TTL: Final = 600.0


class SecondaryStorageGround:
    """Fixtures and attributes; a subclass provides `storage`, `time_left` and `pass_time`."""

    pytestmark: ClassVar[Any] = pytest.mark.watchword_async

    patience: ClassVar[float] = PATIENCE
    """Seconds after which a call counts as hanging."""
    rounds: ClassVar[int] = 20
    """How often a race is run; more for a soak."""
    callers: ClassVar[int] = 64
    """How many take part in a race."""
    survives_disconnect: ClassVar[bool] = False
    """There is a fixture `disconnect`: a callable that cuts every connection of `storage`."""

    @pytest.fixture
    def storage(self) -> SecondaryStorage:
        """Return the storage."""
        raise NotImplementedError("the subclass provides the fixture 'storage'")

    @pytest.fixture
    def time_left(self) -> TimeLeft:
        """Return what tells, past the storage, how many seconds a key's value has left.

        None if there is no value, `math.inf` if it would never end.
        """
        raise NotImplementedError("the subclass provides the fixture 'time_left'")

    @pytest.fixture
    def pass_time(self) -> PassTime:
        """Return what lets the lifetime of a key's value come to its end."""
        raise NotImplementedError("the subclass provides the fixture 'pass_time'")

    @pytest.fixture
    def disconnect(self) -> Callable[[], None]:
        """Return what cuts every connection of the storage."""
        raise NotImplementedError("survives_disconnect needs the fixture 'disconnect'")

    @pytest.fixture
    def key(self) -> str:
        """A key that nobody has used."""
        return token_hex(8)


def about(seconds: float, left: float | None) -> bool:
    """Tell whether a lifetime is what it was a moment ago; the moment may be long."""
    return left is not None and seconds - TTL / 4 < left <= seconds
