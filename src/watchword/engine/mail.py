"""Mail that the flows ask for: what it says, and who delivers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, TypeAlias

from watchword.concurrency import Background, call, sleep
from watchword.storage.entities import User

__all__ = ["Mail", "MailPurpose", "Mailer", "SendMail"]

_PAUSE: Final = 0.02
"""Seconds between an answer and the delivery of its mail."""

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


class Mailer:
    """Sends messages beside the request: an answer never waits for a mail server.

    Otherwise the time of an answer would tell that an address is known, and a mail server
    that fails would make a change look as if it had not happened.
    """

    def __init__(self, send: SendMail | None, background: Background) -> None:
        self._send = send
        self._background = background

    async def post(self, mail: Mail | None) -> None:
        """Hand a message over; what becomes of it is logged, never raised.

        None is a message to nobody: handing it over takes as long, and nothing is sent.
        """
        if self._send is not None:
            purpose = "nobody" if mail is None else mail.purpose
            await self._background.start(
                partial(self._deliver, self._send, mail),
                failed=f"the mail for {purpose} could not be delivered",
            )

    @staticmethod
    async def _deliver(send: SendMail, mail: Mail | None) -> None:
        # What is done at the same time as the answer slows it down; a mail server's
        # certificates take milliseconds to load.
        await sleep(_PAUSE)
        if mail is not None:
            await call(send, mail)
