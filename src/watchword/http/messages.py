"""Requests and responses as values; frameworks only translate them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from watchword.http.bodies import Query, dump, parse_query
from watchword.http.cookies import parse_cookies

__all__ = ["Headers", "Request", "Response"]

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Lower-case names and values in the order sent; one name may come several times."""

_JSON: Final = ("content-type", "application/json")
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_UNSAFE_IN_LOCATION: Final = re.compile("[^!-~]+")
_UNSAFE_IN_HEADER: Final = re.compile("[\r\n\0]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came in. Its text form shows nothing that may be secret.

    Args:
        method: In capitals.
        path: The full path, percent-decoded.
        query_string: What follows the question mark, as sent.
        headers: Names in lower case, values as sent.
        body: As sent.
        client_address: The address of the socket's other end.
        scheme: `http` or `https`, as the server knows it.
        host: The server's name and port, as the server knows them.
    """

    method: str
    path: str = field(repr=False)
    query_string: str = field(default="", repr=False)
    headers: Headers = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    client_address: str | None = None
    scheme: str = "http"
    host: str = ""
    # Read from the fields above when first asked for; reading twice changes nothing.
    _first: dict[str, str] | None = field(init=False, default=None, repr=False, compare=False)
    _query: Query | None = field(init=False, default=None, repr=False, compare=False)
    _cookies: dict[str, str] | None = field(init=False, default=None, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        """Return a header's value, of several the first; the name is in lower case."""
        return self._index().get(name)

    def header_values(self, name: str) -> list[str]:
        """Return every value of a header that was sent in several lines."""
        return [value for key, value in self.headers if key == name]

    @property
    def query(self) -> Query:
        """The query's values by key; a repeated key has a list."""
        query = self._query
        if query is None:
            query = parse_query(self.query_string)
            object.__setattr__(self, "_query", query)
        return query

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by their full names, decoded."""
        cookies = self._cookies
        if cookies is None:
            first = self._index()
            header = first.get("cookie", "")
            if len(first) < len(self.headers):
                # HTTP/2 may split the header into several (RFC 9113, 8.2.3).
                header = ";".join(self.header_values("cookie"))
            cookies = parse_cookies(header) if header else {}
            object.__setattr__(self, "_cookies", cookies)
        return cookies

    def _index(self) -> dict[str, str]:
        first = self._first
        if first is None:
            # Read backwards, so that the first of a name is the one that stays.
            first = dict(reversed(self.headers))
            object.__setattr__(self, "_first", first)
        return first


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out; its headers may still be added to."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def json(cls, value: object, *, status: int = 200) -> "Response":
        """Answer with a value as JSON; None is `null`."""
        return cls(status, [_JSON], dump(value))

    @classmethod
    def page(cls, html: str) -> "Response":
        """Answer with a page of ours, that loads nothing, runs nothing and is framed by nobody."""
        headers = [
            ("content-type", "text/html; charset=utf-8"),
            ("content-security-policy", _PAGE_POLICY),
        ]
        return cls(200, headers, html.encode())

    @classmethod
    def empty(cls, status: int) -> "Response":
        """Answer with a status alone."""
        return cls(status)

    @classmethod
    def redirect(cls, location: str) -> "Response":
        """Send the browser elsewhere; whether it may go there is checked before."""
        return cls(302, [_JSON, ("location", _location(location))])

    def add_header(self, name: str, value: str) -> None:
        """Add a header; one of this name that is present stays.

        Raises:
            ValueError: It would end the line and begin another header.
        """
        if _UNSAFE_IN_HEADER.search(value):
            raise ValueError(f"a line break in the header {name!r}")
        self.headers.append((name, value))


def _location(url: str) -> str:
    """Percent-encode what may not stand in a header: line breaks, blanks, non-ASCII."""
    return _UNSAFE_IN_LOCATION.sub(
        lambda run: "".join(f"%{byte:02X}" for byte in run[0].encode("utf-8", "replace")), url
    )
