"""What a user table of the application's lacks is said at the start, all of it at once."""

import enum
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from watchword import ConfigurationError, DatabaseHook, EmailPassword, Field, Plugin, UserOptions
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.schema import CORE_MODELS, Model, Unique, resolve_schema

PROFILE = {
    "id": lambda: Column("id", Uuid, primary_key=True),
    "name": lambda: Column("name", String(100), nullable=False),
    "email": lambda: Column("email", String(120), nullable=False, unique=True),
    "email_verified": lambda: Column("email_verified", Boolean, nullable=False),
    "image": lambda: Column("image", Text),
    "created_at": lambda: Column("created_at", DateTime, nullable=False),
    "updated_at": lambda: Column("updated_at", DateTime, nullable=False),
}


def people(*more: Any, **columns: Any) -> Table:
    """A table that could keep users, with other columns than some of its own, or without."""
    made = [columns[name] if name in columns else make() for name, make in PROFILE.items()]
    return Table("people", MetaData(), *filter(lambda it: it is not None, made), *more)


@dataclass(frozen=True, kw_only=True)
class Badges(Plugin):
    """Wants fields of users."""

    id = "badges"
    extends: ClassVar = {
        "user": {"badge": Field("string", unique=True, required=False, max_length=9)}
    }


@pytest.fixture
def refusal(new_auth):
    """Return what is said about a table, line by line, without the hint."""

    def refusal(table: Any, *, fields=None, **settings: Any) -> list[str]:
        with pytest.raises(ConfigurationError) as refusal:
            new_auth(SQLAlchemyAdapter("sqlite://", user_model=table, fields=fields), **settings)
        return [it.removeprefix("  - ") for it in refusal.value.message.splitlines()]

    return refusal


@pytest.fixture
def accepted(new_auth):
    """Return the user model of an instance on a table."""

    def accepted(table: Any, *, fields=None, **settings: Any) -> Model:
        adapter = SQLAlchemyAdapter("sqlite://", user_model=table, fields=fields)
        return new_auth(adapter, **settings).schema.require_model("user")

    return accepted


def test_everything_is_said_at_once(refusal):
    """Each column with who wants it; nobody starts five times to hear of five."""
    table = people(
        Column("badge", String(9)),
        Column("tier", Integer, nullable=False),
        id=Column("number", Integer, primary_key=True),
        name=None,
        email=Column("email", Integer, nullable=False),
        image=Column("image", Text, nullable=False),
        created_at=Column("created_at", Date, nullable=False),
    )

    said = refusal(table, plugins=[Badges()])

    assert said == [
        "The table people cannot keep users:",
        'id (for core): there is no such column; is it fields={"id": "number"}?',
        "name (for core): there is no such column",
        "email (for core): the column email is Integer(), which keeps no string",
        "email (for core): nothing keeps the column email unique",
        "image (for core): the column image is NOT NULL, but users may have none",
        "created_at (for core): the column created_at is Date(), which keeps no datetime",
        "badge (for badges): nothing keeps the column badge unique",
        "the column tier is NOT NULL, and nothing gives it a value",
    ]


def test_the_hint_names_both_cures(new_auth):
    """A column may be missing, or have another name."""
    with pytest.raises(ConfigurationError) as refusal:
        new_auth(SQLAlchemyAdapter("sqlite://", user_model=people(name=None)))

    assert refusal.value.hint.startswith("Add the columns, or say which they are: fields={")
    assert "additional_fields" in refusal.value.hint


@pytest.mark.parametrize(
    ("lacking", "example"),
    [
        (("name",), 'fields={"name": "…"}'),
        (("name", "image"), 'fields={"name": "…", "image": "…"}'),
    ],
)
def test_the_hint_names_what_is_missing(new_auth, lacking, example):
    """So that it can be copied, and the names be filled in."""
    table = people(**dict.fromkeys(lacking))

    with pytest.raises(ConfigurationError) as refusal:
        new_auth(SQLAlchemyAdapter("sqlite://", user_model=table))

    assert f"say which they are: {example}. " in refusal.value.hint


def test_the_hint_leaves_out_what_would_mend_nothing(new_auth):
    """Every field has its column, so none is to be named."""
    table = people(email=Column("email", Integer, nullable=False))

    with pytest.raises(ConfigurationError) as refusal:
        new_auth(SQLAlchemyAdapter("sqlite://", user_model=table))

    assert refusal.value.hint.startswith("Change the columns")
    assert "fields={" not in refusal.value.hint


@pytest.mark.parametrize("model", [5, str, "people", MetaData()])
def test_what_is_no_table(model):
    """A class that is mapped to none, or no class at all."""
    with pytest.raises(ConfigurationError, match="neither a class that is mapped"):
        SQLAlchemyAdapter("sqlite://", user_model=model)


def test_names_that_lead_nowhere(refusal):
    """Mistakes in `fields` are told apart."""
    fields = {"nickname": "name", "name": "full_name"}

    said = refusal(people(), fields=fields)

    assert said[1:4] == [
        "fields names 'nickname', which no user has",
        "fields names 'full_name', which is no column",
        "name (for core): there is no such column",
    ]


def test_two_fields_in_one_column(refusal):
    """One of them would overwrite the other."""
    said = refusal(people(image=None), fields={"image": "name"})

    assert "name and image are both the column name" in said


# --- keys ------------------------------------------------------------------------------------


def test_a_name_as_the_id_needs_somebody_who_gives_it(refusal, accepted):
    """We fill no column that is not called `id`: it may be what people are known by."""
    table, fields = people(id=Column("username", String(40), primary_key=True)), {"id": "username"}
    hook = DatabaseHook(model="user", operation="create", before=lambda user: None)
    given = UserOptions(additional_fields={"username": Field("string")})

    assert refusal(table, fields=fields)[1:] == [
        "id (for core): the column username is given its value by nothing"
    ]
    assert accepted(table, fields=fields, user=given).key_name == "username"
    assert accepted(table, fields=fields, database_hooks=[hook]).fields["id"].max_length == 40
    assert not accepted(table, fields=fields, new_id=lambda: "me").fields["id"].input


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Column("id", LargeBinary(16), primary_key=True), "which no id is"),
        (Column("id", Boolean, primary_key=True), "which no id is"),
        (Column("id", String(40), unique=True), "may be null, or is not unique"),
        (Column("id", String(40), nullable=False), "may be null, or is not unique"),
        (Column("id", String(20), primary_key=True), "is given its value by nothing"),
        (
            Column("id", Integer, primary_key=True, autoincrement=False),
            "is given its value by nothing",
        ),
    ],
)
def test_what_cannot_be_an_id(key, said, refusal):
    """It has to be there once for each row, of a kind that is written as text."""
    lines = refusal(people(id=key))

    assert any(it.startswith("id (for core)") and it.endswith(said) for it in lines)


def test_a_plugin_that_changes_the_id(refusal):
    """Its field is the key of all that points at a user."""
    table = people(id=Column("badge", String(9), primary_key=True))

    said = refusal(table, fields={"id": "badge"}, plugins=[Badges()])

    assert "badge (for badges): the column badge is the id, and an id never changes" in said


@pytest.mark.parametrize(
    "key", [Column("id", Integer, Identity(), primary_key=True), None], ids=["numbers", "default"]
)
def test_ids_of_the_database_tell_known_addresses(key, new_auth):
    """Nobody can invent what a database would have given."""
    default = Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid())
    adapter = SQLAlchemyAdapter("sqlite://", user_model=people(id=default if key is None else key))

    with pytest.raises(ConfigurationError, match="tells whether the address was known"):
        new_auth(adapter, email_password=EmailPassword(auto_sign_in=False))


# --- uniqueness ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unique",
    [
        UniqueConstraint("email"),
        Index("email_once", "email", unique=True),
        Index("email_once", func.lower(text("email")), unique=True),
    ],
    ids=["constraint", "index", "lower case"],
)
def test_what_keeps_addresses_unique(unique, accepted):
    """A constraint or a unique index, also on a form of the address."""
    email = Column("email", String(120), nullable=False)
    table = people(email=email)
    if unique.name and "lower" in str(unique.expressions[0]):
        unique = Index("email_once", func.lower(email), unique=True)
    table.append_constraint(unique)

    assert accepted(table).fields["email"].unique


@pytest.mark.parametrize(
    "unique",
    [
        lambda email: UniqueConstraint("email", "name"),
        lambda email: Index("email_once", email),
        lambda email: Index("email_once", email, unique=True, sqlite_where=text("email_verified")),
        lambda email: CheckConstraint("email <> ''"),
    ],
    ids=["with another", "plain index", "of some", "check"],
)
def test_what_does_not(unique, refusal):
    """Addresses that are unique among some rows, or together with more, are not."""
    email = Column("email", String(120), nullable=False)
    table = people(email=email)
    table.append_constraint(unique(email))

    assert refusal(table)[1:] == ["email (for core): nothing keeps the column email unique"]


def test_what_a_plugin_keeps_unique_together(new_auth):
    """Several fields at once are asked for like single ones."""
    models = [
        Model(it.name, it.fields, uniques=(Unique("name", "image"),)) if it.name == "user" else it
        for it in CORE_MODELS
    ]
    adapter = SQLAlchemyAdapter("sqlite://", user_model=people())

    with pytest.raises(ConfigurationError, match="nothing keeps name, image together unique"):
        resolve_schema(models, own=adapter.own_tables(hooked=False, makes_ids=False))


# --- columns that nobody asked for -----------------------------------------------------------


class Tier(enum.Enum):
    """What somebody pays."""

    FREE = "free"
    GOLD = "gold"


class Money(TypeDecorator[int]):
    """A type of the application's own."""

    impl = Integer
    cache_ok = True


def test_types_that_we_have_none_for(accepted, refusal):
    """Such a column is left to the application, if a row can do without it."""
    optional = people(
        Column("tier", Enum(Tier), nullable=False, default=Tier.FREE),
        Column("balance", Money),
        Column("1st", Integer),
    )
    required = people(Column("tier", Enum(Tier), nullable=False))
    hook = DatabaseHook(model="user", operation="create", before=lambda user: None)

    assert not {"tier", "balance", "1st"} & set(accepted(optional).fields)
    lacking = "the column tier is NOT NULL, and nothing gives it a value"
    assert refusal(required)[1:] == [lacking]
    assert refusal(required, database_hooks=[hook])[1:] == [lacking]


def test_a_required_column_may_be_filled_by_a_hook_or_a_field(accepted):
    """Either gives it its value; the first is not for clients."""
    hook = DatabaseHook(model="user", operation="create", before=lambda user: {"tier": 1})
    declared = UserOptions(additional_fields={"tier": Field("integer", default=1, input=False)})

    hooked = accepted(people(Column("tier", Integer, nullable=False)), database_hooks=[hook])
    asked = accepted(people(Column("tier", Integer, nullable=False)), user=declared)

    assert not hooked.fields["tier"].input
    assert not hooked.fields["tier"].returned
    assert asked.fields["tier"].returned


def test_a_default_that_an_answer_cannot_know(refusal, accepted):
    """What is returned of a user who signs up must be the same if nobody was written."""

    def plan() -> Column[Any]:
        return Column("plan", String(9), nullable=False, server_default="free")

    unknown = UserOptions(additional_fields={"plan": Field("string", input=False)})
    known = UserOptions(additional_fields={"plan": Field("string", input=False, default="free")})

    [said] = refusal(people(plan()), user=unknown)[1:]

    assert said.startswith("plan (for the application): the column plan has a default that")
    assert accepted(people(plan()), user=known).fields["plan"].max_length == 9


def test_a_computed_column_is_read_alone(refusal, accepted):
    """What the database computes nobody writes."""

    def computed() -> Column[Any]:
        return Column("shout", Text, Computed("upper(name)"))

    wanted = UserOptions(additional_fields={"shout": Field("text", required=False)})

    assert "shout" in accepted(people(computed())).fields
    said = refusal(people(computed()), user=wanted)
    assert (
        "shout (for the application): the column shout is computed and cannot be written" in said
    )


def test_a_class_that_inherits_its_columns(refusal):
    """What stands in another class's table is not in its own."""

    class Base(DeclarativeBase):
        pass

    class Party(Base):
        __tablename__ = "party"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class Person(Party):
        __tablename__ = "person"

        id: Mapped[int] = mapped_column(ForeignKey("party.id"), primary_key=True)
        email: Mapped[str] = mapped_column(unique=True)

    said = refusal(Person)

    assert said[0] == "The table person cannot keep users:"
    assert "name (for core): there is no such column" in said
    assert not any(it.startswith("email (for") for it in said)


# --- elsewhere -------------------------------------------------------------------------------


def test_a_table_of_theirs_with_a_name_of_ours(new_auth):
    """One of the two would be lost."""
    table = people()
    Table("watchword_sessions", table.metadata, Column("id", Integer, primary_key=True))

    with pytest.raises(ConfigurationError, match="has a table 'watchword_sessions' already"):
        new_auth(SQLAlchemyAdapter("sqlite://", user_model=table))


def test_a_schema_that_does_not_know_the_table():
    """It would write to a table of ours that is not there."""
    adapter = SQLAlchemyAdapter("sqlite://", user_model=people())

    with pytest.raises(ConfigurationError, match="resolved without the application's own"):
        adapter.bind(resolve_schema(CORE_MODELS))


async def test_a_user_table_that_is_not_there(new_auth, sqlite_database, watchword_mode):
    """Ours are not made without it, and it is said whose it is."""
    driver = "sqlite+aiosqlite" if watchword_mode.name == "loop" else "sqlite"
    url = sqlite_database.replace("sqlite", driver, 1)
    auth = new_auth(SQLAlchemyAdapter(url, user_model=people()))

    with pytest.raises(ConfigurationError, match="There is no table people") as refusal:
        await auth.create_tables()

    assert "It is the application's" in refusal.value.hint
    await auth.close()
