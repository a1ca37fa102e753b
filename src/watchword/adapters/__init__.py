"""Backends for the storage contract, and the choice of one."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from watchword.errors import ConfigurationError
from watchword.schema import OwnTable
from watchword.storage.contract import Adapter, OwnTablesAdapter
from watchword.storage.entities import PublicUser
from watchword.storage.hooks import DatabaseHook
from watchword.storage.ids import NewId

if TYPE_CHECKING:
    from watchword.adapters.mongodb.sources import MongoDB
    from watchword.adapters.sqlalchemy.engines import Database as SQLDatabase

__all__ = ["MONGODB_URLS", "Database", "adapter_for", "own_tables_of"]

Database: TypeAlias = "SQLDatabase | MongoDB | Adapter[PublicUser]"
"""An `Adapter`, a URL, or an engine, session factory or client of a database library."""

_HINT: Final = (
    "Pass a URL such as sqlite+aiosqlite:///auth.db, an SQLAlchemy engine or session "
    "factory, a client of PyMongo, or an adapter."
)
MONGODB_URLS: Final = ("mongodb://", "mongodb+srv://")


def adapter_for(database: object) -> Adapter[Any]:
    """Return the adapter of a database; an adapter is returned as it is.

    Raises:
        ConfigurationError: Nothing here leads to a database, or what it needs is missing.
    """
    # First: a client of PyMongo has whatever attribute it is asked for.
    if _is_mongodb(database):
        mongodb: Adapter[Any] = import_module("watchword.adapters.mongodb").MongoDBAdapter(
            database
        )
        return mongodb
    if hasattr(database, "find_one") and hasattr(database, "capabilities"):
        return cast("Adapter[Any]", database)  # a Protocol: it has the shape of one
    if isinstance(database, str) or type(database).__module__.startswith("sqlalchemy."):
        return _sqlalchemy_adapter(database)
    raise ConfigurationError(f"A {type(database).__name__} is no database.", hint=_HINT)


def _is_mongodb(database: object) -> bool:
    if isinstance(database, str):
        return database.startswith(MONGODB_URLS)
    return type(database).__module__.startswith("pymongo.")


def _sqlalchemy_adapter(database: object) -> Adapter[Any]:
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
    adapter: Adapter[Any] = module.SQLAlchemyAdapter(database)
    return adapter


def own_tables_of(
    adapter: Adapter[Any], hooks: Iterable[DatabaseHook], new_id: NewId | None
) -> Sequence[OwnTable]:
    """Return the tables of the application's own that an adapter keeps instead of ours."""
    if not isinstance(adapter, OwnTablesAdapter):
        return ()
    hooked = any(
        it.before is not None and (it.model, it.operation) == ("user", "create") for it in hooks
    )
    return adapter.own_tables(hooked=hooked, makes_ids=new_id is not None)
