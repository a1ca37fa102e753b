"""How far a MongoDB database is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from watchword.adapters.mongodb.lines import Line
from watchword.adapters.mongodb.rules import Validator, meaning_of, spec_of, validator_of
from watchword.migrations.aims import Aim
from watchword.migrations.changes import (
    AddColumn,
    AddUnique,
    Change,
    ChangeColumn,
    ChangeRules,
    CreateTable,
    DropColumn,
    DropUnique,
    RenameColumn,
)
from watchword.migrations.mongodb.history import History
from watchword.migrations.mongodb.reading import LiveCollections, read_live
from watchword.migrations.plan import Plan
from watchword.migrations.state import State
from watchword.schema.snapshot import Key, Snapshot, TableState

__all__ = ["CollectionsState", "examine", "has_new_rules", "seen_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionsState(State):
    """How far a database is, the validators of its collections among it."""

    live: LiveCollections

    def plan(self, aim: Aim) -> Plan:
        """Return what is to be done.

        Raises:
            ConfigurationError: As for every database.
        """
        plan = State.plan(self, aim)
        plan = replace(plan, after=_without_retired_rules(plan.after))
        changes = (*plan.changes, *self._open_keys(plan), *self._new_rules(plan))
        return replace(plan, changes=changes)

    def _open_keys(self, plan: Plan) -> Iterator[Change]:
        """Let documents be without what was unique and is kept: they would share its absence."""
        for table in plan.after.tables.values():
            there = {
                it["name"]: it for it in self.live.indexes.get(plan.name_before(table.name), ())
            }
            for key in table.uniques:
                is_kept = any(table.columns[it].retired for it in key.columns)
                spec = spec_of(table, key, unique=True)
                if is_kept and meaning_of(there.get(key.name, spec)) != meaning_of(spec):
                    yield DropUnique(table.name, key)
                    yield AddUnique(table.name, key)

    def _new_rules(self, plan: Plan) -> Iterator[Change]:
        told = {it.table for it in plan.changes if has_new_rules(it)}
        for name, table in plan.after.tables.items():
            before = self.validator(plan, name)
            if name not in told and before is not None and self.rules(plan, table) != before:
                yield ChangeRules(name)

    def validator(self, plan: Plan, name: str) -> Validator | None:
        """Return the validator of a collection that is there, maybe by an older name."""
        return self.live.validators.get(plan.name_before(name))

    def rules(self, plan: Plan, table: TableState) -> Validator:
        """Return the validator that a collection should have; what is not ours stays in it."""
        gone = self.ours(plan, table.name) - set(table.columns)
        return validator_of(table, self.validator(plan, table.name), gone=gone)

    def ours(self, plan: Plan, name: str) -> set[str]:
        """Return the keys of a collection that are ours, or were."""
        known = (plan.after, self.wanted, self.recorded, self.begun)
        tables = [it.tables.get(name) for it in known if it is not None]
        renamed = {
            it.column.name
            for it in plan.changes
            if isinstance(it, RenameColumn) and it.table == name
        }
        return renamed.union(*(it.columns for it in tables if it is not None))


def _without_retired_rules(after: Snapshot) -> Snapshot:
    """Let documents be without what nobody wants any more; wanted again it is filled in.

    A key that is kept is of its fields again, whatever somebody else has made of its index.
    """
    return after.with_tables(
        replace(
            table,
            uniques=_of_columns(table, table.uniques),
            indexes=_of_columns(table, table.indexes),
            columns={
                name: replace(it, nullable=it.nullable or it.retired)
                for name, it in table.columns.items()
            },
        )
        for table in after.tables.values()
    )


def _of_columns(table: TableState, keys: tuple[Key, ...]) -> tuple[Key, ...]:
    return tuple(
        replace(it, columns=tuple(name for name in it.columns if name in table.columns))
        for it in keys
    )


def has_new_rules(change: Change) -> bool:
    """Tell whether a change is one of what documents have to be like."""
    return isinstance(
        change, CreateTable | AddColumn | ChangeColumn | DropColumn | RenameColumn | ChangeRules
    )


async def examine(
    line: Line, history: History, wanted: Snapshot, *, to: int | None = None
) -> CollectionsState:
    """Look how far a database is.

    Args:
        line: The way to the database.
        history: Its versions.
        wanted: As it should be.
        to: The version that matters instead, if one does.

    Raises:
        ConfigurationError: A newer release wrote what this one cannot read, or there is no such
            version.
    """
    state = State.of(wanted, await history.read(), has_prefix=history.has_prefix)
    return await seen_in(line, state, to=to)


async def seen_in(line: Line, state: State, *, to: int | None = None) -> CollectionsState:
    """Return what was recorded, with the collections as they are."""
    return CollectionsState(
        wanted=state.wanted,
        versions=state.versions,
        pending=state.pending,
        live=await read_live(
            line, *state.looked_for(to), is_settled=to is None and state.pending is None
        ),
        has_prefix=state.has_prefix,
    )
