"""A migration that was decided on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from watchword.errors import MigrationRefused
from watchword.migrations.aims import Migrated
from watchword.migrations.plan import Plan
from watchword.migrations.state import State

__all__ = ["Job", "refuse"]

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[S]):
    """What was decided and written down, and is now to be done.

    Args:
        number: Of the version that was begun.
        plan: What is done.
        state: How far the database was.
        back_to: The version that it goes back to, if it does.
    """

    number: int
    plan: Plan
    state: S
    back_to: int | None

    @property
    def migrated(self) -> Migrated:
        """What is told when it is done."""
        version = self.number if self.back_to is None else self.back_to
        changes = tuple(f"{it.sign} {it}" for it in self.plan.changes)
        is_new = self.back_to is None
        return Migrated(version=version, changes=changes, kept=self.plan.kept, is_new=is_new)


def refuse(conflicts: Sequence[str]) -> None:
    """Refuse a plan that cannot be carried out.

    Raises:
        MigrationRefused: There is something in the way.
    """
    if conflicts:
        raise MigrationRefused(
            "The tables cannot be changed to what is wanted; nothing was done.",
            hint="\n".join(conflicts),
        )
