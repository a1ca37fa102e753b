"""What changes a database to what a schema wants, whichever kind it is of."""

from collections.abc import Sequence
from typing import Protocol

from watchword.migrations.aims import Aim, Migrated, OnMigration
from watchword.migrations.plan import Plan
from watchword.migrations.state import State
from watchword.schema.snapshot import Snapshot

__all__ = ["Migrator"]


class Migrator(Protocol):
    """Changes one database. Every run looks at what is there and does what is missing."""

    async def state(self) -> State:
        """Return how far the database is; writes nothing."""

    async def present(self, recorded: Snapshot | None = None) -> Snapshot:
        """Return the tables that are wanted, or were recorded, as they are."""

    async def plan(self, aim: Aim) -> Plan:
        """Return what `run` would do; writes nothing."""

    async def statements(self, aim: Aim, /) -> Sequence[str]:
        """Return the SQL by which `run` would change the tables; writes nothing.

        Raises:
            ConfigurationError: The database takes no SQL.
        """

    async def run(self, aim: Aim, *, on_progress: OnMigration | None = None) -> Migrated:
        """Do what is missing, while others may be at work."""
