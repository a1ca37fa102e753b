"""Values of BSON: their types, their order, and where in a document they are."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import bson
from bson import (
    Binary,
    CodecOptions,
    DatetimeMS,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.binary import UuidRepresentation
from bson.datetime_ms import DatetimeConversion

Document = dict[str, Any]

CODEC: Final[CodecOptions[Document]] = CodecOptions(
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)

TYPES: Final[Mapping[type, str]] = {
    MinKey: "minKey",
    type(None): "null",
    int: "int",
    Int64: "long",
    float: "double",
    Decimal128: "decimal",
    str: "string",
    dict: "object",
    list: "array",
    bytes: "binData",
    Binary: "binData",
    ObjectId: "objectId",
    bool: "bool",
    DatetimeMS: "date",
    Timestamp: "timestamp",
    Regex: "regex",
    MaxKey: "maxKey",
}
NUMBERS: Final = ("int", "long", "double", "decimal")
TYPE_NUMBERS: Final = {
    -1: "minKey",
    1: "double",
    2: "string",
    3: "object",
    4: "array",
    5: "binData",
    7: "objectId",
    8: "bool",
    9: "date",
    10: "null",
    11: "regex",
    16: "int",
    17: "timestamp",
    18: "long",
    19: "decimal",
    127: "maxKey",
}
# Values of different ranks are ordered by them; numbers of all types are one.
_ORDER: Final = (
    *(("minKey",), ("null",), NUMBERS, ("string",), ("object",), ("array",), ("binData",)),
    *(("objectId",), ("bool",), ("date",), ("timestamp",), ("regex",), ("maxKey",)),
)
RANKS: Final = {name: place for place, names in enumerate(_ORDER) for name in names}


class Missing:
    """Stands for a value that is not there."""


MISSING: Final = Missing()


def copied(document: Document) -> Document:
    """Return a document as it comes back from the disk, with every number in its type."""
    return bson.decode(bson.encode(document, codec_options=CODEC), CODEC)


def type_of(value: Any) -> str:
    """Name a value's type as `$type` and `bsonType` do."""
    return "missing" if value is MISSING else TYPES[type(value)]


def is_of_type(value: Any, names: Any) -> bool:
    """Tell whether a value is of one of the types, which may be `number`."""
    kind = type_of(value)
    known = names if isinstance(names, list) else [names]
    named = {TYPE_NUMBERS.get(it, it) if type(it) is not str else it for it in known}
    return kind in named or ("number" in named and kind in NUMBERS)


def rank(value: Any) -> int:
    """Return the place of a value's type among the types."""
    return 1 if value is MISSING else RANKS[type_of(value)]


def order_key(value: Any) -> tuple[Any, ...]:
    """Return what values are compared by, and found by: those that are equal have one key."""
    return (rank(value), _within_rank(value))


def _within_rank(value: Any) -> Any:  # noqa: PLR0911 - a line for each type
    match value:
        case bool() | ObjectId() | Timestamp():
            return value
        case str():
            return value.encode("utf-8", "surrogatepass")
        case bytes():
            return (len(value), getattr(value, "subtype", 0), bytes(value))
        case Decimal128():
            return _number(value.to_decimal())
        case int() | float():
            return _number(value)
        case dict():
            return tuple((rank(it), name, order_key(it)) for name, it in value.items())
        case list():
            return tuple(order_key(it) for it in value)
        case DatetimeMS():
            return int(value)
        case Regex():
            return (str(value.pattern), value.flags)
    return 0


def _number(value: float | Decimal) -> tuple[int, float | Decimal]:
    return (1, value) if value == value else (0, 0)  # noqa: PLR0124 - what differs is no number


def found_at(value: Any, path: list[str]) -> Iterator[Any]:
    """Go through the values at a path, in every element of an array on the way."""
    if not path:
        yield value
    elif isinstance(value, dict):
        yield from found_at(value.get(path[0], MISSING), path[1:])
    elif isinstance(value, list):
        for it in value:
            if isinstance(it, dict):
                yield from found_at(it, path)
    else:
        yield MISSING


def spread(values: list[Any]) -> Iterator[Any]:
    """Go through values, and through the elements of those that are arrays."""
    for value in values:
        yield value
        if isinstance(value, list):
            yield from value


def sort_key(document: Document, path: str, direction: int) -> tuple[Any, ...]:
    """Return what a document is sorted by: of an array the least, or the greatest."""
    keys: list[tuple[Any, ...]] = []
    for value in found_at(document, path.split(".")):
        keys += [order_key(it) for it in (value if isinstance(value, list) else [value])]
    choose = min if direction > 0 else max
    return choose(keys, default=order_key(None))


def in_order(documents: list[Document], order: Mapping[str, int] | None) -> list[Document]:
    """Return documents in the order of a `sort`."""
    rows = list(documents)
    for path, direction in reversed(list((order or {}).items())):
        rows.sort(
            key=lambda row, path=path, direction=direction: sort_key(row, path, int(direction)),
            reverse=direction < 0,
        )
    return rows
