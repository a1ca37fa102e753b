"""Conditions and orders of rows in memory; the meaning that every backend has to match."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from watchword.storage.query import And, Comparison, Not, Operator, Or, OrderBy, Where

__all__ = ["in_order", "matches"]


Row = TypeVar("Row", bound=Mapping[str, Any])


def matches(row: Mapping[str, Any], where: Where) -> bool:
    """Tell whether a condition holds for a row."""
    match where:
        case And(parts):
            return all(matches(row, part) for part in parts)
        case Or(parts):
            return any(matches(row, part) for part in parts)
        case Not(part):
            return not matches(row, part)
        case Comparison():
            return _HOLDS[where.operator](row[where.field], where.value)
    raise TypeError(f"not a condition: {where!r}")


_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _equal_but_for_case(stored: str, text: str) -> bool:
    return stored.translate(_ASCII_LOWER) == text.translate(_ASCII_LOWER)


def _unless_null(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return the comparison for fields that may be null, which it is false for."""
    return lambda stored, value: stored is not None and holds(stored, value)


_HOLDS: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: _unless_null(operator.lt),
    Operator.LE: _unless_null(operator.le),
    Operator.GT: _unless_null(operator.gt),
    Operator.GE: _unless_null(operator.ge),
    Operator.IN: lambda stored, values: stored in values,
    Operator.NOT_IN: lambda stored, values: stored not in values,
    Operator.CONTAINS: _unless_null(operator.contains),
    Operator.STARTS_WITH: _unless_null(str.startswith),
    Operator.ENDS_WITH: _unless_null(str.endswith),
    Operator.IEQ: _unless_null(_equal_but_for_case),
    Operator.IS_NULL: lambda stored, _: stored is None,
}


def in_order(rows: Iterable[Row], order_by: Sequence[OrderBy]) -> list[Row]:
    """Sort rows; those that tie are ordered by id, and null comes before any value."""
    result = sorted(rows, key=operator.itemgetter("id"))
    # By the last key first: sorting is stable, so earlier keys win.
    for it in reversed(order_by):
        result.sort(key=partial(_rank, it.field), reverse=it.descending)
    return result


def _rank(field: str, row: Mapping[str, Any]) -> tuple[bool, Any]:
    """Put null before any value, without comparing the two."""
    return (row[field] is not None, row[field])
