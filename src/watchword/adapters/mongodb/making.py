"""Collections, made with their validators and indexes where they are missing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, NetworkTimeout, OperationFailure

from watchword.adapters.mongodb.lines import Line
from watchword.adapters.mongodb.rules import (
    LEVEL,
    Spec,
    index_specs,
    meaning_of,
    validator_of,
)
from watchword.errors import ConfigurationError
from watchword.schema.snapshot import Snapshot, TableState

__all__ = [
    "create_collection",
    "create_index",
    "has_index",
    "list_collections",
    "list_indexes",
    "make_missing",
    "shared_values",
]

_THERE: Final = 48
_MISSING: Final = 26
# An index of the same fields has another name; one of the same name has other fields or options.
_OTHER_NAME: Final = 85
_OTHERWISE: Final = 86


async def make_missing(line: Line, wanted: Snapshot) -> None:
    """Make the collections and the indexes that are missing; what is there stays.

    Raises:
        ConfigurationError: An index that keeps values unique, or another one, cannot be made.
    """
    there = await list_collections(line, wanted.tables)
    for table in wanted.tables.values():
        if table.name not in there:
            await create_collection(line, table)
        present = await list_indexes(line, table.name)
        for spec in _missing(table, present):
            with _explained(table.name, spec):
                await create_index(line, table.name, spec)


def _missing(table: TableState, present: Sequence[Spec]) -> Iterator[Spec]:
    """Return the indexes that a collection lacks, or has otherwise."""
    does = [meaning_of(it) for it in present]
    yield from (it for it in index_specs(table) if meaning_of(it) not in does)


@contextmanager
def _explained(collection: str, spec: Spec) -> Iterator[None]:
    name = spec["name"]
    try:
        yield
    except DuplicateKeyError as error:
        raise ConfigurationError(
            f"Documents of {collection} share a value of {', '.join(spec['key'])}, which has to "
            "be unique.",
            hint=f"Find them: {shared_values(collection, spec)}",
        ) from error
    except OperationFailure as error:
        if error.code == _OTHER_NAME:
            raise ConfigurationError(
                f"An index of {collection} has the fields of {name}, and is not as it has to be.",
                hint=f'Find it and drop it: db.getCollection("{collection}").getIndexes()',
            ) from error
        if error.code != _OTHERWISE:
            raise
        raise ConfigurationError(
            f"The index {name} of {collection} is there, and is not as it has to be.",
            hint="`watchword migrate` makes it anew.",
        ) from error


def shared_values(collection: str, spec: Mapping[str, Any]) -> str:
    """Return what finds the documents that share a value, for the shell."""
    key = ", ".join(f'{name}: "${name}"' for name in spec["key"])
    return (
        f'db.getCollection("{collection}").aggregate([{{$group: {{_id: {{{key}}}, '
        "n: {$sum: 1}}}, {$match: {n: {$gt: 1}}}])"
    )


# --- single calls ------------------------------------------------------------------------


async def list_collections(line: Line, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the options of the collections that are there, by name."""
    chosen = {"name": {"$in": sorted(names)}}
    told = await line.do(lambda database: database.list_collections(filter=chosen))
    return {it["name"]: it.get("options", {}) for it in told}


async def list_indexes(line: Line, collection: str) -> list[Spec]:
    """Return the indexes of a collection but for the one of ids; none if it is not there."""
    try:
        told = await line.do(lambda database: database[collection].list_indexes())
    except OperationFailure as error:
        if error.code != _MISSING:
            raise
        return []
    return [dict(it) for it in told if it["name"] != "_id_"]


async def create_collection(line: Line, table: TableState) -> None:
    """Make a collection, unless somebody else has just done so."""
    options = {"validator": validator_of(table), "validationLevel": LEVEL}
    try:
        await line.do(
            lambda database: database.create_collection(table.name, check_exists=False, **options)
        )
    except OperationFailure as error:
        if error.code != _THERE:
            raise


async def create_index(line: Line, collection: str, spec: Spec) -> None:
    """Make an index; MongoDB holds nobody up while it goes through the documents."""
    while not await has_index(line, collection, spec):
        # Whoever is told nothing at all by the server does not wait.
        await line.do(lambda database: database.command("ping"))


async def has_index(line: Line, collection: str, spec: Spec) -> bool:
    """Make an index; False where it takes longer than an answer is waited for.

    MongoDB goes on with it then, and whoever asks for the same one again waits for that. But a
    client's `timeoutMS` ends the work itself: who begins anew each time does not come to an end.
    """
    options = {name: it for name, it in spec.items() if name != "key"}
    index = IndexModel(list(spec["key"].items()), **options)
    try:
        await line.do(lambda database: database[collection].create_indexes([index]))
    except NetworkTimeout:
        if await line.do(lambda database: database.client.options.timeout) is not None:
            raise
        return False
    return True
