"""Passwords: hashed slowly, verified in the same time for known and unknown users."""

import logging
import os
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError

from watchword.concurrency import WorkPool
from watchword.crypto.foreign_hashes import is_bearable_argon2, is_hash_of, refusal_of_hash
from watchword.crypto.password_bytes import normalised_bytes, typed_bytes
from watchword.errors import APIError, ConfigurationError, CoreError

__all__ = ["Passwords"]

_log = logging.getLogger("watchword")

# Longer input is no password; refused before any work is done for it.
_LONGEST_BYTES: Final = 4096
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32


def _default_pool() -> WorkPool:
    # A hash takes about 20 ms of one processor: who is last in this queue waits 0.6 s.
    processors = os.cpu_count() or 1
    return WorkPool(workers=processors, queue=32 * processors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """Hashes and verifies passwords with Argon2id, away from the event loop.

    The defaults are the first choice of OWASP's Password Storage Cheat Sheet: 19 MiB, two
    passes, one lane. RFC 9106 (4) has 64 MiB, three passes, four lanes for machines that can.

    Args:
        memory_kib: Memory that one hash fills, in KiB.
        iterations: How often it is filled.
        parallelism: Lanes that are filled side by side.
        pool: Where hashes are made; it bounds how many run and wait.

    Raises:
        ConfigurationError: The figures are none that Argon2 takes, or none that a sign-in
            can bear.
    """

    memory_kib: int = 19_456
    iterations: int = 2
    parallelism: int = 1
    pool: WorkPool = field(default_factory=_default_pool, repr=False, compare=False)
    _argon2: argon2.PasswordHasher = field(init=False, repr=False, compare=False)
    _told: set[str] = field(init=False, repr=False, compare=False, default_factory=set)

    def __post_init__(self) -> None:
        if not is_bearable_argon2(
            memory_kib=self.memory_kib, iterations=self.iterations, parallelism=self.parallelism
        ):
            raise ConfigurationError(
                "Argon2 does not take these figures, or a sign-in cannot bear what they cost.",
                hint="Use 1 to 100 iterations, 1 to 256 lanes, at least 8 KiB of memory for each "
                "lane and at most 1 GiB in all, filled not more often than 4 GiB would be once.",
            )
        hasher = argon2.PasswordHasher(
            time_cost=self.iterations,
            memory_cost=self.memory_kib,
            parallelism=self.parallelism,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        object.__setattr__(self, "_argon2", hasher)

    async def hash(self, password: str) -> str:
        """Return what is stored for the password.

        Raises:
            APIError: It is longer than 4096 bytes.
            Overloaded: Too many hashes are waiting; nothing was done.
        """
        if _is_too_long(password):
            raise APIError(CoreError.PASSWORD_TOO_LONG)
        return await self.pool.run(self._hash, password)

    async def verify(self, password: str, stored: str | None) -> bool:
        """Tell whether the password is the one that was stored.

        None stands for a user who is unknown or has no password. It is answered with False
        after the same work, as is a stored text that no sign-in can verify: the time taken
        must not tell an attacker which addresses are known. (A hash that another system made
        takes as long as its own figures ask, until the sign-in that replaces it.)

        Each reason for which stored texts cannot be verified is logged once, for example that
        the package is missing which verifies them.

        Raises:
            Overloaded: Too many hashes are waiting; nothing was done.
        """
        if _is_too_long(password):
            return False
        return await self.pool.run(self._verify, password, stored)

    def needs_rehash(self, stored: str) -> bool:
        """Tell whether the hash was made in any other way than today's."""
        if refusal_of_hash(stored) is not None:
            return True
        try:
            return self._argon2.check_needs_rehash(stored)
        except InvalidHashError:
            return True

    def _hash(self, password: str) -> str:
        return self._argon2.hash(normalised_bytes(password))

    def _verify(self, password: str, stored: str | None) -> bool:
        if stored is None or not self._can_verify(stored):
            stored = self._unmatchable()
        return is_hash_of(password, stored)

    def _can_verify(self, stored: str) -> bool:
        refusal = refusal_of_hash(stored)
        if refusal is None:
            return True
        if refusal not in self._told:
            self._told.add(refusal)
            _log.warning(
                "a stored password hash %s; whoever has such a one cannot sign in", refusal
            )
        return False

    def _unmatchable(self) -> str:
        """Return a hash that costs what a real one does and that no password has.

        Random bytes stand where the hash would be, so none has to be made beforehand.
        """
        salt, key = (
            b64encode(os.urandom(size)).decode().rstrip("=") for size in (_SALT_BYTES, _HASH_BYTES)
        )
        figures = f"m={self.memory_kib},t={self.iterations},p={self.parallelism}"
        return f"$argon2id$v=19${figures}${salt}${key}"


def _is_too_long(password: str) -> bool:
    return len(password) > _LONGEST_BYTES or len(typed_bytes(password)) > _LONGEST_BYTES
