"""Bring a database from one schema to another, and keep out of the way of others."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from watchword.clock import Clock
from watchword.errors import ConfigurationError
from watchword.migrations.aims import Aim, Migrated, OnMigration, Progress
from watchword.migrations.renames import Renames
from watchword.schema import Schema
from watchword.storage.contract import Adapter

if TYPE_CHECKING:
    from watchword.migrations.apply import Migrator

__all__ = ["Aim", "Migrated", "OnMigration", "Progress", "Renames", "has_tables", "migrator_for"]


def has_tables(adapter: Adapter[Any]) -> bool:
    """Tell whether an adapter's database has tables, which have to follow the schema."""
    return hasattr(adapter, "connected")


def migrator_for(adapter: Adapter[Any], schema: Schema, *, clock: Clock) -> "Migrator":
    """Return what changes the tables of an adapter's database.

    Raises:
        ConfigurationError: The adapter's database has no tables that could be changed.
    """
    if not has_tables(adapter):
        raise ConfigurationError(
            f"{type(adapter).__name__} has no tables to migrate.",
            hint="Give the instance an SQL database; in memory there is nothing to bring up to "
            "date.",
        )
    # Imported when asked for: whoever uses another backend does not have it installed.
    migrator: Migrator = import_module("watchword.migrations.apply").Migrator(
        adapter, schema, clock=clock
    )
    return migrator
