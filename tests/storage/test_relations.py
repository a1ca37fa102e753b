"""Which rows an include brings, and when that is no question with one answer."""

import pytest

from watchword.errors import ConfigurationError, UnknownField, UnknownModel
from watchword.schema import Field, Model, resolve_schema
from watchword.storage.query import Include
from watchword.storage.relations import require_relation

SCHEMA = resolve_schema(
    [
        Model("person", {"boss_id": Field.reference("person", required=False)}),
        Model("badge", {"person_id": Field.reference("person")}),
        Model(
            "letter",
            {"sender_id": Field.reference("person"), "reader_id": Field.reference("person")},
        ),
    ]
)


def relation(model: str, include: Include) -> tuple[str, str, str, bool]:
    """Return a relation as a tuple."""
    it = require_relation(SCHEMA, SCHEMA.models[model], include)
    return it.related.name, it.field, it.own_field, it.many


def test_a_reference_leads_to_one():
    """The row's field holds the other's id."""
    assert relation("badge", Include("person")) == ("person", "id", "person_id", False)


def test_being_referenced_leads_to_many():
    """The others' field holds the row's id."""
    assert relation("person", Include("badge")) == ("badge", "person_id", "id", True)


def test_a_model_that_points_at_itself_leads_to_one():
    """Upwards, not to all that point here."""
    assert relation("person", Include("person")) == ("person", "id", "boss_id", False)


def test_two_ways_need_a_name():
    """The refusal lists both and shows how one is named."""
    with pytest.raises(ConfigurationError, match="reader_id, sender_id") as refusal:
        relation("letter", Include("person"))

    assert 'through="reader_id"' in refusal.value.hint
    assert relation("letter", Include("person", through="sender_id"))[2] == "sender_id"
    assert relation("person", Include("letter", through="sender_id"))[1] == "sender_id"


def test_strangers_are_refused():
    """No such model, no such field, no relation at all."""
    with pytest.raises(UnknownModel):
        relation("badge", Include("ghost"))
    with pytest.raises(UnknownField):
        relation("badge", Include("letter"))
    with pytest.raises(UnknownField):
        relation("badge", Include("person", through="id"))
