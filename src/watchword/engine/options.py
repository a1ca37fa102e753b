"""Every setting of the core, checked when it is made."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from watchword.engine.cookie_cache import CookieCache
from watchword.engine.hooks import EndpointHook
from watchword.engine.mail import SendMail
from watchword.engine.origins import TrustedOrigins
from watchword.engine.rate_limit import RateLimits
from watchword.errors import ConfigurationError
from watchword.http.cookies import SameSite
from watchword.schema import Field
from watchword.storage.entities import User

__all__ = [
    "AccountOptions",
    "ChangeEmail",
    "CookieOptions",
    "DeleteUser",
    "EmailPassword",
    "EmailVerification",
    "Options",
    "SchemaCheck",
    "SessionOptions",
    "UserCallback",
    "UserOptions",
]

UserCallback: TypeAlias = Callable[[User], Awaitable[None] | None]
"""Told about a user, `def` or `async def`."""
SchemaCheck: TypeAlias = Literal["warn", "error", "off"]

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
        require_email_verification: Sign in only who has proved to own the address.
        reset_password: Let people who can read their mail set a new password; needs `mail`.
        reset_token_expires_in: How long the link in that mail works.
        revoke_sessions_on_password_reset: End every session when a password is reset: whoever
            stole the old one may be signed in.
        on_password_reset: Told after the commit.
        on_existing_user_sign_up: Told when somebody signs up with a known address and is
            answered as if it were new; for a mail to its owner.
    """

    sign_up: bool = True
    auto_sign_in: bool = True
    hide_existing_users: bool = False
    min_password_length: int = 8
    max_password_length: int = 128
    require_email_verification: bool = False
    reset_password: bool = True
    reset_token_expires_in: timedelta = timedelta(hours=1)
    revoke_sessions_on_password_reset: bool = True
    on_password_reset: UserCallback | None = None
    on_existing_user_sign_up: UserCallback | None = None

    def __post_init__(self) -> None:
        _check_lifetime("reset_token_expires_in", self.reset_token_expires_in)
        if not 0 < self.min_password_length <= self.max_password_length <= _LONGEST_PASSWORD:
            raise ConfigurationError(
                f"Passwords cannot have {self.min_password_length} "
                f"to {self.max_password_length} characters.",
                hint=f"Choose a range within 1 to {_LONGEST_PASSWORD}.",
            )

    @property
    def signs_in_at_sign_up(self) -> bool:
        """Whether a new user gets a session at once."""
        uniform = self.hide_existing_users or self.require_email_verification
        return self.auto_sign_in and not uniform


@dataclass(frozen=True, kw_only=True)
class EmailVerification:
    """Links by which people prove to own their address; needs `mail`.

    Args:
        send_on_sign_up: None sends one if sign-in requires a verified address.
        send_on_sign_in: Send one to whoever signs in unverified where that is required.
        auto_sign_in: Sign in who opens the link and was not verified yet.
        expires_in: How long a link works.
        before: Asked before an address counts as verified; may refuse with an `APIError`.
        after: Told after the commit.
    """

    send_on_sign_up: bool | None = None
    send_on_sign_in: bool = False
    auto_sign_in: bool = False
    expires_in: timedelta = timedelta(hours=1)
    before: UserCallback | None = None
    after: UserCallback | None = None

    def __post_init__(self) -> None:
        _check_lifetime("expires_in", self.expires_in)


@dataclass(frozen=True, kw_only=True)
class ChangeEmail:
    """Let users change their address; the new one is proved before it is taken over.

    Args:
        confirm_with_old_address: Ask a verified user at the old address first.
        unverified_at_once: Who never verified the old address changes it at once.
    """

    confirm_with_old_address: bool = False
    unverified_at_once: bool = False


@dataclass(frozen=True, kw_only=True)
class DeleteUser:
    """Let users delete themselves.

    Args:
        confirm_by_mail: Send a link that does it; needs `mail`.
        token_expires_in: How long that link works.
        before: Asked before anything is deleted; may refuse with an `APIError`.
        after: Told after the commit.
    """

    confirm_by_mail: bool = False
    token_expires_in: timedelta = timedelta(days=1)
    before: UserCallback | None = None
    after: UserCallback | None = None

    def __post_init__(self) -> None:
        _check_lifetime("token_expires_in", self.token_expires_in)


@dataclass(frozen=True, kw_only=True)
class UserOptions:
    """What users are and may do with themselves.

    Args:
        additional_fields: Further fields by logical name; `input` lets clients set one,
            `returned` shows it to them.
        change_email: None keeps addresses as they are.
        delete_user: None keeps users.
    """

    additional_fields: Mapping[str, Field] = field(default_factory=dict)
    change_email: ChangeEmail | None = None
    delete_user: DeleteUser | None = None


@dataclass(frozen=True, kw_only=True)
class AccountOptions:
    """The ways in that a user has.

    Args:
        allow_unlinking_all: Let users give up the last one; nobody can then sign in as them.
    """

    allow_unlinking_all: bool = False


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How long sessions live.

    Args:
        expires_in: After the sign-in or the last renewal.
        update_age: A session in use is renewed when it was not for this long, so an active
            one writes at most once in this time.
        forgotten_in: The same for whoever asked not to be remembered; never renewed.
        fresh_age: How long after the sign-in sensitive calls need no new one; zero means that
            they never do.
        refresh: Renew sessions in use; without it they end `expires_in` after the sign-in.
        defer_refresh: Reading a session never writes: the answer tells that it is due, and
            the client asks for the renewal by POST. For reads from a replica.
        cookie_cache: Answer reads from a copy in a cookie; None asks the store each time.
        additional_fields: Further fields by logical name.
    """

    expires_in: timedelta = timedelta(days=7)
    update_age: timedelta = timedelta(days=1)
    forgotten_in: timedelta = timedelta(days=1)
    fresh_age: timedelta = timedelta(days=1)
    refresh: bool = True
    defer_refresh: bool = False
    cookie_cache: CookieCache | None = None
    additional_fields: Mapping[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_lifetime("expires_in", self.expires_in)
        _check_lifetime("forgotten_in", self.forgotten_in)
        if self.cookie_cache is not None:
            self.cookie_cache.check_within(self.expires_in)
        if self.fresh_age < timedelta(0):
            raise ConfigurationError(
                "fresh_age is negative.", hint="Use a span, or timedelta(0) for always fresh."
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
        email_verification: None sends no links to verify addresses.
        user: What users are and may do with themselves.
        account: The ways in that a user has.
        mail: Delivers messages; None switches off what needs them.
        trusted_origins: Other origins whose pages may call and be redirected to: exact
            (`https://app.example.com`), with wildcards (`https://*.example.com`,
            `*.example.com`), or a scheme of an app (`myapp://`); or a function of the request
            that returns such.
        rate_limits: How often one client may call.
        trusted_proxies: Addresses and networks whose word on the client's address is taken.
        proxy_header: Where they write it.
        hooks: Run around endpoints.
        disabled_paths: Paths below the base path that answer 404.
        ignore_trailing_slash: Take `/ok/` for `/ok`.
        error_url: Where browsers are sent when a link fails and names no page for that; None
            is a page of ours.
        max_body_size: In bytes; longer bodies are refused unread.
        schema_check: What `lifespan` does about the tables at the start of the application.
            "warn" makes them in a database that has none of them, and logs what is amiss in
            any other; it changes nothing there. "error" makes nothing, and the start fails if
            something is amiss that is no mere warning: for tables that are made by `migrate`
            or by an Alembic history, which must find none. "off" makes the tables that are
            missing and does not look at the others.
    """

    base_url: str
    base_path: str = "/api/auth"
    email_password: EmailPassword | None = None
    session: SessionOptions = field(default_factory=SessionOptions)
    cookies: CookieOptions = field(default_factory=CookieOptions)
    email_verification: EmailVerification | None = None
    user: UserOptions = field(default_factory=UserOptions)
    account: AccountOptions = field(default_factory=AccountOptions)
    mail: SendMail | None = None
    trusted_origins: TrustedOrigins = ()
    rate_limits: RateLimits = field(default_factory=RateLimits)
    trusted_proxies: Sequence[str] = ()
    proxy_header: str = "x-forwarded-for"
    hooks: Sequence[EndpointHook] = ()
    disabled_paths: Sequence[str] = ()
    ignore_trailing_slash: bool = False
    error_url: str | None = None
    max_body_size: int = 1_048_576
    schema_check: SchemaCheck = "warn"

    def __post_init__(self) -> None:
        if self.schema_check not in get_args(SchemaCheck):
            raise ConfigurationError(
                f"The schema cannot be checked by {self.schema_check!r}.",
                hint='Use "warn", "error" or "off".',
            )
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
        if any(not path.startswith("/") for path in self.disabled_paths):
            raise ConfigurationError(
                "A disabled path does not begin with a slash.",
                hint="Write it like /sign-up/email.",
            )
        # Without mail the application verifies addresses by other means.
        required = self.email_password and self.email_password.require_email_verification
        if required and self.mail is not None and self.email_verification is None:
            raise ConfigurationError(
                "Sign-in requires a verified address, and no mail that verifies one is sent.",
                hint="Pass email_verification=EmailVerification() too.",
            )
        if self.mail is None and (needing := self._needs_mail()):
            raise ConfigurationError(
                f"{needing} sends mail, but nothing delivers it.",
                hint="Pass mail=SMTPSender(…), or a function that takes a Mail.",
            )

    def _needs_mail(self) -> str | None:
        """Name a setting that cannot work without mail."""
        delete_user, change_email = self.user.delete_user, self.user.change_email
        if self.email_verification is not None:
            return "email_verification"
        if delete_user is not None and delete_user.confirm_by_mail:
            return "DeleteUser(confirm_by_mail=True)"
        if change_email is not None and change_email.confirm_with_old_address:
            return "ChangeEmail(confirm_with_old_address=True)"
        return None

    @property
    def resets_passwords(self) -> bool:
        """Whether people can set a new password by mail."""
        given = self.email_password
        return given is not None and given.reset_password and self.mail is not None

    @property
    def verifies_at_sign_up(self) -> bool:
        """Whether a new user gets a link to verify the address."""
        verification, password = self.email_verification, self.email_password
        if verification is None or password is None:
            return False
        if verification.send_on_sign_up is None:
            return password.require_email_verification
        return verification.send_on_sign_up

    @property
    def url(self) -> str:
        """Where the endpoints are, without a slash at its end."""
        return self.origin + self.path

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


def _check_lifetime(name: str, span: timedelta) -> None:
    if not isinstance(span, timedelta) or span < timedelta(seconds=1):
        raise ConfigurationError(
            f"{name} is no span of a second or more.", hint="Write it like timedelta(hours=1)."
        )


def _names_a_host(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
        port = parts.port  # read, because only that finds a malformed one
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0
