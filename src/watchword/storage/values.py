"""Which values a field keeps: decided here, so that every database refuses the same ones."""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from watchword.errors import FieldTooLong, InvalidValue
from watchword.schema import Field, FieldType

__all__ = ["accepted", "holds_integer_id"]

_INTEGER_BITS: Final[Mapping[FieldType, int]] = {"integer": 32, "bigint": 64}
# MariaDB takes no deeper JSON.
_JSON_DEPTH: Final = 31
_JSON_INTEGERS: Final = 1 << 63
# From here on a database may read an integral float back as an integer.
_JSON_FLOATS: Final = 1e15
_MEASURED: Final[frozenset[FieldType]] = frozenset({"string", "text", "bytes", "json", "strings"})
_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def accepted(model: str, name: str, field: Field, value: Any) -> Any:
    """Return the value as it is stored: instants in UTC, UUIDs as text, lists copied.

    Raises:
        FieldTooLong: It is longer than the field's limit.
        InvalidValue: It is of another type, null where a value is required, or not storable
            everywhere: NUL, a lone surrogate, a naive datetime, an integer out of range.
    """
    if value is None:
        if field.required and not field.generated:
            raise InvalidValue(model, name, "is required")
        return None
    try:
        result = _ACCEPT[field.type](field, value)
    except _Refused as refused:
        raise InvalidValue(model, name, str(refused)) from None
    if field.type in _MEASURED and _length(field, result) > field.limit:
        raise FieldTooLong(model, name, field.limit)
    return result


class _Refused(ValueError):
    """The value cannot be stored; the text says why."""


def _length(field: Field, value: Any) -> int:
    if field.type in {"json", "strings"}:
        return len(json.dumps(value, ensure_ascii=False).encode())
    return len(value)


def _text(_: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused(f"expected text, not {type(value).__name__}")
    if "\0" in value:
        raise _Refused("contains NUL")
    if not value.isascii():
        _check_encodable(value)
    return value


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Refused("contains a lone surrogate") from None


def _integer(field: Field, value: Any) -> int:
    if isinstance(value, str) and holds_integer_id(field):
        return _integer(field, _id_number(value))
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Refused(f"expected an integer, not {type(value).__name__}")
    bound = 1 << (_INTEGER_BITS[field.type] - 1)
    if not -bound <= value < bound:
        raise _Refused(f"does not fit into {_INTEGER_BITS[field.type]} bits")
    return value


def holds_integer_id(field: Field) -> bool:
    """Tell whether a number is an id, here or of another row, which the wire writes as text."""
    is_id = field.generated or field.key or field.references is not None
    return is_id and field.type in _INTEGER_BITS


def _id_number(text: str) -> int:
    """Read an integer id as the wire writes it: ASCII digits without a zero in front."""
    if not _ID_NUMBER.fullmatch(text):
        raise _Refused("is no integer id")
    return int(text)


def _boolean(_: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Refused(f"expected a boolean, not {type(value).__name__}")
    return value


def _instant(_: Field, value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise _Refused(f"expected a datetime, not {type(value).__name__}")
    if value.tzinfo is None:
        raise _Refused("a naive datetime names no instant; give it a time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise _Refused("is outside of the years 1 to 9999 in UTC") from None


def _uuid(_: Field, value: Any) -> str:
    # No subclass, such as a template's safe text: drivers differ in what they take.
    if type(value) is str and _CANONICAL_UUID.fullmatch(value):
        return value
    if isinstance(value, UUID):
        return str(value)
    try:
        uuid = UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise _Refused("is no UUID") from None
    if str(uuid) != value.lower():
        raise _Refused("is no UUID in its canonical form")
    return str(uuid)


def _bytes(_: Field, value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise _Refused(f"expected bytes, not {type(value).__name__}")
    return value


def _strings(field: Field, value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise _Refused(f"expected a list of texts, not {type(value).__name__}")
    return [_text(field, item) for item in value]


def _json(field: Field, value: Any, depth: int = 0) -> Any:
    """Return a deep copy, in which every part is JSON."""
    if depth > _JSON_DEPTH:
        raise _Refused(f"is nested deeper than {_JSON_DEPTH} levels")
    match value:
        case None | bool():
            return value
        case int():
            return _json_integer(value)
        case float() if math.isfinite(value):
            return _json_integer(int(value)) if abs(value) >= _JSON_FLOATS else value
        case str():
            return _text(field, value)
        case list() | tuple():
            return [_json(field, item, depth + 1) for item in value]
        case dict():
            return {_text(field, key): _json(field, it, depth + 1) for key, it in value.items()}
        case _:
            raise _Refused(f"holds a {type(value).__name__}, which is no JSON")


def _json_integer(value: int) -> int:
    if not -_JSON_INTEGERS <= value < _JSON_INTEGERS:
        raise _Refused("holds a number beyond 64 bits, which not every database keeps")
    return value


_ACCEPT: Final[Mapping[FieldType, Callable[[Field, Any], Any]]] = {
    "string": _text,
    "text": _text,
    "integer": _integer,
    "bigint": _integer,
    "boolean": _boolean,
    "datetime": _instant,
    "json": _json,
    "uuid": _uuid,
    "bytes": _bytes,
    "strings": _strings,
}
