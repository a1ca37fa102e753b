"""Signed cookie values: readable by all, made by none but us."""

import hmac
from base64 import b64encode
from collections.abc import Sequence

from watchword.crypto.tokens import equal

__all__ = ["sign", "unsign"]


def sign(value: str, secret: str) -> str:
    """Return the value with its signature; the cookie's writer percent-encodes it.

    The signature is the padded base64 of HMAC-SHA256 under the secret itself: clients and
    servers of this wire expect just that, so no derived key is used here.
    """
    return f"{value}.{_signature(value, secret)}"


def unsign(signed: str, secrets: Sequence[str]) -> str | None:
    """Return the value if one of the secrets signed it; None for whatever else is sent.

    Args:
        signed: What `sign` returned, already percent-decoded.
        secrets: The current one first, then older ones that are still accepted.
    """
    value, dot, signature = signed.rpartition(".")
    if not dot:
        return None
    # The signatures' texts are compared: decoding first would let the unused bits at the
    # end of base64 give one signature several spellings.
    if any(equal(_signature(value, secret), signature) for secret in secrets):
        return value
    return None


def _signature(value: str, secret: str) -> str:
    # A lone surrogate from a client must not become an exception.
    message = value.encode("utf-8", "surrogatepass")
    return b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()
