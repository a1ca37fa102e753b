"""Where the demo keeps its users: what its database needs, and what that cannot do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from watchword.adapters import MONGODB_URLS, adapter_for
from watchword.cli.console import Unable, reason_of
from watchword.cli.demo_data import find_database_file, shown_database
from watchword.cli.extras import require_module
from watchword.concurrency import run_blocking
from watchword.errors import ConfigurationError, StorageError
from watchword.storage.contract import Adapter

__all__ = ["DemoDatabase", "demo_database", "unusable"]

_SQL_NEEDS: Final = ("sqlalchemy", "aiosqlite")


@dataclass(frozen=True, slots=True)
class DemoDatabase:
    """The database of a demo.

    Args:
        adapter: What leads to it.
        lacks: What it cannot do, in words that may be printed.
    """

    adapter: Adapter[Any]
    lacks: str | None = None


def demo_database(url: str) -> DemoDatabase:
    """Return the database of a URL.

    Raises:
        ConfigurationError: It leads nowhere, or what it needs is not installed.
        Unable: The server does not answer.
    """
    if url.startswith(MONGODB_URLS):
        return _mongodb(url)
    for module in _SQL_NEEDS:
        require_module(module)
    _check_place(find_database_file(url))
    return DemoDatabase(adapter_for(url))


def unusable(url: str, error: StorageError) -> Unable:
    """Return what is said of a database that is away, or lets nobody in."""
    return Unable(
        f"The database {shown_database(url)} cannot be used: {reason_of(error)}.",
        hint="Look whether it runs and lets you in, or choose another with --database.",
    )


def _mongodb(url: str) -> DemoDatabase:
    """Return an adapter that promises what the server has."""
    adapter = adapter_for(url)  # first: it tells what is missing, or cannot be read
    has_transactions = require_module(
        "watchword.adapters.mongodb.topology", extra="mongodb"
    ).server_has_transactions
    try:
        if run_blocking(has_transactions(url)):
            return DemoDatabase(adapter)
    except StorageError as error:
        raise unusable(url, error) from error
    alone = require_module("watchword.adapters.mongodb", extra="mongodb").MongoDBAdapter
    return DemoDatabase(
        alone(url, transactions=False),
        lacks="no transactions, as it is no replica set: what fails half-way stays half done",
    )


def _check_place(file: Path | None) -> None:
    """Refuse a place where no file can be, before anything is written beside it."""
    if file is None:
        return
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"There is no folder {file.parent}.",
            hint="Make it, or choose another file with --database.",
        )
    if file.is_dir():
        raise ConfigurationError(
            f"{file} is a folder.", hint="Choose a file in it with --database."
        )
