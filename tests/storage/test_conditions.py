"""Conditions on their way to a backend: hashed, normalised, and never of another type."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from watchword.crypto.tokens import digest
from watchword.errors import InvalidValue, UnknownField
from watchword.schema import Field, Model
from watchword.storage.conditions import stored_condition
from watchword.storage.query import EVERYTHING, NOTHING, And, Comparison, F, Not, Operator, Or

MODEL = Model(
    "ticket",
    {
        "id": Field("uuid"),
        "number": Field("bigint", generated=True),
        "code": Field("string", digest=True, required=False),
        "secret": Field("text", sealed=True, required=False),
        "name": Field("string", required=False),
        "uses": Field("integer"),
        "ends_at": Field("datetime"),
        "open": Field("boolean"),
    },
)
ID = "0123abcd-0000-4000-8000-000000000000"


def stored(where):
    """Return the condition as a backend gets it."""
    return stored_condition(MODEL, where)


def test_tokens_are_looked_for_by_their_digest():
    """The token itself never reaches a database, nor its log."""
    assert stored(F.code == "token") == (F.code == digest("token"))
    assert stored(F.code != "token") == (F.code != digest("token"))
    assert stored(F.code.in_(["a", "b"])) == F.code.in_([digest("a"), digest("b")])


def test_null_is_null_and_no_digest():
    """Also where the field is hashed or sealed."""
    for where in (F.code == None, F.secret == None, F.secret.is_null(), F.code != None):  # noqa: E711 - builds a condition
        assert stored(where) is where


def test_a_token_longer_than_any_is_nobodys():
    """It is refused before it is hashed, and equals nothing."""
    assert stored(F.code == "x" * 300) == NOTHING


def test_instants_and_ids_have_one_form():
    """Of any time zone and of either case."""
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))

    condition = stored((F.ends_at > noon) & (F.id == ID.upper()) & (F.number == "7"))

    assert condition == And(
        (
            Comparison("ends_at", Operator.GT, noon.astimezone(UTC)),
            Comparison("id", Operator.EQ, ID),
            Comparison("number", Operator.EQ, 7),
        )
    )
    assert condition.parts[0].value.tzinfo is UTC


def test_the_tree_keeps_its_shape():
    """Every branch is translated, none is dropped."""
    where = ~((F.code == "a") | ((F.uses < 3) & ~(F.name == "b")))

    assert stored(where) == Not(Or((F.code == digest("a"), And((F.uses < 3, Not(F.name == "b"))))))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", "a\0"), ("name", "\ud800"), ("name", "x" * 256)),
        *(("id", "1"), ("id", "' OR 1=1"), ("id", ID.replace("-", ""))),
        *(("number", "x"), ("number", "-1"), ("number", 2**63), ("uses", 2**40)),
    ],
)
def test_attack_values_that_no_row_can_have(field, value):
    """They equal nothing and differ from everything; they are no error of ours."""
    reference = getattr(F, field)

    assert stored(reference == value) == NOTHING
    assert stored(reference != value) == EVERYTHING
    assert stored(reference.in_([value])) == reference.in_([])
    assert stored(reference.not_in([value])) == reference.not_in([])


@pytest.mark.parametrize("value", ["a\0", "\ud800"])
def test_attack_texts_that_no_row_can_contain(value):
    """Also where a part is looked for."""
    for where in (F.name.contains(value), F.name.starts_with(value), F.name.ieq(value)):
        assert stored(where) == NOTHING


@pytest.mark.parametrize(
    "where",
    [
        F.code == 0,
        F.code != 0,
        F.code == {"$ne": None},
        F.code.in_([0]),
        F.name == True,  # noqa: E712 - builds a condition
        F.name.contains(1),
        F.uses == "1",
        F.uses == True,  # noqa: E712 - builds a condition
        F.uses > 1.5,
        F.open == 1,
        F.ends_at < "2026-01-01",
        F.ends_at < datetime(2026, 1, 1),  # noqa: DTZ001 - the refusal is the test
        F.id == 5,
        F.uses > 2**40,
        F.secret == "text",
        F.secret.contains("t"),
        F.code.contains("t"),
        F.code > "t",
        F.name.contains(None),
        F.uses < None,
    ],
    ids=str,
)
def test_attack_a_number_compared_with_a_token(where):
    """Databases would compare them, each in its own way; here it is refused."""
    for condition in (where, ~where, where & (F.uses == 1), where | (F.uses == 1)):
        with pytest.raises(InvalidValue):
            stored(condition)


def test_a_field_that_is_not_there_is_an_error():
    """Wherever in the tree."""
    with pytest.raises(UnknownField):
        stored((F.uses == 1) | ~(F.nonsense == 1))


def test_what_is_no_condition_is_an_error():
    """Not a condition that holds always."""
    with pytest.raises(TypeError):
        stored(True)  # noqa: FBT003 - the mistake that is tested
