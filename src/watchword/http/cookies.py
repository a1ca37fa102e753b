"""Cookies: read as browsers send them, written with one set of attributes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from watchword.errors import ConfigurationError

__all__ = [
    "CookieAttributes",
    "CookieJar",
    "SameSite",
    "decode_uri_component",
    "encode_uri_component",
    "parse_cookies",
]

SameSite: TypeAlias = Literal["Lax", "Strict", "None"]

_UNESCAPED: Final = "!*'()"  # beside letters, digits and "-_.~", which are never escaped
_BROKEN_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 (5.6.2)
_DOMAIN: Final = re.compile(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
# Characters of a Set-Cookie header: a browser keeps 4,096 bytes of a cookie or nothing at all
# (RFC 6265, 6.1).
_LONGEST: Final = 4050
_MOST_PARTS: Final = 100


def encode_uri_component(text: str) -> str:
    """Escape a text exactly as JavaScript's function of this name does.

    Raises:
        ValueError: It holds half a surrogate pair.
    """
    return quote(text, safe=_UNESCAPED)


def decode_uri_component(text: str) -> str:
    """Undo the escapes of a text exactly as JavaScript's function of this name does.

    Raises:
        ValueError: An escape is broken, or the bytes are no UTF-8; the text holds half a
            surrogate pair beside an escape.
    """
    if "%" not in text:
        return text
    if _BROKEN_ESCAPE.search(text):
        raise ValueError("a percent sign without two hexadecimal digits")
    return unquote_to_bytes(text).decode()


def parse_cookies(header: str) -> dict[str, str]:
    """Return the cookies of a Cookie header; what makes no sense is left out.

    The first of a name wins: browsers send the one of the longest path first (RFC 6265,
    5.4), so a cookie planted for a whole domain cannot take another's place.
    """
    cookies: dict[str, str] = {}
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        name = name.strip()
        if equals and name and name not in cookies:
            value = value.strip()
            plain = "%" not in value and value[:1] != '"'
            cookies[name] = value if plain else _decoded(value)
    return cookies


def _decoded(value: str) -> str:
    if value[:1] == value[-1:] == '"':
        value = value[1:-1]
    try:
        return decode_uri_component(value)
    except ValueError:
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieAttributes:
    """What a browser is told about each cookie.

    Args:
        secure: Sent over HTTPS only.
        domain: Sent to this domain and all below it; None keeps it to the host itself.
        path: Sent to paths below this.
        http_only: Hidden from scripts, so that injected ones cannot steal it.
        same_site: Which requests from other sites carry it.

    Raises:
        ConfigurationError: No browser would accept the cookies.
    """

    secure: bool
    domain: str | None = None
    path: str = "/"
    http_only: bool = True
    same_site: SameSite = "Lax"

    def __post_init__(self) -> None:
        if self.same_site == "None" and not self.secure:
            raise ConfigurationError(
                "Browsers refuse SameSite=None cookies that are not Secure.",
                hint="Serve over HTTPS with secure cookies, or use same_site='Lax'.",
            )
        if self.domain is not None and not _DOMAIN.fullmatch(self.domain):
            raise ConfigurationError(
                f"{self.domain!r} is no cookie domain.",
                hint="Use a host name without scheme, port and path, such as 'example.com'.",
            )
        if not re.fullmatch(r"/[!-:<-~]*", self.path):
            raise ConfigurationError(
                f"{self.path!r} is no cookie path.", hint="Use a path such as '/'."
            )

    def serialize(self, name: str, value: str, *, max_age: int | None) -> str:
        """Return a Set-Cookie header; without `max_age` the cookie ends with the browser."""
        parts = [f"{name}={encode_uri_component(value)}"]
        if max_age is not None:
            parts.append(f"Max-Age={max_age}")
        if self.domain is not None:
            parts.append(f"Domain={self.domain}")
        parts.append(f"Path={self.path}")
        if self.http_only:
            parts.append("HttpOnly")
        if self.secure:
            parts.append("Secure")
        parts.append(f"SameSite={self.same_site}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieJar:
    """Reads and writes cookies by their short names, such as `session_token`.

    Args:
        attributes: Sent with every cookie.
        prefix: Stands before every name; browser clients know the default.

    Raises:
        ConfigurationError: The prefix cannot stand in a cookie's name.
    """

    attributes: CookieAttributes
    prefix: str = "better-auth"
    _before: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.prefix):
            raise ConfigurationError(
                f"{self.prefix!r} cannot stand in a cookie's name.",
                hint="Use letters, digits and hyphens.",
            )
        # A browser takes a __Secure- cookie only from HTTPS (RFC 6265bis, 4.1.3), so an
        # attacker on an unencrypted connection cannot plant one.
        secure = "__Secure-" if self.attributes.secure else ""
        object.__setattr__(self, "_before", f"{secure}{self.prefix}.")

    def name(self, short: str) -> str:
        """Return the name that the browser sees."""
        return self._before + short

    def find(self, cookies: Mapping[str, str], short: str) -> str | None:
        """Return a cookie's value among those that were sent."""
        return cookies.get(self._before + short)

    def set(self, short: str, value: str, *, max_age: int | None = None) -> str:
        """Return the Set-Cookie header that stores a value.

        Args:
            short: The name without prefix.
            value: Any text; it is percent-encoded.
            max_age: Seconds that it lives; None lets it end with the browser.
        """
        return self.attributes.serialize(self._before + short, value, max_age=max_age)

    def clear(self, short: str) -> str:
        """Return the Set-Cookie header that deletes the cookie."""
        return self.set(short, "", max_age=0)

    # --- values too long for one cookie --------------------------------------------------

    def find_divided(self, cookies: Mapping[str, str], short: str) -> str | None:
        """Return a value that may have been divided; None if there is none, or too much of it."""
        whole = self.find(cookies, short)
        if whole:
            return whole if len(whole) <= _LONGEST else None
        parts = []
        for number in range(_MOST_PARTS):
            part = self.find(cookies, f"{short}.{number}")
            if not part or len(part) > _LONGEST:
                break
            parts.append(part)
        return "".join(parts) or None

    def set_divided(
        self, short: str, value: str, *, max_age: int | None, sent: Mapping[str, str]
    ) -> list[str]:
        """Return the headers that store a value in as many cookies as it needs.

        Parts of an older value, which would be taken for its end, are deleted. One that is too
        long for a hundred cookies is not stored, and nothing of an older one stays.

        Args:
            short: The name without prefix; parts are named `short.0` and on.
            value: Of characters that are not percent-encoded.
            max_age: Seconds that it lives; None lets it end with the browser.
            sent: The cookies that the browser has.
        """
        parts = self._divided(short, value, max_age)
        stale = [name for name in self.names_of_divided(sent, short) if name not in parts]
        stored = [self.set(name, part, max_age=max_age) for name, part in parts.items()]
        return [*map(self.clear, stale), *stored]

    def names_of_divided(self, cookies: Mapping[str, str], short: str) -> Iterator[str]:
        """Go through the short names of a value and its parts that were sent."""
        if self.name(short) in cookies:
            yield short
        before = self.name(f"{short}.")
        numbers = (name[len(before) :] for name in cookies if name.startswith(before))
        # No more than a cookie of ours was divided into.
        for number in islice((it for it in numbers if _is_number(it)), _MOST_PARTS):
            yield f"{short}.{number}"

    def _divided(self, short: str, value: str, max_age: int | None) -> dict[str, str]:
        room = _LONGEST - len(self.set(f"{short}.{_MOST_PARTS - 1}", "", max_age=max_age))
        if len(value) <= room:
            return {short: value}
        if len(value) > room * _MOST_PARTS:
            return {}
        starts = range(0, len(value), room)
        return {f"{short}.{at // room}": value[at : at + room] for at in starts}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
