"""Bring a database from one schema to another, and keep out of the way of others."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from watchword.clock import Clock
from watchword.errors import ConfigurationError
from watchword.migrations.aims import Aim, Migrated, OnMigration, Progress
from watchword.migrations.renames import Renames
from watchword.schema import Schema
from watchword.storage.contract import Adapter

if TYPE_CHECKING:
    from watchword.migrations.migrator import Migrator

__all__ = [
    "Aim",
    "Migrated",
    "OnMigration",
    "Progress",
    "Renames",
    "has_documents",
    "has_tables",
    "migrator_for",
    "module_for",
]


# What an adapter lends to migrations, and where those are that use it.
_PACKAGES: Final = {"connected": "watchword.migrations", "line": "watchword.migrations.mongodb"}


def module_for(adapter: Adapter[Any], name: str) -> Any:
    """Return a module of what migrates an adapter's database; None if nothing does.

    It is imported when asked for: whoever uses another backend does not have it installed.
    """
    for lent, package in _PACKAGES.items():
        if hasattr(adapter, lent):
            return import_module(f"{package}.{name}")
    return None


def has_tables(adapter: Adapter[Any]) -> bool:
    """Tell whether an adapter's database has tables, and lends a connection to them."""
    return hasattr(adapter, "connected")


def has_documents(adapter: Adapter[Any]) -> bool:
    """Tell whether an adapter's database has collections of documents, and takes no SQL."""
    return hasattr(adapter, "line")


def migrator_for(adapter: Adapter[Any], schema: Schema, *, clock: Clock) -> "Migrator":
    """Return what changes an adapter's database.

    Raises:
        ConfigurationError: There is nothing in it that could be changed.
    """
    module = module_for(adapter, "apply")
    if module is None:
        raise ConfigurationError(
            f"{type(adapter).__name__} has no tables to migrate.",
            hint="Give the instance an SQL database, or MongoDB; in memory there is nothing to "
            "bring up to date.",
        )
    migrator: Migrator = module.Migrator(adapter, schema, clock=clock)
    return migrator
