"""The application's secret, and the keys derived from it: one for each purpose."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.errors import ConfigurationError

__all__ = ["check_secret", "derive_key"]

_SHORTEST_SECRET: Final = 32
_FEWEST_DIFFERENT: Final = 8


def check_secret(secret: str) -> None:
    """Refuse a secret that could be guessed.

    Everything derived from it is only as strong as it is, and it can be guessed at offline
    from one signed cookie. OWASP ASVS 4.0 (6.2) asks for 112 bits; 32 random characters of
    even a hexadecimal alphabet hold 128.

    Raises:
        ConfigurationError: It is too short, or made of too few different characters.
    """
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"The secret is shorter than {_SHORTEST_SECRET} characters.",
            hint="`watchword secret` makes one.",
        )
    if len(set(secret)) < _FEWEST_DIFFERENT:
        raise ConfigurationError(
            f"The secret has fewer than {_FEWEST_DIFFERENT} different characters.",
            hint="`watchword secret` makes a random one.",
        )


def derive_key(secret: str, purpose: str, *, length: int = 32) -> bytes:
    """Return the key of one purpose (HKDF-SHA256, RFC 5869).

    Knowing the key of one purpose tells nothing about another's, nor about the secret.
    """
    # HKDF's outputs of different lengths share their beginning; with the length in the
    # info, a short and public value (a key's id) never shows the start of a longer key.
    info = f"watchword/1/{length}/{purpose}".encode()
    # No salt: RFC 5869 (3.1) makes it optional, and two servers must derive the same key.
    return HKDF(SHA256(), length, salt=None, info=info).derive(secret.encode())
