"""How far a MongoDB database is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from watchword.adapters.mongodb.lines import Line
from watchword.adapters.mongodb.rules import Validator, validator_of
from watchword.migrations.aims import Aim
from watchword.migrations.changes import (
    AddColumn,
    Change,
    ChangeColumn,
    ChangeRules,
    CreateTable,
    DropColumn,
    RenameColumn,
    RenameTable,
)
from watchword.migrations.mongodb.history import History
from watchword.migrations.mongodb.reading import LiveCollections, read_live
from watchword.migrations.plan import Plan
from watchword.migrations.state import State
from watchword.schema.snapshot import Snapshot, TableState

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
        return replace(plan, changes=(*plan.changes, *self._new_rules(plan)))

    def _new_rules(self, plan: Plan) -> Iterator[Change]:
        told = {it.table for it in plan.changes if has_new_rules(it)}
        for name, table in plan.after.tables.items():
            before = self.validator(plan, name)
            if name not in told and before is not None and self.rules(plan, table) != before:
                yield ChangeRules(name)

    def validator(self, plan: Plan, name: str) -> Validator | None:
        """Return the validator of a collection that is there, maybe by an older name."""
        old = {it.name: it.table for it in plan.changes if isinstance(it, RenameTable)}
        return self.live.validators.get(old.get(name, name))

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
    """Let documents be without what nobody wants any more; wanted again it is filled in."""
    return after.with_tables(
        replace(
            table,
            columns={
                name: replace(it, nullable=it.nullable or it.retired)
                for name, it in table.columns.items()
            },
        )
        for table in after.tables.values()
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
