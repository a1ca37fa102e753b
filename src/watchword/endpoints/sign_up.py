"""Sign up with an e-mail address and a password."""

from dataclasses import dataclass
from typing import Any, ClassVar

from watchword.concurrency import call
from watchword.engine.accounts import check_password_length, create_with_password
from watchword.engine.context import Context
from watchword.engine.email_proof import pretend_to_send, send_verification
from watchword.engine.endpoint import post
from watchword.engine.options import EmailPassword
from watchword.engine.plugin import Plugin
from watchword.engine.sessions import NewSession
from watchword.errors import (
    APIError,
    CoreError,
    ErrorCode,
    OperationRefused,
    ReferenceViolation,
    UniqueViolation,
)
from watchword.http.bodies import UNSET, Answer, NonEmpty, OpenBody, UnsetType
from watchword.http.emails import Email, canonical_email
from watchword.storage.contract import Record
from watchword.storage.entities import User
from watchword.storage.query import F, having

__all__ = ["SignUp", "SignUpBody", "SignedUp"]


class SignUpBody(OpenBody, frozen=True):
    """What a new user sends, additional fields of the user by their wire names included."""

    creates: ClassVar[bool] = True

    name: str
    email: Email
    password: NonEmpty
    image: str | UnsetType = UNSET
    callback_url: str | UnsetType = UNSET
    remember_me: bool | UnsetType = UNSET


class SignedUp(Answer, frozen=True):
    """The new user; the token is null where signing up does not sign in."""

    token: str | None
    user: User


@dataclass(frozen=True, kw_only=True)
class SignUp(Plugin):
    """Makes users."""

    id = "sign-up"

    @post("/sign-up/email", form=True)
    async def with_email(self, ctx: Context, body: SignUpBody) -> SignedUp:
        """Make a user with a password and, unless told otherwise, sign them in."""
        options = ctx.options.email_password
        if options is None or not options.sign_up:
            raise APIError(CoreError.EMAIL_PASSWORD_SIGN_UP_DISABLED)
        check_password_length(body.password, options)
        user = _new_user(ctx, body)
        try:
            if options.signs_in_at_sign_up:
                return await self._and_sign_in(ctx, body, user)
            return await self._without_telling(ctx, body, user, options)
        except OperationRefused as error:
            raise _hook_refusal(error) from error
        except ReferenceViolation as error:  # an additional field's value points at nothing
            raise APIError(CoreError.FAILED_TO_CREATE_USER) from error

    async def _and_sign_in(self, ctx: Context, body: SignUpBody, user: dict[str, Any]) -> SignedUp:
        # Asked first to spare the hash; what decides is the unique key.
        if await ctx.store.count("user", F.email == user["email"]):
            raise APIError(CoreError.USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL)
        password_hash = await ctx.passwords.hash(body.password)

        async def write() -> tuple[User, NewSession]:
            created = await _create(ctx, body, user, password_hash)
            remembered = body.remember_me is not False
            return created, await ctx.new_session_of(created.id, remembered=remembered)

        try:
            created, session = await ctx.store.run_in_transaction(write)
        except UniqueViolation as error:
            raise _refusal(ctx, error) from error
        ctx.remember(session, created)
        return SignedUp(token=session.token, user=created)

    async def _without_telling(
        self, ctx: Context, body: SignUpBody, user: dict[str, Any], options: EmailPassword
    ) -> SignedUp:
        """Answer alike, after the same work, whether the address was known or not."""
        password_hash = await ctx.passwords.hash(body.password)

        async def write() -> User:
            return await _create(ctx, body, user, password_hash)

        try:
            created = await ctx.store.run_in_transaction(write)
        except UniqueViolation as error:
            imagined = await ctx.store.imagine("user", user)
            code = await _other_refusal(ctx, user, imagined)
            if code is not None or not _is_about_the_address(error):
                raise APIError(code or CoreError.FAILED_TO_CREATE_USER) from error
            created = User.from_record(imagined)
            if ctx.options.verifies_at_sign_up:
                await pretend_to_send(ctx, user["email"])
            await _tell_owner(ctx, user["email"], options)
        return SignedUp(token=None, user=created)


def _new_user(ctx: Context, body: SignUpBody) -> dict[str, Any]:
    """Return what is stored of a body."""
    image = None if body.image is UNSET else body.image
    own = {"name": body.name, "email": canonical_email(body.email), "image": image}
    return {**ctx.instance.user_fields.for_create(body.additional_fields), **own}


async def _create(
    ctx: Context, body: SignUpBody, user: dict[str, Any], password_hash: str
) -> User:
    """Write the user, and the token of the mail that goes out with the commit."""
    row = await create_with_password(ctx.store, user, password_hash=password_hash)
    created = User.from_record(row)
    if ctx.options.verifies_at_sign_up:
        await send_verification(ctx, created, body.callback_url)
    return created


async def _tell_owner(ctx: Context, email: str, options: EmailPassword) -> None:
    """Let the application write to who has the address; nobody waits for it."""
    tell = options.on_existing_user_sign_up
    if tell is None:
        return
    row = await ctx.store.find_one("user", F.email == email)
    if row is not None:
        owner = User.from_record(row)
        await ctx.instance.background.start(lambda: call(tell, owner))


def _refusal(ctx: Context, error: UniqueViolation) -> APIError:
    if _is_about_the_address(error):
        return APIError(CoreError.USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL)
    code = ctx.instance.code_of_taken(error.model, error.fields)
    return APIError(code or CoreError.FAILED_TO_CREATE_USER)


async def _other_refusal(ctx: Context, user: dict[str, Any], imagined: Record) -> ErrorCode | None:
    """Return what is told if more than the address is taken, or a value points at nothing.

    Databases name one reason of several. Were the address answered first, somebody's own value
    of another field would tell known addresses from unknown ones; so would an id that was
    given, as where it is a name.

    Args:
        ctx: Of the call.
        user: What was to be written, with digested fields in clear.
        imagined: What hooks had made of it.
    """
    model = ctx.store.schema.require_model("user")
    values = {
        name: (user if field.digest else imagined).get(name)
        for name, field in model.fields.items()
    }
    for name, referenced in model.references.items():
        value = values[name]
        if value is not None and not await ctx.store.count(referenced, F.id == value):
            return CoreError.FAILED_TO_CREATE_USER
    for key in model.unique_keys:
        if key == ("email",) or None in (values[name] for name in key):
            continue
        if await ctx.store.count("user", having({name: values[name] for name in key})):
            return ctx.instance.code_of_taken("user", key) or CoreError.FAILED_TO_CREATE_USER
    return None


def _is_about_the_address(error: UniqueViolation) -> bool:
    """Tell whether the address is taken; a backend that names no field can mean no other."""
    return error.model == "user" and error.fields in {("email",), ()}


def _hook_refusal(error: OperationRefused) -> APIError:
    if error.model == "session":
        return APIError(CoreError.FAILED_TO_CREATE_SESSION)
    return APIError(CoreError.FAILED_TO_CREATE_USER, status=400)
