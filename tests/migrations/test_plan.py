"""What has to be done: each kind of difference, and chains of random schemas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.migrations import Renames
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
from watchword.migrations.plan import Plan, make_plan
from watchword.migrations.renames import renamed
from watchword.schema import (
    CORE_MODELS,
    NOW,
    Field,
    Index,
    Model,
    Naming,
    Unique,
    resolve_schema,
)
from watchword.schema.snapshot import ColumnState, Key, Reference, Snapshot, TableState


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin says about the schema."""

    id: str = "badges"
    models: Sequence[Model] = ()
    extends: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)


def wanted(*plugins: Plugin, **settings: Any) -> Snapshot:
    """Return the tables of the core and of plugins."""
    return Snapshot.of(resolve_schema(CORE_MODELS, plugins, **settings))


def user(**fields: Field) -> Snapshot:
    """Return the core's tables, with more fields of users."""
    return wanted(Plugin(extends={"user": fields}))


def badge(*, uniques=(), indexes=(), **fields: Field) -> Snapshot:
    """Return the core's tables and one more."""
    return wanted(Plugin(models=[Model("badge", fields, uniques, indexes)]))


def said(plan: Plan) -> list[str]:
    """Return the changes as people read them."""
    return [f"{it.sign} {it}" for it in plan.changes]


def between(before: Snapshot, after: Snapshot, **options: Any) -> Plan:
    """Return what leads from what we made to what is wanted."""
    return make_plan(before, after, recorded=before, **options)


# --- a database that takes only what one would take --------------------------------------------


def changed(snapshot: Snapshot, changes: Sequence[Change]) -> Snapshot:
    """Make changes; fail on those that a database would refuse."""
    for change in changes:
        if isinstance(change, RenameTable | RenameColumn):
            assert change.table in snapshot.tables
            snapshot = renamed(snapshot, [change])
            continue
        tables = dict(snapshot.tables)
        tables[change.table] = made = after(tables, change)
        if made is None:
            del tables[change.table]
        snapshot = replace(snapshot, tables=tables)
    return snapshot


def after(tables: Mapping[str, TableState], change: Change) -> TableState | None:
    """Return a table after a change; None if it is gone."""
    table = tables.get(change.table)
    if isinstance(change, CreateTable):
        assert table is None
        targets = {it.table for it in change.state.references}
        assert targets <= {*tables, change.table}
        return change.state
    assert table is not None
    match change:
        case DropTable():
            assert not any(
                it.table == change.table
                for name, other in tables.items()
                if name != change.table
                for it in other.references
            )
            return None
        case AddColumn(_, column):
            assert column.name not in table.columns
            assert column.nullable or column.default is not None
            return replace(table, columns={**table.columns, column.name: column})
        case DropColumn(_, column):
            used = [it for key in (*table.uniques, *table.indexes) for it in key.columns]
            assert column.name not in [*used, *(it.column for it in table.references)]
            left = {name: it for name, it in table.columns.items() if name != column.name}
            return replace(table, columns=left)
        case ChangeColumn(_, before, column):
            assert essence(table.columns[column.name]) == essence(before)
            return replace(table, columns={**table.columns, column.name: column})
    return with_keys(tables, table, change)


def with_keys(tables: Mapping[str, TableState], table: TableState, change: Change) -> TableState:
    """Return a table with or without a key."""
    match change:
        case AddUnique(_, key) | AddIndex(_, key):
            assert set(key.columns) <= set(table.columns)
            assert key.name not in table.key_names
        case AddReference(_, reference):
            assert reference.column in table.columns
            assert reference.target in tables[reference.table].columns
            assert reference.name not in table.key_names
    match change:
        case AddUnique(_, key):
            return replace(table, uniques=(*table.uniques, key))
        case AddIndex(_, key):
            return replace(table, indexes=(*table.indexes, key))
        case AddReference(_, reference):
            return replace(table, references=(*table.references, reference))
        case DropUnique(_, key):
            return replace(table, uniques=without(table.uniques, key))
        case DropIndex(_, key):
            return replace(table, indexes=without(table.indexes, key))
        case DropReference(_, reference):
            return replace(table, references=without(table.references, reference))
    raise AssertionError(change)


def without(some: tuple[Any, ...], one: Any) -> tuple[Any, ...]:
    """Return some without one that is there."""
    assert one in some
    return tuple(it for it in some if it != one)


def essence(column: ColumnState) -> tuple[Any, ...]:
    """Return what a database keeps of a column."""
    return column.name, column.kind, column.nullable, repr(column.default)


def essences(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a database keeps of tables, in no order."""
    return {
        table.name: (
            {essence(it) for it in table.columns.values()},
            {*table.uniques},
            {*table.indexes},
            {*table.references},
        )
        for table in snapshot.tables.values()
    }


# --- one difference at a time ----------------------------------------------------------------


def test_an_empty_database_gets_every_table():
    """In an order in which each finds those that it points at."""
    plan = make_plan(Snapshot(), wanted())

    assert said(plan) == [
        "+ table watchword_users",
        "+ table watchword_verifications",
        "+ table watchword_sessions",
        "+ table watchword_accounts",
    ]
    assert plan.after == wanted()


def test_tables_that_point_at_one_another_are_made():
    """What comes too early for one reference gets it later."""
    circle = [
        Model("egg", {"hen_id": Field.reference("hen", required=False)}),
        Model("hen", {"egg_id": Field.reference("egg", required=False)}),
    ]

    plan = make_plan(Snapshot(), wanted(Plugin(models=circle)))

    assert essences(changed(Snapshot(), plan.changes)) == essences(plan.after)
    assert [str(it) for it in plan.changes if isinstance(it, AddReference)] == [
        "foreign key watchword_eggs.hen_id to watchword_hens"
    ]


NAME = Field("string", required=False)
BEFORE_AND_AFTER = {
    "a plugin": (
        wanted(),
        wanted(
            Plugin(
                models=[Model("badge", {"user_id": Field.reference("user")})],
                extends={"user": {"rank": NAME}},
            )
        ),
        ["+ table watchword_badges", "+ column watchword_users.rank"],
    ),
    "a field with all that hangs on it": (
        badge(),
        badge(
            name=replace(NAME, unique=True),
            rank=replace(NAME, index=True),
            user_id=Field.reference("user", required=False),
        ),
        [
            "+ column watchword_badges.name",
            "+ column watchword_badges.rank",
            "+ column watchword_badges.user_id",
            "+ index watchword_badges(rank)",
            "+ index watchword_badges(user_id)",
            "+ unique watchword_badges(name)",
            "+ foreign key watchword_badges.user_id to watchword_users",
        ],
    ),
    "an index": (badge(name=NAME), badge(name=replace(NAME, index=True)), ["+ index"]),
    "no index": (badge(name=replace(NAME, index=True)), badge(name=NAME), ["- index"]),
    "a unique for an index": (
        badge(name=replace(NAME, index=True)),
        badge(name=replace(NAME, unique=True)),
        ["- index", "+ unique"],
    ),
    "a unique of two": (
        badge(name=NAME, rank=NAME),
        badge(name=NAME, rank=NAME, uniques=(Unique("name", "rank"),)),
        ["+ unique watchword_badges(name, rank)"],
    ),
    "an index of two": (
        badge(name=NAME, rank=NAME, indexes=(Index("name", "rank"),)),
        badge(name=NAME, rank=NAME, indexes=(Index("rank", "name"),)),
        ["- index watchword_badges(name, rank)", "+ index watchword_badges(rank, name)"],
    ),
    "another on_delete": (
        badge(user_id=Field.reference("user")),
        badge(user_id=Field.reference("user", on_delete="restrict")),
        ["- foreign key", "+ foreign key"],
    ),
    "no reference": (
        badge(user_id=Field.reference("user")),
        badge(user_id=Field("uuid", index=True)),
        ["- foreign key"],
    ),
    "optional": (
        badge(name=replace(NAME, required=True)),
        badge(name=NAME),
        ["~ column watchword_badges.name: may be null"],
    ),
    "required": (
        badge(name=NAME),
        badge(name=replace(NAME, required=True)),
        ["~ column watchword_badges.name: becomes required"],
    ),
    "a default": (
        badge(name=NAME),
        badge(name=replace(NAME, default="it's")),
        ['~ column watchword_badges.name: default "it\'s"'],
    ),
    "no default": (
        badge(at=Field("datetime", default=NOW)),
        badge(at=Field("datetime")),
        ["~ column watchword_badges.at: default none"],
    ),
    "the clock": (
        badge(at=Field("datetime")),
        badge(at=Field("datetime", default=NOW)),
        ["~ column watchword_badges.at: default now"],
    ),
    "true instead of 1": (
        badge(level=Field("integer", default=1)),
        badge(level=Field("integer", default=2)),
        ["~ column watchword_badges.level: default 2"],
    ),
    "longer": (
        badge(name=replace(NAME, max_length=20)),
        badge(name=replace(NAME, max_length=80)),
        ["~ column watchword_badges.name: string(20) becomes string(80)"],
    ),
    "shorter": (
        badge(name=replace(NAME, max_length=80)),
        badge(name=replace(NAME, max_length=20)),
        ["~ column watchword_badges.name: string(80) becomes string(20)"],
    ),
    "text": (
        badge(name=NAME),
        badge(name=Field("text", required=False)),
        ["~ column watchword_badges.name: string(255) becomes text"],
    ),
    "a comment": (badge(name=NAME), badge(name=replace(NAME, comment="new")), []),
    "nothing": (badge(name=NAME), badge(name=NAME), []),
}


@pytest.mark.parametrize("name", BEFORE_AND_AFTER)
def test_a_difference_is_made_up_for(name):
    """By the steps that it needs and no more, and they can be undone."""
    before, wanted, steps = BEFORE_AND_AFTER[name]

    plan = between(before, wanted)

    told = said(plan)
    assert len(told) == len(steps)
    assert all(line.startswith(step) for line, step in zip(told, steps, strict=True))
    assert plan.conflicts == ()
    there = changed(before, plan.changes)
    assert essences(there) == essences(plan.after) == essences(wanted)
    assert essences(changed(there, plan.downgrade)) == essences(before)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (Field("integer"), Field("string"), "is integer and should be string(255)"),
        (Field("string"), Field("boolean", default=False), "is string(255) and should be boolean"),
        (Field("datetime"), Field("bigint"), "is datetime and should be bigint"),
        (Field("text"), Field("json"), "is text and should be json"),
    ],
)
def test_a_type_that_nothing_converts_is_a_conflict(old, new, words):
    """It says from what to what, who wants it, and what to do instead."""
    [conflict] = between(badge(worth=old), badge(worth=new)).conflicts

    assert conflict.startswith("watchword_badges.worth (badges) ")
    assert words in conflict
    assert "another name" in conflict


def test_a_required_field_without_a_default_is_a_conflict():
    """Rows that are there would have no value; a new table has none."""
    required = Field("string")

    [conflict] = between(user(), user(rank=required)).conflicts
    in_a_new_table = between(wanted(), badge(rank=required)).conflicts

    assert conflict.startswith("watchword_users.rank (badges) is required and has no default")
    assert "required=False" in conflict
    assert in_a_new_table == ()


# --- what nobody wants any more ----------------------------------------------------------------

SECRET = Field("string", index=True, unique=False)
PLUGIN = Plugin(
    models=[Model("badge", {"secret": SECRET, "user_id": Field.reference("user")})],
    extends={"user": {"rank": Field("string", default="low"), "hat": NAME}},
)


def test_what_a_plugin_leaves_is_kept_and_stands_in_nobodys_way():
    """Its tables and columns stay; one that had to have a value has not any more."""
    required = Plugin(extends={"session": {"place": Field("string")}})
    before = wanted(PLUGIN, required)

    plan = between(before, wanted())

    assert said(plan) == ["~ column watchword_sessions.place: may be null"]
    assert plan.kept == (
        "column watchword_users.rank",
        "column watchword_users.hat",
        "column watchword_sessions.place",
        "table watchword_badges",
    )
    kept = plan.after.tables
    assert kept["watchword_badges"].retired
    assert kept["watchword_users"].columns["rank"].retired
    assert not kept["watchword_users"].columns["rank"].nullable
    assert kept["watchword_sessions"].columns["place"].nullable


def test_what_is_kept_is_told_once():
    """The next run has nothing to do and nothing to say."""
    first = between(wanted(PLUGIN), wanted())

    again = between(first.after, wanted())

    assert first.kept
    assert (again.changes, again.kept) == ((), ())
    assert again.after == first.after


def test_a_plugin_that_comes_back_finds_its_columns():
    """Nothing is made twice, and what was loosened is as it was."""
    before = wanted(PLUGIN, Plugin(id="b", extends={"session": {"place": Field("string")}}))
    gone = between(before, wanted())

    back = between(changed(before, gone.changes), before)
    recorded = make_plan(gone.after, before, recorded=gone.after)

    assert said(back) == said(recorded) == ["~ column watchword_sessions.place: becomes required"]
    assert recorded.after == before


def test_what_nobody_wants_is_removed_when_asked():
    """With all that hangs on it, also when it was kept before."""
    before = wanted(PLUGIN)
    kept = between(before, wanted())
    steps = [
        "- column watchword_users.rank",
        "- column watchword_users.hat",
        "- table watchword_badges",
    ]

    at_once, later = between(before, wanted(), drop=True), between(kept.after, wanted(), drop=True)

    assert said(at_once) == said(later) == steps
    assert at_once.after == later.after == wanted()
    assert at_once.kept == ()


def test_a_column_is_removed_after_what_hangs_on_it():
    """Its index, its unique constraint and its reference."""
    friend = Field.reference("user", required=False)
    before = user(friend_id=friend, number=replace(NAME, unique=True))

    plan = between(before, wanted(), drop=True)

    assert [it.split()[1] for it in said(plan)] == [
        "foreign",
        "unique",
        "index",
        "column",
        "column",
    ]
    assert essences(changed(before, plan.changes)) == essences(wanted())


def test_tables_that_point_at_one_another_are_removed():
    """What points at a table that goes first is taken away before; and it can be undone."""
    circle = [
        Model("egg", {"hen_id": Field.reference("hen", required=False)}),
        Model("hen", {"egg_id": Field.reference("egg", required=False)}),
    ]
    before = wanted(Plugin(models=circle))

    plan = between(before, wanted(), drop=True)

    assert [it.split()[1] for it in said(plan)] == ["foreign", "table", "table"]
    there = changed(before, plan.changes)
    assert essences(there) == essences(wanted())
    assert essences(changed(there, plan.downgrade)) == essences(before)


def test_keys_of_what_is_kept_are_kept():
    """Values stay unique while nobody uses them, for when somebody does again."""
    before = user(
        number=replace(NAME, unique=True), friend_id=Field.reference("user", required=False)
    )

    plan = between(before, wanted())

    assert plan.changes == ()
    assert essences(plan.after) == essences(before)


# --- what is somebody else's --------------------------------------------------------------------


def with_theirs(snapshot: Snapshot) -> Snapshot:
    """Add what a DBA adds."""
    users = snapshot.tables["watchword_users"]
    column = ColumnState(name="crm_id", type="integer", nullable=True)
    users = replace(
        users,
        columns={**users.columns, "crm_id": column},
        indexes=(*users.indexes, Key("by_name", ("name",)), Key("by_crm", ("crm_id",))),
        uniques=(*users.uniques, Key("one_crm", ("crm_id",))),
        references=(
            *users.references,
            Reference("to_crm", "crm_id", "customers", "id", "cascade"),
        ),
    )
    return snapshot.with_tables([*snapshot.tables.values(), users])


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("is_recorded", [False, True])
def test_what_somebody_else_added_is_left_alone(drop, is_recorded):
    """Whether or not we know what we made ourselves."""
    recorded = wanted() if is_recorded else None

    plan = make_plan(with_theirs(wanted()), wanted(), recorded=recorded, drop=drop)

    assert (plan.changes, plan.kept, plan.conflicts) == ((), (), ())


def test_what_somebody_else_made_under_another_name_is_enough():
    """An index of the same columns is not made a second time."""
    before = badge(name=NAME, rank=NAME)
    table = before.tables["watchword_badges"]
    theirs = replace(
        table, indexes=(Key("theirs", ("name",)),), uniques=(Key("theirs_too", ("rank",)),)
    )
    there = before.with_tables([*before.tables.values(), theirs])
    indexed = badge(name=replace(NAME, index=True), rank=replace(NAME, unique=True))

    plan = make_plan(there, indexed, recorded=before)

    assert plan.changes == ()


def test_a_default_of_somebody_elses_is_left_alone():
    """But where the schema has one of its own."""
    there = badge(rank=replace(NAME, default="theirs"))

    plan = make_plan(there, badge(rank=NAME), recorded=badge(rank=NAME))
    ours = make_plan(there, badge(rank=replace(NAME, default="ours")), recorded=badge(rank=NAME))

    assert plan.changes == ()
    assert said(ours) == ["~ column watchword_badges.rank: default 'ours'"]


# --- chance --------------------------------------------------------------------------------------

CONSTANTS = st.one_of(st.none(), st.sampled_from(["", "it's", "100%", ':x "{}\\', "ü"]))
PLAIN_FIELDS = st.one_of(
    st.builds(
        Field,
        st.just("string"),
        required=st.booleans(),
        unique=st.booleans(),
        index=st.booleans(),
        default=CONSTANTS,
        max_length=st.sampled_from([None, 20, 80]),
    ),
    st.builds(
        Field, st.sampled_from(["integer", "bigint"]), default=st.sampled_from([None, 0, 7])
    ),
    st.builds(Field, st.just("boolean"), default=st.booleans()),
    st.builds(Field, st.just("datetime"), required=st.booleans(), default=st.just(NOW)),
)
REFERENCES = st.builds(
    Field.reference,
    st.sampled_from(["user", "badge"]),
    required=st.just(value=False),
    on_delete=st.sampled_from(["cascade", "set null", "restrict"]),
)
NAMES = st.sampled_from(["one", "two", "three", "four"])
FIELDS = st.dictionaries(NAMES, st.one_of(PLAIN_FIELDS, REFERENCES), max_size=4)
NAMINGS = st.builds(
    Naming,
    prefix=st.sampled_from(["watchword_", "x_"]),
    plural=st.booleans(),
    case=st.sampled_from(["snake", "camel"]),
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Some schema or other."""
    badge_fields, user_fields = draw(FIELDS), draw(FIELDS)
    plain = [name for name, it in badge_fields.items() if it.type != "id"]
    uniques = [Unique(*plain[:2])] if len(plain) > 1 and draw(st.booleans()) else []
    plugin = Plugin(
        models=[
            Model("badge", badge_fields, tuple(uniques)),
            *([Model("medal", {"badge_id": Field.reference("badge")})] * draw(st.booleans())),
        ],
        extends={"user": user_fields},
    )
    return wanted(plugin, naming=draw(NAMINGS))


@given(st.lists(st.tuples(snapshots(), st.booleans()), min_size=1, max_size=4))
@settings(max_examples=150)
def test_any_chain_of_schemas_is_walked(steps):
    """Each step can be made, leaves nothing to do, is what was told, and can be undone."""
    there, recorded = Snapshot(), None
    for wanted, drop in steps:
        plan = make_plan(there, wanted, recorded=recorded, drop=drop)
        if plan.conflicts:
            continue
        now = changed(there, plan.changes)

        assert essences(now) == essences(plan.after)
        again = make_plan(now, wanted, recorded=plan.after, drop=drop)
        assert (said(again), again.conflicts, again.kept) == ([], (), ())
        assert again.after == plan.after
        assert essences(changed(now, plan.downgrade)) == essences(without_values(there, plan))
        there, recorded = now, plan.after


def without_values(there: Snapshot, plan: Plan) -> Snapshot:
    """Return what was there, but that columns without their values may be null."""
    for it in plan.changes:
        if isinstance(it, DropColumn) and it.column.default is None:
            table = next(one for one in there.tables.values() if it.column in one.columns.values())
            columns = {**table.columns, it.column.name: replace(it.column, nullable=True)}
            tables = {**there.tables, table.name: replace(table, columns=columns)}
            there = replace(there, tables=tables)
    return there


@given(snapshots(), snapshots())
@settings(max_examples=100)
def test_a_run_that_was_broken_off_is_finished(first, second):
    """After any of the steps, the next run does what is left of them."""
    plan = between(first, second)
    if plan.conflicts:
        return
    there = first
    for change in plan.changes:
        there = changed(there, [change])

        rest = make_plan(there, second, recorded=first)

        assert essences(changed(there, rest.changes)) == essences(plan.after)


def test_renames_come_first_and_the_rest_follows_them():
    """A key of a renamed column is changed under the new name."""
    before = badge(name=NAME)
    after = badge(title=replace(NAME, index=True))

    plan = between(before, after, renames=Renames({"badge.name": "title"}))

    assert said(plan) == [
        "~ column watchword_badges.name becomes title",
        "+ index watchword_badges(title)",
    ]
