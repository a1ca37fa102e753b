"""A database of MongoDB for the tests, and who looks into it."""

import gc
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from struct import pack, unpack
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import bson
import pytest
from bson.binary import Binary
from bson.objectid import ObjectId
from pymongo import AsyncMongoClient, MongoClient, common
from pymongo.synchronous.database import Database

from watchword.adapters.mongodb.documents import Collections

STAND_IN: Final = Path(__file__).with_name("stand_in.py")
REAL: Final = os.environ.get("WATCHWORD_MONGODB_URL")


# A program that starts takes seconds on a machine that is busy.
PATIENCE_MS: Final = 30_000


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


class Server:
    """A stand-in that may be killed and started again; it keeps nothing.

    Args:
        folder: Where it writes what happens to it.
    """

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"mongodb://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, str(STAND_IN), str(self._port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        with MongoClient(self.url, serverSelectionTimeoutMS=PATIENCE_MS) as client:
            client.admin.command("ping")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def collected() -> Iterator[None]:
    """End what was cut off; the driver's monitor leaves such a socket to the collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def eager_driver(monkeypatch) -> None:
    """Let the driver look soon, and again soon, whether a server is back."""
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.01)


@pytest.fixture
def server(tmp_path, eager_driver) -> Iterator[Server]:
    """A server of the test's own."""
    server = Server(tmp_path)
    try:
        server.start()
        yield server
    finally:
        with collected():
            server.kill()


@pytest.fixture(scope="session")
def mongodb_name() -> str:
    """The name of a database that nobody else has."""
    return f"watchword_{token_hex(6)}"


@contextmanager
def database_at(url: str, name: str) -> Iterator[Database]:
    """Open a database by a client that no adapter knows; drop it in the end."""
    with MongoClient(url, tz_aware=True) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="session")
def mongodb_database(mongodb_url, mongodb_name) -> Iterator[Database]:
    """That database of the replica set."""
    with database_at(mongodb_url, mongodb_name) as database:
        yield database


@pytest.fixture(scope="session")
def mongodb_alone_database(mongodb_alone_url, mongodb_name) -> Iterator[Database]:
    """That database of the server that is alone."""
    with database_at(mongodb_alone_url, mongodb_name) as database:
        yield database


def emptied(database: Database) -> Database:
    """Drop all collections: what documents have to be like differs from test to test."""
    for name in database.list_collection_names():
        database.drop_collection(name)
    return database


@pytest.fixture
def empty(mongodb_database) -> Database:
    """The database without collections."""
    return emptied(mongodb_database)


@pytest.fixture
def peek_into() -> Callable[[Database, Any], Callable[[str], list[dict[str, Any]]]]:
    """Read the rows of a model as they are in a database."""

    def peek_into(database: Database, schema: Any) -> Callable[[str], list[dict[str, Any]]]:
        def peek(model: str) -> list[dict[str, Any]]:
            it = Collections(schema).require(model)
            rows = list(database[it.name].find())
            return [{name: _plain(row[key]) for name, key in it.keys.items()} for row in rows]

        return peek

    return peek_into


def _plain(value: Any) -> Any:
    """Return the text that an id in the database stands for."""
    match value:
        case Binary(subtype=4):
            return str(value.as_uuid())
        case ObjectId():
            return str(value)
    return value


@pytest.fixture
def new_client(request, watchword_mode, run):
    """Make clients of PyMongo's that fit the test's mode."""
    made = []

    def new_client(url, **options):
        kind = MongoClient if watchword_mode.name == "driven" else AsyncMongoClient
        made.append(kind(url, **options))
        return made[-1]

    yield new_client
    with collected() if "proxy" in request.fixturenames else nullcontext():
        for it in made:
            closing = it.close()
            if closing is not None:
                run(closing)


@pytest.fixture
def client(new_client, mongodb_url):
    """PyMongo's client that fits the test's mode."""
    return new_client(mongodb_url)


@pytest.fixture
def alone_empty(mongodb_alone_database) -> Database:
    """The same on the server that is alone."""
    return emptied(mongodb_alone_database)


@pytest.fixture
def alone_client(new_client, mongodb_alone_url):
    """A client of that server."""
    return new_client(mongodb_alone_url)


# --- a way to the server that may be cut -----------------------------------------------------

OP_MSG: Final = 2013
HELLO: Final = frozenset({"hello", "ismaster", "isMaster"})
Fault: TypeAlias = Literal["cut", "lose", "hold"]


def take(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes."""
    taken = b""
    while len(taken) < size:
        more = connection.recv(size - len(taken))
        if not more:
            raise ConnectionError
        taken += more
    return taken


@dataclass
class Message:
    """A message of MongoDB's protocol, with the document that it is about."""

    request: int
    answers: int
    kind: int
    before: bytes
    body: dict[str, Any]
    after: bytes

    @classmethod
    def read(cls, connection: socket.socket) -> "Message":
        """Read the next one."""
        size, request, answers, kind = unpack("<iiii", take(connection, 16))
        content = take(connection, size - 16)
        match kind:
            case 1:  # OP_REPLY: flags, a cursor, where it is, how many
                start = 20
            case 2004:  # OP_QUERY: flags, a collection, two figures
                start = content.index(b"\0", 4) + 9
            case _:  # OP_MSG: flags, and the first section's kind
                start = 5
        [length] = unpack("<i", content[start : start + 4])
        body = bson.decode(content[start : start + length])
        return cls(request, answers, kind, content[:start], body, content[start + length :])

    @property
    def command(self) -> str:
        """What is asked."""
        return next(iter(self.body), "")

    def packed(self) -> bytes:
        """Return it as it travels."""
        content = self.before + bson.encode(self.body) + self.after
        return pack("<iiii", len(content) + 16, self.request, self.answers, self.kind) + content


class Proxy:
    """Stands before a server and lets a test decide what comes through.

    In front of a server that stands alone it also does what a replica set does for writes that
    the driver sends again: each is done once, and answered twice.

    Args:
        url: The server's.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._target = address.hostname, address.port
        self._faults: list[tuple[str, Fault]] = []
        self._answers: dict[Any, dict[str, Any]] = {}
        self._open: set[socket.socket] = set()
        self._guard = threading.Condition()
        self.seen: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/?directConnection=true"
        threading.Thread(target=self._accept, daemon=True).start()

    def fail(self, command: str, *faults: Fault) -> None:
        """Let the next calls of a command fail, one after another.

        Args:
            command: Its name.
            faults: `cut` before it is sent, `lose` its answer, or `hold` it for ever.
        """
        with self._guard:
            self._faults += [(command, it) for it in faults]

    def disconnect(self) -> None:
        """Cut every connection."""
        with self._guard:
            cut, self._open = self._open, set()
        for it in cut:
            cut_off(it)

    def close(self) -> None:
        """Take nobody in any more."""
        cut_off(self._listener)
        self._listener.close()
        self.disconnect()

    def times(self, command: str) -> int:
        """Return how often a command was asked for."""
        return self.seen.count(command)

    def wait_for(self, command: str, times: int) -> None:
        """Wait until a command was asked for so often."""
        with self._guard:
            assert self._guard.wait_for(lambda: self.times(command) >= times, PATIENCE_MS / 1000)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            with self._guard:
                self._open.add(client)
            try:
                with socket.create_connection(self._target) as server:
                    while self._pass_on(Message.read(client), client, server):
                        pass
            finally:
                with self._guard:
                    self._open.discard(client)

    def _pass_on(self, asked: Message, client: socket.socket, server: socket.socket) -> bool:
        fault = self._fault_of(asked.command)
        if fault == "cut":
            return False
        if fault == "hold":
            take(client, 1)
        answer = self._answer(asked, server)
        if fault == "lose":
            return False
        client.sendall(answer.packed())
        return True

    def _fault_of(self, command: str) -> Fault | None:
        with self._guard:
            self.seen.append(command)
            self._guard.notify_all()
            for planned in self._faults:
                if planned[0] == command:
                    self._faults.remove(planned)
                    return planned[1]
        return None

    def _answer(self, asked: Message, server: socket.socket) -> Message:
        key = self._key_of(asked)
        if key in self._answers:
            return Message(0, asked.request, OP_MSG, bytes(5), self._answers[key], b"")
        server.sendall(asked.packed())
        answer = Message.read(server)
        if asked.command in HELLO:
            answer.body.setdefault("setName", "stand-in")
        if key is not None:
            self._answers[key] = answer.body
        return answer

    def _key_of(self, asked: Message) -> object:
        """Name what the driver may send again; None for everything else."""
        body = asked.body
        if REAL is not None or "txnNumber" not in body:
            return None
        if "autocommit" not in body:
            return bytes(body["lsid"]["id"]), body.pop("txnNumber")
        is_end = asked.command == "commitTransaction"
        return (bytes(body["lsid"]["id"]), body["txnNumber"]) if is_end else None


def cut_off(connection: socket.socket) -> None:
    """Let both ends of a connection know that it is over."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def new_proxy(eager_driver) -> Iterator[Callable[[str], Proxy]]:
    """Make ways to servers that may be cut."""
    made: list[Proxy] = []

    def new_proxy(url: str) -> Proxy:
        made.append(Proxy(url))
        return made[-1]

    yield new_proxy
    with collected():
        for it in made:
            it.close()


@pytest.fixture
def proxy(new_proxy, mongodb_url) -> Proxy:
    """A way to the replica set that may be cut."""
    return new_proxy(mongodb_url)


@pytest.fixture
def cut_client(proxy, new_client):
    """PyMongo's client behind it."""
    return new_client(proxy.url)
