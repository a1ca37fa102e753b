"""Conditions are trees that say what they were built from."""

import pytest

from watchword.storage.query import (
    EVERYTHING,
    NOTHING,
    And,
    Comparison,
    F,
    Not,
    Operator,
    Or,
    matches_at_most_one,
)

one, two, three = F.a == 1, F.b == 2, F.c == 3
KEYS = (("id",), ("email",), ("provider_id", "account_id"))


@pytest.mark.parametrize(
    ("where", "operator", "value"),
    [
        (F.age == 1, Operator.EQ, 1),
        (F.age != 1, Operator.NE, 1),
        (F.age < 1, Operator.LT, 1),
        (F.age <= 1, Operator.LE, 1),
        (F.age > 1, Operator.GT, 1),
        (F.age >= 1, Operator.GE, 1),
        (F.age.in_([1, None]), Operator.IN, (1, None)),
        (F.age.not_in({1}), Operator.NOT_IN, (1,)),
        (F.age.contains("a"), Operator.CONTAINS, "a"),
        (F.age.starts_with("a"), Operator.STARTS_WITH, "a"),
        (F.age.ends_with("a"), Operator.ENDS_WITH, "a"),
        (F.age.ieq("a"), Operator.IEQ, "a"),
        (F.age.is_null(), Operator.IS_NULL, None),
    ],
)
def test_expressions_become_comparisons(where, operator, value):
    """A field, an operator and a value, kept as they were."""
    assert where == Comparison("age", operator, value)


def test_trees_are_flat_where_they_can_be():
    """A chain of one kind is one node; the other kind nests."""
    assert one & two & three == And((one, two, three))
    assert one | (two | three) == Or((one, two, three))
    assert (one | two) & three == And((Or((one, two)), three))


def test_a_double_negation_is_none():
    """`~` takes away what it put on."""
    assert ~one == Not(one)
    assert ~~one == one
    assert ~(one & two) == Not(And((one, two)))


def test_all_and_nothing_are_neutral():
    """They can be built upon."""
    assert EVERYTHING & one == And((one,))
    assert NOTHING | one == Or((one,))


@pytest.mark.parametrize(
    "spoil",
    [lambda: one and two, lambda: one or two, lambda: not one, lambda: 0 < F.a < 2],
)
def test_words_are_refused(spoil):
    """`and`, `or`, `not` and chained comparisons would drop half of the condition."""
    with pytest.raises(TypeError, match="&"):
        spoil()


def test_comparisons_are_listed():
    """Every leaf, however deep, in the order in which it was written."""
    assert list((one | ~(two & three)).comparisons()) == [one, two, three]
    assert list(EVERYTHING.comparisons()) == []


@pytest.mark.parametrize(
    "where",
    [
        F.id == "1",
        (F.email == "ada@example.org") & (F.age > 3),
        (F.provider_id == "google") & (F.account_id == "1") & ~one,
    ],
)
def test_a_key_pins_a_row(where):
    """Every field of a unique key, each equal to one value: one row at most."""
    assert matches_at_most_one(where, KEYS)


@pytest.mark.parametrize(
    "where",
    [
        None,
        EVERYTHING,
        one,
        F.id != "1",
        F.id.in_(["1"]),
        F.email == None,  # noqa: E711 - builds a condition
        (F.id == "1") | one,
        ~(F.id == "1"),
        F.provider_id == "google",
    ],
)
def test_anything_else_may_match_many(where):
    """Nulls, alternatives, negations and half a key pin nothing."""
    assert not matches_at_most_one(where, KEYS)
