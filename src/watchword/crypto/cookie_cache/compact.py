"""Copies in the wire's own form: JSON and an HMAC, in base64url."""

import hmac
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from watchword.crypto.cookie_cache.forms import Opened, encoded, milliseconds
from watchword.crypto.stringify import stringify
from watchword.crypto.tokens import equal

__all__ = ["Compact"]

_COPY: Final = re.compile(
    rb'\{"session":(\{.*\}),"expiresAt":([0-9]{1,16}),"signature":"([A-Za-z0-9_-]{43})"\}',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Compact:
    """Readable to its holder, with a signature of HMAC-SHA256 over the text itself.

    Args:
        secrets: The current one first, then older ones that are still accepted. The wire signs
            with the secret itself, so no derived key is used here.
    """

    secrets: Sequence[str] = field(repr=False)

    def write(self, payload: Mapping[str, Any], *, made_at: datetime, lives: timedelta) -> str:
        """Return a copy that is made with the current secret."""
        text = stringify(payload).encode()
        end = b"%d" % milliseconds(made_at + lives)
        signature = _signature(text, end, self.secrets[0]).encode()
        copy = b'{"session":%b,"expiresAt":%b,"signature":"%b"}' % (text, end, signature)
        return encoded(copy)

    def read(self, text: str) -> Opened | None:
        """Open a copy; None for whatever none of our secrets made in this very form."""
        found = _COPY.fullmatch(_decoded(text))
        if found is None:
            return None
        payload, end, signature = found.groups()
        # Signed is the text as it stands there: nothing is parsed before this has held.
        made = (_signature(payload, end, secret) for secret in self.secrets)
        if not any(equal(it, signature.decode()) for it in made):
            return None
        return Opened(payload, int(end))


def _signature(payload: bytes, end: bytes, secret: str) -> str:
    signed = b'%b,"expiresAt":%b}' % (payload[:-1], end)
    return encoded(hmac.digest(secret.encode(), signed, "sha256"))


def _decoded(text: str) -> bytes:
    """Return what a text stands for; nothing unless it is the one true spelling of it."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
    # The decoder skips foreign characters and unused bits.
    return raw if encoded(raw) == text else b""
