"""Copies as JSON Web Tokens: signed, or encrypted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

from watchword.crypto.cookie_cache.forms import Opened, encoded, milliseconds
from watchword.crypto.stringify import stringify

__all__ = ["SealedJWT", "SignedJWT"]

_SECOND: Final = 1000
_SIGNING: Final = "HS256"
_ENCRYPTION: Final = "A256CBC-HS512"
# Salt and info are the wire's: other servers of it open what we seal.
_SALT: Final = b"better-auth-session"
_INFO: Final = b"BetterAuth.js Generated Encryption Key"
_SEALING_BYTES: Final = 64
_LONGEST: Final = 100 * 4050


@dataclass(frozen=True, slots=True)
class SignedJWT:
    """Readable to its holder, signed by HS256 with the secret itself, as the wire demands.

    Args:
        secrets: The current one first, then older ones that are still accepted.
    """

    secrets: Sequence[str] = field(repr=False)
    _keys: tuple[OctKey, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = tuple(OctKey.import_key(it.encode()) for it in self.secrets)
        object.__setattr__(self, "_keys", keys)

    def write(self, payload: Mapping[str, Any], *, made_at: datetime, lives: timedelta) -> str:
        """Return a copy that is made with the current secret."""
        claims = stringify({**payload, **_times(made_at, lives)}).encode()
        header = {"alg": _SIGNING}
        return jws.serialize_compact(header, claims, self._keys[0], algorithms=[_SIGNING])

    def read(self, text: str) -> Opened | None:
        """Open a copy; None for whatever none of our secrets made in this very form."""
        # The header is ours or the copy is not: no algorithm is ever read from it (RFC 8725, 3.1).
        if not text.startswith(_SIGNED_HEADER):
            return None
        return _first(self._keys, lambda key: _verified(text, key))


@dataclass(frozen=True, slots=True)
class SealedJWT:
    """Readable to us alone: encrypted by A256CBC-HS512, each copy unlike any other.

    Args:
        secrets: The current one first, then older ones whose copies still open.
    """

    secrets: Sequence[str] = field(repr=False)
    _keys: tuple[tuple[str, OctKey], ...] = field(init=False, repr=False)
    """Each with the header of its copies, which names it by its thumbprint (RFC 7638)."""

    def __post_init__(self) -> None:
        keys = [OctKey.import_key(_sealing_key(it)) for it in self.secrets]
        headed = tuple((_segment(_sealed_header(it)), it) for it in keys)
        object.__setattr__(self, "_keys", headed)

    def write(self, payload: Mapping[str, Any], *, made_at: datetime, lives: timedelta) -> str:
        """Return a copy that is made with the current secret."""
        times = {**_times(made_at, lives), "jti": str(uuid4())}
        claims = stringify({**payload, **times}).encode()
        [(_, key), *_] = self._keys
        return jwe.encrypt_compact(
            _sealed_header(key), claims, key, algorithms=["dir", _ENCRYPTION]
        )

    def read(self, text: str) -> Opened | None:
        """Open a copy; None for whatever none of our secrets made in this very form."""
        # Key and algorithms are those of a header that we know, letter by letter.
        named = [key for header, key in self._keys if text.startswith(header)]
        return _first(named, lambda key: _decrypted(text, key))


class _Ending(msgspec.Struct, frozen=True):
    exp: int


def _first(keys: Sequence[OctKey], claims_by: Callable[[OctKey], bytes]) -> Opened | None:
    """Return what the first key opens that can."""
    for key in keys:
        try:
            claims = claims_by(key)
            ending = msgspec.json.decode(claims, type=_Ending)
        except (JoseError, ValueError):  # the latter: what is signed is no JSON of ours
            continue
        return Opened(claims, ending.exp * _SECOND)
    return None


def _verified(text: str, key: OctKey) -> bytes:
    return jws.deserialize_compact(text, key, registry=_signing()).payload


def _decrypted(text: str, key: OctKey) -> bytes:
    return jwe.decrypt_compact(text, key, registry=_encryption()).plaintext or b""


def _signing() -> JWSRegistry:
    """Return the one algorithm, for texts as long as a hundred cookies hold."""
    registry = JWSRegistry(algorithms=[_SIGNING])
    registry.max_payload_length = _LONGEST
    return registry


def _encryption() -> JWERegistry:
    registry = JWERegistry(algorithms=["dir", _ENCRYPTION])
    registry.max_ciphertext_length = _LONGEST
    return registry


def _times(made_at: datetime, lives: timedelta) -> dict[str, int]:
    issued = milliseconds(made_at) // _SECOND
    return {"iat": issued, "exp": issued + int(lives.total_seconds())}


def _sealing_key(secret: str) -> bytes:
    return HKDF(SHA256(), _SEALING_BYTES, salt=_SALT, info=_INFO).derive(secret.encode())


def _sealed_header(key: OctKey) -> dict[str, str]:
    return {"alg": "dir", "enc": _ENCRYPTION, "kid": key.thumbprint()}


def _segment(header: Mapping[str, str]) -> str:
    """Return how a token begins that has this header."""
    return f"{encoded(stringify(header).encode())}."


_SIGNED_HEADER: Final = _segment({"alg": _SIGNING})
