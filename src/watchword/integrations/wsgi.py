"""WSGI: an application that answers the endpoints, for any server and framework."""

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from watchword.auth import BlockingWatchword
from watchword.http.messages import Request

__all__ = ["WSGIHandler", "to_request"]

Environ: TypeAlias = Mapping[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]

_LENGTH: Final = re.compile(r"[0-9]{1,18}")


class WSGIHandler:
    """Answers requests below the instance's base path; mount it or run it by itself."""

    def __init__(self, auth: BlockingWatchword) -> None:
        self._auth = auth

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = to_request(environ, limit=self._auth.options.max_body_size)
        response = self._auth.handle(request)
        headers = [*response.headers, ("content-length", str(len(response.body)))]
        start_response(_status_line(response.status), headers)
        return [response.body]


def to_request(environ: Environ, *, limit: int = 0) -> Request:
    """Return what a WSGI environment describes, its body read up to the limit and one byte."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return Request(
        method=environ["REQUEST_METHOD"],
        # PEP 3333: the path's bytes stand in the string as Latin-1.
        path=path.encode("latin-1").decode("utf-8", "replace"),
        query_string=environ.get("QUERY_STRING", ""),
        headers=tuple(_headers(environ)),
        body=_read(environ, limit) if limit else b"",
        client_address=environ.get("REMOTE_ADDR"),
        scheme=environ.get("wsgi.url_scheme", "http"),
        host=environ.get("HTTP_HOST", environ.get("SERVER_NAME", "")),
    )


def _headers(environ: Environ) -> Iterable[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").lower(), value
        elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            yield key.replace("_", "-").lower(), value


def _read(environ: Environ, limit: int) -> bytes:
    """Read the body, and no further than shows that it is too long.

    One that breaks off is none at all: the beginning of a form is a form, and acted on it
    would set the beginning of a password.
    """
    announced = environ.get("CONTENT_LENGTH") or "0"
    if not _LENGTH.fullmatch(announced):
        return b""
    wanted = min(int(announced), limit + 1)
    body: bytes = environ["wsgi.input"].read(wanted)
    return body if len(body) == wanted else b""


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
