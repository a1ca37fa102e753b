"""A wire to the database server that can be listened to and cut, and limiters to be asked."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import URL, make_url

from watchword.engine.rate_limit import MemoryCounters, RateLimiter, RateLimits
from watchword.errors import APIError
from watchword.http.messages import Request


class Tap:
    """Notes what one client has PostgreSQL execute, whatever driver it uses.

    It reads the frontend's messages (PostgreSQL's documentation, 55.7): simple queries, and
    statements that are parsed, bound and executed.
    """

    def __init__(self, executed: list[str]) -> None:
        self._executed = executed
        self._buffer = b""
        self._started = False
        self._parsed: dict[bytes, str] = {}
        self._bound: dict[bytes, str] = {}

    def feed(self, data: bytes) -> None:
        """Take what the client sent, in pieces of any size."""
        self._buffer += data
        while (size := self._message_size()) is not None:
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            if self._started:
                self._read(message[:1], message[5:])
            self._started = True

    def _message_size(self) -> int | None:
        head = 1 if self._started else 0  # the first message has no type
        if len(self._buffer) < head + 4:
            return None
        size = head + struct.unpack_from("!i", self._buffer, head)[0]
        return size if len(self._buffer) >= size else None

    def _read(self, kind: bytes, content: bytes) -> None:
        first, _, rest = content.partition(b"\0")
        match kind:
            case b"Q":
                self._executed.append(first.decode())
            case b"P":
                self._parsed[first] = rest.partition(b"\0")[0].decode()
            case b"B":
                self._bound[first] = self._parsed[rest.partition(b"\0")[0]]
            case b"E":
                self._executed.append(self._bound[first])


class Proxy:
    """Passes bytes on between drivers and a server until it is told to stop."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.port = 0
        self.executed: list[str] = []

    def start(self) -> None:
        """Let clients connect, on the port of the first time."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Break all connections, and refuse new ones."""
        listener, self._listener = self._listener, None
        for it in (listener, *self._open):
            if it is not None:
                with suppress(OSError):
                    it.shutdown(socket.SHUT_RDWR)
                it.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                tap = Tap(self.executed)
                for pair in ((client, server, tap.feed), (server, client, None)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket, listen) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if listen is not None:
                    listen(data)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy_to() -> Iterator:
    """Put a proxy before the server of a URL; return it with the URL that leads through it."""
    proxies = []

    def proxy_to(database: str, **query: str) -> tuple[Proxy, URL]:
        url = make_url(database)
        default = {"postgresql": 5432, "mysql": 3306}[url.get_backend_name()]
        proxy = Proxy((url.host or "127.0.0.1", url.port or default))
        proxy.start()
        proxies.append(proxy)
        through = url.set(host="127.0.0.1", port=proxy.port).update_query_dict(query)
        return proxy, through

    yield proxy_to
    for proxy in proxies:
        proxy.stop()


# --- limiters ----------------------------------------------------------------------------

REQUEST = Request(method="POST", path="/api/auth/sign-in/email")


class AskedLimiter(RateLimiter):
    """A limiter that tells what becomes of requests; who is signed in is the test's to say."""

    user_id: str | None = None

    async def find_user(self) -> str | None:
        """Return whom the test has signed in."""
        return self.user_id

    async def wait(self, path="/sign-in/email", address="203.0.113.7", request=REQUEST):
        """Return how long a refused request is told to wait; None if it passed."""
        try:
            await self.check(request, path, address, self.find_user)
        except APIError as refusal:
            return int(refusal.headers["retry-after"])
        return None

    async def passing(self, path="/sign-in/email", address="203.0.113.7"):
        """Count the requests that pass at one instant, up to 200."""
        for passed in range(200):
            if await self.wait(path, address) is not None:
                return passed
        return None


@pytest.fixture
def new_limiter(clock):
    """Make limiters on the test's clock, or on another one."""

    def new_limiter(*plugin_rules, clock=clock, store=None, **options) -> AskedLimiter:
        counters = MemoryCounters(clock) if store is None else store
        return AskedLimiter(RateLimits(**options), plugin_rules, counters)

    return new_limiter
