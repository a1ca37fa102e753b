"""ASGI: what a server hands over becomes a request, and what we answer goes out."""

import json

import pytest

from watchword import ConfigurationError, Watchword
from watchword.integrations.asgi import ASGIHandler, find_identity, to_request
from watchword.testing import IntegrationSuite
from watchword.testing.integration_suite import ASGIClient

JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")
GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}


class TestASGI(IntegrationSuite):
    """The application by itself keeps the meaning of an integration."""

    has_routes = False

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        return ASGIClient(ASGIHandler(Watchword(**settings)))


async def send_nothing(message):
    """Fail: nothing is to be sent."""
    raise AssertionError(message)


async def test_a_body_in_pieces_is_one_body(asgi):
    """However a network cut it."""
    body = json.dumps({**GOOD, "image": "x" * 500_000}).encode()

    reply = await asgi.send("POST", "/api/auth/sign-up/email", [JSON], body)

    assert reply.status == 200
    assert (b"content-length", str(len(reply.body)).encode()) in reply.headers


async def test_attack_half_a_form(asgi):
    """Whose client went before the end is not acted on: half a password is a password."""
    body = b"name=&email=ada@example.org&password=difference"

    reply = await asgi.send("POST", "/api/auth/sign-up/email", [FORM], body, breaks_off=True)

    assert reply is None
    assert await asgi.auth.store.count("user") == 0


async def test_header_names_are_lower_case_and_values_latin(auth):
    """As the rest of the code looks for them."""
    request = to_request(
        {
            "type": "http",
            "method": "GET",
            "path": "/x",
            "query_string": b"a=%FF",
            "headers": [(b"X-A", b"\xff"), (b"cookie", b"a=b"), (b"Cookie", b"c=d")],
            "client": ["203.0.113.7", 1],
            "scheme": "https",
            "server": ["example.org", 443],
        }
    )

    assert request.header("x-a") == "\xff"
    assert dict(request.cookies) == {"a": "b", "c": "d"}
    assert (request.client_address, request.scheme) == ("203.0.113.7", "https")
    assert (request.host, request.query_string) == ("example.org:443", "a=%FF")


async def test_a_socket_without_addresses_is_served():
    """As on a Unix socket."""
    request = to_request({"type": "http", "method": "GET", "path": "/", "headers": []})

    assert (request.client_address, request.host, request.scheme) == (None, "", "http")


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        ("/api/auth/get-session", ""),
        ("/api/auth/get-session", "/api/auth"),
        ("/api/auth/get-session", "/api"),
        ("/v1/api/auth/get-session", "/v1"),
        ("/v1/api/auth/get-session", "/v1/"),
    ],
)
async def test_what_stands_before_the_base_path_is_taken_off(auth, path, root_path):
    """Whether a server, or an application that we are mounted in, put it there."""
    sent = []
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    await ASGIHandler(auth)(scope, receive, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[1]["body"]) == (200, b"null")


async def test_other_paths_stay_unknown(asgi):
    """A prefix that nobody announced is another path."""
    reply = await asgi.send("GET", "/v1/api/auth/get-session")

    assert (reply.status, reply.body) == (404, b"")


async def test_a_websocket_is_closed(auth):
    """There is nothing behind one, and a server must not wait."""
    sent = []

    async def send(message):
        sent.append(message)

    await ASGIHandler(auth)({"type": "websocket"}, send_nothing, send)

    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_server_starts_and_stops_it(new_auth, sqlite_database):
    """Tables are there before the first request."""
    auth = new_auth(sqlite_database)
    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    sent = []

    async def receive():
        return {"type": next(messages)}

    async def send(message):
        sent.append(message["type"])

    await ASGIHandler(auth)({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert await auth.store.count("user") == 0
    await auth.close()


async def test_a_start_that_fails_is_the_servers_to_tell(new_auth, tmp_path):
    """It is not reported as complete."""
    auth = new_auth(f"sqlite:///{tmp_path}/missing/auth.db")

    async def receive():
        return {"type": "lifespan.startup"}

    with pytest.raises(Exception, match="not available"):
        await ASGIHandler(auth)({"type": "lifespan"}, receive, send_nothing)


def test_a_blocking_instance_is_refused(new_blocking):
    """It would stop the event loop of every request."""
    with pytest.raises(ConfigurationError, match="cannot answer on an event loop"):
        ASGIHandler(new_blocking())


async def test_instances_do_not_take_one_anothers_word(auth, new_auth, browser):
    """Of one request each is asked for itself."""
    await browser.sign_up()
    [(name, value)] = browser.cookies.items()
    headers = [(b"cookie", f"{name}={value}".encode())]
    scope = {"type": "http", "path": "/", "headers": headers}

    first, second = await find_identity(auth, scope), await find_identity(new_auth(), scope)

    assert (first.user.email, second) == ("ada@example.org", None)
