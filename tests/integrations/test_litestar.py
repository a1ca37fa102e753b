"""Litestar: the endpoints beside the application's own handlers, and its users inside them."""

import pytest
from litestar import Litestar, Request, WebSocket, get, websocket
from litestar.config.csrf import CSRFConfig
from litestar.di import NamedDependency, Provide
from litestar.response import Response

from watchword import APIError, ConfigurationError, Identity, User, Watchword
from watchword.integrations.litestar import (
    current_session,
    mount,
    require_session,
    require_user,
)
from watchword.testing import IntegrationSuite
from watchword.testing.integration_suite import ASGIClient

pytestmark = pytest.mark.needs_loop
GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}


@get("/me")
async def me(user: NamedDependency[User]) -> dict[str, str]:
    """Answer who must be signed in."""
    return {"email": user.email}


@get("/maybe")
async def maybe(request: Request) -> dict[str, str | None]:
    """Answer who may be signed in."""
    identity = await current_session(request.scope)
    return {"email": identity.user.email if identity else None}


@get("/session")
async def session(
    maybe: NamedDependency[Identity | None],
    identity: NamedDependency[Identity],
    user: NamedDependency[User],
) -> dict[str, str]:
    """Ask in every way."""
    return {"id": identity.session.id, "email": user.email}


@websocket("/live")
async def live(socket: WebSocket, user: NamedDependency[User]) -> None:
    """Greet who connects, then tell whether they still are signed in."""
    await socket.accept()
    await socket.send_text(user.email)
    await socket.receive_text()
    await socket.send_json(await current_session(socket.scope) is not None)
    await require_user(socket.scope)


def application(auth, *more, **settings) -> Litestar:
    """Return an application with a handler for each way to ask."""
    return Litestar(
        [me, maybe, session, *more],
        plugins=[mount(auth)],
        dependencies={
            "maybe": Provide(current_session),
            "identity": Provide(require_session),
            "user": Provide(require_user),
        },
        **settings,
    )


class TestLitestar(IntegrationSuite):
    """A Litestar application keeps the meaning of an integration."""

    needs_loop = True

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        return ASGIClient(application(Watchword(**settings)))


class TestWithTokensAgainstForgery(TestLitestar):
    """So does one that asks every other handler's callers for a token."""

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        csrf = CSRFConfig(secret="difference-engine")
        return ASGIClient(application(Watchword(**settings), csrf_config=csrf))


async def test_elsewhere_nothing_is_ours(auth, page_of):
    """The application keeps its own 404."""
    async with page_of(application(auth)) as page:
        answer = await page.get("/api/authentic")

    assert (answer.status_code, answer.json()["detail"]) == (404, "Not Found")


async def test_what_begins_alike_is_the_applications(auth, page_of):
    """A prefix of a name is not the name."""

    @get("/api/authors/{number:int}")
    async def author(request: Request) -> int:
        return request.path_params["number"]

    async with page_of(application(auth, author)) as page:
        assert (await page.get("/api/authors/1")).json() == 1


async def test_a_blocking_database_works(new_auth, sqlite_database, page_of):
    """Each of its calls has a thread; tables are made at the start."""
    auth = new_auth(sqlite_database)
    app = application(auth, lifespan=[auth.lifespan])

    async with app.lifespan(), page_of(app) as page:
        await page.post("/api/auth/sign-up/email", json=GOOD)
        answer = await page.get("/me")

    assert answer.json() == {"email": "ada@example.org"}


def test_a_blocking_instance_is_refused(new_blocking):
    """It would stop the event loop."""
    with pytest.raises(ConfigurationError, match="cannot answer on an event loop"):
        mount(new_blocking())


def test_an_application_has_one_instance(auth, new_auth):
    """A second one would answer with the first one's cookies."""
    with pytest.raises(ConfigurationError, match="already"):
        Litestar(plugins=[mount(auth), mount(new_auth())])


async def test_a_forgotten_mount_is_told(page_of):
    """Not as a 401 of which nobody finds the reason."""
    told = []
    app = Litestar([maybe], after_exception=[lambda error, _scope: told.append(error)])

    async with page_of(app) as page:
        answer = await page.get("/maybe")

    assert answer.status_code == 500
    assert "plugins=[mount(auth)]" in told[0].hint


async def test_a_server_may_put_a_path_before_the_application(auth, page_of):
    """As an application that mounts this one."""
    inner = application(auth)

    async def outer(scope, receive, send):
        await inner({**scope, "root_path": "/v1"}, receive, send)

    async with page_of(outer) as page:
        await page.post("/v1/api/auth/sign-up/email", json=GOOD)
        answer = await page.get("/v1/me")

    assert answer.json() == {"email": "ada@example.org"}


async def test_the_base_path_may_be_the_root(new_auth, page_of):
    """The application's own handlers come first."""
    async with page_of(application(new_auth(base_path="/"))) as page:
        ours, theirs = await page.get("/get-session"), await page.get("/maybe")

    assert (ours.json(), theirs.json()) == (None, {"email": None})


async def test_a_refusal_can_be_dressed_by_the_application(auth, page_of):
    """An exception handler of its own comes before ours."""

    def dress(_request: Request, error: APIError) -> Response:
        return Response("who are you?", status_code=error.status)

    async with page_of(application(auth, exception_handlers={APIError: dress})) as page:
        answer = await page.get("/me")

    assert (answer.status_code, answer.text) == (401, "who are you?")


async def test_the_endpoints_are_not_in_the_applications_schema(auth, page_of):
    """They have a document of their own."""
    async with page_of(application(auth)) as page:
        paths = (await page.get("/schema/openapi.json")).json()["paths"]

    assert sorted(paths) == ["/maybe", "/me", "/session"]


async def test_a_websocket_knows_who_connects_and_notices_who_leaves(auth, page_of, said_by):
    """It may stay open for longer than its session, so the database is asked each time."""
    app = application(auth, live)

    async with page_of(app) as page:
        await page.post("/api/auth/sign-up/email", json=GOOD)

        async def script():
            yield {"type": "websocket.connect"}
            await page.post("/api/auth/sign-out")
            yield {"type": "websocket.receive", "text": "am I still here?"}

        _, greeting, known, end = await said_by(app, "/live", script(), page.cookies)

    assert (greeting["text"], known["text"]) == ("ada@example.org", "false")
    assert (end["type"], end["code"], end["reason"]) == ("websocket.close", 4401, "Unauthorized")


async def test_a_websocket_of_nobody_is_closed(auth, said_by):
    """Before it is accepted, so that the server answers 403."""

    async def script():
        yield {"type": "websocket.connect"}

    [end] = await said_by(application(auth, live), "/live", script())

    assert (end["type"], end["code"]) == ("websocket.close", 4401)
