"""What an endpoint works with: the request, the instance's parts, and what goes out with it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial

from watchword.clock import Clock
from watchword.concurrency import Background
from watchword.crypto.passwords import Passwords
from watchword.crypto.signing import sign, unsign
from watchword.engine.additional_fields import AdditionalFields
from watchword.engine.client_address import ClientAddresses
from watchword.engine.cookie_cache import SessionCopies
from watchword.engine.endpoint import Endpoint
from watchword.engine.mail import Mail, Mailer
from watchword.engine.options import Options
from watchword.engine.output import Output
from watchword.engine.rate_limit import (
    Counters,
    Guess,
    GuessLimiter,
    counters_of,
    counting_breaker,
    guess_limiter_of,
)
from watchword.engine.sessions import NewSession, Sessions
from watchword.errors import ErrorCode
from watchword.http.cookies import CookieJar, encode_uri_component
from watchword.http.messages import Request
from watchword.storage.entities import Identity, Session, User
from watchword.storage.store import Store
from watchword.storage.stores import AccountStore, StoredAccounts, VerificationStore

__all__ = ["Context", "Instance"]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """The parts of one Watchword, joined once and used by every request."""

    options: Options
    secrets: tuple[str, ...] = field(repr=False)
    store: Store
    passwords: Passwords
    cookies: CookieJar
    clock: Clock
    user_fields: AdditionalFields
    session_fields: AdditionalFields
    verifications: VerificationStore
    purges: Mapping[str, Callable[[], Awaitable[int]]] = field(default_factory=dict)
    """What deletes expired rows that stores of the application's own keep, as in `Purged`."""
    sessions: Sessions = field(init=False)
    copies: SessionCopies | None = field(init=False)
    """Of sessions, in cookies; None where the settings have none made."""
    accounts: AccountStore[User] = field(init=False)
    output: Output = field(init=False)
    addresses: ClientAddresses = field(init=False)
    counters: Counters = field(init=False)
    """Where requests are counted."""
    guesses: GuessLimiter = field(init=False)
    background: Background = field(init=False)
    mailer: Mailer = field(init=False)
    endpoints: list[Endpoint] = field(init=False, default_factory=list)
    """Every endpoint, of plugins too; for those that describe them."""
    codes: list[ErrorCode] = field(init=False, default_factory=list)
    """Every code of a refusal, likewise."""
    taken: dict[tuple[str, ...], ErrorCode] = field(init=False, default_factory=dict)
    """What plugins answer where a value is taken, by model and fields."""

    def __post_init__(self) -> None:
        background = Background()
        limits = self.options.rate_limits
        counters = partial(
            counters_of, limits, self.store, self.clock, counting_breaker(self.clock)
        )
        made = {
            "sessions": Sessions(self.store, self.options.session, self.clock),
            "copies": self._copies(),
            "accounts": StoredAccounts(self.store, User.from_record),
            "output": Output(self.store.schema),
            "addresses": ClientAddresses(self.options.trusted_proxies, self.options.proxy_header),
            "counters": counters(),
            "guesses": guess_limiter_of(limits, counters(), secret=self.secrets[0]),
            "background": background,
            "mailer": Mailer(self.options.mail, background),
        }
        for name, part in made.items():
            object.__setattr__(self, name, part)

    def _copies(self) -> SessionCopies | None:
        cache, schema = self.options.session.cookie_cache, self.store.schema
        if cache is None:
            return None
        return SessionCopies(cache, secrets=self.secrets, schema=schema, clock=self.clock)

    def code_of_taken(self, model: str, fields: Sequence[str]) -> ErrorCode | None:
        """Return what a plugin answers where values of these fields are taken, if one does."""
        return self.taken.get((model, *sorted(fields)))


@dataclass(slots=True)
class Context:
    """One call of an endpoint at one instance, over HTTP or from Python."""

    instance: Instance
    request: Request
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Of the answer, be it a refusal or not."""
    new_session: Identity | None = None
    """Who was signed in by this call."""
    takes_copies: bool = False
    """Whether a copy in a cookie may tell who asks; only what is declared so takes one."""
    started_at: datetime = field(init=False)
    _to_copy: "_ToCopy | None" = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.started_at = self.instance.clock()

    @property
    def options(self) -> Options:
        """The settings."""
        return self.instance.options

    @property
    def store(self) -> Store:
        """The rows."""
        return self.instance.store

    @property
    def sessions(self) -> Sessions:
        """The sessions."""
        return self.instance.sessions

    @property
    def accounts(self) -> AccountStore[User]:
        """The ways in that users have."""
        return self.instance.accounts

    @property
    def verifications(self) -> VerificationStore:
        """Values that prove something once."""
        return self.instance.verifications

    @property
    def passwords(self) -> Passwords:
        """Hashes and verifies passwords."""
        return self.instance.passwords

    # --- who is asking ---------------------------------------------------------------

    @property
    def ip_address(self) -> str:
        """The address of the client; empty if it is not known."""
        return (self.instance.addresses.find(self.request) or "")[:64]

    @property
    def user_agent(self) -> str:
        """What the client calls itself; empty if it does not, cut to a sane length."""
        return _storable(self.request.header("user-agent") or "")[:1024]

    def guess(self, field: str, value: str) -> Guess:
        """Return a guess at the password of whoever has this value, from this client."""
        return self.instance.guesses.at(f"{field}:{value}", self.ip_address)

    @property
    def session_token(self) -> str | None:
        """The token of the session cookie, if its signature is ours."""
        return self._signed_cookie("session_token")

    @property
    def is_forgetful(self) -> bool:
        """Whether the client asked not to be remembered when it signed in."""
        return self._signed_cookie("dont_remember") == "true"

    def _signed_cookie(self, name: str) -> str | None:
        value = self.instance.cookies.find(self.request.cookies, name)
        return None if value is None else unsign(value, self.instance.secrets)

    # --- signing in --------------------------------------------------------------------

    async def new_session_of(self, user_id: object, *, remembered: bool = True) -> NewSession:
        """Make a session for this client; joins the transaction that is open.

        Raises:
            ReferenceViolation: The user is gone.
        """
        return await self.sessions.create(
            user_id,
            ip_address=self.ip_address,
            user_agent=self.user_agent,
            remembered=remembered,
        )

    def remember(self, session: NewSession, user: User) -> None:
        """Hand a new session to the client; without remembering, until the browser closes."""
        made = Session.from_record(session.row, token=session.token)
        self.new_session = Identity(made, user)
        self.send_session_token(session.token, lasting=session.remembered)
        self._to_copy = _ToCopy(self.new_session, lasting=session.remembered)
        if not session.remembered:
            self._set_signed("dont_remember", "true", max_age=None)
        elif self.instance.cookies.find(self.request.cookies, "dont_remember") is not None:
            self._clear("dont_remember")

    def send_session_token(self, token: str, *, lasting: bool) -> None:
        """Set the session cookie."""
        lifetime = int(self.options.session.expires_in.total_seconds())
        self._set_signed("session_token", token, max_age=lifetime if lasting else None)

    def send_session_again(self, session: Session, user: User) -> None:
        """Set the cookies of a session that goes on, as lasting as it was.

        Args:
            session: As it is stored now.
            user: Likewise.
        """
        self.send_session_token(session.token, lasting=not self.is_forgetful)
        self.copy_session(session, user)

    def forget_session(self) -> None:
        """Delete every cookie of the session, the parts of a divided one too."""
        self._to_copy = None
        jar = self.instance.cookies
        parts = [*jar.names_of_divided(self.request.cookies, "session_data")]
        for name in dict.fromkeys(["session_token", "session_data", *parts, "dont_remember"]):
            self._clear(name)

    # --- copies of the session -----------------------------------------------------------

    def copy_session(self, session: Session, user: User) -> None:
        """Let a copy go out with the answer, where the settings have one made.

        Args:
            session: As it is stored now; never from a copy, which would live for ever.
            user: Likewise.
        """
        self._to_copy = _ToCopy(Identity(session, user), lasting=not self.is_forgetful)

    async def copied_identity(self) -> Identity | None:
        """Return who asks by the copy in their cookie; None where the store has to tell."""
        copies, token = self.instance.copies, self.session_token
        if copies is None or token is None or not self.takes_copies:
            return None
        copy = self.instance.cookies.find_divided(self.request.cookies, "session_data")
        return None if copy is None else await copies.read(copy, token=token)

    async def send_copy(self) -> None:
        """Set the cookie with the copy that is to go out; once, with what was read last."""
        copies, of, self._to_copy = self.instance.copies, self._to_copy, None
        if copies is None or of is None:
            return
        # Its age counts from before the store was read, however long the call took since.
        copy = await copies.write(of.identity, read_at=self.started_at, lasting=of.lasting)
        lifetime = int(copies.lifetime(lasting=True).total_seconds()) if of.lasting else None
        for cookie in self.instance.cookies.set_divided(
            "session_data", copy, max_age=lifetime, sent=self.request.cookies
        ):
            self._set_cookie(cookie)

    # --- cookies -------------------------------------------------------------------------

    def _set_signed(self, name: str, value: str, *, max_age: int | None) -> None:
        signed = sign(value, self.instance.secrets[0])
        self._set_cookie(self.instance.cookies.set(name, signed, max_age=max_age))

    def _clear(self, name: str) -> None:
        self._set_cookie(self.instance.cookies.clear(name))

    def _set_cookie(self, cookie: str) -> None:
        """Send a cookie once: what was to be set under its name before is left out.

        Two of one name in an answer are for each client to choose from (RFC 6265, 4.1.1).
        """
        name = cookie.partition("=")[0]
        self.headers[:] = [it for it in self.headers if not _sets(it, name)]
        self.headers.append(("set-cookie", cookie))

    # --- mail ----------------------------------------------------------------------------

    def link(self, path: str, **parameters: str) -> str:
        """Return a link to an endpoint, as mails carry them."""
        query = "&".join(f"{key}={encode_uri_component(it)}" for key, it in parameters.items())
        return f"{self.options.url}{path}?{query}"

    async def post(self, mail: Mail | None) -> None:
        """Send a message when what is open is committed, and not if it is undone.

        None is a message to nobody, for answers whose time must not tell that there is none.
        """
        mailer = self.instance.mailer
        await self.store.after_commit(partial(mailer.post, mail))


@dataclass(frozen=True, slots=True)
class _ToCopy:
    """Of whom a copy is to be sent, and whether it may outlive the browser."""

    identity: Identity
    _: KW_ONLY
    lasting: bool


def _sets(header: tuple[str, str], cookie: str) -> bool:
    return header[0] == "set-cookie" and header[1].startswith(f"{cookie}=")


def _storable(text: str) -> str:
    """Drop what no database keeps from a header's text."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
