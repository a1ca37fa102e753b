"""What is written: rows with their ids, defaults and limits, hashed and sealed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from watchword.clock import Clock
from watchword.crypto.tokens import digest
from watchword.errors import ConfigurationError, InvalidValue
from watchword.schema import NOW, Field, Model, Schema
from watchword.storage.contract import Record
from watchword.storage.ids import NewId, id_maker
from watchword.storage.query import Increment
from watchword.storage.values import accepted

__all__ = ["Rows", "Sealer"]


class Sealer(Protocol):
    """Encrypts what the database must not be able to read."""

    def seal(self, purpose: str, text: str) -> str:
        """Return the text encrypted, readable for this purpose alone."""

    def open(self, purpose: str, sealed: str) -> str:
        """Return the text that was sealed for this purpose."""


class Rows:
    """Turns what callers write into what is stored.

    Raises:
        ConfigurationError: A field is sealed but there is no sealer.
    """

    def __init__(
        self, schema: Schema, *, clock: Clock, new_id: NewId | None, sealer: Sealer | None
    ) -> None:
        self._schema = schema
        self._clock = clock
        self._new_id = new_id
        self._sealer = _checked_sealer(schema, sealer)

    def new(self, name: str, data: Mapping[str, Any]) -> Record:
        """Return a new row with its id and defaults; without id if the database makes it."""
        model = self._schema.require_model(name)
        for key in data:
            model.require_field(key)
        now = self._clock()  # asked once: what was never changed was changed when it was made
        row = {}
        for key, it in model.fields.items():
            value = data[key] if key in data else self._default(model, key, it, now)
            row[key] = self._stored(model, key, value)
        if row["id"] is None:
            del row["id"]
        return row

    def new_id(self, name: str) -> str | None:
        """Return an id for a new row; None if the database makes it."""
        model = self._schema.require_model(name)
        return self._id(model, model.fields["id"])

    def _stored(self, model: Model, key: str, value: Any) -> Any:
        field = model.fields[key]
        if value is None and not field.required:
            return None
        return self._protected(model, key, field, accepted(model.name, key, field, value))

    def _default(self, model: Model, key: str, field: Field, now: datetime) -> Any:
        if key == "id" and field.default is None:
            return self._id(model, field)
        if field.default is NOW:
            return now
        return field.default() if callable(field.default) else field.default

    def _id(self, model: Model, field: Field) -> str | None:
        if field.generated and not model.ours:
            return None  # theirs is made by their database, whatever makes ours
        return (self._new_id or id_maker(field.type))()

    def changes(self, name: str, changes: Mapping[str, Any]) -> Record:
        """Return changes, with those that come with every change."""
        model = self._schema.require_model(name)
        stored = {key: self._change(model, key, value) for key, value in changes.items()}
        for key, field in model.fields.items():
            if field.on_update is NOW and key not in stored:
                stored[key] = self._clock()
        return stored

    def _change(self, model: Model, key: str, value: Any) -> Any:
        field = model.require_field(key)
        if isinstance(value, Increment):
            if field.type not in {"integer", "bigint"}:
                raise InvalidValue(model.name, key, f"a {field.type} cannot be incremented")
            return value
        if key == "id":
            raise InvalidValue(model.name, key, "an id never changes")
        return self._stored(model, key, value)

    def _protected(self, model: Model, key: str, field: Field, value: Any) -> Any:
        """Hash what is only compared and seal what is only ours."""
        if value is None:
            return None
        if field.digest:
            return digest(value)
        if field.sealed and self._sealer is not None:
            return self._sealer.seal(f"{model.name}.{key}", value)
        return value

    def unsealed(self, model: str, field: str, sealed: str | None) -> str | None:
        """Return the text that was sealed."""
        if sealed is None or self._sealer is None:
            return None
        return self._sealer.open(f"{model}.{field}", sealed)


def _checked_sealer(schema: Schema, sealer: Sealer | None) -> Sealer | None:
    sealed = [
        f"{model.name}.{name}"
        for model in schema.models.values()
        for name, field in model.fields.items()
        if field.sealed
    ]
    if sealed and sealer is None:
        raise ConfigurationError(
            f"{sealed[0]} is sealed, but the store has nothing to seal with.",
            hint="Pass sealer=KeyRing([secret]) from watchword.crypto.sealing.",
        )
    return sealer
