"""Sign out."""

from dataclasses import dataclass

from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.plugin import Plugin
from watchword.http.bodies import UNSET, Answer, Body, UnsetType

__all__ = ["SignOut", "SignOutBody", "SignedOut"]


class SignOutBody(Body, frozen=True):
    """What a client may send along; meant for providers that have a sign-out of their own."""

    callback_url: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    disable_redirect: bool | UnsetType = UNSET


class SignedOut(Answer, frozen=True):
    """Nobody is signed in any more."""

    success: bool = True


@dataclass(frozen=True, kw_only=True)
class SignOut(Plugin):
    """Ends sessions."""

    id = "sign-out"

    @post("/sign-out")
    async def sign_out(self, ctx: Context, body: SignOutBody | UnsetType) -> SignedOut:  # noqa: ARG002 - checked, and no more
        """End the session of the cookie, if there is one, and delete the cookies."""
        token = ctx.session_token
        if token is not None:
            await ctx.sessions.delete(token)
        ctx.forget_session()
        return SignedOut()
