"""The schema as a Mermaid `erDiagram`, which many sites draw where they find it in Markdown."""

import re
from collections.abc import Iterator
from typing import Final

from watchword.schema.diagram.outline import ColumnOutline, Mark, TableOutline, outline
from watchword.schema.fields import Schema

__all__ = ["SIGN", "mermaid"]

SIGN: Final = "%% Watchword schema"
"""The first line of each diagram, a comment that no reader draws."""

# What Mermaid takes for the name of an attribute; all others are told in its comment.
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A quoted text ends at a quote or a line's end, and knows no escape; %% begins a comment, # with
# a semicolon behind it is a character's number, and < a tag of HTML.
_NOT_IN_QUOTES: Final = str.maketrans('"\\%#<>', "'/\uff05\uff03\u2039\u203a")
_KEYS: Final = (Mark.PRIMARY, Mark.FOREIGN, Mark.UNIQUE)


def mermaid(schema: Schema) -> str:
    """Return the diagram as text, without the fence that Markdown wants around it."""
    tables = outline(schema)
    lines = [
        SIGN,
        "erDiagram",
        *(line for it in tables for line in _entity(it)),
        *(line for it in tables for line in _relations(it)),
    ]
    return "\n".join(lines) + "\n"


def _entity(table: TableOutline) -> Iterator[str]:
    label = f"{table.name} · {table.owner}"
    yield f"    {_quoted(table.name)}[{_quoted(label)}] {{"
    yield from (f"        {_attribute(table, it)}" for it in table.columns)
    yield "    }"


def _attribute(table: TableOutline, column: ColumnOutline) -> str:
    word = column.name if _WORD.fullmatch(column.name) else _as_word(column.name)
    keys = ", ".join(it for it in _KEYS if it in column.marks)
    notes = [
        *([column.name] if word != column.name else []),
        *([] if column.required else ["may be null"]),
        *(["indexed"] if Mark.INDEX in column.marks else []),
        *([f"of {column.owner}"] if column.owner != table.owner else []),
    ]
    comment = _quoted(", ".join(notes)) if notes else ""
    return " ".join(it for it in (column.type, word, keys, comment) if it)


def _relations(table: TableOutline) -> Iterator[str]:
    for it in table.columns:
        if it.reference is not None:
            one = "||" if it.required else "|o"
            many = "o|" if it.is_unique else "o{"
            label = _quoted(f"{it.name}: on delete {it.reference.on_delete}")
            ends = _quoted(it.reference.table), _quoted(table.name)
            yield f"    {ends[0]} {one}--{many} {ends[1]} : {label}"


def _as_word(name: str) -> str:
    return "_" + re.sub(r"[^A-Za-z0-9_]", "_", name)


def _quoted(text: str) -> str:
    printable = "".join(it if it.isprintable() else " " for it in text)
    return f'"{printable.translate(_NOT_IN_QUOTES)}"'
