"""WSGI: what a server hands over becomes a request, and what we answer goes out."""

import io
import json

import pytest

from watchword.concurrency import run_blocking
from watchword.integrations.wsgi import WSGIHandler, to_request

JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")
GOOD = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}
SIGN_UP = "/api/auth/sign-up/email"


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
    assert run_blocking(wsgi.auth.store.count("user")) == 0


def test_attack_half_a_form(wsgi):
    """A body that is shorter than announced is not acted on: half a password is a password."""
    body = b"name=&email=ada@example.org&password=difference"

    reply = send(wsgi, "POST", SIGN_UP, [FORM], body, length=str(len(body) + 7))

    assert reply.status == 400
    assert run_blocking(wsgi.auth.store.count("user")) == 0


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

    assert told == [("404 Not Found", [("content-length", "0")])]
    assert body == [b""]
