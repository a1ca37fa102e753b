"""Sealed texts: unreadable and unchangeable without the secret."""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from watchword.crypto.keys import check_secret, derive_key
from watchword.errors import ConfigurationError, WatchwordError

__all__ = ["KeyRing", "UnsealError"]

_VERSION: Final = "ww1"
# 96 random bits as nonce are safe for 2**32 texts under one key (NIST SP 800-38D, 8.3);
# each purpose has a key of its own.
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_ID_BYTES: Final = 6


class UnsealError(WatchwordError):
    """A sealed text was changed, made for another purpose, or its secret is gone."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyRing:
    """Seals with the first secret, opens with any (AES-256-GCM, NIST SP 800-38D).

    A text names its key as `ww1.<key id>.<base64url>`, so a rotation needs no trial and error.

    Args:
        secrets: The current one first, then older ones whose texts must still open.

    Raises:
        ConfigurationError: There is none, or the current one could be guessed.
    """

    secrets: Sequence[str] = field(repr=False)
    _secret_by_id: dict[str, str] = field(init=False, repr=False)
    _current_id: str = field(init=False)
    # Deriving costs more than sealing; a race derives twice and changes nothing.
    _ciphers: dict[tuple[str, str], AESGCM] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.secrets:
            raise ConfigurationError(
                "A key ring needs a secret.", hint="`watchword secret` makes one."
            )
        # Older secrets are not checked: whoever replaces a weak one must still read with it.
        check_secret(self.secrets[0])
        ids = [_key_id(secret) for secret in self.secrets]
        object.__setattr__(self, "_secret_by_id", dict(zip(ids, self.secrets, strict=True)))
        object.__setattr__(self, "_current_id", ids[0])

    def seal(self, purpose: str, text: str) -> str:
        """Return the text so that only this purpose can open it, unlike any earlier result."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._cipher(self._current_id, purpose)
        sealed = nonce + cipher.encrypt(nonce, text.encode(), purpose.encode())
        return f"{_VERSION}.{self._current_id}.{_encoded(sealed)}"

    def open(self, purpose: str, sealed: str) -> str:
        """Return the text that was sealed for this purpose.

        Raises:
            UnsealError: It is not one of ours, was changed, or names a secret we lack.
        """
        key_id, payload = _parsed(sealed)
        if key_id not in self._secret_by_id:
            raise UnsealError("sealed with a secret that is not in the key ring")
        cipher = self._cipher(key_id, purpose)
        try:
            text = cipher.decrypt(payload[:_NONCE_BYTES], payload[_NONCE_BYTES:], purpose.encode())
        except InvalidTag:
            raise UnsealError("changed, or sealed for another purpose") from None
        return text.decode()

    def needs_reseal(self, sealed: str) -> bool:
        """Tell whether the text was sealed with anything but the current secret."""
        return not sealed.startswith(f"{_VERSION}.{self._current_id}.")

    def _cipher(self, key_id: str, purpose: str) -> AESGCM:
        cipher = self._ciphers.get((key_id, purpose))
        if cipher is None:
            key = derive_key(self._secret_by_id[key_id], f"seal {purpose}")
            cipher = self._ciphers[key_id, purpose] = AESGCM(key)
        return cipher


def _key_id(secret: str) -> str:
    return _encoded(derive_key(secret, "key id", length=_ID_BYTES))


def _encoded(payload: bytes) -> str:
    return urlsafe_b64encode(payload).rstrip(b"=").decode()


def _parsed(sealed: str) -> tuple[str, bytes]:
    """Split a sealed text into its key's id and what is encrypted."""
    version, _, rest = sealed.partition(".")
    key_id, _, encoded = rest.partition(".")
    try:
        payload = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        raise UnsealError("not a sealed text") from None
    # The decoder skips foreign characters and unused bits; only the one true spelling counts.
    canonical = _encoded(payload) == encoded
    if version != _VERSION or not canonical or len(payload) < _NONCE_BYTES + _TAG_BYTES:
        raise UnsealError("not a sealed text")
    return key_id, payload
