"""What a database lacks, said as findings: most are the changes that a migration would make."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from watchword.engine.findings import Code, Finding, Level
from watchword.migrations.changes import (
    AddColumn,
    AddIndex,
    AddReference,
    AddUnique,
    Change,
    ChangeColumn,
    ChangeRules,
    CreateTable,
    DropIndex,
    DropReference,
    DropUnique,
    RenameColumn,
    RenameTable,
    said_default,
)
from watchword.migrations.live import LeftOver, Live
from watchword.migrations.plan import WIDER, Plan
from watchword.schema.snapshot import ColumnState, Key, Reference, Snapshot

__all__ = ["Drift", "Remedy"]

_ANEW: Final = "Make the table anew without this foreign key, which has no name"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What mends a finding.

    Args:
        command: Makes the changes that are planned.
        conflicts: Why it could not; each begins with the column that it is about.
    """

    command: str
    conflicts: Sequence[str] = ()

    def of(self, column: str) -> str:
        """Return what mends something about a column, such as `watchword_users.email`."""
        for conflict in self.conflicts:
            about, _, advice = conflict.partition(": ")
            if about.startswith(f"{column} "):
                return f"{advice[:1].upper()}{advice[1:]}".rstrip(".")
        return self.command


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How the tables differ from those that are wanted.

    Args:
        plan: What a migration would do.
        wanted: The tables as they should be.
        live: The tables as they are.
        remedy: What mends it.
    """

    plan: Plan
    wanted: Snapshot
    live: Live
    remedy: Remedy

    def findings(self) -> Iterator[Finding]:
        """Go through what differs, in the order in which it would be mended."""
        renamed = self._renamed_keys()
        for change in self.plan.changes:
            if _meaning(change) not in renamed:
                yield from self._said(change)
        yield from self._left_over()
        yield from self._other_references()

    def _renamed_keys(self) -> set[object]:
        """Return what keys and references do that will do the same by another name."""
        dropped = {_meaning(it) for it in self.plan.changes if it.sign == "-"}
        added = {_meaning(it) for it in self.plan.changes if it.sign == "+"}
        return (dropped & added) - {None}

    def _said(self, change: Change) -> Iterator[Finding]:
        match change:
            case CreateTable(state):
                owner = self.wanted.tables[state.name].owner
                yield self._error(Code.W001, f"table {state.name} of {owner} is missing")
            case AddColumn(table, column):
                yield self._missing(table, column)
            case RenameTable() | RenameColumn():
                # "… becomes …": a migration would say it likewise.
                yield self._error(Code.W004, str(change).replace(" becomes ", " should be "))
            case ChangeColumn():
                yield from self._column(change)
            case AddUnique() | AddIndex() | AddReference():
                yield from self._key(change)
            case DropUnique(table, it) | DropIndex(table, it) | DropReference(table, it):
                if it.name not in self._wanted_names(table):
                    yield self._warning(Code.W017, f"{change} is not wanted any more")
            case ChangeRules(table):
                message = f"the validator of {table} is not as it should be"
                yield self._warning(Code.W024, message)

    def _error(self, code: Code, message: str) -> Finding:
        return Finding(code, "error", message, self.remedy.command)

    def _warning(self, code: Code, message: str) -> Finding:
        return Finding(code, "warning", message, self.remedy.command)

    def _wanted_names(self, table: str) -> list[str]:
        return self.wanted.tables[table].key_names

    # --- columns -------------------------------------------------------------------------

    def _missing(self, table: str, column: ColumnState) -> Finding:
        name = f"{table}.{column.name}"
        return Finding(
            Code.W002,
            "error",
            f"column {name} of {column.owner} is missing",
            self.remedy.of(name),
        )

    def _column(self, change: ChangeColumn) -> Iterator[Finding]:
        name = f"{change.table}.{change.column.name}"
        if change.column.name not in self.wanted.tables[change.table].columns:
            message = f"column {name} is not wanted any more, and no row comes in without it"
            yield self._error(Code.W012, message)
            return
        for code, level, message in self._aspects(change):
            yield Finding(code, level, f"column {name} {message}", self.remedy.of(name))

    def _aspects(self, change: ChangeColumn) -> Iterator[tuple[Code, Level, str]]:
        before, column = change.before, change.column
        code = _difference(before, column)
        if code is not None:
            level: Level = "warning" if code is Code.W007 else "error"
            yield code, level, f"is {_plain(before)} and should be {_plain(column)}"
        if before.collation != column.collation:
            yield Code.W008, "error", f"is collated {before.collation}: other texts count as equal"
        if column.nullable and not before.nullable:
            yield Code.W009, "error", "is NOT NULL, but may have no value"
        if change.becomes_required:
            yield Code.W010, "warning", "may be null, but always has a value"
        if change.changes_default:
            yield Code.W011, "warning", f"has {_said(before)} and should have {_said(column)}"

    # --- keys and references -------------------------------------------------------------

    def _key(self, change: AddUnique | AddIndex | AddReference) -> Iterator[Finding]:
        it = change.reference if isinstance(change, AddReference) else change.key
        if it.name in {begun.name for begun in self.live.left_over}:
            return  # it is told of as what was begun
        if isinstance(change, AddReference):
            if self._same_target(change.table, change.reference) is None:
                yield self._reference(change)
        elif isinstance(change, AddUnique):
            message = f"nothing keeps {_columns(change.table, change.key)} unique"
            yield self._error(Code.W014, message)
        else:
            message = f"no index finds rows by {_columns(change.table, change.key)}"
            yield self._warning(Code.W013, message)

    def _reference(self, change: AddReference) -> Finding:
        it = change.reference
        message = f"no foreign key keeps {change.table}.{it.column} to rows of {it.table}"
        return self._error(Code.W015, message)

    def _other_references(self) -> Iterator[Finding]:
        """Find foreign keys that would do something else, whoever made them."""
        for table in self.wanted.tables.values():
            for wanted in table.references:
                present = self._same_target(table.name, wanted)
                if present is not None:
                    yield self._rule(table.name, wanted, present)

    def _same_target(self, table: str, wanted: Reference) -> Reference | None:
        """Return a foreign key that is like a wanted one but for its rule."""
        live = self.live.snapshot.tables.get(table)
        for it in () if live is None else live.references:
            alike = replace(it, name=wanted.name, on_delete=wanted.on_delete) == wanted
            if alike and it.on_delete != wanted.on_delete:
                return it
        return None

    def _rule(self, table: str, wanted: Reference, present: Reference) -> Finding:
        message = (
            f"foreign key {table}.{wanted.column} says ON DELETE {present.on_delete.upper()} "
            f"and should say {wanted.on_delete.upper()}"
        )
        mend = self.remedy.command
        if present.name != wanted.name:
            # It is nobody's whom we know: a migration leaves it alone.
            drop = f"Drop the foreign key {present.name}" if present.name else _ANEW
            mend = f"{drop}, then {mend}"
        return Finding(Code.W016, "error", message, mend)

    # --- what was begun ------------------------------------------------------------------

    def _left_over(self) -> Iterator[Finding]:
        for it in self.live.left_over:
            yield Finding(
                Code.W018,
                "error" if self._is_ours(it) else "warning",
                f"{'index' if it.is_index else 'constraint'} {it.name} of {it.table} was begun "
                "and not finished",
                self.remedy.command if self._is_ours(it) else f"Drop {it.name}, or finish it",
            )

    def _is_ours(self, it: LeftOver) -> bool:
        return it.table in self.wanted.tables and it.name in self._wanted_names(it.table)


def _meaning(change: Change) -> object:
    """Return what a key or a reference does, whatever it is called; None for other changes."""
    match change:
        case AddUnique(table, key) | DropUnique(table, key):
            return ("unique", table, key.columns)
        case AddIndex(table, key) | DropIndex(table, key):
            return ("index", table, key.columns)
        case AddReference(table, reference) | DropReference(table, reference):
            return (table, replace(reference, name=""))
    return None


def _difference(before: ColumnState, column: ColumnState) -> Code | None:
    """Tell how the types differ; None if they do not."""
    if _plain(before) == _plain(column):
        return None
    if before.raw is not None:
        return Code.W005
    if before.type == column.type:
        return Code.W006 if (before.length or 0) < (column.length or 0) else Code.W007
    if (before.type, column.type) in WIDER:
        return Code.W006
    return Code.W007 if (column.type, before.type) in WIDER else Code.W005


def _plain(column: ColumnState) -> str:
    return replace(column, collation=None).kind


def _said(column: ColumnState) -> str:
    return "no default" if column.default is None else f"the default {said_default(column)}"


def _columns(table: str, key: Key) -> str:
    return f"{table}({', '.join(key.columns)})"
