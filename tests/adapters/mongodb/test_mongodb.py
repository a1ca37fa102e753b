"""What is MongoDB's own: values that are no operators, conflicts, references, errors, URLs."""

import subprocess
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from bson.binary import Binary
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from watchword.adapters import adapter_for
from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.documents import Collections
from watchword.adapters.mongodb.filters import filter_of
from watchword.adapters.mongodb.refusals import is_lost_race, translated
from watchword.adapters.mongodb.rules import index_specs, snapshot_by
from watchword.errors import (
    ConfigurationError,
    InvalidValue,
    ReferenceViolation,
    StorageError,
    StorageUnavailable,
    TransactionEnded,
    UniqueViolation,
)
from watchword.storage.query import F, Increment
from watchword.testing.suite.models import SUITE_SCHEMA

COLLECTIONS = Collections(SUITE_SCHEMA)
SEATS, TICKETS, SPECIMENS = map(COLLECTIONS.require, ("seat", "ticket", "specimen"))
NOBODY = "mongodb://ada:sesame@127.0.0.1:1/auth?serverSelectionTimeoutMS=50"
# Whatever could stand in a body of a request where a text was expected.
OPERATORS = [{"$ne": None}, {"$gt": ""}, {"$where": "true"}, ["a"], {}, 1, True]


@pytest.fixture
def new_adapter(mongodb_name, run):
    """Make adapters that know the models."""

    def new_adapter(client, **settings):
        adapter = MongoDBAdapter(client, name=mongodb_name, **settings)
        adapter.bind(SUITE_SCHEMA)
        run(adapter.create_schema(SUITE_SCHEMA))
        return adapter

    return new_adapter


@pytest.fixture
def adapter(new_adapter, client, empty):
    """One with transactions."""
    return new_adapter(client)


@pytest.fixture
def alone(new_adapter, alone_client, alone_empty):
    """One on a server without them."""
    return new_adapter(alone_client, transactions=False)


def ticket(code, **values):
    """Return a new row."""
    return {"id": str(uuid4()), "code": code, **values}


# --- values are no operators -----------------------------------------------------------------


@pytest.mark.parametrize("value", OPERATORS, ids=repr)
async def test_attack_an_operator_in_the_place_of_a_value(adapter, value):
    """A condition, a new row and a change refuse it by the field's name."""
    await adapter.create("ticket", ticket("one", holder="Ada"))
    calls = (
        lambda: adapter.find_one("ticket", F.code == value),
        lambda: adapter.find_one("ticket", F.code.in_([value])),
        lambda: adapter.consume_one("ticket", F.code == value),
        lambda: adapter.find_many("ticket", F.code.contains(value)),
        lambda: adapter.update("ticket", F.code == "one", {"code": value}),
        lambda: adapter.create("ticket", ticket(value)),
    )

    for call in calls:
        with pytest.raises(InvalidValue) as refusal:
            await call()
        assert (refusal.value.model, refusal.value.field) == ("ticket", "code")

    assert await adapter.count("ticket", F.holder == "Ada") == 1


@pytest.mark.parametrize("text", ["$ne", "$code", "{$gt: ''}", ".*", "^", "(?i)one", "\\Qone\\E"])
async def test_attack_texts_that_look_like_operators(adapter, text):
    """They are kept, found and compared as the texts that they are."""
    await adapter.create("ticket", ticket("one"))
    written = await adapter.create("ticket", ticket(text, holder=text))

    for where in (F.code == text, F.code.contains(text), F.code.starts_with(text)):
        assert await adapter.find_many("ticket", where) == [written]
    for where in (F.code.ends_with(text), F.code.ieq(text), F.code.in_([text])):
        assert await adapter.find_many("ticket", where) == [written]


async def test_json_keeps_keys_that_mean_something_to_mongodb(adapter):
    """References, operators and dots come back as they were."""
    value = {"$ref": "users", "$id": 1, "$set": {"a.b": None}, "": 2**40}
    row = await adapter.create("specimen", {"id": str(uuid4()), "json": value})

    found = await adapter.find_one("specimen", F.id == row["id"])
    changed = await adapter.update("specimen", F.id == row["id"], {"json": [value]})

    assert found["json"] == value
    assert type(found["json"][""]) is int
    assert changed["json"] == [value]


@pytest.mark.never_loop
def test_every_value_stands_behind_an_operator():
    """Nothing in a filter is what a request brought, but behind one that is written here."""
    now = datetime(2026, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)

    assert filter_of(TICKETS, F.code == "$x") == {"code": {"$eq": "$x"}}
    assert filter_of(TICKETS, F.code.in_(["a"])) == {"code": {"$in": ["a"]}}
    assert filter_of(TICKETS, F.code.starts_with("a.b")) == {"code": {"$regex": "^a\\.b"}}
    assert filter_of(TICKETS, F.code.ieq("aK1")) == {"code": {"$regex": "^[aA][kK]1(?![\\s\\S])"}}
    assert filter_of(SPECIMENS, F.datetime < now) == {
        "datetime": {"$lt": now.replace(microsecond=123000)}
    }


@pytest.mark.never_loop
def test_unique_keys_leave_out_nulls():
    """By a condition that an equality is a part of, so that the index serves it."""
    tables = snapshot_by(Collections(SUITE_SCHEMA), expires=True).tables
    [seats], [code] = (index_specs(tables[it.name]) for it in (SEATS, TICKETS))

    assert seats["partialFilterExpression"] == {"number": {"$gte": float("-inf")}}
    assert code["unique"]
    assert "partialFilterExpression" not in code


# --- conflicts and references ----------------------------------------------------------------


async def test_a_transaction_that_lost_a_race_is_done_again(adapter, spawn):
    """It begins anew until the other one has ended, and nobody hears of it."""
    await adapter.create("ticket", ticket("one", uses=0))

    async def count():
        async with adapter.transaction():
            await adapter.update("ticket", F.code == "one", {"uses": Increment()})

    async with adapter.transaction():
        await adapter.update("ticket", F.code == "one", {"uses": Increment()})
        other = spawn(count)
        assert not await other.ended(within=0.1)
    await other.result()

    assert await adapter.count("ticket", F.uses == 2) == 1


async def test_what_was_done_again_has_to_answer_the_same(adapter, empty):
    """A transaction goes on after a savepoint only if nobody changed what it was told."""
    await adapter.create("ticket", ticket("one", uses=1))

    async def work():
        async with adapter.transaction():
            await adapter.update("ticket", F.code == "one", {"uses": Increment()})
            with pytest.raises(UniqueViolation):
                async with adapter.transaction():
                    await adapter.create("ticket", ticket("one"))
            empty[TICKETS.name].update_one({"code": "one"}, {"$set": {"uses": 7}})
            await adapter.count("ticket")

    with pytest.raises(StorageUnavailable) as refusal:
        await work()

    assert refusal.value.retryable
    assert await adapter.count("ticket", F.uses == 7) == 1


async def test_a_row_that_was_deleted_again_is_not_there(adapter):
    """A transaction that wrote it knows that, also by way of what it belonged to."""
    ids = {name: str(uuid4()) for name in ("author", "book")}
    for gone in ("author", "book"):
        with pytest.raises(TransactionEnded):  # noqa: PT012 - the whole transaction
            async with adapter.transaction():
                await adapter.create("author", {"id": ids["author"], "name": "Ada"})
                book = {"id": ids["book"], "title": "Notes", "author_id": ids["author"]}
                await adapter.create("book", book)
                await adapter.delete(gone, F.id == ids[gone])
                chapter = {"id": str(uuid4()), "title": "G", "book_id": ids["book"]}
                with pytest.raises(ReferenceViolation):
                    await adapter.create("chapter", chapter)

    assert await adapter.count("author") == 0


async def test_what_belongs_to_a_row_goes_without_transactions(alone):
    """Sessions and accounts go with their user; rows that have to stay are asked before."""
    ids = {name: str(uuid4()) for name in ("author", "book", "chapter", "note")}
    await alone.create("author", {"id": ids["author"], "name": "Ada"})
    await alone.create("book", {"id": ids["book"], "title": "Notes", "author_id": ids["author"]})
    await alone.create("chapter", {"id": ids["chapter"], "title": "G", "book_id": ids["book"]})
    await alone.create("note", {"id": ids["note"], "author_id": ids["author"]})

    await alone.delete("author", F.name == "Ada")

    counts = [await alone.count(model) for model in ("author", "book", "chapter", "note")]
    assert counts == [0, 0, 0, 1]
    assert await alone.count("note", F.author_id.is_null()) == 1
    assert not alone.capabilities.transactions
    assert not alone.capabilities.references


async def test_many_rows_without_transactions(alone):
    """Those before a refused one are deleted again."""
    await alone.create("ticket", ticket("one"))

    with pytest.raises(UniqueViolation):
        await alone.create_many("ticket", [ticket("two"), ticket("one"), ticket("three")])

    assert [row["code"] for row in await alone.find_many("ticket")] == ["one"]


async def test_documents_have_every_field(adapter, empty):
    """Null ones too, and none besides; the id is `_id`."""
    row = ticket("one")

    await adapter.create("ticket", row)

    nulls = {"holder": None, "uses": None, "total": None}
    kept = Binary.from_uuid(UUID(row["id"]))
    assert list(empty[TICKETS.name].find()) == [{"_id": kept, "code": "one", **nulls}]


# --- errors ----------------------------------------------------------------------------------


def refusal_of(error, it=TICKETS, *, writes=True):
    """Return what becomes of a driver's error."""
    with (
        pytest.raises((StorageError, ConfigurationError)) as refusal,
        translated(it, writes=writes),
    ):
        raise error
    assert refusal.value.__cause__ is error
    return refusal.value


def of_server(code, labels=(), **details):
    """Return what the driver raises for an answer of the server."""
    answer = {"ok": 0, "code": code, "errorLabels": list(labels), **details}
    return OperationFailure("its words: sesame", code, answer)


@pytest.mark.never_loop
@pytest.mark.parametrize(
    ("details", "fields"),
    [
        ({"keyPattern": {"room": 1, "number": 1}}, ("number", "room")),
        ({"keyPattern": {"_id": 1}}, ("id",)),
        (
            {"errmsg": "E11000 dup: t.x index: uq_seats_room_number dup key: {}"},
            ("number", "room"),
        ),
        ({"errmsg": "E11000 dup: t.x index: _id_ dup key: { _id: 1 }"}, ("id",)),
        ({"errmsg": "E11000 dup: t.x index: theirs dup key: {}"}, ()),
        ({"keyPattern": {"theirs": 1}}, ()),
    ],
    ids=repr,
)
def test_the_fields_of_a_taken_key(details, fields):
    """The server's pattern says it, or the index's name; of an index of theirs nothing is told."""
    single = refusal_of(DuplicateKeyError("", 11000, {"code": 11000, **details}), SEATS)
    answer = {"writeErrors": [{"code": 11000, **details}], "nInserted": 0}
    of_many = refusal_of(BulkWriteError(answer), SEATS)

    for refusal in (single, of_many):
        assert (type(refusal), refusal.model, refusal.fields) == (UniqueViolation, "seat", fields)


@pytest.mark.never_loop
@pytest.mark.parametrize(
    ("error", "writes", "retryable"),
    [
        (ServerSelectionTimeoutError(""), True, True),
        (AutoReconnect(""), False, True),
        (AutoReconnect(""), True, False),
        (AutoReconnect("", {"errorLabels": ["TransientTransactionError"]}), True, True),
        (AutoReconnect("", {"errorLabels": ["NoWritesPerformed"]}), True, True),
        (of_server(112), True, True),
        (of_server(251, ["TransientTransactionError"]), True, True),
        (of_server(18), True, True),
        (of_server(91, ["RetryableWriteError"]), True, False),
        (of_server(64, ["UnknownTransactionCommitResult"]), True, False),
        (ExecutionTimeout("", 50, {"ok": 0, "code": 50}), True, False),
        (ExecutionTimeout("", 50, {"ok": 0, "code": 50}), False, True),
        # The driver says no more of a write that it sent again without getting a connection.
        (WaitQueueTimeoutError(""), True, False),
        (WaitQueueTimeoutError(""), False, True),
        (NetworkTimeout("", {"errorLabels": ["TransientTransactionError"]}), True, True),
    ],
    ids=repr,
)
def test_what_may_be_tried_again(error, writes, retryable):
    """Only what surely was not done."""
    refusal = refusal_of(error, writes=writes)

    assert (type(refusal), refusal.retryable) == (StorageUnavailable, retryable)


@pytest.mark.never_loop
def test_what_is_done_again_at_once():
    """Lost races, but nothing that was waited for: each try would wait as long as the first."""
    label = {"errorLabels": ["TransientTransactionError"]}

    assert is_lost_race(of_server(112))
    assert is_lost_race(AutoReconnect("", label))
    assert not is_lost_race(ServerSelectionTimeoutError("", label))
    assert not is_lost_race(NetworkTimeout("", label))
    assert not is_lost_race(of_server(9))


@pytest.mark.never_loop
def test_refusals_do_not_repeat_the_servers_words():
    """They may hold values; a server without transactions is the developer's to mend."""
    assert "sesame" not in str(refusal_of(of_server(13)))
    assert "sesame" not in str(refusal_of(of_server(9)))
    refusal = refusal_of(of_server(20))

    assert isinstance(refusal, ConfigurationError)
    assert "transactions=False" in refusal.hint


async def test_nobody_is_there():
    """It is said so, may be tried again, and without the password."""
    adapter = MongoDBAdapter(NOBODY)
    adapter.bind(SUITE_SCHEMA)

    async def several():
        async with adapter.transaction():
            await adapter.create("ticket", ticket("one"))

    for call in (adapter.count("ticket"), adapter.create("ticket", ticket("one")), several()):
        with pytest.raises(StorageUnavailable) as refusal:
            await call
        assert refusal.value.retryable
        assert "sesame" not in str(refusal.value)
    await adapter.close()


# --- what it is made from --------------------------------------------------------------------


async def test_a_url_serves_both_modes(mongodb_url, mongodb_name, empty):
    """Under a loop and without one; the database is the one in its path."""
    adapter = adapter_for(urlsplit(mongodb_url)._replace(path=f"/{mongodb_name}").geturl())
    adapter.bind(SUITE_SCHEMA)

    await adapter.create("ticket", ticket("one"))
    await adapter.close()

    assert not adapter.capabilities.needs_loop
    assert [it["code"] for it in empty[TICKETS.name].find()] == ["one"]


@pytest.mark.never_loop
@pytest.mark.parametrize("url", ["mongodb://localhost:27017/auth", "mongodb+srv://example.org/a"])
def test_urls_lead_to_mongodb(url):
    """Both schemes; nothing is looked up before the first call."""
    assert isinstance(adapter_for(url), MongoDBAdapter)


@pytest.mark.needs_loop
async def test_clients_and_databases_lead_to_mongodb(mongodb_url):
    """Blocking and async; an async one needs its loop."""
    with MongoClient(mongodb_url) as blocking:
        async with AsyncMongoClient(mongodb_url) as asynchronous:
            made = [adapter_for(it) for it in (blocking, blocking.a, asynchronous, asynchronous.a)]

    assert [type(it) for it in made] == [MongoDBAdapter] * 4
    assert [it.capabilities.needs_loop for it in made] == [False, False, True, True]


@pytest.mark.never_loop
@pytest.mark.parametrize(
    "url", ["mongodb://ada:sesame@/", "mongodb://a:ses@me@h/", "mongo://sesame", "mongodb://"]
)
def test_a_url_that_cannot_be_read(url):
    """No part of it is repeated: any may be a piece of a password."""
    with pytest.raises(ConfigurationError) as refusal:
        MongoDBAdapter(url)

    assert "sesame" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.never_loop
async def test_an_async_client_without_a_loop(mongodb_url):
    """It is refused with what to pass instead."""
    adapter = MongoDBAdapter(AsyncMongoClient(mongodb_url))
    adapter.bind(SUITE_SCHEMA)

    with pytest.raises(ConfigurationError, match="needs an event loop"):
        await adapter.count("ticket")


@pytest.mark.never_loop
def test_the_driver_is_missing():
    """The error names what to install."""
    code = (
        "import sys; sys.modules['pymongo'] = None\n"
        "from watchword.adapters import adapter_for\n"
        "from watchword.errors import ConfigurationError\n"
        "try: adapter_for('mongodb://localhost')\n"
        "except ConfigurationError as error: print(error.hint)\n"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout == 'pip install "watchword[mongodb]"\n'
