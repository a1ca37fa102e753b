"""Sign out."""

from dataclasses import dataclass
from typing import Any

from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.plugin import Plugin

__all__ = ["SignOut"]


@dataclass(frozen=True, kw_only=True)
class SignOut(Plugin):
    """Ends sessions."""

    id = "sign-out"

    @post("/sign-out")
    async def sign_out(self, ctx: Context) -> dict[str, Any]:
        """End the session of the cookie, if there is one, and delete the cookies."""
        token = ctx.session_token
        if token is not None:
            await ctx.sessions.delete(token)
        ctx.forget_session()
        return {"success": True}
