"""Passwords: hashed slowly, verified in the same time for known and unknown users."""

import hashlib
import os
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final
from unicodedata import normalize

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from watchword.concurrency import WorkPool
from watchword.crypto.tokens import equal
from watchword.errors import APIError, ConfigurationError, CoreError

__all__ = ["Passwords"]

# Longer input is no password; refused before any work is done for it.
_LONGEST_BYTES: Final = 4096
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_SCRYPT_HASH: Final = re.compile(r"([0-9a-f]{32}):([0-9a-f]{128})")
_ARGON2_HASH: Final = re.compile(
    r"\$argon2(id|i|d)(\$v=[0-9]+)?\$m=[0-9]+,t=[0-9]+,p=[0-9]+(\$[A-Za-z0-9+/]+){2}"
)


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
        ConfigurationError: The figures are none that Argon2 takes.
    """

    memory_kib: int = 19_456
    iterations: int = 2
    parallelism: int = 1
    pool: WorkPool = field(default_factory=_default_pool, repr=False, compare=False)
    _argon2: argon2.PasswordHasher = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lanes_are_fed = 1 <= self.parallelism <= self.memory_kib // 8  # RFC 9106 (3.1)
        if not lanes_are_fed or self.iterations < 1:
            raise ConfigurationError(
                "Argon2 does not take these figures.",
                hint="Use at least 1 iteration, 1 lane and 8 KiB of memory for each lane.",
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
        after the same work, as is a stored text that is no hash: the time taken must not
        tell an attacker which addresses are known. (A hash of the wire's own format takes
        longer, until the sign-in that replaces it.)

        Raises:
            Overloaded: Too many hashes are waiting; nothing was done.
        """
        if _is_too_long(password):
            return False
        return await self.pool.run(self._verify, password, stored)

    def needs_rehash(self, stored: str) -> bool:
        """Tell whether the hash was made in any other way than today's."""
        if not _ARGON2_HASH.fullmatch(stored):
            return True
        try:
            return self._argon2.check_needs_rehash(stored)
        except InvalidHashError:
            return True

    def _hash(self, password: str) -> str:
        return self._argon2.hash(_normalised(password))

    def _verify(self, password: str, stored: str | None) -> bool:
        secret = _normalised(password)
        if scrypt := _SCRYPT_HASH.fullmatch(stored or ""):
            return _is_scrypt_of(secret, salt=scrypt[1], key=scrypt[2])
        if stored is None or not _ARGON2_HASH.fullmatch(stored):
            stored = self._unmatchable()
        try:
            return self._argon2.verify(stored, secret)
        except (VerificationError, InvalidHashError):
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
    return len(password) > _LONGEST_BYTES or len(_encoded(password)) > _LONGEST_BYTES


def _normalised(password: str) -> bytes:
    """Return the bytes that are hashed, alike however a keyboard composes its characters.

    NIST SP 800-63B (5.1.1.2) asks for NFKC or NFKD before hashing.
    """
    return _encoded(normalize("NFKC", password))


def _encoded(password: str) -> bytes:
    # Lone surrogates have no UTF-8; a client's text must not become an exception here.
    return password.encode("utf-8", "surrogatepass")


def _is_scrypt_of(password: bytes, *, salt: str, key: str) -> bool:
    """Verify a hash of the wire's own format, as found when a database is taken over.

    The salt is the hexadecimal text itself, not what it stands for.
    """
    made = hashlib.scrypt(
        password, salt=salt.encode(), n=16_384, r=16, p=1, dklen=64, maxmem=64 * 1024 * 1024
    )
    return equal(made.hex(), key)
