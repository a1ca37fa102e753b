"""Values at the edges of each type come back as they were."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest

from watchword.schema.fields import INDEXED_CHARACTERS
from watchword.storage.contract import Adapter
from watchword.storage.query import F
from watchword.testing.suite.fixtures import Add, Peek, Suite, values_of

__all__ = ["Values"]

_MEGABYTE: Final = 2**20

_TEXTS: Final = (
    "",
    " ",
    " padded ",
    "tab\tand\r\nline",
    'it\'s "quoted" `so` \\ and %s %(a)s :a ? $1 {b}',
    "NULL",
    "😀 \U0010ffff",
    "e\u0301 is not é",
    "\u202eright to left",
    "\ufeff\ufffe\uffff\u0001\u007f",
)
_NESTED: Final = {
    "null": None,
    "true": True,
    "zero": 0,
    "big": 2**53,
    "float": 0.1,
    "text": "naïve 😀",
    "": {"empty": [{}, [], ""], "deep": [[[None, [False]]]]},
}

VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "string": (*_TEXTS, "x" * 255, "😀" * 255),
    "text": (*_TEXTS, "x" * _MEGABYTE, "é😀" * (_MEGABYTE // 6)),
    "integer": (0, 1, -1, 2**31 - 1, -(2**31)),
    "bigint": (0, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63)),
    "boolean": (True, False),
    "datetime": (
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),  # an hour that Europe's clocks leave out
        datetime(2026, 5, 17, 12, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ),
    "json": (_NESTED, [], {}, "", 0, 1.5, False, True, [None], [[]], ["a", 1, {"b": None}]),
    "uuid": (
        "00000000-0000-0000-0000-000000000000",
        "0190163d-8694-739b-aea5-966c26f8ad90",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ),
    "bytes": (b"", b"\0", bytes(range(256)), b"\xff\0" * (_MEGABYTE // 2)),
    "strings": (
        [],
        [""],
        ["a", "b"],
        ["a", "a"],
        ['it\'s, "so"', "[]", "null", "😀"],
        ["x"] * 999,
    ),
}


class Values(Suite):
    """Written, read, changed and read again, nothing is lost, cut, padded or converted."""

    @pytest.mark.parametrize("field", VALUES)
    async def test_values_come_back(
        self, backend: Adapter, add: Add, field: str, tick: timedelta
    ) -> None:
        """From `create`, from a read and from `update`, with value and type the same."""
        for value in VALUES[field]:
            expected = _kept(value, tick)
            created = await add("specimen", **{field: value})
            found = await backend.find_one("specimen", F.id == created["id"])
            blank = await add("specimen")
            changed = await backend.update("specimen", F.id == blank["id"], {field: value})

            for record in (created, found, changed):
                assert record is not None
                _assert_same(record[field], expected)

    async def test_values_can_be_taken_away(self, backend: Adapter, add: Add) -> None:
        """Every type can be null again, and is told from its empty value."""
        record = await add("specimen", **{field: values[0] for field, values in VALUES.items()})

        changed = await backend.update(
            "specimen", F.id == record["id"], dict.fromkeys(VALUES, None)
        )

        assert changed == {**dict.fromkeys(VALUES, None), "id": record["id"]}
        assert await backend.find_many("specimen", F.json.is_null() & F.text.is_null()) == [
            changed
        ]

    async def test_empty_text_is_not_null(self, backend: Adapter, add: Add, peek: Peek) -> None:
        """Not in the database either."""
        await add("specimen", string="", text="")

        [row] = peek("specimen")
        assert (row["string"], row["text"], row["integer"]) == ("", "", None)
        assert await backend.count("specimen", F.string.is_null() | F.text.is_null()) == 0
        assert await backend.count("specimen", (F.string == "") & (F.text == "")) == 1

    async def test_instants_are_in_utc(self, backend: Adapter, add: Add) -> None:
        """Whatever clock they were read from, the instant is the same and the zone is UTC."""
        noon = datetime(2026, 5, 17, 12, 30, tzinfo=UTC)

        for offset in (timedelta(hours=-5), timedelta(hours=5, minutes=45), timedelta(hours=14)):
            elsewhere = noon.astimezone(timezone(offset))
            record = await add("specimen", datetime=elsewhere)
            found = await backend.find_one("specimen", F.id == record["id"])

            for it in (record, found):
                assert it is not None
                assert it["datetime"] == noon
                assert it["datetime"].utcoffset() == timedelta(0)

    async def test_booleans_are_booleans(self, backend: Adapter, add: Add) -> None:
        """Not 0 and 1; and they are found as such."""
        await add("specimen", boolean=True)
        await add("specimen", boolean=False)

        assert await values_of(backend, "specimen", "boolean", F.boolean == True) == [True]  # noqa: E712 - builds a condition
        [value] = await values_of(backend, "specimen", "boolean", F.boolean == False)  # noqa: E712 - the same
        assert value is False

    async def test_a_key_of_full_length(self, backend: Adapter, add: Add) -> None:
        """A unique text may have every character that an index can hold, four bytes each."""
        marks = ["😀" * INDEXED_CHARACTERS, "😀" * (INDEXED_CHARACTERS - 1) + "a"]
        for mark in marks:
            await add("signature", mark=mark)

        for mark in marks:
            assert await values_of(backend, "signature", "mark", F.mark == mark) == [mark]

    async def test_long_values_of_the_core(self, backend: Adapter, add: Add) -> None:
        """A user agent and an OAuth token may be far longer than 255 characters."""
        user = await add("user", image="data:," + "x" * 10_000)
        session = await add("session", user_id=user["id"], user_agent="M" * 3000)
        account = await add("account", user_id=user["id"], access_token="t" * 12_000)

        assert await backend.find_many("user") == [user]
        assert await backend.find_many("session") == [session]
        assert await backend.find_many("account") == [account]
        assert len(user["image"]) == 10_006


def _kept(value: Any, tick: timedelta) -> Any:
    """Return the value as a backend keeps it that cuts instants to its step."""
    if not isinstance(value, datetime):
        return value
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return value - (value - epoch) % tick


def _assert_same(value: Any, expected: Any) -> None:
    """Check the types as well: True is no 1, and 1.0 no 1; dicts and lists all the way down."""
    assert type(value) is type(expected)
    assert value == expected
    match expected:
        case dict():
            for key, item in expected.items():
                _assert_same(value[key], item)
        case list():
            for one, other in zip(value, expected, strict=True):
                _assert_same(one, other)
        case datetime():
            assert value.utcoffset() == timedelta(0)
