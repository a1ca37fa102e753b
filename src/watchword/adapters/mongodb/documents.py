"""From models to collections and indexes, and from records to documents and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo import ASCENDING, IndexModel

from watchword.adapters.mongodb.values import LEAST, Kind, is_of, read, stored
from watchword.errors import InvalidValue
from watchword.schema import Model, Naming, Schema
from watchword.schema.fields import OnDelete
from watchword.storage.contract import Record

__all__ = ["ID", "LOCK", "Collections", "ModelCollection", "Referrer"]

ID: Final = "_id"
LOCK: Final = "_lock"
"""Changes when somebody locks a document: MongoDB keeps others away from what is written."""


@dataclass(frozen=True)
class ModelCollection:
    """A model's collection; each document has a key for each field, null or not.

    Args:
        model: What is in it.
        name: Its name in the database.
        keys: Field to key; the id is `_id`.
        kinds: Field to what it holds.
    """

    model: Model
    name: str
    keys: Mapping[str, str]
    kinds: Mapping[str, Kind]

    def document(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new row as it is stored."""
        return {key: self.stored(name, data.get(name)) for name, key in self.keys.items()}

    def record(self, document: Mapping[str, Any]) -> Record:
        """Return a document as the contract has it; a key that is missing is null."""
        kinds = self.kinds
        return {name: read(kinds[name], document.get(key)) for name, key in self.keys.items()}

    def stored(self, name: str, value: Any) -> Any:
        """Return a value as it is stored and compared.

        Raises:
            InvalidValue: It is of another type than the field. What came with a request could
                be a dict that MongoDB takes for an operator.
        """
        if value is None:
            return None
        kind = self.kinds[name]
        if not is_of(kind, value):
            raise InvalidValue(self.model.name, name, f"is no {kind}")
        return stored(kind, value)

    def indexes(self, naming: Naming) -> list[IndexModel]:
        """Return what `create_schema` makes: unique keys, and what is looked up by."""
        name = self.model.name
        unique = [
            self._index(naming.unique(name, key), key, unique=True, **self._without_nulls(key))
            for key in self.unique_keys
        ]
        plain = [self._index(naming.index(name, key), key) for key in self.model.index_keys]
        return [*unique, *plain]

    @property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """Those beside the id, which MongoDB keeps unique by itself."""
        return tuple(key for key in self.model.unique_keys if key != ("id",))

    def _index(self, index_name: str, fields: Sequence[str], **options: Any) -> IndexModel:
        keys = [(self.keys[name], ASCENDING) for name in fields]
        return IndexModel(keys, name=index_name, **options)

    def _without_nulls(self, fields: Sequence[str]) -> dict[str, Any]:
        """Leave rows with a null in the key out of the index: it is no key then.

        From the least value on, not by `$type`: the planner sees that an equality is a part of
        that, and uses the index.
        """
        least = {
            self.keys[name]: {"$gte": LEAST[self.kinds[name]]}
            for name in fields
            if not self.model.fields[name].required
        }
        return {"partialFilterExpression": least} if least else {}


@dataclass(frozen=True, slots=True)
class Referrer:
    """A field that points at a model's rows."""

    child: ModelCollection
    key: str
    on_delete: OnDelete


class Collections:
    """Every model of a schema as a collection.

    Args:
        schema: The models.
        object_ids: Ids, and what holds ids of others, are ObjectIds.
    """

    def __init__(self, schema: Schema, *, object_ids: bool = False) -> None:
        self.schema = schema
        self._by_model = {
            name: _collection(schema, it, object_ids=object_ids)
            for name, it in schema.models.items()
        }
        self._by_name = {it.name: it for it in self._by_model.values()}

    def require(self, model: str) -> ModelCollection:
        """Return a model's collection.

        Raises:
            UnknownModel: The schema has none of this name.
        """
        return self._by_model[self.schema.require_model(model).name]

    def __iter__(self) -> Iterator[ModelCollection]:
        return iter(self._by_model.values())

    def referrers(self, model: str) -> list[Referrer]:
        """Return what points at a model's rows; MongoDB itself knows of no references."""
        return [
            Referrer(it, it.keys[name], it.model.fields[name].on_delete)
            for it in self
            for name, target in it.model.references.items()
            if target == model
        ]


def _collection(schema: Schema, model: Model, *, object_ids: bool) -> ModelCollection:
    naming = schema.naming
    keys = {name: naming.column(model.name, name) for name in model.fields}
    return ModelCollection(
        model=model,
        name=naming.table(model.name),
        keys={**keys, "id": ID},
        kinds=_kinds(model, object_ids=object_ids),
    )


def _kinds(model: Model, *, object_ids: bool) -> dict[str, Kind]:
    """Return what fields hold; an id of a row that is kept elsewhere stays what it is."""
    ids = {"id", *model.references} if object_ids else set()
    return {name: "ObjectId" if name in ids else it.type for name, it in model.fields.items()}
