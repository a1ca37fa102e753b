"""Guesses at one account's password: counted before they are tried, forgotten by a right one."""

import hmac
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from watchword.crypto.keys import derive_key
from watchword.engine.client_address import bucket
from watchword.engine.rate_limit.counters import RevocableCounters
from watchword.engine.rate_limit.refusal import refusal
from watchword.engine.rate_limit.rules import PasswordGuesses, RateLimits

__all__ = ["Guess", "GuessLimiter", "guess_limiter_of"]

_KNOWN_FOR: Final = timedelta(days=90).total_seconds()


class GuessLimiter:
    """Limits guesses at one account's password, from one address and from all together.

    Args:
        options: How many; None is no limit.
        counters: Where they are counted.
        secret: Makes the keys, so that what is stored names nobody.
    """

    def __init__(
        self, options: PasswordGuesses | None, counters: RevocableCounters, secret: str
    ) -> None:
        self._options = options
        self._counters = counters
        self._key = derive_key(secret, "password guesses")

    def at(self, name: str, address: str) -> "Guess":
        """Return a guess at the password of whoever has a name, if anybody has.

        Args:
            name: What is signed in with, in the one form of all its spellings.
            address: The client's; where it is not known nothing is counted, for all of these
                clients together would lock one another out.
        """
        options = self._options if address else None
        # NIST SP 800-63B (5.2.2) lets in addresses that have signed in before, whatever others
        # have tried meanwhile: otherwise anybody could lock anybody out.
        pair = self._digest(name, bucket(address))
        return Guess(
            options,
            self._counters,
            of_pair=f"guess:{pair}",
            of_account=f"guesses:{self._digest(name)}",
            of_known=f"known:{pair}",
        )

    def _digest(self, *parts: str) -> str:
        return hmac.digest(self._key, json.dumps(parts).encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess at the password of one account, from one address.

    Args:
        options: How many there may be; None does nothing.
        counters: Where they are counted.
        of_pair: The key for account and address.
        of_account: The key for the account and all addresses that never signed in to it.
        of_known: The key that is there once the address has.
    """

    options: PasswordGuesses | None
    counters: RevocableCounters
    of_pair: str
    of_account: str
    of_known: str

    async def count(self) -> None:
        """Count it, before the password is looked at: of many at once none is free.

        Known and unknown names are counted and refused alike, the right password too.

        Raises:
            APIError: 429, with the seconds to wait.
        """
        if self.options is None:
            return
        window = self.options.window
        pair = await self.counters.increment(self.of_pair, window=window)
        if pair.value > self.options.per_address:
            raise refusal(pair.ends_in)
        if await self.counters.get(self.of_known) is not None:
            return
        account = await self.counters.increment(self.of_account, window=window)
        if account.value > self.options.per_account:
            raise refusal(account.ends_in)

    async def was_right(self) -> None:
        """Forget what this address has tried, and let it in whatever others will try."""
        if self.options is None:
            return
        await self.counters.delete(self.of_pair)
        await self.counters.increment(self.of_known, window=_KNOWN_FOR)


def guess_limiter_of(
    options: RateLimits, counters: RevocableCounters, *, secret: str
) -> GuessLimiter:
    """Return what limits guesses in an instance.

    Args:
        options: What the application wants.
        counters: Where they are counted; in memory they have counters of their own, so that
            many requests to other paths wear none off.
        secret: Makes the keys.
    """
    return GuessLimiter(options.guesses if options.enabled else None, counters, secret)
