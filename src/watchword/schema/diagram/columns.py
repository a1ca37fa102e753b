"""Which tables of a picture stand above one another, and beside which others.

Tables that others point to stand in the middle, those that point to them to both sides.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from watchword.schema.diagram.outline import TableOutline
from watchword.schema.diagram.sizes import ROW, box_height

__all__ = ["columns_of"]

# What a column further away from the middle costs, in the heights that it saves.
_DISTANCE: Final = 900.0
_FURTHER: Final = 4


def columns_of(tables: Sequence[TableOutline]) -> list[list[TableOutline]]:
    """Return the tables of each column, from the left."""
    parents = _parents(tables)
    depths = {it.model: _depth(it.model, parents, frozenset()) for it in tables}
    alone = {it.model for it in tables} - _related(parents)
    seats: dict[str, int] = {}
    columns: dict[int, list[TableOutline]] = {}
    # Who has no relations fills the gaps that the others leave.
    for it in sorted(tables, key=lambda it: (it.model in alone, depths[it.model])):
        deepest = max(parents[it.model], key=lambda name: depths[name], default=it.model)
        choice = (
            _around(columns)
            if it.model in alone
            else _seats(depths[it.model], seats.get(deepest, 0))
        )
        seat = min(choice, key=lambda seat: _cost(columns.get(seat, []), seat))
        seats[it.model] = seat
        columns.setdefault(seat, []).append(it)
    return [columns[seat] for seat in sorted(columns)]


def _parents(tables: Sequence[TableOutline]) -> Mapping[str, frozenset[str]]:
    """Return the other models that each model points to."""
    known = {it.model for it in tables}
    return {
        it.model: frozenset(
            at.reference.model
            for at in it.columns
            if at.reference is not None and at.reference.model in known - {it.model}
        )
        for it in tables
    }


def _related(parents: Mapping[str, frozenset[str]]) -> set[str]:
    return {name for name, it in parents.items() if it}.union(*parents.values())


def _depth(model: str, parents: Mapping[str, frozenset[str]], seen: frozenset[str]) -> int:
    """Return how many steps it is to a model that points to none; circles are cut."""
    seen |= {model}
    further = [_depth(it, parents, seen) for it in sorted(parents[model] - seen)]
    return 1 + max(further) if further else 0


def _seats(depth: int, parent: int) -> list[int]:
    """Return where a table may stand: further out than the table it points to."""
    if depth == 0:
        return [0]
    if parent == 0:
        return [sign * it for it in range(1, _FURTHER) for sign in (1, -1)]
    sign = 1 if parent > 0 else -1
    return [parent + sign * it for it in range(1, _FURTHER)]


def _around(columns: Mapping[int, Sequence[TableOutline]]) -> list[int]:
    """Return every column and one more, the middle first."""
    return sorted({0, *columns, max(columns, default=0) + 1}, key=lambda seat: (abs(seat), -seat))


def _cost(column: Sequence[TableOutline], seat: int) -> float:
    return sum(box_height(it) + 2 * ROW for it in column) + _DISTANCE * max(abs(seat) - 1, 0)
