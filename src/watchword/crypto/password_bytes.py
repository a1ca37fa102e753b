"""The bytes of a password: as it was typed, and as Watchword hashes it."""

from unicodedata import normalize

__all__ = ["normalised_bytes", "typed_bytes"]


def typed_bytes(password: str) -> bytes:
    """Return the password's UTF-8, which is what most other systems hash."""
    # Lone surrogates have no UTF-8; a client's text must not become an exception here.
    return password.encode("utf-8", "surrogatepass")


def normalised_bytes(password: str) -> bytes:
    """Return the same bytes however a keyboard composes its characters.

    NIST SP 800-63B (5.1.1.2) asks for NFKC or NFKD before hashing.
    """
    return typed_bytes(normalize("NFKC", password))
