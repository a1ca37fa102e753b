"""The schema as a picture: one SVG file that needs no font, no script and no other file."""

from collections.abc import Sequence
from typing import Final

from watchword.schema.diagram.boxes import box_parts
from watchword.schema.diagram.drawing import number, rect, text, written
from watchword.schema.diagram.legend import counted, marks_legend, owners_legend
from watchword.schema.diagram.lines import line_parts
from watchword.schema.diagram.outline import TableOutline, outline, owners_of
from watchword.schema.diagram.palette import CLASS, owner_classes, style
from watchword.schema.diagram.placing import place
from watchword.schema.diagram.sizes import TITLE, text_width
from watchword.schema.fields import Schema

__all__ = ["svg"]

_MARGIN: Final = 28.0
_SPACE: Final = 24.0
_TITLE: Final = "Watchword schema"
_TITLE_HEIGHT: Final = 38.0
_LEAST_WIDTH: Final = 480.0


def svg(schema: Schema) -> str:
    """Return the picture of a schema as XML."""
    tables = outline(schema)
    owners = owners_of(tables)
    classes = owner_classes(owners)
    placement = place(tables)
    above, below = owners_legend(tables, classes), marks_legend(tables)
    inner = max(placement.width, _LEAST_WIDTH, above.least_width, below.least_width)
    top = _MARGIN + _TITLE_HEIGHT + above.height(inner) + _SPACE
    bottom = top + placement.height + _SPACE
    size = inner + 2 * _MARGIN, bottom + below.height(inner) + _MARGIN
    left = _MARGIN + (inner - placement.width) / 2
    parts = [
        *_head(tables, size),
        f"<style>\n{style(owners)}\n</style>",
        rect(at=(0, 0), size=size, kind="page"),
        _title(),
        *above.parts((_MARGIN, _MARGIN + _TITLE_HEIGHT), inner),
        f'<g transform="translate({number(left)} {number(top)})">',
        *(line_parts(it) for it in placement.lines),
        *(box_parts(it, classes) for it in placement.boxes),
        "</g>",
        *below.parts((_MARGIN, bottom), inner),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title() -> str:
    wide = text_width(_TITLE, TITLE)
    return text(_TITLE, at=(_MARGIN, _MARGIN + TITLE), width=wide, kind="title")


def _head(tables: Sequence[TableOutline], size: tuple[float, float]) -> tuple[str, ...]:
    width, height = (number(it) for it in size)
    names = f'class="{CLASS}" role="img" aria-labelledby="{CLASS}-title {CLASS}-desc"'
    area = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {names} {area}>',
        f'<title id="{CLASS}-title">{_TITLE}</title>',
        f'<desc id="{CLASS}-desc">{written(_description(tables))}</desc>',
    )


def _description(tables: Sequence[TableOutline]) -> str:
    """Tell who cannot see the picture what is on it."""
    sentences = [_table_sentence(it) for it in tables]
    return " ".join([f"{counted(len(tables), 'table')}.", *sentences])


def _table_sentence(table: TableOutline) -> str:
    columns = ", ".join(it.name for it in table.columns)
    references = [
        f"; {it.name} references {it.reference.table}"
        for it in table.columns
        if it.reference is not None
    ]
    return f"{table.name} of {table.owner}: {columns}{''.join(references)}."
