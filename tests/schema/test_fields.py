"""Fields, models and schemas: what they refuse, and what they answer."""

import pytest

from watchword.errors import ConfigurationError, UnknownField, UnknownModel
from watchword.schema import CORE_MODELS, Field, FieldType, Index, Model, Schema, Unique
from watchword.schema.fields import STRING_CHARACTERS, TEXT_CHARACTERS

PASSKEY = Model(
    "passkey",
    {
        "user_id": Field.reference("user"),
        "credential_id": Field("string", unique=True),
        "device": Field("string"),
        "name": Field("string", required=False),
    },
    uniques=(Unique("user_id", "device"),),
    indexes=(Index("device", "name"),),
)

NOT_TEXT: tuple[FieldType, ...] = (
    *("id", "integer", "bigint", "boolean", "datetime", "json", "uuid", "bytes", "strings"),
)


@pytest.mark.parametrize("kind", NOT_TEXT)
@pytest.mark.parametrize("protection", ["sealed", "digest"])
def test_only_text_can_be_sealed_or_digested(kind: FieldType, protection: str) -> None:
    """A sealed number would no longer be a number; the developer hears of it at once."""
    with pytest.raises(ConfigurationError, match=f"A {kind} field cannot be sealed"):
        Field(kind, **{protection: True})


@pytest.mark.parametrize("kind", ["string", "text"])
@pytest.mark.parametrize("protection", ["sealed", "digest"])
def test_text_can_be_sealed_or_digested(kind: FieldType, protection: str) -> None:
    """Both kinds of text keep secrets."""
    field = Field(kind, **{protection: True})

    assert getattr(field, protection)


@pytest.mark.parametrize("lookup", ["unique", "index", "digest"])
def test_what_is_sealed_cannot_be_looked_up(lookup: str) -> None:
    """Each sealing differs, so an index on it would never find anything."""
    with pytest.raises(ConfigurationError, match="cannot be looked up"):
        Field("string", sealed=True, **{lookup: True})


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        (Field("string"), STRING_CHARACTERS),
        (Field("text"), TEXT_CHARACTERS),
        (Field("bytes"), TEXT_CHARACTERS),
        (Field("json"), TEXT_CHARACTERS),
        (Field("string", max_length=64), 64),
        (Field("text", max_length=64), 64),
    ],
)
def test_every_text_has_a_limit(field: Field, limit: int) -> None:
    """No value is unbounded; a field's own limit goes before its type's."""
    assert field.limit == limit


def test_a_reference_is_indexed_and_holds_an_id() -> None:
    """Deleting a person must not search whole tables for what was theirs."""
    reference = Field.reference("user", required=False, on_delete="set null")

    assert reference == Field(
        "id", required=False, index=True, references="user", on_delete="set null"
    )


def test_a_model_knows_what_names_at_most_one_row() -> None:
    """By id, by a unique field, or by several fields together."""
    assert PASSKEY.unique_keys == (("id",), ("credential_id",), ("user_id", "device"))


def test_a_model_knows_whom_it_points_at() -> None:
    """Only references are listed."""
    assert PASSKEY.references == {"user_id": "user"}


def test_an_extended_model_leaves_the_first_as_it_was() -> None:
    """Two applications in one process may enable different plugins."""
    extended = PASSKEY.extended({"backed_up": Field("boolean", default=False)})

    assert set(extended.fields) - set(PASSKEY.fields) == {"backed_up"}
    assert extended.uniques == PASSKEY.uniques
    assert extended.indexes == PASSKEY.indexes


def test_an_unknown_field_is_named() -> None:
    """A typo in a query is an error that says where and what."""
    with pytest.raises(UnknownField) as refusal:
        PASSKEY.require_field("devise")
    assert (refusal.value.model, refusal.value.field) == ("passkey", "devise")


def test_a_known_field_is_returned() -> None:
    """It is the field that the model was made with."""
    assert PASSKEY.require_field("device") is PASSKEY.fields["device"]


def test_an_unknown_model_is_named() -> None:
    """A plugin that is not enabled has no model."""
    with pytest.raises(UnknownModel) as refusal:
        Schema({"passkey": PASSKEY}).require_model("passkeys")
    assert refusal.value.model == "passkeys"


def test_a_known_model_is_returned() -> None:
    """It is found by its logical name."""
    assert Schema({"passkey": PASSKEY}).require_model("passkey") is PASSKEY


CORE_FIELDS = [
    pytest.param(field, id=f"{model.name}.{name}")
    for model in CORE_MODELS
    for name, field in model.fields.items()
]


@pytest.mark.parametrize("field", CORE_FIELDS)
def test_no_client_reads_or_sets_a_secret_of_the_core(field: Field) -> None:
    """What is sealed is never returned; neither that nor a digest is taken from a body."""
    if field.sealed:
        assert not field.returned
    if field.sealed or field.digest:
        assert not field.input


@pytest.mark.parametrize("field", CORE_FIELDS)
def test_the_core_s_references_go_with_their_person(field: Field) -> None:
    """No session and no account outlives its user, and finding them needs no scan."""
    if field.references:
        assert field.on_delete == "cascade"
        assert field.index


@pytest.mark.parametrize("model", CORE_MODELS, ids=lambda model: model.name)
def test_what_expires_is_purged_by_an_index(model: Model) -> None:
    """Removing old rows must not read the live ones."""
    if "expires_at" in model.fields:
        assert model.fields["expires_at"].index


@pytest.mark.parametrize("field", [{"type": "string", "index": True}, {"type": "datetime"}])
def test_rows_expire_by_an_instant_that_has_an_index(field):
    """Nothing else says when, or finds what has expired."""
    with pytest.raises(ConfigurationError, match="expire by an instant that has an index"):
        Field(**field, expiry=True)

    assert Field("datetime", index=True, expiry=True).expiry
