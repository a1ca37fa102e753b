"""From a condition on values as callers know them to one on values as they are stored."""

from typing import Any, Final

from watchword.crypto.tokens import digest
from watchword.errors import InvalidValue
from watchword.schema import Field, Model
from watchword.storage.query import (
    EVERYTHING,
    NOTHING,
    And,
    Comparison,
    Not,
    Operator,
    Or,
    Where,
)
from watchword.storage.values import accepted, holds_integer_id

__all__ = ["stored_condition"]

_TEXT_OPERATORS: Final = frozenset(
    {Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.IEQ}
)
_EQUALITIES: Final = frozenset({Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN})


def stored_condition(model: Model, where: Where) -> Where:
    """Return the condition with tokens hashed and instants in UTC.

    A value that no row can have (a text with NUL, a malformed UUID) equals nothing: it is
    an attacker's or a stranger's, and no error of ours.

    Raises:
        InvalidValue: A value of another type than the field's, or a comparison that the
            field does not allow.
        UnknownField: The model has no such field.
    """
    match where:
        case Comparison():
            return _comparison(model, where)
        case And(parts):
            return And(tuple(stored_condition(model, part) for part in parts))
        case Or(parts):
            return Or(tuple(stored_condition(model, part) for part in parts))
        case Not(part):
            return Not(stored_condition(model, part))
    raise TypeError(f"not a condition: {where!r}")


def _comparison(model: Model, it: Comparison) -> Where:
    field = model.require_field(it.field)
    if it.operator is Operator.IS_NULL or (it.operator in _EQUALITIES and it.value is None):
        return it
    _check_operator(model, field, it)
    if it.operator in {Operator.IN, Operator.NOT_IN}:
        values = [_value(model, it.field, field, value) for value in it.value]
        kept = tuple(value for value in values if value is not _IMPOSSIBLE)
        return Comparison(it.field, it.operator, kept)
    value = _value(model, it.field, field, it.value)
    if value is not _IMPOSSIBLE:
        return Comparison(it.field, it.operator, value)
    if it.operator is Operator.NE:
        return EVERYTHING
    if it.operator is Operator.EQ or it.operator in _TEXT_OPERATORS:
        return NOTHING
    raise InvalidValue(model.name, it.field, "cannot be compared with this value")


def _check_operator(model: Model, field: Field, it: Comparison) -> None:
    if field.sealed:
        raise InvalidValue(model.name, it.field, "is sealed and cannot be compared")
    if field.digest and it.operator not in _EQUALITIES:
        raise InvalidValue(model.name, it.field, "is a digest and can only be equal or not")
    if it.value is None:
        raise InvalidValue(model.name, it.field, f"null has no place in {it.operator.value!r}")


_IMPOSSIBLE: Final = object()


def _value(model: Model, name: str, field: Field, value: Any) -> Any:
    """Return the value as it is stored, or _IMPOSSIBLE if it is of the type but never stored."""
    if value is None:
        return None
    try:
        stored = accepted(model.name, name, field, value)
    except InvalidValue:
        if _is_of_type(field, value):
            return _IMPOSSIBLE
        raise
    return digest(stored) if field.digest else stored


def _is_of_type(field: Field, value: Any) -> bool:
    """Tell whether a refused value has at least the Python type of the field's values."""
    match field.type:
        case "string" | "text" | "uuid":
            return isinstance(value, str)
        case "integer" | "bigint":
            number = isinstance(value, int) and not isinstance(value, bool)
            return number or (holds_integer_id(field) and isinstance(value, str))
        case _:
            return False
