"""Fields that applications and plugins add to users and sessions: what clients may set."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    FieldTooLong,
    InvalidValue,
)
from watchword.http.bodies import UNSET, Body, UnsetType, validate
from watchword.schema import Field, FieldType, Model, Schema, camel_case
from watchword.schema.resolve import APPLICATION
from watchword.storage.values import accepted

__all__ = ["AdditionalFields", "ApplicationFields"]

_TYPES: Final[Mapping[FieldType, Any]] = MappingProxyType(
    {
        "string": str,
        "text": str,
        "id": str,
        "uuid": str,
        "integer": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
        "bigint": Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)],
        "boolean": bool,
        "datetime": Annotated[datetime, Meta(tz=True)],
        "json": Any,
        "strings": list[str],
    }
)


class ApplicationFields:
    """The application's own fields, as an extension of the schema."""

    id = APPLICATION
    models: tuple[Model, ...] = ()

    def __init__(self, **extends: Mapping[str, Field]) -> None:
        self.extends = {model: fields for model, fields in extends.items() if fields}


class AdditionalFields:
    """The fields of one model beyond the core's, with what clients may do to them.

    Args:
        schema: The resolved schema.
        core: The model as the core has it.
        given_by_clients: Clients send values for new rows, as at a sign-up.
        given_by_hooks: A hook may fill in values for new rows.

    Raises:
        ConfigurationError: One is of a type that clients cannot send, or no row could ever be
            written because nothing gives one its value.
    """

    def __init__(
        self, schema: Schema, core: Model, *, given_by_clients: bool, given_by_hooks: bool
    ) -> None:
        self._model = core.name
        model = schema.require_model(core.name)
        known = {"id", *core.fields}
        self._fields = {name: it for name, it in model.fields.items() if name not in known}
        self._names = {camel_case(name): name for name in self._fields}
        self._key_name = None if model.key_name is None else camel_case(model.key_name)
        if self._key_name is not None:  # clients give the id, as the value that it is
            self._fields["id"] = replace(model.fields["id"], key=False)
            self._names[self._key_name] = "id"
        self.body = _body(core.name, self.settable(creates=True), self._names)
        for name, field in self._fields.items():
            given = given_by_hooks or (given_by_clients and field.input)
            if field.required and field.default is None and not given:
                raise ConfigurationError(
                    f"Nothing gives {core.name}.{name} a value, and it is required.",
                    hint="Add a default, required=False, or a database hook before the create.",
                )

    def settable(self, *, creates: bool) -> Mapping[str, Field]:
        """Return those that clients may set, by wire name; an id is given to new rows alone."""
        return {
            wire: self._fields[name]
            for wire, name in self._names.items()
            if self._fields[name].input and (creates or name != "id")
        }

    def for_create(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a client sets of a new row, by logical name; defaults are not in it.

        Raises:
            APIError: Something is missing, not for clients to set, or of another type.
        """
        values = self._read({name: it for name, it in given.items() if self._counts(name)})
        for wire, name in self._names.items():
            field = self._fields[name]
            if field.required and field.input and field.default is None and name not in values:
                raise APIError(CoreError.MISSING_FIELD, message=f"{wire} is required")
        return values

    def for_update(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a client changes, by logical name.

        Raises:
            APIError: Something is not for clients to set, or of another type.
        """
        if self._key_name in given:
            raise APIError(
                CoreError.FIELD_NOT_ALLOWED, message=f"{self._key_name} is not allowed to be set"
            )
        return self._read(given)

    def _counts(self, wire: str) -> bool:
        """Tell whether a value for a new row is looked at: for some the default stands."""
        field = self._fields.get(self._names.get(wire, ""))
        return field is not None and (field.input or field.default is None)

    def _read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Keep what is ours, refuse what clients may not set, and check the rest."""
        ours = {wire: it for wire, it in given.items() if wire in self._names}
        for wire, value in ours.items():
            if value and not self._fields[self._names[wire]].input:
                raise APIError(
                    CoreError.FIELD_NOT_ALLOWED, message=f"{wire} is not allowed to be set"
                )
        settable = {it: ours[it] for it in ours if self._fields[self._names[it]].input}
        checked = validate(settable, self.body)
        values = {self._names[wire]: getattr(checked, self._names[wire]) for wire in settable}
        for name, value in values.items():
            self._check_storable(name, value)
        return values

    def _check_storable(self, name: str, value: Any) -> None:
        """Refuse what has the right type, and what no database keeps: a malformed UUID."""
        try:
            accepted(self._model, name, self._fields[name], value)
        except FieldTooLong:
            raise
        except InvalidValue:
            message = f"[body.{camel_case(name)}] Invalid input"
            raise APIError(CoreError.VALIDATION_ERROR, message=message) from None


def _body(
    model: str, fields: Mapping[str, Field], names: Mapping[str, str]
) -> type[msgspec.Struct]:
    """Return the struct of what clients may send, by its wire names."""
    described = [
        (name, _type(model, name, fields[wire]), msgspec.field(default=UNSET, name=wire))
        for wire, name in names.items()
        if wire in fields
    ]
    name = f"Additional{model.capitalize()}Fields"
    return msgspec.defstruct(name, described, bases=(Body,), frozen=True)


def _type(model: str, name: str, field: Field) -> Any:
    if field.type not in _TYPES:
        raise ConfigurationError(
            f"{model}.{name} is of type {field.type}, which clients cannot send.",
            hint="Add input=False, and set it in Python.",
        )
    kind = _TYPES[field.type]
    if kind is str:
        kind = Annotated[str, Meta(min_length=1 if name == "id" else 0, max_length=field.limit)]
    return kind | UnsetType if field.required else kind | None | UnsetType
