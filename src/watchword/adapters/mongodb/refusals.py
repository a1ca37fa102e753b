"""From the errors of the driver and of the server to those of the contract."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bson.errors import BSONError
from pymongo.errors import (
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from watchword.adapters.mongodb.documents import ID, ModelCollection
from watchword.errors import (
    ConfigurationError,
    StorageError,
    StorageUnavailable,
    UniqueViolation,
    WatchwordError,
)

__all__ = ["is_lost_race", "no_transactions", "translated"]

_WAITED_ENOUGH: Final = (ServerSelectionTimeoutError, WaitQueueTimeoutError, NetworkTimeout)
_DUPLICATE: Final = frozenset({11000, 11001})
_NOT_LET_IN: Final = frozenset({18, 8000})
_NOT_PERMITTED: Final = 13
_NO_TRANSACTIONS: Final = frozenset({20, 263})
_WRITE_CONFLICT: Final = 112
_NOT_NOW: Final = ("RetryableWriteError", "UnknownTransactionCommitResult")

_NAMED_INDEX: Final = re.compile(r"(?:index:? '?|failed: )(?!index )([^\s']+)")


def is_lost_race(error: BaseException | None) -> bool:
    """Tell whether the server undid a transaction that may be begun again at once.

    The driver says so too where it found no server, no connection or no answer in time: it has
    waited enough.
    """
    return (
        isinstance(error, PyMongoError)
        and not isinstance(error, _WAITED_ENOUGH)
        and (
            error.has_error_label("TransientTransactionError")
            or getattr(error, "code", None) == _WRITE_CONFLICT
        )
    )


@contextmanager
def translated(it: ModelCollection | None, *, writes: bool) -> Iterator[None]:
    """Raise the contract's error in the place of the driver's, which becomes its cause.

    Args:
        it: What the call is about.
        writes: What was sent may have changed something.
    """
    try:
        yield
    except (PyMongoError, BSONError) as error:
        raise _translate(error, it, writes=writes) from error


def _translate(error: Exception, it: ModelCollection | None, *, writes: bool) -> WatchwordError:
    # Never their own words: they repeat values, and addresses.
    details = _details(error)
    code = details.get("code", getattr(error, "code", None))
    if it is not None and (isinstance(error, DuplicateKeyError) or code in _DUPLICATE):
        return UniqueViolation(it.model.name, _taken_fields(it, details))
    if isinstance(error, OperationFailure):
        return _refused(error, code, writes=writes)
    if isinstance(error, ServerSelectionTimeoutError):
        # Where something was sent before, the driver raises what became of that.
        return StorageUnavailable("MongoDB cannot be reached.", retryable=True)
    if isinstance(error, ConnectionFailure):
        message = "The connection to MongoDB was lost, or there was no answer in time."
        return StorageUnavailable(message, retryable=not writes or _is_undone(error))
    if isinstance(error, DocumentTooLarge):
        return StorageError("The row is larger than the 16 MB that MongoDB keeps.")
    return StorageError(f"MongoDB could not do this ({type(error).__name__}).")


def _is_undone(error: PyMongoError) -> bool:
    """Tell whether nothing of it is kept; a transaction's end without an answer never says so."""
    labels = ("TransientTransactionError", "NoWritesPerformed")
    return any(error.has_error_label(label) for label in labels)


def _refused(error: OperationFailure, code: Any, *, writes: bool) -> WatchwordError:
    if is_lost_race(error):
        return StorageUnavailable("MongoDB asked for another try.", retryable=True)
    if code in _NOT_LET_IN:
        return StorageUnavailable("MongoDB refuses the user or the password.", retryable=True)
    if code == _NOT_PERMITTED:
        return StorageError("MongoDB does not permit this user to do this.")
    if code in _NO_TRANSACTIONS:
        return no_transactions()
    if error.timeout or any(error.has_error_label(label) for label in _NOT_NOW):
        return StorageUnavailable(f"MongoDB cannot do this now ({code}).", retryable=not writes)
    return StorageError(f"MongoDB refused the operation ({code}).")


def no_transactions() -> ConfigurationError:
    """Return what a server without transactions is refused with, where they were promised."""
    return ConfigurationError(
        "This MongoDB server has no transactions.",
        hint="Run it as a replica set, of one member if need be, or say "
        "MongoDBAdapter(..., transactions=False).",
    )


def _details(error: Exception) -> Mapping[str, Any]:
    """Return what the server said, of the first row if there were many."""
    details = getattr(error, "details", None) or {}
    first, *_ = details.get("writeErrors") or [details]
    said: Mapping[str, Any] = first
    return said


def _taken_fields(it: ModelCollection, details: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields of the key that is taken; none if the server named nothing we know."""
    pattern = details.get("keyPattern")
    named = _NAMED_INDEX.search(str(details.get("errmsg", "")))
    for key in sorted(it.model.unique_keys, key=len, reverse=True):
        keys = [it.keys[name] for name in key]
        if list(pattern) == keys if pattern else named and _names(named[1], keys):
            return key
    return ()


def _names(index: str, keys: list[str]) -> bool:
    """Tell whether an index is of these keys, by its name alone: not all servers say more."""
    return (
        index.rpartition(".")[2] in {ID, f"{ID}_"}
        if keys == [ID]
        else index.endswith("_".join(["", *keys]))
    )
