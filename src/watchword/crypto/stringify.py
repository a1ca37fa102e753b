"""JSON as JavaScript's `JSON.stringify` writes it, byte for byte."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

__all__ = ["stringify"]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_INDICES: Final = 2**32 - 1
# The positions of the point at which JavaScript writes a number without an exponent.
_WITHOUT_EXPONENT: Final = range(-5, 22)


def stringify(value: Any) -> str:
    """Return a value as the JSON text that JavaScript makes of it.

    A signature over such a text holds only if both sides write it alike: without blanks,
    letters unescaped, numbers in their shortest form, and keys in the order of an object in
    JavaScript, in which those that look like an index come first.

    Args:
        value: What JSON knows; an integer beyond 2**53 keeps digits that JavaScript loses.
    """
    match value:
        case str():
            return _text(value)
        case float():
            return _number(value)
        case Mapping():
            pairs = (f"{_text(key)}:{stringify(it)}" for key, it in _ordered(value))
            return f"{{{','.join(pairs)}}}"
        case list() | tuple():
            return f"[{','.join(map(stringify, value))}]"
    return json.dumps(value)


def _text(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    if written.isascii():
        return written
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", written)


def _ordered(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    indices = {key for key in values if _INDEX.fullmatch(key) and int(key) < _INDICES}
    if not indices:
        return values.items()
    keys = [*sorted(indices, key=int), *(key for key in values if key not in indices)]
    return [(key, values[key]) for key in keys]


def _number(value: float) -> str:
    """Write a number as ECMA-262 (6.1.6.1.20) says."""
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    _, all_digits, exponent = Decimal(repr(abs(value))).as_tuple()
    digits = "".join(map(str, all_digits)).rstrip("0")
    # `repr` gives a float the same shortest digits; what differs is where the point stands.
    point = len(all_digits) + int(exponent)
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    if point not in _WITHOUT_EXPONENT:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{point - 1:+d}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{whole}.{fraction}" if fraction else whole
