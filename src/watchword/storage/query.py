"""What to look for: a tree of comparisons, an order, joins and increments.

Every comparison is true or false, never unknown: null is a value like any other, so
`F.name != "Ada"` holds where the name is null, and `~` turns any answer around.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "And",
    "Comparison",
    "F",
    "FieldRef",
    "Include",
    "Increment",
    "Not",
    "Operator",
    "Or",
    "OrderBy",
    "Where",
    "having",
    "is_impossible",
    "matches_at_most_one",
    "required_values",
]


class Operator(Enum):
    """How a field is compared with a value."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"
    CONTAINS = "contains"
    STARTS_WITH = "starts with"
    ENDS_WITH = "ends with"
    IEQ = "equals, ASCII letters of either case"
    IS_NULL = "is null"


class Where:
    """A condition on one row; combine with `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: "Where") -> "Where":
        return And((*_parts(self, And), *_parts(other, And)))

    def __or__(self, other: "Where") -> "Where":
        return Or((*_parts(self, Or), *_parts(other, Or)))

    def __invert__(self) -> "Where":
        return self.part if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        """Refuse `and`, `or` and `not`, which would drop half of the condition.

        Raises:
            TypeError: Always.
        """
        raise TypeError("combine conditions with &, | and ~, not with and, or and not")

    def comparisons(self) -> Iterator["Comparison"]:
        """Go through every comparison in the tree."""
        match self:
            case Comparison():
                yield self
            case And(parts) | Or(parts):
                for part in parts:
                    yield from part.comparisons()
            case Not(part):
                yield from part.comparisons()


@dataclass(frozen=True, slots=True)
class Comparison(Where):
    """One field, held against one value."""

    field: str
    operator: Operator
    value: Any

    @property
    def names_values(self) -> bool:
        """Whether it tells which values the field has, one or one of several."""
        is_one = self.operator is Operator.EQ and self.value is not None
        return is_one or self.operator is Operator.IN

    @property
    def values(self) -> list[Any]:
        """Those values; null is none."""
        values = self.value if self.operator is Operator.IN else (self.value,)
        return [value for value in values if value is not None]


@dataclass(frozen=True, slots=True)
class And(Where):
    """All of them; of none, always true."""

    parts: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Or(Where):
    """Any of them; of none, never true."""

    parts: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Not(Where):
    """The other rows."""

    part: Where


EVERYTHING: Final[Where] = And(())
NOTHING: Final[Where] = Or(())


def required_values(where: Where) -> dict[str, list[Any]]:
    """Return of which values every row that matches has one, by field; not every one is told."""
    parts = _parts(where, And)
    return {it.field: it.values for it in parts if isinstance(it, Comparison) and it.names_values}


def is_impossible(where: Where) -> bool:
    """Tell whether no row can match, whatever it holds; of some conditions it is not told."""
    match where:
        case And(parts):
            return any(map(is_impossible, parts))
        case Or(parts):
            return all(map(is_impossible, parts))
    return False


def _parts(where: Where, kind: type[And] | type[Or]) -> tuple[Where, ...]:
    return where.parts if isinstance(where, kind) else (where,)


class FieldRef:
    """A field to be compared: `F.email == "ada@example.org"`."""

    __slots__ = ("name",)
    __hash__ = None  # type: ignore[assignment]  # its == builds a condition

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, value: object) -> Where:  # type: ignore[override]  # builds a condition
        return Comparison(self.name, Operator.EQ, value)

    def __ne__(self, value: object) -> Where:  # type: ignore[override]  # builds a condition
        return Comparison(self.name, Operator.NE, value)

    def __lt__(self, value: Any) -> Where:
        return Comparison(self.name, Operator.LT, value)

    def __le__(self, value: Any) -> Where:
        return Comparison(self.name, Operator.LE, value)

    def __gt__(self, value: Any) -> Where:
        return Comparison(self.name, Operator.GT, value)

    def __ge__(self, value: Any) -> Where:
        return Comparison(self.name, Operator.GE, value)

    def in_(self, values: Collection[Any]) -> Where:
        """Hold if the field has one of the values; null may be among them."""
        return Comparison(self.name, Operator.IN, tuple(values))

    def not_in(self, values: Collection[Any]) -> Where:
        """Hold if the field has none of the values; a null field holds unless null is named."""
        return Comparison(self.name, Operator.NOT_IN, tuple(values))

    def contains(self, text: str) -> Where:
        """Hold if the text occurs in the field, case and wildcards as they are."""
        return Comparison(self.name, Operator.CONTAINS, text)

    def starts_with(self, text: str) -> Where:
        """Hold if the field begins with the text, case and wildcards as they are."""
        return Comparison(self.name, Operator.STARTS_WITH, text)

    def ends_with(self, text: str) -> Where:
        """Hold if the field ends with the text, case and wildcards as they are."""
        return Comparison(self.name, Operator.ENDS_WITH, text)

    def ieq(self, text: str) -> Where:
        """Hold if the field equals the text but for the case of ASCII letters."""
        return Comparison(self.name, Operator.IEQ, text)

    def is_null(self) -> Where:
        """Hold if the field has no value."""
        return Comparison(self.name, Operator.IS_NULL, None)


class _Fields:
    """Makes references to fields: `F.email`."""

    def __getattr__(self, name: str) -> FieldRef:
        return FieldRef(name)


F: Final = _Fields()


def having(values: Mapping[str, Any]) -> Where:
    """Return the condition that fields have these values; of none, always true."""
    return And(tuple(getattr(F, field) == value for field, value in values.items()))


@dataclass(frozen=True, slots=True)
class OrderBy:
    """Sort by a field; null is less than any value, text goes by its code points."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Include:
    """Bring related rows along, under the model's name.

    A row that points at the model gets that one row, or None; a row that the model points
    at gets a list, ordered by id.

    Args:
        model: The related model.
        through: The field that joins the two, where there is more than one.
    """

    model: str
    through: str | None = None


@dataclass(frozen=True, slots=True)
class Increment:
    """A change that adds to what is stored, in the same step; null counts as zero."""

    by: int = 1


def matches_at_most_one(where: Where | None, unique_keys: Collection[Collection[str]]) -> bool:
    """Tell whether a condition pins every field of a unique key to one value."""
    parts = _parts(where, And) if where is not None else ()
    pinned = {
        part.field
        for part in parts
        if isinstance(part, Comparison) and part.operator is Operator.EQ and part.value is not None
    }
    return any(pinned.issuperset(key) for key in unique_keys)
