"""Mail by SMTP: brought to real servers, with an event loop and without one."""

import base64
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest
from aiosmtpd.controller import BaseThreadedController
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from watchword.adapters.smtp import Rendered, SMTPSender, render_mail
from watchword.concurrency import Background, run_blocking
from watchword.engine.mail import Mail, Mailer
from watchword.errors import ConfigurationError
from watchword.storage.entities import User

SENDER: Final = "Shop <no-reply@shop.example>"
URL: Final = "https://shop.example/api/auth/verify-email?token=secret-token&callbackURL=%2F"
NOW: Final = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
ADA: Final = User(
    id="1",
    name="Ada",
    email="ada@example.org",
    email_verified=False,
    image=None,
    created_at=NOW,
    updated_at=NOW,
)
MAIL: Final = Mail(purpose="verify-email", to=ADA.email, user=ADA, url=URL, token="secret-token")
PASSWORD: Final = "p@ss:w/rd?#%"
ESCAPED: Final = "p%40ss%3Aw%2Frd%3F%23%25"


# --- servers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivery:
    """What a server was handed."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    signed_in: bool

    @property
    def message(self) -> EmailMessage:
        """The message as a mail program reads it."""
        return message_from_bytes(self.raw, policy=default)

    @property
    def text(self) -> str:
        """What programs without HTML show."""
        return self.message.get_body(("plain",)).get_content()

    @property
    def html(self) -> str:
        """What the others show."""
        return self.message.get_body(("html",)).get_content()


@dataclass
class PostOffice:
    """Takes what comes, and knows one user."""

    deliveries: list[Delivery] = field(default_factory=list)
    logins: list[tuple[bytes, bytes, bool]] = field(default_factory=list)

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Keep a message."""
        self.deliveries.append(
            Delivery(
                sender=envelope.mail_from,
                recipients=envelope.rcpt_tos,
                raw=envelope.content,
                encrypted=is_encrypted(server),
                signed_in=bool(session.authenticated),
            )
        )
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, login) -> AuthResult:
        """Let Ada's application in."""
        self.logins.append((login.login, login.password, is_encrypted(server)))
        return AuthResult(success=login.password == PASSWORD.encode(), handled=False)


def is_encrypted(server) -> bool:
    """Tell whether a connection is protected at this moment."""
    return server.transport.get_extra_info("cipher") is not None


class MailServer(BaseThreadedController):
    """A server on a free port of this machine."""

    def __init__(self, office: PostOffice, **options: Any) -> None:
        # It knows encryption by STARTTLS only, and would offer no sign-in within smtps.
        super().__init__(
            office, authenticator=office.authenticate, auth_require_tls=False, **options
        )
        self.office = office
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def _create_server(self):
        return self.loop.create_server(
            self._factory_invoker, sock=self.listener, ssl=self.ssl_context
        )

    def _trigger_server(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            if self.ssl_context is None:
                connection.recv(1)
                return
            trusting = ssl._create_unverified_context()
            with trusting.wrap_socket(connection) as encrypted:
                encrypted.recv(1)


@pytest.fixture
def start(server_tls) -> Iterator[Callable[..., MailServer]]:
    """Start servers: plain, with STARTTLS, or beginning with TLS."""
    started: list[MailServer] = []

    def start(kind: str = "plain", **options: Any) -> MailServer:
        how = {
            "plain": {},
            "starttls": {"tls_context": server_tls},
            "smtps": {"ssl_context": server_tls},
        }
        server = MailServer(PostOffice(), **how[kind], **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


# --- certificates ------------------------------------------------------------------------


def make_certificate(folder: Path, *names: x509.GeneralName) -> tuple[Path, Path]:
    """Make a certificate that signs itself; return it and its key as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, and of no other name."""
    folder = tmp_path_factory.mktemp("certificate")
    return make_certificate(folder, x509.IPAddress(ip_address("127.0.0.1")))


@pytest.fixture(scope="module")
def server_tls(certificate) -> ssl.SSLContext:
    """What the server shows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture(scope="module")
def trusting(certificate) -> ssl.SSLContext:
    """Trusts the server's certificate, and checks it like any other."""
    return ssl.create_default_context(cafile=str(certificate[0]))


def sender_to(server: MailServer, scheme: str = "smtp", login: str = "", **options: Any):
    """Make a sender to a server; `login` ends with @."""
    host = options.pop("host", "127.0.0.1")
    return SMTPSender(f"{scheme}://{login}{host}:{server.port}", **{"sender": SENDER, **options})


by_tls = pytest.mark.parametrize(
    ("kind", "scheme", "options"),
    [("starttls", "smtp", {"starttls": True}), ("smtps", "smtps", {})],
    ids=["starttls", "smtps"],
)


# --- tests -------------------------------------------------------------------------------


class TestTheMessage:
    """What arrives."""

    async def test_it_arrives_with_all_its_headers(self, start):
        """From, To, Subject and Date; an id of the sender's domain; and no answer is wanted."""
        server = start()
        send = sender_to(server, clock=lambda: NOW)

        await send(MAIL)

        [delivery] = server.office.deliveries
        assert (delivery.sender, delivery.recipients) == ("no-reply@shop.example", [ADA.email])
        message = delivery.message
        assert message["From"] == "Shop <no-reply@shop.example>"
        assert message["To"] == "ada@example.org"
        assert message["Subject"] == "Verify your e-mail address for Shop"
        assert message["Date"].datetime == NOW
        assert re.fullmatch(r"<[^@>]+@shop\.example>", message["Message-ID"])
        assert message["Auto-Submitted"] == "auto-generated"

    async def test_it_is_plain_text_and_html_with_the_same_link(self, start):
        """Both show the link as it has to be typed; the HTML has it to click, too."""
        server = start()

        await sender_to(server)(MAIL)

        [delivery] = server.office.deliveries
        assert delivery.message.get_content_type() == "multipart/alternative"
        assert f"\n{URL}\n" in delivery.text.replace("\r\n", "\n")
        links = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', delivery.html)
        escaped = URL.replace("&", "&amp;")
        assert links == [(escaped, "Verify e-mail address"), (escaped, escaped)]

    async def test_two_messages_are_told_apart(self, start):
        """Each has an id of its own."""
        server = start()
        send = sender_to(server)

        await send(MAIL)
        await send(MAIL)

        assert len({it.message["Message-ID"] for it in server.office.deliveries}) == 2

    async def test_a_long_link_arrives_whole(self, start):
        """No mail program has to join lines."""
        server = start()
        url = f"{URL}&state={'x' * 2000}"

        await sender_to(server)(replace(MAIL, url=url))

        [delivery] = server.office.deliveries
        assert url in delivery.text.splitlines()
        assert max(len(line) for line in delivery.raw.splitlines()) <= 998  # RFC 5322, 2.1.1

    async def test_letters_of_all_languages_arrive(self, start):
        """In the sender's name, the subject and the text."""
        server = start()
        send = sender_to(server, sender="Käse & Brot <no-reply@shop.example>")

        await send(MAIL)

        [delivery] = server.office.deliveries
        assert delivery.message["From"] == "Käse & Brot <no-reply@shop.example>"
        assert delivery.message["Subject"] == "Verify your e-mail address for Käse & Brot"
        assert "Käse & Brot" in delivery.text
        assert "Käse &amp; Brot" in delivery.html
        assert delivery.raw.isascii()

    async def test_other_words_can_be_chosen(self, start):
        """A function of the application writes one message; the others stay as they are."""
        server = start()

        async def render(mail: Mail) -> Rendered:
            if mail.purpose == "verify-email":
                return Rendered(subject="Willkommen", text=f"Hallo {mail.user.name}: {mail.url}")
            return render_mail(mail, app_name="Laden")

        send = sender_to(server, render=render)

        await send(MAIL)
        await send(replace(MAIL, purpose="reset-password"))

        welcome, reset = server.office.deliveries
        assert welcome.message["Subject"] == "Willkommen"
        assert welcome.message.get_content_type() == "text/plain"
        assert welcome.text.strip() == f"Hallo Ada: {URL}"
        assert reset.message["Subject"] == "Reset your password for Laden"

    async def test_the_application_has_a_name_of_its_own(self, start):
        """It need not be the sender's; without any it is the domain."""
        server = start()

        await sender_to(server, app_name="The Shop")(MAIL)
        await sender_to(server, sender="no-reply@shop.example")(MAIL)

        assert [it.message["Subject"] for it in server.office.deliveries] == [
            "Verify your e-mail address for The Shop",
            "Verify your e-mail address for shop.example",
        ]

    def test_it_is_what_watchword_calls(self, start):
        """Without an event loop it delivers in the background, for a user who need not wait."""
        server, background = start(), Background()

        run_blocking(Mailer(sender_to(server), background).post(MAIL))
        run_blocking(background.drain())

        assert len(server.office.deliveries) == 1


class TestEncryption:
    """Nothing is sent in the clear, or to somebody else, unless it was asked for."""

    @by_tls
    async def test_mail_is_sent_by_tls(self, start, trusting, kind, scheme, options):
        """Both ways of it."""
        server = start(kind)

        await sender_to(server, scheme, tls_context=trusting, **options)(MAIL)

        [delivery] = server.office.deliveries
        assert delivery.encrypted

    @by_tls
    async def test_a_certificate_that_nobody_vouches_for(self, start, kind, scheme, options):
        """By default the system's authorities decide; neither mail nor password is sent."""
        server = start(kind)
        send = sender_to(server, scheme, f"ada:{ESCAPED}@", **options)

        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            await send(MAIL)

        assert (server.office.deliveries, server.office.logins) == ([], [])

    @by_tls
    async def test_a_certificate_of_another_host(self, start, trusting, kind, scheme, options):
        """A trusted certificate is good for its own names only."""
        server = start(kind)
        send = sender_to(server, scheme, host="localhost", tls_context=trusting, **options)

        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            await send(MAIL)

        assert server.office.deliveries == []

    async def test_starttls_stripping(self, start, trusting):
        """Where somebody cut out the server's offer, nothing is sent."""
        server = start("plain")
        send = sender_to(server, login=f"ada:{ESCAPED}@", starttls=True, tls_context=trusting)

        with pytest.raises(Exception, match=r"(?i)starttls"):
            await send(MAIL)

        assert (server.office.deliveries, server.office.logins) == ([], [])

    @pytest.mark.parametrize(
        ("host", "needed"),
        [
            ("mail.example.org", True),
            ("192.0.2.1", True),
            ("localhost.example.org", True),
            ("127.0.0.1.example.org", True),
            ("localhost", False),
            ("127.0.0.1", False),
            ("[::1]", False),
        ],
    )
    def test_only_this_machine_is_reached_without_tls(self, host, needed):
        """A name that merely begins alike is another machine."""
        send = SMTPSender(f"smtp://{host}", sender=SENDER)

        assert send._server.starttls is needed

    async def test_everything_in_the_clear_if_asked_for(self, start):
        """For a network that is protected otherwise: not even an offer is taken up."""
        server = start("starttls")

        await sender_to(server, starttls=False)(MAIL)

        [delivery] = server.office.deliveries
        assert not delivery.encrypted


class TestSigningIn:
    """With the user and the password of the URL."""

    @by_tls
    async def test_an_escaped_password_is_read(self, start, trusting, kind, scheme, options):
        """Every character that means something in a URL can be in it."""
        server = start(kind)
        send = sender_to(server, scheme, f"ada%40shop:{ESCAPED}@", tls_context=trusting, **options)

        await send(MAIL)

        assert server.office.logins == [(b"ada@shop", PASSWORD.encode(), True)]
        [delivery] = server.office.deliveries
        assert (delivery.encrypted, delivery.signed_in) == (True, True)

    async def test_a_wrong_password_is_raised_and_not_told(self, start, trusting):
        """Who logs the error logs no password."""
        server = start("smtps")
        send = sender_to(server, "smtps", "ada:wrong-password@", tls_context=trusting)

        with pytest.raises(Exception, match="535") as failure:
            await send(MAIL)

        encoded = base64.b64encode(b"wrong-password").decode()
        assert "wrong-password" not in repr(failure.value)
        assert encoded not in repr(failure.value)
        assert server.office.deliveries == []


class TestFailures:
    """Each is raised: the caller logs it."""

    async def test_a_server_that_is_not_there(self):
        """Nobody listens."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        send = SMTPSender(f"smtp://127.0.0.1:{port}", sender=SENDER)

        with pytest.raises(OSError, match=r"(?i)connect"):
            await send(MAIL)

    async def test_a_server_that_says_nothing(self):
        """It is not waited for longer than was allowed."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            send = SMTPSender(
                f"smtp://127.0.0.1:{port}", sender=SENDER, timeout=timedelta(milliseconds=200)
            )

            began = time.monotonic()

            with pytest.raises(OSError, match=r"(?i)timed out"):
                await send(MAIL)

            assert time.monotonic() - began < 10

    async def test_a_server_that_refuses_the_message(self, start):
        """Its answer is in the error."""
        server = start(data_size_limit=100)

        with pytest.raises(Exception, match="552"):
            await sender_to(server)(MAIL)

        assert server.office.deliveries == []

    @pytest.mark.needs_loop
    async def test_without_aiosmtplib_an_event_loop_is_told_how_to_get_it(
        self, start, monkeypatch
    ):
        """The line to install it."""
        monkeypatch.setitem(sys.modules, "aiosmtplib", None)

        with pytest.raises(ConfigurationError) as mistake:
            await sender_to(start())(MAIL)

        assert mistake.value.hint == 'pip install "watchword[smtp]"'

    @pytest.mark.never_loop
    async def test_without_an_event_loop_aiosmtplib_is_not_needed(self, start, monkeypatch):
        """The standard library delivers."""
        monkeypatch.setitem(sys.modules, "aiosmtplib", None)
        server = start()

        await sender_to(server)(MAIL)

        assert len(server.office.deliveries) == 1


LINE_BREAKS: Final = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0")


class TestAttacks:
    """What somebody may enter as a name, an address or anything else."""

    @pytest.mark.parametrize("line_break", LINE_BREAKS)
    async def test_header_injection_by_a_subject(self, start, line_break):
        """An application that puts a name into the subject sends nothing, not another header."""
        server = start()

        def render(mail: Mail) -> Rendered:
            return Rendered(subject=f"Hello {mail.user.name}", text=mail.url)

        send = sender_to(server, render=render)
        for name in (f"Ada{line_break}Bcc: eve@example.org", f"Ada{line_break}"):
            named = replace(MAIL, user=_named(name))

            with pytest.raises(ValueError, match="subject"):
                await send(named)

        assert server.office.deliveries == []

    @pytest.mark.parametrize("line_break", LINE_BREAKS)
    async def test_header_injection_by_an_address(self, start, line_break):
        """Neither a header nor a command of the protocol is made of an address."""
        server = start()
        send = sender_to(server)
        for to in (
            f"ada@example.org{line_break}Bcc: eve@example.org",
            f"ada@example.org>{line_break}RCPT TO:<eve@example.org",
            f"ada@example.org{line_break}",
        ):
            with pytest.raises(ValueError, match="recipient"):
                await send(replace(MAIL, to=to))

        assert server.office.deliveries == []

    @pytest.mark.parametrize(
        "to", ["ada@example.org, eve@example.org", "ada@example.org\u2028.evil", "", "ada"]
    )
    async def test_an_address_that_is_several_or_none(self, start, to):
        """A part of it would get the link."""
        server = start()

        with pytest.raises(ValueError, match="recipient"):
            await sender_to(server)(replace(MAIL, to=to))

        assert server.office.deliveries == []

    @pytest.mark.parametrize("end", ["\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n"])
    async def test_smtp_smuggling(self, start, end):
        """Text that looks like the end of a message, and like commands, is text."""
        server = start()
        smuggled = f"Hello{end}MAIL FROM:<ceo@shop.example>{end}RCPT TO:<eve@example.org>{end}"
        send = sender_to(
            server, render=lambda mail: Rendered(subject="x", text=smuggled, html=smuggled)
        )

        await send(MAIL)

        [delivery] = server.office.deliveries
        assert "MAIL FROM" in delivery.text
        assert "MAIL FROM" in delivery.html
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", delivery.raw)

    async def test_cross_site_scripting(self, start):
        """What is not ours is text in the HTML."""
        server = start()
        payload = '"><script>alert(1)</script>'
        send = sender_to(server, app_name=payload)

        await send(replace(MAIL, url=f"https://shop.example/{payload}"))

        [delivery] = server.office.deliveries
        assert "<script" not in delivery.html
        assert delivery.html.count("&lt;script&gt;") >= 3

    async def test_spam_by_a_name(self, start):
        """Who signs a stranger up chooses no word of what the stranger gets."""
        server = start()
        purposes = ("verify-email", "reset-password", "verify-new-email", "delete-user")

        for purpose in purposes:
            await sender_to(server)(
                replace(MAIL, purpose=purpose, user=_named("You won! https://eve.example"))
            )

        assert len(server.office.deliveries) == len(purposes)
        assert not any(b"eve.example" in it.raw for it in server.office.deliveries)


def _named(name: str) -> User:
    return User(
        id="1",
        name=name,
        email=ADA.email,
        email_verified=False,
        image=None,
        created_at=NOW,
        updated_at=NOW,
    )


class TestConfiguration:
    """A mistake is found when the sender is made, and no password is shown with it."""

    @pytest.mark.parametrize(
        ("url", "place"),
        [
            ("smtp://mail.example.org", "smtp://mail.example.org:587"),
            ("smtps://mail.example.org", "smtps://mail.example.org:465"),
            ("smtp://ada:difference@mail.example.org:25/", "smtp://mail.example.org:25"),
            ("SMTP://Mail.Example.ORG", "smtp://mail.example.org:587"),
            ("smtp://[::1]:2525", "smtp://[::1]:2525"),
        ],
    )
    def test_the_text_form_tells_where_mail_goes(self, url, place):
        """With the usual ports; logs are read by many."""
        send = SMTPSender(url, sender=SENDER)

        assert repr(send) == f"SMTPSender('{place}', sender='no-reply@shop.example')"
        assert "difference" not in f"{send} {send!r} {send._server!r}"

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "mail.example.org",
            "mail.example.org:587",
            "http://ada:difference@mail.example.org",
            "smtp:/mail.example.org",
            "smtp://",
            "smtp://:587",
            "smtp://ada:difference@",
            "smtp://mail.example.org:0",
            "smtp://mail.example.org:70000",
            "smtp://mail.example.org:port",
            "smtp://mail.example.org/path",
            "smtp://mail.example.org?starttls=1",
            "smtp://mail.example.org#587",
            "smtp://${SMTP_HOST}",
            "smtp://mail.example.org\n",
            "smtp://ada:diffe\nrence@mail.example.org",
            "smtp://ada:difference/engine@mail.example.org",
            "smtp://ada:difference?engine@mail.example.org",
            "smtp://ada:difference#engine@mail.example.org",
            "smtp://ada:12#difference@mail.example.org",
            "smtp://ada:differ[ence@mail.example.org",
            "smtp://ada:difference%FF@mail.example.org",
            "smtp://ada:difference%00@mail.example.org",
            "smtp://ada:difference%C3%BC@mail.example.org",
            "smtp://ada@mail.example.org",
            "smtp://:difference@mail.example.org",
        ],
    )
    def test_a_url_that_leads_nowhere(self, url):
        """It is refused with a hint; what stands in it, even misread, is not repeated."""
        with pytest.raises(ConfigurationError) as mistake:
            SMTPSender(url, sender=SENDER)

        assert mistake.value.hint
        assert "diff" not in str(mistake.value)
        assert mistake.value.__cause__ is None
        assert mistake.value.__suppress_context__ or mistake.value.__context__ is None

    @pytest.mark.parametrize(
        "sender",
        [
            *("", "Shop", "no-reply", "no-reply@shop", "a@b.example, c@d.example", "ü@"),
            *("Shop <no-reply>", "Shop <>", "Shop <a@b.example", "Shop\n <a@b.example>"),
            "Shop <a@b.example>\nBcc: eve@example.org",
        ],
    )
    def test_a_sender_that_is_no_address(self, sender):
        """It is told at the start, and not when the first message is sent."""
        with pytest.raises(ConfigurationError, match="is no e-mail address"):
            SMTPSender("smtp://localhost", sender=sender)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"app_name": "The\nShop"}, "line break"),
            ({"timeout": timedelta(0)}, "no time"),
        ],
    )
    def test_other_mistakes(self, options, sentence):
        """Whatever would fail each message fails the start."""
        with pytest.raises(ConfigurationError, match=sentence):
            SMTPSender("smtp://localhost", sender=SENDER, **options)

    def test_starttls_is_of_no_use_where_all_is_tls(self):
        """Who wrote smtps:// and starttls=False may think that nothing is encrypted."""
        with pytest.raises(ConfigurationError, match="no STARTTLS"):
            SMTPSender("smtps://mail.example.org", sender=SENDER, starttls=False)
