"""Backends for the storage contract, and the choice of one."""

from importlib import import_module
from typing import Any, Final, TypeAlias, cast

from watchword.errors import ConfigurationError
from watchword.storage.contract import Adapter

__all__ = ["Database", "adapter_for"]

Database: TypeAlias = Any
"""An `Adapter`, a URL, or an engine or session factory of a database library."""

_HINT: Final = (
    "Pass a URL such as sqlite+aiosqlite:///auth.db, an SQLAlchemy engine or session "
    "factory, or an adapter."
)


def adapter_for(database: Database) -> Adapter:
    """Return the adapter of a database; an adapter is returned as it is.

    Raises:
        ConfigurationError: Nothing here leads to a database, or what it needs is missing.
    """
    if hasattr(database, "find_one") and hasattr(database, "capabilities"):
        return cast("Adapter", database)  # a Protocol: it has the shape of one
    if isinstance(database, str) or type(database).__module__.startswith("sqlalchemy."):
        return _sqlalchemy_adapter(database)
    raise ConfigurationError(f"A {type(database).__name__} is no database.", hint=_HINT)


def _sqlalchemy_adapter(database: object) -> Adapter:
    # Imported when asked for: whoever uses another backend does not have it installed.
    try:
        module = import_module("watchword.adapters.sqlalchemy")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("watchword"):
            raise
        raise ConfigurationError(
            f"SQL databases need {error.name}, which is not installed.",
            hint='pip install "watchword[sqlite]", or [postgresql] or [mysql]',
        ) from error
    adapter: Adapter = module.SQLAlchemyAdapter(database)
    return adapter
