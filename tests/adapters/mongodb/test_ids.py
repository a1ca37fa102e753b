"""How ids are kept: UUIDs as such, texts, and ObjectIds."""

import re
from dataclasses import replace
from uuid import UUID

import pytest
from bson.binary import Binary
from bson.objectid import ObjectId
from pymongo import MongoClient

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.documents import Collections
from watchword.adapters.mongodb.rules import index_specs, snapshot_by
from watchword.errors import ConfigurationError, InvalidValue
from watchword.schema import CORE_MODELS, Field, Model, resolve_schema
from watchword.schema.elsewhere import KeptElsewhere, without
from watchword.storage.query import F
from watchword.storage.store import Store
from watchword.testing.suite.fixtures import PlainSealer
from watchword.testing.suite.models import suite_schema

TEXTS, UUIDS = suite_schema("string"), suite_schema("uuid")
ADA, GRACE, NOTES = "0a" * 12, "0b" * 12, "0c" * 12
UUID_OF_ADA = "0190163d-8694-739b-aea5-966c26f8ad90"
DIGITS = re.compile("[0-9a-f]{24}")


@pytest.fixture
def open_adapter(client, empty):
    """Make adapters that are bound to a schema, on a database without documents."""

    async def open_adapter(schema, database=None, **settings):
        source = client if database is None else database
        adapter = MongoDBAdapter(source, name=empty.name, **settings)
        adapter.bind(schema)
        await adapter.create_schema(schema)
        return adapter

    return open_adapter


@pytest.fixture
def adapter(open_adapter, run):
    """One with ObjectIds."""
    return run(open_adapter(TEXTS, object_ids=True))


@pytest.fixture
def documents(empty):
    """Read the documents of a model past any adapter."""
    return lambda model: list(empty[Collections(TEXTS).require(model).name].find())


async def write_book(adapter):
    """Write an author and a book of hers."""
    await adapter.create("author", {"id": ADA, "name": ADA})
    return await adapter.create("book", {"id": NOTES, "title": "Notes", "author_id": ADA})


# --- UUIDs -----------------------------------------------------------------------------------


async def test_uuids_are_sixteen_bytes(open_adapter, documents):
    """Ids, references and other fields are BSON's UUIDs, and null where there is none."""
    adapter = await open_adapter(UUIDS)
    id_of_book = UUID_OF_ADA.replace("0", "f", 1)
    await adapter.create("author", {"id": UUID_OF_ADA, "name": "Ada"})
    await adapter.create("book", {"id": id_of_book, "title": "Notes", "author_id": UUID_OF_ADA})
    await adapter.create("specimen", {"id": UUID_OF_ADA, "uuid": UUID_OF_ADA})

    [author], [book], [specimen] = map(documents, ("author", "book", "specimen"))

    ada = Binary(UUID(UUID_OF_ADA).bytes, 4)
    assert (author["_id"], book["author_id"], specimen["uuid"]) == (ada, ada, ada)
    assert {it.subtype for it in (author["_id"], book["author_id"], specimen["uuid"])} == {4}
    assert book["_id"] == Binary(UUID(id_of_book).bytes, 4)
    assert book["editor_id"] is None


@pytest.mark.never_loop
@pytest.mark.parametrize("setting", ["standard", "javaLegacy", "csharpLegacy", "unspecified"])
async def test_uuids_are_the_same_whatever_the_client_does_with_its_own(
    open_adapter, mongodb_url, empty, setting
):
    """The setting of a URL, of a client or of a database changes neither bytes nor texts."""
    url = f"{mongodb_url}{'&' if '?' in mongodb_url else '/?'}uuidRepresentation={setting}"
    with MongoClient(url) as theirs:
        database = theirs.get_database(empty.name, codec_options=theirs.codec_options)
        for source in (url, theirs, database):
            adapter = await open_adapter(UUIDS, source)
            written = await adapter.create("author", {"id": UUID_OF_ADA, "name": "Ada"})
            [kept] = empty["watchword_authors"].find()

            assert kept["_id"] == Binary(UUID(UUID_OF_ADA).bytes, 4)
            assert await adapter.find_many("author", F.id == UUID_OF_ADA) == [written]
            assert written["id"] == UUID_OF_ADA
            await adapter.delete("author", F.id == UUID_OF_ADA)
            await adapter.close()


@pytest.mark.parametrize("text", ["no id", UUID_OF_ADA.upper(), UUID(UUID_OF_ADA).hex])
async def test_a_text_that_is_no_uuid(open_adapter, text):
    """It finds nothing and is not written; only the store knows other ways to write one."""
    adapter = await open_adapter(UUIDS)
    await adapter.create("author", {"id": UUID_OF_ADA, "name": "Ada"})

    assert await adapter.find_one("author", F.id == text) is None
    with pytest.raises(InvalidValue) as refusal:
        await adapter.create("author", {"id": text, "name": "Ada"})
    assert (refusal.value.model, refusal.value.field) == ("author", "id")


# --- ObjectIds -------------------------------------------------------------------------------


async def test_object_ids_stand_where_ids_are(adapter, documents):
    """Ids and references are ObjectIds; a text of the same digits stays a text."""
    written = await write_book(adapter)

    [author] = documents("author")
    assert (author["_id"], author["name"]) == (ObjectId(ADA), ADA)
    assert documents("book") == [
        {
            "_id": ObjectId(NOTES),
            "title": "Notes",
            "author_id": ObjectId(ADA),
            "editor_id": None,
        }
    ]
    assert await adapter.find_one("book", F.author_id == ADA) == written
    assert (written["id"], written["author_id"], written["editor_id"]) == (NOTES, ADA, None)


@pytest.mark.parametrize("text", ["", "no id", "0" * 23, "0" * 25, "0A" * 12, ADA + "\n"])
async def test_a_text_that_is_no_object_id(adapter, text):
    """It equals nothing, in no tree of conditions; upper-case digits are another text."""
    await write_book(adapter)
    wheres = {
        F.author_id == text: 0,
        F.author_id.in_([text, None]): 0,
        (F.author_id == text) | (F.title == "Notes"): 1,
        (F.author_id == text) & (F.title == "Notes"): 0,
        ~(F.author_id == text): 1,
        F.author_id != text: 1,
        F.editor_id != text: 1,
        F.editor_id.not_in([text]): 1,
        ~F.editor_id.in_([text]): 1,
    }

    for where, expected in wheres.items():
        assert await adapter.count("book", where) == expected, where


@pytest.mark.parametrize("text", ["", "no id", "0A" * 12])
async def test_a_text_that_is_no_object_id_is_not_written(adapter, text):
    """Not as an id, not as a reference, in a new row or a change."""
    await write_book(adapter)
    calls = {
        "id": adapter.create("book", {"id": text, "title": "", "author_id": ADA}),
        "author_id": adapter.update("book", F.id == NOTES, {"author_id": text}),
        "editor_id": adapter.update_many("book", None, {"editor_id": text}),
    }

    for field, call in calls.items():
        with pytest.raises(InvalidValue) as refusal:
            await call
        assert (refusal.value.model, refusal.value.field) == ("book", field)


async def test_object_ids_have_the_order_of_their_digits(adapter):
    """They are compared with one another; with other texts they have no order."""
    for author in (GRACE, ADA):
        await adapter.create("author", {"id": author, "name": "someone"})

    assert [row["id"] for row in await adapter.find_many("author")] == [ADA, GRACE]
    assert [row["id"] for row in await adapter.find_many("author", F.id > ADA)] == [GRACE]
    for where in (F.id > "no id", F.id <= ADA.upper()):
        with pytest.raises(InvalidValue, match="cannot be compared"):
            await adapter.find_many("author", where)


async def test_object_ids_are_no_text_to_search_in(adapter):
    """No part of one is looked for, as of no UUID."""
    for where in (F.id.contains("0"), F.id.starts_with(ADA), F.id.ends_with("0"), F.id.ieq(ADA)):
        with pytest.raises(InvalidValue, match="is not text"):
            await adapter.find_many("author", where)


@pytest.mark.parametrize("value", [{"$ne": None}, {"$oid": ADA}, [ADA], 1, True], ids=repr)
async def test_attack_an_operator_in_the_place_of_an_id(adapter, value):
    """It is refused, and no condition."""
    for where in (F.id == value, F.id != value, F.id.in_([value])):
        with pytest.raises(InvalidValue):
            await adapter.find_many("author", where)


async def test_the_store_makes_object_ids(adapter, documents):
    """Of users and of what points at them; later ones sort after earlier ones."""
    store = Store(adapter, TEXTS, sealer=PlainSealer())

    ids = [(await store.create("author", {"name": str(number)}))["id"] for number in range(3)]

    assert all(map(DIGITS.fullmatch, ids))
    assert ids == sorted(set(ids))
    assert [it["_id"] for it in documents("author")] == list(map(ObjectId, ids))


async def test_the_application_makes_ids(adapter):
    """Its own function goes first; what it makes has to be the digits of an ObjectId."""
    made = iter([ADA, "no id"])
    store = Store(adapter, TEXTS, sealer=PlainSealer(), new_id=lambda: next(made))

    assert (await store.create("author", {"name": "Ada"}))["id"] == ADA
    with pytest.raises(InvalidValue):
        await store.create("author", {"name": "Grace"})


@pytest.mark.never_loop
@pytest.mark.parametrize("ids", ["uuid", "bigint"])
def test_object_ids_need_texts_in_the_schema(client, ids):
    """The hint says what to pass."""
    adapter = MongoDBAdapter(client, object_ids=True)

    with pytest.raises(ConfigurationError) as refusal:
        adapter.bind(suite_schema(ids))

    assert 'ids="string"' in refusal.value.hint


async def test_ids_of_another_place_stay_texts(open_adapter, empty):
    """A directory names its people as it likes; what is theirs here still has an ObjectId."""
    own = [KeptElsewhere("user")]
    schema = without(resolve_schema(CORE_MODELS, ids="string", own=own), {"user"})
    store = Store(await open_adapter(schema, object_ids=True), schema, sealer=PlainSealer())
    ada = "cn=ada,dc=example"

    await store.create("account", {"user_id": ada, "provider_id": "x", "account_id": "ada"})

    [document] = empty["watchword_accounts"].find()
    assert document["user_id"] == ada
    assert isinstance(document["_id"], ObjectId)


@pytest.fixture(params=[True, False], ids=["object_ids", "uuids"])
def auth(request, new_auth, client, empty, run):
    """An instance with ids of either kind."""
    ids = "string" if request.param else "uuid"
    auth = new_auth(MongoDBAdapter(client, name=empty.name, object_ids=request.param), ids=ids)
    run(auth.create_tables())
    return auth


async def test_ids_on_the_wire(auth, browser, empty):
    """Clients see texts: the digits of an ObjectId, or a UUID."""
    assert (await browser.sign_up()).status == 200
    session = (await browser.session()).json

    [user] = empty["watchword_users"].find()
    kept = user["_id"]
    shown = str(kept if isinstance(kept, ObjectId) else kept.as_uuid())
    assert session["user"]["id"] == session["session"]["userId"] == shown


# --- texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["ada", ADA, UUID_OF_ADA, "$ne", "ä b"])
async def test_texts_stay_texts(open_adapter, documents, text):
    """Whatever they look like."""
    adapter = await open_adapter(TEXTS)

    written = await adapter.create("author", {"id": text, "name": "Ada"})

    assert documents("author") == [{"_id": text, "name": "Ada"}]
    assert await adapter.find_many("author", F.id.starts_with(text)) == [written]


# --- indexes ---------------------------------------------------------------------------------


@pytest.mark.never_loop
@pytest.mark.parametrize(
    ("ids", "object_ids", "least"),
    [
        ("uuid", False, Binary(bytes(16), 4)),
        ("string", False, ""),
        ("string", True, ObjectId("0" * 24)),
    ],
)
def test_unique_keys_of_ids_leave_out_nulls(ids, object_ids, least):
    """From the least id on, which no null is."""
    optional = replace(Field.reference("author", required=False), unique=True)
    models = [Model("author", {"name": Field("string")}), Model("desk", {"author_id": optional})]
    schema = resolve_schema(models, ids=ids)

    wanted = snapshot_by(Collections(schema, object_ids=object_ids), expires=True)
    [index] = index_specs(wanted.tables[schema.naming.table("desk")])

    condition = index["partialFilterExpression"]
    assert condition == {"author_id": {"$gte": least}}
    assert getattr(condition["author_id"]["$gte"], "subtype", None) == getattr(
        least, "subtype", None
    )
