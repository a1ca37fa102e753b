"""The schema as tables in a terminal, or as plain text where none is."""

from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, Final

from watchword.cli.extras import require_module
from watchword.schema import Schema
from watchword.schema.diagram import (
    ColumnOutline,
    Mark,
    TableOutline,
    counted,
    outline,
    owners_of,
)

__all__ = ["schema_table"]

_HEADINGS: Final = ("column", "type", "null", "default", "keys", "owner")
_INDENT: Final = 2
_BETWEEN: Final = 2
_COLOURS: Final = ("cyan", "green", "magenta", "yellow", "blue", "red")
_WORDS: Final = {Mark.PRIMARY: "primary key", Mark.UNIQUE: "unique", Mark.INDEX: "index"}


def schema_table(schema: Schema, *, width: int, is_coloured: bool) -> str:
    """Return the tables as text.

    Args:
        schema: What to show.
        width: Characters of a line; what is longer is folded within its column.
        is_coloured: Owners have colours, as a terminal's control sequences.
    """
    tables = outline(schema)
    colours = _colours(tables)
    console = require_module("rich.console").Console(
        file=StringIO(),
        width=width,
        color_system="standard" if is_coloured else None,
        force_terminal=is_coloured,
        legacy_windows=False,
        soft_wrap=False,
    )
    console.print(_text(_summary(tables)))
    for it in tables:
        console.print()
        console.print(_heading(it, colours))
        console.print(_grid(it, _widths(tables, width), colours))
        for words in it.joint_keys:
            console.print(_text(f"  {words}"))
    lines: list[str] = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _colours(tables: Sequence[TableOutline]) -> Mapping[str, str]:
    owners = owners_of(tables)
    return {it: _COLOURS[number % len(_COLOURS)] for number, it in enumerate(owners)}


def _summary(tables: Sequence[TableOutline]) -> str:
    owners = ", ".join(owners_of(tables))
    columns = counted(sum(len(it.columns) for it in tables), "column")
    return f"The schema has {counted(len(tables), 'table')} with {columns}, of: {owners}."


def _text(words: str, style: str = "") -> Any:
    """Return words as they are; in plain strings square brackets would be markup."""
    return require_module("rich.text").Text(words, style=style)


def _heading(table: TableOutline, colours: Mapping[str, str]) -> Any:
    line = _text("")
    line.append(table.name, "bold")
    line.append(f"  {table.model}, of ")
    line.append(table.owner, colours[table.owner])
    if not table.is_ours:
        line.append(", never changed by us")
    if table.comment:
        line.append(f": {table.comment}")
    return line


def _grid(table: TableOutline, widths: Sequence[int | None], colours: Mapping[str, str]) -> Any:
    grid = require_module("rich.table").Table(
        box=None, padding=(0, _BETWEEN, 0, 0), pad_edge=True, header_style="dim"
    )
    for heading, wide in zip(_HEADINGS, widths, strict=True):
        grid.add_column(heading, min_width=wide, overflow="fold")
    for it in table.columns:
        style = colours[it.owner] if it.owner != table.owner else ""
        grid.add_row(*(_text(cell, style) for cell in _cells(it)))
    return require_module("rich.padding").Padding(grid, (0, 0, 0, _INDENT))


def _widths(tables: Sequence[TableOutline], width: int) -> Sequence[int | None]:
    """Return how wide columns are in all tables, so that they align.

    Where that is too wide, it is the names alone that are not folded.
    """
    cell_len = require_module("rich.cells").cell_len
    rows = [_HEADINGS, *(_cells(it) for table in tables for it in table.columns)]
    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(_HEADINGS))]
    fits = _INDENT + sum(widths) + _BETWEEN * len(widths) <= width
    return widths if fits else [min(widths[0], width // 2)] + [None] * (len(widths) - 1)


def _cells(it: ColumnOutline) -> tuple[str, ...]:
    name = it.name if it.name == it.field else f"{it.name} ({it.field})"
    null = "" if it.required else "null"
    return name, it.type, null, it.default, ", ".join(_keys(it)), it.owner


def _keys(it: ColumnOutline) -> Iterator[str]:
    yield from (words for mark, words in _WORDS.items() if mark in it.marks)
    if it.reference:
        target = f"{it.reference.table}.{it.reference.column}"
        yield f"→ {target} on delete {it.reference.on_delete}"
