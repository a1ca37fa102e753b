"""Sign up with an e-mail address and a password."""

from dataclasses import dataclass
from typing import Any

from watchword.engine.accounts import check_password_length, create_with_password
from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.plugin import Plugin
from watchword.engine.sessions import NewSession
from watchword.errors import APIError, CoreError, OperationRefused, UniqueViolation
from watchword.http.bodies import UNSET, Body, NonEmpty, UnsetType
from watchword.http.emails import Email, canonical_email
from watchword.storage.contract import Record
from watchword.storage.query import F

__all__ = ["SignUp"]


class SignUpBody(Body, frozen=True):
    """What a new user sends."""

    name: str
    email: Email
    password: NonEmpty
    image: str | UnsetType = UNSET
    callback_url: str | UnsetType = UNSET
    remember_me: bool | UnsetType = UNSET

    @property
    def user(self) -> dict[str, Any]:
        """What is stored of it."""
        image = None if self.image is UNSET else self.image
        return {"name": self.name, "email": canonical_email(self.email), "image": image}


@dataclass(frozen=True, kw_only=True)
class SignUp(Plugin):
    """Makes users."""

    id = "sign-up"

    @post("/sign-up/email", form=True)
    async def with_email(self, ctx: Context, body: SignUpBody) -> dict[str, Any]:
        """Make a user with a password and, unless told otherwise, sign them in."""
        options = ctx.options.email_password
        if options is None or not options.sign_up:
            raise APIError(CoreError.EMAIL_PASSWORD_SIGN_UP_DISABLED)
        check_password_length(body.password, options)
        if options.signs_in_at_sign_up:
            return await self._and_sign_in(ctx, body)
        return await self._without_telling(ctx, body)

    async def _and_sign_in(self, ctx: Context, body: SignUpBody) -> dict[str, Any]:
        # Asked first to spare the hash; what decides is the unique key.
        if await ctx.store.count("user", F.email == body.user["email"]):
            raise APIError(CoreError.USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL)
        password_hash = await ctx.passwords.hash(body.password)

        async def write() -> tuple[Record, NewSession]:
            user = await create_with_password(ctx.store, body.user, password_hash=password_hash)
            return user, await ctx.sessions.create(
                user["id"],
                ip_address=ctx.ip_address,
                user_agent=ctx.user_agent,
                remembered=body.remember_me is not False,
            )

        try:
            user, session = await ctx.store.run_in_transaction(write)
        except UniqueViolation as error:
            raise _refusal(error) from error
        except OperationRefused as error:
            raise _hook_refusal(error) from error
        ctx.remember(session)
        return {"token": session.token, "user": ctx.output.user(user)}

    async def _without_telling(self, ctx: Context, body: SignUpBody) -> dict[str, Any]:
        """Answer alike, after the same work, whether the address was known or not."""
        password_hash = await ctx.passwords.hash(body.password)

        async def write() -> Record:
            return await create_with_password(ctx.store, body.user, password_hash=password_hash)

        try:
            user = await ctx.store.run_in_transaction(write)
        except UniqueViolation as error:
            if not _is_about_the_address(error):
                raise
            user = await ctx.store.imagine("user", body.user)
        except OperationRefused as error:
            raise _hook_refusal(error) from error
        return {"token": None, "user": ctx.output.user(user)}


def _refusal(error: UniqueViolation) -> Exception:
    if _is_about_the_address(error):
        return APIError(CoreError.USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL)
    return error


def _is_about_the_address(error: UniqueViolation) -> bool:
    """Tell whether the address is taken; a backend that names no field can mean no other."""
    return error.model == "user" and error.fields in {("email",), ()}


def _hook_refusal(error: OperationRefused) -> APIError:
    if error.model == "session":
        return APIError(CoreError.FAILED_TO_CREATE_SESSION)
    return APIError(CoreError.FAILED_TO_CREATE_USER, status=400)
