"""JSON is written as JavaScript writes it, to the byte; else no signature over it would hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.crypto.stringify import stringify

# Each made with Node's JSON.stringify.
NUMBERS = {
    -0.0: "0",
    1.0: "1",
    -2.5: "-2.5",
    100.0: "100",
    4.35: "4.35",
    0.000123: "0.000123",
    1e-6: "0.000001",
    1.234e-6: "0.000001234",
    1e-7: "1e-7",
    -1e-7: "-1e-7",
    1.5e-7: "1.5e-7",
    5e-324: "5e-324",
    1e20: "100000000000000000000",
    123456789012345680000.0: "123456789012345680000",
    1e21: "1e+21",
    1.5e21: "1.5e+21",
    1.7976931348623157e308: "1.7976931348623157e+308",
    float("nan"): "null",
    float("inf"): "null",
}
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(("number", "text"), NUMBERS.items())
def test_numbers_are_written_as_javascript_does(number: float, text: str) -> None:
    """In the fewest digits; with an exponent only where it is far from one."""
    assert stringify(number) == text


def test_texts_are_escaped_as_javascript_does() -> None:
    """Control characters, quotes and halves of surrogate pairs are; nothing else is."""
    text = '\0\x1f\x7f\b\t\n\f\r"\\/é\u2028\ud800x😀'

    written = '"\\u0000\\u001f\x7f\\b\\t\\n\\f\\r\\"\\\\/é\u2028\\ud800x😀"'

    assert stringify(text) == written


def test_keys_stand_in_the_order_of_javascript() -> None:
    """Those that look like an index come first, by their number; the others as they were put."""
    keys = ["b", "10", "a", "2", "01", "4294967294", "4294967295", "-1", "1.5"]

    written = stringify({key: [None, True, {}, (1, 2)] for key in keys})

    order = ["2", "10", "4294967294", "b", "a", "01", "4294967295", "-1", "1.5"]
    assert written == "{" + ",".join(f'"{key}":[null,true,{{}},[1,2]]' for key in order) + "}"


@given(ANY_JSON)
def test_what_is_written_means_the_same(value: object) -> None:
    """Another reader of JSON gets back what went in."""
    # JavaScript has one kind of numbers.
    assert json.loads(stringify(value), parse_int=float) == json.loads(
        json.dumps(value), parse_int=float
    )
