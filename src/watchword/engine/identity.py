"""Who sends a request: read from the session cookie, tidied and renewed on the way."""

from watchword.engine.context import Context
from watchword.errors import APIError, CoreError
from watchword.storage.entities import Identity

__all__ = ["current_identity", "needs_renewal", "require_identity", "signed_in"]


async def signed_in(ctx: Context) -> Identity | None:
    """Return who is signed in, or None; reads one row and changes nothing."""
    token = ctx.session_token
    found = None if token is None else await ctx.sessions.find(token)
    return None if found is None or ctx.sessions.is_expired(found.session) else found


async def current_identity(ctx: Context, *, renews: bool = True) -> Identity | None:
    """Return who is signed in, or None.

    A session in use that is due is renewed, one that has ended is deleted, and cookies that
    lead nowhere are cleared; but not by a GET where renewal is deferred, which never writes.
    """
    if ctx.options.session.defer_refresh and ctx.request.method == "GET":
        return await signed_in(ctx)
    token = ctx.session_token
    if token is None:
        return None
    found = await ctx.sessions.find(token)
    if found is None or ctx.sessions.is_expired(found.session):
        if found is not None:
            await ctx.sessions.delete_expired(found.session)
        ctx.forget_session()
        return None
    if renews and needs_renewal(ctx, found):
        return await _renewed(ctx, found)
    return found


def needs_renewal(ctx: Context, identity: Identity) -> bool:
    """Tell whether the session is due; that of a client who is not remembered never is."""
    return ctx.sessions.is_due(identity.session) and not ctx.is_forgetful


async def _renewed(ctx: Context, identity: Identity) -> Identity | None:
    session = await ctx.sessions.renew(identity.session)
    if session is None:
        ctx.forget_session()
        return None
    ctx.send_session_token(session.token, lasting=True)
    return Identity(session, identity.user)


async def require_identity(ctx: Context, *, fresh: bool = False) -> Identity:
    """Return who is signed in.

    Raises:
        APIError: Nobody is, or the sign-in is not recent enough.
    """
    writes = not ctx.options.session.defer_refresh
    found = await (current_identity(ctx) if writes else signed_in(ctx))
    if found is None:
        raise APIError(CoreError.UNAUTHORIZED)
    if fresh and not ctx.sessions.is_fresh(found.session):
        raise APIError(CoreError.SESSION_NOT_FRESH)
    return found
