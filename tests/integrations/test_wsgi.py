"""WSGI: what a server hands over becomes a request, and what we answer goes out."""

import io
import json

import pytest

from watchword import BlockingWatchword, ConfigurationError
from watchword.concurrency import run_blocking
from watchword.integrations.wsgi import WSGIHandler, find_identity, to_request
from watchword.testing import IntegrationSuite
from watchword.testing.integration_suite import WSGIClient

JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")
GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
PLAIN_JSON = ("content-type", "application/json")
SIGN_UP = "/api/auth/sign-up/email"


class TestWSGI(IntegrationSuite):
    """The application by itself keeps the meaning of an integration."""

    never_loop = True
    has_routes = False

    @pytest.fixture
    def client(self, settings):
        """Return what calls it."""
        return WSGIClient(WSGIHandler(BlockingWatchword(**settings)))


def send(wire, *args, **kwargs):
    """Send a request from this thread."""
    return run_blocking(wire.send(*args, **kwargs))


def test_who_signs_up_is_recognised(wsgi):
    """From the first request to the last, with the cookie that came in between."""
    signed_up = send(wsgi, "POST", SIGN_UP, [JSON], json.dumps(GOOD).encode())
    cookie = dict(signed_up.headers)[b"set-cookie"].partition(b";")[0]

    session = send(wsgi, "GET", "/api/auth/get-session", [(b"cookie", cookie)])

    assert signed_up.status == 200
    assert (b"content-length", str(len(signed_up.body)).encode()) in signed_up.headers
    assert json.loads(session.body)["user"]["email"] == "ada@example.org"
    assert json.loads(session.body)["session"]["ipAddress"] == "203.0.113.7"


def test_several_cookies_are_several_headers(wsgi):
    """They cannot be joined by commas."""
    body = json.dumps({**GOOD, "rememberMe": False}).encode()

    reply = send(wsgi, "POST", SIGN_UP, [JSON], body)

    assert [name for name, _ in reply.headers].count(b"set-cookie") == 2


@pytest.mark.parametrize("length", ["", "-1", "+5", "1e3", "\u0665", " 5", "0x10", "9" * 5_000])
def test_attack_announced_length(wsgi, length):
    """What is no length announces no body."""
    reply = send(wsgi, "POST", SIGN_UP, [JSON], json.dumps(GOOD).encode(), length=length)

    assert reply.status == 400
    assert wsgi.auth.store.count("user") == 0


def test_attack_half_a_form(wsgi):
    """A body that is shorter than announced is not acted on: half a password is a password."""
    body = b"name=&email=ada@example.org&password=difference"

    reply = send(wsgi, "POST", SIGN_UP, [FORM], body, length=str(len(body) + 7))

    assert reply.status == 400
    assert wsgi.auth.store.count("user") == 0


def test_no_more_is_read_than_was_announced(wsgi):
    """What follows on a connection is another request's."""
    body = json.dumps(GOOD).encode()

    reply = send(wsgi, "POST", SIGN_UP, [JSON], body + b"GET / HTTP/1.1", length=str(len(body)))

    assert (reply.status, wsgi.taken) == (200, len(body))


def test_the_path_includes_where_it_is_mounted():
    """And its bytes are UTF-8, which PEP 3333 hides in Latin-1."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/api",
        "PATH_INFO": "/caf\xc3\xa9",
        "HTTP_HOST": "example.org",
        "HTTP_X_FORWARDED_FOR": "1.2.3.4",
        "CONTENT_TYPE": "",
    }

    request = to_request(environ)

    assert (request.path, request.host) == ("/api/caf\u00e9", "example.org")
    assert request.header("x-forwarded-for") == "1.2.3.4"
    assert request.header("content-type") is None


def test_status_lines_have_a_reason(wsgi):
    """Servers refuse one without."""
    told = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/nowhere", "wsgi.input": io.BytesIO()}

    body = WSGIHandler(wsgi.auth)(environ, lambda *given: told.append(given))

    [(status, headers)] = told
    assert status == "404 Not Found"
    assert ("content-length", "0") in headers
    assert body == [b""]


def call(auth, **environ):
    """Call the application; return status and body."""
    told = []
    given = {"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO(), **environ}
    body = WSGIHandler(auth)(given, lambda *answer: told.append(answer))
    return told[0][0][:3], b"".join(body)


def test_an_instance_that_needs_a_loop_is_refused(auth):
    """There is none."""
    with pytest.raises(ConfigurationError, match="cannot answer without an event loop") as error:
        WSGIHandler(auth)
    assert "BlockingWatchword" in error.value.hint


@pytest.mark.parametrize(
    ("script_name", "path_info"),
    [
        ("", "/api/auth/get-session"),
        ("/api", "/auth/get-session"),
        ("/api/auth", "/get-session"),
        ("/v1", "/api/auth/get-session"),
    ],
)
def test_what_stands_before_the_base_path_is_taken_off(new_blocking, script_name, path_info):
    """Whether a server, or an application that we are mounted in, put it there."""
    answer = call(new_blocking(), SCRIPT_NAME=script_name, PATH_INFO=path_info)

    assert answer == ("200", b"null")


def test_a_body_in_chunks_lasts_until_its_end(new_blocking):
    """Where the server says that it ends: it announces no length."""
    sent = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": SIGN_UP,
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(json.dumps(GOOD).encode()),
    }

    without, within = (
        call(new_blocking(), **sent),
        call(new_blocking(), **sent, **{"wsgi.input_terminated": True}),
    )

    assert (without[0], within[0]) == ("400", "200")


def test_a_body_in_pieces_is_one_body(new_blocking):
    """A stream may give less than it is asked for."""

    class Trickle(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, 10))

    body = json.dumps(GOOD).encode()

    status, _ = call(
        new_blocking(),
        REQUEST_METHOD="POST",
        PATH_INFO=SIGN_UP,
        CONTENT_TYPE="application/json",
        CONTENT_LENGTH=str(len(body)),
        **{"wsgi.input": Trickle(body)},
    )

    assert status == "200"


def test_attack_half_a_form_and_an_error(new_blocking):
    """Some servers raise when the client went; what came before is not acted on either."""

    class Gone(io.BytesIO):
        def read(self, size=-1, /):
            part = super().read(size)
            if not part:
                raise ConnectionResetError
            return part

    auth = new_blocking()

    status, _ = call(
        auth,
        REQUEST_METHOD="POST",
        PATH_INFO=SIGN_UP,
        CONTENT_TYPE="application/x-www-form-urlencoded",
        CONTENT_LENGTH="1000",
        **{"wsgi.input": Gone(b"name=&email=ada@example.org&password=difference")},
    )

    assert status == "400"
    assert auth.store.count("user") == 0


def test_instances_do_not_take_one_anothers_word(new_blocking):
    """Of one request each is asked for itself."""
    auth = new_blocking()
    client = WSGIClient(WSGIHandler(auth))
    sending = client.send("POST", SIGN_UP, headers=[PLAIN_JSON], body=json.dumps(GOOD).encode())
    [cookie] = run_blocking(sending).values("set-cookie")
    environ = {"REQUEST_METHOD": "GET", "HTTP_COOKIE": cookie.partition(";")[0]}

    first, second = find_identity(auth, environ), find_identity(new_blocking(), environ)

    assert (first.user.email, second) == ("ada@example.org", None)
