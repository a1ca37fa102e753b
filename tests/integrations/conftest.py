"""Callers: the same bytes for ASGI, FastAPI and WSGI; pages and websockets of applications."""

import io
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx
import pytest
from fastapi import FastAPI

from watchword import BlockingWatchword, EmailPassword
from watchword.adapters.memory import MemoryAdapter
from watchword.integrations.asgi import ASGIHandler
from watchword.integrations.fastapi import mount
from watchword.integrations.wsgi import WSGIHandler

CHUNK = 65_536
ORIGIN = "http://localhost:8000"
SECRET = "correct-horse-battery-staple-0123456789"


@dataclass(frozen=True)
class Reply:
    """What a server sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass
class Wire:
    """Sends bytes as a server would hand them over, and notes how much of a body was taken."""

    auth: Any
    taken: int = 0

    def chunks(self, body: bytes):
        """Cut a body as a network does."""
        for start in range(0, len(body), CHUNK):
            chunk = body[start : start + CHUNK]
            self.taken += len(chunk)
            yield chunk


class ASGIWire(Wire):
    """Calls the ASGI application by itself."""

    async def send(self, method, path, headers=(), body=b"", *, breaks_off=False):
        """Send a request; a body that breaks off ends with the client's going."""
        sent: list[dict[str, Any]] = []
        pieces = self.chunks(body)

        async def receive():
            piece = next(pieces, None)
            if piece is None:
                return {"type": "http.disconnect" if breaks_off else "http.request"}
            return {"type": "http.request", "body": piece, "more_body": True}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": unquote_to_bytes(path.partition("?")[0]).decode("utf-8", "replace"),
            "query_string": path.partition("?")[2].encode(),
            "headers": [(name.lower(), value) for name, value in headers],
            "client": ("203.0.113.7", 50_000),
        }
        await ASGIHandler(self.auth)(scope, receive, send)
        if not sent:
            return None
        start, end = sent
        return Reply(start["status"], start["headers"], end["body"])


class FastAPIWire(Wire):
    """Calls an application that has the endpoints mounted."""

    async def send(self, method, path, headers=(), body=b""):
        """Send a request through httpx."""
        app = FastAPI()
        mount(app, self.auth)

        async def content():
            for chunk in self.chunks(body):
                yield chunk

        # An error of ours would be raised here, not turned into a 500 by a server.
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            request = httpx.Request(
                method, f"http://localhost{path}", headers=list(headers), content=content()
            )
            response = await client.send(request)
        return Reply(response.status_code, response.headers.raw, response.content)


class CountingInput(io.BytesIO):
    """A WSGI input that knows how much of it was read."""

    def __init__(self, body: bytes, wire: Wire) -> None:
        super().__init__(body)
        self._wire = wire

    def read(self, size=-1):
        """Read, and note it."""
        data = super().read(size)
        self._wire.taken += len(data)
        return data


class WSGIWire(Wire):
    """Calls the WSGI application by itself."""

    async def send(self, method, path, headers=(), body=b"", *, length=None):
        """Send a request; its announced length may lie."""
        told: list[Any] = []
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path.partition("?")[0]).decode("latin-1"),
            "QUERY_STRING": path.partition("?")[2],
            "REMOTE_ADDR": "203.0.113.7",
            "CONTENT_LENGTH": str(len(body)) if length is None else length,
            "wsgi.input": CountingInput(body, self),
            "wsgi.url_scheme": "http",
        }
        for name, value in headers:
            key = name.decode().upper().replace("-", "_")
            key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
            environ.setdefault(key, value.decode("latin-1"))
        application = WSGIHandler(self.auth)
        parts = application(environ, lambda status, headers: told.append((status, headers)))
        [(status, answered)] = told
        # Servers write both as Latin-1 (PEP 3333).
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answered]
        return Reply(int(status[:3]), raw, b"".join(parts))


@pytest.fixture
def asgi(auth) -> ASGIWire:
    """The ASGI application on its own."""
    return ASGIWire(auth)


@pytest.fixture
def fastapi(auth) -> FastAPIWire:
    """A FastAPI application."""
    return FastAPIWire(auth)


@pytest.fixture
def wsgi(new_blocking) -> WSGIWire:
    """The WSGI application on its own."""
    return WSGIWire(new_blocking())


@pytest.fixture
def new_blocking(clock, cheap_passwords):
    """Make instances that need no event loop: in memory, and with the given settings."""

    def new_blocking(database=None, **settings):
        given = {
            "secret": SECRET,
            "base_url": ORIGIN,
            "email_password": EmailPassword(),
            "passwords": cheap_passwords,
            "clock": clock,
            **settings,
        }
        return BlockingWatchword(MemoryAdapter() if database is None else database, **given)

    return new_blocking


@pytest.fixture
def page_of():
    """Talk to an ASGI application as a page of it does."""

    def page_of(app) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN})

    return page_of


@pytest.fixture
def said_by():
    """Open a websocket; return what is sent over it while the client follows a script."""

    async def said_by(app, path, script, cookies=()) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message):
            sent.append(message)

        cookie = "; ".join(f"{name}={value}" for name, value in dict(cookies).items())
        headers = [(b"cookie", cookie.encode())]
        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers}
        await app(scope, script.__anext__, send)
        return sent

    return said_by
