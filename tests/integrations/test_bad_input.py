"""Bad input through every front: always the wire's 4xx, nothing written, nothing echoed."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchword.concurrency import run_blocking
from watchword.http.messages import Request

JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")
HUNTER = "hunter2-hunter2"
SIGN_UP, SIGN_IN = "/api/auth/sign-up/email", "/api/auth/sign-in/email"
GOOD = {"name": "Ada", "email": "ada@example.org", "password": HUNTER}


def changed(**changes) -> bytes:
    """Return a good body with something else in it."""
    return json.dumps({**GOOD, **changes}).encode()


@dataclass(frozen=True)
class Bad:
    """A request that is refused, and how."""

    name: str
    status: int
    code: str | None
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
    path: str = SIGN_UP
    method: str = "POST"


INVALID = (400, "VALIDATION_ERROR")
NO_JSON = (400, "BAD_REQUEST")
CASES = [
    Bad("no body", *INVALID),
    Bad("no content type", *INVALID, body=changed(), headers=()),
    Bad("not json", *NO_JSON, body=b"{" + HUNTER.encode()),
    Bad("half of it", *NO_JSON, body=changed()[:-1]),
    Bad("two of it", *NO_JSON, body=changed() * 2),
    Bad("not utf-8", *NO_JSON, body=b'{"name": "\xff\xfe"}'),
    Bad("utf-16", *NO_JSON, body=json.dumps(GOOD).encode("utf-16")),
    Bad("a byte order mark", *NO_JSON, body=b"\xef\xbb\xbf" + changed()),
    Bad("nan", *NO_JSON, body=b'{"name": NaN}'),
    Bad("deep lists", *NO_JSON, body=b"[" * 200_000),
    Bad("deep and closed", *NO_JSON, body=b"[" * 50_000 + b"]" * 50_000),
    Bad("deep objects", *NO_JSON, body=b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    Bad("a long number", *NO_JSON, body=b'{"name": ' + b"9" * 5_000 + b"e}"),
    Bad("a list", *INVALID, body=b"[1, 2]"),
    Bad("null", *INVALID, body=b"null"),
    Bad("wrong types", *INVALID, body=changed(name=1, email=[], password={"$ne": None})),
    Bad("numbers", *INVALID, body=changed(email=0, password=0)),
    Bad("huge number", *INVALID, body=changed(name=10**400)),
    Bad("nul in a name", *INVALID, body=changed(name="a\0b")),
    Bad("nul in an address", *INVALID, body=changed(email="ada\0@example.org")),
    Bad("nul in a password", *INVALID, body=changed(password=f"{HUNTER}\0")),
    Bad("nul in an image", *INVALID, body=changed(image="\0")),
    Bad("half a pair in a name", *NO_JSON, body=changed(name="\ud800")),
    Bad("half a pair in a password", *NO_JSON, body=changed(password=HUNTER + "\udfff")),
    Bad("half a pair as key", *NO_JSON, body=changed(**{"\ud800": 1})),
    Bad("a long name", *INVALID, body=changed(name="n" * 300)),
    Bad("a long address", *INVALID, body=changed(email=f"{'a' * 300}@example.org")),
    Bad("an address with a line", *INVALID, body=changed(email="ada@example.org\n")),
    Bad("a long password", 400, "PASSWORD_TOO_LONG", body=changed(password=HUNTER * 9)),
    Bad("a huge password", 400, "PASSWORD_TOO_LONG", body=changed(password="x" * 1_000_000)),
    Bad("10 MB", 413, "PAYLOAD_TOO_LARGE", body=changed(password="x" * 10_000_000)),
    Bad("10 MB of blanks", 413, "PAYLOAD_TOO_LARGE", body=changed() + b" " * 10_000_000),
    Bad("a form of 10 MB", 413, "PAYLOAD_TOO_LARGE", body=b"a=b&" * 2_500_000, headers=(FORM,)),
    Bad("many fields", *NO_JSON, body=b"a=b&" * 5_000, headers=(FORM,)),
    Bad("a broken form", *INVALID, body=b"\xff&%zz&=&name=%ff&email=%00", headers=(FORM,)),
    Bad("json as a form", *INVALID, body=changed(), headers=(FORM,)),
    Bad(
        "plain text",
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        body=changed(),
        headers=((b"content-type", b"text/plain"),),
    ),
    Bad(
        "multipart",
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        body=b"--x--",
        headers=((b"content-type", b"multipart/form-data; boundary=x"),),
    ),
    Bad(
        "a type of foreign letters",
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        body=changed(),
        headers=((b"content-type", b"\xff\xfe/" + b"x" * 10_000),),
    ),
    Bad("a target elsewhere", 403, "INVALID_CALLBACK_URL", body=changed(callbackURL="//evil.x")),
    Bad("a target with nul", 403, "INVALID_CALLBACK_URL", body=changed(callbackURL="/\0")),
    Bad("half a pair in a target", *NO_JSON, body=changed(callbackURL="/\ud800")),
    Bad(
        "a cookie without origin",
        403,
        "MISSING_OR_NULL_ORIGIN",
        body=changed(),
        headers=(
            JSON,
            (b"cookie", b"better-auth.session_token=%ff%fe"),
        ),
    ),
    Bad(
        "a strange origin",
        403,
        "INVALID_ORIGIN",
        body=changed(),
        headers=(JSON, (b"origin", b"\xff\xfe://[")),
    ),
    Bad("many query values", *NO_JSON, path=f"{SIGN_UP}?{'a=b&' * 2_000}", body=b"{}"),
    Bad(
        "many query values to read",
        *NO_JSON,
        method="GET",
        path=f"/api/auth/get-session?{'a=b&' * 2_000}",
    ),
    Bad("nul in a query", *INVALID, method="GET", path="/api/auth/get-session?disableRefresh=%00"),
    Bad("unknown password", 401, "INVALID_EMAIL_OR_PASSWORD", path=SIGN_IN, body=changed()),
    Bad("no text", *INVALID, path=SIGN_IN, body=changed(email=True, rememberMe="true")),
    Bad("nul at sign-in", *INVALID, path=SIGN_IN, body=changed(email="\0@example.org")),
    Bad("foreign letters", 400, "INVALID_EMAIL", path=SIGN_IN, body=changed(email="ädä@x.co")),
    Bad("no json at sign-out", *NO_JSON, path="/api/auth/sign-out", body=b"{"),
    Bad("another path", 404, None, path="/api/auth/%ff%00/../x", body=b"{"),
    Bad("another method", 404, None, method="PATCH", body=b"{"),
]


async def rows(wire) -> int:
    """Count everything that is stored."""
    models = ("user", "account", "session", "verification")
    return sum([await wire.auth.instance.store.count(model) for model in models])


class Fronts:
    """Every front answers alike."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    async def test_attack_bad_input(self, wire, case):
        """The wire's code, nothing written, no cookie, and no secret sent back."""
        reply = await wire.send(case.method, case.path, case.headers, case.body)

        assert reply.status == case.status
        if case.code is None:
            assert reply.body == b""
        else:
            assert json.loads(reply.body)["code"] == case.code
        assert len(reply.body) < 1_000
        assert HUNTER.encode() not in reply.body
        assert b"set-cookie" not in dict(reply.headers)
        assert await rows(wire) == 0

    @pytest.mark.parametrize(
        "headers",
        [
            [(b"user-agent", b"x" * 100_000)],
            [(b"user-agent", b"\xff\xfe\x00")],
            [(b"cookie", b"\xff=\xfe; ;;=; a; =b; better-auth.session_token")],
            [(b"cookie", b"better-auth.session_token=%")],
            [(b"cookie", b"better-auth.session_token=" + b"a." * 30_000)],
            [(b"cookie", b"; ".join([b"a=b"] * 5_000))],
            [(b"x-forwarded-for", b"\x00, " * 5_000)],
            [(b"accept-language", b"\xff" * 5_000)],
        ],
        ids=range(8),
    )
    async def test_attack_huge_and_broken_headers(self, wire, headers):
        """They mean nothing, and nothing comes of them."""
        reply = await wire.send("GET", "/api/auth/get-session", headers)

        assert (reply.status, reply.body) == (200, b"null")

    async def test_a_good_request_with_strange_headers_is_served(self, wire):
        """Whatever a client calls itself can be stored."""
        headers = [JSON, (b"user-agent", b"\xff\x01" + b"x" * 50_000)]

        reply = await wire.send("POST", SIGN_UP, headers, changed())

        assert reply.status == 200
        assert await rows(wire) == 3

    async def test_attack_endless_body(self, wire):
        """Of ten megabytes little more than the limit is read before the refusal."""
        reply = await wire.send("POST", SIGN_IN, [JSON], b"x" * 10_000_000)

        assert reply.status == 413
        assert 1_048_576 < wire.taken <= 1_048_576 + 2 * 65_536

    async def test_a_location_of_foreign_letters_can_be_sent(self, wire):
        """A header holds Latin-1 at most; what it means is percent-encoded."""
        await wire.send("POST", SIGN_UP, [JSON], changed())

        reply = await wire.send("POST", SIGN_IN, [JSON], changed(callbackURL="/\u20ac"))

        assert (reply.status, dict(reply.headers)[b"location"]) == (200, b"/%E2%82%AC")
        assert json.loads(reply.body)["url"] == "/\u20ac"


class TestASGI(Fronts):
    """The ASGI application by itself."""

    @pytest.fixture
    def wire(self, asgi):
        """Return the front."""
        return asgi


class TestFastAPI(Fronts):
    """A FastAPI application."""

    needs_loop = True

    @pytest.fixture
    def wire(self, fastapi):
        """Return the front."""
        return fastapi


class TestWSGI(Fronts):
    """The WSGI application, which runs without a loop."""

    never_loop = True

    @pytest.fixture
    def wire(self, wsgi):
        """Return the front; its store is asked as a coroutine."""
        return wsgi


# --- at random ----------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["name", "email", "password", "image", "callbackURL", "rememberMe", "redirectTo", "x"]
)
TEXTS = st.sampled_from(["ada@example.org", "/dash", "//x", "difference-engine", "", "\0"])
BODIES = (
    st.binary(max_size=200)
    | st.dictionaries(FIELDS, JSON_VALUES | TEXTS, max_size=8).map(
        lambda body: json.dumps(body).encode()
    )
    | JSON_VALUES.map(lambda body: json.dumps(body).encode())
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("content-type", "cookie", "origin", "referer", "user-agent", "x"),
            *("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"),
        ]
    ),
    st.sampled_from(
        [
            *("application/json", "application/x-www-form-urlencoded", "null", "cross-site"),
            *("better-auth.session_token=a.b", "better-auth.dont_remember=%", "navigate"),
            *("http://localhost:8000", "http://[", "application/json; charset=x"),
        ]
    )
    | st.text(st.characters(max_codepoint=255), max_size=30),
    max_size=6,
)
ROUTES = st.sampled_from(
    [
        ("POST", "/sign-up/email"),
        ("POST", "/sign-in/email"),
        ("POST", "/sign-out"),
        ("GET", "/get-session"),
        ("POST", "/get-session"),
    ]
)
QUERIES = st.text(st.characters(max_codepoint=255), max_size=40) | st.sampled_from(
    ["disableRefresh=%00", "disableRefresh=%ff", "callbackURL=//x", "callbackURL=/a&callbackURL=b"]
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(route=ROUTES, headers=HEADERS, query=QUERIES, body=BODIES)
def test_attack_random_requests(auth, route, headers, query, body):
    """No request at all is a failure of ours."""
    request = Request(
        method=route[0],
        path=f"/api/auth{route[1]}",
        query_string=query,
        headers=tuple(headers.items()),
        body=body,
    )

    response = run_blocking(auth.handle(request))

    assert response.status < 500
