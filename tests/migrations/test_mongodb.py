"""Migrations of MongoDB: documents, validators and indexes follow the schema."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from bson.binary import Binary
from pymongo import MongoClient, monitoring
from pymongo.errors import DuplicateKeyError, WriteError
from pymongo.synchronous.database import Database

from watchword import UserOptions
from watchword.adapters.mongodb import MongoDBAdapter
from watchword.clock import utc_now
from watchword.concurrency import run_blocking
from watchword.errors import (
    ConfigurationError,
    MigrationFailed,
    MigrationRefused,
    StorageUnavailable,
)
from watchword.migrations import Aim, Renames, migrator_for
from watchword.migrations.mongodb import steps
from watchword.migrations.mongodb.history import LEASE
from watchword.migrations.start import check_tables
from watchword.schema import CORE_MODELS, Field, Naming, resolve_schema
from watchword.storage.query import F, Increment

VERSIONS: Final = "watchword_migrations"
CORE: Final = resolve_schema(CORE_MODELS)
LAST: Final = Binary.from_uuid(UUID(int=2**128 - 1))
PATIENCE: Final = 30


@dataclass(frozen=True)
class Place:
    """A database that is emptied, filled, changed and looked at."""

    database: Database[Any]

    def adapter(self, schema: Any) -> MongoDBAdapter:
        """Return one of a schema."""
        adapter = MongoDBAdapter(self.database)
        adapter.bind(schema)
        return adapter

    def migrator(self, schema: Any) -> Any:
        """Return what migrates."""
        return migrator_for(self.adapter(schema), schema, clock=utc_now)

    def migrate(self, schema: Any, aim: Aim | None = None) -> list[str]:
        """Migrate, and return what was done."""
        return list(run_blocking(self.migrator(schema).run(aim or Aim())).changes)

    def check(self, schema: Any) -> list[str]:
        """Return the codes of what is found."""
        found = run_blocking(check_tables(self.adapter(schema), schema))
        return [it.code.name for it in found]


@pytest.fixture
def new_place() -> Iterator[Callable[[str], Place]]:
    """Make empty databases, by clients that wait for nobody."""
    name = f"watchword_{token_hex(6)}"
    with ExitStack() as last:

        def new_place(url: str) -> Place:
            client = last.enter_context(MongoClient(url, tz_aware=True))
            last.callback(client.drop_database, name)
            return Place(client[name])

        yield new_place


@pytest.fixture
def place(new_place, mongodb_url) -> Place:
    """An empty database."""
    return new_place(mongodb_url)


@pytest.fixture
def small_batches(monkeypatch):
    """A few documents are more than one batch."""
    monkeypatch.setattr(steps, "BATCH", 2)


def with_fields(naming: Naming | None = None, **fields: Field) -> Any:
    """Return a schema in which users have more fields."""
    extension = SimpleNamespace(id="application", models=(), extends={"user": fields})
    return resolve_schema(CORE_MODELS, [extension], naming=naming or Naming())


class Asked(monitoring.CommandListener):
    """Notes the filters of what is asked about a collection's documents, and its indexes.

    Args:
        collection: Its name.
    """

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self.filters: list[Any] = []
        self.indexes: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Note them."""
        command = event.command
        if command.get(event.command_name) == self._collection:
            self.filters += [it["q"] for it in command.get("updates", ())]
            self.indexes += [it["name"] for it in command.get("indexes", ())]
            self.filters += [command[it] for it in ("filter", "pipeline") if it in command]

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Leave answers alone."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Leave refusals alone."""


class Once(Asked):
    """Tells that a command was asked for.

    Args:
        command: Its name.
        happened: Is set then.
    """

    def __init__(self, command: str, happened: Event) -> None:
        self._command = command
        self._happened = happened

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Tell it."""
        if event.command_name == self._command:
            self._happened.set()


def document(**changes: Any) -> dict[str, Any]:
    """Return a user as code of the first version writes one."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    plain = {
        "_id": Binary.from_uuid(uuid4()),
        "name": "Ada",
        "email": f"{token_hex(4)}@example.org",
    }
    return {**plain, "email_verified": False, "created_at": now, "updated_at": now, **changes}


# --- what it does ----------------------------------------------------------------------------


@pytest.mark.never_loop
class TestFields:
    """What becomes of documents that are there."""

    def test_a_default_is_filled_in(self, place, small_batches):
        """In batches, each of which is told of; what somebody wrote already stays."""
        place.migrate(CORE)
        users = place.database["watchword_users"]
        users.insert_many([document() for _ in range(5)])
        users.insert_one(document(_id=LAST, plan="gold"))
        heard = []

        migrator = place.migrator(with_fields(plan=Field("string", default="free")))
        run_blocking(migrator.run(Aim(), on_progress=heard.append))

        assert sorted(it["plan"] for it in users.find()) == ["free"] * 5 + ["gold"]
        assert [it.rows for it in heard if "column" in it.doing] == [0, 2, 4, 5]
        assert {it.steps for it in heard} == {2}

    def test_who_writes_all_the_time(self, place, small_batches):
        """Old code adds one behind each batch: it goes through them again, and comes to an end."""
        place.migrate(CORE)
        users = place.database["watchword_users"]
        users.insert_many([document() for _ in range(5)])
        behind = iter(range(50, 0, -1))

        def write(_progress: Any) -> None:
            users.insert_one(document(_id=Binary.from_uuid(UUID(int=next(behind)))))

        migrator = place.migrator(with_fields(plan=Field("string", default="free")))
        run_blocking(migrator.run(Aim(), on_progress=write))

        assert users.count_documents({"plan": "free"}) >= 8
        assert users.count_documents({"plan": None}) <= 2

    def test_no_question_is_about_all(self, place, mongodb_url):
        """However many documents there are, none takes longer than an answer is waited for."""
        place.migrate(with_fields(badge=Field("string", required=False)))
        place.database["watchword_users"].insert_one(document(badge="gold"))
        schema = with_fields(badge=Field("string"), plan=Field("string", default="free"))
        asked = Asked("watchword_users")

        with MongoClient(mongodb_url, event_listeners=[asked]) as client:
            Place(client[place.database.name]).migrate(schema)

        assert len(asked.filters) >= 4
        assert [it for it in asked.filters if "_id" not in str(it)] == []

    def test_a_strangers_id_comes_first(self, place, small_batches):
        """What somebody else put there is no end of ours."""
        users = place.database["watchword_users"]
        users.insert_many([document(_id=1), document(_id=2), document()])
        place.migrate(CORE)

        place.migrate(with_fields(plan=Field("string", default="free")))

        assert users.find_one({"_id": {"$nin": [1, 2]}})["plan"] == "free"

    def test_old_code_goes_on(self, place):
        """It writes documents without a new field: that is its default where it is read."""
        schema = with_fields(
            plan=Field("string", default="free"), level=Field("bigint", default=7)
        )
        place.migrate(CORE)
        place.migrate(schema)

        place.database["watchword_users"].insert_one(document())

        adapter = place.adapter(schema)
        found = run_blocking(adapter.find_many("user"))
        assert [(it["plan"], it["level"]) for it in found] == [("free", 7)]
        for condition in (F.plan == "free", F.plan.in_(["free", "gold"]), F.level > 6):
            assert run_blocking(adapter.count("user", condition)) == 1
            assert run_blocking(adapter.count("user", ~condition)) == 0
        for condition in (F.plan != "free", F.plan.is_null(), F.level < 7, F.plan != "gold"):
            is_there = condition == (F.plan != "gold")
            assert run_blocking(adapter.count("user", condition)) == is_there
        counted = run_blocking(adapter.update("user", F.level == 7, {"level": Increment(2)}))
        assert counted["level"] == 9

    def test_a_null_becomes_the_default(self, place, small_batches):
        """When a field becomes required; a document without it gets it as well."""
        place.migrate(with_fields(level=Field("integer", required=False)))
        users = place.database["watchword_users"]
        users.insert_many([document(level=None), document(level=3), document()])

        assert place.migrate(with_fields(level=Field("integer", default=7))) == [
            "~ column watchword_users.level: becomes required"
        ]

        assert sorted(it["level"] for it in users.find()) == [3, 7, 7]
        with pytest.raises(WriteError):
            users.insert_one(document(level=None))

    def test_a_null_without_a_default_is_refused(self, place):
        """Nothing is done, and it is told how many there are."""
        place.migrate(with_fields(level=Field("integer", required=False)))
        place.database["watchword_users"].insert_one(document(level=None))

        with pytest.raises(MigrationRefused, match="1 rows have no value"):
            place.migrate(with_fields(level=Field("integer")))

        assert place.check(with_fields(level=Field("integer", required=False))) == []

    def test_a_null_that_is_to_move_is_refused(self, place):
        """It is counted where it is now: in a collection, and in a field, of an older name."""
        place.migrate(with_fields(level=Field("integer", required=False)))
        place.database["watchword_users"].insert_one(document(level=None))
        naming = Naming(tables={"user": "people"}, columns={"user.level": "rank"})

        with pytest.raises(MigrationRefused, match="1 rows have no value"):
            place.migrate(with_fields(naming=naming, level=Field("integer")))

        assert "people" not in place.database.list_collection_names()

    def test_what_nobody_wants_is_kept(self, place):
        """Until it is dropped; enabled again it is all there."""
        schema = with_fields(plan=Field("string", default="free"))
        place.migrate(schema)
        users = place.database["watchword_users"]
        users.insert_one(document(plan="gold"))

        migrated = run_blocking(place.migrator(CORE).run(Aim()))
        assert migrated.kept == ("column watchword_users.plan",)
        users.insert_one(document())
        place.migrate(schema)
        assert sorted(it.get("plan", "") for it in users.find()) == ["free", "gold"]

        dropped = place.migrate(CORE, Aim(drop=True, keep=True))
        assert dropped == ["- column watchword_users.plan"]
        assert [it for it in users.find() if "plan" in it] == []

    def test_what_was_unique_is_kept(self, place):
        """Documents without it do not share its absence; wanted again it is as it was."""
        schema = with_fields(badge=Field("string", unique=True))
        place.migrate(schema)
        users = place.database["watchword_users"]

        assert place.migrate(CORE) == [
            "~ column watchword_users.badge: may be null",
            "- unique watchword_users(badge)",
            "+ unique watchword_users(badge)",
        ]

        users.insert_many([document(), document(), document(badge="gold")])
        with pytest.raises(DuplicateKeyError):
            users.insert_one(document(badge="gold"))
        assert place.check(CORE) == []
        users.delete_many({"badge": None})
        place.migrate(schema)
        assert place.check(schema) == []

    def test_a_kept_key_that_is_otherwise(self, place):
        """Somebody has made its index anew: that is no riddle for the next run."""
        place.migrate(with_fields(badge=Field("string", required=False, unique=True)))
        users = place.database["watchword_users"]
        users.drop_index("uq_watchword_users_badge")
        users.create_index("badge", name="uq_watchword_users_badge")

        place.migrate(CORE)

        assert place.check(CORE) == []
        assert users.index_information()["uq_watchword_users_badge"]["unique"]

    def test_unique_instants(self, place):
        """Their index is known again."""
        schema = with_fields(left_at=Field("datetime", required=False, unique=True))

        place.migrate(schema)

        assert place.check(schema) == []
        assert place.migrate(schema) == []

    def test_a_key_is_never_missed_for_long(self, place):
        """It goes just before the one that takes its place, not before documents are filled."""
        place.migrate(CORE)
        users = place.database["watchword_users"]
        users.drop_index("uq_watchword_users_email")
        users.create_index("email", name="uq_watchword_users_email")
        heard = []

        migrator = place.migrator(with_fields(plan=Field("string", default="free")))
        run_blocking(migrator.run(Aim(), on_progress=lambda it: heard.append(it.doing)))

        assert heard[:3] == [
            "+ column watchword_users.plan",
            "- unique watchword_users(email, …)",
            "+ unique watchword_users(email)",
        ]

    def test_a_required_name_moves(self, place, small_batches):
        """With its unique key, whose values are nowhere twice meanwhile."""
        place.migrate(CORE)
        users = place.database["watchword_users"]
        users.insert_many([document() for _ in range(5)])
        mails = sorted(it["email"] for it in users.find())
        renamed = resolve_schema(CORE_MODELS, naming=Naming(columns={"user.email": "mail"}))

        assert "~ column watchword_users.email becomes mail" in place.migrate(renamed)

        assert sorted(it["mail"] for it in users.find()) == mails
        assert place.check(renamed) == []

    def test_a_collection_moves(self, place):
        """With its documents, its validator and its indexes."""
        place.migrate(CORE)
        place.database["watchword_users"].insert_one(document())
        renamed = resolve_schema(CORE_MODELS, naming=Naming(tables={"user": "people"}))

        place.migrate(renamed)

        assert place.database["people"].count_documents({}) == 1
        assert place.check(renamed) == []
        assert "watchword_users" not in place.database.list_collection_names()

    def test_what_is_not_ours_stays(self, place):
        """Keys, rules and indexes of somebody else's."""
        place.migrate(CORE)
        users = place.database["watchword_users"]
        users.create_index("shoe_size")
        rules = users.options()["validator"]
        rules["$jsonSchema"]["properties"]["shoe_size"] = {"bsonType": "int"}
        rules["$jsonSchema"]["required"].append("shoe_size")
        rules["email"] = {"$ne": "nobody@example.org"}
        place.database.command("collMod", "watchword_users", validator=rules)
        users.insert_one(document(shoe_size=42))

        place.migrate(with_fields(plan=Field("string", default="free")))
        place.migrate(CORE, Aim(drop=True, keep=True))

        assert users.find_one()["shoe_size"] == 42
        assert "shoe_size_1" in users.index_information()
        assert users.options()["validator"] == rules


@pytest.mark.never_loop
class TestRefusals:
    """What is in the way is told, and nothing is lost."""

    def test_documents_that_share_a_value(self, place):
        """The sentence says how to find them, and no value; mended, it goes on."""
        place.migrate(with_fields(badge=Field("string", required=False)))
        users = place.database["watchword_users"]
        users.insert_many([document(badge="gold"), document(badge="gold"), document(badge=None)])
        schema = with_fields(badge=Field("string", required=False, unique=True))

        with pytest.raises(MigrationFailed) as refused:
            place.migrate(schema)

        assert refused.value.message == (
            "+ unique watchword_users(badge): documents share a value."
        )
        assert "aggregate(" in refused.value.hint
        assert "gold" not in str(refused.value)
        assert "W020" in place.check(schema)

        users.delete_one({"badge": "gold"})
        assert place.migrate(schema) == ["+ unique watchword_users(badge)"]
        assert place.check(schema) == []

    def test_somebody_elses_index_of_the_same_field(self, place):
        """MongoDB has one that expires, or one that does not: it is told how to find it."""
        sessions = place.database["watchword_sessions"]
        sessions.create_index("expires_at", name="by_end")

        with pytest.raises(MigrationFailed, match="is in the way") as refused:
            place.migrate(CORE)

        assert 'db.getCollection("watchword_sessions").getIndexes()' in refused.value.hint
        sessions.drop_index("by_end")
        place.migrate(CORE)
        assert place.check(CORE) == []

    def test_an_index_that_is_being_built(self, place, mongodb_url):
        """A server tells of it already: who goes on for another one asks for it again."""
        place.migrate(CORE)
        place.database[VERSIONS].update_one({"_id": 1}, {"$set": {"finished_at": None}})
        asked = Asked("watchword_users")

        with MongoClient(mongodb_url, event_listeners=[asked]) as client:
            Place(client[place.database.name]).migrate(CORE)

        assert asked.indexes == ["uq_watchword_users_email"]

    def test_a_collection_of_the_applications(self, place):
        """Without a prefix it may have our name by chance."""
        schema = resolve_schema(CORE_MODELS, naming=Naming(prefix=""))
        place.database["users"].insert_one({"shoe_size": 42})

        with pytest.raises(MigrationRefused, match="shoe_size"):
            place.migrate(schema)

        assert place.database.list_collection_names() == ["users"]

    def test_a_newer_database(self, place):
        """Code of last week does not undo what this week's did."""
        place.migrate(CORE)
        place.migrate(with_fields(plan=Field("string", default="free")))

        with pytest.raises(MigrationRefused, match="newer than the code"):
            place.migrate(CORE)

        assert place.migrate(CORE, Aim(keep=True)) == ["~ validation of watchword_users"]

    def test_what_was_never_there(self, place):
        """A version, or a name."""
        place.migrate(CORE)

        with pytest.raises(ConfigurationError, match="never was at version 7"):
            place.migrate(CORE, Aim(to=7))
        with pytest.raises(ConfigurationError, match="cannot become"):
            place.migrate(CORE, Aim(renames=Renames({"user.shoe": "hat"})))

    def test_a_version_that_cannot_be_read(self, place):
        """Of a newer release."""
        place.migrate(CORE)
        newer = {"snapshot": '{"format": 99}', "release": "99.0"}
        place.database[VERSIONS].update_one({"_id": 1}, {"$set": newer})

        with pytest.raises(ConfigurationError, match=r"made by Watchword 99\.0"):
            place.migrate(CORE)
        assert place.check(CORE) == ["W022"]

    def test_sql(self, place):
        """There is none."""
        with pytest.raises(ConfigurationError, match="takes no SQL"):
            run_blocking(place.migrator(CORE).statements(Aim()))


@pytest.mark.never_loop
class TestLease:
    """Who may change the collections, and until when."""

    def test_it_is_given_back(self, place):
        """So that the next does not wait; who has nothing to do never asks for it."""
        place.migrate(CORE)

        assert place.database[VERSIONS].distinct("_id") == [1]

    def test_who_took_too_long_stops(self, place):
        """Somebody else goes on, so what comes next is not done twice."""
        place.migrate(CORE)
        versions = place.database[VERSIONS]

        def take_over(_progress: Any) -> None:
            later = {"owner": "another", "until": utc_now() + timedelta(seconds=5)}
            versions.update_one({"_id": LEASE}, {"$set": later}, upsert=True)

        migrator = place.migrator(with_fields(plan=Field("string", default="free")))
        with pytest.raises(StorageUnavailable, match="Another process goes on"):
            run_blocking(migrator.run(Aim(), on_progress=take_over))

        assert versions.find_one({"_id": LEASE})["owner"] == "another"


# --- looking ---------------------------------------------------------------------------------


def change_validator(place: Place, change: Any) -> None:
    """Change what users have to be like."""
    rules = place.database["watchword_users"].options()["validator"]
    change(rules["$jsonSchema"]["properties"])
    place.database.command("collMod", "watchword_users", validator=rules)


FLAWS: Final[Mapping[str, tuple[Any, list[str]]]] = {
    "nothing": (lambda _: None, []),
    "a collection": (lambda it: it.database["watchword_accounts"].drop(), ["W001"]),
    "a key": (lambda it: change_validator(it, lambda keys: keys.pop("name")), ["W024"]),
    "a length": (
        lambda it: change_validator(it, lambda keys: keys["email"].update(maxLength=10)),
        ["W006"],
    ),
    "an index": (
        lambda it: it.database["watchword_sessions"].drop_index("ix_watchword_sessions_user_id"),
        ["W013"],
    ),
    "a unique index": (
        lambda it: it.database["watchword_users"].drop_index("uq_watchword_users_email"),
        ["W014"],
    ),
    "the expiry": (
        lambda it: (
            it.database["watchword_sessions"].drop_index("ix_watchword_sessions_expires_at"),
            it.database["watchword_sessions"].create_index(
                "expires_at", name="ix_watchword_sessions_expires_at"
            ),
        ),
        ["W013"],
    ),
    "the validator": (
        lambda it: it.database.command("collMod", "watchword_users", validator={}),
        ["W024"],
    ),
}


@pytest.mark.never_loop
@pytest.mark.parametrize("flaw", FLAWS)
def test_what_is_amiss_is_found_and_mended(place, flaw):
    """By a code; `migrate` mends it, and then nothing is found."""
    damage, codes = FLAWS[flaw]
    place.migrate(CORE)
    damage(place)

    assert place.check(CORE) == codes
    assert len(place.migrate(CORE)) == len(codes) + (flaw == "the expiry")
    assert place.check(CORE) == []


@pytest.mark.never_loop
def test_values_of_another_type(place):
    """They are found, and nobody guesses what they should become."""
    place.migrate(CORE)
    change_validator(place, lambda keys: keys["name"].update(bsonType="int"))

    assert place.check(CORE) == ["W005"]
    with pytest.raises(MigrationRefused, match="no database converts"):
        place.migrate(CORE)


# --- starting --------------------------------------------------------------------------------


class TestStart:
    """What an application does when it starts."""

    @pytest.fixture
    def auth(self, place, new_auth):
        """Make instances on the database."""

        def auth(check="warn", **fields: Field):
            adapter = MongoDBAdapter(place.database)
            user = UserOptions(additional_fields=fields)
            return new_auth(adapter, user=user, schema_check=check)

        return auth

    @pytest.mark.never_loop
    def test_who_starts_while_others_migrate(self, place, mongodb_url):
        """It waits for the first migration of all, and is not told that nothing is there."""
        begun, found = Event(), []

        def look(_progress: Any = None) -> None:
            if not threads:
                threads.append(Thread(target=start))
                threads[0].start()
                assert begun.wait(PATIENCE), "it does not ask who is at work"

        def start() -> None:
            with MongoClient(mongodb_url, event_listeners=[Once("hello", begun)]) as client:
                found.extend(Place(client[place.database.name]).check(CORE))

        threads: list[Thread] = []
        run_blocking(place.migrator(CORE).run(Aim(), on_progress=look))
        threads[0].join()

        assert found == []

    async def test_the_first_makes_everything(self, auth):
        """And the next finds nothing amiss."""
        async with auth().lifespan():
            assert await auth().check_schema() == []

    async def test_what_is_new_is_made_beside_it(self, auth):
        """Where nobody migrates: a unique index of a new field, for one."""
        async with auth().lifespan():
            pass
        newer = auth(badge=Field("string", required=False, unique=True))

        async with newer.lifespan():
            found = await newer.check_schema()

        assert [it.code.name for it in found] == ["W002"]

    @pytest.mark.parametrize("check", ["warn", "error"])
    async def test_nothing_starts_without_a_unique_index(self, auth, place, check):
        """Two people could have one address, and no code would see it."""
        place.migrate(auth().schema)
        place.database["watchword_users"].drop_index("uq_watchword_users_email")

        with pytest.raises(ConfigurationError, match="W014"):
            async with auth(check).lifespan():
                pytest.fail("it has started")

    @pytest.mark.parametrize("check", ["warn", "off"])
    async def test_nothing_starts_where_it_cannot_be_made(self, auth, place, check):
        """Whoever does not migrate learns what is in the way, but no address."""
        users = place.database["watchword_users"]
        users.insert_many([document(email="ada@example.org"), document(email="ada@example.org")])

        with pytest.raises(ConfigurationError, match="share a value of email") as refused:
            async with auth(check).lifespan():
                pytest.fail("it has started")

        assert "ada@" not in str(refused.value)

    async def test_an_index_that_is_otherwise(self, auth, place):
        """It is not taken for the one that is needed, and not replaced behind anybody's back."""
        users = place.database["watchword_users"]
        users.create_index("email", name="uq_watchword_users_email")

        with pytest.raises(ConfigurationError, match="is not as it has to be"):
            await auth().create_tables()

        await auth().migrate()
        assert users.index_information()["uq_watchword_users_email"]["unique"]

    async def test_somebody_elses_index_is_in_the_way(self, auth, place):
        """It has the fields of one of ours, and does not delete what has expired."""
        place.database["watchword_sessions"].create_index("expires_at", name="by_end")

        with pytest.raises(ConfigurationError, match="has the fields of ix_") as refused:
            await auth().create_tables()

        assert "getIndexes()" in refused.value.hint

    async def test_somebody_elses_index_does(self, auth, place):
        """It keeps addresses unique by another name."""
        users = place.database["watchword_users"]
        users.create_index("email", name="by_mail", unique=True)

        await auth().create_tables()

        assert "uq_watchword_users_email" not in users.index_information()
        assert [it.code.name for it in await auth().check_schema()] == ["W024"]

    async def test_a_server_that_is_alone(self, new_auth, new_place, mongodb_alone_url):
        """It is told of, though all collections are there."""
        place = new_place(mongodb_alone_url)
        place.migrate(new_auth().schema)
        auth = new_auth(MongoDBAdapter(place.database))

        assert [it.code.name for it in await auth.check_schema()] == ["W025"]
        with pytest.raises(ConfigurationError, match="W025"):
            async with auth.lifespan():
                pytest.fail("it has started")

    async def test_expired_rows_are_left_to_purge(self, place, new_auth):
        """If that was asked for."""
        adapter = MongoDBAdapter(place.database, expires_rows=False)
        auth = new_auth(adapter)
        await auth.create_tables()

        indexes = place.database["watchword_sessions"].index_information()

        assert "expireAfterSeconds" not in indexes["ix_watchword_sessions_expires_at"]
        assert await auth.check_schema() == []
