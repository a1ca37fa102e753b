"""What MongoDB itself is told of a collection: its validator and its indexes, and back."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from watchword.adapters.mongodb.documents import ID, Collections, ModelCollection
from watchword.adapters.mongodb.values import LEAST
from watchword.schema import FieldType
from watchword.schema.snapshot import ColumnState, Key, Snapshot, TableState

__all__ = [
    "LEVEL",
    "Spec",
    "Validator",
    "asked_again",
    "columns_from",
    "index_specs",
    "key_from",
    "least_of",
    "meaning_of",
    "snapshot_by",
    "spec_of",
    "validator_of",
]

Validator: TypeAlias = dict[str, Any]
"""What documents of a collection have to be like, as `create` and `collMod` take it."""

Spec: TypeAlias = dict[str, Any]
"""An index, as `createIndexes` takes it and `listIndexes` tells it."""

LEVEL: Final = "moderate"
"""Documents that somebody else wrote before, and that do not fit, can still be changed."""


def snapshot_by(collections: Collections, *, expires: bool) -> Snapshot:
    """Return a schema's collections as MongoDB keeps them: ids are `_id`, nothing is referenced.

    Args:
        collections: That are wanted.
        expires: MongoDB itself deletes what has expired.
    """
    snapshot = Snapshot.of(collections.schema)
    tables = (
        _table(it, collections.require(it.model), expires=expires)
        for it in snapshot.tables.values()
    )
    return replace(snapshot, schema=None).with_tables(tables)


def _table(table: TableState, collection: ModelCollection, *, expires: bool) -> TableState:
    columns = [
        replace(
            it,
            name=collection.keys[it.field],
            # A list of texts is more than a JSON value.
            type=collection.model.fields[it.field].type,
            raw=_OBJECT_ID if collection.kinds[it.field] == "ObjectId" else None,
            expiry=it.expiry and expires,
        )
        for it in table.columns.values()
    ]
    return replace(table, columns={it.name: it for it in columns}, references=(), primary_key="")


# --- validators ------------------------------------------------------------------------------

_KINDS: Final[Mapping[FieldType, Sequence[str]]] = {
    "string": ["string"],
    "text": ["string"],
    "integer": ["int"],
    # Whatever fits into an integer was one before it became long.
    "bigint": ["int", "long"],
    "boolean": ["bool"],
    "datetime": ["date"],
    "json": ["string"],
    "uuid": ["binData"],
    "bytes": ["binData"],
    "strings": ["array"],
}
_NULL: Final = "null"
_OBJECT_ID: Final = "objectId"
_SCHEMA: Final = "$jsonSchema"


def validator_of(
    table: TableState,
    before: Validator | None = None,
    *,
    gone: Collection[str] = (),
    going: Collection[str] = (),
) -> Validator:
    """Return a collection's validator.

    A key with a default may be missing: code that does not know it yet writes none.

    Args:
        table: The collection.
        before: The validator that is there, of which what is somebody else's stays.
        gone: What is in that one, and was ours.
        going: Keys that some documents do not have any more.
    """
    theirs = (before or {}).get(_SCHEMA, {})
    required = [
        it.name
        for it in table.columns.values()
        if not it.nullable and it.default is None and it.name not in {ID, *going}
    ]
    ours = {*table.columns, *gone}
    foreign = [it for it in theirs.get("required", ()) if it not in ours]
    properties = {it.name: _property(it) for it in table.columns.values()}
    properties |= {
        name: it for name, it in theirs.get("properties", {}).items() if name not in ours
    }
    rules = {**theirs, "bsonType": "object", "properties": properties}
    rules.pop("required", None)
    if required or foreign:
        rules["required"] = [*required, *foreign]
    return {**(before or {}), _SCHEMA: rules}


def _property(column: ColumnState) -> dict[str, Any]:
    kinds = _kinds_of(column)
    rules: dict[str, Any] = {"bsonType": [*kinds, _NULL] if column.nullable else kinds}
    if kinds == ["string"] and column.type == "string" and column.length is not None:
        rules["maxLength"] = column.length
    if column.type == "strings":
        rules["items"] = {"bsonType": "string"}
    if column.comment:
        rules["description"] = column.comment
    return rules


def _kinds_of(column: ColumnState) -> list[str]:
    return column.raw.split("|") if column.raw else list(_KINDS[column.type])


def columns_from(validator: Validator, guides: Mapping[str, ColumnState]) -> Iterator[ColumnState]:
    """Return the columns that a validator speaks of.

    Args:
        validator: As it is.
        guides: What is known of columns, by name.
    """
    for name, rules in validator.get(_SCHEMA, {}).get("properties", {}).items():
        yield _column_from(name, rules, guides.get(name))


def _column_from(name: str, rules: Mapping[str, Any], guide: ColumnState | None) -> ColumnState:
    """Return a column as a validator has it; what that does not tell is as the guide has it."""
    told = rules.get("bsonType", [])
    kinds = [told] if isinstance(told, str) else list(told)
    plain = [it for it in kinds if it != _NULL]
    length = rules.get("maxLength") if plain == ["string"] else None
    there = ColumnState(name=name, type="json") if guide is None else guide
    there = replace(there, nullable=_NULL in kinds or not kinds)
    if guide is not None and plain == _kinds_of(guide):
        is_text = guide.type in {"string", "text"} and guide.raw is None
        kind: FieldType = "string" if length is not None else "text"
        return replace(there, type=kind, length=length) if is_text else there
    alike = (kind for kind, it in _KINDS.items() if plain == list(it) and kind != "string")
    found: FieldType | None = "string" if length is not None else next(alike, None)
    if found is not None:
        return replace(there, type=found, length=length, raw=None)
    return replace(there, raw="|".join(plain) or "any")


# --- indexes ---------------------------------------------------------------------------------

# What a server tells of an index besides what it is.
_TOLD: Final = frozenset({"v", "ns", "background", "buildUUID", "name"})


def index_specs(table: TableState) -> list[Spec]:
    """Return what a collection is to have: unique keys, and what is looked up by."""
    unique = [spec_of(table, it, unique=True) for it in table.uniques]
    return [*unique, *(spec_of(table, it, unique=False) for it in table.indexes)]


def spec_of(table: TableState, key: Key, *, unique: bool) -> Spec:
    """Return an index of a collection.

    A unique one leaves rows with a null in the key out: it is no key then. It does so from the
    least value on, not by `$type`: the planner sees that an equality is a part of that.
    """
    columns = [table.columns[name] for name in key.columns]
    spec: Spec = {"name": key.name, "key": {it.name: 1 for it in columns}}
    if unique:
        spec["unique"] = True
        least = {it.name: {"$gte": least_of(it)} for it in columns if it.nullable}
        if least:
            spec["partialFilterExpression"] = least
    elif len(columns) == 1 and columns[0].expiry:
        spec["expireAfterSeconds"] = 0
    return spec


def least_of(column: ColumnState) -> Any:
    """Return what comes before every value; equality is a part of what comes from there on."""
    return LEAST["ObjectId" if column.raw == _OBJECT_ID else column.type]


def meaning_of(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what an index does, whatever it is called; the order of its keys matters."""
    options = {name: it for name, it in spec.items() if name not in {*_TOLD, "key"} and it}
    expires = "expireAfterSeconds" in spec
    return list(spec["key"].items()), options, expires


def asked_again(spec: Spec) -> Spec:
    """Return an index that a server tells of as it is asked for."""
    return {name: it for name, it in spec.items() if name == "name" or name not in _TOLD}


def key_from(spec: Mapping[str, Any], wanted: Mapping[str, Spec]) -> Key | None:
    """Return an index that is there.

    Args:
        spec: As the server tells it.
        wanted: Those of ours by name, as they are wanted.

    Returns:
        One of ours that is not as it is wanted has a column more, so that it equals none; one
        of somebody else's is None if none of ours does the same.
    """
    name, columns = spec["name"], tuple(spec["key"])
    if name in wanted:
        is_right = meaning_of(spec) == meaning_of(wanted[name])
        return Key(name, columns if is_right else (*columns, "…"))
    does_same = any(meaning_of(spec) == meaning_of(it) for it in wanted.values())
    return Key(name, columns) if does_same else None
