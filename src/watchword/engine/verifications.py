"""Values that prove something once: issued with a token, redeemed by it."""

from dataclasses import dataclass
from datetime import timedelta

from watchword.clock import Clock
from watchword.crypto.tokens import digest, new_token
from watchword.storage.query import F, Where
from watchword.storage.store import Store

__all__ = ["Found", "Verifications"]


@dataclass(frozen=True, slots=True)
class Found:
    """What a token stands for, still or until a while ago."""

    value: str
    is_expired: bool


class Verifications:
    """The verification values of one instance.

    A value is found by its purpose and the digest of its token, both in one key: a token of
    one flow is nothing in another, and a stolen table holds no token.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def issue(
        self, purpose: str, value: str, *, expires_in: timedelta, token: str | None = None
    ) -> str:
        """Keep a value and return the token for it; joins the transaction that is open.

        Args:
            purpose: What the token is good for, and for nothing else.
            value: What is learnt by redeeming it.
            expires_in: How long that works.
            token: One that is known already, to mark what became of it.
        """
        token = token or new_token()
        await self._store.create(
            "verification",
            {
                "identifier": _key(purpose, token),
                "value": value,
                "expires_at": self._clock() + expires_in,
            },
        )
        return token

    async def find(self, purpose: str, token: str) -> Found | None:
        """Return the value without redeeming it, for a link that has not acted yet."""
        row = await self._store.find_one("verification", F.identifier == _key(purpose, token))
        return None if row is None else Found(row["value"], row["expires_at"] <= self._clock())

    async def redeem(self, purpose: str, token: str) -> str | None:
        """Return the value once; None if it is unknown, used or expired.

        Of several callers racing for one token exactly one gets the value. In a transaction
        that is rolled back nothing was redeemed.
        """
        row = await self._store.consume_one("verification", self._live(purpose, token))
        return None if row is None else str(row["value"])

    def _live(self, purpose: str, token: str) -> Where:
        return (F.identifier == _key(purpose, token)) & (F.expires_at > self._clock())


def _key(purpose: str, token: str) -> str:
    return f"{purpose}:{digest(token)}"
