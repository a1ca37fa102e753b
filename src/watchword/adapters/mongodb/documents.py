"""From models to collections and indexes, and from records to documents and back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from watchword.adapters.mongodb.values import Kind, is_of, read, stored
from watchword.errors import InvalidValue
from watchword.schema import Model, Moment, Schema
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
        defaults: Field to the constant that it has where nobody said more.
    """

    model: Model
    name: str
    keys: Mapping[str, str]
    kinds: Mapping[str, Kind]
    defaults: Mapping[str, Any]

    def document(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new row as it is stored."""
        return {key: self.stored(name, data.get(name)) for name, key in self.keys.items()}

    def record(self, document: Mapping[str, Any]) -> Record:
        """Return a document as the contract has it.

        A key that is missing was written by code that does not know the field: it has the default.
        """
        kinds, defaults = self.kinds, self.defaults
        return {
            name: read(kinds[name], document[key]) if key in document else defaults.get(name)
            for name, key in self.keys.items()
        }

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

    @property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """Those beside the id, which MongoDB keeps unique by itself."""
        return tuple(key for key in self.model.unique_keys if key != ("id",))


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
        defaults=_defaults(model),
    )


def _kinds(model: Model, *, object_ids: bool) -> dict[str, Kind]:
    """Return what fields hold; an id of a row that is kept elsewhere stays what it is."""
    ids = {"id", *model.references} if object_ids else set()
    return {name: "ObjectId" if name in ids else it.type for name, it in model.fields.items()}


def _defaults(model: Model) -> dict[str, Any]:
    stored = {name: it.stored_default for name, it in model.fields.items()}
    return {
        name: it for name, it in stored.items() if it is not None and not isinstance(it, Moment)
    }
