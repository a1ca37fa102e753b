"""What no backend is asked, because they would answer differently."""

import pytest

from watchword.errors import InvalidValue, UnknownField
from watchword.schema import Field, Model, resolve_schema
from watchword.storage.checks import check_changes, check_order, check_row, check_where
from watchword.storage.query import EVERYTHING, F, Increment, OrderBy

MODEL = resolve_schema(
    [
        Model(
            "thing",
            {
                "name": Field("string"),
                "size": Field("integer", required=False),
                "extra": Field("json", required=False),
            },
        )
    ],
    ids="bigint",
).models["thing"]


@pytest.mark.parametrize(
    "where",
    [
        None,
        EVERYTHING,
        (F.name == "a") & ~F.name.contains("b") | F.size.in_([1, None]),
        F.size != None,  # noqa: E711 - builds a condition
        F.extra == None,  # noqa: E711 - the same
        F.extra.is_null(),
    ],
)
def test_sound_conditions_pass(where):
    """Null is compared for every type, values where the type allows it."""
    check_where(MODEL, where)


@pytest.mark.parametrize(
    ("where", "field", "reason"),
    [
        (F.extra == {}, "extra", "cannot be compared"),
        (F.extra.in_([None]), "extra", "cannot be compared"),
        (F.extra < None, "extra", "cannot be compared"),
        (F.size.contains("1"), "size", "is not text"),
        (F.size < None, "size", "null has no place in '<'"),
        (F.name.ieq(None), "name", "null has no place in 'equals, ASCII letters of either case'"),
        ((F.name == "a") | ~(F.extra != []), "extra", "cannot be compared"),
    ],
)
def test_unsound_conditions_are_refused(where, field, reason):
    """However deep they are, by field and reason."""
    with pytest.raises(InvalidValue) as refusal:
        check_where(MODEL, where)

    assert (refusal.value.field, refusal.value.reason) == (field, reason)


def test_unknown_fields_are_refused():
    """In every part of a query."""
    for check, argument in (
        (check_where, F.ghost == 1),
        (check_order, [OrderBy("ghost")]),
        (check_row, {"ghost": 1}),
        (check_changes, {"ghost": 1}),
    ):
        with pytest.raises(UnknownField):
            check(MODEL, argument)


def test_only_what_compares_is_sorted():
    """Fields without an order give none."""
    check_order(MODEL, [OrderBy("size"), OrderBy("id", descending=True)])

    with pytest.raises(InvalidValue):
        check_order(MODEL, [OrderBy("size"), OrderBy("extra")])


def test_rows_have_what_is_required():
    """All but what may be null or is made by the database."""
    check_row(MODEL, {"name": ""})

    for row in ({}, {"name": None}, {"size": 1}):
        with pytest.raises(InvalidValue, match="name: is required"):
            check_row(MODEL, row)


@pytest.mark.parametrize(
    "changes", [{"name": None}, {"name": Increment()}, {"id": 2}, {"extra": Increment()}]
)
def test_changes_keep_to_the_model(changes):
    """No id is changed, nothing required taken away, and only numbers are added to."""
    check_changes(MODEL, {"name": "b", "size": Increment(2), "extra": None})

    with pytest.raises(InvalidValue):
        check_changes(MODEL, changes)
