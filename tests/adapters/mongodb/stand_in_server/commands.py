"""The commands of the protocol, by their names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import time
from typing import Any, Final

from bson import DatetimeMS, Int64

from stand_in_server import writes
from stand_in_server.aggregation import aggregated
from stand_in_server.catalog import Collection, index_spec
from stand_in_server.filters import predicate, project
from stand_in_server.refusals import Refusal
from stand_in_server.transactions import Store, View
from stand_in_server.values import MISSING, Document, found_at, in_order, order_key

Answer = dict[str, Any]

FIRST_BATCH: Final = 101
VALIDATION: Final = ("validator", "validationLevel", "validationAction")
CREATE: Final = {*VALIDATION, "collation", "comment", "writeConcern"}
ENVELOPE: Final = {"lsid", "txnNumber", "$db", "$clusterTime", "$readPreference", "comment"}


@dataclass
class Request:
    """A command, and where it is done.

    Args:
        store: The collections.
        view: The documents as it sees them.
        command: Its document.
        server: What is told of the server.
    """

    store: Store
    view: View
    command: Document
    server: "Server"

    @property
    def name(self) -> str:
        """Return the command's name."""
        return next(iter(self.command))

    @property
    def operand(self) -> Any:
        """Return the value of its name: a collection's name, mostly."""
        return self.command[self.name]

    @property
    def database(self) -> str:
        """Return the database's name."""
        return str(self.command["$db"])

    @property
    def is_checked(self) -> bool:
        """Tell whether validators are asked."""
        return not self.command.get("bypassDocumentValidation", False)

    def found(self) -> Collection | None:
        """Return the collection that it is about, if it is there."""
        return self.store.find(self.database, self.operand)

    def made(self) -> Collection:
        """Return the collection that it is about; make it if it is not there."""
        return self.found() or self.store.make(self.database, self.operand)


@dataclass
class Server:
    """What is told of the server, and its cursors.

    Args:
        address: Host and port.
        is_alone: It is no replica set.
    """

    address: str
    is_alone: bool
    cursors: dict[int, list[Document]] = field(default_factory=dict)
    cursor_ids: "count[int]" = field(default_factory=lambda: count(1))
    connections: "count[int]" = field(default_factory=lambda: count(1))

    def cursor(self, namespace: str, rows: list[Document], command: Mapping[str, Any]) -> Answer:
        """Answer with the first batch, and keep the others for `getMore`."""
        asked = command.get("cursor", command).get("batchSize", FIRST_BATCH)
        batch = {"firstBatch": rows[:asked], "id": Int64(0), "ns": namespace}
        if rows[asked:] and not command.get("singleBatch"):
            batch["id"] = Int64(next(self.cursor_ids))
            self.cursors[batch["id"]] = rows[asked:]
        return {"cursor": batch}


# --- the server --------------------------------------------------------------------------------


def hello(request: Request) -> Answer:
    """Say what the server is: the primary of a replica set of one, or alone."""
    server = request.server
    of_set = {"setName": "rs0", "setVersion": 1, "hosts": [server.address], "secondary": False}
    of_set |= {"primary": server.address, "me": server.address}
    return {
        **({} if server.is_alone else of_set),
        "helloOk": True,
        "isWritablePrimary": True,
        "ismaster": True,
        "maxBsonObjectSize": 16 * 2**20,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": DatetimeMS(int(time() * 1000)),
        "logicalSessionTimeoutMinutes": 30,
        "connectionId": next(server.connections),
        "minWireVersion": 0,
        "maxWireVersion": 13,
        "readOnly": False,
    }


def build_info(_: Request) -> Answer:
    """Name the oldest server that is promised to do."""
    return {"version": "5.0.0", "versionArray": [5, 0, 0, 0]}


def nothing(_: Request) -> Answer:
    """Do nothing."""
    return {}


# --- the catalog -------------------------------------------------------------------------------


def create(request: Request) -> Answer:
    """Make a collection."""
    options = {name: it for name, it in request.command.items() if name not in ENVELOPE}
    options.pop("create")
    if unknown := set(options) - CREATE:
        raise Refusal(40415, f"BSON field 'create.{min(unknown)}' is an unknown field.")
    if (there := request.found()) is not None:
        raise Refusal(48, f"Collection {there.namespace} already exists.")
    options.pop("writeConcern", None)
    request.store.make(request.database, request.operand, options)
    return {}


def coll_mod(request: Request) -> Answer:
    """Change the validator, or when what is in an index expires."""
    if request.found() is None:
        raise Refusal(26, "ns does not exist")
    collection = request.store.require_quiet(request.database, request.operand)
    changes = {name: it for name, it in request.command.items() if name in VALIDATION}
    asked = request.command.get("index")
    answer = _changed_expiry(collection, asked) if asked else {}
    kept = {name: it for name, it in {**collection.options, **changes}.items() if it != {}}
    if not kept.get("validator"):
        kept = {name: it for name, it in kept.items() if name in changes or name not in VALIDATION}
    collection.set_options(kept)
    return answer


def _changed_expiry(collection: Collection, asked: Mapping[str, Any]) -> Answer:
    named = asked.get("name", asked.get("keyPattern"))
    index = None if named is None else collection.find_index(named)
    if index is None:
        raise Refusal(27, f"cannot find index {named} for ns {collection.namespace}")
    after = asked["expireAfterSeconds"]
    before = index.spec.get("expireAfterSeconds")
    if before is None:
        # Newer servers than 5.0 make it one that expires.
        raise Refusal(72, "no expireAfterSeconds field to update")
    index.spec["expireAfterSeconds"] = after
    return {"expireAfterSeconds_old": before, "expireAfterSeconds_new": after}


def list_collections(request: Request) -> Answer:
    """Answer with the collections of a database."""
    database, command = request.database, request.command
    matches = predicate(command.get("filter", {}))
    entries = [
        it.entry() for (name, _), it in request.store.collections.items() if name == database
    ]
    chosen = [it for it in entries if matches(it)]
    if command.get("nameOnly"):
        chosen = [{"name": it["name"], "type": it["type"]} for it in chosen]
    return request.server.cursor(f"{database}.$cmd.listCollections", chosen, command)


def list_databases(request: Request) -> Answer:
    """Answer with the names of the databases."""
    names = sorted({database for database, _ in request.store.collections})
    return {"databases": [{"name": name, "sizeOnDisk": 1, "empty": False} for name in names]}


def create_indexes(request: Request) -> Answer:
    """Make indexes: all of them or none."""
    is_new = request.found() is None
    specs = [index_spec(it) for it in request.command["indexes"]]
    request.made()
    collection = request.store.require_quiet(request.database, request.operand)
    before = dict(collection.indexes)
    try:
        for spec in specs:
            collection.make_index(spec)
    except Refusal:
        collection.indexes = before
        raise
    same = {"note": "all indexes already exist"} if len(before) == len(collection.indexes) else {}
    return {
        "numIndexesBefore": len(before),
        "numIndexesAfter": len(collection.indexes),
        "createdCollectionAutomatically": is_new,
        **same,
    }


def list_indexes(request: Request) -> Answer:
    """Answer with the specs of the indexes."""
    collection = request.found()
    if collection is None:
        raise Refusal(26, f"ns does not exist: {request.database}.{request.operand}")
    specs = [it.spec for it in collection.indexes.values()]
    return request.server.cursor(collection.namespace, specs, request.command)


def drop_indexes(request: Request) -> Answer:
    """Drop one, several or all but that of the id."""
    collection = request.store.require_quiet(request.database, request.operand)
    asked, before = request.command["index"], dict(collection.indexes)
    every = [name for name in before if name != "_id_"]
    try:
        for one in every if asked == "*" else asked if isinstance(asked, list) else [asked]:
            collection.drop_index(one)
    except Refusal:
        collection.indexes = before
        raise
    return {"nIndexesWas": len(before)}


def rename_collection(request: Request) -> Answer:
    """Give a collection another name; its validator and its indexes go along."""
    source, target = request.operand.split(".", 1), request.command["to"].split(".", 1)
    if request.database != "admin":
        raise Refusal(13, "renameCollection may only be run against the admin database.")
    if source == target:
        raise Refusal(20, "Can't rename a collection to itself")
    if request.store.find(*source) is None:
        raise Refusal(26, f"Source collection {request.operand} does not exist")
    if request.store.find(*target) is not None:
        if not request.command.get("dropTarget"):
            raise Refusal(48, "target namespace exists")
        request.store.require_quiet(*target)
    collection = request.store.require_quiet(*source)
    del request.store.collections[collection.database, collection.name]
    collection.database, collection.name = target
    request.store.collections[collection.database, collection.name] = collection
    return {}


def drop(request: Request) -> Answer:
    """Drop a collection."""
    collection = request.store.require_quiet(request.database, request.operand)
    del request.store.collections[request.database, request.operand]
    return {"nIndexesWas": len(collection.indexes), "ns": collection.namespace}


def drop_database(request: Request) -> Answer:
    """Drop a database."""
    names = [name for database, name in request.store.collections if database == request.database]
    for name in names:
        request.store.require_quiet(request.database, name)
        del request.store.collections[request.database, name]
    return {"dropped": request.database} if names else {}


# --- reading -----------------------------------------------------------------------------------


def _read(request: Request, name: str, query: Mapping[str, Any]) -> list[Document]:
    collection = request.store.find(request.database, name)
    predicate(query)
    return [] if collection is None else writes.find(request.view, collection, query)


def find(request: Request) -> Answer:
    """Answer with documents."""
    command = request.command
    rows = in_order(
        _read(request, request.operand, command.get("filter", {})), command.get("sort")
    )
    rows = rows[command.get("skip", 0) :]
    rows = rows[: command.get("limit") or None]
    chosen = [project(row, command.get("projection")) for row in rows]
    return request.server.cursor(f"{request.database}.{request.operand}", chosen, command)


def aggregate(request: Request) -> Answer:
    """Answer with what becomes of documents in a pipeline."""
    pipeline = list(request.command["pipeline"])
    first = pipeline.pop(0)["$match"] if pipeline and "$match" in pipeline[0] else {}
    rows = _read(request, request.operand, first)
    result = aggregated(rows, pipeline, lambda name: _read(request, name, {}))
    return request.server.cursor(f"{request.database}.{request.operand}", result, request.command)


def count_documents(request: Request) -> Answer:
    """Answer with how many documents match."""
    return {"n": len(_read(request, request.operand, request.command.get("query", {})))}


def distinct(request: Request) -> Answer:
    """Answer with the different values of a key."""
    rows = _read(request, request.operand, request.command.get("query", {}))
    path = request.command["key"].split(".")
    values = [it for row in rows for it in found_at(row, path) if it is not MISSING]
    return {"values": list({order_key(it): it for it in values}.values())}


def get_more(request: Request) -> Answer:
    """Answer with the next batch of a cursor."""
    if request.operand not in request.server.cursors:
        raise Refusal(43, f"cursor id {request.operand} not found")
    rows = request.server.cursors.pop(request.operand)
    size = request.command.get("batchSize") or len(rows)
    if rows[size:]:
        request.server.cursors[request.operand] = rows[size:]
    cursor_id = request.operand if rows[size:] else Int64(0)
    namespace = f"{request.database}.{request.command['collection']}"
    return {"cursor": {"nextBatch": rows[:size], "id": cursor_id, "ns": namespace}}


def kill_cursors(request: Request) -> Answer:
    """Forget cursors."""
    known = [it for it in request.command["cursors"] if request.server.cursors.pop(it, None)]
    return {"cursorsKilled": known}


# --- writing -----------------------------------------------------------------------------------


def insert(request: Request) -> Answer:
    """Write new documents."""
    collection = request.made()

    def step(document: Document) -> dict[str, Any]:
        writes.insert(request.view, collection, document, is_checked=request.is_checked)
        return {"n": 1}

    return _each(request, request.command["documents"], step)


def update(request: Request) -> Answer:
    """Change documents."""

    def step(asked: Document) -> dict[str, Any]:
        collection = request.made() if asked.get("upsert") else request.found()
        if collection is None:
            return {"n": 0, "nModified": 0}
        return writes.update(request.view, collection, asked, is_checked=request.is_checked)

    return _each(request, request.command["updates"], step, nModified=0)


def delete(request: Request) -> Answer:
    """Delete documents."""
    collection = request.found()

    def step(asked: Document) -> dict[str, Any]:
        predicate(asked["q"])
        return {"n": writes.delete(request.view, collection, asked) if collection else 0}

    return _each(request, request.command["deletes"], step)


def _each(
    request: Request,
    asked: Sequence[Document],
    step: Callable[[Document], dict[str, Any]],
    **totals: int,
) -> Answer:
    """Do one write after the other; the first refused one ends it, if they are ordered."""
    totals = {"n": 0, **totals}
    errors: list[dict[str, Any]] = []
    upserted: list[dict[str, Any]] = []
    for index, one in enumerate(asked):
        try:
            done = step(one)
        except Refusal as refusal:
            if refusal.code == 112:
                raise
            errors.append(refusal.write_error(index))
            if request.view.transaction is not None or request.command.get("ordered", True):
                break
            continue
        if "upserted" in done:
            upserted.append({"index": index, "_id": done["upserted"]})
        totals = {name: total + done[name] for name, total in totals.items()}
    lists = {"writeErrors": errors, "upserted": upserted}
    return {**totals, **{name: it for name, it in lists.items() if it}}


def find_and_modify(request: Request) -> Answer:
    """Change or delete one document and answer with it."""
    collection = request.made() if request.command.get("upsert") else request.found()
    if collection is None:
        updates = {} if request.command.get("remove") else {"updatedExisting": False}
        return {"lastErrorObject": {"n": 0, **updates}, "value": None}
    return writes.find_and_modify(
        request.view, collection, request.command, is_checked=request.is_checked
    )


COMMANDS: Final[Mapping[str, Callable[[Request], Answer]]] = {
    "hello": hello,
    "ismaster": hello,
    "isMaster": hello,
    "buildInfo": build_info,
    "buildinfo": build_info,
    "ping": nothing,
    "create": create,
    "collMod": coll_mod,
    "listCollections": list_collections,
    "listDatabases": list_databases,
    "createIndexes": create_indexes,
    "listIndexes": list_indexes,
    "dropIndexes": drop_indexes,
    "renameCollection": rename_collection,
    "drop": drop,
    "dropDatabase": drop_database,
    "find": find,
    "aggregate": aggregate,
    "count": count_documents,
    "distinct": distinct,
    "getMore": get_more,
    "killCursors": kill_cursors,
    "insert": insert,
    "update": update,
    "delete": delete,
    "findAndModify": find_and_modify,
}
IN_TRANSACTIONS: Final = {
    *("find", "aggregate", "distinct", "getMore", "killCursors"),
    *("insert", "update", "delete", "findAndModify"),
}
# What says nothing about what is done, or what there is only one way of here.
_COMMON: Final = {
    *("lsid", "txnNumber", "startTransaction", "autocommit", "$db", "$readPreference"),
    *("$clusterTime", "readConcern", "writeConcern", "comment", "maxTimeMS"),
}
_WRITE: Final = {"ordered", "bypassDocumentValidation"}
FIELDS: Final[Mapping[str, set[str]]] = {
    "find": {*("filter", "sort", "projection", "skip", "limit", "batchSize", "singleBatch")},
    "aggregate": {"pipeline", "cursor"},
    "count": {"query"},
    "distinct": {"key", "query"},
    "insert": {"documents", *_WRITE},
    "update": {"updates", *_WRITE},
    "delete": {"deletes", "ordered"},
    "findAndModify": {
        *("query", "sort", "fields", "update", "remove", "new", "upsert"),
        "bypassDocumentValidation",
    },
    "updates": {"q", "u", "multi", "upsert"},
    "deletes": {"q", "limit"},
    "createIndexes": {"indexes"},
    "listIndexes": {"cursor"},
    "dropIndexes": {"index"},
    "collMod": {"index", *VALIDATION},
    "listCollections": {"filter", "nameOnly", "cursor", "authorizedCollections"},
    "renameCollection": {"to", "dropTarget"},
    "drop": set(),
    "dropDatabase": set(),
}


def check_fields(command: Document) -> None:
    """Refuse a command with a field that would be passed over, such as a collation."""
    name = next(iter(command))
    known = {name, *FIELDS.get(name, command), *_COMMON}
    parts = [(name, command, known)]
    for statements in ("updates", "deletes"):
        of_one = FIELDS[statements]
        parts += [(statements, one, of_one) for one in command.get(statements, ())]
    for place, part, fields in parts:
        if unknown := set(part) - fields:
            raise Refusal(40415, f"BSON field '{place}.{min(unknown)}' is an unknown field.")
