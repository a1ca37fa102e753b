"""A foreign key in a picture: a line with a crow's foot, and what its deletion rule is."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from watchword.schema.diagram.drawing import circle, group, path, text
from watchword.schema.diagram.placing import LABEL_START, Line, Point
from watchword.schema.diagram.sizes import LABEL, text_width

__all__ = ["line_parts"]

_BEND: Final = 6.0
_FOOT: Final = 10.0
_BAR: Final = 4.5
_RING: Final = 3.2


def line_parts(line: Line) -> str:
    """Return a line's elements; it tells in words what it means when it is pointed at."""
    reference = line.reference
    return group(
        f"{line.table.name}.{line.column.name} references {reference.table}.{reference.column}, "
        f"on delete {reference.on_delete}",
        [path(_way(line.points), kind="line"), *_many(line), *_one(line), _label(line)],
    )


def _way(points: tuple[Point, ...]) -> Iterator[str | float]:
    """Return the steps along the points, with round corners."""
    yield from ("M", *points[0])
    for (before, corner), (_, after) in pairwise(pairwise(points)):
        yield from ("L", *_towards(corner, before), "Q", *corner, *_towards(corner, after))
    yield from ("L", *points[-1])


def _towards(start: Point, end: Point) -> Point:
    """Return the point where a bend begins on the way to the next corner."""
    (x, y), (to_x, to_y) = start, end
    length = abs(to_x - x) + abs(to_y - y)  # the ways run along the axes
    share = min(_BEND, length / 2) / length if length else 0.0
    return x + (to_x - x) * share, y + (to_y - y) * share


def _many(line: Line) -> Iterator[str]:
    """Draw how many rows may point: a crow's foot, or a bar where it is one at most."""
    (x, y), out = line.points[0], line.leaves
    if line.column.is_unique:
        yield _bar(x + out * _FOOT / 2, y)
    else:
        tip = x + out * _FOOT
        yield path(["M", x, y - _BAR, "L", tip, y, "L", x, y + _BAR], kind="line")
    yield circle(at=(x + out * (_FOOT + _RING), y), radius=_RING, kind="line end")


def _one(line: Line) -> Iterator[str]:
    """Draw that one row is pointed to, or none where the column may be null."""
    (x, y), out = line.points[-1], line.arrives
    yield _bar(x + out * _FOOT / 2, y)
    if line.column.required:
        yield _bar(x + out * _FOOT, y)
    else:
        yield circle(at=(x + out * (_FOOT + _RING), y), radius=_RING, kind="line end")


def _bar(x: float, y: float) -> str:
    return path(["M", x, y - _BAR, "V", y + _BAR], kind="line")


def _label(line: Line) -> str:
    (x, y), words = line.points[0], line.reference.on_delete
    wide = text_width(words, LABEL)
    left = x + LABEL_START if line.leaves > 0 else x - LABEL_START - wide
    return text(words, at=(left, y - 4), width=wide, kind="label")
