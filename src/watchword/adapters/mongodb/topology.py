"""What kind of server answers: part of a replica set or a cluster, or one that is alone."""

from typing import Final

from watchword.adapters.mongodb.lines import Line
from watchword.adapters.mongodb.refusals import no_transactions, translated
from watchword.adapters.mongodb.sources import MongoDB, open_source

__all__ = ["check_transactions", "has_transactions", "server_has_transactions"]

_OF_A_CLUSTER: Final = "isdbgrid"
"""What the router of a sharded cluster says that it is."""


async def check_transactions(line: Line) -> None:
    """Refuse a server without transactions: at the start, not when the first user signs up.

    Raises:
        ConfigurationError: It has none.
        StorageError: It does not answer.
    """
    if not await has_transactions(line):
        raise no_transactions()


async def server_has_transactions(database: MongoDB, *, name: str | None = None) -> bool:
    """Ask the server that `MongoDBAdapter` would take for the same arguments.

    Raises:
        ConfigurationError: Nothing here leads to MongoDB.
        StorageError: It does not answer.
    """
    source = open_source(database, name)
    try:
        return await has_transactions(source.line)
    finally:
        await source.close()


async def has_transactions(line: Line) -> bool:
    """Ask the server at the end of a line.

    Raises:
        StorageError: It does not answer.
    """
    with translated(None, writes=False):
        said = await line.do(lambda database: database.command("hello"))
    return "setName" in said or said.get("msg") == _OF_A_CLUSTER
