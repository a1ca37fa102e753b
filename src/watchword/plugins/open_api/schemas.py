"""What endpoints take and answer as JSON Schema, made from their types and the schema's fields."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec

from watchword.engine.context import Instance
from watchword.errors import ErrorCode
from watchword.http.bodies import UNSET, Answer, OpenBody, UnsetType
from watchword.http.emails import Email
from watchword.schema import Field, camel_case
from watchword.storage.entities import Session, User
from watchword.storage.values import holds_integer_id

__all__ = ["Schemas", "members"]

_REFERENCE: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string"}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_TYPES: Final[Mapping[str, dict[str, Any]]] = {
    "integer": {"type": "integer", "format": "int32"},
    "bigint": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "datetime": _INSTANT,
    "uuid": {"type": "string", "format": "uuid"},
    "json": {},
    "strings": {"type": "array", "items": _TEXT},
}
# The address's own pattern is exact, and too long for people.
_EMAIL: Final = {"type": "string", "format": "email", "maxLength": 254}
_EMAIL_PATTERN: Final = get_args(Email)[1].pattern
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
# JSON Schema takes the expressions of ECMA-262, where these anchors have other names.
_ANCHORS: Final = {"A": "^", "Z": "$"}
_MODELS: Final[Mapping[type[msgspec.Struct], str]] = {User: "user", Session: "session"}


class Refusal(Answer, frozen=True):
    """Why a request was refused; a few have a sentence and no code."""

    message: str
    code: str | UnsetType = UNSET


class Schemas:
    """The schemas of types, and the components that these refer to.

    Args:
        instance: Knows the additional fields and the codes of refusals.
        kinds: The types to describe; unions by their members.
    """

    def __init__(self, instance: Instance, kinds: Iterable[Any]) -> None:
        structs: dict[type[msgspec.Struct], None] = dict.fromkeys((Refusal, User, Session))
        described = dict.fromkeys(kinds)
        for kind in described:
            _gather(kind, structs)
        asked = list(dict.fromkeys([*structs, *described]))
        schemas, components = msgspec.json.schema_components(asked, ref_template=_REFERENCE)
        self._schemas = {kind: _portable(it) for kind, it in zip(asked, schemas, strict=True)}
        self.components: dict[str, Any] = {
            name: _portable(it) for name, it in sorted(components.items())
        }
        for struct in structs:
            self._complete(struct, instance)

    def of(self, *kinds: Any) -> dict[str, Any]:
        """Return the schema of what is one of some types."""
        schemas = [self._schemas[it] for it in kinds]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    @property
    def refusal(self) -> dict[str, Any]:
        """The schema of a refusal."""
        return self.of(Refusal)

    def _complete(self, struct: type[msgspec.Struct], instance: Instance) -> None:
        """Say what a struct's type does not."""
        name = str(self._schemas[struct]["$ref"]).rpartition("/")[2]
        schema = self.components[name]
        for it in msgspec.structs.fields(struct):
            if datetime in (kinds := members(it.type)):
                schema["properties"][it.encode_name] = _or_null(_INSTANT, null=NoneType in kinds)
        if struct in _MODELS:
            self.components[name] = _model(instance, _MODELS[struct])
        elif issubclass(struct, Answer):
            _complete_answer(schema, struct)
        elif issubclass(struct, OpenBody):
            _add_fields(schema, struct, instance)
        if struct is Refusal:
            schema["properties"]["code"]["enum"] = _names(instance.codes)


def members(kind: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type; its only one, if it is no union."""
    if kind is None:
        return ()
    return get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)


def _gather(kind: Any, found: dict[type[msgspec.Struct], None]) -> None:
    """Find the structs that a type is made of."""
    for part in get_args(kind):
        _gather(part, found)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in found:
        found[kind] = None
        for field in msgspec.structs.fields(kind):
            _gather(field.type, found)


def _complete_answer(schema: dict[str, Any], struct: type[Answer]) -> None:
    """Say what is always there: a default is for us, clients see the value."""
    for described in schema["properties"].values():
        described.pop("default", None)
    schema["required"] = [
        it.encode_name
        for it in msgspec.structs.fields(struct)
        if UnsetType not in members(it.type)
    ]


def _add_fields(schema: dict[str, Any], struct: type[OpenBody], instance: Instance) -> None:
    """Name the additional fields that clients may set, instead of the catch-all."""
    del schema["properties"]["additionalFields"]
    known = {"user": instance.user_fields, "session": instance.session_fields}
    for wire, field in known[struct.model].settable(creates=struct.creates).items():
        schema["properties"][wire] = _field(field)
        if struct.creates and field.required and field.default is None:
            schema["required"].append(wire)


def _model(instance: Instance, name: str) -> dict[str, Any]:
    """Describe a user or a session as clients see it."""
    model = instance.store.schema.require_model(name)
    shown = {camel_case(it): _field(field) for it, field in model.fields.items() if field.returned}
    return {"type": "object", "properties": shown, "required": list(shown)}


def _field(field: Field) -> dict[str, Any]:
    kind = _TEXT if holds_integer_id(field) else _TYPES.get(field.type, _TEXT)
    return _or_null(kind, null=bool(kind) and not field.required)


def _or_null(schema: dict[str, Any], *, null: bool) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]} if null else schema


def _names(codes: Iterable[ErrorCode]) -> list[str]:
    return sorted({code.name for code in codes})


def _portable(schema: Any) -> Any:
    """Return a schema whose patterns every language reads."""
    if isinstance(schema, list):
        return [_portable(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    pattern = schema.get("pattern")
    if pattern == _EMAIL_PATTERN:
        return dict(_EMAIL)
    return {key: _portable(it) for key, it in schema.items()} | dict(_anchored(pattern))


def _anchored(pattern: object) -> Iterator[tuple[str, str]]:
    if isinstance(pattern, str):
        yield "pattern", _ESCAPE.sub(lambda it: _ANCHORS.get(it[1], it[0]), pattern)
