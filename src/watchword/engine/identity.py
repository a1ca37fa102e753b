"""Who sends a request: read by the session cookie, tidied and renewed on the way.

A copy of the session in another cookie spares the read where the endpoint is declared to take one
(`copied=True`) or the application only asks who it is. Everything else reads the store: a session
that was revoked does nothing, whatever the browser has kept of it.
"""

from typing import Final

from watchword.engine.context import Context, Instance
from watchword.errors import APIError, CoreError
from watchword.http.messages import Request
from watchword.storage.entities import Identity

__all__ = ["current_identity", "identify", "needs_renewal", "require_identity", "signed_in"]

# With these an application's route changes nothing (RFC 9110, 9.2.1).
_SAFE: Final = frozenset({"GET", "HEAD"})


async def identify(instance: Instance, request: Request) -> Identity | None:
    """Return who sends a request to a route of the application's own, or None."""
    copies = instance.copies
    # A copy lacks what is not returned to clients, and the application is to get whole users.
    takes_copies = copies is not None and copies.are_complete and request.method in _SAFE
    return await signed_in(Context(instance, request, takes_copies=takes_copies))


async def signed_in(ctx: Context, *, copied: bool = True) -> Identity | None:
    """Return who is signed in, or None; reads one row at most and changes nothing.

    Args:
        ctx: Of the call.
        copied: Take a copy where the endpoint takes them.
    """
    found = await ctx.copied_identity() if copied else None
    if found is not None:
        return found
    token = ctx.session_token
    found = None if token is None else await ctx.sessions.find(token)
    if found is None or ctx.sessions.is_expired(found.session):
        return None
    return _read(ctx, found)


async def current_identity(
    ctx: Context, *, renews: bool = True, copied: bool = True
) -> Identity | None:
    """Return who is signed in, or None.

    A session in use that is due is renewed, one that has ended is deleted, and cookies that
    lead nowhere are cleared; but not by a GET where renewal is deferred, which never writes.

    Args:
        ctx: Of the call.
        renews: Renew a session that is due.
        copied: Take a copy where the endpoint takes them, unless the session is due.
    """
    if ctx.options.session.defer_refresh and ctx.request.method == "GET":
        return await signed_in(ctx, copied=copied)
    found = await ctx.copied_identity() if copied else None
    if found is not None and not (renews and needs_renewal(ctx, found)):
        return found
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
    return _read(ctx, found)


def _read(ctx: Context, found: Identity) -> Identity:
    """Let a copy of what the store has spare the next read, where the endpoint takes copies."""
    if ctx.takes_copies:
        ctx.copy_session(found.session, found.user)
    return found


def needs_renewal(ctx: Context, identity: Identity) -> bool:
    """Tell whether the session is due; that of a client who is not remembered never is."""
    return ctx.sessions.is_due(identity.session) and not ctx.is_forgetful


async def _renewed(ctx: Context, identity: Identity) -> Identity | None:
    session = await ctx.sessions.renew(identity.session)
    if session is None:
        ctx.forget_session()
        return None
    ctx.send_session_again(session, identity.user)
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
