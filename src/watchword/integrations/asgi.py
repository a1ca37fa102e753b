"""ASGI: an application that answers the endpoints, for any server and framework."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from watchword.auth import Watchword
from watchword.errors import ConfigurationError
from watchword.http.messages import Request, Response
from watchword.storage.entities import Identity

__all__ = ["CLOSE_CODES", "ASGIHandler", "find_identity", "path_of", "to_request"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CLOSE_CODES: Final = 4000
"""A refused websocket is closed with this and the status: codes from here on are the
application's own (RFC 6455, 7.4.2)."""

_IDENTITIES: Final = "watchword.identities"


class ASGIHandler:
    """Answers requests below the instance's base path; mount it or run it by itself.

    Raises:
        ConfigurationError: The instance is none that waits on an event loop.
    """

    def __init__(self, auth: Watchword[Any]) -> None:
        if not isinstance(auth, Watchword):
            raise ConfigurationError(
                f"A {type(auth).__name__} cannot answer on an event loop.",
                hint="Use Watchword; it takes blocking databases too.",
            )
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow a server's start and stop."""
        if scope["type"] == "lifespan":
            await _follow_lifespan(self._auth, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        body = await _read(receive, self._auth.options.max_body_size)
        if body is None:
            return
        scope = {**scope, "path": path_of(scope, self._auth.options.path)}
        await _write(await self._auth.handle(to_request(scope, body)), send)


def to_request(scope: Scope, body: bytes = b"") -> Request:
    """Return what an ASGI scope describes."""
    client, server = scope.get("client"), scope.get("server")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query_string=scope.get("query_string", b"").decode("latin-1"),
        headers=tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in scope["headers"]
        ),
        body=body,
        client_address=client[0] if client else None,
        scheme=scope.get("scheme", "http"),
        host=f"{server[0]}:{server[1]}" if server else "",
    )


async def find_identity(auth: Watchword[Any], scope: Scope) -> Identity | None:
    """Return who sends a request, or None; the database is asked once for each request.

    For a websocket it is asked each time: one may stay open for longer than its session.
    """
    asked = to_request({"method": "GET", **scope})
    if scope["type"] != "http":
        return await auth.identify(asked)
    # In the scope, which is made anew for each request, and never in anything that may be
    # shared with the next one. Instances keep theirs apart.
    known: dict[Watchword[Any], Identity | None] = scope.setdefault(_IDENTITIES, {})
    if auth not in known:
        known[auth] = await auth.identify(asked)
    return known[auth]


def path_of(scope: Scope, base: str) -> str:
    """Return the path without what a server or an outer application put before it."""
    path: str = scope["path"]
    if path.startswith(f"{base}/"):
        return path
    return path.removeprefix(scope.get("root_path", "").rstrip("/"))


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Read the body, and no further than shows that it is too long; None if it breaks off.

    The beginning of a form is a form: acted on, it would set the beginning of a password.
    """
    parts: list[bytes] = []
    length = 0
    more = True
    while more and length <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        parts.append(part)
        length += len(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _write(response: Response, send: Send) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _follow_lifespan(auth: Watchword[Any], receive: Receive, send: Send) -> None:
    await receive()
    async with auth.lifespan():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
