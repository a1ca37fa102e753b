"""Mail by SMTP, for applications with an event loop and for those without one."""

import re
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from functools import partial
from importlib import import_module
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from watchword.adapters.mail_texts import Rendered, RenderMail, render_mail
from watchword.clock import Clock, utc_now
from watchword.concurrency import call, current_loop
from watchword.engine.mail import Mail
from watchword.errors import ConfigurationError
from watchword.http.emails import is_email

__all__ = ["RenderMail", "Rendered", "SMTPSender", "render_mail"]


class SMTPSender:
    """Sends mail by SMTP; pass it as `mail` to `Watchword` or `BlockingWatchword`.

    Each message has a connection of its own. What goes wrong is raised, and who calls it
    logs that.

    Args:
        url: `smtp://user:password@host:587`, or `smtps://` for a server that begins with TLS,
            at port 465. A user and a password of other characters are percent-encoded.
        sender: The address in From, with or without a name: `Shop <no-reply@shop.example>`.
        app_name: What messages call the application; by default the sender's name, or else
            the domain of its address.
        render: Chooses other words for all messages; `render_mail` has those of the others.
        starttls: Whether an `smtp://` connection is refused unless it changes to TLS. By
            default it is, except to this machine. False sends everything unencrypted.
        tls_context: Decides which certificates are trusted; by default those that the system
            trusts, for the host of the URL.
        timeout: How long each step may take.
        clock: Tells the time for Date.

    Raises:
        ConfigurationError: The URL or the sender cannot be used; the hint says why.
    """

    def __init__(
        self,
        url: str,
        *,
        sender: str,
        app_name: str | None = None,
        render: RenderMail | None = None,
        starttls: bool | None = None,
        tls_context: ssl.SSLContext | None = None,
        timeout: timedelta = timedelta(seconds=30),
        clock: Clock = utc_now,
    ) -> None:
        self._server = _read_url(url, starttls=starttls)
        self._sender = _read_sender(sender)
        app_name = app_name or self._sender.display_name or self._sender.domain
        _check(app_name, timeout)
        self._render = render or partial(render_mail, app_name=app_name)
        self._tls = tls_context or ssl.create_default_context()
        self._timeout = timeout.total_seconds()
        self._clock = clock

    def __repr__(self) -> str:
        """Show where mail goes, and not how one signs in there."""
        return f"SMTPSender({self._server.place!r}, sender={self._sender.addr_spec!r})"

    async def __call__(self, mail: Mail) -> None:
        """Hand a message to the server.

        Raises:
            OSError: The server was not reached, is not who it should be, or refused. Under an
                event loop an `aiosmtplib.SMTPException` says so.
            ValueError: The message would break out of its header; nothing was sent.
            ConfigurationError: There is an event loop, and aiosmtplib is not installed.
        """
        message = self._message(mail.to, await call(self._render, mail))
        if current_loop() is None:
            self._send_blocking(message, mail.to)
        else:
            await self._send(message, mail.to)

    def _message(self, to: str, words: Rendered) -> EmailMessage:
        if _LINE_BREAKS.search(words.subject):
            # The standard library lets one pass at the end, and the headers would end there.
            raise ValueError("a line break or a control character in the subject")
        if not is_email(to):
            # It would leave out what it cannot read, and write to the rest.
            raise ValueError("the recipient is no e-mail address")
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = to
        message["Subject"] = words.subject
        message["Date"] = format_datetime(self._clock())
        # Of the sender's domain: the default would tell the name of this machine.
        message["Message-ID"] = make_msgid(domain=self._sender.domain)
        # Nobody's holiday answer comes back (RFC 3834, 5).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(words.text)
        if words.html is not None:
            message.add_alternative(words.html, subtype="html")
        return message

    def _send_blocking(self, message: EmailMessage, to: str) -> None:
        server = self._server
        with self._connect() as smtp:
            if server.starttls:
                smtp.starttls(context=self._tls)
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(message, self._sender.addr_spec, [to])

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        if server.tls:
            return smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout, context=self._tls
            )
        return smtplib.SMTP(server.host, server.port, timeout=self._timeout)

    async def _send(self, message: EmailMessage, to: str) -> None:
        server = self._server
        await _aiosmtplib().send(
            message,
            sender=self._sender.addr_spec,
            recipients=[to],
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.tls,
            # Not None, which would go on in the clear where somebody cut out the offer.
            start_tls=server.starttls,
            tls_context=self._tls,
            timeout=self._timeout,
        )


def _aiosmtplib() -> Any:
    # Imported when it is needed: without an event loop nobody has to install it.
    try:
        return import_module("aiosmtplib")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "SMTPSender needs aiosmtplib under an event loop, and it is not installed.",
            hint='pip install "watchword[smtp]"',
        ) from error


# --- configuration -----------------------------------------------------------------------

_LINE_BREAKS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_EXAMPLE: Final = "smtp://user:password@mail.example.org:587"
_PORTS: Final = MappingProxyType({"smtp": 587, "smtps": 465})  # RFC 8314, 3.3 and 7.3
_HOST: Final = re.compile(r"[a-z0-9._:-]+")
_NAMED: Final = re.compile(r'"?([^"<>]*?)"? *<([^<>]+)>')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """Where mail is handed over, and as whom.

    Args:
        tls: It begins with TLS.
        starttls: It has to change to TLS before anything is sent.
    """

    host: str
    port: int
    user: str = field(repr=False)
    password: str = field(repr=False)
    tls: bool
    starttls: bool

    @property
    def place(self) -> str:
        """What may be shown of the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'smtps' if self.tls else 'smtp'}://{host}:{self.port}"


def _read_url(url: str, *, starttls: bool | None) -> _Server:
    """Read an SMTP URL. No complaint repeats a part of it: any may be a piece of a password."""
    scheme = url.partition("://")[0].lower()
    if scheme not in _PORTS:
        raise ConfigurationError(
            "The SMTP URL begins with neither smtp:// nor smtps://.",
            hint=f"Write it like {_EXAMPLE}.",
        )
    try:
        parts = urlsplit(url)
        port = _PORTS[scheme] if parts.port is None else parts.port
    except ValueError:
        raise _unreadable() from None
    host = parts.hostname or ""
    outside = parts.path.strip("/") or parts.query or parts.fragment or _LINE_BREAKS.search(url)
    if outside or not _HOST.fullmatch(host) or port == 0:
        raise _unreadable()
    user, password = _credentials(parts)
    if scheme == "smtps" and starttls is not None:
        raise ConfigurationError(
            "An smtps:// connection has TLS from its beginning and no STARTTLS.",
            hint="Leave out starttls=…, or use smtp://.",
        )
    wanted = not _is_this_machine(host) if starttls is None else starttls
    return _Server(
        host=host,
        port=port,
        user=user,
        password=password,
        tls=scheme == "smtps",
        starttls=scheme == "smtp" and wanted,
    )


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "The SMTP URL cannot be read.",
        hint=f"Write it like {_EXAMPLE}; in user and password @ : / ? # % are "
        "%40 %3A %2F %3F %23 %25.",
    )


def _credentials(parts: SplitResult) -> tuple[str, str]:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ConfigurationError(
            "The SMTP URL has a user or a password, but not both.",
            hint=f"Write it like {_EXAMPLE}, or without both.",
        )
    if not f"{user}{password}".isascii() or _LINE_BREAKS.search(user + password):
        raise ConfigurationError(
            "The user and the password of an SMTP URL are printable ASCII characters.",
            hint="Choose another password at the mail server.",
        )
    return user, password


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check(app_name: str, timeout: timedelta) -> None:
    if _LINE_BREAKS.search(app_name):
        raise ConfigurationError(
            f"The app_name {app_name!r} has a line break or a control character.",
            hint="It stands in subjects; choose a name of one line.",
        )
    if timeout <= timedelta(0):
        raise ConfigurationError(
            "SMTPSender has no time to reach the server.",
            hint="Choose a timeout of some seconds.",
        )


def _read_sender(text: str) -> Address:
    named = _NAMED.fullmatch(text)
    name, address = named.groups() if named else ("", text)
    if not is_email(address) or _LINE_BREAKS.search(name):
        raise ConfigurationError(
            f"The sender {text!r} is no e-mail address.",
            hint="Write it like no-reply@shop.example, or Shop <no-reply@shop.example>.",
        )
    return Address(display_name=name, addr_spec=address)
