"""The stand-in does what MongoDB does; on a real server the same tests prove them right."""

import os
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import pytest
from bson import Binary, Int64, ObjectId
from pymongo import ASCENDING, IndexModel, MongoClient, ReturnDocument
from pymongo.errors import BulkWriteError, OperationFailure

REAL: Final = os.environ.get("WATCHWORD_MONGODB_URL")
ADA: Final = {"_id": "ada", "name": "Ada"}
IS_NAMED: Final = {
    "$jsonSchema": {
        "bsonType": "object",
        "required": ["_id", "name"],
        "properties": {"name": {"bsonType": "string", "maxLength": 3}},
    }
}
ONE, TWO = UUID(int=1), UUID(int=2)
INSTANT: Final = datetime(2026, 5, 17, 12, tzinfo=UTC)

pytestmark = pytest.mark.never_loop


@pytest.fixture
def database(mongodb_database):
    """A database without collections."""
    for name in mongodb_database.list_collection_names():
        mongodb_database.drop_collection(name)
    return mongodb_database


@pytest.fixture
def people(database):
    """A collection with a row."""
    database["people"].insert_one(dict(ADA))
    return database["people"]


@contextmanager
def refused(code, *labels):
    """Have the server refuse what is done here, with its code and labels."""
    with pytest.raises(OperationFailure) as refusal:
        yield refusal
    error = refusal.value
    errors = error.details.get("writeErrors", [error.details])
    assert [it["code"] for it in errors] == [code]
    assert error.details.get("errorLabels", []) == list(labels)


# --- collections -----------------------------------------------------------------------------


def test_a_collection_is_listed_with_its_options(database):
    """A validator is enforced strictly unless something else was said."""
    database.create_collection("people", validator=IS_NAMED)
    database.create_collection("plain")

    listed = database.list_collections(filter={"name": {"$in": ["people", "plain", "none"]}})
    options = {it["name"]: it["options"] for it in listed}

    strict = {"validationLevel": "strict", "validationAction": "error"}
    assert options == {"people": {"validator": IS_NAMED, **strict}, "plain": {}}
    assert database.list_collection_names(filter={"name": "plain"}) == ["plain"]


def test_a_collection_is_made_once(people):
    """Another one of its name is refused."""
    with refused(48):
        people.database.command("create", "people", validator=IS_NAMED)


def test_a_validator_is_changed(people):
    """And kept as it was if its level alone is changed."""
    database = people.database

    database.command("collMod", "people", validator=IS_NAMED, validationLevel="moderate")
    database.command("collMod", "people", validationAction="warn")

    [entry] = database.list_collections(filter={"name": "people"})
    assert entry["options"] == {
        "validator": IS_NAMED,
        "validationLevel": "moderate",
        "validationAction": "warn",
    }
    with refused(26):
        database.command("collMod", "nobody", validator=IS_NAMED)


def test_a_collection_is_renamed(people):
    """Its rows, its validator and its indexes go along."""
    database = people.database
    database.command("collMod", "people", validator=IS_NAMED)
    people.create_index("name", name="by_name", unique=True)

    people.rename("users")

    users = database["users"]
    assert database.list_collection_names() == ["users"]
    assert list(users.find()) == [ADA]
    assert set(users.index_information()) == {"_id_", "by_name"}
    with refused(11000):
        users.insert_one({"_id": "eve", "name": "Ada"})
    with refused(121):
        users.insert_one({"_id": "eve"})


def test_a_renaming_that_is_refused(people):
    """Onto another collection, and of none."""
    people.database.create_collection("users")

    with refused(48):
        people.rename("users")
    with refused(26):
        people.database["nobody"].rename("somebody")


def test_a_collection_is_dropped(people):
    """With its indexes and its validator."""
    people.database.command("collMod", "people", validator=IS_NAMED)
    people.create_index("name", unique=True)

    people.drop()

    assert people.database.list_collection_names() == []
    people.insert_many([{"_id": 1}, {"_id": 2}])
    assert set(people.index_information()) == {"_id_"}


def test_a_database_is_dropped(people):
    """With all that is in it."""
    people.database.client.drop_database(people.database.name)

    assert people.database.list_collection_names() == []
    assert people.count_documents({}) == 0


# --- indexes ---------------------------------------------------------------------------------


def test_indexes_are_listed_as_they_were_made(database):
    """With every option, and with that of the id."""
    partial = {"number": {"$gte": float("-inf")}}
    made = [
        IndexModel("name", name="by_name", unique=True),
        IndexModel([("room", 1), ("number", 1)], name="a", partialFilterExpression=partial),
        IndexModel("ends_at", name="expires", expireAfterSeconds=0),
    ]

    database["people"].create_indexes(made)

    listed = {it["name"]: dict(it) for it in database["people"].list_indexes()}
    assert listed == {
        "_id_": {"v": 2, "key": {"_id": 1}, "name": "_id_"},
        "by_name": {"v": 2, "key": {"name": 1}, "name": "by_name", "unique": True},
        "a": {
            "v": 2,
            "key": {"room": 1, "number": 1},
            "name": "a",
            "partialFilterExpression": partial,
        },
        "expires": {"v": 2, "key": {"ends_at": 1}, "name": "expires", "expireAfterSeconds": 0},
    }


def test_an_index_is_made_once(people):
    """The same again is nothing."""
    indexes = [{"key": {"name": 1}, "name": "by_name", "unique": True}]

    answers = [people.database.command("createIndexes", "people", indexes=indexes) for _ in "ab"]

    counts = [(it["numIndexesBefore"], it["numIndexesAfter"]) for it in answers]
    assert counts == [(1, 2), (2, 2)]
    assert not any(it.get("createdCollectionAutomatically") for it in answers)
    assert "note" in answers[1]


@pytest.mark.parametrize(
    ("code", "key", "options"),
    [
        (86, "other", {"name": "by_name"}),
        (86, "name", {"name": "by_name", "unique": True}),
        (86, "name", {"name": "by_name", "partialFilterExpression": {"name": {"$gt": ""}}}),
        (85, "name", {"name": "by_name", "expireAfterSeconds": 7}),
        (85, "name", {"name": "another"}),
        (85, "name", {"name": "another", "expireAfterSeconds": 7}),
        (67, "more", {"name": "more", "partialFilterExpression": {"more": {"$ne": None}}}),
        (67, "more", {"name": "more", "partialFilterExpression": {"more": {"$exists": False}}}),
    ],
    ids=repr,
)
def test_an_index_that_is_refused(people, code, key, options):
    """By its name, by its keys, by its condition; nothing is made, of others in the call too."""
    people.create_index("name", name="by_name")

    with refused(code):
        people.create_indexes([IndexModel("fine", name="fine"), IndexModel(key, **options)])

    assert set(people.index_information()) == {"_id_", "by_name"}


def test_two_indexes_of_the_same_keys(people):
    """One may be unique and the other one not."""
    people.create_index("name", name="by_name")

    people.create_index("name", name="unique", unique=True)

    assert set(people.index_information()) == {"_id_", "by_name", "unique"}


def test_rows_that_stand_against_a_unique_index(people):
    """The refusal names key and value; nothing is made."""
    people.insert_many([{"_id": 1, "name": "Eve"}, {"_id": 2, "name": "Eve"}])

    with refused(11000) as refusal:
        people.create_index("name", unique=True)

    assert refusal.value.details["keyPattern"] == {"name": 1}
    assert refusal.value.details["keyValue"] == {"name": "Eve"}
    assert set(people.index_information()) == {"_id_"}


def test_an_index_is_dropped(people):
    """By its name; that of the id stays, and unknown ones are refused."""
    people.create_index("name", name="by_name", unique=True)

    people.drop_index("by_name")

    people.insert_one({"_id": "other", "name": "Ada"})
    with refused(27):
        people.drop_index("by_name")
    with refused(72):
        people.drop_index("_id_")
    with refused(26):
        people.database.command("dropIndexes", "nobody", index="by_name")


def test_indexes_of_no_collection(database):
    """They are refused, not empty."""
    with refused(26):
        database.command("listIndexes", "nobody")


@pytest.mark.parametrize("by", [{"name": "expires"}, {"keyPattern": {"ends_at": 1}}], ids=repr)
def test_an_expiry_is_changed(people, by):
    """Of an index by its name or by its keys."""
    people.create_index("ends_at", name="expires", expireAfterSeconds=60)

    answer = people.database.command("collMod", "people", index={**by, "expireAfterSeconds": 0})

    assert (answer["expireAfterSeconds_old"], answer["expireAfterSeconds_new"]) == (60, 0)
    assert people.index_information()["expires"]["expireAfterSeconds"] == 0
    with refused(27):
        index = {"name": "unknown", "expireAfterSeconds": 0}
        people.database.command("collMod", "people", index=index)


def test_an_option_that_is_unknown(database):
    """Of a collection, and of an index."""
    with refused(40415):
        database.command("create", "people", unknown=1)
    with refused(197):
        index = {"key": {"name": 1}, "name": "by_name", "unknown": 1}
        database.command("createIndexes", "people", indexes=[index])


def test_a_partial_unique_index(database):
    """Rows that its condition leaves out are in nobody's way, nulls and missing keys."""
    seats = database["seats"]
    partial = {"number": {"$gte": float("-inf")}}
    seats.create_index(
        [("room", ASCENDING), ("number", ASCENDING)], unique=True, partialFilterExpression=partial
    )

    seats.insert_many([{"room": 1}, {"room": 1}, {"room": 1, "number": None}])
    seats.insert_many([{"room": 1, "number": None}, {"_id": 1, "room": 1, "number": 7}])

    with refused(11000) as refusal:
        seats.insert_one({"room": 1, "number": 7})
    assert refusal.value.details["keyPattern"] == {"room": 1, "number": 1}
    assert refusal.value.details["keyValue"] == {"room": 1, "number": 7}
    with refused(11000):
        seats.update_many({"number": None}, {"$set": {"number": 7}})
    seats.delete_one({"_id": 1})
    seats.insert_one({"room": 1, "number": 7})


# --- validators ------------------------------------------------------------------------------


def test_a_row_that_does_not_fit_is_refused(database):
    """Whatever writes it; the row that is there stays as it was."""
    people = database.create_collection("people", validator=IS_NAMED)
    people.insert_one(dict(ADA))
    update = {"$set": {"name": "Augusta"}}

    with refused(121) as refusal:
        people.insert_one({"_id": "eve"})
    assert refusal.value.details["errInfo"]["failingDocumentId"] == "eve"
    with refused(121):
        people.insert_many([{"_id": "eve", "name": "Eve"}, {"_id": "bob", "name": None}])
    with refused(121):
        people.update_one({}, update)
    with refused(121):
        people.update_many({"_id": "ada"}, {"$unset": {"name": 1}})
    with refused(121):
        people.find_one_and_update({}, update)
    with refused(121):
        people.replace_one({"_id": "ada"}, {})

    assert list(people.find()) == [ADA, {"_id": "eve", "name": "Eve"}]


def test_rows_that_never_fitted(people):
    """They may be changed with the level `moderate`, and may not without it."""
    people.insert_one({"_id": "bob", "name": "Robert"})
    people.database.command("collMod", "people", validator=IS_NAMED, validationLevel="moderate")

    people.update_one({"_id": "bob"}, {"$set": {"name": "Roberta"}})
    with refused(121):
        people.update_one({"_id": "ada"}, {"$set": {"name": "Augusta"}})
    people.database.command("collMod", "people", validationLevel="strict")
    with refused(121):
        people.update_one({"_id": "bob"}, {"$set": {"name": "Roberto"}})
    people.update_one({"_id": "bob"}, {"$set": {"name": "Bob"}})


FITS = [
    ("string", "", 1),
    ("int", 1, Int64(1)),
    ("int", -(2**31), 2**31),
    ("long", Int64(1), 1),
    ("long", 2**31, 1.0),
    ("double", 1.0, 1),
    ("bool", False, 0),
    ("date", INSTANT, "2026-05-17"),
    ("binData", b"", ""),
    ("binData", Binary.from_uuid(ONE), str(ONE)),
    ("objectId", ObjectId("0" * 24), "0" * 24),
    ("array", [], {}),
    ("object", {}, []),
    ("null", None, ""),
    (["string", "null"], None, 1),
    (["int", "long"], Int64(1), 1.0),
]


@pytest.mark.parametrize(("bson_type", "fits", "misfit"), FITS, ids=repr)
def test_types_are_told_apart(database, bson_type, fits, misfit):
    """32 bits from 64, bytes from texts; a key that is not required may be missing."""
    schema = {"properties": {"value": {"bsonType": bson_type}}}
    rows = database.create_collection("rows", validator={"$jsonSchema": schema})

    rows.insert_many([{"value": fits}, {}])
    with refused(121):
        rows.insert_one({"value": misfit})

    assert rows.count_documents({"value": {"$type": bson_type}}) == 1


def test_what_is_in_an_array_is_looked_at(database):
    """Each of its elements has to fit; how many there are does not matter."""
    schema = {"properties": {"tags": {"bsonType": "array", "items": {"bsonType": "string"}}}}
    rows = database.create_collection("rows", validator={"$jsonSchema": schema})

    rows.insert_many([{"tags": []}, {"tags": ["a", "b"]}])

    with refused(121):
        rows.insert_one({"tags": ["a", 1]})


@pytest.mark.parametrize(
    ("code", "schema"),
    [
        (9, {"unknown": 1}),
        (9, {"required": []}),
        (9, {"properties": {"name": {"format": "email"}}}),
        (2, {"bsonType": "integer"}),
    ],
    ids=repr,
)
def test_a_schema_that_is_none(database, code, schema):
    """It is refused when the collection is made."""
    with refused(code):
        database.create_collection("people", validator={"$jsonSchema": schema})


def test_rows_are_found_by_a_schema(people):
    """Those that fit, and by `$nor` those that do not."""
    people.insert_one({"_id": "bob", "name": "Robert"})

    assert [it["_id"] for it in people.find(IS_NAMED)] == ["ada"]
    assert [it["_id"] for it in people.find({"$nor": [IS_NAMED]})] == ["bob"]


# --- updates and filters ---------------------------------------------------------------------


def test_keys_go_and_get_other_names(database):
    """A key that is missing is passed over; one that is in the way is replaced."""
    rows = database["rows"]
    rows.insert_many([{"_id": 1, "old": 1, "new": 2}, {"_id": 2, "gone": 1}])

    result = rows.update_many({}, {"$rename": {"old": "new"}, "$unset": {"gone": ""}})

    assert (result.matched_count, result.modified_count) == (2, 2)
    assert list(rows.find(sort=[("_id", 1)])) == [{"_id": 1, "new": 1}, {"_id": 2}]
    with refused(40):
        rows.update_many({}, {"$rename": {"old": "new"}, "$set": {"new": 1}})
    with refused(66):
        rows.update_one({"_id": 1}, {"$set": {"_id": 3}})


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"value": {"$exists": True}}, [1, 2, 3]),
        ({"value": {"$exists": False}}, [4]),
        ({"value": None}, [1, 4]),
        ({"value": {"$ne": None}}, [2, 3]),
        ({"value": {"$type": "null"}}, [1]),
        ({"value": {"$type": ["int", "long"]}}, [2]),
        ({"value": {"$gte": float("-inf")}}, [2]),
        ({"value": {"$lt": "z"}}, [3]),
        ({"value": {"$not": {"$lt": "z"}}}, [1, 2, 4]),
        ({"value": {"$in": [None, "text"]}}, [1, 3, 4]),
        ({"value": {"$nin": [None]}}, [2, 3]),
        ({"_id": {"$in": [4, 2, 9]}}, [2, 4]),
        ({"$and": [{"_id": {"$in": [1, 2]}}, {"value": 7}]}, [2]),
        ({"$or": [{"_id": 1}, {"value": 7}]}, [1, 2]),
    ],
    ids=repr,
)
def test_filters(database, query, ids):
    """Null is what is missing as well, and values of other types are not compared."""
    values = ({"value": None}, {"value": 7}, {"value": "text"}, {})
    database["rows"].insert_many([{"_id": n, **it} for n, it in enumerate(values, 1)])

    assert [it["_id"] for it in database["rows"].find(query, sort=[("_id", 1)])] == ids


@pytest.mark.parametrize("query", [{"a": {"$no": 1}}, {"$no": 1}, {"a": {"$in": 1}}, {"$or": []}])
def test_what_is_no_filter(database, query):
    """It is refused where there is nothing to be found as well."""
    with refused(2):
        database["nobody"].find_one(query)


def test_counters_keep_their_types(database):
    """32 bits become 64 when they have to; nothing is added to null."""
    rows = database["rows"]
    rows.insert_one({"_id": 1, "int": 2**31 - 1, "long": Int64(1), "null": None})

    rows.update_one({}, {"$inc": {"int": 1, "long": 1, "new": 1}})

    for name, bson_type in {"int": "long", "long": "long", "new": "int"}.items():
        assert rows.count_documents({name: {"$type": bson_type}}) == 1
    with refused(14):
        rows.update_one({}, {"$inc": {"null": 1}})


def test_what_was_changed_is_counted(people):
    """A row that is already so matches, and is not modified."""
    answers = [people.update_one({}, {"$set": {"name": name}}) for name in ("Ada", "Eve")]

    assert [(it.matched_count, it.modified_count) for it in answers] == [(1, 0), (1, 1)]


def test_a_row_is_changed_or_made(database):
    """From the equalities of the filter and the update."""
    locks = database["locks"]
    update = {"$set": {"owner": "a"}, "$setOnInsert": {"since": 1}}
    one = {"upsert": True, "return_document": ReturnDocument.AFTER}

    made = locks.find_one_and_update({"_id": "x"}, update, **one)
    changed = locks.update_one({"_id": "x"}, {"$set": {"owner": "b"}}, upsert=True)
    other = locks.update_one({"_id": "y", "n": {"$gt": 1}}, update, upsert=True)

    assert made == {"_id": "x", "owner": "a", "since": 1}
    assert (changed.upserted_id, other.upserted_id) == (None, "y")
    assert locks.find_one({"_id": "y"}) == {"_id": "y", "owner": "a", "since": 1}


def test_writes_of_many_rows(people):
    """In order the first refused one is the last; out of order the others are done."""
    rows = [{"_id": "bob"}, {"_id": "ada"}, {"_id": "eve"}]

    with pytest.raises(BulkWriteError) as in_order:
        people.insert_many([dict(it) for it in rows])
    with pytest.raises(BulkWriteError) as out_of_order:
        people.insert_many([dict(it) for it in rows], ordered=False)

    assert in_order.value.details["nInserted"] == 1
    assert [it["index"] for it in in_order.value.details["writeErrors"]] == [1]
    assert out_of_order.value.details["nInserted"] == 1
    assert [it["index"] for it in out_of_order.value.details["writeErrors"]] == [0, 1]


def test_many_rows_come_in_batches(database):
    """Each of them once, in their order."""
    rows = [{"_id": n} for n in range(500)]
    database["rows"].insert_many(rows)

    assert list(database["rows"].find(sort=[("_id", 1)], batch_size=7)) == rows
    assert list(database["rows"].aggregate([{"$match": {}}, {"$sort": {"_id": 1}}])) == rows


# --- ids -------------------------------------------------------------------------------------

IDS = [
    (Binary.from_uuid(ONE), Binary.from_uuid(TWO), Binary(ONE.bytes, 3)),
    (ObjectId("0" * 23 + "1"), ObjectId("0" * 23 + "2"), "0" * 23 + "1"),
    ("a", "b", Binary(b"a", 0)),
]


@pytest.mark.parametrize(("first", "second", "other"), IDS, ids=["uuid", "object id", "text"])
def test_ids_of_every_type(database, first, second, other):
    """They come back, are found, sorted, joined and unique by value, type and subtype."""
    people, pets = database["people"], database["pets"]
    pets.create_index("owner", unique=True)
    people.insert_many([{"_id": second}, {"_id": first}, {"_id": other}])
    pets.insert_many([{"_id": first, "owner": second}, {"_id": second, "owner": first}])

    assert people.find_one({"_id": first}) == {"_id": first}
    assert type(people.find_one({"_id": first})["_id"]) is type(first)
    assert [it["_id"] for it in pets.find({"owner": {"$in": [first, other]}})] == [second]
    both = people.find({"_id": {"$in": [second, first]}}, sort=[("_id", 1)])
    assert [it["_id"] for it in both] == [first, second]
    join = {"from": "pets", "localField": "_id", "foreignField": "owner", "as": "pets"}
    joined = people.aggregate([{"$match": {"_id": first}}, {"$lookup": {**join, "pipeline": []}}])
    assert list(joined) == [{"_id": first, "pets": [{"_id": second, "owner": first}]}]
    with refused(11000) as refusal:
        pets.insert_one({"owner": first})
    assert refusal.value.details["keyValue"] == {"owner": first}
    pets.insert_one({"owner": other})
    with refused(11000):
        people.insert_one({"_id": first})


def test_a_join_by_null(database):
    """It finds nulls and what is missing; rows stand in the order that is asked for."""
    database["books"].insert_many(
        [{"_id": 2}, {"_id": 1, "author": None}, {"_id": 3, "author": 9}]
    )
    database["people"].insert_many([{"_id": 1, "key": 9}, {"_id": 2, "key": None}, {"_id": 3}])
    lookup = {"from": "books", "localField": "key", "foreignField": "author", "as": "books"}
    steps = [{"$sort": {"_id": -1}}, {"$project": {"author": 0}}]

    found = database["people"].aggregate(
        [{"$sort": {"_id": 1}}, {"$lookup": {**lookup, "pipeline": steps}}]
    )

    nulls = [{"_id": 2}, {"_id": 1}]
    assert [it["books"] for it in found] == [[{"_id": 3}], nulls, nulls]


def test_rows_are_grouped(people):
    """By a key, with their number."""
    people.insert_many([{"name": "Ada"}, {"name": "Eve"}])

    group = {"$group": {"_id": "$name", "count": {"$sum": 1}}}
    twice = people.aggregate([group, {"$match": {"count": {"$gt": 1}}}])

    assert list(twice) == [{"_id": "Ada", "count": 2}]


# --- transactions ----------------------------------------------------------------------------

TRANSIENT = "TransientTransactionError"


@pytest.fixture
def begin(people):
    """Begin a transaction: its first command is what gives it its snapshot."""
    sessions = []

    def begin():
        session = people.database.client.start_session()
        sessions.append(session)
        session.start_transaction()
        people.find_one({}, session=session)
        return session

    yield begin
    for it in sessions:
        it.end_session()


def rename(people, name, session=None):
    """Give Ada another name."""
    return people.update_one({"_id": "ada"}, {"$set": {"name": name}}, session=session)


def test_what_is_not_committed_is_seen_by_nobody_else(people, begin):
    """Before the commit by the transaction alone; after it by everyone but older ones."""
    writer, reader = begin(), begin()

    rename(people, "Eve", writer)
    names = [people.find_one({}, session=it)["name"] for it in (None, reader, writer)]
    writer.commit_transaction()

    assert names == ["Ada", "Ada", "Eve"]
    assert people.find_one({})["name"] == "Eve"
    assert people.find_one({}, session=reader)["name"] == "Ada"


def test_what_is_aborted_never_was(people, begin):
    """Changes, new rows and deletions."""
    session = begin()
    rename(people, "Eve", session)
    people.insert_one({"_id": "bob"}, session=session)
    people.delete_one({"_id": "ada"}, session=session)

    session.abort_transaction()

    assert list(people.find()) == [ADA]


def test_two_transactions_write_the_same_row(people, begin):
    """The second one is refused while the first is open, and after it as well."""
    first, second, third = begin(), begin(), begin()
    rename(people, "Eve", first)

    with refused(112, TRANSIENT):
        rename(people, "Bob", second)
    first.commit_transaction()
    with refused(112, TRANSIENT):
        rename(people, "Bob", third)
    with refused(251, TRANSIENT):
        people.find_one({}, session=second)

    assert people.find_one({})["name"] == "Eve"


def test_two_transactions_write_different_rows(people, begin):
    """Nobody is refused."""
    people.insert_one({"_id": "bob"})
    first, second = begin(), begin()

    rename(people, "Eve", first)
    people.update_one({"_id": "bob"}, {"$set": {"name": "Bob"}}, session=second)
    second.commit_transaction()
    first.commit_transaction()

    assert sorted(it["name"] for it in people.find()) == ["Bob", "Eve"]


def test_two_transactions_take_the_same_key(people, begin):
    """The second one is refused as for a row: the first may still give it back."""
    people.create_index("name", unique=True)
    first, second, third = begin(), begin(), begin()
    people.insert_one({"name": "Eve"}, session=first)

    with refused(112, TRANSIENT):
        people.insert_one({"name": "Eve"}, session=second)
    first.commit_transaction()
    with refused(112, TRANSIENT):
        people.insert_one({"name": "Eve"}, session=third)

    with refused(11000):
        people.insert_one({"name": "Eve"}, session=begin())


def test_a_refused_write_ends_its_transaction(people, begin):
    """A taken key undoes whatever was before it."""
    session = begin()
    rename(people, "Eve", session)

    with refused(11000):
        people.insert_one(dict(ADA), session=session)
    with refused(251, TRANSIENT):
        people.find_one({}, session=session)

    assert list(people.find()) == [ADA]


@pytest.mark.parametrize("end", ["commit_transaction", "abort_transaction"])
def test_a_write_beside_a_transaction_waits_for_it(people, begin, end):
    """It is done to the row as it is then."""
    session = begin()
    people.update_one({"_id": "ada"}, {"$set": {"name": "Eve"}}, session=session)
    modified = []
    beside = threading.Thread(
        target=lambda: modified.append(people.delete_one({"name": "Ada"}).deleted_count)
    )

    beside.start()
    beside.join(timeout=0.1)
    is_waiting = beside.is_alive()
    getattr(session, end)()
    beside.join()

    assert is_waiting
    assert modified == [1 if end == "abort_transaction" else 0]


def test_a_session_that_ends_undoes_its_transaction(people, begin):
    """Its rows are free at once."""
    session = begin()
    rename(people, "Eve", session)

    session.end_session()

    assert rename(people, "Bob").modified_count == 1


def test_a_commit_that_is_tried_again(people, begin):
    """It is answered as the first was."""
    session = begin()
    rename(people, "Eve", session)

    session.commit_transaction()
    session.commit_transaction()

    assert people.find_one({})["name"] == "Eve"


def test_collections_are_not_changed_in_transactions(people, begin):
    """Nor counted by the command for it."""
    for command in ({"collMod": "people"}, {"count": "people"}):
        with refused(263):
            people.database.command(command, session=begin())


def test_a_write_that_is_tried_again(people):
    """What has the number of the one before it is not done twice."""
    command = {"insert": "people", "documents": [{"_id": "eve"}], "txnNumber": Int64(7)}

    with people.database.client.start_session() as session:
        answers = [people.database.command(dict(command), session=session) for _ in "ab"]

    assert [it["n"] for it in answers] == [1, 1]
    assert people.count_documents({}) == 2


@pytest.mark.parametrize("options", [{}, {"directConnection": True}], ids=repr)
def test_it_is_a_replica_set(mongodb_url, options):
    """Found by a plain URL, and by one that asks for no other servers."""
    with MongoClient(mongodb_url, **options) as client:
        client.admin.command("ping")
        hello = client.admin.command("hello")

        assert hello["isWritablePrimary"]
        assert hello["me"] in hello["hosts"]
        assert hello["setName"]
        assert client.topology_description.topology_type_name == (
            "Single" if options else "ReplicaSetWithPrimary"
        )


@pytest.mark.skipif(REAL is not None, reason="the real server is a replica set")
def test_a_server_that_is_alone(mongodb_alone_url):
    """It is no replica set, and refuses transactions."""
    with MongoClient(mongodb_alone_url) as client, client.start_session() as session:
        assert "setName" not in client.admin.command("hello")
        client.watchword.people.insert_one({})
        session.start_transaction()

        with refused(20):
            client.watchword.people.find_one({}, session=session)


def test_a_command_that_is_unknown(database):
    """It is refused."""
    with refused(59):
        database.command("noSuchCommand")


def test_a_field_that_is_unknown(people):
    """It is refused: nothing that was asked for is passed over."""
    with refused(40415):
        people.database.command("find", "people", unknown=1)
