"""From conditions and changes to MongoDB's filters and updates.

Whatever a request brought stands behind an operator that is written here, and is a text, a
number, an instant or null: nothing in it can be an operator itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, Final, TypeAlias

from watchword.adapters.mongodb.documents import ID, ModelCollection
from watchword.adapters.mongodb.values import is_id_of_no_row
from watchword.errors import InvalidValue
from watchword.storage.query import And, Comparison, Increment, Not, Operator, Or, Where

__all__ = ["Filter", "Update", "both", "changes_of", "filter_of"]

Filter: TypeAlias = dict[str, Any]
Update: TypeAlias = tuple[Filter, dict[str, Any]]
"""What a row has to be like besides, and how it is changed then."""

_NOTHING: Final[Filter] = {ID: {"$in": []}}


def filter_of(it: ModelCollection, where: Where | None) -> Filter:
    """Return a condition as a filter; every comparison in it is true or false."""
    match where:
        case None | And(()):
            return {}
        case And(parts):
            return {"$and": [filter_of(it, part) for part in parts]}
        case Or(()):
            return dict(_NOTHING)
        case Or(parts):
            return {"$or": [filter_of(it, part) for part in parts]}
        case Not(part):
            return {"$nor": [filter_of(it, part)]}
        case Comparison():
            return {it.keys[where.field]: _compared(it, where)}
    raise TypeError(f"not a condition: {where!r}")


def both(one: Filter, other: Filter) -> Filter:
    """Return the filter for what matches two."""
    return {"$and": [one, other]} if one and other else one or other


def _compared(it: ModelCollection, where: Comparison) -> Filter:
    operator, value = where.operator, where.value
    if operator in _OF_LISTS:
        return {_OF_LISTS[operator]: _stored_all(it, where.field, value)}
    if operator in _OF_TEXT and it.kinds[where.field] == "ObjectId":
        raise InvalidValue(it.model.name, where.field, "is not text")
    if is_id_of_no_row(it.kinds[where.field], value):
        return _compared_with_no_row(it, where)
    stored = it.stored(where.field, value)
    if operator in _OF_TEXT:
        return {"$regex": _OF_TEXT[operator](stored)}
    return {_OF_VALUES[operator]: stored}


def _stored_all(it: ModelCollection, field: str, values: Iterable[Any]) -> list[Any]:
    kind = it.kinds[field]
    return [it.stored(field, value) for value in values if not is_id_of_no_row(kind, value)]


def _compared_with_no_row(it: ModelCollection, where: Comparison) -> Filter:
    """Return what holds of no row, or of each: requests bring any text in the place of an id."""
    match where.operator:
        case Operator.EQ:
            return {"$in": []}
        case Operator.NE:
            return {"$nin": []}
    raise InvalidValue(it.model.name, where.field, "cannot be compared with this value")


_OF_VALUES: Final[Mapping[Operator, str]] = {
    Operator.EQ: "$eq",
    Operator.NE: "$ne",
    Operator.LT: "$lt",
    Operator.LE: "$lte",
    Operator.GT: "$gt",
    Operator.GE: "$gte",
    Operator.IS_NULL: "$eq",
}
_OF_LISTS: Final[Mapping[Operator, str]] = {Operator.IN: "$in", Operator.NOT_IN: "$nin"}

# What no character follows: `$` would also hold before a line's end.
_END: Final = r"(?![\s\S])"


def _either_case(text: str) -> str:
    """Return the pattern of a text whose ASCII letters may be of either case.

    Not the option `i`, which knows other alphabets: the Kelvin sign is no k.
    """
    return "".join(
        f"[{it.lower()}{it.upper()}]" if it.isascii() and it.isalpha() else re.escape(it)
        for it in text
    )


_OF_TEXT: Final[Mapping[Operator, Callable[[str], str]]] = {
    Operator.CONTAINS: re.escape,
    Operator.STARTS_WITH: lambda text: f"^{re.escape(text)}",
    Operator.ENDS_WITH: lambda text: f"{re.escape(text)}{_END}",
    Operator.IEQ: lambda text: f"^{_either_case(text)}{_END}",
}


def changes_of(it: ModelCollection, changes: Mapping[str, Any]) -> list[Update]:
    """Return the ways to make changes, of which exactly one fits each row.

    `$inc` refuses to add to null, so a row where a counter is null has a way of its own.
    """
    values = {name: value for name, value in changes.items() if not isinstance(value, Increment)}
    added = {name: value.by for name, value in changes.items() if isinstance(value, Increment)}
    may_be_null = [name for name in added if not it.model.fields[name].required]
    ways = product((False, True), repeat=len(may_be_null))
    return [
        _way(it, values, added, dict(zip(may_be_null, are_null, strict=True))) for are_null in ways
    ]


def _way(
    it: ModelCollection,
    values: Mapping[str, Any],
    added: Mapping[str, int],
    are_null: Mapping[str, bool],
) -> Update:
    null = {name: by for name, by in added.items() if are_null.get(name, False)}
    written = {it.keys[name]: it.stored(name, value) for name, value in {**values, **null}.items()}
    counted = {
        it.keys[name]: it.stored(name, by) for name, by in added.items() if name not in null
    }
    update = {"$set": written, "$inc": counted}
    fits = {
        it.keys[name]: {"$eq" if is_null else "$ne": None} for name, is_null in are_null.items()
    }
    return fits, {operator: change for operator, change in update.items() if change}
