"""What has another name now: asked for, or the same field under another naming."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from watchword.errors import ConfigurationError
from watchword.migrations.changes import Change, RenameColumn, RenameTable
from watchword.schema import camel_case
from watchword.schema.snapshot import ColumnState, Key, Reference, Snapshot, TableState

__all__ = ["NewNames", "Renames", "renamed"]


Rename: TypeAlias = RenameTable | RenameColumn


@dataclass(frozen=True, slots=True)
class NewNames:
    """The renames between two schemas.

    Args:
        every: All of them, also those that are done already.
        changes: Those that are to be done.
        conflicts: Why some cannot be.
    """

    every: Sequence[Rename] = ()
    changes: Sequence[Rename] = ()
    conflicts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Renames:
    """Renames that were asked for.

    Args:
        asked: Old to new, as people write it: `user.name` to `fullName`, a model's old name
            to its new one. Names are those of Python or of the wire.
        earlier: The same of runs before, where what names nothing any more does not matter.
    """

    asked: Mapping[str, str] = field(default_factory=dict)
    earlier: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, written: Iterable[str]) -> "Renames":
        """Return what `old:new` stands for.

        Raises:
            ConfigurationError: It is not written like this.
        """
        pairs = [text.partition(":") for text in written]
        for old, _, new in pairs:
            if not old or not new or old.count(".") > 1:
                raise ConfigurationError(
                    f"{old}:{new} is no rename." if new else f"{old!r} is no rename.",
                    hint="Write the old and the new name: --rename user.name:fullName",
                )
        return cls({old: new for old, _, new in pairs})

    def between(self, recorded: Snapshot, wanted: Snapshot, present: Snapshot) -> NewNames:
        """Return the steps from the recorded names to those that are wanted.

        What is done already is not done again.

        Raises:
            ConfigurationError: A rename names nothing that there is.
        """
        search = _Search(recorded, wanted, present)
        for old, new in {**self.earlier, **self.asked}.items():
            if not search.ask(old, new) and old in self.asked:
                raise _unknown(old, new)
        return search.result()


class _Search:
    """Finds what each wanted table and column was called before."""

    def __init__(self, recorded: Snapshot, wanted: Snapshot, present: Snapshot) -> None:
        self._recorded = {it.model: it for it in recorded.tables.values()}
        self._wanted = {it.model: it for it in wanted.tables.values()}
        self._present = present
        self._models: dict[str, str] = {}
        self._fields: dict[tuple[str, str], str] = {}

    @property
    def _is_first(self) -> bool:
        """Whether nothing was made yet."""
        return not self._recorded

    def ask(self, old: str, new: str) -> bool:
        """Take a rename; tell whether it names what is, or was, there."""
        model, _, name = old.partition(".")
        if not name:
            target = _find(self._wanted, new)
            source = _find(self._recorded, model)
            if target is not None and source is not None:
                self._models[target] = source
            is_known = source is not None or target in self._recorded or self._is_first
            return target is not None and is_known
        return self._ask_field(model, name, new)

    def _ask_field(self, model: str, name: str, new: str) -> bool:
        wanted = _find(self._wanted, model)
        target = None if wanted is None else _find(_fields(self._wanted[wanted]), _last(new))
        if wanted is None or target is None:
            return False
        recorded = self._recorded.get(self._models.get(wanted, wanted))
        known = {} if recorded is None else _fields(recorded)
        source = _find(known, name)
        if source is not None:
            self._fields[wanted, target] = source
        # What was never made needs no rename: applications ask for theirs at every start.
        return recorded is None or source is not None or target in known

    def result(self) -> NewNames:
        """Return the steps, tables before their columns."""
        tables, columns = [*self._tables()], [*self._columns()]
        there = self._present.tables
        both = [it for it in tables if it.table in there and it.name in there]
        undone: list[Rename] = [it for it in tables if it.table in there and it not in both]
        conflicts = [_both(f"table {it.table}", it.name) for it in both]
        olds = {it.name: it.table for it in tables if it in undone}
        for it in columns:
            present = there.get(olds.get(it.table, it.table))
            if present is None or it.column.name not in present.columns:
                continue
            if it.name in present.columns:
                conflicts.append(_both(f"column {it.table}.{it.column.name}", it.name))
            else:
                undone.append(replace(it, column=present.columns[it.column.name]))
        return NewNames((*tables, *columns), undone, conflicts)

    def _before(self) -> Iterator[tuple[TableState, TableState]]:
        """Go through the tables that were made, each with what it should be now."""
        for model, table in self._wanted.items():
            recorded = self._recorded.get(self._models.get(model, model))
            if recorded is not None:
                yield recorded, table

    def _tables(self) -> Iterator[RenameTable]:
        for recorded, table in self._before():
            if recorded.name != table.name:
                keys = (recorded.primary_key, table.primary_key)
                yield RenameTable(recorded.name, table.name, keys)

    def _columns(self) -> Iterator[RenameColumn]:
        for recorded, table in self._before():
            before = _fields(recorded)
            for column in table.columns.values():
                old = before.get(self._fields.get((table.model, column.field), column.field))
                if old is not None and old.name != column.name:
                    yield RenameColumn(table.name, old, column.name)


def _fields(table: TableState) -> dict[str, ColumnState]:
    return {it.field: it for it in table.columns.values()}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _find(names: Iterable[str], name: str) -> str | None:
    """Find a name, written as in Python or as on the wire."""
    return next((it for it in names if name in {it, camel_case(it)}), None)


def _unknown(old: str, new: str) -> ConfigurationError:
    return ConfigurationError(
        f"{old} cannot become {new}: one was never made, or the other is not in the schema.",
        hint="Write names of the schema, as `watchword schema` shows them: "
        "--rename user.name:fullName",
    )


def _both(old: str, new: str) -> str:
    return (
        f"{old} should become {new}, but there are both: copy what is needed and remove one, "
        "or choose another name."
    )


# --- what the rest looks like after ----------------------------------------------------------


def renamed(snapshot: Snapshot, changes: Sequence[Change]) -> Snapshot:
    """Return a snapshot after renames; names of keys stay what they were."""
    for change in changes:
        if isinstance(change, RenameTable):
            snapshot = _with_table(snapshot, change)
        if isinstance(change, RenameColumn):
            snapshot = _with_column(snapshot, change)
    return snapshot


def _with_table(snapshot: Snapshot, change: RenameTable) -> Snapshot:
    def follow(it: Reference) -> Reference:
        return replace(it, table=change.name) if it.table == change.table else it

    return snapshot.with_tables(
        replace(
            table,
            name=change.name if table.name == change.table else table.name,
            primary_key=change.key[1] if table.name == change.table else table.primary_key,
            references=tuple(map(follow, table.references)),
        )
        for table in snapshot.tables.values()
    )


def _with_column(snapshot: Snapshot, change: RenameColumn) -> Snapshot:
    old, new = change.column.name, change.name

    def of(table: TableState) -> TableState:
        here = table.name == change.table
        targets = tuple(_following(it, change.table, old, new) for it in table.references)
        if not here:
            return replace(table, references=targets)
        return replace(
            table,
            columns={
                (new if name == old else name): (replace(it, name=new) if name == old else it)
                for name, it in table.columns.items()
            },
            uniques=_keys(table.uniques, old, new),
            indexes=_keys(table.indexes, old, new),
            references=tuple(
                replace(it, column=new) if it.column == old else it for it in targets
            ),
        )

    return snapshot.with_tables(map(of, snapshot.tables.values()))


def _following(it: Reference, table: str, old: str, new: str) -> Reference:
    return replace(it, target=new) if (it.table, it.target) == (table, old) else it


def _keys(keys: tuple[Key, ...], old: str, new: str) -> tuple[Key, ...]:
    return tuple(
        replace(key, columns=tuple(new if it == old else it for it in key.columns)) for key in keys
    )
