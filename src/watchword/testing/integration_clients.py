"""Clients for the integration suite: what a server hands over, byte for byte, and takes back."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import unquote, unquote_to_bytes

import anyio

from watchword.concurrency import current_loop

__all__ = ["ADDRESS", "ASGIClient", "HeaderLines", "IntegrationClient", "Reply", "WSGIClient"]

ADDRESS: Final = "203.0.113.7"
"""Where requests come from."""

HeaderLines: TypeAlias = Sequence[tuple[str, str]]

_HOST: Final = ("localhost", 8000)
_CHUNK: Final = 16_384
_CHUNKED: Final = ("transfer-encoding", "chunked")
_MISSING: Final = 7  # how much a body is short of what was announced, if it breaks off


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server would send.

    Args:
        status: The code.
        headers: Names in lower case, in the order sent.
        body: All of it.
        taken: How many bytes of the request's body were read.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    taken: int

    def values(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def json(self) -> Any:
        """The body's value."""
        assert self.values("content-type") == ["application/json"]
        return json.loads(self.body)


class IntegrationClient(Protocol):
    """Sends requests through the whole of an application, from `ADDRESS`."""

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: HeaderLines = (),
        body: bytes = b"",
        breaks_off: bool = False,
    ) -> Reply | None:
        """Send a request and return the answer; None if there was none.

        Args:
            method: Any.
            target: Path and query as they stand in a request line, percent-encoded.
            headers: Texts in Latin-1; host is added, and length unless they say "chunked".
            body: It may come in several pieces.
            breaks_off: The client goes before it has sent as much as it announced.
        """


class ASGIClient:
    """Calls an ASGI application as a server does."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: HeaderLines = (),
        body: bytes = b"",
        breaks_off: bool = False,
    ) -> Reply | None:
        """Send a request; the body comes in pieces."""
        path, _, query = target.partition("?")
        lines = _complete(headers, body, breaks_off=breaks_off)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in lines],
            "client": (ADDRESS, 50_000),
            "server": _HOST,
        }
        exchange = _Exchange(body, breaks_off=breaks_off)
        await self._app(scope, exchange.receive, exchange.send)
        return exchange.reply()


class _Exchange:
    """One request and its answer, as ASGI messages."""

    def __init__(self, body: bytes, *, breaks_off: bool) -> None:
        self._pieces = _pieces(body)
        self._breaks_off = breaks_off
        self._is_sent = False
        self._taken = 0
        self._answer: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        piece = next(self._pieces, None)
        if piece is not None:
            self._taken += len(piece)
            return {"type": "http.request", "body": piece, "more_body": True}
        if not (self._breaks_off or self._is_sent):
            self._is_sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self._breaks_off and current_loop() is not None:
            await anyio.sleep_forever()  # the client waits for its answer
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self._answer.append(message)

    def reply(self) -> Reply | None:
        if not self._answer:
            return None
        start, *parts = self._answer
        headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in start["headers"]
        )
        body = b"".join(part.get("body", b"") for part in parts)
        return Reply(start["status"], headers, body, self._taken)


class WSGIClient:
    """Calls a WSGI application as a server does, in the caller's thread."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: HeaderLines = (),
        body: bytes = b"",
        breaks_off: bool = False,
    ) -> Reply | None:
        """Send a request; reading its body is counted."""
        path, _, query = target.partition("?")
        stream = io.BytesIO(body)
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": _HOST[0],
            "SERVER_PORT": str(_HOST[1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": ADDRESS,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": stream,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": _CHUNKED in headers,
        }
        for name, value in _complete(headers, body, breaks_off=breaks_off):
            key = name.upper().replace("-", "_")
            environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
        status, lines, answer = self._call(environ)
        return Reply(status, lines, answer, stream.tell())

    def _call(self, environ: dict[str, Any]) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            started.append((status, headers))

        parts: Iterable[bytes] = self._app(environ, start_response)
        try:
            body = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        status, headers = started[-1]
        assert status[4:] or HTTPStatus(int(status[:3])), "servers refuse a status alone"
        return int(status[:3]), tuple((name.lower(), value) for name, value in headers), body


def _pieces(body: bytes) -> Iterator[bytes]:
    """Cut a body as a network does."""
    for start in range(0, len(body), _CHUNK):
        yield body[start : start + _CHUNK]


def _complete(headers: HeaderLines, body: bytes, *, breaks_off: bool) -> list[tuple[str, str]]:
    """Add what every client sends."""
    lines = [("host", ":".join(map(str, _HOST))), *headers]
    if body and _CHUNKED not in lines:
        lines.append(("content-length", str(len(body) + _MISSING * breaks_off)))
    return lines
