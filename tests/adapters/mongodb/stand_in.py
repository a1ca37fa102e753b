"""Runs nx-27017 in the place of a MongoDB server: python stand_in.py <port>.

It lacks what the storage contract is about, so some of it is added here, as MongoDB does it:

* updates keep the types of values, and null differs from an instant
* a taken key is an error of findAndModify as well
* $lookup keeps `_id`, and the order that its pipeline asks for
* transactions see nothing of one another. MongoDB lets them go on side by side and refuses the
  second that writes a document; here everybody else waits until the first has ended, and a
  transaction that has waited too long is told of a write conflict.
"""

import inspect
import sys
import threading
from sqlite3 import IntegrityError
from textwrap import dedent
from typing import Any

from neosqlite.binary import Binary
from neosqlite.collection import Collection
from neosqlite.collection.cursor import Cursor
from neosqlite.collection.json_helpers import NeoSQLiteJSONEncoder
from neosqlite.collection.query_engine import python_aggregation_engine
from neosqlite.collection.query_helper import set_force_fallback
from neosqlite.collection.sql_translator_unified import SQLTranslator
from nx_27017.handler import NeoSQLiteHandler
from nx_27017.server import run_server_threaded

PATIENCE = 0.002
WITHOUT_TURN = {"hello", "ismaster", "isMaster", "ping", "endSessions", "buildInfo"}
CONFLICT = {
    "ok": 0,
    "code": 112,
    "codeName": "WriteConflict",
    "errmsg": "Write conflict during plan execution",
    "errorLabels": ["TransientTransactionError"],
}


class StandIn(NeoSQLiteHandler):
    """A server in memory on which one transaction is open at a time."""

    def __init__(self) -> None:
        super().__init__(data_dir="memory")
        self._turn = threading.Condition()
        self._owner: Any = None

    def handle_command(self, msg: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do a command when it is its turn."""
        return self._in_turn(msg, super().handle_command)

    def handle_insert(self, msg: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do an insert when it is its turn."""
        return self._in_turn(msg, super().handle_insert)

    def _in_turn(self, msg: dict[str, Any], handle: Any) -> tuple[int, dict[str, Any]]:
        command = next(doc for kind, doc in msg["sections"] if kind == "body")
        command.pop("readConcern", None)  # an insert takes it for a document
        if WITHOUT_TURN & set(command):
            return handle(msg)
        session = command["lsid"]["id"] if "autocommit" in command else None
        with self._turn:
            mine = {None, session}
            patience = None if session is None else PATIENCE
            if not self._turn.wait_for(lambda: self._owner in mine, patience):
                return msg["request_id"], dict(CONFLICT)
            self._owner = session
            request_id, answer = self._handle(msg, handle)
            if session is None or {"commitTransaction", "abortTransaction"} & set(command):
                self._owner = None
                self._turn.notify_all()
            return request_id, answer

    def _handle(self, msg: dict[str, Any], handle: Any) -> tuple[int, dict[str, Any]]:
        _refused.clear()
        command = next(doc for kind, doc in msg["sections"] if kind == "body")
        if "startTransaction" in command:  # which an aggregate would pass over
            name = command["$db"]
            self._get_or_create_session(command, self.get_database(name), name)
        request_id, answer = handle(msg)
        if _refused and answer.get("ok") and not answer.get("value", True):
            answer = {"ok": 0, "code": 11000, "errmsg": str(_refused[0])}
        return request_id, answer


_refused: list[IntegrityError] = []


def notes_refusals(method: Any) -> Any:
    """Note what the handler swallows."""

    def noting(*arguments: Any, **options: Any) -> Any:
        try:
            return method(*arguments, **options)
        except IntegrityError as error:
            _refused.append(error)
            raise

    return noting


def encoded_bytes(default: Any) -> Any:
    """Have bytes written in an update as they are in an insert."""
    return lambda self, value: default(self, Binary(value) if type(value) is bytes else value)


def mend_lookup() -> None:
    """Have $lookup keep ids, and sort by them."""
    function = python_aggregation_engine.execute_python_aggregation
    source = dedent(inspect.getsource(function))
    for flaw, mended in {
        ' if k != "_id"': "",
        "from_collection.find(session=session)": "from_collection.find().sort('_id', 1)",
    }.items():
        if flaw not in source:
            raise RuntimeError(f"this version has no {flaw!r} to mend")
        source = source.replace(flaw, mended)
    names = dict(vars(python_aggregation_engine))
    exec(compile(source, function.__code__.co_filename, "exec"), names)
    function.__code__ = names[function.__name__].__code__


def main() -> None:
    """Serve until somebody ends it."""
    set_force_fallback()
    Cursor._contains_datetime_operations = lambda *_: False
    SQLTranslator.translate_match = lambda *_, **__: (None, [])
    NeoSQLiteJSONEncoder.default = encoded_bytes(NeoSQLiteJSONEncoder.default)
    mend_lookup()
    Collection.find_one_and_update = notes_refusals(Collection.find_one_and_update)
    run_server_threaded("127.0.0.1", int(sys.argv[1]), StandIn(), use_threading=True)


if __name__ == "__main__":
    main()
