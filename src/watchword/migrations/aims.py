"""What is asked of a migration, and what it tells."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from watchword.migrations.renames import Renames

__all__ = ["Aim", "Migrated", "OnProgress", "Progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is asked of a migration.

    Args:
        renames: What has another name now.
        drop: Remove what nobody wants any more, with its values.
        keep: Go on with code that is older than the database, and keep what came after.
        to: Go back to this version, and remove what came after it; 0 removes everything.
            None goes to the schema of the application.
    """

    renames: Renames = field(default_factory=Renames)
    drop: bool = False
    keep: bool = False
    to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a migration is.

    Args:
        step: The number of the statement that is run, from 1.
        steps: How many there are.
        doing: What it is a part of.
        rows: How many rows it has changed so far, where it goes through them in batches.
    """

    step: int
    steps: int
    doing: str
    rows: int = 0


OnProgress: TypeAlias = Callable[[Progress], Awaitable[None] | None]
"""Hears of each statement, and of each batch of rows; `def` or `async def`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What a migration did.

    Args:
        version: That the database is at now.
        changes: Each in words; empty if there was nothing to do.
        kept: What nobody wants any more and was kept with its values.
    """

    version: int
    changes: Sequence[str] = ()
    kept: Sequence[str] = ()
