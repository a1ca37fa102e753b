"""A schema as a file keeps it: nothing is lost, and a difference shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.schema import (
    CORE_MODELS,
    NOW,
    Field,
    IdType,
    Index,
    Model,
    Naming,
    Schema,
    Unique,
    resolve_schema,
)
from watchword.schema.snapshot import FORMAT, Snapshot, TableState, snapshot_of


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """What a plugin says about the schema."""

    id: str = "badges"
    models: Sequence[Model] = ()
    extends: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)


TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "it's", '"""', "100% :x", "{y}\\n", "\n\t\0", "🔑"])
)
COMMENTS = st.one_of(st.none(), TEXTS)
FIELDS = st.one_of(
    st.builds(
        Field,
        st.just("string"),
        required=st.booleans(),
        unique=st.booleans(),
        default=st.one_of(st.none(), TEXTS),
        max_length=st.sampled_from([None, 1, 200]),
        comment=COMMENTS,
    ),
    st.builds(Field, st.just("text"), default=st.one_of(st.none(), TEXTS), comment=COMMENTS),
    st.builds(Field, st.sampled_from(["integer", "bigint"]), default=st.integers(-9, 2**40)),
    st.builds(Field, st.just("boolean"), default=st.sampled_from([None, True, False])),
    st.builds(Field, st.just("datetime"), index=st.booleans(), default=st.just(NOW)),
    st.builds(Field, st.sampled_from(["json", "strings", "bytes", "uuid"])),
    st.builds(
        Field.reference,
        st.sampled_from(["user", "badge", "medal"]),
        required=st.just(value=False),
        on_delete=st.sampled_from(["cascade", "set null", "restrict"]),
    ),
)
MANY = st.dictionaries(st.sampled_from(["one", "two_words", "three", "user"]), FIELDS)
NAMINGS = st.builds(
    Naming,
    prefix=st.sampled_from(["watchword_", "", 'a "b" ', "it's 100% "]),
    schema=st.sampled_from([None, "auth"]),
    plural=st.booleans(),
    case=st.sampled_from(["snake", "camel"]),
    columns=st.sampled_from([{}, {"user.name": "full name"}, {"badge.id": "select"}]),
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Some schema or other."""
    badge = draw(MANY)
    short = [name for name, it in badge.items() if it.type in {"integer", "boolean", "datetime"}]
    pair = short[:2] if len(short) > 1 else []
    models = [
        Model(
            "badge",
            badge,
            uniques=(Unique(*pair),) if pair and draw(st.booleans()) else (),
            indexes=(Index(*pair),) if pair and draw(st.booleans()) else (),
            comment=draw(COMMENTS),
        ),
        Model("medal", draw(MANY)),
    ]
    plugin = Plugin(models=models, extends={"user": draw(MANY)})
    ids: IdType = draw(st.sampled_from(["uuid", "string", "bigint"]))
    return resolve_schema(CORE_MODELS, [plugin], naming=draw(NAMINGS), ids=ids)


@given(schemas())
def test_what_is_written_is_read_again(schema):
    """By way of a file, whatever defaults, comments and names hold."""
    snapshot = Snapshot.of(schema)

    read = Snapshot.from_json(json.loads(json.dumps(snapshot_of(schema))))

    assert read == snapshot
    assert list(read.tables) == list(snapshot.tables)
    assert read.fingerprint == snapshot.fingerprint
    columns = [it for table in read.tables.values() for it in table.columns.values()]
    written = [it for table in snapshot.tables.values() for it in table.columns.values()]
    assert [repr(it) for it in columns] == [repr(it) for it in written]


@given(schemas())
def test_a_retired_table_is_read_again(schema):
    """What is kept though nobody wants it is known as that."""
    snapshot = Snapshot.of(schema)
    tables = [replace(it, retired=True) for it in snapshot.tables.values()]

    read = Snapshot.from_json(snapshot.with_tables(tables).to_json())

    assert all(it.retired for it in read.tables.values())
    assert read.fingerprint != snapshot.fingerprint


@given(schemas())
def test_everything_of_the_schema_is_in_it(schema):
    """Each model, field, unique key, index and reference, by its name in the database."""
    snapshot, naming = Snapshot.of(schema), schema.naming

    for model in schema.models.values():
        table = snapshot.tables[naming.table(model.name)]
        assert {it.field for it in table.columns.values()} == set(model.fields)
        assert {it.name for it in table.uniques} == {
            naming.unique(model.name, it) for it in model.unique_keys[1:]
        }
        assert {it.name for it in table.indexes} == {
            naming.index(model.name, it) for it in model.index_keys
        }
        assert {(it.column, it.table) for it in table.references} == {
            (naming.column(model.name, name), naming.table(target))
            for name, target in model.references.items()
        }


@given(schemas())
def test_a_table_stands_behind_those_that_it_points_at(schema):
    """But where they point at one another."""
    tables = list(Snapshot.of(schema).tables.values())
    behind = {it.name: {one.name for one in tables[: n + 1]} for n, it in enumerate(tables)}

    for table in tables:
        for reference in table.references:
            is_circular = any(leads_to(it.name, it.name, tables) for it in tables)
            assert reference.table in behind[table.name] or is_circular


def leads_to(start: str, end: str, tables: list[TableState]) -> bool:
    """Tell whether references lead from one table to another."""
    by_name = {it.name: it for it in tables}
    found, waiting = set(), {start}
    while waiting:
        found |= waiting
        targets = {it.table for name in waiting for it in by_name[name].references}
        if end in targets - waiting:
            return True
        waiting = targets - found
    return False


# --- what shows in the fingerprint ------------------------------------------------------------

NAME = Field("string", max_length=80)


def badge(
    *, owner: str = "badges", uniques=(), indexes=(), comment=None, naming=None, **fields: Any
) -> Snapshot:
    """Return the core's tables and one more."""
    plugin = Plugin(id=owner, models=[Model("badge", fields, uniques, indexes, comment)])
    return Snapshot.of(resolve_schema(CORE_MODELS, [plugin], naming=naming))


POINTER = Field.reference("user", required=False)
DIFFERENT = {
    "another field": badge(name=NAME, rank=NAME),
    "another name": badge(title=NAME),
    "another type": badge(name=Field("text")),
    "another length": badge(name=replace(NAME, max_length=81)),
    "optional": badge(name=replace(NAME, required=False)),
    "a default": badge(name=replace(NAME, default="")),
    "another default": badge(name=replace(NAME, default="1")),
    "unique": badge(name=replace(NAME, unique=True)),
    "indexed": badge(name=replace(NAME, index=True)),
    "two unique together": badge(name=NAME, rank=NAME, uniques=(Unique("name", "rank"),)),
    "two unique the other way": badge(name=NAME, rank=NAME, uniques=(Unique("rank", "name"),)),
    "two indexed together": badge(name=NAME, rank=NAME, indexes=(Index("name", "rank"),)),
    "a reference": badge(name=NAME, user_id=POINTER),
    "no reference": badge(name=NAME, user_id=Field("uuid", required=False, index=True)),
    "another reference": badge(name=NAME, user_id=replace(POINTER, references="session")),
    "another end of it": badge(name=NAME, user_id=replace(POINTER, on_delete="set null")),
    "another prefix": badge(name=NAME, naming=Naming(prefix="x_")),
    "a schema": badge(name=NAME, naming=Naming(schema="auth")),
    "a number": badge(name=Field("integer", default=1)),
    "a truth": badge(name=Field("boolean", default=True)),
    "an instant": badge(name=Field("datetime")),
    "the clock": badge(name=Field("datetime", default=NOW)),
}


def test_each_difference_shows():
    """No two of them have one fingerprint."""
    every = {"as it was": badge(name=NAME), **DIFFERENT}

    fingerprints = {it.fingerprint for it in every.values()}

    assert len(fingerprints) == len(every)


@pytest.mark.parametrize(
    "same",
    [
        badge(name=NAME),
        badge(name=replace(NAME, comment="A name")),
        badge(name=NAME, comment="What people wear"),
        badge(name=NAME, owner="medals"),
        badge(name=replace(NAME, returned=False, input=False, pii=True)),
    ],
)
def test_what_no_database_has_to_change_for_does_not_show(same):
    """Comments, who wants a column, and what is done with it in Python."""
    assert same.fingerprint == badge(name=NAME).fingerprint


def test_the_order_of_fields_does_not_show():
    """A plugin that is enabled before another one changes nothing."""
    first, second = badge(name=NAME, rank=NAME), badge(rank=NAME, name=NAME)

    assert first.fingerprint == second.fingerprint


def test_a_table_of_the_applications_own_is_not_in_it():
    """It is not ours to make; what points at it is."""
    schema = resolve_schema(CORE_MODELS)
    models = {**schema.models, "user": replace(schema.models["user"], ours=False)}

    snapshot = Snapshot.of(replace(schema, models=models))

    assert "watchword_users" not in snapshot.tables
    [reference] = snapshot.tables["watchword_sessions"].references
    assert reference.table == "watchword_users"


# --- what cannot be read -----------------------------------------------------------------------


@pytest.mark.parametrize("written_by", [FORMAT + 1, "1", None, 1.5])
def test_another_format_is_refused(written_by):
    """Rather than read as something that it is not."""
    written = {**badge(name=NAME).to_json(), "format": written_by}

    with pytest.raises(ValueError, match="is not known"):
        Snapshot.from_json(written)


@pytest.mark.parametrize(
    "spoiled",
    [
        {},
        {"format": FORMAT},
        {"format": FORMAT, "core": 1, "schema": None, "tables": [{"name": "x"}]},
        {"format": FORMAT, "core": 1, "schema": None, "tables": [{"name": 1, "columns": []}]},
        {
            "format": FORMAT,
            "core": 1,
            "schema": None,
            "tables": [{"name": "x", "columns": [{"name": "y", "type": "colour"}]}],
        },
    ],
)
def test_what_is_none_is_refused(spoiled):
    """With an error that its readers expect."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        Snapshot.from_json(spoiled)
