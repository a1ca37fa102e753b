"""Runs nx-27017, which speaks MongoDB's protocol over SQLite: the first line is its URL.

It is not ours, and shares none of our beliefs about MongoDB. What the storage contract is about
and it does otherwise is mended here, by name, each time with the reason:
`docs/decisions/0032-stand-ins-for-mongodb.md`.
"""

import inspect
import socket
import threading
from sqlite3 import IntegrityError
from textwrap import dedent
from typing import Any, Final

import bson
from neosqlite.binary import Binary
from neosqlite.collection import Collection
from neosqlite.collection.cursor import Cursor
from neosqlite.collection.json_helpers import NeoSQLiteJSONEncoder
from neosqlite.collection.query_engine import python_aggregation_engine
from neosqlite.collection.query_helper import set_force_fallback
from neosqlite.collection.sql_translator_unified import SQLTranslator
from nx_27017.handler import NeoSQLiteHandler
from nx_27017.server import handle_client_threaded

# It does not know a write that the driver sends again.
OPTIONS: Final = "directConnection=true&retryWrites=false"
DUPLICATE_KEY: Final = 11000


class Taken(BaseException):
    """A key is taken; no `Exception`, for those are swallowed on the way."""


class MendedHandler(NeoSQLiteHandler):
    """Does commands, on databases in memory."""

    def __init__(self) -> None:
        super().__init__(data_dir="memory")

    def handle_command(self, msg: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do what is no insert."""
        return self._mended(msg, super().handle_command)

    def handle_insert(self, msg: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do an insert."""
        return self._mended(msg, super().handle_insert)

    def _mended(self, msg: dict[str, Any], handle: Any) -> tuple[int, dict[str, Any]]:
        msg = {**msg, "sections": as_texts(msg["sections"])}
        command = next(doc for kind, doc in msg["sections"] if kind == "body")
        # An insert takes it for a document.
        command.pop("readConcern", None)
        # A transaction that an aggregate begins would not be begun.
        if "startTransaction" in command:
            name = command["$db"]
            self._get_or_create_session(command, self.get_database(name), name)
        try:
            request_id, answer = handle(msg)
        except Taken as error:
            return msg["request_id"], {"ok": 0, "code": DUPLICATE_KEY, "errmsg": str(error)}
        # It has transactions, and does not say so.
        if "hello" in command:
            answer["setName"] = "nx-27017"
        return request_id, as_uuids(answer)


# --- values ----------------------------------------------------------------------------------

# JSON has no place for a subtype: a UUID would come back as plain bytes, and not be found.
UUID: Final = "\ue000UUID "


def as_texts(it: Any) -> Any:
    """Return a message with texts in the place of UUIDs, in their order."""
    match it:
        case bson.Binary(subtype=4):
            return f"{UUID}{it.hex()}"
        case dict():
            return {key: value if key == "lsid" else as_texts(value) for key, value in it.items()}
        case list() | tuple():
            return type(it)(map(as_texts, it))
    return it


def as_uuids(it: Any) -> Any:
    """Return an answer with the UUIDs that its texts stand for."""
    match it:
        case str() if it.startswith(UUID):
            return bson.Binary(bytes.fromhex(it.removeprefix(UUID)), 4)
        case dict():
            return {key: as_uuids(value) for key, value in it.items()}
        case list() | tuple():
            return type(it)(map(as_uuids, it))
    return it


def with_plain_bytes(default: Any) -> Any:
    """Have an update write bytes as an insert does; else it refuses them."""
    return lambda self, value: default(self, Binary(value) if type(value) is bytes else value)


# --- commands --------------------------------------------------------------------------------


def telling(find_one_and_update: Any) -> Any:
    """Let findAndModify tell of a taken key; else it says that nothing was found."""

    def tell(*arguments: Any, **options: Any) -> Any:
        try:
            return find_one_and_update(*arguments, **options)
        except IntegrityError as error:
            raise Taken(str(error)) from error

    return tell


# $lookup leaves out the ids of what it found, and does not sort it by them.
LOOKUP: Final = {
    ' if k != "_id"': "",
    "from_collection.find(session=session)": "from_collection.find().sort('_id', 1)",
}


def mend_lookup() -> None:
    """Exchange these words in the source: it is in the middle of a long function."""
    function = python_aggregation_engine.execute_python_aggregation
    source = dedent(inspect.getsource(function))
    for flaw, mended in LOOKUP.items():
        if flaw not in source:
            raise RuntimeError(f"this version has no {flaw!r} to mend")
        source = source.replace(flaw, mended)
    names = dict(vars(python_aggregation_engine))
    exec(compile(source, function.__code__.co_filename, "exec"), names)
    function.__code__ = names[function.__name__].__code__


def mend() -> None:
    """Mend what its packages do with documents."""
    # An update by SQL makes numbers of booleans, and texts of instants.
    set_force_fallback()
    # What nothing fits, `{"$nor": [{}]}`, is broken SQL.
    SQLTranslator.translate_match = lambda *_, **__: (None, [])
    # A filter with an instant goes a way of its own, where null does not differ from one.
    Cursor._contains_datetime_operations = lambda *_: False
    NeoSQLiteJSONEncoder.default = with_plain_bytes(NeoSQLiteJSONEncoder.default)
    Collection.find_one_and_update = telling(Collection.find_one_and_update)
    mend_lookup()


def main() -> None:
    """Serve until somebody ends it."""
    mend()
    handler = MendedHandler()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"mongodb://127.0.0.1:{listening.getsockname()[1]}/?{OPTIONS}", flush=True)  # noqa: T201 - who started it reads it
        while True:
            client, _ = listening.accept()
            serving = (client, handler)
            threading.Thread(target=handle_client_threaded, args=serving, daemon=True).start()


if __name__ == "__main__":
    main()
