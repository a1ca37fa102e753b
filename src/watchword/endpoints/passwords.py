"""Change, set and verify the password of who is signed in."""

from dataclasses import dataclass

from watchword.engine.accounts import (
    check_password_length,
    check_password_not_too_long,
    find_credential,
    replace_password,
    write_password,
)
from watchword.engine.context import Context
from watchword.engine.endpoint import post, server_only
from watchword.engine.options import EmailPassword
from watchword.engine.plugin import Plugin
from watchword.engine.sessions import NewSession
from watchword.errors import APIError, CoreError, ReferenceViolation
from watchword.http.bodies import Answer, Body, Done
from watchword.http.emails import canonical_email
from watchword.storage.contract import Record
from watchword.storage.entities import Identity, User

__all__ = [
    "ChangePasswordBody",
    "PasswordChanged",
    "Passwords",
    "SetPasswordBody",
    "VerifyPasswordBody",
    "require_right_password",
]


class ChangePasswordBody(Body, frozen=True):
    """The new password and the present one."""

    new_password: str
    current_password: str
    revoke_other_sessions: bool = False


class SetPasswordBody(Body, frozen=True):
    """The first password of a user who signs in without one."""

    new_password: str


class VerifyPasswordBody(Body, frozen=True):
    """The present password."""

    password: str


class PasswordChanged(Answer, frozen=True):
    """The user, and the token of the session that replaces all others, if that was asked."""

    token: str | None
    user: User


@dataclass(frozen=True, kw_only=True)
class Passwords(Plugin):
    """The password of who is signed in."""

    id = "passwords"

    @post("/change-password")
    async def change(
        self, ctx: Context, identity: Identity, body: ChangePasswordBody
    ) -> PasswordChanged:
        """Write a new password and, if asked, end every session and begin a new one."""
        check_password_length(body.new_password, _options(ctx))
        account = await require_right_password(ctx, identity, body.current_password)
        password_hash = await ctx.passwords.hash(body.new_password)

        async def replace() -> None:
            # Of two changes at the same time the second no longer knows the password.
            if not await replace_password(ctx.store, account, password_hash):
                raise APIError(CoreError.INVALID_PASSWORD)

        async def replace_and_revoke() -> NewSession:
            await replace()
            await ctx.sessions.stored.revoke_all(identity.user.id)
            return await ctx.new_session_of(identity.user.id, remembered=not ctx.is_forgetful)

        if not body.revoke_other_sessions:
            await replace()
            return PasswordChanged(token=None, user=identity.user)
        session = await ctx.store.run_in_transaction(replace_and_revoke)
        ctx.remember(session, identity.user)
        return PasswordChanged(token=session.token, user=identity.user)

    @server_only("/set-password")
    async def set(self, ctx: Context, identity: Identity, body: SetPasswordBody) -> Done:
        """Give a password to a user who has none."""
        check_password_length(body.new_password, _options(ctx))
        account = await find_credential(ctx.store, identity.user.id)
        if account is not None and account["password"] is not None:
            raise APIError(CoreError.PASSWORD_ALREADY_SET)
        password_hash = await ctx.passwords.hash(body.new_password)
        try:
            is_set = await write_password(ctx.store, identity.user.id, account, password_hash)
        except ReferenceViolation as error:
            raise APIError(CoreError.UNAUTHORIZED) from error
        if not is_set:
            raise APIError(CoreError.PASSWORD_ALREADY_SET)
        return Done()

    @post("/verify-password")
    async def verify(self, ctx: Context, identity: Identity, body: VerifyPasswordBody) -> Done:
        """Tell whether a password is the present one."""
        check_password_not_too_long(body.password, _options(ctx))
        account = await find_credential(ctx.store, identity.user.id)
        stored = None if account is None else account["password"]
        await _require_right(ctx, identity, body.password, stored)
        return Done()


async def require_right_password(ctx: Context, identity: Identity, password: str) -> Record:
    """Return the credential account of who is signed in, if this is its password.

    Raises:
        APIError: The password is too long or wrong, there is no such account, or there were
            too many guesses at it.
    """
    check_password_not_too_long(password, _options(ctx))
    account = await find_credential(ctx.store, identity.user.id)
    if account is None or account["password"] is None:
        raise APIError(CoreError.CREDENTIAL_ACCOUNT_NOT_FOUND)
    await _require_right(ctx, identity, password, account["password"])
    return account


async def _require_right(
    ctx: Context, identity: Identity, password: str, stored: str | None
) -> None:
    # Under the name of the sign-in: a stolen session gives no guesses of its own.
    guess = ctx.guess("email", canonical_email(identity.user.email))
    await guess.count()
    if not await ctx.passwords.verify(password, stored):
        raise APIError(CoreError.INVALID_PASSWORD)
    await guess.was_right()


def _options(ctx: Context) -> EmailPassword:
    return ctx.options.email_password or EmailPassword()
