"""What a database refuses, in a sentence: the step, its own words, and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from watchword.errors import (
    MigrationFailed,
    StorageError,
    StorageUnavailable,
    UniqueViolation,
)
from watchword.migrations.changes import AddUnique, Change, said
from watchword.migrations.statements import Statement

__all__ = ["refusals_told"]


@contextmanager
def refusals_told(statement: Statement | None) -> Iterator[None]:
    """Tell what the database refused; without a statement everything was one transaction.

    Raises:
        MigrationFailed: It refused something.
    """
    try:
        yield
    except (StorageUnavailable, MigrationFailed):
        raise
    except StorageError as error:
        if statement is None:
            hint = "Nothing was changed. Mend what is in the way and run it again."
            raise MigrationFailed(_words(error), hint=hint) from error
        raise MigrationFailed(
            f"{said(statement.change)}: {_words(error)}",
            hint=f"{_advice(statement.change, error)}The statement was: {statement.sql[:300]}\n"
            "What was done before stays done. Mend what is in the way and run it again: it goes "
            "on from there.",
        ) from error


def _advice(change: Change | None, error: StorageError) -> str:
    """Return how to find the rows that are in the way."""
    if not isinstance(change, AddUnique) or not isinstance(error, UniqueViolation):
        return ""
    columns = ", ".join(change.key.columns)
    return (
        f"Rows share a value: SELECT {columns}, count(*) FROM {change.table} "  # noqa: S608 - shown
        f"GROUP BY {columns} HAVING count(*) > 1\n"
    )


def _words(error: StorageError) -> str:
    """Return the database's own words, without what drivers put around them."""
    cause: Any = error.__cause__
    told: Any = getattr(cause, "orig", cause) or error
    arguments: tuple[Any, ...] = getattr(told, "args", ())
    is_numbered = len(arguments) > 1 and isinstance(arguments[0], int)
    words = re.sub(r"\A<class '[^']*'>: ", "", str(arguments[1] if is_numbered else told))
    # SQLite's tables are made anew under another name.
    lines = words.replace("_alembic_tmp_", "").strip().splitlines()
    return lines[0] if lines else str(error)
