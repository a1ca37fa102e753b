"""Which origins are trusted: whose pages may call, and where a redirect may lead.

Every redirect target and every Origin header is checked here and nowhere else.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from watchword.concurrency import call
from watchword.errors import APIError, ConfigurationError, CoreError
from watchword.http.messages import Request

__all__ = ["OriginGuard", "TrustedOrigins"]

Patterns: TypeAlias = Sequence[str]
TrustedOrigins: TypeAlias = Patterns | Callable[[Request], Patterns | Awaitable[Patterns]]
"""Origins and patterns, or a function that returns those which a request may come from."""

# What a browser resolves to another host than it seems to name.
_UNSAFE_RELATIVE: Final = re.compile(r"^//|[\\\x00-\x1f\x7f]|^[^?#]*%(?:2f|5c)", re.IGNORECASE)
_UNSAFE_ABSOLUTE: Final = re.compile(r"[\\\x00-\x20\x7f]")
# It goes into a mail, escaped, to whomever the caller names.
_LONGEST_TARGET: Final = 2000
_ADDRESS_PATTERN: Final = re.compile(r"[0-9.*?]+")
_ADDRESS: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?")
_WEB: Final = frozenset({"http", "https"})
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}

_TARGETS: Final = {
    "callbackURL": (CoreError.INVALID_CALLBACK_URL, "callbackURL"),
    "redirectTo": (CoreError.INVALID_REDIRECT_URL, "redirectURL"),
    "errorCallbackURL": (CoreError.INVALID_ERROR_CALLBACK_URL, "errorCallbackURL"),
    "newUserCallbackURL": (CoreError.INVALID_NEW_USER_CALLBACK_URL, "newUserCallbackURL"),
}


class OriginGuard:
    """Refuses calls from, and redirects to, places that are not trusted.

    Args:
        own: The application's own origin.
        trusted: Further origins and patterns, as `Options.trusted_origins` describes them.

    Raises:
        ConfigurationError: One of them could never be matched.
    """

    def __init__(self, own: str, trusted: TrustedOrigins = ()) -> None:
        self._own = own
        self._ask = trusted if callable(trusted) else None
        self._matchers = _matchers((own,) if callable(trusted) else (own, *trusted))

    async def check_caller(self, request: Request) -> None:
        """Refuse an acting request whose cookies another site may have borrowed.

        Raises:
            APIError: It carries cookies and does not come from a trusted origin.
        """
        if request.header("cookie") is not None:
            await self._check_origin(request)

    async def check_form(self, request: Request) -> None:
        """Refuse a sign-in that another site's page submits, cookies or not.

        Otherwise a page could sign its visitor in as somebody else (login CSRF).

        Raises:
            APIError: A browser sends it, and not from a trusted origin.
        """
        site, mode, dest = (
            (request.header(f"sec-fetch-{name}") or "").strip()
            for name in ("site", "mode", "dest")
        )
        if site == "cross-site" and mode == "navigate":
            raise APIError(CoreError.CROSS_SITE_NAVIGATION_LOGIN_BLOCKED)
        named = request.header("origin") or request.header("referer")
        if site or mode or dest or named:
            await self._check_origin(request)

    async def check_targets(self, given: object, request: Request) -> None:
        """Refuse redirect targets that are not trusted.

        Args:
            given: The body, or the query of a link.
            request: Its query names a `callbackURL` if the body does not.

        Raises:
            APIError: A target is no text, or leads elsewhere.
        """
        values = given if isinstance(given, Mapping) else {}
        for name, (code, label) in _TARGETS.items():
            target = values.get(name)
            if not _is_given(target) and name == "callbackURL":
                target = request.query.get(name)
            if _is_given(target):
                await self._check_target(target, request, code, label)

    async def trusts(self, url: str, request: Request) -> bool:
        """Tell whether an absolute URL belongs to an origin that is trusted for a request."""
        if any(matches(url) for matches in self._matchers):
            return True
        if self._ask is None:
            return False
        return any(matches(url) for matches in _matchers(await call(self._ask, request)))

    async def _check_origin(self, request: Request) -> None:
        origin = request.header("origin") or request.header("referer")
        if origin == "null" and request.header("sec-fetch-site") == "same-origin":
            origin = self._own
        if not origin or origin == "null":
            raise APIError(CoreError.MISSING_OR_NULL_ORIGIN)
        if not await self.trusts(origin, request):
            raise APIError(CoreError.INVALID_ORIGIN)

    async def _check_target(
        self, target: object, request: Request, code: CoreError, label: str
    ) -> None:
        if not isinstance(target, str):
            raise APIError.bare(400, f"Invalid {label}: expected a string")
        if len(target) > _LONGEST_TARGET:
            raise APIError(code)
        if target.startswith("/"):
            if _UNSAFE_RELATIVE.search(target):
                raise APIError(code)
        elif not await self.trusts(target, request):
            raise APIError(code)


def _is_given(target: object) -> bool:
    """Tell whether JavaScript takes a value for true, as clients of this wire do."""
    return bool(target) or isinstance(target, list | dict)


# --- patterns ----------------------------------------------------------------------------


def _matchers(patterns: Patterns) -> tuple[Callable[[str], bool], ...]:
    return tuple(_matcher(pattern) for pattern in patterns)


def _matcher(pattern: str) -> Callable[[str], bool]:
    scheme, separator, _ = pattern.partition("://")
    wild = "*" in pattern or "?" in pattern
    if separator and scheme not in _WEB and not wild:
        return lambda url: _is_of_app(url, pattern)
    if not wild:
        wanted = _origin(pattern)
        if wanted is None:
            raise ConfigurationError(
                f"The trusted origin {pattern!r} names no origin.",
                hint="Write it like https://app.example.com, *.example.com or myapp://.",
            )
        return lambda url: _origin(url) == wanted
    expression = _wildcards(pattern)
    if separator:
        return lambda url: bool(expression.fullmatch(_origin(url) or ""))
    only_addresses = _ADDRESS_PATTERN.fullmatch(pattern) is not None
    return lambda url: _host_matches(url, expression, only_addresses=only_addresses)


def _wildcards(pattern: str) -> re.Pattern[str]:
    parts = (f"[^/]{'*' if it == '*' else ''}" if it in "*?" else re.escape(it) for it in pattern)
    # ASCII: in Unicode "i" also equals the Turkish dotless one, which another domain has.
    return re.compile("".join(parts), re.IGNORECASE | re.ASCII)


def _host_matches(url: str, expression: re.Pattern[str], *, only_addresses: bool) -> bool:
    origin = _origin(url)
    if origin is None:
        return False
    host = origin.partition("://")[2]
    # "10.0.0.*" must not match the domain "10.0.0.evil.example".
    if only_addresses and not _ADDRESS.fullmatch(host):
        return False
    return expression.fullmatch(host) is not None


def _origin(url: str) -> str | None:
    """Return the origin of an http or https URL as browsers write it; None for any other."""
    if _UNSAFE_ABSOLUTE.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _WEB or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = port in {None, _DEFAULT_PORTS[parts.scheme]}
    return f"{parts.scheme}://{host}{'' if default else f':{port}'}"


def _is_of_app(url: str, pattern: str) -> bool:
    """Match an app's own scheme, its authority if the pattern names one, and paths below."""
    if _UNSAFE_ABSOLUTE.search(url):
        return False
    try:
        wanted, given = urlsplit(pattern), urlsplit(url)
    except ValueError:
        return False
    if given.scheme != wanted.scheme or not url[len(given.scheme) :].startswith("://"):
        return False
    if wanted.netloc and given.netloc.lower() != wanted.netloc.lower():
        return False
    below = wanted.path.rstrip("/")
    path = _resolved(unquote(given.path))
    return not below or path == below or path.startswith(f"{below}/")


def _resolved(path: str) -> str:
    """Resolve `..`, so that a path is compared by where it leads."""
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in {"", "."}:
            steps.append(step)
    return "/" + "/".join(steps)
