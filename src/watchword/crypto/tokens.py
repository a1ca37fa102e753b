"""Random tokens, and what is stored in their place."""

import hmac
import secrets
import string
from hashlib import sha256
from typing import Final

__all__ = ["ALPHANUMERIC", "digest", "equal", "new_token"]

ALPHANUMERIC: Final = string.ascii_letters + string.digits


def new_token(length: int = 32, alphabet: str = ALPHANUMERIC) -> str:
    """Return a text that nobody can guess: 32 alphanumerics hold 190 bits."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


def digest(token: str) -> str:
    """Return the 64 hex characters that are stored and looked up instead of a token.

    Only for values too random to be guessed; a password needs a slow hash. A salt would add
    nothing: it protects values that two people share or that a table can list, and it would
    take away the lookup by index.
    """
    return sha256(_encoded(token)).hexdigest()


def equal(a: str, b: str) -> bool:
    """Compare without telling by the time taken where two texts differ.

    Any text may be compared: what a client sends is often not ASCII, which the standard
    library's comparison of texts answers with an exception.
    """
    return hmac.compare_digest(_encoded(a), _encoded(b))


def _encoded(text: str) -> bytes:
    # Lone surrogates have no UTF-8; a client's text must not become an exception here.
    return text.encode("utf-8", "surrogatepass")
