"""The stages of `aggregate` that the tests need; the others are refused."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stand_in_server.filters import predicate, project
from stand_in_server.refusals import Refusal
from stand_in_server.values import MISSING, Document, found_at, in_order, order_key

Rows = list[Document]
Read = Callable[[str], Rows]
"""Returns all documents of a collection, as the command sees them."""


def aggregated(rows: Rows, pipeline: Sequence[Mapping[str, Any]], read: Read) -> Rows:
    """Return what becomes of documents in a pipeline."""
    for stage in pipeline:
        [(name, operand)] = stage.items()
        if name == "$lookup":
            rows = _looked_up(rows, operand, read)
        elif name in _STAGES:
            rows = _STAGES[name](rows, operand)
        else:
            raise Refusal(40324, f"Unrecognized pipeline stage name: '{name}'")
    return rows


def _matched(rows: Rows, query: Mapping[str, Any]) -> Rows:
    matches = predicate(query)
    return [row for row in rows if matches(row)]


def _projected(rows: Rows, projection: Mapping[str, Any]) -> Rows:
    return [project(row, projection) for row in rows]


def _without(rows: Rows, names: Any) -> Rows:
    unwanted = names if isinstance(names, list) else [names]
    return _projected(rows, dict.fromkeys(unwanted, 0))


def _counted(rows: Rows, name: str) -> Rows:
    return [{name: len(rows)}] if rows else []


def _looked_up(rows: Rows, lookup: Mapping[str, Any], read: Read) -> Rows:
    """Join by equality, where null equals what is missing, then do the stages."""
    foreign = read(lookup["from"])
    by_key: dict[Any, Rows] = {}
    for other in foreign:
        for key in _keys_at(other, lookup["foreignField"]):
            by_key.setdefault(key, []).append(other)
    joined: Rows = []
    for row in rows:
        keys = dict.fromkeys(_keys_at(row, lookup["localField"]))
        found = {id(it): it for key in keys for it in by_key.get(key, ())}
        related = aggregated(list(found.values()), lookup.get("pipeline", []), read)
        joined.append({**row, lookup["as"]: related})
    return joined


def _keys_at(document: Document, path: str) -> list[Any]:
    found = list(found_at(document, path.split(".")))
    return [
        order_key(it) for value in found for it in (value if isinstance(value, list) else [value])
    ]


def _grouped(rows: Rows, group: Mapping[str, Any]) -> Rows:
    groups: dict[Any, tuple[Any, Rows]] = {}
    for row in rows:
        value = _evaluated(group["_id"], row)
        groups.setdefault(order_key(value), (value, []))[1].append(row)
    results = {name: _accumulator(it) for name, it in group.items() if name != "_id"}
    return [
        {
            "_id": None if value is MISSING else value,
            **{name: total(members) for name, total in results.items()},
        }
        for value, members in groups.values()
    ]


def _accumulator(asked: Mapping[str, Any]) -> Callable[[Rows], Any]:
    [(name, operand)] = asked.items()
    if name not in _ACCUMULATORS:
        raise Refusal(15952, f"unknown group operator '{name}'")
    return lambda rows: _ACCUMULATORS[name]([_evaluated(operand, row) for row in rows])


_ACCUMULATORS: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "$sum": lambda values: sum(it for it in values if isinstance(it, int | float)),
    "$push": lambda values: [it for it in values if it is not MISSING],
    "$first": lambda values: values[0],
    "$min": lambda values: min(values, key=order_key),
    "$max": lambda values: max(values, key=order_key),
}


def _evaluated(expression: Any, document: Document) -> Any:
    if isinstance(expression, str) and expression.startswith("$"):
        return next(iter(found_at(document, expression[1:].split("."))), MISSING)
    if isinstance(expression, dict):
        if operators := [name for name in expression if name.startswith("$")]:
            raise Refusal(168, f"Unrecognized expression '{operators[0]}'")
        found = {name: _evaluated(it, document) for name, it in expression.items()}
        return {name: it for name, it in found.items() if it is not MISSING}
    return expression


_STAGES: Final[Mapping[str, Callable[[Rows, Any], Rows]]] = {
    "$match": _matched,
    "$sort": in_order,
    "$skip": lambda rows, count: rows[count:],
    "$limit": lambda rows, count: rows[:count],
    "$project": _projected,
    "$unset": _without,
    "$group": _grouped,
    "$count": _counted,
}
