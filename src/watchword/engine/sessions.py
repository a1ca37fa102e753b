"""Sessions: made at sign-in, found by their token, renewed in use, deleted at sign-out."""

from dataclasses import dataclass
from typing import Any, Final

from watchword.clock import Clock
from watchword.crypto.tokens import new_token
from watchword.engine.options import SessionOptions
from watchword.storage.contract import Record
from watchword.storage.query import F, Include
from watchword.storage.store import Store

__all__ = ["NewSession", "Sessions"]

_WITH_USER: Final = (Include("user"),)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that was just made, with the token that is told once."""

    row: Record
    token: str
    remembered: bool


class Sessions:
    """The sessions of one instance."""

    def __init__(self, store: Store, options: SessionOptions, clock: Clock) -> None:
        self._store = store
        self._options = options
        self._clock = clock

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

    async def find(self, token: str) -> Record | None:
        """Return the session with its user, in one statement, be it expired or not."""
        return await self._store.find_one("session", F.token == token, include=_WITH_USER)

    def is_expired(self, row: Record) -> bool:
        """Tell whether the session has ended."""
        return bool(row["expires_at"] <= self._clock())

    def is_due(self, row: Record) -> bool:
        """Tell whether a session in use is to be renewed."""
        renewed_at = row["expires_at"] - self._options.expires_in
        return bool(renewed_at + self._options.update_age <= self._clock())

    async def renew(self, row: Record) -> Record | None:
        """Let the session live for another span; None if it is gone.

        Of several requests that find it due, one writes; the others see what it wrote.
        """
        unchanged = (F.id == row["id"]) & (F.expires_at == row["expires_at"])
        expires_at = self._clock() + self._options.expires_in
        renewed = await self._store.update("session", unchanged, {"expires_at": expires_at})
        if renewed is None:
            renewed = await self._store.find_one("session", F.id == row["id"])
        return renewed

    async def delete(self, token: str) -> None:
        """End a session; nothing happens if there is none."""
        await self._store.delete("session", F.token == token)

    async def delete_expired(self, row: Record) -> None:
        """Remove a session that has ended, unless it was renewed meanwhile."""
        ended = (F.id == row["id"]) & (F.expires_at <= self._clock())
        await self._store.delete("session", ended)
