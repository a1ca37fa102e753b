"""Tell who is signed in."""

from dataclasses import dataclass

from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.identity import current_identity, needs_renewal, signed_in
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError
from watchword.http.bodies import UNSET, Answer, Body, UnsetType
from watchword.storage.entities import Session, User

__all__ = ["CurrentSession", "GetSession", "GetSessionQuery"]


class GetSessionQuery(Body, frozen=True):
    """How the session is to be read; any text that is not empty means yes."""

    disable_refresh: str | list[str] | UnsetType = UNSET
    disable_cookie_cache: str | list[str] | UnsetType = UNSET


class CurrentSession(Answer, frozen=True):
    """Who is signed in; `needs_refresh` tells of a renewal that is deferred to a POST."""

    session: Session
    user: User
    needs_refresh: bool | UnsetType = UNSET


@dataclass(frozen=True, kw_only=True)
class GetSession(Plugin):
    """Reads the session."""

    id = "get-session"

    @get("/get-session", copied=True)
    async def read(self, ctx: Context, query: GetSessionQuery) -> CurrentSession | None:
        """Return the session and its user, or null; renews a session that is due."""
        ctx.headers.append(("pragma", "no-cache"))
        if ctx.options.session.defer_refresh:
            return await self._only_read(ctx, query)
        found = await current_identity(
            ctx, renews=not query.disable_refresh, copied=not query.disable_cookie_cache
        )
        return None if found is None else CurrentSession(session=found.session, user=found.user)

    @post("/get-session")
    async def refresh(self, ctx: Context, query: GetSessionQuery) -> CurrentSession | None:
        """Renew a session whose renewal was deferred, and return it."""
        if not ctx.options.session.defer_refresh:
            raise APIError(CoreError.METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED)
        ctx.headers.append(("pragma", "no-cache"))
        found = await current_identity(ctx, renews=not query.disable_refresh)
        return None if found is None else CurrentSession(session=found.session, user=found.user)

    async def _only_read(self, ctx: Context, query: GetSessionQuery) -> CurrentSession | None:
        found = await signed_in(ctx, copied=not query.disable_cookie_cache)
        if found is None:
            if ctx.session_token is not None:
                ctx.forget_session()
            return None
        # Who declines a renewal must not be told to ask for one.
        due = not query.disable_refresh and needs_renewal(ctx, found)
        return CurrentSession(session=found.session, user=found.user, needs_refresh=due)
