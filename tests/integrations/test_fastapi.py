"""FastAPI: the endpoints beside the application's own routes, and its users inside them."""

from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, FastAPI, WebSocket

from watchword import ConfigurationError, EmailPassword, Watchword
from watchword.crypto.signing import sign
from watchword.integrations.fastapi import (
    CurrentSession,
    CurrentUser,
    OptionalSession,
    current_session,
    mount,
)
from watchword.testing import IntegrationSuite
from watchword.testing.integration_suite import ASGIClient

pytestmark = pytest.mark.needs_loop
GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}


def application(auth) -> FastAPI:
    """Return an application with a route for each way to ask."""
    app = FastAPI()
    mount(app, auth)

    @app.get("/me")
    async def me(user: CurrentUser):
        return {"email": user.email}

    @app.get("/session")
    async def session(maybe: OptionalSession, identity: CurrentSession, user: CurrentUser):
        return {"id": identity.session.id, "email": user.email}

    @app.get("/maybe")
    def maybe(session: OptionalSession):
        return {"email": session.user.email if session else None}

    return app


class TestFastAPI(IntegrationSuite):
    """A FastAPI application keeps the meaning of an integration."""

    needs_loop = True

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        return ASGIClient(application(Watchword(**settings)))


@asynccontextmanager
async def client_of(app, **transport):
    """Talk to an application as a browser does."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, **transport),
        base_url="http://localhost:8000",
        headers={"origin": "http://localhost:8000"},
    ) as client:
        yield client


async def test_the_applications_routes_know_who_is_signed_in(auth):
    """By the cookie that the endpoints set, in coroutines and plain functions alike."""
    async with client_of(application(auth)) as client:
        await client.post("/api/auth/sign-up/email", json=GOOD)

        assert (await client.get("/me")).json() == {"email": "ada@example.org"}
        assert (await client.get("/session")).json()["email"] == "ada@example.org"
        assert (await client.get("/maybe")).json() == {"email": "ada@example.org"}

        await client.post("/api/auth/sign-out")
        assert (await client.get("/me")).status_code == 401


@pytest.mark.parametrize("path", ["/me", "/session"])
async def test_nobody_is_a_401_of_the_wire(auth, path):
    """The client's helpers read this shape."""
    async with client_of(application(auth)) as client:
        answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (
        401,
        {"message": "Unauthorized", "code": "UNAUTHORIZED"},
    )


async def test_nobody_may_be_welcome(auth):
    """None, where a route asks for no more."""
    async with client_of(application(auth)) as client:
        answer = await client.get("/maybe")

    assert (answer.status_code, answer.json()) == (200, {"email": None})


async def test_a_database_that_is_down_is_503(new_auth, tmp_path):
    """In the application's routes as in ours: nobody is told that they are signed out."""
    auth = new_auth(f"sqlite:///{tmp_path}/missing/auth.db")
    signed = signed_cookie(auth)

    async with client_of(application(auth)) as client:
        own = await client.get("/api/auth/get-session", headers={"cookie": signed})
        theirs = await client.get("/me", headers={"cookie": signed})

    for answer in (own, theirs):
        assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"


def signed_cookie(auth) -> str:
    """Return a cookie that is looked up."""
    return auth.instance.cookies.set(
        "session_token", sign("token", auth.instance.secrets[0])
    ).partition(";")[0]


@pytest.mark.parametrize(
    "path",
    ["/api/auth", "/api/auth/", "/api/auth/get-session/", "/api/auth//get-session"],
)
async def test_below_the_base_path_everything_is_ours(auth, path):
    """An empty 404, not the framework's, and no redirect to another slash."""
    async with client_of(application(auth)) as client:
        answer = await client.get(path)

    assert (answer.status_code, answer.content) == (404, b"")


async def test_elsewhere_nothing_is(auth):
    """The application keeps its own 404."""
    async with client_of(application(auth)) as client:
        answer = await client.get("/api/authentic")

    assert answer.json() == {"detail": "Not Found"}


async def test_the_endpoints_are_not_in_the_applications_schema(auth):
    """They have a document of their own."""
    async with client_of(application(auth)) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]

    assert sorted(paths) == ["/maybe", "/me", "/session"]


async def test_a_server_may_put_a_path_before_the_application(auth):
    """As `--root-path` does, or an application that mounts this one."""
    outer = FastAPI()
    outer.mount("/v1", application(auth))

    async with client_of(outer) as client:
        mounted = await client.post("/v1/api/auth/sign-up/email", json=GOOD)
        me = await client.get("/v1/me")
    async with client_of(application(auth), root_path="/v2") as client:
        behind = await client.get("/v2/api/auth/get-session")

    assert mounted.status_code == 200
    assert me.json() == {"email": "ada@example.org"}
    assert (behind.status_code, behind.content) == (200, b"null")


async def test_the_base_path_may_be_the_root(new_auth):
    """For a host that serves nothing else."""
    app = FastAPI()
    mount(app, new_auth(base_path="/"))

    async with client_of(app) as client:
        answer = await client.get("/get-session")

    assert (answer.status_code, answer.content) == (200, b"null")


async def test_routes_of_a_router_know_too(auth):
    """Dependencies find the instance through the application."""
    router = APIRouter()

    @router.get("/deep")
    async def deep(user: CurrentUser):
        return user.email

    app = application(auth)
    app.include_router(router, prefix="/very")

    async with client_of(app) as client:
        await client.post("/api/auth/sign-up/email", json=GOOD)
        answer = await client.get("/very/deep")

    assert answer.json() == "ada@example.org"


async def test_a_websocket_knows_who_connects(auth):
    """By the cookie of its handshake."""
    app = application(auth)

    @app.websocket("/live")
    async def live(websocket: WebSocket, session: OptionalSession):
        await websocket.accept()
        await websocket.send_json(session.user.email if session else None)
        await websocket.close()

    nobody = await said_by(app, "/live", cookie="")
    async with client_of(app) as client:
        await client.post("/api/auth/sign-up/email", json=GOOD)
        [cookie] = client.cookies.jar
    somebody = await said_by(app, "/live", cookie=f"{cookie.name}={cookie.value}")

    assert (nobody, somebody) == ("null", '"ada@example.org"')


async def said_by(app, path, *, cookie) -> str:
    """Return the first text that a websocket sends."""
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [(b"cookie", cookie.encode())],
        "subprotocols": [],
    }
    await app(scope, receive, send)
    return next(it["text"] for it in sent if it["type"] == "websocket.send")


def test_an_application_has_one_instance(auth, new_auth):
    """A second one would answer with the first one's cookies."""
    app = application(auth)

    with pytest.raises(ConfigurationError, match="already"):
        mount(app, new_auth())


async def test_a_forgotten_mount_is_told(auth):
    """Not as a 401 of which nobody finds the reason."""
    app = FastAPI()

    @app.get("/me")
    async def me(user: CurrentUser):
        return user.email

    async with client_of(app) as client:
        with pytest.raises(ConfigurationError, match="no Watchword") as error:
            await client.get("/me")
    assert "mount(app, auth)" in error.value.hint


async def test_the_first_ten_lines_work(sqlite_database, cheap_passwords):
    """Tables are made at the start, users recognised, connections closed at the end."""
    auth = Watchword(
        database=sqlite_database.replace("sqlite:", "sqlite+aiosqlite:"),
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        email_password=EmailPassword(),
        passwords=cheap_passwords,
    )
    app = FastAPI(lifespan=auth.lifespan)
    mount(app, auth)

    @app.get("/me")
    async def me(user: CurrentUser):
        return {"hello": user.email}

    async with app.router.lifespan_context(app), client_of(app) as client:
        await client.post("/api/auth/sign-up/email", json=GOOD)
        answer = await client.get("/me")

    assert answer.json() == {"hello": "ada@example.org"}


async def test_a_test_can_decide_who_is_signed_in(auth):
    """What overrides `current_session` decides for the dependencies that build upon it."""
    app = application(auth)
    async with client_of(app) as client:
        await client.post("/api/auth/sign-up/email", json=GOOD)
        app.dependency_overrides[current_session] = lambda: None
        answer = await client.get("/me")

    assert answer.status_code == 401
