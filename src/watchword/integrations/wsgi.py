"""WSGI: an application that answers the endpoints, for any server and framework."""

import re
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias

from watchword.auth import BlockingWatchword
from watchword.errors import ConfigurationError
from watchword.http.messages import Request
from watchword.storage.entities import Identity

__all__ = ["WSGIHandler", "announced_length", "find_identity", "read_body", "to_request"]

Environ: TypeAlias = MutableMapping[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]

_IDENTITIES: Final = "watchword.identities"
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


class Readable(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


class WSGIHandler:
    """Answers requests below the instance's base path; mount it or run it by itself.

    Raises:
        ConfigurationError: The instance needs an event loop.
    """

    def __init__(self, auth: BlockingWatchword[Any]) -> None:
        if not isinstance(auth, BlockingWatchword):
            raise ConfigurationError(
                f"A {type(auth).__name__} cannot answer without an event loop.",
                hint="Use BlockingWatchword, with a blocking database driver.",
            )
        self._auth = auth

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = to_request(environ)
        body = read_body(
            environ["wsgi.input"],
            announced_length(environ),
            limit=self._auth.options.max_body_size,
        )
        path = _below(self._auth.options.path, request.path, environ.get("SCRIPT_NAME", ""))
        response = self._auth.handle(replace(request, path=path, body=body))
        headers = [*response.headers, ("content-length", str(len(response.body)))]
        start_response(_status_line(response.status), headers)
        return [response.body]


def to_request(environ: Environ) -> Request:
    """Return what a WSGI environment describes, but for its body."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return Request(
        method=environ["REQUEST_METHOD"],
        # PEP 3333: the path's bytes stand in the string as Latin-1.
        path=path.encode("latin-1").decode("utf-8", "replace"),
        query_string=environ.get("QUERY_STRING", ""),
        headers=tuple(_headers(environ)),
        client_address=environ.get("REMOTE_ADDR"),
        scheme=environ.get("wsgi.url_scheme", "http"),
        host=environ.get("HTTP_HOST", environ.get("SERVER_NAME", "")),
    )


def find_identity(auth: BlockingWatchword[Any], environ: Environ) -> Identity | None:
    """Return who sends a request, or None; the database is asked once for each request."""
    # In the environment, which is made anew for each request, and never in anything that may
    # be shared with the next one. Instances keep theirs apart.
    known: dict[BlockingWatchword[Any], Identity | None] = environ.setdefault(_IDENTITIES, {})
    if auth not in known:
        known[auth] = auth.identify(to_request(environ))
    return known[auth]


def announced_length(environ: Environ) -> int | None:
    """Return how long the body is said to be; None if it lasts until its end is read."""
    announced = environ.get("CONTENT_LENGTH")
    if not announced:
        return None if environ.get("wsgi.input_terminated") else 0
    return int(announced) if _LENGTH.fullmatch(announced) else 0


def read_body(stream: Readable, announced: int | None, *, limit: int) -> bytes:
    """Read a body, and no further than shows that it is too long.

    One that breaks off is none at all: the beginning of a form is a form, and acted on it
    would set the beginning of a password.
    """
    wanted = limit + 1 if announced is None else min(announced, limit + 1)
    missing, parts = wanted, []
    try:
        while missing and (part := stream.read(missing)):
            parts.append(part)
            missing -= len(part)
    except OSError:  # what servers raise when the client went
        return b""
    return b"" if missing and announced is not None else b"".join(parts)


def _headers(environ: Environ) -> Iterable[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").lower(), value
        elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            yield key.replace("_", "-").lower(), value


def _below(base: str, path: str, script_name: str) -> str:
    """Return the path without what a server or an outer application put before it."""
    if path.startswith(f"{base}/"):
        return path
    return path.removeprefix(script_name.rstrip("/"))


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
