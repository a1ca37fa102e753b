"""One schema from the core and its plugins; every conflict is told at start-up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import ConfigurationError
from watchword.schema import (
    CORE_MODELS,
    Field,
    IdType,
    Index,
    Model,
    Naming,
    Unique,
    resolve_schema,
)
from watchword.schema.naming import NAME_CHARACTERS


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin says about the schema."""

    id: str = "badges"
    models: Sequence[Model] = ()
    extends: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)


def badge(
    fields: Mapping[str, Field] | None = None,
    *,
    name: str = "badge",
    uniques: tuple[Unique, ...] = (),
    indexes: tuple[Index, ...] = (),
) -> Plugin:
    """A plugin with one model."""
    return Plugin(models=[Model(name, fields or {}, uniques, indexes)])


def user_with(plugin: str, **fields: Field) -> Plugin:
    """A plugin that adds fields to the user."""
    return Plugin(id=plugin, extends={"user": fields})


LONG = Field("string", max_length=700)
NAME = Field("string")

# What is wrong, the plugins that do it, and what the message has to name.
CONFLICTS = {
    "a model of the core": ([badge(name="user")], ["core", "badges", "'user'"]),
    "a model of another plugin": (
        [badge(), Plugin(id="medals", models=[Model("badge", {})])],
        ["badges", "medals", "'badge'"],
    ),
    "a field of the core": ([user_with("badges", email=NAME)], ["core", "badges", "user.email"]),
    "a field of another plugin": (
        [user_with("badges", rank=NAME), user_with("medals", rank=Field("integer"))],
        ["badges", "medals", "user.rank"],
    ),
    "a field that differs by a flag": (
        [user_with("badges", rank=NAME), user_with("medals", rank=Field("string", input=False))],
        ["badges", "medals", "user.rank"],
    ),
    "an extension of nothing": (
        [Plugin(extends={"team": {"rank": NAME}})],
        ["badges", "'team'"],
    ),
    "an id of its own": ([badge({"id": NAME})], ["badges", "badge.id"]),
    "an id for another's model": (
        [Plugin(id="medals", extends={"user": {"id": NAME}})],
        ["medals", "user.id"],
    ),
    "a reference to nothing": (
        [badge({"team_id": Field.reference("team")})],
        ["badges", "badge.team_id", "'team'"],
    ),
    "a reference of another type": (
        [badge({"user_id": Field("bigint", index=True, references="user")})],
        ["badges", "badge.user_id", "bigint", "user.id", "uuid"],
    ),
    "a required reference set to null": (
        [badge({"user_id": Field.reference("user", on_delete="set null")})],
        ["badges", "badge.user_id"],
    ),
    "one wire name for two fields": (
        [user_with("badges", line_1=NAME), user_with("medals", line1=NAME)],
        ["user.line_1 of badges", "user.line1 of medals", "'line1'"],
    ),
    "a camelCase field": ([user_with("badges", rankName=NAME)], ["badges", "'rankName'"]),
    "a field with two underscores": ([user_with("badges", a__b=NAME)], ["badges", "'a__b'"]),
    "a model with a capital": ([badge(name="Badge")], ["badges", "'Badge'"]),
    "a name that ends in a newline": ([badge(name="badge\n")], ["badges", "'badge\\n'"]),
    "an index by nothing": ([badge(indexes=(Index(),))], ["badges", "badge", "nothing"]),
    "an index by an unknown field": (
        [badge({"name": NAME}, indexes=(Index("name", "rank"),))],
        ["badges", "badge", "name, rank"],
    ),
    "a unique key by an unknown field": (
        [badge({"name": NAME}, uniques=(Unique("rank"),))],
        ["badges", "badge", "rank"],
    ),
    "an index by a text": (
        [badge({"story": Field("text", index=True)})],
        ["badges", "badge", "story"],
    ),
    "a unique json": ([badge({"story": Field("json", unique=True)})], ["badge", "story"]),
    "an index longer than InnoDB's": (
        [badge({"a": LONG, "b": LONG}, indexes=(Index("a", "b"),))],
        ["badges", "badge", "a, b", "768"],
    ),
    "one key said twice": (
        [badge({"name": Field("string", unique=True)}, uniques=(Unique("name"),))],
        ["unique key name of badge", "uq_watchword_badges_name"],
    ),
    "two keys of one name": (
        [
            badge(
                {"a": NAME, "b_c": NAME, "a_b": NAME, "c": NAME},
                indexes=(Index("a", "b_c"), Index("a_b", "c")),
            )
        ],
        ["index a, b_c of badge", "index a_b, c of badge"],
    ),
    "a reserved column": ([badge({"rowid": NAME})], ["badges", "badge.rowid", "'rowid'"]),
    "a name too long for PostgreSQL": (
        [badge({"x" * (NAME_CHARACTERS + 1): NAME})],
        ["badges", "badge.xxx", str(NAME_CHARACTERS)],
    ),
}


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_a_conflict_between_plugins_names_both_sides(conflict: str) -> None:
    """Whoever enables a second plugin reads which two disagree, about what, and a way out."""
    plugins, named = CONFLICTS[conflict]

    with pytest.raises(ConfigurationError) as refusal:
        resolve_schema(CORE_MODELS, plugins)

    assert [it for it in named if it not in refusal.value.message] == []
    assert refusal.value.hint


NAMINGS = {
    "one table for two models": (
        Naming(tables={"session": "users", "user": "users"}),
        ["model user", "model session", "'users'"],
    ),
    "tables that differ by case": (
        Naming(tables={"session": "users", "user": "Users"}),
        ["model user", "model session"],
    ),
    "one column for two fields": (
        Naming(columns={"user.name": "email"}),
        ["user.name", "user.email", "'email'"],
    ),
    "a reserved table": (Naming(prefix="sqlite_"), ["model user of core", "'sqlite_users'"]),
    "a reserved table in capitals": (Naming(prefix="PG_"), ["model user of core", "'PG_users'"]),
    "an empty table": (Naming(tables={"user": ""}), ["model user of core", "''"]),
    "a prefix that is too long": (Naming(prefix="x" * 60), ["model user of core"]),
    "a name of too many bytes": (Naming(tables={"user": "ü" * 40}), ["model user of core"]),
    "a schema for one table of ours": (Naming(schemas={"user": "people"}), ["user", "schema"]),
    "the same schema for one": (Naming(schema="x", schemas={"session": "x"}), ["session"]),
    "none for one": (Naming(schema="x", schemas={"session": None}), ["session"]),
}


@pytest.mark.parametrize("conflict", NAMINGS)
def test_a_naming_that_cannot_be_is_refused(conflict: str) -> None:
    """A database would refuse it half-way through making the tables, or mix two up."""
    naming, named = NAMINGS[conflict]

    with pytest.raises(ConfigurationError) as refusal:
        resolve_schema(CORE_MODELS, naming=naming)

    assert [it for it in named if it not in refusal.value.message] == []


@pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
@pytest.mark.parametrize("naming", [Naming(), Naming.wire()], ids=["default", "wire"])
def test_the_core_alone_is_without_conflict(ids: IdType, naming: Naming) -> None:
    """Every kind of id and both ready-made namings work from the start."""
    schema = resolve_schema(CORE_MODELS, naming=naming, ids=ids)

    assert list(schema.models) == [model.name for model in CORE_MODELS]
    assert set(schema.owners.values()) == {"core"}


@pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
def test_references_take_the_type_that_ids_have(ids: IdType) -> None:
    """A foreign key and its target are of one type, or no database would join them."""
    schema = resolve_schema(CORE_MODELS, ids=ids)

    key = schema.models["user"].fields["id"]
    reference = schema.models["session"].fields["user_id"]

    assert (reference.type, reference.limit) == (key.type, key.limit)
    assert reference.references == "user"
    assert not reference.generated


def test_a_field_that_two_plugins_define_alike_is_one_field() -> None:
    """They share it; the first one owns it."""
    rank = Field("integer", default=0)

    schema = resolve_schema(
        CORE_MODELS, [user_with("badges", rank=rank), user_with("medals", rank=rank)]
    )

    assert schema.models["user"].fields["rank"] == rank
    assert schema.owners["user.rank"] == "badges"


def test_a_plugin_may_extend_what_a_later_one_defines() -> None:
    """The order in which plugins are listed means nothing."""
    extending = Plugin(id="medals", extends={"badge": {"rank": Field("integer")}})

    before = resolve_schema(CORE_MODELS, [extending, badge()])
    after = resolve_schema(CORE_MODELS, [badge(), extending])

    assert before.models == after.models
    assert before.owners == after.owners
    assert before.owners["badge.rank"] == "medals"


def test_resolving_leaves_the_core_as_it_was() -> None:
    """A second instance in the same process does not see the first one's plugins."""
    resolve_schema(CORE_MODELS, [user_with("badges", rank=Field("integer"))])

    assert "rank" not in resolve_schema(CORE_MODELS).models["user"].fields


WORDS = st.sampled_from(["a", "b", "ab", "user", "users", "session", "key", "keys", "x1", "1"])
LOGICAL = st.lists(WORDS, min_size=1, max_size=3).map("_".join)
FIELDS = st.builds(
    Field,
    st.sampled_from(["string", "integer", "text", "uuid"]),
    unique=st.booleans(),
    index=st.booleans(),
)
MODELS = st.builds(Model, LOGICAL, st.dictionaries(LOGICAL, FIELDS, max_size=4))
PLUGINS = st.builds(
    Plugin,
    id=st.sampled_from(["badges", "medals", "crowns"]),
    models=st.lists(MODELS, max_size=2),
    extends=st.dictionaries(LOGICAL, st.dictionaries(LOGICAL, FIELDS, max_size=2), max_size=1),
)
CASES = st.builds(
    Naming,
    plural=st.booleans(),
    case=st.sampled_from(["snake", "camel"]),
    prefix=st.sampled_from(["", "watchword_"]),
)


@given(st.lists(PLUGINS, max_size=3), CASES)
def test_what_is_not_refused_has_a_name_for_everything(
    plugins: list[Plugin], naming: Naming
) -> None:
    """A schema that resolves never meets a database that says "exists already"."""
    try:
        schema = resolve_schema(CORE_MODELS, plugins, naming=naming)
    except ConfigurationError:
        return

    tables = [naming.table(name).lower() for name in schema.models]
    constraints = [
        make(model.name, fields).lower()
        for model in schema.models.values()
        for make, keys in (
            (naming.unique, [(n,) for n, it in model.fields.items() if it.unique]),
            (naming.index, [(n,) for n, it in model.fields.items() if it.index]),
        )
        for fields in keys
    ]

    assert len(set(tables)) == len(tables)
    assert len(set(constraints)) == len(constraints)
    for model in schema.models.values():
        columns = [naming.column(model.name, name).lower() for name in model.fields]
        assert len(set(columns)) == len(columns)
