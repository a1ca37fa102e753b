"""A table in a picture: its name in the colour of its owner, and a row for each column."""

from collections.abc import Iterator, Mapping
from typing import Final

from watchword.schema.diagram.drawing import group, path, rect, text
from watchword.schema.diagram.outline import ColumnOutline
from watchword.schema.diagram.placing import Box
from watchword.schema.diagram.sizes import (
    HEADER,
    LABEL,
    MARK,
    NAME,
    NOTE,
    PAD,
    ROW,
    SMALL,
    marks_width,
    tag_width,
    tags_width,
    text_width,
    type_text,
)

__all__ = ["box_parts"]

_ROUND: Final = 7.0
# From the middle of a row down to the foot of its letters.
_FOOT: Final = 4.0


def box_parts(box: Box, classes: Mapping[str, str]) -> str:
    """Return a table's elements; each row tells more when it is pointed at."""
    table = box.table
    outline = "box" if table.is_ours else "box foreign"
    return group(
        f"{table.name} ({table.model}, of {table.owner}){_told(table.comment)}",
        [
            rect(at=(box.x, box.y), size=_size(box), kind=outline, more=f'rx="{_ROUND:g}"'),
            *_header(box, classes),
            *(group(_sentence(it), _row(box, at, classes)) for at, it in enumerate(table.columns)),
            *_joint_keys(box),
        ],
    )


def _size(box: Box) -> tuple[float, float]:
    return box.width, box.height


def _told(comment: str | None) -> str:
    return f": {comment}" if comment else ""


def _sentence(it: ColumnOutline) -> str:
    """Return what a row stands for, in words."""
    parts = [
        f"{it.name} {it.type}",
        "" if it.required else "may be null",
        f"default {it.default}" if it.default else "",
        f"references {it.reference.table}.{it.reference.column}" if it.reference else "",
        f"of {it.owner}",
    ]
    return ", ".join(filter(None, parts)) + _told(it.comment)


def _header(box: Box, classes: Mapping[str, str]) -> Iterator[str]:
    table, right, foot = box.table, box.x + box.width, box.y + HEADER
    yield path(
        [
            *("M", box.x, foot, "V", box.y + _ROUND, "Q", box.x, box.y, box.x + _ROUND, box.y),
            *("H", right - _ROUND, "Q", right, box.y, right, box.y + _ROUND, "V", foot, "Z"),
        ],
        kind=classes[table.owner],
    )
    base = box.y + HEADER / 2 + _FOOT
    wide = text_width(table.name, NAME)
    yield text(table.name, at=(box.x + PAD, base), width=wide, kind="head")
    wide = text_width(table.owner, NOTE)
    yield text(table.owner, at=(right - PAD - wide, base), width=wide, kind="by")


def _row(box: Box, index: int, classes: Mapping[str, str]) -> Iterator[str]:
    it, table, middle = box.table.columns[index], box.table, box.row(index)
    is_added = it.owner != table.owner
    if index:
        top = middle - ROW / 2
        yield path(["M", box.x + PAD, top, "H", box.x + box.width - PAD], kind="rule")
    if is_added:
        yield from _added(box, it, middle, classes[it.owner])
    for at, mark in enumerate(it.marks):
        place = box.x + PAD + at * MARK, middle + _FOOT - 0.5
        yield text(mark, at=place, width=text_width(mark, LABEL), kind="mark")
    left = box.x + PAD + marks_width(table)
    kind = "name" if it.required else "name optional"
    base = middle + _FOOT
    yield text(it.name, at=(left, base), width=text_width(it.name, NAME), kind=kind)
    wide = text_width(type_text(it), SMALL)
    right = box.x + box.width - PAD - tags_width(table)
    yield text(type_text(it), at=(right - wide, base), width=wide, kind="type")


def _added(box: Box, it: ColumnOutline, middle: float, owner: str) -> Iterator[str]:
    """Mark a column that another party has added: a tint, a bar and the party's name."""
    top = middle - ROW / 2
    tint = 'fill-opacity=".13"'
    yield rect(at=(box.x, top), size=(box.width, ROW), kind=owner, more=tint)
    yield rect(at=(box.x, top), size=(4.0, ROW), kind=owner)
    wide = text_width(it.owner, NOTE)
    left = box.x + box.width - PAD - tag_width(it.owner)
    yield rect(at=(left, middle - 8), size=(tag_width(it.owner), 16), kind=owner, more='rx="8"')
    inner = (tag_width(it.owner) - wide) / 2
    yield text(it.owner, at=(left + inner, middle + 3.5), width=wide, kind="by")


def _joint_keys(box: Box) -> Iterator[str]:
    first = len(box.table.columns)
    for at, words in enumerate(box.table.joint_keys):
        place = box.x + PAD, box.row(first + at) + _FOOT
        yield text(words, at=place, width=text_width(words, NOTE), kind="note")
