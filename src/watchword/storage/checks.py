"""What a query must satisfy before any backend sees it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from watchword.errors import ConfigurationError, InvalidValue
from watchword.schema import Field, Model, Schema
from watchword.storage.contract import Adapter
from watchword.storage.query import Comparison, Increment, Operator, OrderBy, Where

__all__ = ["check_changes", "check_ids", "check_order", "check_row", "check_where"]

# Databases disagree on whether, and how, values of these types compare.
_INCOMPARABLE: Final = frozenset({"json", "strings", "bytes"})
_TEXT: Final = frozenset({"string", "text"})
_NUMBERS: Final = frozenset({"integer", "bigint"})

_OF_TEXT: Final = frozenset(
    {Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.IEQ}
)
_OF_ORDER: Final = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})
_OF_EQUALITY: Final = frozenset({Operator.EQ, Operator.NE})


def check_where(model: Model, where: Where | None) -> None:
    """Check that every comparison is one that all backends answer alike.

    Raises:
        UnknownField: The model has no such field.
        InvalidValue: The field is not compared in this way, or null is not.
    """
    for it in where.comparisons() if where is not None else ():
        _check_comparison(model, model.require_field(it.field), it)


def _check_comparison(model: Model, field: Field, it: Comparison) -> None:
    if it.operator is Operator.IS_NULL or (it.value is None and it.operator in _OF_EQUALITY):
        return
    if field.type in _INCOMPARABLE:
        raise InvalidValue(model.name, it.field, "cannot be compared")
    if it.operator in _OF_TEXT and field.type not in _TEXT:
        raise InvalidValue(model.name, it.field, "is not text")
    if it.operator in _OF_TEXT | _OF_ORDER and it.value is None:
        raise InvalidValue(model.name, it.field, f"null has no place in {it.operator.value!r}")


def check_order(model: Model, order_by: Iterable[OrderBy]) -> None:
    """Check that rows can be sorted by these fields.

    Raises:
        UnknownField: The model has no such field.
        InvalidValue: The field's values have no order.
    """
    for it in order_by:
        if model.require_field(it.field).type in _INCOMPARABLE:
            raise InvalidValue(model.name, it.field, "cannot be compared")


def check_row(model: Model, data: Mapping[str, Any]) -> None:
    """Check that a new row has fields of the model only, and all that are required.

    Raises:
        UnknownField: The model has no such field.
        InvalidValue: A required field has no value.
    """
    for name in data:
        model.require_field(name)
    for name, field in model.fields.items():
        _check_present(model, name, field, data.get(name))


def check_changes(model: Model, changes: Mapping[str, Any]) -> None:
    """Check that changes keep to the model.

    Raises:
        UnknownField: The model has no such field.
        InvalidValue: The id or a required field would go, or something would be added to
            what is no number.
    """
    for name, value in changes.items():
        field = model.require_field(name)
        if name == "id":
            raise InvalidValue(model.name, name, "an id never changes")
        if isinstance(value, Increment) and field.type not in _NUMBERS:
            raise InvalidValue(model.name, name, f"a {field.type} cannot be incremented")
        _check_present(model, name, field, value)


def _check_present(model: Model, name: str, field: Field, value: Any) -> None:
    if value is None and field.required and not field.generated:
        raise InvalidValue(model.name, name, "is required")


def check_ids(schema: Schema, adapter: Adapter[Any]) -> None:
    """Check that who is to make the ids can.

    Raises:
        ConfigurationError: The database is, and cannot.
    """
    generated = any(model.fields["id"].generated for model in schema.models.values())
    if generated and not adapter.capabilities.generates_ids:
        raise ConfigurationError(
            f"{type(adapter).__name__} cannot make integer ids.",
            hint='Resolve the schema with ids="uuid" or ids="string".',
        )
