"""Signing in with a password: what is the same however people name themselves."""

import string
from dataclasses import dataclass
from urllib.parse import quote

from watchword.engine.accounts import (
    check_password_not_too_long,
    find_with_password,
    require_email_password,
    still_has_password,
)
from watchword.engine.context import Context
from watchword.engine.email_proof import send_verification
from watchword.engine.sessions import NewSession
from watchword.errors import APIError, CoreError, ErrorCode, OperationRefused, ReferenceViolation
from watchword.http.bodies import UNSET, Answer, Body, UnsetType
from watchword.storage.contract import Record
from watchword.storage.entities import User
from watchword.storage.query import F, Where

__all__ = ["PasswordBody", "PasswordSignIn", "SignedIn"]


class PasswordBody(Body, frozen=True, kw_only=True):
    """What a returning user sends, beside their name."""

    password: str
    callback_url: str | UnsetType = UNSET
    remember_me: bool = True


class SignedIn(Answer, frozen=True):
    """Who was signed in, with the token of the new session, and where to go on."""

    redirect: bool
    token: str
    user: User
    url: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSignIn:
    """One way to sign in with a password.

    Args:
        refusal: The one answer to all that can be wrong with name and password.
        no_session: The status where a hook refuses the session.
    """

    refusal: ErrorCode
    no_session: int

    async def sign_in(self, ctx: Context, whose: Where, body: PasswordBody) -> SignedIn:
        """Make a session for the user who is meant, if the password is right.

        An unknown name, an account without a password and a wrong password are answered
        alike, after the same work.

        Raises:
            APIError: Passwords are switched off, the user may not sign in, or there were too
                many guesses at this account.
        """
        check_password_not_too_long(body.password, require_email_password(ctx.options))
        [named] = whose.comparisons()
        guess = ctx.guess(named.field, named.value)
        await guess.count()
        found = await find_with_password(ctx.store, whose)
        stored = None if found is None else found[1]["password"]
        verified = await ctx.passwords.verify(body.password, stored)
        if found is None or not verified:
            raise APIError(self.refusal)
        await guess.was_right()
        user, account = User.from_record(found[0]), found[1]
        await _require_verified(ctx, user, body)
        account = await self._with_todays_hash(ctx, account, body.password)
        session = await self._new_session(ctx, account, remembered=body.remember_me)
        ctx.remember(session, user)
        return _answer(ctx, session.token, user, body.callback_url)

    async def _new_session(self, ctx: Context, account: Record, *, remembered: bool) -> NewSession:
        async def write() -> NewSession:
            if not await still_has_password(ctx.store, account):
                raise APIError(self.refusal)
            return await ctx.new_session_of(account["user_id"], remembered=remembered)

        try:
            return await ctx.store.run_in_transaction(write)
        except ReferenceViolation as error:
            raise APIError(self.refusal) from error
        except OperationRefused as error:
            code = CoreError.FAILED_TO_CREATE_SESSION
            raise APIError(code, status=self.no_session) from error

    async def _with_todays_hash(self, ctx: Context, account: Record, password: str) -> Record:
        """Replace a hash that was made in an older way; return the account as it is then."""
        if not ctx.passwords.needs_rehash(account["password"]):
            return account
        unchanged = (F.id == account["id"]) & (F.password == account["password"])
        renewed = {"password": await ctx.passwords.hash(password)}
        try:
            changed = await ctx.store.update("account", unchanged, renewed)
        except OperationRefused:
            return account
        return changed or await self._changed_by_another(ctx, account, password)

    async def _changed_by_another(self, ctx: Context, account: Record, password: str) -> Record:
        """Return the account if the password still is right: another sign-in was faster."""
        present = await ctx.store.find_one("account", F.id == account["id"])
        stored = None if present is None else present["password"]
        if present is None or not await ctx.passwords.verify(password, stored):
            raise APIError(self.refusal)
        return present


async def _require_verified(ctx: Context, user: User, body: PasswordBody) -> None:
    """Refuse who has not proved to own the address; asked only when the password was right."""
    options, verification = ctx.options.email_password, ctx.options.email_verification
    if options is None or not options.require_email_verification or user.email_verified:
        return
    if verification is not None and verification.send_on_sign_in:
        await send_verification(ctx, user, body.callback_url)
    raise APIError(CoreError.EMAIL_NOT_VERIFIED)


def _answer(ctx: Context, token: str, user: User, callback_url: str | UnsetType) -> SignedIn:
    """Tell a browser where to go on; the status stays 200 for those who fetch."""
    if callback_url is UNSET or not callback_url:
        return SignedIn(redirect=False, token=token, user=user)
    # A header holds printable ASCII; what stands there already, escapes too, is kept.
    ctx.headers.append(("location", quote(callback_url, safe=string.punctuation)))
    return SignedIn(redirect=True, token=token, url=callback_url, user=user)
