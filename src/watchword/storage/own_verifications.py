"""Verification values that a store of the application's own keeps."""

from datetime import timedelta
from functools import partial
from typing import Any

from watchword.concurrency import call
from watchword.crypto.tokens import digest, new_token
from watchword.storage.stores.verifications import Found

__all__ = ["OwnVerifications"]


class OwnVerifications:
    """A `VerificationStore` of the application's own, be it written with `def` or `async def`.

    Nothing else reads such values, so there is no way to them but this one. To the store a
    token is an opaque text: the digest of what was mailed, so its rows redeem nothing.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    async def issue(
        self, purpose: str, value: str, *, expires_in: timedelta, token: str | None = None
    ) -> str:
        """Keep a value and return the token for it, of which the store gets the digest."""
        token = token or new_token()
        issue = partial(self._store.issue, expires_in=expires_in, token=digest(token))
        await call(issue, purpose, value)
        return token

    async def find(self, purpose: str, token: str) -> Found | None:
        """Return the value without redeeming it, be it expired or not."""
        found: Found | None = await call(self._store.find, purpose, digest(token))
        return found

    async def redeem(self, purpose: str, token: str) -> str | None:
        """Return the value once; None if it is unknown, used or expired."""
        value: str | None = await call(self._store.redeem, purpose, digest(token))
        return value

    async def discard(self, purpose: str, token: str) -> bool:
        """Forget a value unread, and tell whether there was one."""
        return bool(await call(self._store.discard, purpose, digest(token)))

    async def attempt(self, purpose: str, token: str, *, limit: int) -> bool:
        """Count a try at a value that can be guessed; tell whether it may be made."""
        return bool(await call(partial(self._store.attempt, limit=limit), purpose, digest(token)))

    async def purge(self) -> int:
        """Delete what has expired, and return how many values went."""
        return int(await call(self._store.purge))
