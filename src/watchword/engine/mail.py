"""Mail that the flows ask for: what it says, and who delivers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from watchword.storage.entities import User

__all__ = ["Mail", "MailPurpose", "SendMail"]

MailPurpose: TypeAlias = Literal[
    "verify-email", "reset-password", "confirm-email-change", "verify-new-email", "delete-user"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message to deliver. Its text form shows neither link nor token: logs are read by many.

    Args:
        purpose: What the link does.
        to: The address.
        user: Whose account it is about.
        url: The link that the person is to open.
        token: What the link proves; for messages that bring it in another form.
        new_email: The address that is to replace the user's, if the message is about that.
    """

    purpose: MailPurpose
    to: str
    user: User
    url: str = field(repr=False)
    token: str = field(repr=False)
    new_email: str | None = None


SendMail: TypeAlias = Callable[[Mail], Awaitable[None] | None]
"""Delivers a message, `def` or `async def`; may be slow. What it raises is logged."""
