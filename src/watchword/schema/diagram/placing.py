"""Where the tables of a picture stand, and the ways of its lines, which pass no box.

Lines run in the gaps between the columns; what leads further than over one gap runs above all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeAlias

from watchword.schema.diagram.columns import columns_of
from watchword.schema.diagram.outline import ColumnOutline, Reference, TableOutline
from watchword.schema.diagram.sizes import HEADER, LABEL, ROW, box_height, box_width, text_width

__all__ = ["LABEL_START", "Box", "Line", "Placement", "Point", "place"]

Point: TypeAlias = tuple[float, float]

LABEL_START: Final = 20.0
"""How far from its box the label of a line begins."""

_LANE: Final = 12.0
_END_SPACE: Final = 28.0
# Boxes stand on a grid of rows, and every second column half a row lower: so no two lines that
# enter a gap from its two sides are on one height, and none covers another.
_BETWEEN: Final = 2 * ROW
_SHIFT: Final = ROW / 2
_LABEL_SPACE: Final = LABEL_START + text_width("set null", LABEL) + 8.0


@dataclass(frozen=True, slots=True)
class Box:
    """A table and its place."""

    table: TableOutline
    x: float
    y: float
    width: float
    height: float

    def row(self, index: int) -> float:
        """Return the height of the middle of a column's row."""
        return self.y + HEADER + (index + 0.5) * ROW

    def side(self, direction: int) -> float:
        """Return where the left edge is for -1, the right one for 1."""
        return self.x if direction < 0 else self.x + self.width


@dataclass(frozen=True, slots=True)
class Line:
    """A foreign key's way from its row to the key of the other table.

    Args:
        table: The table of the column that points.
        column: The column.
        reference: What it points to.
        points: The corners, with both ends.
        leaves: Where it goes from its own box: -1 to the left, 1 to the right.
        arrives: The side of the other box that it comes to.
    """

    table: TableOutline
    column: ColumnOutline
    reference: Reference
    points: tuple[Point, ...]
    leaves: int
    arrives: int


@dataclass(frozen=True, slots=True)
class Placement:
    """All boxes and lines, from (0, 0) to the width and height."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def place(tables: Sequence[TableOutline]) -> Placement:
    """Return a place for each table, and a line for each reference between them."""
    columns = columns_of(tables)
    relations = _relations(tables, {it.model: at for at, its in enumerate(columns) for it in its})
    above = {name: at * _LANE for at, name in enumerate(_led_above(relations))}
    gaps = [_gap(number, relations, last=len(columns) - 1) for number in range(len(columns))]
    widths = [max(map(box_width, column)) for column in columns]
    ends = list(accumulate(width + gap.width for width, gap in zip(widths, gaps, strict=True)))
    boxes = {
        it.table.model: it
        for number, column in enumerate(columns)
        for it in _stacked(
            column,
            x=ends[number] - gaps[number].width - widths[number],
            y=len(above) * _LANE + number % 2 * _SHIFT,
            width=widths[number],
        )
    }
    lanes = {
        (number, name): ends[number] - gap.width + gap.lane(name)
        for number, gap in enumerate(gaps)
        for name in gap.lanes
    }
    return Placement(
        tuple(boxes[it.model] for it in tables),
        tuple(_line(it, boxes, lanes, above) for it in relations),
        width=max(ends, default=0.0),
        height=max((it.y + it.height for it in boxes.values()), default=0.0),
    )


def _stacked(column: Sequence[TableOutline], *, x: float, y: float, width: float) -> Iterator[Box]:
    for it in column:
        yield Box(it, x, y, width, box_height(it))
        y += box_height(it) + _BETWEEN


# --- lines -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Relation:
    """A reference, with the numbers of the columns of boxes that it leads from and to."""

    source: str
    row: int
    column: ColumnOutline
    reference: Reference
    target_row: int
    start: int
    end: int

    @property
    def target(self) -> str:
        return self.reference.model

    @property
    def leaves(self) -> int:
        return -1 if self.end < self.start else 1

    @property
    def arrives(self) -> int:
        return -1 if self.end > self.start else 1

    @property
    def first_gap(self) -> int:
        """The gap it leaves into; each has the number of the column on its left."""
        return self.start if self.leaves > 0 else self.start - 1

    @property
    def last_gap(self) -> int:
        return self.end if self.arrives > 0 else self.end - 1


def _relations(tables: Sequence[TableOutline], seats: Mapping[str, int]) -> tuple[_Relation, ...]:
    rows = {it.model: [at.name for at in it.columns] for it in tables}
    return tuple(
        _Relation(
            source=table.model,
            row=row,
            column=it,
            reference=it.reference,
            target_row=rows[it.reference.model].index(it.reference.column),
            start=seats[table.model],
            end=seats[it.reference.model],
        )
        for table in tables
        for row, it in enumerate(table.columns)
        if it.reference is not None
    )


def _led_above(relations: Sequence[_Relation]) -> list[str]:
    """Return the tables that lines lead to from further than over one gap."""
    return list(dict.fromkeys(it.target for it in relations if it.first_gap != it.last_gap))


@dataclass(frozen=True, slots=True)
class _Gap:
    """The space on the right of a column: a lane for each table that lines lead to."""

    lanes: tuple[str, ...]
    left: float
    right: float

    @property
    def width(self) -> float:
        between = _LANE * max(len(self.lanes) - 1, 0)
        return self.left + between + self.right

    def lane(self, target: str) -> float:
        return self.left + self.lanes.index(target) * _LANE


def _gap(number: int, relations: Sequence[_Relation], *, last: int) -> _Gap:
    from_left = any(it.first_gap == number and it.leaves > 0 for it in relations)
    from_right = any(it.first_gap == number and it.leaves < 0 for it in relations)
    through = [it for it in relations if number in {it.first_gap, it.last_gap}]
    if number == last and not through:
        return _Gap((), 0.0, 0.0)  # the picture ends here
    return _Gap(
        lanes=tuple(dict.fromkeys(it.target for it in through)),
        left=_LABEL_SPACE if from_left else _END_SPACE,
        right=_LABEL_SPACE if from_right else _END_SPACE,
    )


def _line(
    it: _Relation,
    boxes: Mapping[str, Box],
    lanes: Mapping[tuple[int, str], float],
    above: Mapping[str, float],
) -> Line:
    source, target = boxes[it.source], boxes[it.target]
    start = source.side(it.leaves), source.row(it.row)
    end = target.side(it.arrives), target.row(it.target_row)
    first, last = lanes[it.first_gap, it.target], lanes[it.last_gap, it.target]
    # In one gap both lanes are the same, and the way above is left out.
    heights = [] if it.first_gap == it.last_gap else [above[it.target]]
    middle = [(x, y) for y in heights for x in (first, last)]
    points = (start, (first, start[1]), *middle, (last, end[1]), end)
    return Line(source.table, it.column, it.reference, points, it.leaves, it.arrives)
