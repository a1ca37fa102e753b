"""Sign in with a user name, beside the e-mail address or instead of it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

from watchword.concurrency import call
from watchword.engine.api import AsyncCalls, BlockingCalls, Call, Calls
from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.hooks import EndpointCall, before, before_write
from watchword.engine.identity import signed_in
from watchword.engine.password_sign_in import PasswordBody, PasswordSignIn, SignedIn
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, ConfigurationError, ErrorCode
from watchword.http.bodies import UNSET, Answer, Body, utf16_length
from watchword.schema import Field
from watchword.storage.contract import Record
from watchword.storage.query import F

__all__ = ["BlockingUsernameAPI", "Username", "UsernameAPI", "UsernameError"]

_LONGEST: Final = 255
_PLAIN: Final = re.compile(r"[a-zA-Z0-9_.]+")
_NAME: Final = Field(
    "string",
    required=False,
    unique=True,
    max_length=_LONGEST,
    pii=True,
    comment="To sign in with, normalized",
)
_SHOWN: Final = Field("string", required=False, pii=True, comment="As its owner writes it")

Validator: TypeAlias = Callable[[str], bool | Awaitable[bool]]
"""Tells whether a name may be used; `def` or `async def`."""
Normalization: TypeAlias = Callable[[str], str]
"""Returns the one form of all spellings that are the same name."""


class UsernameError(ErrorCode):
    """Refusals of this plugin."""

    INVALID_USERNAME_OR_PASSWORD = 401, "Invalid username or password"
    USERNAME_IS_ALREADY_TAKEN = 400, "Username is already taken. Please try another."
    USERNAME_TOO_SHORT = 400, "Username is too short"
    USERNAME_TOO_LONG = 400, "Username is too long"
    INVALID_USERNAME = 400, "Username is invalid"
    INVALID_DISPLAY_USERNAME = 400, "Display username is invalid"
    USERNAME_IS_IMMUTABLE = 400, "Username cannot be updated"


_BY_USERNAME: Final = PasswordSignIn(
    refusal=UsernameError.INVALID_USERNAME_OR_PASSWORD, no_session=500
)


class UsernameSignInBody(PasswordBody, frozen=True):
    """What a returning user sends."""

    username: str


class AvailabilityBody(Body, frozen=True):
    """Which name somebody would like."""

    username: str


class Availability(Answer, frozen=True):
    """Whether it can be had."""

    available: bool


@dataclass(frozen=True, kw_only=True)
class Username(Plugin):
    """Gives users a name to sign in with; it comes with the sign-up, or later.

    Names are unique and compared in their normalized form. The form that their owner wrote is
    kept beside it, to be shown.

    Args:
        min_username_length: In UTF-16 code units, as browsers count.
        max_username_length: Likewise, at most 255.
        username_validator: None allows ASCII letters, digits, `_` and `.`.
        username_normalization: None keeps names as they are: `Ada` and `ada` are then two.
        validate_normalized_username: Check the normalized form rather than what was sent.
        display_username: Keep a form to be shown; without it there is no such field.
        display_username_validator: None allows every one.
        display_username_normalization: None keeps it as it is.
        validate_normalized_display_username: As for the name.
        immutable_username: Who has a name keeps it: `/update-user` changes none.

    Raises:
        ConfigurationError: No name would be short or long enough.
    """

    id = "username"
    errors = UsernameError
    taken: ClassVar = {("user", "username"): UsernameError.USERNAME_IS_ALREADY_TAKEN}

    min_username_length: int = 3
    max_username_length: int = 30
    username_validator: Validator | None = None
    username_normalization: Normalization | None = str.lower
    validate_normalized_username: bool = False
    display_username: bool = True
    display_username_validator: Validator | None = None
    display_username_normalization: Normalization | None = None
    validate_normalized_display_username: bool = False
    immutable_username: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.min_username_length <= self.max_username_length <= _LONGEST:
            raise ConfigurationError(
                f"User names cannot have {self.min_username_length} "
                f"to {self.max_username_length} characters.",
                hint=f"Choose a range within 1 to {_LONGEST}.",
            )

    @property
    def extends(self) -> Mapping[str, Mapping[str, Field]]:
        """The name, and the form of it that is shown."""
        fields = {"username": _NAME}
        if self.display_username:
            fields["display_username"] = _SHOWN
        return {"user": fields}

    @property
    def user_forms(self) -> Mapping[str, Callable[[str], str]]:
        """All spellings that are the same name."""
        return {"username": self._normalized}

    # --- endpoints -------------------------------------------------------------------------

    @post("/sign-in/username")
    async def sign_in(self, ctx: Context, body: UsernameSignInBody) -> SignedIn:
        """Make a session, if the password is right.

        An unknown name, an account without a password and a wrong password are answered
        alike, after the same work.
        """
        if not body.username or not body.password:
            raise APIError(UsernameError.INVALID_USERNAME_OR_PASSWORD)
        await self._check(body.username, status=422)
        whose = F.username == self._normalized(body.username)
        return await _BY_USERNAME.sign_in(ctx, whose, body)

    @post("/is-username-available")
    async def is_available(self, ctx: Context, body: AvailabilityBody) -> Availability:
        """Tell whether nobody has a name yet; the caller's own is taken too."""
        if not body.username:
            raise APIError(UsernameError.INVALID_USERNAME, status=422)
        await self._check(body.username, status=422)
        username = self._normalized(body.username)
        return Availability(available=not await self._is_taken(ctx, username))

    # --- what others write -----------------------------------------------------------------

    @before("/sign-up/email")
    async def check_sign_up(self, ctx: Context, about: EndpointCall) -> dict[str, Any]:
        """Refuse a name before a password is hashed for it.

        Who gives a form to be shown and no name gets it as the name too, if it can be one.
        """
        shown = about.body.get("displayUsername")
        username = about.body.get("username", UNSET)
        if username is UNSET:
            username = await self._name_in(shown)
        if isinstance(username, str):
            await self._check(username)
            await self._require_free(ctx, self._normalized(username))
        await self._check_display_username(shown)
        return {"username": username} if isinstance(username, str) else {}

    @before("/update-user")
    async def check_update(self, ctx: Context, about: EndpointCall) -> None:
        """Refuse a name that somebody else has, and any other where names stay."""
        username = about.body.get("username", UNSET)
        if isinstance(username, str):
            await self._check(username)
        if isinstance(username, str | None):
            await self._check_change(ctx, None if username is None else self._normalized(username))
        await self._check_display_username(about.body.get("displayUsername"))

    @before_write("user", "create")
    async def complete(self, user: Record) -> Record:
        """Do the same for a new user; the name as it came is shown, unless told otherwise."""
        username, shown = user.get("username"), user.get("display_username")
        tidied = await self.tidy(user)
        if self.display_username and isinstance(username, str) and not shown:
            tidied["display_username"] = self._normalized_display(username)
        return tidied

    @before_write("user", "update")
    async def tidy(self, changes: Record) -> Record:
        """Check and normalize what is written, whoever writes it."""
        tidied = {}
        username, shown = changes.get("username"), changes.get("display_username")
        if isinstance(username, str):
            await self._check(username)
            tidied["username"] = self._normalized(username)
        if isinstance(shown, str):
            await self._check_display_username(shown)
            tidied["display_username"] = self._normalized_display(shown)
        return tidied

    # --- rules -----------------------------------------------------------------------------

    async def _check(self, username: str, *, status: int = 400) -> None:
        """Refuse what can be nobody's name."""
        code = await self._mistake_in(username)
        if code is not None:
            raise APIError(code, status=status)

    async def _mistake_in(self, username: str) -> UsernameError | None:
        checked = self._normalized(username) if self.validate_normalized_username else username
        if utf16_length(checked) < self.min_username_length:
            return UsernameError.USERNAME_TOO_SHORT
        if utf16_length(checked) > self.max_username_length:
            return UsernameError.USERNAME_TOO_LONG
        if self.username_validator is None:
            is_valid = _PLAIN.fullmatch(checked) is not None
        else:
            is_valid = await call(self.username_validator, checked)
        return None if is_valid else UsernameError.INVALID_USERNAME

    async def _check_display_username(self, shown: object) -> None:
        """Refuse what the application does not want to show; other types are refused later."""
        validator = self.display_username_validator
        if not self.display_username or validator is None or not isinstance(shown, str):
            return
        normalizes = self.validate_normalized_display_username
        if not await call(validator, self._normalized_display(shown) if normalizes else shown):
            raise APIError(UsernameError.INVALID_DISPLAY_USERNAME)

    async def _name_in(self, shown: object) -> str | None:
        """Return the form to be shown if it can be a name."""
        if not self.display_username or not isinstance(shown, str):
            return None
        return None if await self._mistake_in(shown) else shown

    async def _check_change(self, ctx: Context, normalized: str | None) -> None:
        """Refuse a change of who is signed in; their present name, however spelt, is none."""
        identity = await signed_in(ctx)
        present = None if identity is None else identity.user.extra.get("username")
        if normalized == present:
            return
        if self.immutable_username and present is not None:
            raise APIError(UsernameError.USERNAME_IS_IMMUTABLE)
        if normalized is not None:
            await self._require_free(ctx, normalized)

    async def _require_free(self, ctx: Context, normalized: str) -> None:
        """Refuse a name that somebody has; who is faster than this is told by `taken`."""
        if await self._is_taken(ctx, normalized):
            raise APIError(UsernameError.USERNAME_IS_ALREADY_TAKEN)

    async def _is_taken(self, ctx: Context, normalized: str) -> bool:
        return await ctx.store.count("user", F.username == normalized) > 0

    def _normalized(self, username: str) -> str:
        return (self.username_normalization or str)(username)

    def _normalized_display(self, shown: str) -> str:
        return (self.display_username_normalization or str)(shown)


# --- from Python ---------------------------------------------------------------------------


class _UsernameCalls(Calls):
    sign_in = Call(UsernameSignInBody, Username.sign_in)
    is_available = Call(AvailabilityBody, Username.is_available)


class UsernameAPI(_UsernameCalls, AsyncCalls):
    """The endpoints as coroutines: `await auth.calls(UsernameAPI).sign_in(username=…, …)`."""


class BlockingUsernameAPI(_UsernameCalls, BlockingCalls):
    """The endpoints as functions: `auth.calls(BlockingUsernameAPI).sign_in(username=…, …)`."""
