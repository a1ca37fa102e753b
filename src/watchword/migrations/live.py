"""What is in a database, in a snapshot's terms."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from watchword.schema.snapshot import ColumnState, Snapshot, TableState

__all__ = ["LeftOver", "Live", "columns_of"]


@dataclass(frozen=True, slots=True)
class LeftOver:
    """An index or a constraint that was begun and not finished.

    Args:
        table: Whose it is.
        name: Its own.
        is_index: It is no constraint.
        schema: The database schema that the table is said to be in, if one is.
    """

    table: str
    name: str
    is_index: bool
    schema: str | None = field(default=None, compare=False)

    @property
    def is_check(self) -> bool:
        """Tell whether it is a check of ours that a column has no null."""
        return re.fullmatch(r"watchword_[0-9a-f]{16}_not_null", self.name) is not None


@dataclass(frozen=True, slots=True)
class Live:
    """What is there.

    Args:
        snapshot: The tables of ours.
        left_over: What of ours was begun by somebody who did not come to the end.
        places: The database schema that each table is in, where that has to be said.
    """

    snapshot: Snapshot
    left_over: tuple[LeftOver, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)


def columns_of(known: Iterable[TableState], name: str) -> Mapping[str, ColumnState]:
    """Return what is known of a table's columns; the first to know one is right."""
    columns: dict[str, ColumnState] = {}
    for table in known:
        if table.name == name:
            columns = {**table.columns, **columns}
    return columns
