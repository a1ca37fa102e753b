"""What every form of a copy in a cookie has in common."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

__all__ = ["Form", "Opened", "encoded", "milliseconds"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Opened:
    """What stood in a copy that one of our secrets made.

    Args:
        payload: JSON, of which nothing has been looked at yet.
        expires_at: Milliseconds since 1970; whoever opens it compares it with the clock.
    """

    payload: bytes = field(repr=False)
    expires_at: int


class Form(Protocol):
    """One way to write copies and to read them."""

    def write(self, payload: Mapping[str, Any], *, made_at: datetime, lives: timedelta) -> str:
        """Return a copy that is made with the current secret.

        Args:
            payload: What JSON knows, in the order in which it is to be written.
            made_at: When what it tells was true.
            lives: How long after that it holds; whole seconds in the JOSE forms.
        """

    def read(self, text: str) -> Opened | None:
        """Open a copy; None for whatever none of our secrets made in this very form."""


def milliseconds(instant: datetime) -> int:
    """Return an instant as JavaScript counts: milliseconds since 1970, the rest cut off."""
    return (instant - _EPOCH) // _MILLISECOND


def encoded(raw: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
