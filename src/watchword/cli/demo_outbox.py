"""The demo's outbox: mail that is not sent but kept, for whoever sits at the machine."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from watchword.adapters.mail_texts import Rendered, render_mail
from watchword.clock import Clock, utc_now
from watchword.engine.mail import Mail
from watchword.http.messages import Request

__all__ = ["Message", "Outbox", "is_from_this_machine", "is_loopback"]

_APP_NAME: Final = "the Watchword demo"
_MOST: Final = 50
# What proxies and tunnels write into a request that they pass on.
_PASSED_ON: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it would have been sent."""

    to: str
    words: Rendered
    url: str = field(repr=False)
    kept_at: datetime


class Outbox:
    """Keeps the last messages, the newest first; a restart forgets them.

    Args:
        clock: Tells the time.
        tell: Hears of each message, with its link: the terminal, for where the page is closed.
    """

    def __init__(
        self, *, clock: Clock = utc_now, tell: Callable[[str], None] | None = None
    ) -> None:
        self._messages: deque[Message] = deque(maxlen=_MOST)
        self._clock = clock
        self._tell = tell

    async def __call__(self, mail: Mail) -> None:
        """Keep a message."""
        words = render_mail(mail, app_name=_APP_NAME)
        message = Message(to=mail.to, words=words, url=mail.url, kept_at=self._clock())
        self._messages.appendleft(message)
        if self._tell is not None:
            self._tell(f"mail to {message.to}: {words.subject}\n  {message.url}")

    @property
    def messages(self) -> tuple[Message, ...]:
        """All that are kept, the newest first."""
        return tuple(self._messages)


def is_from_this_machine(request: Request, *, origin: str) -> bool:
    """Tell whether a browser on this machine asks, and asks for this machine.

    Links of the outbox open other people's accounts, so each of these has to be so: the
    connection is one within the machine; the name that was opened is the machine's own, or a
    page of another site whose name leads here could read it (DNS rebinding); and no proxy or
    tunnel on this machine passes on what others ask. A proxy may hide that it is one, so
    nobody is let in where the server is told to have another name.
    """
    names = (request.client_address or "", _host(request), urlsplit(origin).hostname or "")
    passed_on = any(request.header(name) is not None for name in _PASSED_ON)
    return all(is_loopback(name) for name in names) and not passed_on


def is_loopback(name: str) -> bool:
    """Tell whether a host name or an address means this machine, on every machine."""
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _host(request: Request) -> str:
    try:
        return urlsplit(f"//{request.header('host') or ''}").hostname or ""
    except ValueError:
        return ""
