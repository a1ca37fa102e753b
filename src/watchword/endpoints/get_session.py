"""Tell who is signed in."""

from dataclasses import dataclass
from typing import Any

from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError
from watchword.http.bodies import UNSET, Body, UnsetType
from watchword.http.messages import Response
from watchword.storage.contract import Record

__all__ = ["GetSession"]


class GetSessionQuery(Body, frozen=True):
    """How the session is to be read."""

    disable_refresh: str | list[str] | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True)
class GetSession(Plugin):
    """Reads the session."""

    id = "get-session"

    @get("/get-session")
    async def read(self, ctx: Context, query: GetSessionQuery) -> Response:
        """Return the session and its user, or null; renews a session that is due."""
        found = await self._find(ctx, renews=not query.disable_refresh)
        response = Response.json(found)
        response.add_header("cache-control", "no-store")
        response.add_header("pragma", "no-cache")
        return response

    @post("/get-session")
    async def refresh(self, ctx: Context) -> None:  # noqa: ARG002 - every endpoint gets it
        """Refuse: reading renews already."""
        raise APIError(CoreError.METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED)

    async def _find(self, ctx: Context, *, renews: bool) -> dict[str, Any] | None:
        token = ctx.session_token
        if token is None:
            return None
        session = await ctx.sessions.find(token)
        if session is None or ctx.sessions.is_expired(session):
            if session is not None:
                await ctx.sessions.delete_expired(session)
            ctx.forget_session()
            return None
        user = session["user"]
        if renews and not ctx.is_forgetful and ctx.sessions.is_due(session):
            session = await self._renewed(ctx, session, token)
            if session is None:
                return None
        return {"session": ctx.output.session(session, token), "user": ctx.output.user(user)}

    async def _renewed(self, ctx: Context, session: Record, token: str) -> Record | None:
        renewed = await ctx.sessions.renew(session)
        if renewed is None:
            ctx.forget_session()
        else:
            ctx.send_session_token(token, lasting=True)
        return renewed
