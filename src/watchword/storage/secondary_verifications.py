"""Values that prove something once, in a secondary storage: no table, no purge."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from watchword.clock import Clock, utc_now
from watchword.crypto.tokens import digest, new_token
from watchword.errors import InvalidValue
from watchword.storage.secondary import SecondaryStorage
from watchword.storage.stores.verifications import Found

__all__ = ["SecondaryVerifications"]


class _Entry(msgspec.Struct, frozen=True):
    """What is kept: the value, and by what its attempts are counted."""

    value: str
    number: str
    expires_at: datetime


@dataclass(frozen=True)
class SecondaryVerifications:
    """Keeps verification values in a secondary storage; pass it as `verifications=`.

    It takes no part in transactions: what was redeemed stays redeemed if the database refuses
    what was to follow, and whoever holds the link asks for another one. Losing the storage
    loses the values, and with them links that were mailed and not yet opened.

    Args:
        storage: Where; the instance closes it.
        clock: Tells the time.
    """

    storage: SecondaryStorage
    clock: Clock = utc_now

    async def issue(
        self, purpose: str, value: str, *, expires_in: timedelta, token: str | None = None
    ) -> str:
        """Keep a value and return the token for it."""
        token = token or new_token()
        entry = _Entry(value, new_token(), self.clock() + expires_in)
        text = msgspec.json.encode(entry).decode()
        await self.storage.set(_key(purpose, token), text, ttl=expires_in.total_seconds())
        return token

    async def find(self, purpose: str, token: str) -> Found | None:
        """Return the value without redeeming it, be it expired or not."""
        entry = _read(await self.storage.get(_key(purpose, token)))
        return None if entry is None else Found(entry.value, self._is_expired(entry))

    async def redeem(self, purpose: str, token: str) -> str | None:
        """Return the value once; None if it is unknown, used or expired."""
        entry = _read(await self.storage.get_and_delete(_key(purpose, token)))
        return None if entry is None or self._is_expired(entry) else entry.value

    async def discard(self, purpose: str, token: str) -> bool:
        """Forget a value unread, and tell whether there was one."""
        return await self.storage.delete(_key(purpose, token))

    async def attempt(self, purpose: str, token: str, *, limit: int) -> bool:
        """Count a try at a value that can be guessed; tell whether it may be made."""
        entry = _read(await self.storage.get(_key(purpose, token)))
        if entry is None or self._is_expired(entry):
            return False
        key, ttl = f"attempts:{entry.number}", (entry.expires_at - self.clock()).total_seconds()
        while (made := await self.storage.get(key) or "0") and int(made) < limit:
            # Whoever loses a turn has seen another one counted, so there are no more than limit.
            if await self._counted(key, made, ttl):
                return True
        return False

    async def _counted(self, key: str, made: str, ttl: float) -> bool:
        if made == "0":
            return await self.storage.set_if_absent(key, "1", ttl=ttl)
        return await self.storage.compare_and_set(key, made, str(int(made) + 1), ttl=ttl)

    async def purge(self) -> int:
        """Do nothing, for values end by themselves."""
        return 0

    def _is_expired(self, entry: _Entry) -> bool:
        return entry.expires_at <= self.clock()


def _key(purpose: str, token: str) -> str:
    if not isinstance(token, str):
        raise InvalidValue("verification", "token", f"expected text, not {type(token).__name__}")
    # Digested, so that two texts never meet elsewhere, and no address stands in a key.
    return f"verification:{digest(f'{len(purpose)}:{purpose}:{token}')}"


def _read(text: str | None) -> _Entry | None:
    return None if text is None else msgspec.json.decode(text, type=_Entry)
