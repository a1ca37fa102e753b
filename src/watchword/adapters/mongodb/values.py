"""Which values fields have, and what MongoDB has in their place."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from bson.binary import UUID_SUBTYPE, Binary
from bson.int64 import Int64
from bson.objectid import ObjectId

from watchword.schema.fields import FieldType

__all__ = [
    "INSTANT_RESOLUTION",
    "LEAST",
    "Kind",
    "is_id_of_no_row",
    "is_of",
    "new_object_id",
    "read",
    "stored",
]

Kind: TypeAlias = FieldType | Literal["ObjectId"]
"""What a field holds; an ObjectId is its 24 digits to everybody but MongoDB."""

INSTANT_RESOLUTION: Final = timedelta(milliseconds=1)

_PYTHON: Final[Mapping[Kind, type | tuple[type, ...]]] = {
    "string": str,
    "text": str,
    "integer": int,
    "bigint": int,
    "boolean": bool,
    "datetime": datetime,
    "uuid": str,
    "ObjectId": str,
    "bytes": bytes,
    "strings": (list, tuple),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LEAST: Final[Mapping[Kind, Any]] = {
    "string": "",
    "text": "",
    "integer": float("-inf"),
    "bigint": float("-inf"),
    "boolean": False,
    # Without a zone, as the driver tells it of an index whatever the client's options are.
    "datetime": datetime.min,  # noqa: DTZ901
    "uuid": Binary(bytes(16), UUID_SUBTYPE),
    "ObjectId": ObjectId(bytes(12)),
}
# The texts that stand for something else in the database.
_WRITTEN: Final[Mapping[Kind, re.Pattern[str]]] = {
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "ObjectId": re.compile(r"[0-9a-f]{24}"),
}


def new_object_id() -> str:
    """Return the digits of a new ObjectId: later ones sort after earlier ones, to the second."""
    return str(ObjectId())


def is_id_of_no_row(kind: Kind, value: Any) -> bool:
    """Tell whether a text cannot be in such a field: it is some other id, or a stranger's."""
    return isinstance(value, str) and kind in _WRITTEN and not _WRITTEN[kind].fullmatch(value)


def is_of(kind: Kind, value: Any) -> bool:
    """Tell whether a value is of a field's type; nothing that is can be an operator."""
    if kind == "json":
        return True
    if kind == "strings" and isinstance(value, list | tuple):
        return all(isinstance(it, str) for it in value)
    is_flag = isinstance(value, bool) and kind != "boolean"
    is_misplaced = is_flag or is_id_of_no_row(kind, value)
    return isinstance(value, _PYTHON[kind]) and not is_misplaced


def _instant(value: datetime) -> datetime:
    return value.astimezone(UTC) - (value - _EPOCH) % INSTANT_RESOLUTION


def _uuid_bytes(text: str) -> Binary:
    return Binary(bytes.fromhex(text.replace("-", "")), UUID_SUBTYPE)


def _uuid_text(value: bytes) -> str:
    # By hand it takes a third of the time of the class UUID, and every request reads some.
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# A JSON value is a text. As a document it could hold keys that MongoDB, or the driver, takes
# for something else, `$ref` and `$set` for two, and its integers would come back as another type.
_STORED: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "bigint": Int64,
    "datetime": _instant,
    "json": _json,
    "strings": list,
    "uuid": _uuid_bytes,
    "ObjectId": ObjectId,
}
_READ: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "integer": int,
    "bigint": int,
    "datetime": lambda value: value.astimezone(UTC),
    "json": json.loads,
    "bytes": bytes,
    "uuid": _uuid_text,
    "ObjectId": str,
}


def stored(kind: Kind, value: Any) -> Any:
    """Return a value of a field's type as MongoDB has it."""
    return _STORED[kind](value) if kind in _STORED else value


def read(kind: Kind, value: Any) -> Any:
    """Return what MongoDB has as the contract has it."""
    return value if value is None or kind not in _READ else _READ[kind](value)
