"""List, revoke and update the sessions of who is signed in."""

from dataclasses import dataclass
from typing import ClassVar

import msgspec

from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError, ReferenceViolation, UniqueViolation
from watchword.http.bodies import Answer, Body, Done, OpenBody
from watchword.storage.entities import Identity, Session

__all__ = ["RevokeSessionBody", "Sessions", "UpdateSessionBody", "UpdatedSession"]


class RevokeSessionBody(Body, frozen=True):
    """Which session: its handle from the list, or its token."""

    token: str


class UpdateSessionBody(OpenBody, frozen=True):
    """Additional fields of the session, by their wire names."""

    model: ClassVar[str] = "session"


class UpdatedSession(Answer, frozen=True):
    """The session as it is now."""

    session: Session


@dataclass(frozen=True, kw_only=True)
class Sessions(Plugin):
    """The sessions of who is signed in."""

    id = "sessions"

    @get("/list-sessions", fresh=True)
    async def list_all(self, ctx: Context, identity: Identity) -> list[Session]:
        """Return every session of the user that still holds, the current one included.

        Only the caller's own session carries its token; the others carry a handle that
        `/revoke-session` accepts and nothing else does.
        """
        current = identity.session
        found = await ctx.sessions.stored.list_for_user(identity.user.id)
        return [
            msgspec.structs.replace(it, token=current.token) if it.id == current.id else it
            for it in found
        ]

    @post("/revoke-session")
    async def revoke(self, ctx: Context, identity: Identity, body: RevokeSessionBody) -> Done:
        """End one session of the user; of one that is not theirs nothing is told."""
        await ctx.sessions.stored.revoke(body.token, user_id=identity.user.id)
        if body.token in {identity.session.token, identity.session.id}:
            ctx.forget_session()
        return Done()

    @post("/revoke-sessions")
    async def revoke_all(self, ctx: Context, identity: Identity) -> Done:
        """End every session of the user, the current one too."""
        await ctx.sessions.stored.revoke_all(identity.user.id)
        ctx.forget_session()
        return Done()

    @post("/revoke-other-sessions")
    async def revoke_others(self, ctx: Context, identity: Identity) -> Done:
        """End every session of the user but the current one."""
        await ctx.sessions.stored.revoke_all(identity.user.id, but=identity.session.id)
        return Done()

    @post("/update-session")
    async def update(
        self, ctx: Context, identity: Identity, body: UpdateSessionBody
    ) -> UpdatedSession:
        """Change additional fields of the session."""
        changes = ctx.instance.session_fields.for_update(body.additional_fields)
        if not changes:
            raise APIError.bare(400, "No fields to update")
        try:
            session = await ctx.sessions.update(identity.session, changes)
        except (UniqueViolation, ReferenceViolation) as error:  # by an additional field's value
            raise APIError(CoreError.FAILED_TO_UPDATE_SESSION) from error
        if session is None:
            ctx.forget_session()
            raise APIError(CoreError.FAILED_TO_GET_SESSION)
        ctx.send_session_again(session, identity.user)
        return UpdatedSession(session=session)
