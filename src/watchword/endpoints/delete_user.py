"""Delete who is signed in, with a password, a recent sign-in or a link sent by mail."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from watchword.concurrency import call
from watchword.endpoints.passwords import require_right_password
from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.identity import current_identity
from watchword.engine.mail import Mail
from watchword.engine.options import DeleteUser
from watchword.engine.personal_data import erase_in_transaction
from watchword.engine.plugin import Plugin
from watchword.engine.redirects import redirect
from watchword.errors import APIError, CoreError, NoSuchUser, ReferenceViolation
from watchword.http.bodies import UNSET, Answer, Body, UnsetType
from watchword.http.messages import Response
from watchword.storage.entities import Identity

__all__ = ["DeleteUserBody", "DeleteUserQuery", "Deletion", "UserDeletion"]

_PURPOSE: Final = "delete-account"


class DeleteUserBody(Body, frozen=True):
    """What proves that it is meant."""

    callback_url: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    token: str | UnsetType = UNSET


class DeleteUserQuery(Body, frozen=True):
    """What the link carries."""

    token: str
    callback_url: str | UnsetType = UNSET


class Deletion(Answer, frozen=True):
    """The user is gone, or a mail is on its way."""

    success: bool = True
    message: str = "User deleted"


@dataclass(frozen=True, kw_only=True)
class UserDeletion(Plugin):
    """Deletes users at their own wish."""

    id = "delete-user"

    @post("/delete-user")
    async def delete(self, ctx: Context, identity: Identity, body: DeleteUserBody) -> Deletion:
        """Delete the user with all that is theirs, or send a link that does."""
        options = ctx.options.user.delete_user
        if options is None:
            raise APIError.bare(404)
        if body.password:
            await require_right_password(ctx, identity, body.password)
        if body.token:
            return await self._delete(ctx, identity, options, token=body.token)
        if options.confirm_by_mail:
            return await self._ask_by_mail(ctx, identity, options, body.callback_url)
        if not body.password and not ctx.sessions.is_fresh(identity.session):
            raise APIError(CoreError.SESSION_EXPIRED)
        return await self._delete(ctx, identity, options)

    @get("/delete-user/callback")
    async def confirm(self, ctx: Context, query: DeleteUserQuery) -> Deletion | Response:
        """Delete the user whose link this is; they have to be signed in."""
        options = ctx.options.user.delete_user
        if options is None:
            raise APIError(CoreError.NOT_FOUND)
        identity = await current_identity(ctx)
        if identity is None:
            raise APIError(CoreError.FAILED_TO_GET_USER_INFO, status=404)
        deleted = await self._delete(ctx, identity, options, token=query.token)
        return redirect(query.callback_url) if query.callback_url else deleted

    async def _ask_by_mail(
        self, ctx: Context, identity: Identity, options: DeleteUser, callback_url: str | UnsetType
    ) -> Deletion:
        user = identity.user
        token = await ctx.verifications.issue(
            _PURPOSE, user.id, expires_in=options.token_expires_in
        )
        target = callback_url or "/"
        url = ctx.link("/delete-user/callback", token=token, callbackURL=target)
        mail = Mail(purpose="delete-user", to=user.email, user=user, url=url, token=token)
        await ctx.post(mail)
        return Deletion(message="Verification email sent")

    async def _delete(
        self, ctx: Context, identity: Identity, options: DeleteUser, *, token: str | None = None
    ) -> Deletion:
        user = identity.user
        if token is not None:
            found = await ctx.verifications.find(_PURPOSE, token)
            if found is None or found.is_expired or found.value != user.id:
                raise APIError(CoreError.INVALID_TOKEN, status=404)
        if options.before is not None:
            await call(options.before, user)

        async def write() -> None:
            if token is not None and await ctx.verifications.redeem(_PURPOSE, token) is None:
                raise APIError(CoreError.INVALID_TOKEN, status=404)
            # Links that were mailed stay, and tell for as long as they work that nobody is here:
            # to look for them reads their whole table, which no request may.
            await erase_in_transaction(ctx.store, user.id, with_verifications=False)
            if options.after is not None:
                after = options.after
                await ctx.store.after_commit(partial(call, after, user))

        try:
            await ctx.store.run_in_transaction(write)
        except NoSuchUser:
            pass  # another was faster, and told whom there is to tell
        except ReferenceViolation as error:  # rows of the application's own stand in the way
            raise APIError(CoreError.FAILED_TO_DELETE_USER) from error
        ctx.forget_session()
        return Deletion()
