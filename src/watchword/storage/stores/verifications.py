"""Values that prove something once: issued with a token, redeemed by it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from watchword.clock import Clock
from watchword.crypto.tokens import digest, new_token
from watchword.errors import InvalidValue, StorageUnavailable, UniqueViolation
from watchword.storage.contract import Record
from watchword.storage.purge import purge_model
from watchword.storage.query import F, Where
from watchword.storage.store import Store

__all__ = ["Found", "StoredVerifications", "VerificationStore"]

# Others may win as often; a transaction that sees an old state would lose for ever.
_TURNS: Final = 100


@dataclass(frozen=True, slots=True)
class Found:
    """What a token stands for, still or until a while ago."""

    value: str
    is_expired: bool


class VerificationStore(Protocol):
    """Keeps values that prove something once; an application may bring its own.

    One that is brought may be written with `def` or `async def`, and takes no part in
    transactions.

    A value is found by its purpose and its token together: a token of one purpose is nothing
    in another.

    An application may bring its own, written with `def` or `async def`. To one that is brought
    a token is an opaque text, which it is always given: the digest of what was mailed.
    """

    async def issue(
        self, purpose: str, value: str, *, expires_in: timedelta, token: str | None = None
    ) -> str:
        """Keep a value and return the token for it; joins the transaction that is open.

        Args:
            purpose: What the token is good for, and for nothing else.
            value: What is learnt by redeeming it.
            expires_in: How long that works.
            token: One that is known already, such as an address to which a code was sent; a
                value that it stood for is replaced, and its attempts are forgotten.
        """

    async def find(self, purpose: str, token: str) -> Found | None:
        """Return the value without redeeming it, be it expired or not."""

    async def redeem(self, purpose: str, token: str) -> str | None:
        """Return the value once; None if it is unknown, used or expired.

        Of several callers racing for one token exactly one gets the value. In a transaction
        that is rolled back nothing was redeemed.
        """

    async def discard(self, purpose: str, token: str) -> bool:
        """Forget a value unread, and tell whether there was one."""

    async def attempt(self, purpose: str, token: str, *, limit: int) -> bool:
        """Count a try at a value that can be guessed; tell whether it may be made.

        Asked before each comparison. However many try at once, no more than `limit` may for
        one value; none may if it is unknown or expired.
        """

    async def purge(self) -> int:
        """Delete what has expired, and return how many values went."""


class StoredVerifications:
    """The verification values of one database, by the digests of their tokens."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def issue(
        self, purpose: str, value: str, *, expires_in: timedelta, token: str | None = None
    ) -> str:
        """Keep a value and return the token for it; joins the transaction that is open."""
        if token is None:
            token = new_token()
            await self._create(_key(purpose, token), value, expires_in)
            return token
        keep = partial(self._create, _key(purpose, token), value, expires_in)

        async def replace() -> None:
            await self.discard(purpose, token)
            await keep()

        write: Callable[[], Awaitable[None]] = keep
        for _ in range(_TURNS):  # each but the last was lost to another call, which was done then
            try:
                # InnoDB ends races for one key by deadlocks.
                await self._store.run_in_transaction(write)
            except UniqueViolation:
                write = replace
            else:
                return token
        raise StorageUnavailable("The token is taken by nobody who can be seen.", retryable=True)

    async def _create(self, key: str, value: str, expires_in: timedelta) -> None:
        expires_at = self._clock() + expires_in
        row = {"identifier": key, "value": value, "expires_at": expires_at}
        await self._store.create("verification", row)

    async def find(self, purpose: str, token: str) -> Found | None:
        """Return the value without redeeming it, be it expired or not."""
        row = await self._store.find_one("verification", F.identifier == _key(purpose, token))
        return None if row is None else Found(row["value"], row["expires_at"] <= self._clock())

    async def redeem(self, purpose: str, token: str) -> str | None:
        """Return the value once; None if it is unknown, used or expired."""
        row = await self._store.consume_one("verification", self._live(purpose, token))
        return None if row is None else str(row["value"])

    async def discard(self, purpose: str, token: str) -> bool:
        """Forget a value unread, and tell whether there was one."""
        theirs = F.identifier == _key(purpose, token)
        return await self._store.delete_many("verification", theirs) > 0

    async def attempt(self, purpose: str, token: str, *, limit: int) -> bool:
        """Count a try at a value that can be guessed; tell whether it may be made.

        Each try is a row whose unique key holds its number, so no two are the same one. The
        key names the row of the value: a value that is issued anew has all its tries before it.
        """
        row = await self._store.find_one("verification", self._live(purpose, token))
        if row is None:
            return False
        tries = f"attempt:{row['id']}:"
        made = await self._store.count("verification", F.identifier.starts_with(tries))
        for number in range(made + 1, limit + 1):
            if await self._claim(f"{tries}{number}", row):
                return True
        return False

    async def _claim(self, key: str, row: Record) -> bool:
        claim = {"identifier": key, "value": "", "expires_at": row["expires_at"]}
        try:
            async with self._store.transaction():
                await self._store.create("verification", claim)
        except UniqueViolation:
            return False
        return True

    async def purge(self) -> int:
        """Delete what has expired, and return how many values went."""
        return await purge_model(self._store, "verification", now=self._clock())

    def _live(self, purpose: str, token: str) -> Where:
        return (F.identifier == _key(purpose, token)) & (F.expires_at > self._clock())


def _key(purpose: str, token: str) -> str:
    if not isinstance(token, str):
        raise InvalidValue("verification", "token", f"expected text, not {type(token).__name__}")
    return f"{purpose}:{digest(token)}"
