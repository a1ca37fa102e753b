"""Every setting of the core, checked when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError
from watchword.http.cookies import SameSite

__all__ = ["CookieOptions", "EmailPassword", "Options", "SessionOptions"]

_LONGEST_PASSWORD: Final = 1024


@dataclass(frozen=True, kw_only=True)
class EmailPassword:
    """Sign-up and sign-in with an e-mail address and a password.

    Args:
        sign_up: Let people sign up by themselves.
        auto_sign_in: Sign in with the sign-up; without it the answers are alike for known
            and unknown addresses.
        hide_existing_users: Make those answers alike in any case; nobody is then signed in
            by signing up.
        min_password_length: In UTF-16 code units, as browsers count (NIST SP 800-63B asks
            for 8 at least).
        max_password_length: Likewise; what is longer is refused before it is hashed.
    """

    sign_up: bool = True
    auto_sign_in: bool = True
    hide_existing_users: bool = False
    min_password_length: int = 8
    max_password_length: int = 128

    def __post_init__(self) -> None:
        if not 0 < self.min_password_length <= self.max_password_length <= _LONGEST_PASSWORD:
            raise ConfigurationError(
                f"Passwords cannot have {self.min_password_length} "
                f"to {self.max_password_length} characters.",
                hint=f"Choose a range within 1 to {_LONGEST_PASSWORD}.",
            )

    @property
    def signs_in_at_sign_up(self) -> bool:
        """Whether a new user gets a session at once."""
        return self.auto_sign_in and not self.hide_existing_users


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How long sessions live.

    Args:
        expires_in: After the sign-in or the last renewal.
        update_age: A session in use is renewed when it was not for this long, so an active
            one writes at most once in this time.
        forgotten_in: For who asked not to be remembered; never renewed.
    """

    expires_in: timedelta = timedelta(days=7)
    update_age: timedelta = timedelta(days=1)
    forgotten_in: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        if min(self.expires_in, self.forgotten_in) < timedelta(seconds=1):
            raise ConfigurationError(
                "Sessions would expire at once.", hint="Use spans of a second or more."
            )
        if not timedelta(0) <= self.update_age <= self.expires_in:
            raise ConfigurationError(
                "update_age is not between zero and expires_in.",
                hint="A session that is renewed after it expired is never renewed.",
            )


@dataclass(frozen=True, kw_only=True)
class CookieOptions:
    """How cookies are named and sent.

    Args:
        prefix: Stands before their names; browser clients know the default.
        secure: Only over HTTPS; None is true where `base_url` is https.
        domain: Shared with this domain and all below it; None keeps them to the host.
        same_site: Which requests from other sites carry them.
    """

    prefix: str = "better-auth"
    secure: bool | None = None
    domain: str | None = None
    same_site: SameSite = "Lax"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of one instance.

    Args:
        base_url: Scheme, host and port under which browsers reach the application.
        base_path: Where the endpoints are below it.
        email_password: None switches sign-up and sign-in by password off.
        session: How long sessions live.
        cookies: How cookies are named and sent.
        trusted_origins: Other origins whose pages may call and be redirected to: exact
            (`https://app.example.com`), with wildcards (`https://*.example.com`,
            `*.example.com`), or a scheme of an app (`myapp://`).
        max_body_size: In bytes; longer bodies are refused unread.
    """

    base_url: str
    base_path: str = "/api/auth"
    email_password: EmailPassword | None = None
    session: SessionOptions = field(default_factory=SessionOptions)
    cookies: CookieOptions = field(default_factory=CookieOptions)
    trusted_origins: Sequence[str] = ()
    max_body_size: int = 1_048_576

    def __post_init__(self) -> None:
        if not _names_a_host(self.base_url):
            raise ConfigurationError(
                f"The base URL {self.base_url!r} names no http or https host.",
                hint="Write it like https://example.com or http://localhost:8000.",
            )
        if self.path and not self.path.startswith("/"):
            raise ConfigurationError(
                f"The base path {self.base_path!r} does not begin with a slash.",
                hint="Write it like /api/auth.",
            )
        if self.max_body_size < 1:
            raise ConfigurationError(
                "No body would be small enough.", hint="Give max_body_size in bytes."
            )
        if isinstance(self.trusted_origins, str):
            raise ConfigurationError(
                "trusted_origins is one text.", hint="Pass a list of origins."
            )

    @property
    def origin(self) -> str:
        """The origin that browsers send: scheme, host and port, without a default port."""
        parts = urlsplit(self.base_url)
        default = {"http": 80, "https": 443}[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = "" if parts.port in {None, default} else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"

    @property
    def path(self) -> str:
        """The path of all endpoints, without a slash at its end; the base URL's own wins."""
        return (urlsplit(self.base_url).path.rstrip("/") or self.base_path).rstrip("/")

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies go over HTTPS only."""
        if self.cookies.secure is not None:
            return self.cookies.secure
        return urlsplit(self.base_url).scheme == "https"


def _names_a_host(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        port = parts.port  # read, because only that finds a malformed one
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
