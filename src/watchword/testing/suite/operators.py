"""Every comparison, alone, negated and combined, against values that trip databases."""

import operator
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest

from watchword.errors import InvalidValue
from watchword.storage.contract import Adapter
from watchword.storage.query import EVERYTHING, NOTHING, F, FieldRef, Where
from watchword.testing.suite.fixtures import Add, Suite, values_of

__all__ = ["Operators"]

# Null and empty, case, padding, accents in both normal forms, and every character that means
# something in a LIKE, GLOB or regular expression.
TEXTS: Final = (
    None,
    "",
    "a",
    "A",
    "a ",
    " a",
    "aa",
    "ab",
    "a%b",
    "a_b",
    "axb",
    "a\\b",
    "%",
    "_",
    "\\",
    "*",
    "?",
    "[a]",
    "^a",
    "a.b",
    "'",
    '"',
    "jose@example.org",
    "josé@example.org",
    "jose\u0301@example.org",
    "JOSÉ@example.org",
    "ß",
    "SS",
    "İ",
    "k",
    "\u212a",
    "😀",
)
_NOON: Final = datetime(2026, 5, 17, 12, tzinfo=UTC)
# By field: stored values, smallest first.
ORDERED: Final[dict[str, tuple[Any, ...]]] = {
    "string": ("", "A", "a", "a ", "b", "á", "\uff61", "😀"),
    "integer": (-(2**31), -1, 0, 1, 2**31 - 1),
    "bigint": (-(2**63), -1, 0, 2**53 + 1, 2**63 - 1),
    "datetime": tuple(_NOON + timedelta(seconds=step) for step in (-86400, -1, 0, 1, 86400)),
    "boolean": (False, True),
}

_Compare = Callable[[FieldRef, Any], Where]
_Holds = Callable[[Any, Any], bool]


def _ascii_lower(text: str) -> str:
    return "".join(it.lower() if it.isascii() else it for it in text)


_TEXT_OPERATORS: Final[dict[str, tuple[_Compare, _Holds]]] = {
    "equal": (operator.eq, operator.eq),
    "not equal": (operator.ne, operator.ne),
    "contains": (FieldRef.contains, operator.contains),
    "starts_with": (FieldRef.starts_with, str.startswith),
    "ends_with": (FieldRef.ends_with, str.endswith),
    "ieq": (FieldRef.ieq, lambda it, text: _ascii_lower(it) == _ascii_lower(text)),
}
_ORDER_OPERATORS: Final[tuple[tuple[_Compare, _Holds], ...]] = (
    (operator.lt, operator.lt),
    (operator.le, operator.le),
    (operator.gt, operator.gt),
    (operator.ge, operator.ge),
)


async def _check(
    backend: Adapter,
    field: str,
    where: Where,
    expected: Collection[Any],
    stored: Collection[Any] | None = None,
) -> None:
    """Check which values are found, and that the negation finds all the others."""
    if stored is None:
        stored = await values_of(backend, "specimen", field)
    found = await values_of(backend, "specimen", field, where)
    others = await values_of(backend, "specimen", field, ~where)

    assert _listed(found) == _listed(expected), where
    assert _listed(others) == _listed([it for it in stored if it not in expected]), ~where


def _listed(values: Collection[Any]) -> list[str]:
    return sorted(map(repr, values))


class Operators(Suite):
    """A condition finds the same rows on every backend, whatever is in them."""

    @pytest.fixture
    def texts(self, backend: Adapter, add: Add, mode: Any) -> Adapter:
        """A backend with one specimen of each text."""

        async def fill() -> None:
            for text in TEXTS:
                await add("specimen", string=text, text=text)

        mode.run(fill())
        return backend

    @pytest.mark.parametrize("field", ["string", "text"])
    @pytest.mark.parametrize("name", _TEXT_OPERATORS)
    async def test_texts_compare_byte_for_byte(
        self, texts: Adapter, name: str, field: str
    ) -> None:
        """Case, accents, padding and wildcards are what they are, but for `ieq` and A to Z."""
        compare, holds = _TEXT_OPERATORS[name]
        negative = name == "not equal"

        for text in TEXTS:
            if text is not None:
                expected = [it for it in TEXTS if (negative if it is None else holds(it, text))]
                await _check(texts, field, compare(FieldRef(field), text), expected, TEXTS)

    async def test_null_is_a_value(self, texts: Adapter) -> None:
        """It equals itself alone, and differs from everything else."""
        somewhere = [it for it in TEXTS if it is not None]

        await _check(texts, "string", F.string == None, [None])  # noqa: E711 - builds a condition
        await _check(texts, "string", F.string != None, somewhere)  # noqa: E711 - the same
        await _check(texts, "string", F.string.is_null(), [None])
        await _check(texts, "string", ~F.string.is_null(), somewhere)

    @pytest.mark.parametrize(
        "values",
        [
            (),
            ("a",),
            ("a", "%", ""),
            (None,),
            (None, "a"),
            ("nowhere",),
            ("a", "a", "josé@example.org"),
        ],
        ids=repr,
    )
    async def test_in_and_not_in(self, texts: Adapter, values: tuple[Any, ...]) -> None:
        """One of none is nothing; null is found if it is named and else is among the others."""
        inside = [it for it in TEXTS if it in values]
        outside = [it for it in TEXTS if it not in values]

        await _check(texts, "string", F.string.in_(values), inside)
        await _check(texts, "string", F.string.not_in(values), outside)

    async def test_in_takes_many_values(self, texts: Adapter) -> None:
        """More values than some drivers have parameters for in one query are no error."""
        values = ["a", *(f"value {number}" for number in range(2000))]

        await _check(texts, "string", F.string.in_(values), ["a"])

    @pytest.mark.parametrize("field", ORDERED)
    async def test_order_comparisons(self, backend: Adapter, add: Add, field: str) -> None:
        """Below, above and at each value; a null is neither."""
        stored = (None, *ORDERED[field])
        for value in stored:
            await add("specimen", **{field: value})

        for compare, holds in _ORDER_OPERATORS:
            for value in ORDERED[field]:
                expected = [it for it in stored if it is not None and holds(it, value)]
                await _check(backend, field, compare(FieldRef(field), value), expected)

    @pytest.mark.parametrize("field", ORDERED)
    async def test_equality_of_every_type(self, backend: Adapter, add: Add, field: str) -> None:
        """Equal, unequal, one of several: each type finds its own values again."""
        stored = (None, *ORDERED[field])
        for value in stored:
            await add("specimen", **{field: value})

        for value in stored:
            others = [it for it in stored if it != value]
            await _check(backend, field, FieldRef(field) == value, [value])
            await _check(backend, field, FieldRef(field) != value, others)
            await _check(backend, field, FieldRef(field).in_([value]), [value])
            await _check(backend, field, FieldRef(field).not_in([value]), others)

    async def test_ids_and_uuids_compare(self, backend: Adapter, add: Add) -> None:
        """Rows are found by id and by a UUID of their own."""
        one = await add("specimen", uuid="0190163d-8694-739b-aea5-966c26f8ad90")
        two = await add("specimen", uuid="ffffffff-ffff-4fff-bfff-ffffffffffff")
        ids = [one["id"], two["id"]]

        assert await backend.find_one("specimen", F.id == one["id"]) == one
        assert await backend.find_one("specimen", F.uuid == one["uuid"]) == one
        assert await backend.find_many("specimen", F.uuid != one["uuid"]) == [two]
        assert await backend.find_many("specimen", F.uuid > one["uuid"]) == [two]
        assert await backend.count("specimen", F.id.in_(ids)) == 2
        assert await backend.count("specimen", F.id.not_in(ids)) == 0
        assert await values_of(backend, "specimen", "id", F.id > min(ids)) == [max(ids)]
        assert await values_of(backend, "specimen", "id", F.id <= min(ids)) == [min(ids)]

    async def test_instants_compare_across_zones(self, backend: Adapter, add: Add) -> None:
        """An instant is found by the same instant on another clock."""
        await add("specimen", datetime=_NOON)
        elsewhere = _NOON.astimezone(timezone(timedelta(hours=-5)))

        assert await backend.count("specimen", F.datetime == elsewhere) == 1
        assert await backend.count("specimen", F.datetime < elsewhere) == 0
        assert await backend.count("specimen", F.datetime <= elsewhere) == 1

    async def test_trees(self, texts: Adapter) -> None:
        """And, or and not nest as written."""
        one_of = (F.string == "a") | (F.string == "A") | (F.string == "b")
        cases: dict[Where, Collection[Any]] = {
            one_of & (F.string != "a"): ["A"],
            (F.string == "a") & (F.string == "A"): [],
            ~((F.string != "a") & (F.string != "A")): ["a", "A"],
            ~(one_of | F.string.contains("")): [None],
            (F.string == "a") | (F.string.is_null() & ~F.string.contains("a")): ["a", None],
            EVERYTHING: TEXTS,
            NOTHING: [],
            EVERYTHING & (F.string == "a"): ["a"],
            NOTHING | (F.string == "a"): ["a"],
        }

        for where, expected in cases.items():
            await _check(texts, "string", where, expected)

    async def test_what_cannot_be_compared_is_refused(self, backend: Adapter) -> None:
        """JSON, lists and bytes have no order or equality that all databases share."""
        for field, value in {"json": {}, "strings": [], "bytes": b""}.items():
            it = FieldRef(field)
            for where in (it == value, it != value, it < value, it.in_([value]), it.contains("a")):
                with pytest.raises(InvalidValue) as refusal:
                    await backend.count("specimen", ~where)
                assert (refusal.value.model, refusal.value.field) == ("specimen", field)

    async def test_what_cannot_be_compared_can_be_null(self, backend: Adapter, add: Add) -> None:
        """Whether there is a value at all is a question for every type."""
        await add("specimen", json=[], strings=[], bytes=b"")
        await add("specimen")

        for name in ("json", "strings", "bytes"):
            field = FieldRef(name)
            for where in (field.is_null(), field == None, ~(field != None)):  # noqa: E711
                assert await values_of(backend, "specimen", name, where) == [None]
                assert await backend.count("specimen", ~where) == 1

    async def test_text_operators_are_for_text(self, backend: Adapter) -> None:
        """A number contains nothing, and null has no place in an order."""
        refused = (
            F.integer.contains("1"),
            F.datetime.starts_with("2"),
            F.boolean.ieq("true"),
            F.id.ends_with("0") if self.ids != "string" else F.uuid.ends_with("0"),
            F.string < None,
            F.string.contains(None),  # type: ignore[arg-type]  # a caller's mistake
        )

        for where in refused:
            with pytest.raises(InvalidValue):
                await backend.find_many("specimen", where)
