"""The steps of a migration of MongoDB: each may be done again, whoever was killed in it."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from typing import Any, Final, TypeAlias

from bson.int64 import Int64
from pymongo.errors import OperationFailure

from watchword.adapters.mongodb.documents import ID
from watchword.adapters.mongodb.filters import Filter, both
from watchword.adapters.mongodb.lines import Line
from watchword.adapters.mongodb.making import (
    create_collection,
    create_index,
    has_index,
    list_collections,
)
from watchword.adapters.mongodb.rules import (
    LEVEL,
    Spec,
    Validator,
    asked_again,
    index_specs,
    least_of,
    spec_of,
    validator_of,
)
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
from watchword.migrations.mongodb.patience import PatientLine
from watchword.migrations.mongodb.state import CollectionsState, has_new_rules
from watchword.migrations.plan import Plan
from watchword.schema.snapshot import ColumnState, TableState

__all__ = ["BATCH", "Step", "steps_of", "walk"]

Run: TypeAlias = Callable[[PatientLine], AsyncGenerator[int, None]]
"""Does a step, and tells of each batch how many documents it changed."""

BATCH: Final = 1000
_NO_COLLECTION: Final = 26
_NO_INDEX: Final = 27


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
    first, *others = ([_step(it, plan, now) for it in changes] for changes in _ordered(plan))
    looser = [
        Step(ChangeRules(name), _ruled(name, validator))
        for name in stay
        if (validator := _loosened(name, plan, state))
    ]
    final = [
        Step(ChangeRules(name), _ruled(name, state.rules(plan, plan.after.tables[name]), before))
        for name, before in stay.items()
    ]
    begun = _begun(plan, state) if state.pending is not None else ()
    return [*begun, *first, *looser, *(step for steps in others for step in steps), *final]


def _begun(plan: Plan, state: CollectionsState) -> Iterator[Step]:
    """Wait for indexes that a server may be building still for who did not come to the end.

    It tells of them as if they were there, and lets nobody change a collection's name or its
    validator meanwhile. Asked for again it answers when it is done, or why it cannot be.
    """
    dropped = {it.key.name for it in plan.changes if isinstance(it, DropUnique | DropIndex)}
    for name, table in state.live.snapshot.tables.items():
        specs = {it["name"]: asked_again(it) for it in state.live.indexes[name]}
        uniques: list[AddUnique | AddIndex] = [AddUnique(name, it) for it in table.uniques]
        for change in (*uniques, *(AddIndex(name, it) for it in table.indexes)):
            if change.key.name not in dropped:
                yield Step(change, _built(name, specs[change.key.name]))


def _loosened(name: str, plan: Plan, state: CollectionsState) -> Validator | None:
    """Return a validator that documents fit before and after the changes; None if there is none.

    It still names all that is there: who goes on after a crash learns from it what is left.
    """
    before = state.validator(plan, name)
    changes = [it for it in plan.changes if it.table == name]
    going = {it.column.name for it in changes if isinstance(it, RenameColumn | DropColumn)}
    if not before or not going:
        return None
    present = state.live.snapshot.tables[plan.name_before(name)]
    ours = state.ours(plan, name)
    columns = {column: it for column, it in present.columns.items() if column in ours}
    left = replace(present, columns=columns)
    return validator_of(left, before, gone=ours - set(columns), going=going)


def _ordered(plan: Plan) -> Iterator[list[Change]]:
    """Return the changes of collections, of documents and of keys, in the order of the steps.

    Documents may be anything while they change, so keys of what changes in them go before. Others
    go when what comes in their place is there, or just before it if it cannot be there beside.
    """
    yield _of(plan, RenameTable, CreateTable)
    drops = [it for it in plan.changes if isinstance(it, DropUnique | DropIndex)]
    early = [it for it in drops if _columns_changed(plan, it.table) & {*it.key.columns}]
    yield list(early)
    yield _of(plan, RenameColumn, AddColumn, ChangeColumn)
    late = [it for it in drops if it not in early]
    for change in plan.changes:
        if isinstance(change, AddUnique | AddIndex):
            replaced = [it for it in late if _excludes(it, change)]
            late = [it for it in late if it not in replaced]
            yield [*replaced, change]
    yield list(late)
    yield _of(plan, DropColumn, DropTable)


def _of(plan: Plan, *kinds: type[Change]) -> list[Change]:
    return [it for it in plan.changes if isinstance(it, kinds)]


def _columns_changed(plan: Plan, table: str) -> set[str]:
    """Return the fields of a collection whose values move, or are filled in."""
    changes = [it for it in plan.changes if it.table == table]
    moved = {it.name for it in changes if isinstance(it, RenameColumn)}
    filled = (it for it in changes if isinstance(it, ChangeColumn) and it.becomes_required)
    return moved | {it.column.name for it in filled}


def _excludes(drop: DropUnique | DropIndex, add: AddUnique | AddIndex) -> bool:
    """Tell whether MongoDB refuses one index beside another: for its name, or for its fields."""
    is_alike = drop.noun == add.noun and drop.key.columns == add.key.columns
    return drop.table == add.table and (drop.key.name == add.key.name or is_alike)


def _step(change: Change, plan: Plan, now: datetime) -> Step:
    match change:
        case RenameTable() | CreateTable() | DropTable():
            run = _of_collection(change)
        case AddUnique() | AddIndex() | DropUnique() | DropIndex():
            run = _of_index(change, plan)
        case _:
            run = _of_documents(change, plan, now)
    return Step(change, run)


def _of_collection(change: RenameTable | CreateTable | DropTable) -> Run:
    match change:
        case RenameTable(table, name):
            return _once(lambda line: _rename(line, table, name))
        case CreateTable(state):
            return _once(lambda line: _make(line, state))
        case DropTable():
            return _once(lambda line: line.do(lambda it: it.drop_collection(change.table)))


def _of_index(change: AddUnique | AddIndex | DropUnique | DropIndex, plan: Plan) -> Run:
    table, key = change.table, change.key
    if isinstance(change, DropUnique | DropIndex):
        return _once(lambda line: _drop_index(line, table, key.name))
    spec = spec_of(plan.after.tables[table], key, unique=isinstance(change, AddUnique))
    return _built(table, spec)


def _of_documents(change: Change, plan: Plan, now: datetime) -> Run:
    table = plan.after.tables[change.table]
    match change:
        case RenameColumn(_, column, name):
            there = {column.name: {"$exists": True}}
            return _changed(table, there, {"$rename": {column.name: name}})
        case DropColumn(_, column):
            return _changed(table, {column.name: {"$exists": True}}, {"$unset": {column.name: ""}})
        case AddColumn(_, column) if column.default is not None:
            return _changed(table, {column.name: {"$exists": False}}, _given(column, now))
        case ChangeColumn(_, _, column) if change.becomes_required and column.default is not None:
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


async def _nothing(_line: PatientLine) -> AsyncGenerator[int, None]:
    """Leave the documents as they are: any value, or none, is right already."""
    yield 0


def _once(do: Callable[[Line], Any]) -> Run:
    async def run(line: PatientLine) -> AsyncGenerator[int, None]:
        await do(line)
        yield 0

    return run


async def _make(line: Line, table: TableState) -> None:
    await create_collection(line, table)
    for spec in index_specs(table):
        await create_index(line, table.name, spec)


async def _rename(line: Line, collection: str, name: str) -> None:
    try:
        await line.do(lambda it: it[collection].rename(name))
    except OperationFailure as error:
        # Whoever was not told that it was done asks for it again.
        if error.code != _NO_COLLECTION or not await list_collections(line, [name]):
            raise


def _built(collection: str, spec: Spec) -> Run:
    async def run(line: PatientLine) -> AsyncGenerator[int, None]:
        while not await has_index(line.for_long_work, collection, spec):
            yield 0

    return run


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


def _changed(table: TableState, matching: Filter, update: dict[str, Any]) -> Run:
    """Change documents in batches, until none is left.

    Whoever does not know of it yet may write more of them behind it, so it goes through them
    again. But it comes to an end: where it finds no fewer than the time before, somebody writes
    them all the time, and would do so afterwards, too.
    """

    async def run(line: PatientLine) -> AsyncGenerator[int, None]:
        before, found = inf, 0
        while True:
            async with aclosing(walk(line, table)) as batches:
                async for ids in batches:
                    chosen = both({ID: {"$in": ids}}, matching)
                    changed = await _update(line, table.name, chosen, update)
                    found += changed
                    yield changed
            if not 0 < found < before:
                return
            before, found = found, 0

    return run


async def walk(line: Line, table: TableState) -> AsyncGenerator[list[Any], None]:
    """Go through the ids of a collection in their order, some at a time.

    So no answer takes long, however many documents there are. Those whose ids are of another kind
    are not ours: no comparison finds them.
    """
    beyond: Filter = {"$gte": least_of(table.columns[ID])}
    while ids := await _ids(line, table.name, {ID: beyond}):
        yield ids
        beyond = {"$gt": ids[-1]}


async def _ids(line: Line, collection: str, matching: Filter) -> list[Any]:
    found = await line.do(
        lambda it: it[collection].find(matching, {ID: 1}, sort=[(ID, 1)], limit=BATCH)
    )
    return [it[ID] for it in found]


async def _update(line: Line, collection: str, chosen: Filter, update: dict[str, Any]) -> int:
    result = await line.do(lambda it: it[collection].update_many(chosen, update))
    return int(result.modified_count)
