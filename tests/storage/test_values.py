"""Which values a field keeps: the same on every database, and never something else."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import FieldTooLong, InvalidValue
from watchword.schema import Field
from watchword.storage.values import accepted

EAST = timezone(timedelta(hours=5))


def keep(kind, value, **options):
    """Return what a field of this type keeps."""
    return accepted("user", "it", Field(kind, **options), value)


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("string", "", ""),
        ("string", "é😀", "é😀"),
        ("text", "a\nb", "a\nb"),
        ("integer", -(2**31), -(2**31)),
        ("integer", 2**31 - 1, 2**31 - 1),
        ("bigint", 2**63 - 1, 2**63 - 1),
        ("boolean", False, False),
        ("datetime", datetime(2026, 1, 1, 3, tzinfo=EAST), datetime(2025, 12, 31, 22, tzinfo=UTC)),
        ("uuid", "0123ABCD-0000-4000-8000-000000000000", "0123abcd-0000-4000-8000-000000000000"),
        ("uuid", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("bytes", b"\0\xff", b"\0\xff"),
        ("strings", ("a", "b"), ["a", "b"]),
        ("json", {"a": [1, 2.5, None, True, ("x",)]}, {"a": [1, 2.5, None, True, ["x"]]}),
    ],
)
def test_a_value_is_kept_in_one_form(kind, value, kept):
    """Of the same type, instants in UTC."""
    result = keep(kind, value)

    assert (result, type(result)) == (kept, type(kept))
    assert getattr(result, "tzinfo", UTC) is UTC


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("string", 0, "expected text, not int"),
        ("string", b"a", "expected text, not bytes"),
        ("string", None, "is required"),
        ("string", "a\0", "NUL"),
        ("string", "\ud800", "surrogate"),
        ("integer", True, "expected an integer, not bool"),
        ("integer", 1.0, "expected an integer, not float"),
        ("integer", "1", "expected an integer, not str"),
        ("integer", 2**31, "32 bits"),
        ("bigint", -(2**63) - 1, "64 bits"),
        ("boolean", 1, "expected a boolean, not int"),
        ("datetime", datetime(2026, 1, 1), "naive"),  # noqa: DTZ001 - the refusal is the test
        ("datetime", "2026-01-01T00:00:00Z", "expected a datetime, not str"),
        ("datetime", datetime.min.replace(tzinfo=EAST), "years 1 to 9999"),
        ("uuid", "0123abcd", "no UUID"),
        ("uuid", "{0123abcd-0000-4000-8000-000000000000}", "canonical"),
        ("uuid", "0123abcd000040008000000000000000", "canonical"),
        ("uuid", 5, "no UUID"),
        ("bytes", "text", "expected bytes, not str"),
        ("strings", "ab", "expected a list of texts, not str"),
        ("strings", ["a", 1], "expected text, not int"),
        ("strings", ["\0"], "NUL"),
        ("json", {1: 2}, "expected text, not int"),
        ("json", {"a\0": 1}, "NUL"),
        ("json", [math.nan], "holds a float"),
        ("json", [math.inf], "holds a float"),
        ("json", {"a": {1}}, "holds a set"),
        ("json", {"a": b"b"}, "holds a bytes"),
    ],
)
def test_other_values_are_refused_with_the_reason(kind, value, why):
    """By model and field, and never with the value: it may be a secret."""
    with pytest.raises(InvalidValue) as refusal:
        keep(kind, value)

    assert (refusal.value.model, refusal.value.field) == ("user", "it")
    assert why in refusal.value.reason


def test_attack_secrets_in_a_refusal():
    """Whatever is refused is not repeated."""
    for value in ("hunter2\0", "hunter2" * 100):
        with pytest.raises(InvalidValue) as refusal:
            keep("string", value)
        assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["string", "integer", "datetime", "json", "uuid", "strings"])
def test_null_is_kept_where_nothing_is_required(kind):
    """Of any type."""
    assert keep(kind, None, required=False) is None


@pytest.mark.parametrize(
    ("kind", "limit", "fits", "too_long"),
    [
        ("string", 255, "é" * 255, "é" * 256),
        ("string", 255, "😀" * 255, "😀" * 256),
        ("text", 2_097_152, "x" * 2_097_152, "x" * 2_097_153),
        ("json", 2_097_152, "x" * 2_097_150, "x" * 2_097_151),
    ],
)
def test_lengths_are_counted_in_characters_or_bytes_of_json(kind, limit, fits, too_long):
    """The longest value fits, the next does not."""
    with pytest.raises(FieldTooLong) as refusal:
        keep(kind, too_long)

    assert refusal.value.limit == limit
    assert keep(kind, fits) == fits


def test_lengths_can_be_chosen():
    """In characters of a text, in bytes of bytes and of what is written as JSON."""
    assert keep("string", "é" * 3, max_length=3) == "é" * 3
    for kind, value in (("string", "abcd"), ("bytes", b"abcd"), ("strings", ["é"])):
        with pytest.raises(FieldTooLong):
            keep(kind, value, max_length=3)


def test_json_may_be_deep_but_not_bottomless():
    """31 levels are kept, as everywhere; a bomb is refused, not a stack overflow."""
    deep: object = 1
    for _ in range(31):
        deep = [deep]

    assert keep("json", deep) == deep
    for levels in (1, 100_000):
        deeper = deep
        for _ in range(levels):
            deeper = {"a": deeper}
        with pytest.raises(InvalidValue, match="deeper than 31"):
            keep("json", deeper)


def test_what_is_kept_is_a_copy():
    """Changing what was handed in changes nothing that is stored."""
    value = {"a": [1]}

    kept = keep("json", value)
    value["a"].append(2)

    assert kept == {"a": [1]}


@pytest.mark.parametrize("text", ["1", "9223372036854775807", "0"])
def test_integer_ids_may_be_the_texts_of_the_wire(text):
    """Only where the database makes them."""
    assert accepted("user", "id", Field("bigint", generated=True), text) == int(text)
    with pytest.raises(InvalidValue):
        keep("bigint", text)


@pytest.mark.parametrize(
    "text", ["", "+1", "-1", " 1", "01", "00", "1.0", "\u0661", "1_0", "9" * 20, "0x1"]
)
def test_attack_other_spellings_of_an_integer_id(text):
    """One id has one spelling, and it fits."""
    with pytest.raises(InvalidValue):
        accepted("user", "id", Field("bigint", generated=True), text)


@given(
    st.sampled_from(["string", "integer", "bigint", "boolean", "datetime", "uuid", "json"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.datetimes() | st.lists(st.text()) | st.dictionaries(st.text(), st.integers()),
)  # fmt: skip
def test_any_value_is_kept_or_refused(kind, value):
    """Never another exception; and what is kept is kept again as it is."""
    try:
        kept = keep(kind, value)
    except InvalidValue:
        return

    assert keep(kind, kept) == kept
    if kind == "json":
        assert json.loads(json.dumps(kept)) == kept
