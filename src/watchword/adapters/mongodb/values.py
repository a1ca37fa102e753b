"""Which values fields have, and what MongoDB has in their place."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bson.int64 import Int64

from watchword.schema.fields import FieldType

__all__ = ["INSTANT_RESOLUTION", "LEAST", "is_of", "read", "stored"]

INSTANT_RESOLUTION: Final = timedelta(milliseconds=1)

_PYTHON: Final[Mapping[FieldType, type | tuple[type, ...]]] = {
    "string": str,
    "text": str,
    "integer": int,
    "bigint": int,
    "boolean": bool,
    "datetime": datetime,
    "uuid": str,
    "bytes": bytes,
    "strings": (list, tuple),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LEAST: Final[Mapping[FieldType, Any]] = {
    "string": "",
    "text": "",
    "integer": float("-inf"),
    "bigint": float("-inf"),
    "boolean": False,
    "datetime": datetime.min.replace(tzinfo=UTC),
    "uuid": "",
}


def is_of(kind: FieldType, value: Any) -> bool:
    """Tell whether a value is of a field's type; nothing that is can be an operator."""
    if kind == "json":
        return True
    if kind == "strings" and isinstance(value, list | tuple):
        return all(isinstance(it, str) for it in value)
    is_flag = isinstance(value, bool) and kind != "boolean"
    return isinstance(value, _PYTHON[kind]) and not is_flag


def _instant(value: datetime) -> datetime:
    return value.astimezone(UTC) - (value - _EPOCH) % INSTANT_RESOLUTION


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# A JSON value is a text. As a document it could hold keys that MongoDB, or the driver, takes
# for something else, `$ref` and `$set` for two, and its integers would come back as another type.
_STORED: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    "bigint": Int64,
    "datetime": _instant,
    "json": _json,
    "strings": list,
}
_READ: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    "integer": int,
    "bigint": int,
    "datetime": lambda value: value.astimezone(UTC),
    "json": json.loads,
    "bytes": bytes,
}


def stored(kind: FieldType, value: Any) -> Any:
    """Return a value of a field's type as MongoDB has it."""
    return _STORED[kind](value) if kind in _STORED else value


def read(kind: FieldType, value: Any) -> Any:
    """Return what MongoDB has as the contract has it."""
    return value if value is None or kind not in _READ else _READ[kind](value)
