"""What a request costs on PostgreSQL, as the server sees it and as the driver's cursor does."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from watchword import BlockingWatchword, EmailPassword
from watchword.concurrency import run_blocking

CONTROL = re.compile(r"(BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)", re.IGNORECASE)
PINGS = {"", ";", "SELECT 1", "select 1"}  # asks whether a connection is alive
# Without encryption, so that the wire can be read.
PLAIN = {
    "asyncpg": {"ssl": "disable"},
    "psycopg": {"sslmode": "disable", "gssencmode": "disable"},
}
ONE_TRANSACTION = ["BEGIN", "COMMIT"]


class Cost:
    """The statements of one request, with those that begin and end transactions apart."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    @property
    def statements(self) -> list[str]:
        """What reads or writes rows: the first word of each."""
        work = (it for it in self.sent if it not in PINGS and not CONTROL.match(it))
        return [it.split()[0].upper() for it in work]

    @property
    def control(self) -> list[str]:
        """BEGIN, COMMIT and their like."""
        return [it.upper() for it in self.sent if CONTROL.match(it)]


class Costs:
    """Each way of counting comes to the same."""

    async def test_asking_without_a_cookie_costs_nothing(self, browser, cost):
        """An anonymous visitor never reaches the database."""
        with cost() as it:
            answer = await browser.session()

        assert (answer.body, it.sent) == (b"null", [])

    async def test_a_forged_cookie_costs_nothing(self, browser, cost):
        """The signature is checked before the row is looked for."""
        browser.cookies["better-auth.session_token"] = "forged.signature"

        with cost() as it:
            answer = await browser.session()

        assert (answer.body, it.sent) == (b"null", [])

    async def test_who_is_signed_in_costs_one_statement(self, browser, cost):
        """Session and user come together, and no transaction is opened for them."""
        await browser.sign_up()

        with cost() as it:
            answer = await browser.session()

        assert answer.json["user"]["name"] == "Ada"
        assert (it.statements, it.control) == (["SELECT"], [])

    async def test_sign_in_costs_four_statements_and_one_transaction(self, browser, cost):
        """The user and the account; then, together, the lock and the session."""
        await browser.sign_up()

        with cost() as it:
            answer = await browser.sign_in()

        assert answer.status == 200
        assert len(it.statements) <= 4
        assert it.control == ONE_TRANSACTION

    async def test_sign_up_costs_four_statements_and_one_transaction(self, browser, cost):
        """Whether the address is taken; then user, account and session together."""
        with cost() as it:
            answer = await browser.sign_up()

        assert answer.status == 200
        assert len(it.statements) <= 4
        assert it.control == ONE_TRANSACTION

    async def test_sign_out_costs_one_statement(self, browser, cost):
        """The row goes by its token."""
        await browser.sign_up()

        with cost() as it:
            answer = await browser.post("/sign-out", {})

        assert answer.json == {"success": True}
        assert (it.statements, it.control) == (["DELETE"], [])

    async def test_a_renewal_costs_one_statement_more(self, browser, cost, clock):
        """Once a day."""
        await browser.sign_up()
        clock.advance(days=1)

        with cost() as it:
            await browser.session()

        assert (it.statements, it.control) == (["SELECT", "UPDATE"], [])

    async def test_attack_time_tells_known_from_unknown_addresses(self, browser, cost):
        """A wrong password and an unknown address have the database do the same."""
        await browser.sign_up()

        with cost() as wrong:
            await browser.sign_in(password="analytical-engine")
        with cost() as unknown:
            await browser.sign_in(email="nobody@example.org")

        assert wrong.sent == unknown.sent
        assert wrong.control == []


class OnTheWire(Costs):
    """Counted between the driver and the server, so no shortcut of ours goes unseen."""

    driver: str

    @pytest.fixture
    def tapped(self, proxy_to, postgresql_database):
        """The proxy, and the URL that leads through it."""
        return proxy_to(postgresql_database, **PLAIN[self.driver])

    @pytest.fixture
    def auth(self, tapped, sql_auth):
        """An instance whose statements are listened to."""
        return sql_auth(tapped[1])

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
    def auth(self, postgresql_database, clock, cheap_passwords):
        """A blocking instance on the database."""
        auth = BlockingWatchword(
            postgresql_database,
            secret="correct-horse-battery-staple-0123456789",
            base_url="http://localhost:8000",
            email_password=EmailPassword(),
            passwords=cheap_passwords,
            clock=clock,
        )
        auth.create_tables()
        run_blocking(auth.store.delete_many("user", None))
        yield auth
        auth.close()

    @pytest.fixture
    def browser(self, auth, new_browser):
        """A browser at the blocking instance."""

        class Blocking:
            async def handle(self, request):
                return auth.handle(request)

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
