"""What a store of short-lived values promises beside the database: each call is one atomic step.

`watchword.testing.SecondaryStorageSuite` is the meaning of this contract.

* Keys and values are text, compared byte for byte. A key has 1 to 512 bytes in UTF-8 and no NUL;
  a value is any text, and one of a million characters is kept.
* Every value ends by itself: its lifetime is given with the value, in the same step. It is kept
  to the millisecond, and no shorter than one.
* What has ended is absent, whether or not it was removed.
* A counter is a value too, the text of its number: `get` tells it and `delete` forgets it.
* Errors are those of `watchword.errors`, with the driver's own as their cause, and name no key
  and no value: either may be a secret.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol, runtime_checkable

from watchword.errors import InvalidValue

__all__ = [
    "LONGEST_KEY",
    "BatchReads",
    "Count",
    "SecondaryStorage",
    "check_key",
    "check_value",
    "counted",
    "get_many",
    "milliseconds",
]

LONGEST_KEY: Final = 512
"""Bytes that a key has at most, in UTF-8 and without a storage's own prefix."""

_LONGEST_LIFE: Final = 100 * 366 * 24 * 60 * 60
_COUNTER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Count:
    """What a counter has come to.

    Args:
        value: The calls of this window, with this one.
        ends_in: Seconds until it ends.
    """

    value: int
    ends_in: float


@runtime_checkable
class SecondaryStorage(Protocol):
    """Keeps short-lived values for all processes that share it.

    Each call may raise `StorageUnavailable`: nobody answers, or not in time. If that is
    retryable nothing was written; otherwise nobody knows whether it was. Each may raise
    `InvalidValue`, before anything is done, for a key, a value or a lifetime that it refuses.
    """

    @property
    def needs_loop(self) -> bool:
        """Whether its calls wait for an event loop; a blocking program cannot use it then."""

    async def get(self, key: str) -> str | None:
        """Return a value; None if there is none, or none any more."""

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        """Keep a value for so many seconds, in place of any other."""

    async def delete(self, key: str) -> bool:
        """Forget a value; tell whether this call did, which of several that race one did."""

    async def get_and_delete(self, key: str) -> str | None:
        """Forget a value and return it, to one of several callers that race for it."""

    async def set_if_absent(self, key: str, value: str, *, ttl: float) -> bool:
        """Keep a value if there is none; tell whether this call did, which one of several did."""

    async def compare_and_set(self, key: str, expected: str, value: str, *, ttl: float) -> bool:
        """Put a value in the place of the expected one; tell whether that was there."""

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a counter and return what it has come to.

        A counter begins with the first call and ends `window` seconds after that, whatever
        comes in between.

        Raises:
            InvalidValue: There is a value of this key, and it is no whole number.
        """

    async def close(self) -> None:
        """Give back connections that it made; a client that was passed in stays open."""


@runtime_checkable
class BatchReads(Protocol):
    """A storage that reads several values in one trip."""

    async def get_many(self, keys: Sequence[str]) -> list[str | None]:
        """Return a value for each key, in their order, as `get` does; not all in one step."""


async def get_many(storage: SecondaryStorage, keys: Sequence[str]) -> list[str | None]:
    """Return a value for each key, in one trip where the storage can do that."""
    if isinstance(storage, BatchReads):
        return await storage.get_many(keys)
    return [await storage.get(key) for key in keys]


# --- what each implementation refuses alike ------------------------------------------------


def check_key(key: str) -> bytes:
    """Return a key in UTF-8.

    Raises:
        InvalidValue: It is empty, too long, or no text that every storage can keep.
    """
    encoded = _encoded("key", key)
    if not encoded:
        raise _refused("key", "is empty")
    if len(encoded) > LONGEST_KEY:
        raise _refused("key", f"longer than {LONGEST_KEY} bytes")
    if b"\0" in encoded:
        raise _refused("key", "has a NUL")
    return encoded


def check_value(value: str) -> bytes:
    """Return a value in UTF-8.

    Raises:
        InvalidValue: It is no text, or has half of a surrogate pair.
    """
    return _encoded("value", value)


def milliseconds(seconds: float) -> int:
    """Return a lifetime in whole milliseconds, at least one.

    Raises:
        InvalidValue: It is not more than nothing, or more than a century.
    """
    if not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST_LIFE:
        raise _refused("lifetime", "is not more than zero, or more than a century")
    return ceil(seconds * 1000)


def counted(value: str) -> int:
    """Return the number that a counter's value is the text of.

    Raises:
        InvalidValue: It is another text.
    """
    if not _COUNTER.fullmatch(value):
        raise _refused("value", "is no counter")
    return int(value)


def _encoded(what: str, text: str) -> bytes:
    if not isinstance(text, str):
        raise _refused(what, "is no text")
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Without its cause, which would show the text.
        raise _refused(what, "is no text that can be written in UTF-8") from None


def _refused(what: str, reason: str) -> InvalidValue:
    return InvalidValue("secondary storage", what, reason)
