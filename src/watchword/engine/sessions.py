"""Sessions: made at sign-in, found by their token, renewed in use, deleted at sign-out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from watchword.clock import Clock
from watchword.crypto.tokens import new_token
from watchword.engine.options import SessionOptions
from watchword.errors import OperationRefused
from watchword.storage.contract import Record
from watchword.storage.entities import Identity, Session, User
from watchword.storage.query import F, Include
from watchword.storage.store import Store
from watchword.storage.stores import Lifetimes, StoredSessions

__all__ = ["NewSession", "Sessions"]

# Named, for sessions may get other fields that point at users, such as who impersonates.
_WITH_USER: Final = (Include("user", through="user_id"),)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that was just made, with the token that is told once."""

    row: Record = field(repr=False)
    token: str = field(repr=False)
    remembered: bool


class Sessions:
    """The sessions of one instance."""

    def __init__(self, store: Store, options: SessionOptions, clock: Clock) -> None:
        self._store = store
        self._options = options
        self._clock = clock
        self._lifetimes = Lifetimes(
            expires_in=options.expires_in,
            forgotten_in=options.forgotten_in,
            update_age=options.update_age,
            refresh=options.refresh,
        )
        self.stored = StoredSessions(store, clock, self._lifetimes)

    async def create(
        self, user_id: Any, *, ip_address: str, user_agent: str, remembered: bool
    ) -> NewSession:
        """Make a session; joins the transaction that is open.

        Raises:
            ReferenceViolation: The user is gone.
        """
        lifetime = self._options.expires_in if remembered else self._options.forgotten_in
        token = new_token()
        row = await self._store.create(
            "session",
            {
                "user_id": user_id,
                "token": token,
                "expires_at": self._clock() + lifetime,
                "ip_address": ip_address,
                "user_agent": user_agent,
            },
        )
        return NewSession(row, token, remembered)

    async def find(self, token: str) -> Identity | None:
        """Return the session with its user, in one statement at most, be it expired or not."""
        cache = self._store.session_cache
        # A transaction sees what it has written itself, and nobody else is to see that.
        if cache is None or self._store.is_in_transaction:
            row = await self._read(token)
        else:
            row = await cache.find(token, self._read)
        if row is None or row["user"] is None:
            return None
        return Identity(Session.from_record(row, token=token), User.from_record(row["user"]))

    async def _read(self, token: str) -> Record | None:
        return await self._store.find_one("session", F.token == token, include=_WITH_USER)

    # --- time --------------------------------------------------------------------------

    def is_expired(self, session: Session) -> bool:
        """Tell whether the session has ended."""
        return session.expires_at <= self._clock()

    def is_due(self, session: Session) -> bool:
        """Tell whether the session in use is to be renewed."""
        return self._lifetimes.is_due(session, self._clock())

    def is_fresh(self, session: Session) -> bool:
        """Tell whether the sign-in was recent enough for a sensitive call."""
        age = self._clock() - session.created_at
        return self._options.fresh_age == timedelta(0) or age < self._options.fresh_age

    # --- writing -----------------------------------------------------------------------

    async def renew(self, session: Session) -> Session | None:
        """Let the session live for another span; None if it is gone.

        Of several requests that find it due, one writes; the others see what it wrote.
        """
        unchanged = (F.id == session.id) & (F.expires_at == session.expires_at)
        expires_at = self._clock() + self._options.expires_in
        try:
            row = await self._store.update("session", unchanged, {"expires_at": expires_at})
        except OperationRefused:
            return session  # a hook keeps it as long as it was to be
        if row is None:
            row = await self._store.find_one("session", F.id == session.id)
        return None if row is None else Session.from_record(row, token=session.token)

    async def update(self, session: Session, changes: Mapping[str, Any]) -> Session | None:
        """Change what was added to the session; None if it is gone."""
        row = await self._store.update("session", F.id == session.id, changes)
        return None if row is None else Session.from_record(row, token=session.token)

    async def delete(self, token: str) -> None:
        """End a session; nothing happens if there is none."""
        await self._store.delete("session", F.token == token)

    async def delete_expired(self, session: Session) -> None:
        """Remove a session that has ended, unless it was renewed meanwhile."""
        ended = (F.id == session.id) & (F.expires_at <= self._clock())
        await self._store.delete("session", ended)
