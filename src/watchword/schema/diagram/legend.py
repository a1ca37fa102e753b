"""What the colours, letters and lines of a picture mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from watchword.schema.diagram.drawing import rect, text
from watchword.schema.diagram.outline import TableOutline
from watchword.schema.diagram.sizes import NOTE, text_width

__all__ = ["Legend", "counted", "marks_legend", "owners_legend"]

_ROW: Final = 20.0
_SWATCH: Final = 11.0
_SPACE: Final = 22.0
_MARKS: Final = (
    *("PK primary key", "FK foreign key", "UK unique", "IX indexed", "? may be null"),
    "on a line: what happens when the row it leads to is deleted",
)
_FOREIGN: Final = "dashed: the application's own table, which is never changed"


@dataclass(frozen=True, slots=True)
class _Entry:
    words: str
    swatch: str = ""

    @property
    def indent(self) -> float:
        return _SWATCH + 7.0 if self.swatch else 0.0

    @property
    def width(self) -> float:
        return self.indent + text_width(self.words, NOTE)


@dataclass(frozen=True, slots=True)
class Legend:
    """Entries one after another, in as many rows as they need."""

    entries: tuple[_Entry, ...]

    @property
    def least_width(self) -> float:
        """The width of its widest entry."""
        return max((it.width for it in self.entries), default=0.0)

    def height(self, width: float) -> float:
        """Return how high it is where it may be so wide."""
        return _ROW * (1 + max((row for _, _, row in self._places(width)), default=-1))

    def parts(self, at: tuple[float, float], width: float) -> Iterator[str]:
        """Return its elements."""
        for it, left, row in self._places(width):
            x, y = at[0] + left, at[1] + row * _ROW
            if it.swatch:
                yield rect(at=(x, y), size=(_SWATCH, _SWATCH), kind=it.swatch, more='rx="3"')
            room = text_width(it.words, NOTE)
            yield text(it.words, at=(x + it.indent, y + 9.5), width=room, kind="note")

    def _places(self, width: float) -> Iterator[tuple[_Entry, float, int]]:
        left, row = 0.0, 0
        for it in self.entries:
            if left and left + it.width > width:
                left, row = 0.0, row + 1
            yield it, left, row
            left += it.width + _SPACE


def owners_legend(tables: Sequence[TableOutline], classes: Mapping[str, str]) -> Legend:
    """Return who owns what, by colour."""
    return Legend(
        tuple(_Entry(f"{owner} ({_share(tables, owner)})", it) for owner, it in classes.items())
    )


def marks_legend(tables: Sequence[TableOutline]) -> Legend:
    """Return what letters and lines mean."""
    dashed = () if all(it.is_ours for it in tables) else (_FOREIGN,)
    return Legend(tuple(_Entry(it) for it in (*_MARKS, *dashed)))


def _share(tables: Sequence[TableOutline], owner: str) -> str:
    """Tell how much is whose: tables, and columns in the tables of others."""
    own = sum(it.owner == owner for it in tables)
    added = sum(at.owner == owner != it.owner for it in tables for at in it.columns)
    counts = ((own, "table"), (added, "further column" if own else "column"))
    return ", ".join(counted(number, noun) for number, noun in counts if number)


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
