"""Sessions: made, found by their token, kept alive in use, revoked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from watchword.clock import Clock
from watchword.crypto.tokens import new_token
from watchword.storage.contract import Record
from watchword.storage.entities import Session
from watchword.storage.purge import purge_model
from watchword.storage.query import F, OrderBy, Where, having
from watchword.storage.store import Store

__all__ = ["Lifetimes", "SessionStore", "StoredSessions"]


class SessionStore(Protocol):
    """Keeps sessions; an application may bring its own, written with `def` or `async def`.

    To one that is brought a token is an opaque text: it gets the digest of what the client
    holds, so whoever steals its rows can sign in as nobody.
    """

    async def create(
        self,
        user_id: str,
        *,
        token: str | None = None,
        expires_at: datetime | None = None,
        ip_address: str | None = None,
        user_agent: str | None = None,
        **values: Any,
    ) -> Session:
        """Make a session and return it with its token.

        Args:
            user_id: Whose.
            token: None makes one that nobody can guess.
            expires_at: None is as long as sessions live by the settings.
            ip_address: Where it was made.
            user_agent: By what.
            values: Of fields that were added to sessions, and `id`, `created_at` and
                `updated_at` where they are known already.

        Raises:
            ReferenceViolation: There is no such user; one that is brought may not know.
        """

    async def get(self, token: str) -> Session | None:
        """Return the session of a token, or None if it is unknown or has ended."""

    async def find(self, session_id: str) -> Session | None:
        """Return a session by its id, until it is purged; its token is its handle."""

    async def touch(self, token: str) -> Session | None:
        """Return a session as `get` does, and let it live on, for it is in use.

        That is written at most once in the `update_age` of the settings.
        """

    async def list_for_user(self, user_id: str) -> list[Session]:
        """Return all sessions of a user that still hold, the oldest first.

        Tokens are known to their holders alone: here each has a handle in its place, with
        which it can be revoked.
        """

    async def update(
        self, session_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> Session | None:
        """Change a session and return it as `find` does; None if there is none.

        Args:
            session_id: Which.
            expected: Change only if these fields still have these values, in one step.
            changes: New values by field.
        """

    async def revoke(self, token: str, *, user_id: str | None = None) -> bool:
        """End the session of a token or handle; tell whether this call did.

        Args:
            token: Or the handle that a list of sessions has in its place.
            user_id: Whose session it has to be; None for anybody's.
        """

    async def revoke_all(self, user_id: str, *, but: str | None = None) -> int:
        """End every session of a user, or every one but that of a token or handle.

        Returns:
            How many this call ended.
        """

    async def purge(self) -> int:
        """Delete the sessions that have ended, and return how many went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long sessions live.

    Args:
        expires_in: Until a session ends that is not used.
        forgotten_in: The same for one whose client asked not to be remembered; it is never
            extended.
        update_age: How old the last extension is at least when the next one is written.
        refresh: Extend sessions that are used at all.
    """

    expires_in: timedelta
    forgotten_in: timedelta
    update_age: timedelta
    refresh: bool

    def is_due(self, session: Session, now: datetime) -> bool:
        """Tell whether a session in use is to be extended."""
        lifetime = session.expires_at - session.created_at
        if not self.refresh or lifetime <= self.forgotten_in < self.expires_in:
            return False
        return session.expires_at - self.expires_in + self.update_age <= now


class StoredSessions:
    """The sessions of one database."""

    def __init__(self, store: Store, clock: Clock, lifetimes: Lifetimes) -> None:
        self._store = store
        self._clock = clock
        self._lifetimes = lifetimes

    async def create(
        self,
        user_id: str,
        *,
        token: str | None = None,
        expires_at: datetime | None = None,
        ip_address: str | None = None,
        user_agent: str | None = None,
        **values: Any,
    ) -> Session:
        """Make a session and return it with its token."""
        token = token or new_token()
        row = await self._store.create(
            "session",
            {
                "user_id": user_id,
                "token": token,
                "expires_at": expires_at or self._clock() + self._lifetimes.expires_in,
                "ip_address": ip_address,
                "user_agent": user_agent,
                **values,
            },
        )
        return Session.from_record(row, token=token)

    async def get(self, token: str) -> Session | None:
        """Return the session of a token, or None if it is unknown or has ended."""
        row = await self._store.find_one("session", F.token == token)
        if row is None or row["expires_at"] <= self._clock():
            return None
        return Session.from_record(row, token=token)

    async def find(self, session_id: str) -> Session | None:
        """Return a session by its id, be it ended or not; its token is its handle."""
        row = await self._store.find_one("session", F.id == session_id)
        return None if row is None else _with_handle(row)

    async def touch(self, token: str) -> Session | None:
        """Return a session as `get` does, and let it live on, for it is in use."""
        found = await self.get(token)
        now = self._clock()
        if found is None or not self._lifetimes.is_due(found, now):
            return found
        unchanged = (F.token == token) & (F.expires_at == found.expires_at)
        extended = {"expires_at": now + self._lifetimes.expires_in}
        row = await self._store.update("session", unchanged, extended)
        # Of several that find it due, one writes; the others see what it wrote.
        return await self.get(token) if row is None else Session.from_record(row, token=token)

    async def list_for_user(self, user_id: str) -> list[Session]:
        """Return all sessions of a user that still hold, the oldest first, with handles."""
        live = (F.user_id == user_id) & (F.expires_at > self._clock())
        rows = await self._store.find_many("session", live, order_by=(OrderBy("created_at"),))
        return [_with_handle(row) for row in rows]

    async def update(
        self, session_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> Session | None:
        """Change a session and return it as `find` does; None if there is none."""
        theirs = (F.id == session_id) & having(expected or {})
        row = await self._store.update("session", theirs, changes)
        return None if row is None else _with_handle(row)

    async def revoke(self, token: str, *, user_id: str | None = None) -> bool:
        """End the session of a token or handle; tell whether this call did."""
        named = _named(token) if user_id is None else (F.user_id == user_id) & _named(token)
        return await self._store.delete_many("session", named) > 0

    async def revoke_all(self, user_id: str, *, but: str | None = None) -> int:
        """End every session of a user, or every one but that of a token or handle."""
        theirs = F.user_id == user_id
        if but is not None:
            theirs &= ~_named(but)
        return await self._store.delete_many("session", theirs)

    async def purge(self) -> int:
        """Delete the sessions that have ended, and return how many went."""
        return await purge_model(self._store, "session", now=self._clock())


def _named(token: str) -> Where:
    """Return the condition on the session of a token, or of a handle, which is its id."""
    return (F.token == token) | (F.id == token)


def _with_handle(row: Record) -> Session:
    return Session.from_record(row, token=str(row["id"]))
