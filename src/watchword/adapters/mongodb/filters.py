"""From conditions and changes to MongoDB's filters and updates.

Whatever a request brought stands behind an operator that is written here, and is a text, a
number, an instant or null: nothing in it can be an operator itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, TypeAlias

from watchword.adapters.mongodb.documents import ID, ModelCollection
from watchword.adapters.mongodb.values import is_id_of_no_row
from watchword.errors import InvalidValue
from watchword.storage.matching import matches
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
            return _with_default(it, where, {it.keys[where.field]: _compared(it, where)})
    raise TypeError(f"not a condition: {where!r}")


def both(one: Filter, other: Filter) -> Filter:
    """Return the filter for what matches two."""
    return {"$and": [one, other]} if one and other else one or other


def _with_default(it: ModelCollection, where: Comparison, fits: Filter) -> Filter:
    """Let a key that is missing have its default; MongoDB compares it as null."""
    name, key = where.field, it.keys[where.field]
    if name not in it.defaults:
        return fits
    should_match = matches({name: it.defaults[name]}, where)
    if should_match == matches({name: None}, where):
        return fits
    if should_match:
        return {"$or": [fits, {key: {"$exists": False}}]}
    return {"$and": [fits, {key: {"$exists": True}}]}


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

    `$inc` refuses to add to null and adds to nothing as to 0, so rows in which a counter is null,
    or missing with a default, have ways of their own.
    """
    values = {name: value for name, value in changes.items() if not isinstance(value, Increment)}
    added = {name: value.by for name, value in changes.items() if isinstance(value, Increment)}
    starts = [_starts(it, name) for name in added]
    return [
        _way(it, values, added, dict(zip(added, chosen, strict=True)))
        for chosen in product(*starts)
    ]


@dataclass(frozen=True, slots=True)
class _Start:
    """What a counter may be before it is counted.

    Args:
        fits: Tells such rows.
        value: That is added to; None for whatever is there.
    """

    fits: Filter
    value: int | None = None


def _starts(it: ModelCollection, name: str) -> list[_Start]:
    default, is_required = it.defaults.get(name), it.model.fields[name].required
    if default is None:
        others = [] if is_required else [_Start({"$eq": None}, 0)]
    else:
        others = [_Start({"$exists": False}, default)] if default or not is_required else []
        others += [] if is_required else [_Start({"$type": "null"}, 0)]
    return [_Start({"$ne": None} if others else {}), *others]


def _way(
    it: ModelCollection,
    values: Mapping[str, Any],
    added: Mapping[str, int],
    starts: Mapping[str, _Start],
) -> Update:
    begun = {
        name: start.value + added[name]
        for name, start in starts.items()
        if start.value is not None
    }
    written = {
        it.keys[name]: it.stored(name, value) for name, value in {**values, **begun}.items()
    }
    counted = {
        it.keys[name]: it.stored(name, by) for name, by in added.items() if name not in begun
    }
    update = {"$set": written, "$inc": counted}
    fits = {it.keys[name]: start.fits for name, start in starts.items() if start.fits}
    return fits, {operator: change for operator, change in update.items() if change}
