"""Redis servers of the tests' own: one that may be stopped and paused, and a cluster of three."""

import gc
import signal
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from select import select
from typing import Any

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis.backoff import NoBackoff
from redis.retry import Retry

from watchword.adapters.redis import RedisStorage
from watchword.errors import StorageError, StorageUnavailable

PATIENCE = 30.0


def free_port() -> int:
    """Return a port of this machine that nobody listens to; nor on that of a cluster's bus."""
    while True:
        with socket.socket() as one, socket.socket() as other, suppress(OSError, OverflowError):
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            other.bind(("127.0.0.1", port + 10000))
            return port


class Server:
    """A Redis server that keeps nothing on the disk."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.folder = folder
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [*command, *self.options, *options], stdout=subprocess.DEVNULL
        )
        wait_until(self.answers)

    def answers(self) -> bool:
        """Tell whether it takes commands, or asks for a password first."""
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.ConnectionError:
                return False

    def is_whole(self) -> bool:
        """Tell whether this node of a cluster knows who has each slot."""
        with self.client() as client:
            state = client.execute_command("CLUSTER INFO")
        return "cluster_state:ok" in str(state) or dict(state).get("cluster_state") == "ok"

    def replica_port(self) -> int | None:
        """Return the port of the replica that has all that this node has."""
        with self.client() as client:
            found = client.info("replication")
        replica = found.get("slave0", {"offset": None})
        is_even = replica["offset"] == found["master_repl_offset"]
        return int(replica["port"]) if is_even and replica["state"] == "online" else None

    def client(self, **settings) -> redis.Redis:
        """Return a second client, past the storage."""
        settings |= {"socket_timeout": PATIENCE, "protocol": 2, "retry": Retry(NoBackoff(), 0)}
        return redis.Redis(port=self.port, **settings)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it hang, with its connections open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def wait_until(done) -> None:
    """Ask again and again, as long as somebody would wait."""
    ends_at = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < ends_at, done


@pytest.fixture
def patiently():
    """Ask again and again, as long as somebody would wait."""
    return wait_until


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    """A server of the test's own."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def start_cluster(
    stack: ExitStack, folders: list[Path], *, replicas: int = 0, patience: int = 2000
) -> list[Server]:
    """Start the nodes of a cluster, masters first, which are ended with the stack."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(patience))
    at_once = ("--repl-diskless-sync-delay", "0")
    nodes = [Server(it, *options, *at_once) for it in folders]
    for node in nodes:
        stack.callback(node.kill)
        node.start()
    subprocess.run(
        [
            *("redis-cli", "--cluster", "create"),
            *(f"127.0.0.1:{it.port}" for it in nodes),
            *("--cluster-replicas", str(replicas), "--cluster-yes"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    wait_until(lambda: all(it.is_whole() for it in nodes))
    return nodes


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[list[Server]]:
    """Three nodes without replicas, which have all slots among them."""
    with ExitStack() as stack:
        yield start_cluster(stack, [tmp_path_factory.mktemp("node") for _ in range(3)])


@pytest.fixture
def replicated_cluster(tmp_path_factory) -> Iterator[list[Server]]:
    """Three masters of the test's own, and a replica of each."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp("node") for _ in range(6)]
        # No node holds another one for dead by itself: the test says when.
        nodes = start_cluster(stack, folders, replicas=1, patience=60_000)
        wait_until(lambda: sum(it.replica_port() is not None for it in nodes) == 3)
        yield nodes


class Peek:
    """Looks at keys, and ends them, past the storage."""

    def __init__(self, client, prefix="watchword:") -> None:
        self.client = client
        self.prefix = prefix

    def time_left(self, key) -> float | None:
        """Return the seconds that a key has left; infinity if it has no end."""
        left = self.client.pttl(self.prefix + key)
        return None if left == -2 else float("inf") if left == -1 else left / 1000

    def end(self, key) -> None:
        """Let a key's lifetime be over."""
        self.client.pexpire(self.prefix + key, 0)

    def cut(self, name) -> None:
        """Let the server close all connections of this name."""
        for it in self.client.client_list():
            if it["name"] == name:
                self.client.client_kill_filter(_id=it["id"])


@pytest.fixture
def peek(request) -> Iterator[Peek]:
    """A second client, of the cluster where the test's class says so."""
    if getattr(request.cls, "on_cluster", False):
        port = request.getfixturevalue("cluster")[0].port
        client = redis.RedisCluster("127.0.0.1", port, protocol=2)
    else:
        client = redis.Redis.from_url(request.getfixturevalue("redis_url"), protocol=2)
    yield Peek(client)
    client.close()


class Proxy:
    """Stands before a server, and passes answers on as a test wants it.

    Args:
        port: The server's; without one there is nobody who answers.
    """

    def __init__(self, port: int | None = None) -> None:
        self.target = port
        self.connections = 0
        self.loses_answers_to = b""
        self.drips = False
        self.delay = 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.target is None:
                self.closed.wait()
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                self._pass_on(client, server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        asked = b""
        while True:
            ready, _, _ = select([client, server], [], [])
            if client in ready:
                asked = client.recv(65536)
                server.sendall(asked)
                if not asked:
                    return
            if server in ready:
                answer = server.recv(65536)
                if not answer or (self.loses_answers_to and self.loses_answers_to in asked):
                    return
                if self.drips:
                    self._drip(client)
                self.closed.wait(self.delay)
                client.sendall(answer)

    def _drip(self, client: socket.socket) -> None:
        client.sendall(b"$1000000\r\n")
        while not self.closed.wait(0.02):
            client.sendall(b"x")

    def close(self) -> None:
        """Take nobody in any more."""
        self.closed.set()
        self.listener.close()


@pytest.fixture
def proxy(server) -> Iterator[Proxy]:
    """Something that stands before the test's server."""
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def one_node(tmp_path_factory) -> Iterator[tuple[Proxy, Server]]:
    """A cluster of one node, which sends its clients to something that stands before it."""
    proxy = Proxy()
    node = Server(
        tmp_path_factory.mktemp("node"),
        *("--cluster-enabled", "yes", "--cluster-announce-port", str(proxy.port)),
    )
    proxy.target = node.port
    node.start()
    with node.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until(node.is_whole)
    yield proxy, node
    proxy.close()
    node.kill()


@pytest.fixture
def small_cluster(one_node) -> tuple[Proxy, Server]:
    """That cluster, and nothing in it."""
    proxy, node = one_node
    with node.client() as client:
        client.flushall()
    proxy.loses_answers_to = b""
    return proxy, node


@pytest.fixture
def tls_server(server, tmp_path) -> tuple[int, Path]:
    """Let the test's server take TLS too; return the port, and whom to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1))
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, form, plain))
    port = free_port()
    settings = {
        "tls-cert-file": str(tmp_path / "certificate.pem"),
        "tls-key-file": str(tmp_path / "key.pem"),
        "tls-auth-clients": "no",
        "tls-port": port,
    }
    with server.client() as client:
        words = [it for pair in settings.items() for it in pair]
        client.execute_command("CONFIG", "SET", *words)
    return port, tmp_path / "certificate.pem"


@pytest.fixture
def forgotten_nodes() -> Iterator[None]:
    """Collect what is left open where a server was gone or hung: here, and not later on.

    The driver drops such a node of a cluster, and a connection that was under way, without
    closing it.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


# --- storages, and what is asked of them ------------------------------------------------

HASTY = 0.2


@pytest.fixture
def open_storage(run):
    """Make storages from URLs."""
    made = []

    def open_storage(url, **settings):
        made.append(RedisStorage(url, **settings))
        return made[-1]

    yield open_storage
    for it in made:
        with suppress(StorageError):
            run(it.close())


@pytest.fixture
def storage(server, open_storage):
    """A storage on the server, in no hurry."""
    return open_storage(server.url, timeout=30)


@pytest.fixture
def hasty(server, open_storage):
    """A storage on the server that waits for no long time."""
    return open_storage(server.url, timeout=HASTY)


class Calls:
    """Each call of the contract, on one key."""

    def of(self, storage) -> dict[str, Any]:
        """Return them by their names."""
        return {
            "get": partial(storage.get, "a"),
            "set": partial(storage.set, "a", "1", ttl=60),
            "delete": partial(storage.delete, "a"),
            "get_and_delete": partial(storage.get_and_delete, "a"),
            "set_if_absent": partial(storage.set_if_absent, "a", "1", ttl=60),
            "compare_and_set": partial(storage.compare_and_set, "a", "1", "2", ttl=60),
            "increment": partial(storage.increment, "b", window=60),
        }

    async def fail(self, storage, *names) -> list[StorageUnavailable]:
        """Return how they fail; each has to, and to say that Redis is not available."""
        found = []
        for name, call in self.of(storage).items():
            if not names or name in names:
                with pytest.raises(StorageUnavailable) as failure:
                    await call()
                assert failure.value.__cause__ is not None
                found.append(failure.value)
        return found

    async def work(self, storage) -> None:
        """Check that each does what it says."""
        done = {name: await call() for name, call in self.of(storage).items()}
        assert done["delete"] is True
        assert done["set_if_absent"] is True
        assert done["compare_and_set"] is True


@pytest.fixture
def calls() -> Calls:
    """Ask a storage for everything."""
    return Calls()
