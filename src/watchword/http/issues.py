"""What is wrong with a body, in the words that the wire uses."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from types import NoneType
from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Meta, UnsetType, ValidationError, convert, inspect

__all__ = ["Issue", "find_issues"]

Path: TypeAlias = tuple[str, ...]

# A list of half a million wrong items must not become an answer of 40 MB.
_MOST_ISSUES: Final = 20
_MISMATCH: Final = "Invalid input: expected "
# Never the value itself: it may be a password.
_RECEIVED: Final[Mapping[type, str]] = {
    UnsetType: "undefined",
    NoneType: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, and where."""

    path: Path
    text: str


def find_issues(value: object, expected: Any) -> list[Issue]:
    """List what keeps a value from being of a type, in the order of its fields: the first 20.

    Empty also where these rules know of nothing wrong; that does not make the value valid.
    """
    return list(islice(_issues(value, inspect.type_info(expected), ()), _MOST_ISSUES))


def _issues(value: Any, kind: inspect.Type, path: Path) -> Iterator[Issue]:
    finder = _FINDERS.get(type(kind))
    return finder(value, kind, path) if finder else iter(())


def _mismatch(expected: str, value: object, path: Path) -> Issue:
    return Issue(path, f"{_MISMATCH}{expected}, received {_RECEIVED.get(type(value), 'unknown')}")


def _in_struct(value: Any, kind: inspect.StructType, path: Path) -> Iterator[Issue]:
    if not isinstance(value, dict):
        yield _mismatch("object", value, path)
        return
    for field in kind.fields:
        name = field.encode_name
        if field.required or name in value:
            yield from _issues(value.get(name, UNSET), field.type, (*path, name))


def _in_mapping(value: Any, kind: inspect.DictType, path: Path) -> Iterator[Issue]:
    if not isinstance(value, dict):
        yield _mismatch("record", value, path)
        return
    for item in value.values():
        # The keys are the client's own words; they are not sent back.
        yield from _issues(item, kind.value_type, path)


def _in_list(value: Any, kind: inspect.ListType, path: Path) -> Iterator[Issue]:
    if not isinstance(value, list):
        yield _mismatch("array", value, path)
        return
    yield from _out_of_range("array", len(value), kind, path, unit=" items")
    for index, item in enumerate(value):
        yield from _issues(item, kind.item_type, (*path, str(index)))


def _in_text(value: Any, kind: inspect.StrType, path: Path) -> Iterator[Issue]:
    if not isinstance(value, str):
        yield _mismatch("string", value, path)
        return
    yield from _out_of_range("string", len(value), kind, path, unit=" characters")
    if kind.pattern is not None and not re.search(kind.pattern, value):
        yield Issue(path, "Invalid input")


def _in_instant(value: Any, kind: inspect.DateTimeType, path: Path) -> Iterator[Issue]:
    if not isinstance(value, str):
        yield _mismatch("string", value, path)
        return
    try:
        convert(value, Annotated[datetime, Meta(tz=kind.tz)])
    except ValidationError:
        yield Issue(path, "Invalid ISO datetime")


def _in_boolean(value: Any, _kind: inspect.BoolType, path: Path) -> Iterator[Issue]:
    if not isinstance(value, bool):
        yield _mismatch("boolean", value, path)


def _in_integer(value: Any, kind: inspect.IntType, path: Path) -> Iterator[Issue]:
    if isinstance(value, float):
        yield _mismatch("int", value, path)
    else:
        yield from _in_number(value, kind, path)


def _in_number(
    value: Any, kind: inspect.IntType | inspect.FloatType, path: Path
) -> Iterator[Issue]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield _mismatch("number", value, path)
    elif kind.ge is not None and value < kind.ge:
        yield Issue(path, f"Too small: expected number to be >={kind.ge}")
    elif kind.le is not None and value > kind.le:
        yield Issue(path, f"Too big: expected number to be <={kind.le}")


def _in_choice(value: Any, kind: inspect.LiteralType, path: Path) -> Iterator[Issue]:
    if value in kind.values:
        return
    choices = [f'"{choice}"' for choice in kind.values]
    if len(choices) == 1:
        yield Issue(path, f"{_MISMATCH}{choices[0]}")
    else:
        yield Issue(path, f"Invalid option: expected one of {'|'.join(choices)}")


def _in_union(value: Any, kind: inspect.UnionType, path: Path) -> Iterator[Issue]:
    found = [list(islice(_issues(value, member, path), _MOST_ISSUES)) for member in kind.types]
    if not all(found):
        return
    # "A text or null" is described as a text; of real alternatives none is more expected.
    others = [
        issues
        for member, issues in zip(kind.types, found, strict=True)
        if not isinstance(member, inspect.NoneType)
    ]
    yield from others[0] if len(others) == 1 else [Issue(path, "Invalid input")]


def _in_null(value: Any, _kind: inspect.NoneType, path: Path) -> Iterator[Issue]:
    if value is not None:
        yield _mismatch("null", value, path)


def _in_annotated(value: Any, kind: inspect.Metadata, path: Path) -> Iterator[Issue]:
    """Use the type's own sentence for a value of the right kind that breaks its rules."""
    refusal = (kind.extra or {}).get("refusal")
    for issue in _issues(value, kind.type, path):
        if refusal is None or issue.text.startswith(_MISMATCH):
            yield issue
        else:
            yield Issue(path, refusal)


def _out_of_range(
    noun: str, length: int, kind: inspect.StrType | inspect.ListType, path: Path, *, unit: str
) -> Iterator[Issue]:
    if kind.min_length is not None and length < kind.min_length:
        yield Issue(path, f"Too small: expected {noun} to have >={kind.min_length}{unit}")
    elif kind.max_length is not None and length > kind.max_length:
        yield Issue(path, f"Too big: expected {noun} to have <={kind.max_length}{unit}")


_FINDERS: Final[Mapping[type[inspect.Type], Callable[[Any, Any, Path], Iterator[Issue]]]] = {
    inspect.StructType: _in_struct,
    inspect.DictType: _in_mapping,
    inspect.ListType: _in_list,
    inspect.StrType: _in_text,
    inspect.DateTimeType: _in_instant,
    inspect.BoolType: _in_boolean,
    inspect.IntType: _in_integer,
    inspect.FloatType: _in_number,
    inspect.LiteralType: _in_choice,
    inspect.UnionType: _in_union,
    inspect.NoneType: _in_null,
    inspect.Metadata: _in_annotated,
}
