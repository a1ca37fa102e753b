"""Collections: what is in them, their options and their indexes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final
from uuid import uuid4

from bson import Binary

from stand_in_server.filters import predicate
from stand_in_server.refusals import Refusal
from stand_in_server.schemas import broken_rules
from stand_in_server.values import Document, found_at, order_key

Key = tuple[Any, ...]
"""What equal values have in common."""

ID_INDEX: Final[Document] = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
# Two indexes that differ in one of these are two; in any other option they are in conflict.
_SIGNATURE: Final = ("key", "unique", "sparse", "partialFilterExpression", "collation")
_FLAGS: Final = {"unique", "sparse", "hidden"}
_OPTIONS: Final = {*_SIGNATURE, *_FLAGS, "v", "name", "expireAfterSeconds"}
_IN_PARTIAL_FILTERS: Final = {"$eq", "$exists", "$gt", "$gte", "$lt", "$lte", "$type", "$and"}
_LONGEST_EXPIRY: Final = 2**31 - 1


class Index:
    """An index; only unique ones hold anything, for nobody asks how a row was found.

    Args:
        spec: As `listIndexes` answers it.
    """

    def __init__(self, spec: Document) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.is_unique = bool(spec.get("unique"))
        self.held: dict[Key, Key] = {}
        self._paths = [path.split(".") for path in spec["key"]]
        self._covers = predicate(spec.get("partialFilterExpression", {}))

    def keys_of(self, document: Document) -> set[Key]:
        """Return the document's keys here: one for each element of an array."""
        if not self.is_unique or not self._covers(document):
            return set()
        found = [list(found_at(document, path)) for path in self._paths]
        if self.spec.get("sparse") and not any(name in document for name in self.spec["key"]):
            return set()
        return set(product(*([*map(order_key, _elements(values))] for values in found)))

    def duplicate(self, namespace: str, document: Document) -> Refusal:
        """Return the refusal of a document whose key is taken."""
        values = {
            ".".join(path): next((it for it in found_at(document, path) if _is_there(it)), None)
            for path in self._paths
        }
        said = ", ".join(f"{name}: {_shown(value)}" for name, value in values.items())
        return Refusal(
            11000,
            f"E11000 duplicate key error collection: {namespace} index: {self.name} "
            f"dup key: {{ {said} }}",
            keyPattern=dict(self.spec["key"]),
            keyValue=values,
        )


def _is_there(value: Any) -> bool:
    return order_key(value) != order_key(None)


def _elements(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) and value else [value]


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else "null" if value is None else repr(value)


def index_spec(asked: Mapping[str, Any]) -> Document:
    """Return the spec of an index that `createIndexes` asks for, as it is kept."""
    if not isinstance(asked.get("key"), dict) or not asked["key"]:
        raise Refusal(67, "Index keys cannot be empty.")
    if unknown := set(asked) - _OPTIONS:
        raise Refusal(197, f"The field '{min(unknown)}' is not valid for an index specification.")
    expiry = asked.get("expireAfterSeconds")
    if expiry is not None and not 0 <= expiry <= _LONGEST_EXPIRY:
        raise Refusal(67, "TTL index 'expireAfterSeconds' option must be within range")
    if expiry is not None and len(asked["key"]) > 1:
        raise Refusal(
            67, "TTL indexes are single-field indexes, compound indexes do not support TTL"
        )
    partial = asked.get("partialFilterExpression")
    if partial is not None:
        _check_partial_filter(partial)
    kept = {name: it for name, it in asked.items() if name not in _FLAGS or it}
    return {"v": 2, **{name: it for name, it in kept.items() if name != "v"}}


def _check_partial_filter(partial: Any) -> None:
    predicate(partial)
    if isinstance(partial, list):
        for part in partial:
            _check_partial_filter(part)
    elif isinstance(partial, dict):
        for name, operand in partial.items():
            is_refused = name.startswith("$") and name not in _IN_PARTIAL_FILTERS
            if is_refused or (name == "$exists" and not operand):
                raise Refusal(67, f"Expression not supported in partial index: {name}")
            if isinstance(operand, dict | list) and name != "$type":
                _check_operators(operand)


def _check_operators(condition: Any) -> None:
    for part in condition if isinstance(condition, list) else [condition]:
        for name, operand in part.items() if isinstance(part, dict) else ():
            is_refused = name.startswith("$") and name not in _IN_PARTIAL_FILTERS
            if is_refused or (name == "$exists" and not operand):
                raise Refusal(67, f"Expression not supported in partial index: {name}")
            if isinstance(operand, dict | list) and name != "$type":
                _check_operators(operand)


@dataclass(eq=False)
class Collection:
    """What is committed of a collection, and its catalog entry.

    Args:
        database: Its database's name.
        name: Its own.
        options: As `listCollections` answers them.
    """

    database: str
    name: str
    options: Document
    rows: dict[Key, Document] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=lambda: {"_id_": Index(ID_INDEX)})
    uuid: Binary = field(default_factory=lambda: Binary(uuid4().bytes, 4))

    def __post_init__(self) -> None:
        self.set_options(self.options)

    @property
    def namespace(self) -> str:
        """Return its full name."""
        return f"{self.database}.{self.name}"

    def entry(self) -> Document:
        """Return what `listCollections` answers."""
        return {
            "name": self.name,
            "type": "collection",
            "options": self.options,
            "info": {"readOnly": False, "uuid": self.uuid},
            "idIndex": ID_INDEX,
        }

    # --- documents -----------------------------------------------------------------------

    def put(self, key: Key, document: Document | None) -> None:
        """Write a document in the place of another one, or of none; None takes it away."""
        before = self.rows.pop(key, None) if document is None else self.rows.get(key)
        for index in self.indexes.values():
            for held in index.keys_of(before) if before else ():
                if index.held.get(held) == key:
                    del index.held[held]
            for held in index.keys_of(document) if document else ():
                index.held[held] = key
        if document is not None:
            self.rows[key] = document

    def check(self, document: Document, before: Document | None) -> None:
        """Refuse a document that the validator does not let in."""
        is_moderate = self.options.get("validationLevel") == "moderate"
        if self._fits(document) or (is_moderate and before and not self._fits(before)):
            return
        if self.options.get("validationAction", "error") == "error":
            schema = self.options["validator"].get("$jsonSchema", {})
            rules = broken_rules(schema, document)
            details = {"operatorName": "$jsonSchema", "schemaRulesNotSatisfied": rules}
            info = {"failingDocumentId": document.get("_id"), "details": details}
            raise Refusal(121, "Document failed validation", errInfo=info)

    def set_options(self, options: Document) -> None:
        """Set the options; with a validator its level and action are spelled out."""
        validator = options.get("validator")
        is_watched = bool(validator) and options.get("validationLevel") != "off"
        self._fits = predicate(validator if is_watched and validator else {})
        spelled = {"validationLevel": "strict", "validationAction": "error"} if validator else {}
        self.options = {**spelled, **options}

    # --- indexes -------------------------------------------------------------------------

    def make_index(self, spec: Document) -> None:
        """Make an index, or nothing if it is there, or nothing and refuse."""
        if spec["key"] == {"_id": 1} or self._is_made(spec):
            return
        index = Index(spec)
        for key, document in self.rows.items():
            for held in index.keys_of(document):
                if held in index.held:
                    refusal = index.duplicate(self.namespace, document)
                    message = f"Index build failed: caused by :: {refusal.message}"
                    raise Refusal(11000, message, **refusal.details)
                index.held[held] = key
        self.indexes[index.name] = index

    def _is_made(self, spec: Document) -> bool:
        named = self.indexes.get(spec["name"])
        said = f"Requested index: {spec}, existing index: {named.spec if named else None}"
        if named is not None:
            if _signature(named.spec) != _signature(spec):
                raise Refusal(86, f"An existing index has the same name. {said}")
            if named.spec != spec:
                raise Refusal(85, f"An equivalent index exists with different options. {said}")
            return True
        for other in self.indexes.values():
            if _signature(other.spec) == _signature(spec):
                raise Refusal(85, f"Index already exists with a different name: {other.name}")
        return False

    def drop_index(self, asked: Any) -> None:
        """Drop the index of a name, or of a key pattern."""
        if asked in ("_id_", {"_id": 1}):
            raise Refusal(72, "cannot drop _id index")
        found = self.find_index(asked)
        if found is None:
            raise Refusal(27, f"index not found with name [{asked}]")
        del self.indexes[found.name]

    def find_index(self, asked: Any) -> Index | None:
        """Return the index of a name, or of a key pattern."""
        if isinstance(asked, str):
            return self.indexes.get(asked)
        pattern = list(asked.items())
        found = (it for it in self.indexes.values() if list(it.spec["key"].items()) == pattern)
        return next(found, None)


def _signature(spec: Document) -> list[Any]:
    return [list(spec["key"].items()), *(order_key(spec.get(name)) for name in _SIGNATURE[1:])]
