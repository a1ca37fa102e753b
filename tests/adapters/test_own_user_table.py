"""The application's own user table in the place of ours: everything works on it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Annotated, Any, ClassVar
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    NullPool,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    create_engine,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable, DropSchema

from watchword import (
    ChangeEmail,
    DatabaseHook,
    DeleteUser,
    EmailPassword,
    Field,
    Naming,
    Plugin,
    Request,
    UserOptions,
)
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.errors import ReferenceViolation, UniqueViolation
from watchword.integrations.fastapi import mount, require_user
from watchword.plugins.open_api import OpenAPI, openapi_document
from watchword.schema import Model
from watchword.storage.query import F, Include

NAMED = {
    "id": "username",
    "name": "full_name",
    "email": "mail_address",
    "email_verified": "is_confirmed",
    "image": "picture",
}
ADDRESS, PASSWORD = "ada@example.org", "difference-engine"
NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}


def numbered(metadata: MetaData) -> Table:
    """People by a number of the database's, under our own names."""
    return Table(
        "people",
        metadata,
        Column("id", Integer, primary_key=True),
        *_profile(),
    )


def numbered_widely(metadata: MetaData) -> Table:
    """By a wide number, which the database makes too, with camelCase names."""
    return Table(
        "people",
        metadata,
        Column("id", BigInteger().with_variant(Integer(), "sqlite"), Identity(), primary_key=True),
        Column("name", String(100), nullable=False),
        Column("email", String(120), nullable=False, unique=True),
        Column("emailVerified", Boolean, nullable=False),
        Column("image", Text),
        Column("createdAt", DateTime(timezone=True), nullable=False),
        Column("updatedAt", DateTime(timezone=True), nullable=False),
    )


def by_number_of_python(metadata: MetaData) -> Table:
    """By a number that SQLAlchemy makes."""
    numbers = count(7_000_000_000)
    key = Column(
        "id", BigInteger, primary_key=True, autoincrement=False, default=lambda: next(numbers)
    )
    return Table("people", metadata, key, *_profile())


def by_uuid(metadata: MetaData) -> Table:
    """By a UUID that SQLAlchemy makes."""
    return Table(
        "people", metadata, Column("id", Uuid, primary_key=True, default=uuid4), *_profile()
    )


def by_uuid_of_ours(metadata: MetaData) -> Table:
    """By a UUID that nobody makes but we."""
    return Table("people", metadata, Column("id", Uuid, primary_key=True), *_profile())


def by_text(metadata: MetaData) -> Table:
    """By a text that nobody makes but we."""
    return Table("people", metadata, Column("id", String(64), primary_key=True), *_profile())


def beside_a_number(metadata: MetaData) -> Table:
    """By a unique column that is not the primary key."""
    return Table(
        "people",
        metadata,
        Column("number", Integer, primary_key=True),
        Column("id", Uuid, nullable=False, unique=True),
        *_profile(),
    )


def _profile() -> list[Column[Any]]:
    return [
        Column("name", String(100), nullable=False),
        Column("email", String(120), nullable=False, unique=True),
        Column("email_verified", Boolean, nullable=False),
        Column("image", Text),
        Column("created_at", DateTime, nullable=False),  # without a zone
        Column("updated_at", DateTime, nullable=False),
    ]


TABLES = [
    numbered,
    numbered_widely,
    by_number_of_python,
    by_uuid,
    by_uuid_of_ours,
    by_text,
    beside_a_number,
]


def people(metadata: MetaData | None = None) -> Table:
    """A table whose key is the name that people choose."""
    return Table(
        "people",
        MetaData() if metadata is None else metadata,
        Column("username", String(40), primary_key=True),
        Column("full_name", String(100), nullable=False),
        Column("mail_address", String(120), nullable=False, unique=True),
        Column("is_confirmed", Boolean, nullable=False),
        Column("picture", Text),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False),
        Column("tier", String(10), nullable=False, server_default="free"),
        Column("karma", Integer, nullable=False, default=7),
    )


ALLOWED = {"delete_user": DeleteUser(), "change_email": ChangeEmail(unverified_at_once=True)}
CHOSEN = {"username": Field("string", max_length=40)}


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request) -> str:
    """A database of each kind, by its blocking driver."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def numbered_auth(own_auth, outbox, run):
    """An instance on a table that is named as ours is, with numbers for ids."""
    auth = own_auth(numbered(MetaData()), user=UserOptions(**ALLOWED), mail=outbox.append)
    run(auth.create_tables())
    return auth


@pytest.fixture
def named_auth(own_auth, outbox, run):
    """An instance on a table with other names, whose key is what people choose at sign-up."""
    options = UserOptions(additional_fields=CHOSEN, **ALLOWED)
    auth = own_auth(people(), fields=NAMED, user=options, mail=outbox.append)
    run(auth.create_tables())
    return auth


async def journey(ada, outbox, count_rows, sign_up):
    """Go through the endpoints; return Ada's id."""
    first = (await ada.sign_up(**sign_up)).json["user"]
    assert (await ada.session()).json["user"] == first
    assert (await ada.post("/update-user", {"name": "Ada King"})).status == 200
    assert len((await ada.get("/list-sessions")).json) == 1
    changed = {"newPassword": "analytical-engine", "currentPassword": PASSWORD}
    assert (await ada.post("/change-password", changed)).status == 200
    assert (await ada.post("/change-email", {"newEmail": "king@example.org"})).status == 200
    assert (await ada.post("/sign-out", {})).status == 200
    await ada.post("/request-password-reset", {"email": "king@example.org"})
    reset = {"token": outbox[-1].token, "newPassword": PASSWORD}
    assert (await ada.post("/reset-password", reset)).status == 200
    signed_in = await ada.sign_in(email="king@example.org")
    assert signed_in.json["user"]["name"] == "Ada King"
    assert signed_in.json["user"]["createdAt"] == first["createdAt"]
    accounts = (await ada.get("/list-accounts")).json
    assert [(it["userId"], it["accountId"]) for it in accounts] == [(first["id"], first["id"])]
    assert (await ada.post("/delete-user", {"password": PASSWORD})).status == 200
    assert await count_rows(ada.auth) == NOTHING
    return first["id"]


@pytest.mark.parametrize("make", TABLES, ids=lambda it: it.__name__)
async def test_the_whole_journey(make, own_auth, new_browser, outbox, count_rows):
    """Whatever its key is: sign up, look, change, reset, sign in, delete."""
    auth = own_auth(make(MetaData()), user=UserOptions(**ALLOWED), mail=outbox.append)
    await auth.create_tables()

    ada_id = await journey(new_browser(auth), outbox, count_rows, {})

    assert isinstance(ada_id, str)
    assert ada_id


async def test_the_whole_journey_by_a_chosen_number(own_auth, new_browser, outbox, count_rows):
    """What clients give as a number is a text everywhere else, as ids are."""
    key = Column("number", Integer, primary_key=True, autoincrement=False)
    options = UserOptions(additional_fields={"number": Field("integer")}, **ALLOWED)
    auth = own_auth(
        Table("people", MetaData(), key, *_profile()),
        fields={"id": "number"},
        user=options,
        mail=outbox.append,
    )
    await auth.create_tables()

    assert await journey(new_browser(auth), outbox, count_rows, {"number": 5}) == "5"


async def test_the_whole_journey_by_a_chosen_name(named_auth, new_browser, outbox, count_rows):
    """A key with another name and of another kind, which the sign-up gives."""
    browser = new_browser(named_auth)

    ada_id = await journey(browser, outbox, count_rows, {"username": "ada"})

    assert ada_id == "ada"


# --- mapped classes, their names and their further columns -----------------------------------


def new_app_user(metadata: MetaData | None = None) -> type[Any]:
    """Map a class as applications do; each call makes another one."""

    class Base(DeclarativeBase):
        pass

    if metadata is not None:
        Base.metadata = metadata

    class Company(Base):
        __tablename__ = "company"

        id: Mapped[int] = mapped_column(primary_key=True)

    class AppUser(Base):
        __tablename__ = "app_user"

        login: Mapped[str] = mapped_column("usr_login", String(40), primary_key=True)
        full_name: Mapped[str] = mapped_column("usr_name", String(50))
        email: Mapped[str] = mapped_column("usr_email", String(60), unique=True)
        emailVerified: Mapped[bool] = mapped_column("usr_verified")  # noqa: N815 - as on the wire
        image: Mapped[str | None] = mapped_column("usr_image", String(200))
        created_at: Mapped[datetime] = mapped_column("usr_created")
        updated_at: Mapped[datetime] = mapped_column("usr_updated")
        tier: Mapped[str] = mapped_column("usr_tier", String(10), server_default="free")
        karma: Mapped[int] = mapped_column("usr_karma", default=lambda: 7)
        last_seen: Mapped[datetime | None] = mapped_column("usr_seen", onupdate=func.now())
        nick: Mapped[str | None] = mapped_column("usr_nick", String(20))
        company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))

    return AppUser


BY_LOGIN = {"id": "login", "name": "full_name"}
LOGIN = {"login": Field("string", max_length=40)}
NICK = {"nick": Field("string", required=False)}


@pytest.fixture
def app_auth(own_auth, outbox, run):
    """An instance on a mapped class whose attributes and columns have different names."""

    def app_auth(fields=(), **settings):
        options = UserOptions(additional_fields={**LOGIN, **dict(fields)}, **ALLOWED)
        given = {"user": options, "mail": outbox.append, **settings}
        return own_auth(new_app_user(), fields=BY_LOGIN, **given)

    return app_auth


@pytest.fixture
def mapped_auth(app_auth, run):
    """An instance on that class, with its tables."""
    auth = app_auth(NICK)
    run(auth.create_tables())
    return auth


async def test_a_mapped_class(mapped_auth, new_browser, outbox, count_rows):
    """Attributes are found by their names, whatever their columns are called."""
    browser = new_browser(mapped_auth)

    assert await journey(browser, outbox, count_rows, {"login": "ada"}) == "ada"


async def test_further_columns_are_there_for_python_alone(mapped_auth, new_browser):
    """They are read and written as fields of the user, and stay out of answers and requests."""
    browser = new_browser(mapped_auth)

    stopped = await browser.sign_up(login="ada", tier="gold")
    answer = await browser.sign_up(login="ada", nick="Countess")
    identity = await mapped_auth.identify(request_of(browser))

    assert set(answer.json["user"]) == {
        *("id", "name", "email", "emailVerified", "image", "createdAt", "updatedAt", "nick"),
    }
    assert answer.json["user"]["nick"] == "Countess"
    assert identity.user.extra == {
        "tier": "free",
        "karma": 7,
        "nick": "Countess",
        "last_seen": None,
        "company_id": None,
    }
    refused = await browser.post("/update-user", {"tier": "gold"})
    assert stopped.refusal == refused.refusal == (400, "FIELD_NOT_ALLOWED")
    row = await mapped_auth.store.update("user", F.id == "ada", {"tier": "gold"})
    assert row["tier"] == "gold"
    assert row["last_seen"] is not None  # by SQLAlchemy's own onupdate


def request_of(browser):
    """Return a request of a browser to a route of the application's."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return Request(method="GET", path="/me", headers=(("cookie", cookie),))


async def test_a_name_that_is_the_id_is_given_once(mapped_auth, new_browser):
    """Sign-ups have to give it, nobody gets another's, and nobody changes it."""
    browser, eve = new_browser(mapped_auth), new_browser(mapped_auth)

    without = await browser.sign_up()
    empty = await browser.sign_up(login="")
    await browser.sign_up(login="ada")
    taken = await eve.sign_up(login="ada", email="eve@example.org")
    changed = await browser.post("/update-user", {"login": "eve"})

    assert without.refusal == (400, "MISSING_FIELD")
    assert empty.status == 400
    assert taken.refusal == (422, "FAILED_TO_CREATE_USER")
    assert changed.refusal == (400, "FIELD_NOT_ALLOWED")
    assert await mapped_auth.store.count("user") == 1


async def test_a_shorter_column_is_our_limit(mapped_auth, new_browser):
    """What does not fit is refused before a database cuts it or complains."""
    browser = new_browser(mapped_auth)

    answer = await browser.sign_up(login="ada", name="A" * 51)

    assert answer.status == 400
    assert (await browser.sign_up(login="ada", name="A" * 50)).status == 200


async def test_an_application_sees_its_users(mapped_auth, new_browser, engine):
    """The rows are those of its own table, as its own types read them."""
    await new_browser(mapped_auth).sign_up(login="ada")
    table = mapped_auth.adapter.tables.metadata.tables["app_user"]

    with engine.connect() as connection:
        row = connection.execute(select(table)).one()

    assert (row.usr_login, row.usr_email, row.usr_verified) == ("ada", ADDRESS, False)
    assert row.usr_created.isoformat(timespec="seconds") == "2026-05-17T12:00:00"


async def test_users_that_were_there_before(mapped_auth, new_browser, engine, cheap_passwords):
    """A row of the application's is a user of ours as soon as it has an account."""
    table = mapped_auth.adapter.tables.metadata.tables["app_user"]
    now = datetime(2020, 1, 1)  # noqa: DTZ001 - as the column keeps it
    values = ("ada", "Ada", ADDRESS, True, now, now)
    keys = ("login", "name", "email", "verified", "created", "updated")
    with engine.begin() as connection:
        given = {f"usr_{key}": it for key, it in zip(keys, values, strict=True)}
        connection.execute(insert(table).values(given))
    hashed = await cheap_passwords.hash(PASSWORD)
    account = {"user_id": "ada", "account_id": "ada", "provider_id": "credential"}
    await mapped_auth.store.create("account", {**account, "password": hashed})

    answer = await new_browser(mapped_auth).sign_in()

    assert answer.json["user"]["id"] == "ada"
    assert answer.json["user"]["createdAt"] == "2020-01-01T00:00:00.000Z"


def test_the_description_names_what_sign_ups_give(new_auth):
    """By the name that clients send it under, and not where it cannot be changed."""
    adapter = SQLAlchemyAdapter("sqlite://", user_model=people(), fields=NAMED)
    options = UserOptions(additional_fields=CHOSEN)
    auth = new_auth(adapter, user=options, plugins=[OpenAPI()])

    described = openapi_document(auth.instance)["components"]["schemas"]

    bodies = {name: it for name, it in described.items() if "username" in str(it)}
    assert list(bodies) == ["SignUpBody"]
    assert "username" in bodies["SignUpBody"]["required"]
    assert "id" not in bodies["SignUpBody"]["properties"]


class Aware(TypeDecorator[datetime]):
    """Instants as some applications keep them: without a zone, and never given without one."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value, _dialect):
        """Write UTC."""
        return value if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value, _dialect):
        """Read UTC."""
        return value if value is None else value.replace(tzinfo=UTC)


class Guid(TypeDecorator[UUID]):
    """UUIDs as some applications keep them: as text."""

    impl = CHAR(36)
    cache_ok = True
    python_type = UUID

    def process_bind_param(self, value, _dialect):
        """Write text."""
        return value if value is None else value.urn.removeprefix("urn:uuid:")

    def process_result_value(self, value, _dialect):
        """Read a UUID."""
        return value if value is None else UUID(value)


async def test_types_of_the_applications_own_making(own_auth, new_browser, outbox, count_rows):
    """Values pass through them, and are the same to us."""
    table = Table(
        "people",
        MetaData(),
        Column("id", Guid, primary_key=True, default=uuid4),
        *(it for it in _profile() if not it.name.endswith("_at")),
        Column("created_at", Aware, nullable=False),
        Column("updated_at", Aware, nullable=False),
    )
    auth = own_auth(table, user=UserOptions(**ALLOWED), mail=outbox.append)
    await auth.create_tables()

    ada_id = await journey(new_browser(auth), outbox, count_rows, {})

    assert UUID(ada_id).version == 4


class Reversed(TypeDecorator[str]):
    """Text as some applications encrypt it: the same each time, and whole values alone."""

    impl = String(200)
    cache_ok = True

    def process_bind_param(self, value, _dialect):
        """Write it backwards."""
        if value is None:
            return None
        if "%" in value:
            raise ValueError(value)
        return value[::-1]

    def process_result_value(self, value, _dialect):
        """Read it forwards."""
        return value if value is None else value[::-1]


@pytest.fixture
def reversed_auth(own_auth, outbox, run):
    """An instance on a table whose texts the application encrypts, ids among them."""
    texts = {"name": {}, "email": {"unique": True}, "id": {"primary_key": True}}
    table = Table(
        "people",
        MetaData(),
        *(Column(name, Reversed, nullable=False, **given) for name, given in texts.items()),
        *(it for it in _profile() if it.name not in texts),
    )
    auth = own_auth(table, user=UserOptions(**ALLOWED), mail=outbox.append)
    run(auth.create_tables())
    return auth


async def test_texts_that_the_application_encrypts(reversed_auth, new_browser, outbox, count_rows):
    """Everything works, also what points at them."""
    assert await journey(new_browser(reversed_auth), outbox, count_rows, {})


MATCHING = {
    "equal": F.email == ADDRESS,
    "equal to no key": F.name == "Ada",
    "one of": F.email.in_(["eve@example.org", ADDRESS]),
    "none of": F.email.not_in(["eve@example.org"]),
    "different": F.email != "eve@example.org",
    "not different": ~(F.email != ADDRESS),
}


async def test_encrypted_texts_are_found_by_all_ways(reversed_auth):
    """Whatever the statement, it compares what was encrypted."""
    users, store = reversed_auth.users, reversed_auth.store
    for name, where in MATCHING.items():
        ada = await users.create(email=ADDRESS, name="Ada")

        found = await store.find_one("user", where)
        many = await store.find_many("user", where)
        counted = await store.count("user", where)
        async with reversed_auth.transaction():
            locked = await store.find_one("user", where, lock=True)
        changed = await store.update("user", where, {"image": "x"})
        gone = await store.delete_many("user", where)

        assert found == locked == many[0], name
        assert found["id"] == changed["id"] == ada.id, name
        assert (counted, gone) == (1, 1), name


async def test_encrypted_texts_do_not_match_others(reversed_auth):
    """Neither what differs, nor what the database keeps."""
    await reversed_auth.users.create(email=ADDRESS, name="Ada")

    for where in (F.email == ADDRESS[::-1], F.email != ADDRESS, F.email.in_(["", "Ada"])):
        assert await reversed_auth.store.count("user", where) == 0


async def test_a_part_is_compared_with_what_the_database_keeps(reversed_auth):
    """The application's type, which is for whole values, is not given a pattern."""
    await reversed_auth.users.create(email=ADDRESS, name="Ada")

    assert await reversed_auth.store.count("user", F.name.contains("dA")) == 1
    assert await reversed_auth.store.count("user", F.name.starts_with("adA")) == 1
    assert await reversed_auth.store.count("user", F.name.ieq("Ada")) == 1
    assert await reversed_auth.store.count("user", F.name.contains("%")) == 0


# --- ids -----------------------------------------------------------------------------------


async def test_an_unknown_address_is_not_told_from_a_known_one(own_auth, new_browser, clock):
    """Not by ids that SQLAlchemy makes, nor by instants that a column cuts."""
    hiding = EmailPassword(auto_sign_in=False)
    auth = own_auth(by_uuid(MetaData()), email_password=hiding)
    clock.advance(microseconds=123_456)
    await auth.create_tables()

    answers = [await new_browser(auth).sign_up() for _ in range(2)]

    first, second = (it.json["user"] for it in answers)
    assert UUID(first["id"]).version == UUID(second["id"]).version == 4  # as SQLAlchemy's are
    assert first["id"] != second["id"]
    assert {**first, "id": ""} == {**second, "id": ""}
    assert await auth.store.count("user") == 1


def named_alike(user):
    """Give the id as a hook: made of what the client sent."""
    return {"id": user["name"].lower()}


@pytest.mark.parametrize("hidden", [{"hide_existing_users": True}, {"auto_sign_in": False}])
@pytest.mark.parametrize("source", ["client", "hook"])
async def test_attack_a_taken_name_tells_known_addresses(own_auth, new_browser, hidden, source):
    """Whoever gives the id: a taken one is refused for known and unknown addresses alike."""
    settings = {
        "client": {"user": UserOptions(additional_fields=CHOSEN)},
        "hook": {
            "database_hooks": [DatabaseHook(model="user", operation="create", before=named_alike)]
        },
    }[source]
    options = EmailPassword(**hidden)
    auth = own_auth(people(), fields=NAMED, email_password=options, **settings)
    await auth.create_tables()

    async def sign_up(name, email):
        given = {"username": name} if source == "client" else {"name": name}
        return await new_browser(auth).sign_up(email=email, **given)

    await sign_up("ada", "ada@example.org")
    await sign_up("eve", "eve@example.org")
    known, own, unknown = [
        await sign_up(name, email)
        for name, email in [
            ("eve", "ada@example.org"),
            ("ada", "ada@example.org"),
            ("eve", "nobody@example.org"),
        ]
    ]
    free = [await sign_up("free", it) for it in ("ada@example.org", "nobody@example.org")]

    assert [it.refusal for it in (known, own, unknown)] == [(422, "FAILED_TO_CREATE_USER")] * 3
    assert [(it.status, it.json["user"]["id"]) for it in free] == [(200, "free")] * 2
    assert await auth.store.count("user") == 3


async def test_a_hook_gives_ids(own_auth, new_browser):
    """A key that is a name may come from a hook instead of the sign-up."""
    hook = DatabaseHook(
        model="user",
        operation="create",
        before=lambda user: {"id": user["email"].partition("@")[0]},
    )
    auth = own_auth(people(), fields=NAMED, database_hooks=[hook])
    await auth.create_tables()

    answer = await new_browser(auth).sign_up()

    assert answer.json["user"]["id"] == "ada"


async def test_ids_of_the_other_models_stay_as_chosen(own_auth, new_browser):
    """Sessions have UUIDs beside users that have numbers."""
    auth = own_auth(numbered(MetaData()))
    await auth.create_tables()
    browser = new_browser(auth)

    await browser.sign_up()
    session = (await browser.session()).json["session"]

    assert session["userId"] == "1"
    assert len(session["id"]) == 36


# --- one metadata, two owners ----------------------------------------------------------------


async def test_our_tables_join_the_applications_metadata(own_auth, engine):
    """Foreign keys point from ours to theirs there, whatever the key is called."""
    table = people()
    auth = own_auth(table, fields=NAMED, new_id=lambda: "somebody")

    await auth.create_tables()

    assert auth.adapter.tables.metadata is table.metadata
    [key] = table.metadata.tables["watchword_sessions"].foreign_keys
    assert key.column is table.c.username
    [there] = inspect(engine).get_foreign_keys("watchword_sessions")
    assert there["referred_table"] == "people"
    assert there["referred_columns"] == ["username"]
    assert there["options"].get("ondelete") == "CASCADE"


def test_conventions_of_their_metadata_name_nothing_of_ours(new_auth):
    """Constraints are called as the naming says, for migrations to find them again."""
    conventions = {kind: f"theirs_{kind}_%(constraint_name)s" for kind in ("ix", "uq", "fk")}
    metadata = MetaData(naming_convention=conventions)
    columns = [it for it in _profile() if it.name != "email"]
    table = Table(
        "people",
        metadata,
        Column("id", Uuid),
        Column("email", String(120), nullable=False),
        *columns,
        PrimaryKeyConstraint("id", name="key"),
        UniqueConstraint("email", name="once"),
    )

    new_auth(SQLAlchemyAdapter("sqlite://", user_model=table))

    sessions = metadata.tables["watchword_sessions"]
    written = [CreateTable(sessions), *map(CreateIndex, sessions.indexes)]
    assert not any("theirs" in str(it.compile()) for it in written)
    assert len(written) > 1


async def test_two_instances_on_one_class(own_auth, new_browser, new_auth):
    """The second finds the tables of the first, or brings its own state of them."""
    auth = own_auth(by_text(MetaData()))
    await auth.create_tables()
    metadata = auth.adapter.tables.metadata
    ours = metadata.tables["watchword_sessions"]

    again = new_auth(SQLAlchemyAdapter("sqlite://", user_model=metadata.tables["people"]))
    same = metadata.tables["watchword_sessions"] is ours
    another = new_auth(
        SQLAlchemyAdapter("sqlite://", user_model=metadata.tables["people"]),
        naming=Naming(columns={"session.token": "hash"}),
    )

    assert same
    assert again.adapter.tables.metadata is another.adapter.tables.metadata is metadata
    assert "hash" in {it.name for it in metadata.tables["watchword_sessions"].columns}
    await new_browser(auth).sign_up()  # the first still works as it was made
    assert await auth.store.count("session") == 1


async def test_nothing_of_ours_makes_or_changes_their_tables(own_auth, engine, database):
    """Neither their user table nor others of their metadata."""
    table = by_text(MetaData())
    auth = own_auth(table)
    before = inspect(engine).get_columns("people")
    Table("orders", table.metadata, Column("id", Integer, primary_key=True))

    await auth.create_tables()

    assert repr(inspect(engine).get_columns("people")) == repr(before)
    assert not inspect(engine).has_table("orders")
    assert inspect(engine).has_table("watchword_sessions")


async def test_migrations_know_whose_table_it_is(own_auth, new_browser, engine):
    """They make ours, which point at theirs, and find nothing to do for a second time."""
    auth = own_auth(numbered(MetaData()))
    before = repr(inspect(engine).get_columns("people"))

    await auth.migrate()
    again = await auth.migrate()
    await new_browser(auth).sign_up()

    assert not again.changes
    assert repr(inspect(engine).get_columns("people")) == before
    [key] = inspect(engine).get_foreign_keys("watchword_accounts")
    assert (key["referred_table"], key["referred_columns"]) == ("people", ["id"])


async def test_deleting_a_user_whom_others_point_at(own_auth, new_browser, engine, count_rows):
    """If rows of the application's forbid it, it is refused as a whole."""
    metadata = MetaData()
    table = numbered(metadata)
    orders = Table(
        "orders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("person_id", ForeignKey(table.c.id), nullable=False),
    )
    auth = own_auth(table, user=UserOptions(**ALLOWED))
    await auth.create_tables()
    browser = new_browser(auth)
    user = (await browser.sign_up()).json["user"]
    with engine.begin() as connection:
        connection.execute(insert(orders).values(person_id=int(user["id"])))
    before = await count_rows(auth)

    answer = await browser.post("/delete-user", {"password": PASSWORD})

    assert answer.refusal == (409, "FAILED_TO_DELETE_USER")
    assert await count_rows(auth) == before
    assert (await browser.session()).json["user"] == user


# --- what the application's code gets --------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """What an application shows of a user."""

    handle: str
    tier: str


async def test_the_applications_own_type(own_auth, new_browser):
    """Python gets what the mapper makes; clients get what they always got."""
    auth = own_auth(
        people(),
        fields=NAMED,
        user_mapper=lambda user: Person(user.id, user.extra["tier"]),
        user=UserOptions(additional_fields=CHOSEN),
    )
    await auth.create_tables()
    browser = new_browser(auth)
    answer = await browser.sign_up(username="ada")

    identity = await auth.identify(request_of(browser))

    assert identity.user == Person("ada", "free")
    assert identity.session.user_id == "ada"
    assert answer.json["user"]["email"] == ADDRESS
    assert (await browser.session()).json["user"] == answer.json["user"]


# --- text that is called equal ------------------------------------------------------------------


async def test_an_address_is_itself_alone(own_auth, new_browser):
    """A collation that calls two addresses equal signs nobody in as another."""
    auth = own_auth(numbered(MetaData()))
    await auth.create_tables()
    await new_browser(auth).sign_up(email="jose@example.org")

    answer = await new_browser(auth).sign_in(email="josé@example.org")
    found = await auth.store.find_many("user", F.email.in_(["josé@example.org"]))
    others = await auth.store.find_many("user", F.email != "josé@example.org")

    assert answer.status in {400, 401}
    assert found == []
    assert len(others) == 1


async def test_a_key_of_another_collation(own_auth, new_browser, engine, count_rows):
    """Ours point at a text as it is in the database, which nobody declared."""
    table = by_text(MetaData())
    auth = own_auth(table)
    if engine.dialect.name == "mysql":
        with engine.begin() as connection:
            to = "CONVERT TO CHARACTER SET latin1 COLLATE latin1_german1_ci"
            connection.exec_driver_sql(f"ALTER TABLE people {to}")
    await auth.create_tables()

    await new_browser(auth).sign_up()

    assert (await count_rows(auth))["session"] == 1
    assert (await new_browser(auth).sign_in()).status == 200


async def test_each_of_many_whatever_comes_first_there(own_auth, new_browser):
    """Rows that are gone through by their ids are all met, in whatever order they are kept."""
    seen = []
    hook = DatabaseHook(model="user", operation="update", after=seen.append)
    options = UserOptions(additional_fields=CHOSEN)
    auth = own_auth(people(), fields=NAMED, user=options, database_hooks=[hook])
    await auth.create_tables()
    for name in ("a", "B", "c"):
        await new_browser(auth).sign_up(username=name, email=f"{name}@example.org")

    changed = await auth.store.update_many("user", None, {"name": "Somebody"})

    assert changed == 3
    assert {it["id"] for it in seen} == {"a", "B", "c"}


# --- plugins ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Notes(Plugin):
    """Adds a model that points at users, and a field to them."""

    id = "notes"
    models = (
        Model("note", {"author_id": Field.reference("user"), "text": Field("text")}),
        Model(
            "pin",
            {"user_id": Field.reference("user", required=False, on_delete="set null")},
        ),
    )
    extends: ClassVar = {"user": {"pen_name": Field("string", unique=True, max_length=20)}}


def people_with_pens() -> Table:
    """A table with the column that the plugin wants, under another name."""
    table = numbered(MetaData())
    table.append_column(Column("pen", String(20), nullable=False))
    table.append_constraint(UniqueConstraint("pen", name="one_pen"))
    return table


@pytest.fixture
def notes_auth(own_auth, run):
    """An instance with that plugin."""
    auth = own_auth(people_with_pens(), fields={"pen_name": "pen"}, plugins=[Notes()])
    run(auth.create_tables())
    return auth


async def test_models_of_plugins_point_at_their_table(notes_auth, new_browser, count_rows):
    """They go with the user, or let go of it."""
    await new_browser(notes_auth).sign_up(penName="ada")
    store = notes_auth.store
    user = await store.find_one("user", F.email == ADDRESS, include=[Include("note")])
    await store.create("note", {"author_id": user["id"], "text": "G"})
    await store.create("pin", {"user_id": user["id"]})
    found = await store.find_one("user", F.email == ADDRESS, include=[Include("note")])

    await store.delete("user", F.id == user["id"])

    assert [it["text"] for it in found["note"]] == ["G"]
    assert await store.count("note") == 0
    assert (await store.find_one("pin", F.user_id.is_null())) is not None
    assert await count_rows(notes_auth) == NOTHING
    with pytest.raises(ReferenceViolation):
        await store.create("note", {"author_id": user["id"], "text": "lost"})


async def test_which_value_is_taken(notes_auth, new_browser):
    """Whatever their constraints are called, an error names our fields."""
    await new_browser(notes_auth).sign_up(penName="ada")
    row = await notes_auth.store.find_one("user", F.email == ADDRESS)
    again = {name: it for name, it in row.items() if name != "id"}

    with pytest.raises(UniqueViolation) as of_the_address:
        await notes_auth.store.create("user", {**again, "pen_name": "eve"})
    with pytest.raises(UniqueViolation) as of_the_pen:
        await notes_auth.store.create("user", {**again, "email": "eve@example.org"})

    assert of_the_address.value.fields == ("email",)
    assert of_the_pen.value.fields == ("pen_name",)


async def test_racing_for_one_name(named_auth, new_browser, race):
    """A name that is the key goes to one of those who sign up with it."""
    numbers = count()

    async def sign_up():
        return await new_browser(named_auth).sign_up(
            username="ada", email=f"ada{next(numbers)}@example.org"
        )

    answers = await race(8, sign_up)

    assert sorted(it.status for it in answers) == [200, *[422] * 7]
    assert await named_auth.store.count("user") == await named_auth.store.count("account") == 1


# --- database schemas ------------------------------------------------------------------------


@pytest.mark.parametrize("schemas", [("crm", None), (None, "auth"), ("crm", "auth")])
async def test_tables_in_different_schemas(
    schemas, postgresql_database, new_auth, new_browser, watchword_mode
):
    """Their table stands where it is, ours where the naming says."""
    theirs, ours = schemas
    url = make_url(postgresql_database)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for name in filter(None, (theirs, ours)):
            connection.execute(DropSchema(name, cascade=True, if_exists=True))
            connection.execute(CreateSchema(name))
    table = by_uuid(MetaData(schema=theirs))
    table.metadata.drop_all(engine)
    table.metadata.create_all(engine)
    if watchword_mode.name == "loop":
        url = url.set(drivername="postgresql+asyncpg")
    adapter = SQLAlchemyAdapter(url, user_model=table)
    auth = new_auth(adapter, naming=Naming(schema=ours, prefix="ww_"))
    await auth.create_tables()
    browser = new_browser(auth)

    await browser.sign_up()

    assert (await browser.session()).json["user"]["email"] == ADDRESS
    assert inspect(engine).has_table("ww_sessions", schema=ours)
    [key] = inspect(engine).get_foreign_keys("ww_sessions", schema=ours)
    assert (key["referred_schema"], key["referred_table"]) == (theirs, "people")
    await auth.close()
    table.metadata.drop_all(engine)


async def test_ids_of_the_database_that_are_no_numbers(
    postgresql_database, new_auth, new_browser, watchword_mode
):
    """A default of the column's gives what the answer shows, whatever makes our other ids."""
    engine = create_engine(postgresql_database, poolclass=NullPool)
    key = Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid())
    table = Table("people", MetaData(), key, *_profile())
    table.metadata.drop_all(engine)
    table.metadata.create_all(engine)
    url = make_url(postgresql_database)
    if watchword_mode.name == "loop":
        url = url.set(drivername="postgresql+asyncpg")
    adapter = SQLAlchemyAdapter(url, user_model=table)
    auth = new_auth(adapter, new_id=lambda: str(uuid4()).replace("-4", "-5", 1))
    await auth.create_tables()

    user = (await new_browser(auth).sign_up()).json["user"]

    assert UUID(user["id"]).version == 4
    assert (await auth.store.find_one("account", F.user_id == user["id"])) is not None
    await auth.close()
    table.metadata.drop_all(engine)


@pytest.mark.needs_loop
async def test_a_framework_gives_the_applications_own_type(own_auth, new_browser):
    """Whoever asks for the user in a route gets what the mapper makes."""
    auth = own_auth(
        people(),
        fields=NAMED,
        user_mapper=lambda user: Person(user.id, user.extra["tier"]),
        user=UserOptions(additional_fields=CHOSEN),
    )
    await auth.create_tables()
    app = FastAPI()
    mount(app, auth)

    @app.get("/me")
    async def me(person: Annotated[Person, Depends(require_user)]) -> str:
        return f"{person.handle}, {person.tier}"

    browser = new_browser(auth)
    await browser.sign_up(username="ada")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        cookie = dict(request_of(browser).headers)
        answer = await client.get("/me", headers=cookie)

    assert answer.json() == "ada, free"
