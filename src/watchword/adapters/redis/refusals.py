"""From the errors of the driver and of the server to those of the contract."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MaxConnectionsError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import TimeoutError as NoAnswer

from watchword.adapters.redis.lines import Sent
from watchword.errors import InvalidValue, StorageError, StorageUnavailable

__all__ = ["translated"]

# The server said no, and did nothing.
_NOT_NOW: Final = (
    *(BusyLoadingError, ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError),
    *(MaxConnectionsError, SlotNotCoveredError),
)
_NOT_NOW_CODES: Final = ("MISCONF ", "BUSY ", "NOREPLICAS ", "MASTERDOWN ")
_NOT_LET_IN: Final = (AuthenticationError, AuthorizationError)
_NO_ANSWER: Final[tuple[tuple[tuple[type[Exception], ...], str], ...]] = (
    ((TimeoutError, NoAnswer), "Redis did not answer in time."),
    ((OSError, ConnectionLost), "The connection to Redis was lost."),
    ((RedisClusterException,), "The cluster cannot be reached."),
)
# The class of an error and a part of its words, and what it means.
_REFUSALS: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (MovedError, "", "This Redis belongs to a cluster: write redis+cluster://."),
    (RedisClusterException, "", "This Redis belongs to no cluster: write redis://."),
    (NoPermissionError, "", "Redis does not permit this user to do this."),
    (ResponseError, "WRONGTYPE", "Redis has something else than a text under this key."),
    (ResponseError, "unknown command", "Redis lacks a command: it has to be 6.2 or newer."),
)


@contextmanager
def translated(sent: Sent) -> Iterator[None]:
    """Raise the contract's error in the place of the driver's, which becomes its cause."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        raise _translate(error, sent) from error


def _translate(error: Exception, sent: Sent) -> StorageError:
    if isinstance(error, _NOT_LET_IN):
        return StorageUnavailable("Redis refuses the user or the password.", retryable=True)
    if isinstance(error, _NOT_NOW) or str(error).startswith(_NOT_NOW_CODES):
        return StorageUnavailable(f"Redis cannot do this now ({_code(error)}).", retryable=True)
    if isinstance(error, ResponseError) or "Cluster mode is not enabled" in str(error):
        return _refused(error)
    for kinds, message in _NO_ANSWER:
        if isinstance(error, kinds):
            return StorageUnavailable(message, retryable=not sent.yes)
    return StorageError(f"Redis gave an answer that cannot be read ({type(error).__name__}).")


def _code(error: Exception) -> str:
    code = str(error).partition(" ")[0]
    return code if f"{code} " in _NOT_NOW_CODES else type(error).__name__


def _refused(error: Exception) -> StorageError:
    # Never its own words: they may repeat the key.
    words = str(error)
    if "not an integer" in words or "would overflow" in words:
        return InvalidValue("secondary storage", "value", "is no counter")
    for kind, part, message in _REFUSALS:
        if isinstance(error, kind) and part in words:
            return StorageError(message)
    return StorageError("Redis refused the command.")
