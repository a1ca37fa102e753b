"""How large things are in a picture; text is of fixed width, so that its size is known."""

import unicodedata
from typing import Final

from watchword.schema.diagram.outline import ColumnOutline, TableOutline

__all__ = [
    "GAP",
    "HEADER",
    "LABEL",
    "MARK",
    "NAME",
    "NOTE",
    "PAD",
    "ROW",
    "SMALL",
    "TITLE",
    "box_height",
    "box_width",
    "marks_width",
    "names_width",
    "tag_width",
    "tags_width",
    "text_width",
    "type_text",
    "types_width",
]

ROW: Final = 22.0
HEADER: Final = 1.5 * ROW
PAD: Final = 12.0
GAP: Final = 16.0
MARK: Final = 24.0
"""The width of a mark, with the space behind it."""

TITLE: Final = 17.0
NAME: Final = 12.5
SMALL: Final = 11.0
NOTE: Final = 10.0
LABEL: Final = 9.5
"""Sizes of letters."""

# The width of a letter by its height, in the widest of the fonts of fixed width in use.
_RATIO: Final = 0.61
_TAG_PAD: Final = 7.0


def text_width(text: str, size: float) -> float:
    """Return how wide a text is; East Asian letters and emoji take two places."""
    places = sum(2 if unicodedata.east_asian_width(it) in "WF" else 1 for it in text)
    return round(places * size * _RATIO, 1)


def type_text(column: ColumnOutline) -> str:
    """Return a column's type, with a question mark where it may be null."""
    return column.type if column.required else f"{column.type}?"


def tag_width(text: str) -> float:
    """Return how wide the tag is that names the owner of a column."""
    return text_width(text, NOTE) + 2 * _TAG_PAD


def marks_width(table: TableOutline) -> float:
    """Return what the marks of the column with the most of them take."""
    return MARK * max((len(it.marks) for it in table.columns), default=0)


def names_width(table: TableOutline) -> float:
    """Return how wide the longest name of a column is."""
    return max((text_width(it.name, NAME) for it in table.columns), default=0.0)


def types_width(table: TableOutline) -> float:
    """Return how wide the longest type is."""
    return max((text_width(type_text(it), SMALL) for it in table.columns), default=0.0)


def tags_width(table: TableOutline) -> float:
    """Return what the widest tag in a table takes, with the space before it."""
    owners = {it.owner for it in table.columns} - {table.owner}
    return max((tag_width(it) + GAP / 2 for it in owners), default=0.0)


def box_width(table: TableOutline) -> float:
    """Return how wide a table's box has to be for all that stands in it."""
    header = text_width(table.name, NAME) + GAP + text_width(table.owner, NOTE)
    rows = marks_width(table) + names_width(table) + GAP + types_width(table) + tags_width(table)
    notes = max((text_width(it, NOTE) for it in table.joint_keys), default=0.0)
    return round(max(header, rows, notes) + 2 * PAD, 1)


def box_height(table: TableOutline) -> float:
    """Return how high a table's box is: whole rows, so that all boxes stand on one grid."""
    return (2 + len(table.columns) + len(table.joint_keys)) * ROW
