"""Set a new password with a link that was sent by mail."""

from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urljoin

import msgspec

from watchword.concurrency import call
from watchword.engine.accounts import (
    check_password_length,
    find_credential,
    password_fingerprint,
    write_password,
)
from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.mail import Mail
from watchword.engine.options import EmailPassword
from watchword.engine.plugin import Plugin
from watchword.engine.redirects import redirect
from watchword.errors import APIError, CoreError, ReferenceViolation
from watchword.http.bodies import UNSET, Answer, Body, Done, UnsetType
from watchword.http.cookies import encode_uri_component
from watchword.http.emails import Email, canonical_email
from watchword.http.messages import Response
from watchword.storage.entities import User
from watchword.storage.query import F

__all__ = [
    "LinkQuery",
    "RequestResetBody",
    "ResetPassword",
    "ResetPasswordBody",
    "ResetPasswordQuery",
    "ResetRequested",
]

_PURPOSE: Final = "reset-password"
_ANSWER: Final = "If this email exists in our system, check your email for the reset link"


class RequestResetBody(Body, frozen=True):
    """Whose password, and the page where a new one is typed in."""

    email: Email
    redirect_to: str | UnsetType = UNSET


class ResetRequested(Answer, frozen=True):
    """The same for every address."""

    status: bool = True
    message: str = _ANSWER


class LinkQuery(Body, frozen=True):
    """Where the link leads on."""

    callback_url: str


class ResetPasswordBody(Body, frozen=True):
    """The new password, with the token of the mail."""

    new_password: str
    token: str | UnsetType = UNSET


class ResetPasswordQuery(Body, frozen=True):
    """The token, for pages that pass their own query on."""

    token: str | UnsetType = UNSET


class _Permit(msgspec.Struct, frozen=True, kw_only=True):
    """What a link permits: to replace one password of one user, at the address it went to.

    With the password or the address changed, every older link is dead.
    """

    user_id: str
    email: str
    password: str
    """The digest of the present hash."""


@dataclass(frozen=True, kw_only=True)
class ResetPassword(Plugin):
    """Sets new passwords for people who can read their mail."""

    id = "reset-password"

    @post("/request-password-reset")
    async def request(self, ctx: Context, body: RequestResetBody) -> ResetRequested:
        """Send a link; answers alike, after the same work, for known and unknown addresses."""
        options = ctx.options.email_password
        if options is None or not ctx.options.resets_passwords:
            raise APIError(CoreError.RESET_PASSWORD_DISABLED)
        email = canonical_email(body.email)
        row = await ctx.store.find_one("user", F.email == email)
        user_id = "" if row is None else str(row["id"])
        account = await find_credential(ctx.store, user_id)
        permit = _Permit(user_id=user_id, email=email, password=password_fingerprint(account))
        # For an unknown address too: what is written then permits nothing, and is purged.
        token = await ctx.verifications.issue(
            _PURPOSE,
            msgspec.json.encode(permit).decode(),
            expires_in=options.reset_token_expires_in,
        )
        url = _url(ctx, token, body.redirect_to)
        await ctx.post(None if row is None else _mail(User.from_record(row), url, token))
        return ResetRequested()

    @get("/reset-password/:token")
    async def follow(self, ctx: Context, token: str, query: LinkQuery) -> Response:
        """Lead from the mail to the page where a new password is typed in; redeems nothing."""
        if not query.callback_url:
            return redirect(f"{ctx.options.url}/error", error=CoreError.INVALID_TOKEN.name)
        target = urljoin(f"{ctx.options.origin}/", query.callback_url)
        found = await ctx.verifications.find(_PURPOSE, token)
        if found is None or found.is_expired:
            return redirect(target, error=CoreError.INVALID_TOKEN.name)
        return redirect(target, token=token)

    @post("/reset-password")
    async def reset(
        self, ctx: Context, body: ResetPasswordBody, query: ResetPasswordQuery
    ) -> Done:
        """Write the new password and end the sessions of the old one, all in one step.

        A refusal burns nothing: the link still works with a better password.
        """
        options = ctx.options.email_password or EmailPassword()
        token = body.token or query.token
        if not token:
            raise APIError(CoreError.INVALID_TOKEN, status=400)
        check_password_length(body.new_password, options)
        # Looked at before the hash, or garbage would buy the most expensive work there is.
        found = await ctx.verifications.find(_PURPOSE, token)
        if found is None or found.is_expired:
            raise APIError(CoreError.INVALID_TOKEN, status=400)
        # Whoever reads the account's mail may use the new password from here at once.
        permit = msgspec.json.decode(found.value, type=_Permit)
        await ctx.guess("email", permit.email).was_right()
        password_hash = await ctx.passwords.hash(body.new_password)
        await ctx.store.run_in_transaction(partial(_write, ctx, token, password_hash, options))
        return Done()


async def _write(ctx: Context, token: str, password_hash: str, options: EmailPassword) -> None:
    value = await ctx.verifications.redeem(_PURPOSE, token)
    if value is None:
        raise APIError(CoreError.INVALID_TOKEN, status=400)
    permit = msgspec.json.decode(value, type=_Permit)
    row = await ctx.store.find_one("user", F.id == permit.user_id)
    if row is None:
        raise APIError(CoreError.USER_NOT_FOUND)
    account = await find_credential(ctx.store, permit.user_id, lock=True)
    if row["email"] != permit.email or password_fingerprint(account) != permit.password:
        raise APIError(CoreError.INVALID_TOKEN, status=400)
    try:
        is_written = await write_password(ctx.store, permit.user_id, account, password_hash)
    except ReferenceViolation as error:
        raise APIError(CoreError.USER_NOT_FOUND) from error
    if not is_written:
        raise APIError(CoreError.INVALID_TOKEN, status=400)
    if options.revoke_sessions_on_password_reset:
        await ctx.sessions.stored.revoke_all(permit.user_id)
    if options.on_password_reset is not None:
        tell, user = options.on_password_reset, User.from_record(row)
        # Queued before the commit: who hangs up in that moment must not silence a warning.
        await ctx.store.after_commit(partial(call, tell, user))


def _mail(user: User, url: str, token: str) -> Mail:
    return Mail(purpose="reset-password", to=user.email, user=user, url=url, token=token)


def _url(ctx: Context, token: str, redirect_to: str | UnsetType) -> str:
    target = "" if redirect_to is UNSET else encode_uri_component(redirect_to)
    return f"{ctx.options.url}/reset-password/{token}?callbackURL={target}"
