"""Validators: `$jsonSchema`, which tells rules that are not kept by their names."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from stand_in_server.refusals import Refusal
from stand_in_server.values import NUMBERS, TYPES, order_key, type_of

Predicate = Callable[[Any], bool]
Rule = Callable[[Any, Mapping[str, Any]], Predicate]


def schema_predicate(schema: Any) -> Predicate:
    """Return what tells whether a value keeps every rule of a schema."""
    rules = _rules(schema)
    return lambda value: all(is_kept(value) for is_kept in rules.values())


def broken_rules(schema: Mapping[str, Any], document: Any) -> list[dict[str, Any]]:
    """Return the rules that a document does not keep, as the server reports them."""
    return [
        {"operatorName": name, **_reason(name, schema[name], document)}
        for name, is_kept in _rules(schema).items()
        if not is_kept(document)
    ]


def _reason(name: str, operand: Any, document: Any) -> dict[str, Any]:
    if name == "properties":
        broken = {
            key: found
            for key, schema in operand.items()
            if key in document and (found := broken_rules(schema, document[key]))
        }
        return {
            "propertiesNotSatisfied": [
                {"propertyName": key, "details": found} for key, found in broken.items()
            ]
        }
    if name == "required":
        missing = [key for key in operand if key not in document]
        return {"specifiedAs": {name: operand}, "missingProperties": missing}
    return {"specifiedAs": {name: operand}}


def _rules(schema: Any) -> dict[str, Predicate]:
    if not isinstance(schema, dict):
        raise Refusal(14, "$jsonSchema must be an object")
    if unknown := set(schema) - set(_RULES) - _WORDS:
        raise Refusal(9, f"Unknown $jsonSchema keyword: {min(unknown)}")
    return {
        name: _RULES[name](operand, schema)
        for name, operand in schema.items()
        if name not in _WORDS
    }


_WORDS: Final = {"title", "description"}


def _bson_type(operand: Any, _: Mapping[str, Any]) -> Predicate:
    names = operand if isinstance(operand, list) else [operand]
    for name in names:
        if name not in {*TYPES.values(), "number"}:
            raise Refusal(2, f"Unknown type name alias: {name}")
    if not names:
        raise Refusal(9, "$jsonSchema keyword 'bsonType' must name at least one type")
    wanted = {*names, *(NUMBERS if "number" in names else ())}
    return lambda value: type_of(value) in wanted


def _required(operand: Any, _: Mapping[str, Any]) -> Predicate:
    if not isinstance(operand, list):
        raise Refusal(14, "$jsonSchema keyword 'required' must be an array")
    if not operand:
        raise Refusal(9, "$jsonSchema keyword 'required' cannot be an empty array")
    if len(set(operand)) != len(operand):
        raise Refusal(9, "$jsonSchema keyword 'required' array cannot contain duplicate values")
    return lambda value: not isinstance(value, dict) or all(name in value for name in operand)


def _properties(operand: Any, _: Mapping[str, Any]) -> Predicate:
    parts = {name: schema_predicate(schema) for name, schema in operand.items()}
    return lambda value: (
        not isinstance(value, dict)
        or all(fits(value[name]) for name, fits in parts.items() if name in value)
    )


def _additional_properties(operand: Any, schema: Mapping[str, Any]) -> Predicate:
    known = set(schema.get("properties", ()))
    fits = (lambda _: operand) if isinstance(operand, bool) else schema_predicate(operand)
    return lambda value: (
        not isinstance(value, dict)
        or all(fits(it) for name, it in value.items() if name not in known)
    )


def _items(operand: Any, _: Mapping[str, Any]) -> Predicate:
    fits = schema_predicate(operand)
    return lambda value: not isinstance(value, list) or all(fits(it) for it in value)


def _length(kind: type, fits: Callable[[int, int], bool]) -> Rule:
    def rule(operand: Any, _: Mapping[str, Any]) -> Predicate:
        if type_of(operand) not in NUMBERS:
            raise Refusal(14, "$jsonSchema keyword must be a number")
        return lambda value: not isinstance(value, kind) or fits(len(value), int(operand))

    return rule


def _bound(fits: Callable[[Any, Any], bool]) -> Rule:
    def rule(operand: Any, _: Mapping[str, Any]) -> Predicate:
        wanted = order_key(operand)
        return lambda value: type_of(value) not in NUMBERS or fits(order_key(value), wanted)

    return rule


def _enum(operand: Any, _: Mapping[str, Any]) -> Predicate:
    known = {order_key(it) for it in operand}
    return lambda value: order_key(value) in known


def _pattern(operand: Any, _: Mapping[str, Any]) -> Predicate:
    made = re.compile(operand)
    return lambda value: not isinstance(value, str) or made.search(value) is not None


def _several(fits: Callable[[int, int], bool]) -> Rule:
    def rule(operand: Any, _: Mapping[str, Any]) -> Predicate:
        parts = [schema_predicate(part) for part in operand]
        return lambda value: fits(sum(part(value) for part in parts), len(parts))

    return rule


def _not(operand: Any, _: Mapping[str, Any]) -> Predicate:
    fits = schema_predicate(operand)
    return lambda value: not fits(value)


_RULES: Final[Mapping[str, Rule]] = {
    "bsonType": _bson_type,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional_properties,
    "items": _items,
    "maxLength": _length(str, lambda length, most: length <= most),
    "minLength": _length(str, lambda length, least: length >= least),
    "maxItems": _length(list, lambda length, most: length <= most),
    "minItems": _length(list, lambda length, least: length >= least),
    "maximum": _bound(lambda value, most: value <= most),
    "minimum": _bound(lambda value, least: value >= least),
    "enum": _enum,
    "pattern": _pattern,
    "anyOf": _several(lambda kept, _: kept > 0),
    "allOf": _several(lambda kept, of: kept == of),
    "oneOf": _several(lambda kept, _: kept == 1),
    "not": _not,
}
