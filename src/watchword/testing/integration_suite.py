"""The meaning of an integration: a framework that passes serves the endpoints as they are.

    class TestOurs(IntegrationSuite):
        needs_loop = True               # or never_loop, for one without event loops

        @pytest.fixture
        def client(self, settings):
            auth = Watchword(**settings)
            app = ...                   # with the endpoints mounted, and with the routes below
            return ASGIClient(app)      # or WSGIClient(app)

Unless the class says `has_routes = False`, the application has three routes of its own,
which answer in JSON:

* `GET /me` asks `require_user` and answers `{"email": …}`;
* `GET /maybe` asks `current_session` and answers `{"email": …}`, null for nobody;
* `GET /session` asks `current_session`, `require_session` and `require_user`, and answers
  `{"id": …, "email": …}` with the id of the session.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from typing import Any, ClassVar, Final

import pytest

from watchword import EmailPassword, RateLimits
from watchword.crypto.passwords import Passwords
from watchword.storage.query import F
from watchword.testing.integration_clients import (
    ADDRESS,
    ASGIClient,
    IntegrationClient,
    Reply,
    WSGIClient,
)
from watchword.testing.integration_fakes import (
    BASE,
    JSON,
    ORIGIN,
    PASSWORD,
    Echo,
    SuiteClock,
    SuiteDatabase,
    Visitor,
)
from watchword.testing.modes import MakeCoroutine

__all__ = ["ASGIClient", "IntegrationClient", "IntegrationSuite", "Reply", "WSGIClient"]

LIMIT: Final = 100_000
FORM: Final = ("content-type", "application/x-www-form-urlencoded")
UNAUTHORIZED: Final = {"message": "Unauthorized", "code": "UNAUTHORIZED"}
UNKNOWN_PATHS: Final = (
    *("", "/", "/unknown", "/suite/echo/", "/suite//echo", "//suite/echo", "/suite"),
    *("/SUITE/echo", "/%0A", "/suite/echo%0A", "/%C3%A9", "/%FF", "/a%00b", "/./x"),
    *("/suite/echo;a=b", "/suite/../x", "/unknown?a=b", "/%3Fa", "/%23"),
)

needs_routes = pytest.mark.watchword_needs("has_routes")


class IntegrationSuite:
    """Everything that an integration has to keep; subclass it with the fixture `client`."""

    pytestmark: ClassVar[Any] = pytest.mark.watchword_async

    has_routes: ClassVar[bool] = True
    """The application has routes of its own, which ask who is signed in."""
    spools_bodies: ClassVar[bool] = False
    """The framework takes a whole body, to a file, before anybody is asked."""

    takes_chunks: ClassVar[bool] = True
    """The framework takes bodies that announce no length."""

    @pytest.fixture
    def client(self) -> IntegrationClient:
        """Return what sends requests to an application whose instance has the settings."""
        raise NotImplementedError("the subclass provides the fixture 'client'")

    @pytest.fixture
    def clock(self) -> SuiteClock:
        """The time, as the test wants it."""
        return SuiteClock()

    @pytest.fixture
    def database(self) -> SuiteDatabase:
        """What the instance reads and writes."""
        return SuiteDatabase()

    @pytest.fixture
    def settings(self, database: SuiteDatabase, clock: SuiteClock) -> dict[str, Any]:
        """What the instance is made with: `Watchword(**settings)`."""
        return {
            "database": database,
            "secret": "correct-horse-battery-staple-0123456789",
            "base_url": ORIGIN,
            "email_password": EmailPassword(),
            "plugins": [Echo()],
            "clock": clock,
            "passwords": Passwords(memory_kib=8, iterations=1),
            "max_body_size": LIMIT,
            "rate_limits": RateLimits(enabled=False),
        }

    @pytest.fixture
    def visitor(self, client: IntegrationClient) -> Visitor:
        """A browser that was never here."""
        return Visitor(client)

    # --- who is asking ---------------------------------------------------------------

    async def test_a_user_signs_up_out_and_in(self, visitor: Visitor) -> None:
        """And is recognised, by the cookie, for as long as signed in."""
        credentials = {"email": "ada@example.org", "password": PASSWORD}

        signed_up = await visitor.sign_up()
        known = await visitor.session()
        signed_out = await visitor.post("/sign-out", {})
        unknown = await visitor.session()
        signed_in = await visitor.post("/sign-in/email", credentials)

        assert (signed_up.status, signed_out.status, signed_in.status) == (200, 200, 200)
        assert known["user"]["email"] == "ada@example.org"
        assert unknown is None
        assert (await visitor.session())["user"]["id"] == known["user"]["id"]

    async def test_several_cookies_are_several_headers(self, visitor: Visitor) -> None:
        """They cannot be joined by commas, and keep their attributes."""
        reply = await visitor.sign_up(rememberMe=False)

        cookies = reply.values("set-cookie")
        names = [cookie.partition("=")[0].rpartition(".")[2] for cookie in cookies]
        assert sorted(names) == ["dont_remember", "session_token"]
        for cookie in cookies:
            attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert attributes == {"path=/", "httponly", "samesite=lax"}

    @needs_routes
    async def test_routes_know_who_is_signed_in(self, visitor: Visitor) -> None:
        """All three ways to ask agree with the endpoint."""
        await visitor.sign_up()

        session = (await visitor.session())["session"]
        replies = [await visitor.get(path) for path in ("/me", "/maybe", "/session")]

        assert [reply.status for reply in replies] == [200, 200, 200]
        assert [json.loads(reply.body) for reply in replies] == [
            {"email": "ada@example.org"},
            {"email": "ada@example.org"},
            {"id": session["id"], "email": "ada@example.org"},
        ]

    @needs_routes
    async def test_nobody_is_a_401_of_the_wire(self, visitor: Visitor) -> None:
        """Clients read this shape."""
        replies = [await visitor.get(path) for path in ("/me", "/session")]

        assert [(reply.status, reply.json) for reply in replies] == [(401, UNAUTHORIZED)] * 2

    @needs_routes
    async def test_nobody_may_be_welcome(self, visitor: Visitor) -> None:
        """None, where a route asks for no more."""
        reply = await visitor.get("/maybe")

        assert (reply.status, json.loads(reply.body)) == (200, {"email": None})

    async def test_attack_forged_cookie(self, visitor: Visitor) -> None:
        """A token that we did not sign is nobody's, though a session has it."""
        await visitor.sign_up()
        visitor.cookies = {name: it[:-6] + "AAA%3D" for name, it in visitor.cookies.items()}

        assert await visitor.session() is None
        if self.has_routes:
            assert (await visitor.get("/me")).status == 401
            assert json.loads((await visitor.get("/maybe")).body) == {"email": None}

    async def test_a_session_ends_with_its_time(self, visitor: Visitor, clock: SuiteClock) -> None:
        """For the routes as for the endpoints."""
        await visitor.sign_up()
        clock.now += timedelta(days=8)

        if self.has_routes:
            assert (await visitor.get("/me")).status == 401
        assert await visitor.session() is None

    @needs_routes
    async def test_a_request_reads_its_session_once(
        self, visitor: Visitor, database: SuiteDatabase
    ) -> None:
        """However often it asks; and the next request reads it again."""
        await visitor.sign_up()
        database.reads.clear()

        await visitor.get("/session")
        once = database.reads.count("session")
        await visitor.get("/session")

        assert (once, database.reads.count("session")) == (1, 2)

    @needs_routes
    async def test_attack_session_of_the_request_before(self, client: IntegrationClient) -> None:
        """Nobody is taken for who came before, be it nobody or somebody else."""
        ada, grace, nobody = (Visitor(client) for _ in range(3))
        await ada.sign_up("ada@example.org")
        await grace.sign_up("grace@example.org")

        replies = [await it.get("/maybe") for it in (ada, nobody, grace, ada, nobody)]

        emails = [json.loads(reply.body)["email"] for reply in replies]
        assert emails == ["ada@example.org", None, "grace@example.org", "ada@example.org", None]

    @needs_routes
    async def test_attack_somebody_elses_session(
        self,
        client: IntegrationClient,
        database: SuiteDatabase,
        race: Callable[[int, MakeCoroutine[Any]], Awaitable[list[Any]]],
    ) -> None:
        """Of 32 requests that wait for the database together each sees its own user."""
        emails = [f"user-{number}@example.org" for number in range(4)]
        visitors = [Visitor(client) for _ in emails]
        for email, visitor in zip(emails, visitors, strict=True):
            await visitor.sign_up(email)
        turns = count()

        async def ask() -> bool:
            turn = next(turns) % len(emails)
            reply = await visitors[turn].get("/session")
            return bool(reply.json["email"] == emails[turn])

        database.crowd = len(database.reads) + 32
        assert await race(32, ask) == [True] * 32

    async def test_a_database_that_is_down_is_503(
        self, visitor: Visitor, database: SuiteDatabase
    ) -> None:
        """Nobody is told that they are signed out, and nothing of the reason."""
        await visitor.sign_up()
        database.is_down = True

        routes = ["/me", "/maybe", "/session"] if self.has_routes else []
        replies = [await visitor.get(path) for path in (f"{BASE}/get-session", *routes)]

        for reply in replies:
            assert (reply.status, reply.json["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert reply.values("retry-after") == ["1"]
            assert b"unplugged" not in reply.body

    async def test_attack_borrowed_cookies(self, visitor: Visitor) -> None:
        """Another site's page cannot act with them: the framework's own checks may be off."""
        await visitor.sign_up()

        reply = await visitor.post("/sign-out", {}, JSON, ("origin", "https://evil.example"))

        assert (reply.status, reply.json["code"]) == (403, "INVALID_ORIGIN")
        assert await visitor.session() is not None

    # --- what arrives ----------------------------------------------------------------

    async def test_a_query_arrives_as_it_was_sent(self, visitor: Visitor) -> None:
        """Repeated keys, order, escapes and empty values."""
        query = "b=1&a=%C3%A9+%26&b=2&b=&=x&a"

        reply = await visitor.get(f"{BASE}/suite/echo?{query}")

        assert reply.json["query"] == query

    async def test_headers_arrive_as_they_were_sent(self, visitor: Visitor) -> None:
        """Each byte is a character of Latin-1."""
        text = 'caf\xe9 \xff\xa0x; a="b", c'

        reply = await visitor.get(f"{BASE}/suite/echo", ("X-Suite", text), ("Accept", "*/*"))

        headers = reply.json["headers"]
        assert (headers["x-suite"], headers["accept"]) == (text, "*/*")

    async def test_headers_go_out_as_they_were_given(self, visitor: Visitor) -> None:
        """Each character is a byte; of one name there may be several."""
        reply = await visitor.get(f"{BASE}/suite/echo")

        assert ", ".join(reply.values("x-suite")) == "caf\xe9, \xff"
        assert reply.values("content-type") == ["application/json"]

    async def test_the_clients_address_arrives(self, visitor: Visitor) -> None:
        """It is stored with the session."""
        reply = await visitor.get(f"{BASE}/suite/echo")
        await visitor.sign_up()

        assert reply.json["address"] == ADDRESS
        assert (await visitor.session())["session"]["ipAddress"] == ADDRESS

    async def test_a_path_is_decoded_once(self, visitor: Visitor) -> None:
        """Wherever an escape stands in it."""
        for path in ("/suite/%65cho", "/suite%2Fecho", "/%73uite/echo"):
            once = await visitor.get(BASE + path)
            twice = await visitor.get(BASE + path.replace("%", "%25"))

            assert (once.status, once.json["path"]) == (200, f"{BASE}/suite/echo"), path
            assert (twice.status, twice.body) == (404, b""), path

    async def test_below_the_base_path_everything_is_ours(self, visitor: Visitor) -> None:
        """An empty 404, not the framework's, and no redirect to another slash."""
        replies = {path: await visitor.get(BASE + path) for path in UNKNOWN_PATHS}

        for path, reply in replies.items():
            assert (reply.status, reply.body) == (404, b""), path
            assert reply.values("location") == reply.values("content-type") == [], path

    async def test_every_method_is_ours(self, client: IntegrationClient) -> None:
        """None is answered by the framework for us."""
        for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"):
            reply = await client.send(method, f"{BASE}/suite/echo")

            assert reply is not None, method
            assert (reply.status, reply.body, reply.values("allow")) == (404, b"", []), method

    async def test_strange_methods_are_refused(self, client: IntegrationClient) -> None:
        """By us or by the framework."""
        for method in ("PROPFIND", "QUERY", "get", "X"):
            reply = await client.send(method, f"{BASE}/suite/echo")

            assert reply is not None, method
            assert reply.status in {404, 405}, method

    # --- bodies ----------------------------------------------------------------------

    async def test_a_body_may_be_as_long_as_the_limit(self, visitor: Visitor) -> None:
        """It comes in pieces, and is whole; one byte more is too much."""
        start = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD}
        body = json.dumps(start).encode().ljust(LIMIT)

        too_long = await visitor.post("/sign-up/email", body + b" ")
        longest = await visitor.post("/sign-up/email", body)

        assert (too_long.status, too_long.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert longest.status == 200

    @pytest.mark.watchword_needs("takes_chunks")
    async def test_a_body_in_chunks_is_whole(self, visitor: Visitor) -> None:
        """It announces no length, and is as limited as others."""
        chunked = (JSON, ("origin", ORIGIN), ("transfer-encoding", "chunked"))
        body = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD}

        whole = await visitor.post("/sign-up/email", body, *chunked)
        endless = await visitor.post("/sign-in/email", b"x" * 10_000_000, *chunked)

        assert (whole.status, endless.status) == (200, 413)
        assert self.spools_bodies or LIMIT < endless.taken < 2 * LIMIT

    async def test_attack_endless_body(self, visitor: Visitor) -> None:
        """Of ten megabytes little more than the limit is read before the refusal."""
        reply = await visitor.post("/sign-in/email", b"x" * 10_000_000)

        assert (reply.status, reply.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert self.spools_bodies or LIMIT < reply.taken < 2 * LIMIT

    async def test_attack_half_a_form(
        self, client: IntegrationClient, database: SuiteDatabase
    ) -> None:
        """Whose client went before the end is not acted on: half a password is a password."""
        body = b"name=Ada&email=ada@example.org&password=difference"

        reply = await client.send(
            "POST", f"{BASE}/sign-up/email", headers=[FORM], body=body, breaks_off=True
        )

        assert reply is None or 400 <= reply.status < 500
        assert await database.count("user", F.email == "ada@example.org") == 0

    async def test_what_is_no_json_is_400(self, visitor: Visitor) -> None:
        """With the wire's code."""
        reply = await visitor.post("/sign-up/email", b'{"name": ')

        assert (reply.status, reply.json["code"]) == (400, "BAD_REQUEST")

    async def test_a_form_is_read(self, visitor: Visitor) -> None:
        """By us: the framework has not taken it, and asks for no token of its own."""
        body = b"name=Ada&email=ada%40example.org&password=" + PASSWORD.encode()

        reply = await visitor.post("/sign-up/email", body, FORM, ("origin", ORIGIN))

        assert (reply.status, reply.json["user"]["email"]) == (200, "ada@example.org")
