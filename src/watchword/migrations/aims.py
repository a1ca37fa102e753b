"""What is asked of a migration, and what it tells."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from watchword.errors import ConfigurationError
from watchword.migrations.renames import Renames

__all__ = ["Aim", "Migrated", "OnMigration", "Progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is asked of a migration.

    Args:
        renames: What has another name now.
        drop: Remove what nobody wants any more, with its values.
        keep: Go on with code that is older than the database, and keep what came after.
        to: Go back to this version, and remove what came after it; 0 removes everything.
            None goes to the schema of the application.

    Raises:
        ConfigurationError: A version is named together with one of the others.
    """

    renames: Renames = field(default_factory=Renames)
    drop: bool = False
    keep: bool = False
    to: int | None = None

    def __post_init__(self) -> None:
        if self.to is not None and (self.drop or self.keep or self.renames.asked):
            raise ConfigurationError(
                "Going back to a version leaves nothing to rename, to keep or to drop.",
                hint="Take away either the version or the others.",
            )


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


OnMigration: TypeAlias = Callable[[Progress], Awaitable[None] | None]
"""Hears of each statement, and of each batch of rows; `def` or `async def`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What a migration did.

    Args:
        version: That the database is at now.
        changes: Each in words; empty if there was nothing to do.
        is_new: The version was recorded just now, be it that the tables were right already.
        kept: What nobody wants any more and was kept with its values.
    """

    version: int
    changes: Sequence[str] = ()
    kept: Sequence[str] = ()
    is_new: bool = False
