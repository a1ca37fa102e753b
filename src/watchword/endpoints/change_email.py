"""Change the address of who is signed in."""

from dataclasses import dataclass

from watchword.engine.accounts import find_credential
from watchword.engine.context import Context
from watchword.engine.email_proof import (
    change_of,
    pretend_to_send,
    send_change_confirmation,
    send_new_address_verification,
    send_verification,
)
from watchword.engine.endpoint import post
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError, UniqueViolation
from watchword.http.bodies import UNSET, Body, Done, UnsetType
from watchword.http.emails import Email, canonical_email
from watchword.storage.entities import Identity, User
from watchword.storage.query import F

__all__ = ["ChangeEmailBody", "ChangeUserEmail"]


class ChangeEmailBody(Body, frozen=True):
    """The new address, and where the link to prove it leads on."""

    new_email: Email
    callback_url: str | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True)
class ChangeUserEmail(Plugin):
    """Changes addresses, once the new one is proved."""

    id = "change-email"

    @post("/change-email")
    async def change(self, ctx: Context, identity: Identity, body: ChangeEmailBody) -> Done:
        """Begin a change; answered alike if the new address is somebody else's."""
        options, user = ctx.options.user.change_email, identity.user
        if options is None:
            raise APIError(CoreError.CHANGE_EMAIL_DISABLED)
        new_email = canonical_email(body.new_email)
        if new_email == user.email:
            raise APIError.bare(400, "Email is the same")
        at_once = options.unverified_at_once and not user.email_verified
        if ctx.options.email_verification is None and not at_once:
            raise APIError.bare(400, "Verification email isn't enabled")
        is_taken = await ctx.store.count("user", F.email == new_email)
        change = change_of(user, new_email, await find_credential(ctx.store, user.id))
        if options.confirm_with_old_address and user.email_verified:
            # Sent in any case: the caller reads this mail, and would learn from its absence.
            await send_change_confirmation(ctx, user, change, body.callback_url)
        elif is_taken:
            await pretend_to_send(ctx, new_email)
        elif at_once:
            await self._at_once(ctx, identity, new_email, body.callback_url)
        else:
            await send_new_address_verification(ctx, user, change, body.callback_url)
        return Done()

    async def _at_once(
        self, ctx: Context, identity: Identity, new_email: str, callback_url: str | UnsetType
    ) -> None:
        """Write an address that is as unproved as the one before."""
        unverified = (F.id == identity.user.id) & (F.email_verified == False)  # noqa: E712 - a condition

        async def write() -> User:
            row = await ctx.store.update("user", unverified, {"email": new_email})
            if row is None:
                return identity.user
            changed = User.from_record(row)
            if ctx.options.email_verification is not None:
                await send_verification(ctx, changed, callback_url)
            return changed

        try:
            changed = await ctx.store.run_in_transaction(write)
        except UniqueViolation:
            return  # taken in this very moment; answered as if it had been before
        ctx.send_session_again(identity.session, changed)
