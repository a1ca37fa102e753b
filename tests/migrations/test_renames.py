"""What has another name: asked for, or by another naming; never guessed, never done twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from watchword.errors import ConfigurationError
from watchword.migrations import Renames
from watchword.migrations.changes import RenameColumn, RenameTable
from watchword.migrations.plan import Plan, make_plan
from watchword.migrations.renames import renamed
from watchword.schema import CORE_MODELS, Field, Model, Naming, resolve_schema
from watchword.schema.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin says about the schema."""

    id: str = "badges"
    models: Sequence[Model] = ()
    extends: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)


NAME = Field("string", required=False)
CORE = Snapshot.of(resolve_schema(CORE_MODELS))


def user(**fields: Field) -> Snapshot:
    """Return the core's tables, with more fields of users."""
    return Snapshot.of(resolve_schema(CORE_MODELS, [Plugin(extends={"user": fields})]))


def with_model(name: str, /, **fields: Field) -> Snapshot:
    """Return the core's tables and one more."""
    return Snapshot.of(resolve_schema(CORE_MODELS, [Plugin(models=[Model(name, fields)])]))


def between(before: Snapshot, after: Snapshot, *asked: str, **options) -> Plan:
    """Return what leads from what we made to what is wanted."""
    options = {"recorded": before, "renames": Renames.read(asked), **options}
    return make_plan(before, after, **options)


def said(plan: Plan) -> list[str]:
    """Return the changes as people read them."""
    return [f"{it.sign} {it}" for it in plan.changes]


# --- asked for --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        "user.full_name:shown_name",
        "user.fullName:shownName",
        "user.full_name:user.shown_name",
        "user.fullName:user.shownName",
    ],
)
def test_a_field_is_renamed_when_asked(asked):
    """By its name in Python or on the wire."""
    plan = between(user(full_name=NAME), user(shown_name=NAME), asked)

    assert said(plan) == ["~ column watchword_users.full_name becomes shown_name"]
    assert plan.kept == ()
    assert plan.after == user(shown_name=NAME)


def test_nothing_is_guessed():
    """One column that is gone and one that is new are not the same, however alike."""
    plan = between(user(full_name=NAME), user(shown_name=NAME))

    assert said(plan) == ["+ column watchword_users.shown_name"]
    assert plan.kept == ("column watchword_users.full_name",)


def test_a_model_is_renamed_when_asked():
    """With its keys, which are called after it, and all that points at it."""
    fields = {"user_id": Field.reference("user"), "secret": replace(NAME, unique=True)}
    before, after = with_model("two_factor", **fields), with_model("second_factor", **fields)

    plan = between(before, after, "twoFactor:second_factor")

    first, *keys = plan.changes
    assert first == RenameTable(
        "watchword_two_factors",
        "watchword_second_factors",
        ("pk_watchword_two_factors", "pk_watchword_second_factors"),
    )
    assert sorted(f"{it.sign} {type(it).__name__}" for it in keys) == [
        "+ AddIndex",
        "+ AddReference",
        "+ AddUnique",
        "- DropIndex",
        "- DropReference",
        "- DropUnique",
    ]
    assert plan.after == after


def test_a_model_and_its_field_are_renamed_together():
    """The field is that of the new model."""
    before, after = with_model("badge", name=NAME), with_model("medal", title=NAME)

    plan = between(before, after, "badge:medal", "medal.name:title")

    assert said(plan) == [
        "~ table watchword_badges becomes watchword_medals",
        "~ column watchword_medals.name becomes title",
    ]
    assert plan.after == after


def test_a_renamed_field_can_be_changed_at_once():
    """First it gets its name, then the rest."""
    after = user(title=Field("string", default="none", index=True))

    plan = between(user(name_tag=NAME), after, "user.nameTag:title")

    assert said(plan) == [
        "~ column watchword_users.name_tag becomes title",
        "~ column watchword_users.title: becomes required, default 'none'",
        "+ index watchword_users(title)",
    ]


def test_a_rename_is_done_once():
    """Asked for again, or by a process that came later, it is no error and does nothing."""
    done = user(shown_name=NAME)

    again = between(done, done, "user.full_name:shown_name")
    half_done = between(done, done, "user.full_name:shown_name", recorded=user(full_name=NAME))
    table = with_model("medal", name=NAME)
    half_a_table = between(table, table, "badge:medal", recorded=with_model("badge", name=NAME))

    assert (again.changes, half_done.changes, half_a_table.changes) == ((), (), ())
    assert (again.kept, half_done.kept, half_a_table.kept) == ((), (), ())


def test_keys_of_a_table_that_is_renamed_already_follow():
    """Broken off behind the first step, the next run knows the keys by their old names."""
    fields = {"user_id": Field.reference("user"), "name": replace(NAME, unique=True)}
    before, after = with_model("badge", **fields), with_model("medal", **fields)
    whole = between(before, after, "badge:medal")
    there = renamed(before, whole.changes[:1])

    rest = make_plan(there, after, recorded=before, renames=Renames({"badge": "medal"}))

    assert rest.changes == whole.changes[1:]


@pytest.mark.parametrize(
    "asked",
    [
        "user.nick:shown_name",
        "user.full_name:nick",
        "person.full_name:shown_name",
        "person:human",
        "user:human",
    ],
)
def test_a_rename_of_nothing_is_an_error(asked):
    """Or to nothing; it names both, and where names are found."""
    with pytest.raises(ConfigurationError) as refusal:
        between(user(full_name=NAME), user(shown_name=NAME), asked)

    old, _, new = asked.partition(":")
    assert f"{old} cannot become {new}" in refusal.value.message
    assert "watchword schema" in refusal.value.hint


def test_renames_are_no_error_where_nothing_was_made_yet():
    """An application may ask for its own at every start, also of a new database."""
    plan = make_plan(
        Snapshot(),
        with_model("medal", title=NAME),
        renames=Renames.read(["badge:medal", "medal.name:title"]),
    )
    later = between(CORE, with_model("medal", title=NAME), "medal.name:title")

    assert "table watchword_medals" in [str(it) for it in plan.changes]
    assert not any(isinstance(it, RenameTable | RenameColumn) for it in plan.changes)
    assert [str(it) for it in later.changes] == ["table watchword_medals"]


def test_a_rename_of_an_earlier_run_may_name_nothing():
    """What was asked before the schema changed again is in nobody's way; the rest is done."""
    earlier = {"user.nick": "shown_name", "person": "human", "user.full_name": "shown_name"}

    plan = between(user(full_name=NAME), user(shown_name=NAME), renames=Renames(earlier=earlier))

    assert said(plan) == ["~ column watchword_users.full_name becomes shown_name"]


@pytest.mark.parametrize("written", ["", "user", "user:", ":name", "a.b.c:d"])
def test_what_is_not_written_like_a_rename_is_an_error(written):
    """It says how to write one."""
    with pytest.raises(ConfigurationError, match="is no rename") as refusal:
        Renames.read([written])

    assert "--rename user.name:fullName" in refusal.value.hint


def test_two_columns_are_a_conflict():
    """Which one holds the values is not ours to decide."""
    before = user(full_name=NAME)
    there = user(full_name=NAME, shown_name=NAME)

    plan = between(there, user(shown_name=NAME), "user.full_name:shown_name", recorded=before)

    [conflict] = plan.conflicts
    assert "column watchword_users.full_name should become shown_name" in conflict
    assert "there are both" in conflict


def test_two_tables_are_a_conflict():
    """The same of tables."""
    before, after = with_model("badge", name=NAME), with_model("medal", name=NAME)
    there = before.with_tables([*before.tables.values(), after.tables["watchword_medals"]])

    plan = between(there, after, "badge:medal", recorded=before)

    [conflict] = plan.conflicts
    assert "table watchword_badges should become watchword_medals" in conflict


# --- another naming ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "naming",
    [
        Naming(prefix="x_"),
        Naming(case="camel"),
        Naming(plural=False),
        Naming.wire(),
        Naming(tables={"user": "people"}, columns={"user.id": "key", "session.user_id": "whose"}),
    ],
)
def test_another_naming_renames_and_makes_nothing(naming):
    """Tables, columns and keys get their new names; no value is lost, and back it goes too."""
    after = Snapshot.of(resolve_schema(CORE_MODELS, naming=naming))

    plan, back = between(CORE, after), between(after, CORE)

    for it, end in ((plan, after), (back, CORE)):
        assert it.conflicts == ()
        assert it.kept == ()
        assert it.after == end
        signs = {one.sign for one in it.changes if "Table" in type(one).__name__}
        assert signs <= {"~"}
        assert not any("AddColumn" in type(one).__name__ for one in it.changes)
    assert any(isinstance(it, RenameTable | RenameColumn) for it in plan.changes)


def test_what_somebody_else_made_follows_under_its_own_name():
    """A renamed column stays in the indexes of others."""
    before = user(full_name=NAME)
    changes = between(before, user(shown_name=NAME), "user.full_name:shown_name").changes
    users = before.tables["watchword_users"]
    key = replace(users.uniques[0], name="theirs", columns=("full_name", "email"))
    there = before.with_tables([*before.tables.values(), replace(users, indexes=(key,))])

    [index] = renamed(there, changes).tables["watchword_users"].indexes

    assert (index.name, index.columns) == ("theirs", ("shown_name", "email"))
