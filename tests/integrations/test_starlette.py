"""Starlette: the endpoints beside the application's own routes, and its users inside them."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from watchword import APIError, ConfigurationError, Watchword
from watchword.integrations.starlette import (
    current_session,
    mount,
    require_session,
    require_user,
)
from watchword.testing import IntegrationSuite
from watchword.testing.integration_suite import ASGIClient

pytestmark = pytest.mark.needs_loop
GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}


async def me(request):
    """Answer who must be signed in."""
    return JSONResponse({"email": (await require_user(request)).email})


async def maybe(request):
    """Answer who may be signed in."""
    identity = await current_session(request)
    return JSONResponse({"email": identity.user.email if identity else None})


async def session(request):
    """Ask in every way."""
    await current_session(request)
    identity, user = await require_session(request), await require_user(request)
    return JSONResponse({"id": identity.session.id, "email": user.email})


async def live(websocket):
    """Greet who connects, then tell whether they still are signed in."""
    user = await require_user(websocket)
    await websocket.accept()
    await websocket.send_text(user.email)
    await websocket.receive_text()
    await websocket.send_json(await current_session(websocket) is not None)
    await require_user(websocket)


def application(auth, *more, **settings) -> Starlette:
    """Return an application with a route for each way to ask."""
    routes = [Route("/me", me), Route("/maybe", maybe), Route("/session", session), *more]
    app = Starlette(routes=routes, **settings)
    mount(app, auth)
    return app


class TestStarlette(IntegrationSuite):
    """A Starlette application keeps the meaning of an integration."""

    needs_loop = True

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        return ASGIClient(application(Watchword(**settings)))


async def test_elsewhere_nothing_is_ours(auth, page_of):
    """The application keeps its own 404."""
    async with page_of(application(auth)) as page:
        answer = await page.get("/api/authentic")

    assert (answer.status_code, answer.text) == (404, "Not Found")


async def test_a_blocking_database_works(new_auth, sqlite_database, page_of):
    """Each of its calls has a thread; tables are made at the start."""
    auth = new_auth(sqlite_database)
    app = application(auth, lifespan=auth.lifespan)

    async with app.router.lifespan_context(app), page_of(app) as page:
        await page.post("/api/auth/sign-up/email", json=GOOD)
        answer = await page.get("/me")

    assert answer.json() == {"email": "ada@example.org"}


def test_a_blocking_instance_is_refused(new_blocking):
    """It would stop the event loop."""
    app = Starlette()

    with pytest.raises(ConfigurationError, match="cannot answer on an event loop") as error:
        mount(app, new_blocking())

    assert "Use Watchword" in error.value.hint
    assert not hasattr(app.state, "watchword")


def test_an_application_has_one_instance(auth, new_auth):
    """A second one would answer with the first one's cookies."""
    app = application(auth)

    with pytest.raises(ConfigurationError, match="already"):
        mount(app, new_auth())


async def test_a_forgotten_mount_is_told(page_of):
    """Not as a 401 of which nobody finds the reason."""
    app = Starlette(routes=[Route("/me", me)])

    async with page_of(app) as page:
        with pytest.raises(ConfigurationError, match="no Watchword") as error:
            await page.get("/me")
    assert "mount(app, auth)" in error.value.hint


async def test_an_application_within_one_has_users_of_its_own(auth, new_auth, page_of):
    """What the outer one has asked is not taken for the inner one's answer."""

    class AsksFirst:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["path"] == "/inner/maybe":
                await current_session(Request(scope))
            await self.app(scope, receive, send)

    inner = application(new_auth())
    outer = application(auth, Mount("/inner", inner), middleware=[Middleware(AsksFirst)])

    async with page_of(outer) as page:
        await page.post("/api/auth/sign-up/email", json=GOOD)
        answers = [(await page.get(path)).json() for path in ("/maybe", "/inner/maybe")]

    assert answers == [{"email": "ada@example.org"}, {"email": None}]


async def test_a_server_may_put_a_path_before_the_application(auth, page_of):
    """As `--root-path` does, or an application that mounts this one."""
    async with page_of(Starlette(routes=[Mount("/v1", application(auth))])) as page:
        await page.post("/v1/api/auth/sign-up/email", json=GOOD)
        answer = await page.get("/v1/me")

    assert answer.json() == {"email": "ada@example.org"}


async def test_the_base_path_may_be_the_root(new_auth, page_of):
    """The application's own routes come first."""
    async with page_of(application(new_auth(base_path="/"))) as page:
        ours, theirs = await page.get("/get-session"), await page.get("/maybe")

    assert (ours.json(), theirs.json()) == (None, {"email": None})


async def test_a_refusal_can_be_dressed_by_the_application(auth, page_of):
    """Whoever registers a handler after `mount` answers in its own way."""
    app = application(auth)
    app.add_exception_handler(APIError, lambda _request, error: Response(status_code=302))

    async with page_of(app) as page:
        assert (await page.get("/me")).status_code == 302


async def test_a_websocket_knows_who_connects_and_notices_who_leaves(auth, page_of, said_by):
    """It may stay open for longer than its session, so the database is asked each time."""
    app = application(auth, WebSocketRoute("/live", live))

    async with page_of(app) as page:
        await page.post("/api/auth/sign-up/email", json=GOOD)

        async def script():
            yield {"type": "websocket.connect"}
            await page.post("/api/auth/sign-out")
            yield {"type": "websocket.receive", "text": "am I still here?"}

        _, greeting, known, end = await said_by(app, "/live", script(), page.cookies)

    assert (greeting["text"], known["text"]) == ("ada@example.org", "false")
    assert (end["type"], end["code"]) == ("websocket.close", 4401)


async def test_a_websocket_of_nobody_is_closed(auth, said_by):
    """Before it is accepted, so that the server answers 403."""
    app = application(auth, WebSocketRoute("/live", live))

    async def script():
        yield {"type": "websocket.connect"}

    [end] = await said_by(app, "/live", script())

    assert (end["type"], end["code"]) == ("websocket.close", 4401)


def test_the_endpoints_have_addresses(auth):
    """They can be made from a name, as those of other routes."""
    app = application(auth)

    assert app.url_path_for("ASGIHandler", rest="get-session") == "/api/auth/get-session"
