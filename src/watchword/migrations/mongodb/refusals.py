"""What MongoDB refuses, in a sentence: the step, why, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pymongo.errors import DuplicateKeyError, OperationFailure

from watchword.adapters.mongodb.making import shared_values
from watchword.adapters.mongodb.refusals import translated
from watchword.errors import MigrationFailed, StorageError, StorageUnavailable
from watchword.migrations.changes import AddUnique, Change, said

__all__ = ["permitted", "refusals_told"]

_GOES_ON: Final = (
    "What was done before stays done. Mend what is in the way and run it again: it goes on from "
    "there."
)
_NOT_PERMITTED: Final = 13
_DOES_NOT_FIT: Final = 121
_OTHERWISE: Final = frozenset({85, 86})
_ROLES: Final = "Its user needs the roles readWrite and dbAdmin here."


@contextmanager
def permitted(*, writes: bool) -> Iterator[None]:
    """Raise the contract's errors, and say which rights are missing where some are.

    Args:
        writes: What was sent may have changed something.

    Raises:
        MigrationFailed: Whoever asks has no right to.
        StorageError: Anything else is in the way.
    """
    try:
        with translated(None, writes=writes):
            yield
    except MigrationFailed:
        raise
    except StorageError as error:
        if _code_of(error.__cause__) != _NOT_PERMITTED:
            raise
        raise MigrationFailed(str(error), hint=_ROLES) from error


def _code_of(cause: BaseException | None) -> int | None:
    return cause.code if isinstance(cause, OperationFailure) else None


@contextmanager
def refusals_told(change: Change) -> Iterator[None]:
    """Tell what MongoDB refused, without its own words: these repeat people's values.

    Raises:
        MigrationFailed: It refused something.
        StorageUnavailable: It cannot be reached.
    """
    try:
        with translated(None, writes=True):
            yield
    except (StorageUnavailable, MigrationFailed):
        raise
    except StorageError as error:
        why, advice = _explained(change, error.__cause__, str(error))
        raise MigrationFailed(f"{said(change)}: {why}", hint=f"{advice}{_GOES_ON}") from error


def _explained(change: Change, cause: BaseException | None, message: str) -> tuple[str, str]:
    if isinstance(change, AddUnique) and isinstance(cause, DuplicateKeyError):
        columns = dict.fromkeys(change.key.columns, 1)
        found = shared_values(change.table, {"key": columns})
        return "documents share a value.", f"Find them: {found}\n"
    code = _code_of(cause)
    if code == _NOT_PERMITTED:
        return message, f"{_ROLES}\n"
    if code in _OTHERWISE:
        found = f'db.getCollection("{change.table}").getIndexes()'
        return "another index of the same fields is in the way.", f"Find it and drop it: {found}\n"
    if code == _DOES_NOT_FIT:
        return "a document does not fit what is asked of it.", ""
    return message, ""
