"""Filters: which documents they match; what is no filter is refused before one is looked at."""

import re
from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any, Final

from bson import Regex

from stand_in_server.refusals import Refusal
from stand_in_server.schemas import schema_predicate
from stand_in_server.values import (
    MISSING,
    TYPE_NUMBERS,
    TYPES,
    Document,
    found_at,
    is_of_type,
    order_key,
    rank,
    spread,
)

Predicate = Callable[[Any], bool]
Found = Callable[[list[Any]], bool]
"""Tells whether what was found at a path fits."""


def predicate(query: Mapping[str, Any]) -> Predicate:
    """Return what tells whether a document matches."""
    parts = [_clause(name, operand) for name, operand in query.items()]
    return lambda document: all(part(document) for part in parts)


def candidates(query: Mapping[str, Any]) -> set[tuple[Any, ...]] | None:
    """Return the keys of the only ids that can match, or None if any may."""
    condition = query.get("_id", MISSING)
    if condition is not MISSING:
        if not _has_operators(condition):
            return {order_key(condition)}
        if "$eq" in condition:
            return {order_key(condition["$eq"])}
        if isinstance(condition.get("$in"), list):
            return {order_key(it) for it in condition["$in"]}
    parts = (candidates(part) for part in query.get("$and", ()))
    return next((part for part in parts if part is not None), None)


def _clause(name: str, operand: Any) -> Predicate:
    if name in _LOGIC:
        if not isinstance(operand, list) or not operand:
            raise Refusal(2, f"{name} must be a nonempty array")
        parts = [predicate(part) for part in operand]
        return lambda document: _LOGIC[name](part(document) for part in parts)
    if name == "$jsonSchema":
        return schema_predicate(operand)
    if name == "$comment":
        return lambda _: True
    if name.startswith("$"):
        raise Refusal(2, f"unknown top level operator: {name}")
    fits = _condition(operand)
    path = name.split(".")
    return lambda document: fits(list(found_at(document, path)))


_LOGIC: Final[Mapping[str, Callable[[Any], bool]]] = {
    "$and": all,
    "$or": any,
    "$nor": lambda parts: not any(parts),
}


def _has_operators(condition: Any) -> bool:
    return isinstance(condition, dict) and next(iter(condition), "").startswith("$")


def _condition(condition: Any) -> Found:
    if not _has_operators(condition):
        return _matches_pattern(condition) if isinstance(condition, Regex) else _equals(condition)
    parts = [
        _operator(name, operand, condition)
        for name, operand in condition.items()
        if not (name == "$options" and "$regex" in condition)
    ]
    return lambda found: all(part(found) for part in parts)


def _operator(name: str, operand: Any, condition: Mapping[str, Any]) -> Found:
    if name == "$regex":
        return _matches(operand, str(condition.get("$options", "")))
    if name not in _OPERATORS:
        raise Refusal(2, f"unknown operator: {name}")
    return _OPERATORS[name](operand)


def _equals(operand: Any) -> Found:
    wanted = order_key(operand)
    return lambda found: any(order_key(it) == wanted for it in spread(found))


def _compares(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Found]:
    """Only values of one rank are compared; null equals what is missing, and is not less."""

    def operator(operand: Any) -> Found:
        wanted, kind = order_key(operand), rank(operand)
        return lambda found: any(
            rank(it) == kind and compare(order_key(it), wanted) for it in spread(found)
        )

    return operator


def _is_in(operand: Any) -> Found:
    if not isinstance(operand, list):
        raise Refusal(2, "$in needs an array")
    wanted = {order_key(it) for it in operand}
    return lambda found: any(order_key(it) in wanted for it in spread(found))


def _exists(operand: Any) -> Found:
    return lambda found: any(it is not MISSING for it in found) is bool(operand)


def _is_of(operand: Any) -> Found:
    known = {*TYPES.values(), *TYPE_NUMBERS, "number"}
    for name in operand if isinstance(operand, list) else [operand]:
        if name not in known:
            raise Refusal(2, f"Unknown type name alias: {name}")
    return lambda found: any(is_of_type(it, operand) for it in spread(found))


def _matches(pattern: Any, options: str) -> Found:
    if isinstance(pattern, Regex):
        return _matches_pattern(pattern)
    if not isinstance(pattern, str):
        raise Refusal(2, "$regex has to be a string")
    if "\0" in pattern:
        raise Refusal(51109, "Regular expression cannot contain an embedded null byte")
    flags = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
    made = re.compile(pattern, sum((flags[it] for it in options), re.RegexFlag(0)))
    return lambda found: any(isinstance(it, str) and made.search(it) for it in spread(found))


def _matches_pattern(pattern: Regex[Any]) -> Found:
    made = pattern.try_compile()
    return lambda found: any(isinstance(it, str) and made.search(it) for it in spread(found))


def _not(make: Callable[[Any], Found]) -> Callable[[Any], Found]:
    def operator(operand: Any) -> Found:
        fits = make(operand)
        return lambda found: not fits(found)

    return operator


def _has_size(operand: Any) -> Found:
    return lambda found: any(isinstance(it, list) and len(it) == operand for it in found)


_OPERATORS: Final[Mapping[str, Callable[[Any], Found]]] = {
    "$eq": _equals,
    "$ne": _not(_equals),
    "$lt": _compares(lt),
    "$lte": _compares(le),
    "$gt": _compares(gt),
    "$gte": _compares(ge),
    "$in": _is_in,
    "$nin": _not(_is_in),
    "$exists": _exists,
    "$type": _is_of,
    "$not": _not(_condition),
    "$size": _has_size,
}


def project(document: Document, projection: Mapping[str, Any] | None) -> Document:
    """Return what a projection leaves of a document; it knows no paths."""
    if not projection:
        return document
    if any("." in name or isinstance(it, dict) for name, it in projection.items()):
        raise Refusal(238, "the stand-in knows no such projection")
    wanted = {name for name, is_wanted in projection.items() if is_wanted}
    unwanted = set(projection) - wanted
    if wanted - {"_id"} and unwanted - {"_id"}:
        raise Refusal(31254, "Cannot do exclusion on a field in inclusion projection")
    if wanted:
        wanted = wanted | ({"_id"} - unwanted)
        return {name: it for name, it in document.items() if name in wanted}
    return {name: it for name, it in document.items() if name not in unwanted}
