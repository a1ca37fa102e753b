"""What has to be done to a database for it to be as the schema wants it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

from watchword.migrations.changes import (
    AddColumn,
    AddIndex,
    AddReference,
    AddUnique,
    Change,
    ChangeColumn,
    CreateTable,
    DropColumn,
    DropIndex,
    DropReference,
    DropTable,
    DropUnique,
    RenameColumn,
    RenameTable,
)
from watchword.migrations.renames import Renames, renamed
from watchword.schema.snapshot import ColumnState, Key, Reference, Snapshot, TableState

__all__ = ["WIDER", "Plan", "make_plan", "said_empty"]

K = TypeVar("K", Key, Reference)
Many: TypeAlias = Sequence[K]

WIDER: Final = (("string", "text"), ("integer", "bigint"))
"""Types that hold whatever the one before them holds: a database turns one into the other."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What has to be done, in this order.

    Args:
        changes: Every step.
        conflicts: Why it cannot be done, each in a sentence; nothing may be done then.
        kept: What nobody wants any more and is kept with its values.
        after: How the database is then, as far as it is ours.
    """

    changes: Sequence[Change] = ()
    conflicts: Sequence[str] = ()
    kept: Sequence[str] = ()
    after: Snapshot = field(default_factory=Snapshot)

    @property
    def unfilled(self) -> list[ChangeColumn]:
        """Return what becomes required where rows may lack a value, and there is no default."""
        changed = (it for it in self.changes if isinstance(it, ChangeColumn))
        return [it for it in changed if it.becomes_required and it.column.default is None]

    def name_before(self, table: str) -> str:
        """Return what a table is called before it is renamed."""
        renames = (it for it in self.changes if isinstance(it, RenameTable))
        return next((it.table for it in renames if it.name == table), table)

    def column_before(self, table: str, column: str) -> str:
        """Return what a column is called before it is renamed."""
        renames = (it for it in self.changes if isinstance(it, RenameColumn))
        found = (it.column.name for it in renames if (it.table, it.name) == (table, column))
        return next(found, column)

    @property
    def downgrade(self) -> list[Change]:
        """Return what undoes it, in the order in which it can be undone."""
        return [change.undone() for change in reversed(self.changes)]


def said_empty(change: ChangeColumn, number: int) -> str:
    """Return why a column cannot become required: so many rows have no value."""
    return (
        f"{change.table}.{change.column.name} becomes required and has no default, but "
        f"{number:,} rows have no value: give them one first, or the field a default."
    )


def make_plan(
    present: Snapshot,
    wanted: Snapshot,
    *,
    recorded: Snapshot | None = None,
    renames: Renames | None = None,
    drop: bool = False,
    adopts: bool = True,
) -> Plan:
    """Return what leads from what is there to what is wanted.

    Args:
        present: The tables as they are; of others nothing is known and nothing is done.
        wanted: The tables as they should be.
        recorded: What was made before; what is in the database besides is somebody else's,
            and left alone. None if that is not known.
        renames: What has another name now; nothing is guessed.
        drop: Remove what nobody wants any more, with its values. Otherwise it is kept, and
            made not to be in the way.
        adopts: Take tables that nobody recorded for ours, whatever else is in them.

    Raises:
        ConfigurationError: A rename names nothing that there is.
    """
    known = recorded or Snapshot()
    naming = (renames or Renames()).between(known, wanted, present)
    # What is renamed already was ours under the old name.
    present, known = renamed(present, naming.changes), renamed(known, naming.every)
    tables = [
        _TablePlan(it, present.tables[it.name], known.tables.get(it.name), drop=drop)
        for it in wanted.tables.values()
        if it.name in present.tables
    ]
    made = list(_made(wanted, present))
    gone = [it for it in known.tables.values() if _is_left_over(it, wanted, present)]
    conflicts = [text for it in tables for text in it.conflicts()]
    conflicts += [] if adopts or recorded else _strangers(wanted, present)
    conflicts += _others_in(gone, present) if drop else []
    return Plan(
        changes=(
            *naming.changes,
            *made,
            *(change for it in tables for change in it.changes()),
            *(_removed(gone) if drop else ()),
        ),
        conflicts=(*naming.conflicts, *conflicts),
        kept=(*(text for it in tables for text in it.kept()), *_kept(gone, drop=drop)),
        after=_after(wanted, tables, [] if drop else gone),
    )


def _kept(gone: Sequence[TableState], *, drop: bool) -> list[str]:
    return [f"table {it.name}" for it in gone if not drop and not it.retired]


def _strangers(wanted: Snapshot, present: Snapshot) -> Iterator[str]:
    """Tell of tables that have our names, and may be the application's."""
    for name, table in present.tables.items():
        strange = set(table.columns) - set(wanted.tables[name].columns)
        if strange:
            yield (
                f"The table {name} is there, with columns that are not ours: "
                f"{', '.join(sorted(strange))}. If it is the application's, choose a prefix, or "
                "give its user table to SQLAlchemyAdapter(user_model=…); if it is ours, say so "
                "with `watchword migrate --keep`."
            )


def _others_in(gone: Sequence[TableState], present: Snapshot) -> Iterator[str]:
    """Tell of what others would lose with a table of ours."""
    for table in gone:
        strange = set(present.tables[table.name].columns) - set(table.columns)
        if strange:
            yield (
                f"The table {table.name} would go with columns that are not ours: "
                f"{', '.join(sorted(strange))}. Take them off first."
            )


def _is_left_over(table: TableState, wanted: Snapshot, present: Snapshot) -> bool:
    return table.name not in wanted.tables and table.name in present.tables


def _made(wanted: Snapshot, present: Snapshot) -> Iterator[Change]:
    """Make the tables that are missing; what points at a later one is added behind it."""
    there = set(present.tables)
    later: list[Change] = []
    for table in wanted.tables.values():
        if table.name in there:
            continue
        there.add(table.name)
        now = tuple(it for it in table.references if _is_there(it, wanted, there))
        yield CreateTable(replace(table, references=now))
        later += [AddReference(table.name, it) for it in table.references if it not in now]
    yield from later


def _removed(gone: Sequence[TableState]) -> Iterator[Change]:
    """Remove tables, each before those that it points at; in a circle what points goes first."""
    behind = {it.name for it in gone}
    drops: list[Change] = []
    for table in gone:
        behind.discard(table.name)
        circular = [it for it in table.references if it.table in behind]
        yield from (DropReference(table.name, it) for it in circular)
        left = tuple(it for it in table.references if it not in circular)
        drops.append(DropTable(replace(table, references=left)))
    yield from reversed(drops)


def _is_there(reference: Reference, wanted: Snapshot, there: set[str]) -> bool:
    return reference.table in there or reference.table not in wanted.tables


def _after(wanted: Snapshot, plans: Iterable["_TablePlan"], gone: list[TableState]) -> Snapshot:
    kept = {it.wanted.name: it.after() for it in plans}
    tables = [kept.get(it.name, it) for it in wanted.tables.values()]
    return wanted.with_tables([*tables, *(replace(it, retired=True) for it in gone)])


class _TablePlan:
    """What has to be done to a table that is there.

    Args:
        wanted: As it should be.
        present: As it is.
        recorded: As we made it; None if that is not known.
        drop: Remove what is not wanted any more.
    """

    def __init__(
        self, wanted: TableState, present: TableState, recorded: TableState | None, *, drop: bool
    ) -> None:
        self.wanted = wanted
        self._present = present
        self._recorded = recorded or TableState(name=wanted.name)
        self._drop = drop

    @property
    def _name(self) -> str:
        return self.wanted.name

    def _left_over(self) -> list[ColumnState]:
        """Return the columns of ours that nobody wants any more."""
        return [
            self._present.columns[name]
            for name in self._recorded.columns
            if name in self._present.columns and name not in self.wanted.columns
        ]

    def changes(self) -> Iterator[Change]:
        """Return the steps: what hangs on columns goes before them and comes after them."""
        yield from self._unwanted()
        yield from self._added_columns()
        yield from self._changed_columns()
        wanted, present, recorded = self.wanted, self._present, self._recorded
        indexes = _missing(wanted.indexes, present.indexes, recorded.indexes)
        uniques = _missing(wanted.uniques, present.uniques, recorded.uniques)
        references = _missing(wanted.references, present.references, recorded.references)
        yield from (AddIndex(self._name, it) for it in indexes)
        yield from (AddUnique(self._name, it) for it in uniques)
        yield from (AddReference(self._name, it) for it in references)
        if self._drop:
            yield from (DropColumn(self._name, it) for it in self._left_over())

    def _unwanted(self) -> Iterator[Change]:
        wanted, present, recorded = self.wanted, self._present, self._recorded
        references = self._superfluous(wanted.references, present.references, recorded.references)
        uniques = self._superfluous(wanted.uniques, present.uniques, recorded.uniques)
        indexes = self._superfluous(wanted.indexes, present.indexes, recorded.indexes)
        # References first: InnoDB keeps an index that one needs.
        yield from (DropReference(self._name, it) for it in references)
        yield from (DropUnique(self._name, it) for it in uniques)
        yield from (DropIndex(self._name, it) for it in indexes)

    def _added_columns(self) -> Iterator[Change]:
        for name, column in self.wanted.columns.items():
            if name not in self._present.columns:
                yield AddColumn(self._name, column)

    def _changed_columns(self) -> Iterator[Change]:
        for name, column in self.wanted.columns.items():
            before = self._present.columns.get(name)
            if before is not None and self._differs(before, column):
                yield ChangeColumn(self._name, before, self._with_default(before, column))
        for column in () if self._drop else self._left_over():
            if _is_in_the_way(column):
                yield ChangeColumn(self._name, column, replace(column, nullable=True))

    def _with_default(self, before: ColumnState, column: ColumnState) -> ColumnState:
        """Leave a default alone that is somebody else's."""
        return column if self._owns_default(before, column) else _default_of(before, column)

    def _differs(self, before: ColumnState, column: ColumnState) -> bool:
        wanted = self._with_default(before, column)
        same = (before.kind, before.nullable, repr(before.default)) == (
            wanted.kind,
            wanted.nullable,
            repr(wanted.default),
        )
        return not same

    def _owns_default(self, before: ColumnState, column: ColumnState) -> bool:
        recorded = self._recorded.columns.get(column.name)
        ours = recorded is not None and repr(recorded.default) == repr(before.default)
        return column.default is not None or ours

    def _superfluous(self, wanted: Many[K], present: Many[K], recorded: Many[K]) -> list[K]:
        """Return what we made and is not wanted any more, or not like this."""
        ours = {it.name for it in (*wanted, *recorded)}
        return [
            it for it in present if it.name in ours and it not in wanted and not self._is_kept(it)
        ]

    def _is_kept(self, it: Key | Reference) -> bool:
        """Tell whether it belongs to a column that is kept."""
        kept = set() if self._drop else {column.name for column in self._left_over()}
        return bool(kept & set(_columns(it)))

    # --- what is said, and what is recorded ---------------------------------------------

    def conflicts(self) -> Iterator[str]:
        """Tell what no database could do by itself, or not without losing something."""
        for name, column in self.wanted.columns.items():
            before = self._present.columns.get(name)
            if before is None and not column.nullable and column.default is None:
                yield (
                    f"{self._name}.{name} ({column.owner}) is required and has no default, so "
                    "rows that are there would have no value: give it a default that is a "
                    "constant, or required=False."
                )
            if before is not None and not _is_convertible(before, column):
                yield (
                    f"{self._name}.{name} ({column.owner}) is {before.kind} and should be "
                    f"{column.kind}, which no database converts by itself: add a field of "
                    "another name, copy the values, and remove this one."
                )

    def kept(self) -> list[str]:
        """Tell what is kept though nobody wants it."""
        left_over = [] if self._drop else self._left_over()
        recorded = self._recorded.columns
        return [
            f"column {self._name}.{it.name}" for it in left_over if not recorded[it.name].retired
        ]

    def after(self) -> TableState:
        """Return the table as we shall have made it."""
        left_over = [] if self._drop else self._left_over()
        retired = [
            replace(
                self._recorded.columns[it.name],
                retired=True,
                nullable=it.nullable or _is_in_the_way(it),
            )
            for it in left_over
        ]
        return replace(
            self.wanted,
            columns={**self.wanted.columns, **{it.name: it for it in retired}},
            uniques=(*self.wanted.uniques, *filter(self._is_kept, self._present.uniques)),
            indexes=(*self.wanted.indexes, *filter(self._is_kept, self._present.indexes)),
            references=(*self.wanted.references, *filter(self._is_kept, self._present.references)),
        )


def _missing(wanted: Many[K], present: Many[K], recorded: Many[K]) -> list[K]:
    """Return what is wanted and not there, be it under another name that is not ours."""
    ours = {it.name for it in recorded}
    foreign = [_meaning(it) for it in present if it.name not in ours]
    return [it for it in wanted if it not in present and _meaning(it) not in foreign]


def _is_in_the_way(column: ColumnState) -> bool:
    """Tell whether rows could not be written without a value for it."""
    return not column.nullable and column.default is None


def _default_of(before: ColumnState, column: ColumnState) -> ColumnState:
    return replace(column, default=before.default)


def _columns(it: Key | Reference) -> tuple[str, ...]:
    return it.columns if isinstance(it, Key) else (it.column,)


def _meaning(it: Key | Reference) -> object:
    """Return what it does, whatever it is called."""
    return replace(it, name="")


def _is_convertible(before: ColumnState, column: ColumnState) -> bool:
    if before.kind == column.kind or (before.type == column.type and before.raw is None):
        return True
    return any({before.type, column.type} <= set(relatives) for relatives in WIDER)
