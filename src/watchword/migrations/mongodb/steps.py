"""The steps of a migration of MongoDB: each may be done again, whoever was killed in it."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from bson.int64 import Int64
from pymongo.errors import OperationFailure

from watchword.adapters.mongodb.documents import ID
from watchword.adapters.mongodb.filters import Filter, both
from watchword.adapters.mongodb.lines import Line
from watchword.adapters.mongodb.making import create_collection, create_index
from watchword.adapters.mongodb.rules import LEVEL, Validator, index_specs, spec_of, validator_of
from watchword.migrations.changes import (
    AddColumn,
    AddIndex,
    AddUnique,
    Change,
    ChangeColumn,
    ChangeRules,
    CreateTable,
    DropColumn,
    DropIndex,
    DropTable,
    DropUnique,
    RenameColumn,
    RenameTable,
)
from watchword.migrations.mongodb.state import CollectionsState, has_new_rules
from watchword.migrations.plan import Plan
from watchword.schema.snapshot import ColumnState, TableState

__all__ = ["BATCH", "Step", "steps_of"]

Run: TypeAlias = Callable[[Line], AsyncGenerator[int, None]]
"""Does a step, and tells of each batch how many documents it changed."""

BATCH: Final = 1000
_NO_INDEX: Final = 27

# Keys go away before the fields that they are of; documents may be anything while they change.
_ORDER: Final = (
    (RenameTable, CreateTable),
    (DropUnique, DropIndex),
    (RenameColumn, AddColumn, ChangeColumn),
    (AddUnique, AddIndex),
    (DropColumn, DropTable),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a migration.

    Args:
        change: What it belongs to.
        run: Does it.
    """

    change: Change
    run: Run


def steps_of(plan: Plan, state: CollectionsState, *, now: datetime) -> list[Step]:
    """Return what leads to the collections that are planned.

    Args:
        plan: What is to be done.
        state: How far the database is.
        now: What a field gets that says when it was written.
    """
    changed = dict.fromkeys(it.table for it in plan.changes if has_new_rules(it))
    there = {name: state.validator(plan, name) for name in changed}
    stay = {name: it for name, it in there.items() if it is not None}
    first, *others = (
        [_step(it, plan, now) for it in plan.changes if isinstance(it, kinds)] for kinds in _ORDER
    )
    looser = [
        Step(ChangeRules(name), _ruled(name, validator))
        for name in stay
        if (validator := _loosened(name, plan, state))
    ]
    final = [
        Step(ChangeRules(name), _ruled(name, state.rules(plan, plan.after.tables[name]), before))
        for name, before in stay.items()
    ]
    return [*first, *looser, *(step for steps in others for step in steps), *final]


def _loosened(name: str, plan: Plan, state: CollectionsState) -> Validator | None:
    """Return a validator that documents fit before and after the changes; None if there is none.

    It still names all that is there: who goes on after a crash learns from it what is left.
    """
    before = state.validator(plan, name)
    changes = [it for it in plan.changes if it.table == name]
    going = {it.column.name for it in changes if isinstance(it, RenameColumn | DropColumn)}
    if not before or not going:
        return None
    old = {it.name: it.table for it in plan.changes if isinstance(it, RenameTable)}
    present = state.live.snapshot.tables[old.get(name, name)]
    ours = state.ours(plan, name)
    columns = {column: it for column, it in present.columns.items() if column in ours}
    left = replace(present, columns=columns)
    return validator_of(left, before, gone=ours - set(columns), going=going)


def _step(change: Change, plan: Plan, now: datetime) -> Step:
    match change:
        case RenameTable() | CreateTable() | DropTable():
            run = _of_collection(change)
        case AddUnique() | AddIndex() | DropUnique() | DropIndex():
            run = _of_index(change, plan)
        case _:
            run = _of_documents(change, now)
    return Step(change, run)


def _of_collection(change: RenameTable | CreateTable | DropTable) -> Run:
    match change:
        case RenameTable(table, name):
            return _once(lambda line: line.do(lambda it: it[table].rename(name)))
        case CreateTable(state):
            return _once(lambda line: _make(line, state))
        case DropTable():
            return _once(lambda line: line.do(lambda it: it.drop_collection(change.table)))


def _of_index(change: AddUnique | AddIndex | DropUnique | DropIndex, plan: Plan) -> Run:
    table, key = change.table, change.key
    if isinstance(change, DropUnique | DropIndex):
        return _once(lambda line: _drop_index(line, table, key.name))
    spec = spec_of(plan.after.tables[table], key, unique=isinstance(change, AddUnique))
    return _once(lambda line: create_index(line, table, spec))


def _of_documents(change: Change, now: datetime) -> Run:
    match change:
        case RenameColumn(table, column, name):
            there = {column.name: {"$exists": True}}
            return _changed(table, there, {"$rename": {column.name: name}})
        case DropColumn(table, column):
            return _changed(table, {column.name: {"$exists": True}}, {"$unset": {column.name: ""}})
        case AddColumn(table, column) if column.default is not None:
            return _changed(table, {column.name: {"$exists": False}}, _given(column, now))
        case ChangeColumn(table, _, column) if (
            change.becomes_required and column.default is not None
        ):
            return _changed(table, {column.name: None}, _given(column, now))
    return _nothing


def _given(column: ColumnState, now: datetime) -> dict[str, Any]:
    value: Any = column.default
    if isinstance(value, dict):  # the only moment there is
        value = now
    elif column.type == "bigint":
        value = Int64(value)
    return {"$set": {column.name: value}}


# --- what is done --------------------------------------------------------------------------


async def _nothing(_line: Line) -> AsyncGenerator[int, None]:
    """Leave the documents as they are: any value, or none, is right already."""
    yield 0


def _once(do: Callable[[Line], Any]) -> Run:
    async def run(line: Line) -> AsyncGenerator[int, None]:
        await do(line)
        yield 0

    return run


async def _make(line: Line, table: TableState) -> None:
    await create_collection(line, table)
    for spec in index_specs(table):
        await create_index(line, table.name, spec)


async def _drop_index(line: Line, collection: str, name: str) -> None:
    try:
        await line.do(lambda it: it[collection].drop_index(name))
    except OperationFailure as error:
        if error.code != _NO_INDEX:
            raise


def _ruled(name: str, validator: Validator, before: Validator | None = None) -> Run:
    command: dict[str, Any] = {"collMod": name, "validator": validator}
    if before == {}:
        command["validationLevel"] = LEVEL
    return _once(lambda line: line.do(lambda it: it.command(command)))


def _changed(collection: str, matching: Filter, update: dict[str, Any]) -> Run:
    """Change documents in batches, in the order of their ids, until none is left.

    Whoever does not know of it yet may write more of them behind it, so it ends only where a
    look at all of them finds none.
    """

    async def run(line: Line) -> AsyncGenerator[int, None]:
        last: Any = None
        while True:
            later = {} if last is None else {ID: {"$gt": last}}
            ids = await _ids(line, collection, both(matching, later))
            if not ids and last is None:
                return
            last = ids[-1] if ids else None
            if ids:
                chosen = both({ID: {"$in": ids}}, matching)
                yield await _update(line, collection, chosen, update)

    return run


async def _ids(line: Line, collection: str, matching: Filter) -> list[Any]:
    found = await line.do(
        lambda it: it[collection].find(matching, {ID: 1}, sort=[(ID, 1)], limit=BATCH)
    )
    return [it[ID] for it in found]


async def _update(line: Line, collection: str, chosen: Filter, update: dict[str, Any]) -> int:
    result = await line.do(lambda it: it[collection].update_many(chosen, update))
    return int(result.modified_count)
