"""Our own collection of versions: every state that a database was brought to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from watchword.adapters.mongodb.documents import ID
from watchword.adapters.mongodb.lines import Line
from watchword.migrations.versions import (
    Version,
    read_version,
    version_table_name,
    written_version,
)
from watchword.schema import Naming
from watchword.schema.snapshot import Snapshot

__all__ = ["LEASE", "History"]

LEASE: Final = "lease"
"""The id of the document that says who may change the collections now."""


class History:
    """Reads and writes the versions; each is a document, by its number.

    Args:
        line: The way to the database.
        naming: Of the collections.
    """

    def __init__(self, line: Line, naming: Naming) -> None:
        self._line = line
        self.name = version_table_name(naming)
        self.has_prefix = bool(naming.prefix)

    async def read(self) -> list[Version]:
        """Return every state, the first one first.

        Raises:
            ConfigurationError: A newer release wrote what this one cannot read.
        """
        versions = {ID: {"$ne": LEASE}}
        rows = await self._line.do(lambda it: it[self.name].find(versions, sort=[(ID, 1)]))
        return [read_version({**row, "version": row[ID]}) for row in rows]

    async def begin(
        self, target: Snapshot, *, fingerprint: str, renames: Mapping[str, str], at: datetime
    ) -> int:
        """Write down what is about to be done; whatever was not finished before is forgotten."""
        unfinished = {ID: {"$ne": LEASE}, "finished_at": None}
        await self._line.do(lambda it: it[self.name].delete_many(unfinished))
        last = await self.read()
        number = last[-1].number + 1 if last else 1
        written = written_version(target, fingerprint=fingerprint, renames=renames, at=at)
        version = {ID: number, **written, "finished_at": None}
        # As a replacement: whoever is not told that it was written writes it again.
        await self._line.do(
            lambda it: it[self.name].replace_one({ID: number}, version, upsert=True)
        )
        return number

    async def finish(self, number: int, at: datetime) -> None:
        """Write down that it is done."""
        done = {"$set": {"finished_at": at}}
        await self._line.do(lambda it: it[self.name].update_one({ID: number}, done))

    async def go_back(self, number: int) -> None:
        """Forget the states after one; with 0, that there ever were any."""
        if number == 0:
            await self._line.do(lambda it: it.drop_collection(self.name))
        else:
            await self._line.do(lambda it: it[self.name].delete_many({ID: {"$gt": number}}))
