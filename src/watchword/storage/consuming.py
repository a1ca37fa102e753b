"""Deleting and returning a row where no single operation does both."""

from watchword.storage.contract import Adapter, Record
from watchword.storage.query import F, Where

__all__ = ["consume_in_steps"]


async def consume_in_steps(adapter: Adapter, model: str, where: Where) -> Record | None:
    """Delete one row that matches and return it, to one of several racing callers.

    The exact count names the one winner; a loser looks for another row that matches.
    """
    while (row := await adapter.find_one(model, where, lock=True)) is not None:
        if await adapter.delete_many(model, where & (F.id == row["id"])):
            return row
    return None
