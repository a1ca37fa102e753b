"""What a request costs on PostgreSQL, as the server sees it and as the driver's cursor does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, event

from watchword import BlockingWatchword, EmailPassword, RateLimits
from watchword.engine.options import (
    ChangeEmail,
    DeleteUser,
    EmailVerification,
    SessionOptions,
    UserOptions,
)
from watchword.schema import Field
from watchword.storage.query import F

PINGS = {"", ";", "SELECT 1", "select 1"}  # asks whether a connection is alive
# Without encryption, so that the wire can be read.
PLAIN = {
    "asyncpg": {"ssl": "disable"},
    "psycopg": {"sslmode": "disable", "gssencmode": "disable"},
}
SETTINGS = {
    "email_verification": EmailVerification(),
    "user": UserOptions(change_email=ChangeEmail(), delete_user=DeleteUser()),
    "session": SessionOptions(additional_fields={"theme": Field("string", required=False)}),
}


@dataclass(frozen=True)
class Figure:
    """What one request costs: the first word of each statement, in order.

    Args:
        request: Method and path; a text in braces, here and below, stands for what is prepared.
        statements: Those of one transaction in parentheses.
        body: Sent as JSON.
        query: Sent in the address.
        anonymous: Nobody is signed in.
        mail: The request, path and body, whose mail brings `{token}`.
        status: Of the answer.
    """

    request: str
    statements: str
    body: dict[str, Any] | None = None
    query: str = ""
    anonymous: bool = False
    mail: tuple[str, dict[str, Any]] | None = None
    status: int = 200


ADA = {"email": "ada@example.org"}
NOBODY = {"email": "nobody@example.org"}
SIGN_UP = {"name": "Eve", "email": "eve@example.org", "password": "difference-engine"}
SIGN_IN = {**ADA, "password": "difference-engine"}
PASSWORDS = {"currentPassword": "difference-engine", "newPassword": "analytical-engine"}
RESET = ("/request-password-reset", ADA)
HOME = "callbackURL=/"
VERIFY = ("/send-verification-email", ADA)

FIGURES = {
    "ok": Figure("GET /ok", "", anonymous=True),
    "error page": Figure("GET /error", "", query="error=INVALID_TOKEN", anonymous=True),
    "session, anonymous": Figure("GET /get-session", "", anonymous=True),
    "session": Figure("GET /get-session", "SELECT"),
    "sign-up": Figure(
        "POST /sign-up/email", "SELECT ( INSERT INSERT INSERT )", SIGN_UP, anonymous=True
    ),
    "sign-in": Figure(
        "POST /sign-in/email", "SELECT SELECT ( SELECT INSERT )", SIGN_IN, anonymous=True
    ),
    "sign-out": Figure("POST /sign-out", "DELETE", {}),
    "list sessions": Figure("GET /list-sessions", "SELECT SELECT"),
    "revoke a session": Figure("POST /revoke-session", "SELECT DELETE", {"token": "{handle}"}),
    "revoke sessions": Figure("POST /revoke-sessions", "SELECT DELETE", {}),
    "revoke other sessions": Figure("POST /revoke-other-sessions", "SELECT DELETE", {}),
    "update session": Figure("POST /update-session", "SELECT UPDATE", {"theme": "dark"}),
    "update user": Figure("POST /update-user", "SELECT UPDATE", {"name": "Countess"}),
    "change email": Figure(
        "POST /change-email", "SELECT SELECT SELECT INSERT", {"newEmail": "lovelace@example.org"}
    ),
    "change email, taken": Figure(
        "POST /change-email", "SELECT SELECT SELECT INSERT", {"newEmail": "bob@example.org"}
    ),
    "change password": Figure("POST /change-password", "SELECT SELECT UPDATE", PASSWORDS),
    "change password, revoking": Figure(
        "POST /change-password",
        "SELECT SELECT ( UPDATE DELETE INSERT )",
        {**PASSWORDS, "revokeOtherSessions": True},
    ),
    "verify password": Figure(
        "POST /verify-password", "SELECT SELECT", {"password": "difference-engine"}
    ),
    "request reset": Figure(
        "POST /request-password-reset", "SELECT SELECT INSERT", ADA, anonymous=True
    ),
    "request reset, unknown": Figure(
        "POST /request-password-reset", "SELECT SELECT INSERT", NOBODY, anonymous=True
    ),
    "follow reset link": Figure(
        "GET /reset-password/{token}", "SELECT", query=HOME, anonymous=True, mail=RESET, status=302
    ),
    "reset password": Figure(
        *(
            "POST /reset-password",
            "SELECT ( DELETE SELECT SELECT UPDATE DELETE )",
            {"newPassword": "analytical-engine", "token": "{token}"},
        ),
        anonymous=True,
        mail=RESET,
    ),
    "send verification": Figure(
        "POST /send-verification-email", "SELECT INSERT", ADA, anonymous=True
    ),
    "send verification, unknown": Figure(
        "POST /send-verification-email", "SELECT INSERT", NOBODY, anonymous=True
    ),
    "verify email": Figure(
        "GET /verify-email",
        "SELECT SELECT ( DELETE UPDATE SAVEPOINT INSERT RELEASE )",
        query="token={token}",
        anonymous=True,
        mail=VERIFY,
    ),
    "delete user": Figure(
        "POST /delete-user",
        "SELECT SELECT ( DELETE DELETE DELETE )",
        {"password": "difference-engine"},
    ),
    "list accounts": Figure("GET /list-accounts", "SELECT SELECT"),
    "unlink an account": Figure(
        "POST /unlink-account", "SELECT ( SELECT SELECT DELETE )", {"accountId": "{account}"}
    ),
}


class Cost:
    """The statements of one request, with those that begin and end transactions."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    @property
    def outline(self) -> str:
        """The first word of each, in order; a transaction stands in parentheses."""
        words = [it.split()[0].upper() for it in self.sent if it not in PINGS]
        return " ".join({"BEGIN": "(", "COMMIT": ")"}.get(it, it) for it in words)


async def _send(browser, figure: Figure, values: dict[str, str]):
    method, path = figure.request.format_map(values).split()
    body = figure.body and {
        key: it.format_map(values) if isinstance(it, str) else it
        for key, it in figure.body.items()
    }
    return await browser.send(method, path, body=body, query=figure.query.format_map(values))


class Costs:
    """Each way of counting comes to the same."""

    @pytest.fixture
    def prepare(self, auth, browser, new_browser, outbox):
        """Make all that a figure needs, and return its request."""

        async def prepare(figure: Figure):
            for model in ("user", "verification"):
                await auth.instance.store.delete_many(model, None)
            browser.cookies.clear()
            await new_browser(browser.auth).sign_up(name="Bob", email="bob@example.org")
            await browser.sign_up()
            await new_browser(browser.auth).sign_in()
            user = await auth.instance.store.find_one("user", F.email == ADA["email"])
            [session, _] = await auth.instance.store.find_many("session", F.user_id == user["id"])
            linked = {"user_id": user["id"], "provider_id": "github", "account_id": "1"}
            account = await auth.instance.store.create("account", linked)
            values = {"handle": str(session["id"]), "account": str(account["id"])}
            asking = new_browser(browser.auth) if figure.anonymous else browser
            if figure.mail is not None:
                await new_browser(browser.auth).post(*figure.mail)
                values["token"] = outbox[-1].token
            return partial(_send, asking, figure, values)

        return prepare

    async def test_a_forged_cookie_costs_nothing(self, browser, cost):
        """The signature is checked before the row is looked for."""
        browser.cookies["better-auth.session_token"] = "forged.signature"

        with cost() as it:
            answer = await browser.session()

        assert (answer.body, it.sent) == (b"null", [])

    async def test_a_renewal_costs_one_statement_more(self, browser, cost, clock):
        """Once a day."""
        await browser.sign_up()
        clock.advance(days=1)

        with cost() as it:
            await browser.session()

        assert it.outline == "SELECT UPDATE"

    async def test_what_an_endpoint_costs(self, prepare, cost):
        """To the statement: more is slower, and less has forgotten something."""
        for name, figure in FIGURES.items():
            asking = await prepare(figure)

            with cost() as it:
                answer = await asking()

            assert answer.status == figure.status, name
            assert it.outline == figure.statements, name

    async def test_attack_time_tells_known_from_unknown_addresses(self, browser, cost):
        """A wrong password and an unknown address have the database do the same."""
        await browser.sign_up()

        with cost() as wrong:
            await browser.sign_in(password="analytical-engine")
        with cost() as unknown:
            await browser.sign_in(email="nobody@example.org")

        assert wrong.sent == unknown.sent
        assert wrong.outline == "SELECT SELECT"

    @pytest.mark.parametrize("path", ["/request-password-reset", "/send-verification-email"])
    async def test_attack_time_tells_to_whom_a_link_is_sent(self, browser, cost, outbox, path):
        """A link for nobody is as much work as one for somebody, to the letter."""
        await browser.sign_up()
        browser.cookies.clear()

        with cost() as known:
            await browser.post(path, ADA)
        with cost() as unknown:
            await browser.post(path, NOBODY)

        assert known.sent == unknown.sent
        assert [it.to for it in outbox] == [ADA["email"]]


@pytest.fixture
def outbox() -> list:
    """The mail that was sent."""
    return []


class OnTheWire(Costs):
    """Counted between the driver and the server, so no shortcut of ours goes unseen."""

    driver: str

    @pytest.fixture
    def tapped(self, proxy_to, postgresql_database):
        """The proxy, and the URL that leads through it."""
        return proxy_to(postgresql_database, **PLAIN[self.driver])

    @pytest.fixture
    def auth(self, tapped, sql_auth, outbox):
        """An instance whose statements are listened to."""
        return sql_auth(tapped[1], mail=outbox.append, **SETTINGS)

    @pytest.fixture
    def browser(self, auth, new_browser, run):
        """A browser at an instance that has connected already."""
        for _ in range(2):  # what drivers ask on a new connection, and learn of types
            run(new_browser(auth).sign_up(email="first@example.org"))
            run(new_browser(auth).sign_in(email="first@example.org"))
        return new_browser(auth)

    @pytest.fixture
    def cost(self, tapped):
        """Count what passes in a block."""
        proxy, _ = tapped

        @contextmanager
        def cost() -> Iterator[Cost]:
            start, it = len(proxy.executed), Cost()
            yield it
            it.sent = [statement.strip() for statement in proxy.executed[start:]]

        return cost


class TestAsyncpgOnTheWire(OnTheWire):
    """asyncpg, under an event loop."""

    driver = "asyncpg"
    needs_loop = True


class TestPsycopgOnTheWire(OnTheWire):
    """psycopg, without one."""

    driver = "psycopg"
    never_loop = True


class TestAtTheCursor(Costs):
    """Counted where SQLAlchemy hands a statement to the blocking driver."""

    never_loop = True

    @pytest.fixture
    def auth(self, postgresql_database, clock, cheap_passwords, outbox):
        """A blocking instance on the database."""
        auth = BlockingWatchword(
            postgresql_database,
            secret="correct-horse-battery-staple-0123456789",
            base_url="http://localhost:8000",
            email_password=EmailPassword(),
            passwords=cheap_passwords,
            clock=clock,
            rate_limits=RateLimits(enabled=False),
            mail=outbox.append,
            **SETTINGS,
        )
        auth.create_tables()
        auth.store.delete_many("user", None)
        yield auth
        auth.close()

    @pytest.fixture
    def browser(self, auth, new_browser):
        """A browser at the blocking instance."""

        class Blocking:
            async def handle(self, request):
                return auth.handle(request)

            async def drain(self):
                auth.drain()

        return new_browser(Blocking())

    @pytest.fixture
    def cost(self):
        """Count what reaches a cursor in a block."""

        @contextmanager
        def cost() -> Iterator[Cost]:
            it = Cost()

            def note(_connection, _cursor, statement, *_):
                it.sent.append(statement.strip())

            event.listen(Engine, "before_cursor_execute", note)
            try:
                yield it
            finally:
                event.remove(Engine, "before_cursor_execute", note)

        return cost
