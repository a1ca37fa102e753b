"""The order of the steps, and an answer for everything that goes wrong in one of them."""

import json
import logging
from dataclasses import dataclass

import pytest

from watchword import APIError, ConfigurationError, CoreError, Plugin, RateLimits
from watchword.engine.context import Context
from watchword.engine.endpoint import get
from watchword.errors import (
    FieldTooLong,
    InvalidValue,
    OperationRefused,
    Overloaded,
    ReferenceViolation,
    StorageUnavailable,
    UniqueViolation,
    UnknownField,
)
from watchword.http.messages import Response

EVIL = {"origin": "https://evil.example"}
SECURITY_HEADERS = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
]
WRONG_TYPES = {"name": 1, "email": 2, "password": 3}


class Failing(Exception):
    """Says something that nobody outside may hear."""


FAILURES = {
    "refused": APIError(CoreError.UNAUTHORIZED, headers={"www-authenticate": "Bearer"}),
    "long": FieldTooLong("user", "display_name", 12),
    "overloaded": Overloaded("busy", retry_after=7),
    "unavailable": StorageUnavailable("postgresql://user:secret@host", retryable=False),
    "again": StorageUnavailable("deadlock", retryable=True),
    "invalid": InvalidValue("user", "name", "secret"),
    "unique": UniqueViolation("user", ["secret"]),
    "reference": ReferenceViolation("secret"),
    "hook": OperationRefused("user", "secret"),
    "field": UnknownField("user", "secret"),
    "configuration": ConfigurationError("secret", hint="secret"),
    "bug": Failing("SELECT secret FROM users"),
    "key": KeyError("secret"),
    "recursion": RecursionError("secret"),
}


@dataclass(frozen=True, kw_only=True)
class Faulty(Plugin):
    """Fails as it is told to."""

    id = "faulty"

    @get("/fail")
    async def fail(self, ctx: Context) -> None:
        """Raise what the query asks for, after setting a cookie."""
        ctx.send_session_token("token", lasting=False)
        raise FAILURES[str(ctx.request.query["how"])]

    @get("/unspeakable")
    async def unspeakable(self, _ctx: Context) -> object:
        """Return what no JSON can hold."""
        return object()

    @get("/page")
    async def page(self, _ctx: Context) -> Response:
        """Return what a cache may keep."""
        return Response(200, [("cache-control", "max-age=60")], b"")

    @get("/teapot")
    async def teapot(self, _ctx: Context) -> Response:
        """Return a whole response."""
        return Response(418, [("x-pot", "tea")], b"short and stout")


@pytest.fixture
def faulty(new_auth, new_browser):
    """A browser at an instance with endpoints that fail."""
    return new_browser(new_auth(plugins=[Faulty()]))


# --- order -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/unknown"),
        ("POST", "/unknown"),
        ("GET", "/sign-up/email"),
        ("GET", "/sign-out"),
        ("PUT", "/sign-up/email"),
        ("DELETE", "/get-session"),
        ("HEAD", "/get-session"),
        ("OPTIONS", "/sign-in/email"),
        ("post", "/sign-out"),
        ("POST", "/sign-out/"),
        ("GET", "/get-session/"),
        ("GET", "//get-session"),
        ("GET", "/Get-Session"),
        ("GET", "/get-session\0"),
        ("GET", "/../api/auth/get-session"),
        ("GET", ""),
        ("GET", "/"),
    ],
)
async def test_what_is_no_route_is_404_before_everything(browser, method, path):
    """An empty body whatever else is wrong: origin, cookie, body and type."""
    browser.cookies["better-auth.session_token"] = "forged"

    answer = await browser.send(
        method, f"/api/auth{path}", body=b"\xff{", headers={**EVIL, "content-type": "text/plain"}
    )

    assert (answer.status, answer.headers, answer.body) == (404, SECURITY_HEADERS, b"")


async def test_too_many_requests_are_refused_before_all_else(new_auth, new_browser):
    """Whatever else is wrong, route, type and origin, the answer costs next to nothing."""
    browser = new_browser(new_auth(rate_limits=RateLimits(max=1)), {"any": "cookie"})
    wrong = {**EVIL, "content-type": "text/plain"}

    first = [await browser.post(it, b"{", headers=wrong) for it in ("/unknown", "/sign-out")]
    second = [await browser.post(it, b"{", headers=wrong) for it in ("/unknown", "/sign-out")]

    assert [it.status for it in first] == [404, 415]
    assert [it.status for it in second] == [429, 429]


@pytest.mark.parametrize("path", ["/ok", "/reset-password"])
async def test_a_path_can_be_disabled(new_auth, new_browser, path):
    """As if nobody had ever thought of it; every other stays."""
    browser = new_browser(new_auth(disabled_paths=[f"{path}/"]))

    answers = [await browser.get(path), await browser.post(path, b"{", headers=EVIL)]

    for answer in answers:
        assert (answer.status, answer.body) == (404, b"Not Found")
        assert answer.headers == [("content-type", "text/plain"), *SECURITY_HEADERS]
    assert (await browser.session()).status == 200


async def test_a_slash_at_the_end_can_be_ignored(new_auth, new_browser):
    """Where a proxy adds one; a disabled path stays disabled, and two slashes are too many."""
    auth = new_auth(ignore_trailing_slash=True, disabled_paths=["/error"])
    browser = new_browser(auth)

    statuses = [(await browser.get(path)).status for path in ("/ok", "/ok/", "/ok//", "/error/")]

    assert statuses == [200, 200, 404, 404]


@pytest.mark.parametrize("path", ["/sign-up/email", "/sign-in/email"])
async def test_the_origin_is_refused_before_the_body_is_looked_at(browser, path):
    """With a cookie, 403 beats 400; without one, a form's origin is looked at afterwards."""
    without = await browser.post(path, WRONG_TYPES, headers=EVIL)
    browser.cookies["any"] = "cookie"
    with_cookie = await browser.post(path, WRONG_TYPES, headers=EVIL)

    assert without.refusal == (400, "VALIDATION_ERROR")
    assert with_cookie.refusal == (403, "INVALID_ORIGIN")


@pytest.mark.parametrize(
    ("body", "content_type", "refusal"),
    [
        (b"{", "application/json", (400, "BAD_REQUEST")),
        (b"{}", "text/plain", (415, "UNSUPPORTED_MEDIA_TYPE")),
        (b"x" * 1_048_577, "application/json", (413, "PAYLOAD_TOO_LARGE")),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_before_the_origin(
    browser, body, content_type, refusal
):
    """Reading comes first, because targets in the body are checked with the origin."""
    browser.cookies["any"] = "cookie"

    answer = await browser.post(
        "/sign-in/email", body, headers={**EVIL, "content-type": content_type}
    )

    assert answer.refusal == refusal


@pytest.mark.parametrize("path", ["/sign-up/email", "/sign-in/email", "/sign-out"])
async def test_attack_redirect_target_in_a_body(browser, path):
    """Checked on every acting route, without cookies too, and before validation."""
    answer = await browser.post(path, {"callbackURL": "https://evil.example"})

    assert answer.refusal == (403, "INVALID_CALLBACK_URL")
    assert answer.json["message"] == "Invalid callbackURL"


async def test_a_target_that_is_no_text_is_told_without_a_code(browser):
    """The message alone."""
    answer = await browser.post("/sign-out", {"callbackURL": 5})

    assert answer.status == 400
    assert answer.json == {"message": "Invalid callbackURL: expected a string"}


async def test_validation_comes_before_the_endpoint(new_auth, new_browser):
    """Also where the endpoint would refuse whatever is sent."""
    browser = new_browser(new_auth(email_password=None))

    answer = await browser.post("/sign-in/email", WRONG_TYPES)

    assert answer.refusal == (400, "VALIDATION_ERROR")


async def test_validation_comes_before_who_is_signed_in(browser):
    """A body that no user could send is wrong for everybody."""
    wrong = await browser.post("/revoke-session", {"token": 5})
    right = await browser.post("/revoke-session", {"token": "5"})

    assert wrong.refusal == (400, "VALIDATION_ERROR")
    assert right.refusal == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"origin": None}, None),
        ({"origin": None, "sec-fetch-mode": "cors"}, (403, "MISSING_OR_NULL_ORIGIN")),
        ({"sec-fetch-mode": "cors"}, None),
        ({"origin": "null"}, (403, "MISSING_OR_NULL_ORIGIN")),
        (EVIL, (403, "INVALID_ORIGIN")),
        (
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
            (403, "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED"),
        ),
    ],
)
async def test_attack_login_by_another_sites_form(auth, browser, count_rows, headers, refusal):
    """Curl and our own pages sign up; node's fetch without an origin and others do not."""
    body = {"name": "", "email": "ada@example.org", "password": "difference-engine"}

    answer = await browser.post("/sign-up/email", body, headers=headers)

    assert (answer.refusal if answer.status != 200 else None) == refusal
    assert (await count_rows(auth))["user"] == (0 if refusal else 1)


async def test_reading_asks_for_no_origin(browser):
    """A cookie may be read with by whoever holds it: answers are not readable across sites."""
    await browser.sign_up()

    answer = await browser.session(headers=EVIL)

    assert answer.json["user"]["name"] == "Ada"


# --- what goes wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "status", "body", "header"),
    [
        (
            "refused",
            401,
            {"message": "Unauthorized", "code": "UNAUTHORIZED"},
            ("www-authenticate", "Bearer"),
        ),
        (
            "long",
            400,
            {
                "message": ("[body.displayName] Too big: expected string to have <=12 characters"),
                "code": "VALIDATION_ERROR",
            },
            None,
        ),
        ("hook", 403, {"message": "This was refused", "code": "OPERATION_REFUSED"}, None),
        *(
            (
                how,
                503,
                {
                    "message": "The service is busy. Please try again later.",
                    "code": "SERVICE_UNAVAILABLE",
                },
                ("retry-after", seconds),
            )
            for how, seconds in (("overloaded", "7"), ("unavailable", "1"), ("again", "1"))
        ),
    ],
    ids=["refused", "long", "hook", "overloaded", "unavailable", "again"],
)
async def test_errors_that_a_client_can_act_on_are_told(faulty, how, status, body, header):
    """With their status, and with the cookies that were set before them."""
    answer = await faulty.get("/fail", query=f"how={how}")

    assert (answer.status, answer.json) == (status, body)
    assert header is None or header in answer.headers
    assert list(answer.cookies) == ["better-auth.session_token"]


@pytest.mark.parametrize(
    "how",
    ["invalid", "unique", "reference", "field", "configuration", "bug", "key", "recursion"],
)
async def test_attack_500_bodies_carry_sql(faulty, how, caplog):
    """Other failures are ours: an empty 500, and the reason in the log."""
    with caplog.at_level(logging.ERROR, logger="watchword"):
        answer = await faulty.get("/fail", query=f"how={how}")

    assert (answer.status, answer.body, answer.header("content-type")) == (500, b"", None)
    [record] = caplog.records
    assert record.exc_info[1] is FAILURES[how]


async def test_an_answer_that_is_no_json_is_500(faulty):
    """Not a half-written response."""
    answer = await faulty.get("/unspeakable")

    assert (answer.status, answer.body) == (500, b"")


async def test_an_endpoint_may_answer_by_itself(faulty):
    """Its response goes out as it is, with what every answer has."""
    answer = await faulty.get("/teapot")

    assert (answer.status, answer.headers, answer.body) == (
        418,
        [("x-pot", "tea"), *SECURITY_HEADERS],
        b"short and stout",
    )


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/ok", "", 200),
        ("/error", "", 200),
        ("/reset-password/unknown", "callbackURL=/", 302),
        ("/fail", "how=refused", 401),
        ("/list-sessions", "", 401),
        ("/unknown", "", 404),
        ("/elsewhere", "", 404),
        ("/fail", "how=bug", 500),
        ("/unspeakable", "", 500),
        ("/fail", "how=overloaded", 503),
    ],
)
async def test_every_answer_is_kept_from_caches_and_other_sites(
    new_auth, new_browser, path, query, status
):
    """Once each, and 429 no less."""
    limits = RateLimits(max=1)
    auth = new_auth(plugins=[Faulty()], disabled_paths=["/elsewhere"], rate_limits=limits)
    browser = new_browser(auth)

    answers = [await browser.get(path, query=query) for _ in range(2)]

    assert [it.status for it in answers] == [status, 404 if path == "/elsewhere" else 429]
    names = {name for name, _ in SECURITY_HEADERS}
    for answer in answers:
        assert [it for it in answer.headers if it[0] in names] == SECURITY_HEADERS


async def test_an_answer_may_say_how_long_it_is_kept(faulty):
    """Its own header stands alone; the others are added."""
    answer = await faulty.get("/page")

    assert answer.headers == [("cache-control", "max-age=60"), *SECURITY_HEADERS[1:]]


async def test_two_callers_share_no_cookies(faulty):
    """Cookies belong to one request."""
    answers = [await faulty.get("/fail", query="how=bug") for _ in range(2)]

    assert [len(it.set_cookies) for it in answers] == [1, 1]


async def test_a_short_limit_can_be_set(new_auth, new_browser):
    """A body of exactly the limit is read."""
    browser = new_browser(new_auth(max_body_size=80))
    body = json.dumps({"email": "ada@example.org", "password": "x"}).encode()

    fits = await browser.post("/sign-in/email", body.ljust(80))
    too_long = await browser.post("/sign-in/email", body.ljust(81))

    assert fits.refusal == (401, "INVALID_EMAIL_OR_PASSWORD")
    assert too_long.refusal == (413, "PAYLOAD_TOO_LARGE")
