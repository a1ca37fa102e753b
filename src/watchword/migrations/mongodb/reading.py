"""What is in a MongoDB database: the collections of ours that are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from watchword.adapters.mongodb.documents import ID, LOCK
from watchword.adapters.mongodb.lines import Line
from watchword.adapters.mongodb.making import list_collections, list_indexes
from watchword.adapters.mongodb.rules import (
    Spec,
    Validator,
    columns_from,
    index_specs,
    key_from,
)
from watchword.migrations.live import Live, columns_of
from watchword.schema.snapshot import ColumnState, Key, Snapshot, TableState

__all__ = ["LiveCollections", "read_live"]


@dataclass(frozen=True, slots=True)
class LiveCollections(Live):
    """What is there.

    Args:
        validators: Of each collection that is there; empty where it has none.
        indexes: Of each, as the server tells them.
    """

    validators: Mapping[str, Validator] = field(default_factory=dict)
    indexes: Mapping[str, Sequence[Spec]] = field(default_factory=dict)


async def read_live(
    line: Line,
    wanted: Snapshot,
    recorded: Snapshot | None = None,
    *,
    is_settled: bool = True,
) -> LiveCollections:
    """Return the collections that are wanted, or were recorded, as they are.

    Documents have the keys that the validator names. Without one they are taken to have those
    that were recorded, or else those that are wanted.

    Args:
        line: The way to the database.
        wanted: The collections as they should be.
        recorded: As they were made.
        is_settled: What was recorded came to its end, so a key that the validator lacks is there
            all the same: somebody has changed the validator alone.
    """
    known = [*wanted.tables.values(), *(recorded or Snapshot()).tables.values()]
    options = await list_collections(line, {it.name for it in known})
    validators = {name: dict(it.get("validator", {})) for name, it in options.items()}
    tables: list[TableState] = []
    indexes: dict[str, list[Spec]] = {}
    for name, validator in validators.items():
        guides = columns_of(known, name)
        columns = {it.name: it for it in columns_from(validator, guides)}
        if is_settled and recorded is not None and name in recorded.tables:
            columns = {**recorded.tables[name].columns, **columns}
        if not columns:
            columns = {**columns_of(reversed(known), name)}
            columns |= await _strange(line, name, guides) if recorded is None else {}
        indexes[name] = await list_indexes(line, name)
        tables.append(_table(name, columns, indexes[name], _specs(known, name)))
    snapshot = Snapshot().with_tables(tables)
    return LiveCollections(snapshot, validators=validators, indexes=indexes)


async def _strange(
    line: Line, name: str, ours: Mapping[str, ColumnState]
) -> dict[str, ColumnState]:
    """Return keys that are not ours, of one document: it may be the application's collection."""
    one = await line.do(lambda it: it[name].find_one()) or {}
    return {
        key: ColumnState(name=key, type="json", nullable=True)
        for key in one
        if key not in {*ours, ID, LOCK}
    }


def _specs(known: Sequence[TableState], name: str) -> dict[str, Spec]:
    """Return what is known of a collection's indexes; what is wanted before what was."""
    tables = [it for it in reversed(known) if it.name == name]
    return {spec["name"]: spec for table in tables for spec in index_specs(table)}


def _table(
    name: str,
    columns: Mapping[str, ColumnState],
    told: Sequence[Spec],
    specs: Mapping[str, Spec],
) -> TableState:
    keys: dict[bool, list[Key]] = {True: [], False: []}
    for spec in told:
        key = key_from(spec, specs)
        if key is not None:
            # One of ours stands where it is wanted, whatever it has become.
            meant = specs.get(spec["name"], spec)
            keys[bool(meant.get("unique"))].append(key)
    return TableState(
        name=name, columns=columns, uniques=tuple(keys[True]), indexes=tuple(keys[False])
    )
