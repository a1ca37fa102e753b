"""Whose pages may call: every rule, and every known way around."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.concurrency import run_blocking
from watchword.engine.origins import OriginGuard
from watchword.errors import APIError, ConfigurationError
from watchword.http.messages import Request

OWN = "https://app.example.com"


async def refusal(check, *args):
    """Return the code of the refusal, or its sentence if it has none; None without a refusal."""
    try:
        await check(*args)
    except APIError as error:
        return error.message if error.code is None else error.code.name
    return None


def post(**headers):
    """Return a request with these headers."""
    return Request(
        method="POST",
        path="/",
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
    )


# --- which URLs are trusted ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "url", "trusted"),
    [
        # exact origins
        ("https://a.com", "https://a.com", True),
        ("https://a.com", "https://a.com/path?query#fragment", True),
        ("https://a.com/", "https://a.com", True),
        ("https://a.com", "https://A.COM", True),
        ("https://a.com", "https://a.com:443", True),
        ("https://a.com:443", "https://a.com", True),
        ("http://a.com", "http://a.com:80/", True),
        ("https://a.com", "http://a.com", False),
        ("https://a.com", "https://a.com:8443", False),
        ("https://a.com:8443", "https://a.com:8443", True),
        ("https://a.com", "https://b.a.com", False),
        ("https://a.com", "https://a.com.evil.example", False),
        ("https://a.com", "https://evil.example/https://a.com", False),
        ("https://a.com", "https://evil.example?https://a.com", False),
        ("https://a.com", "a.com", False),
        ("http://[::1]:3000", "http://[::1]:3000/x", True),
        # wildcard and host
        ("*.example.com", "https://a.example.com", True),
        ("*.example.com", "http://a.example.com", True),
        ("*.example.com", "https://a.b.example.com", True),
        ("*.example.com", "https://example.com", False),
        ("*.example.com", "https://evilexample.com", False),
        ("*.example.com", "https://a.example.com.evil.example", False),
        ("*.example.com", "https://evil.example/.example.com", False),
        ("*.example.com", "https://evil.example?.example.com", False),
        ("*.example.com", "https://evil.example#.example.com", False),
        ("*.example.com", "https://a.EXAMPLE.com", True),
        ("*.example.com", "https://a.example.com:8443", False),
        ("*.example.com:8443", "https://a.example.com:8443", True),
        ("*.example.com:*", "https://a.example.com:8443", True),
        ("*.example.com:*", "https://a.example.com", False),
        ("a?.example.com", "https://ab.example.com", True),
        ("a?.example.com", "https://abc.example.com", False),
        ("a?example.com", "https://a.example.com", True),
        ("*.example.com", "myapp://a.example.com", False),
        # wildcard and scheme
        ("https://*.example.com", "https://a.b.example.com/x", True),
        ("https://*.example.com", "http://a.example.com", False),
        ("https://*.example.com", "https://a.example.com:8443", False),
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", False),
        ("http://localhost:*", "http://localhost.evil.example:1", False),
        # addresses
        ("192.168.*.*", "http://192.168.0.1", True),
        ("192.168.*.*:3000", "http://192.168.0.1:3000", True),
        ("192.168.*", "http://192.168.0.1", True),
        ("192.168.*", "http://192.168.evil.example", False),
        ("192.168.*.*", "http://192.168.0.evil", False),
        ("10.0.0.?", "http://10.0.0.7", True),
        ("10.0.0.?", "http://10.0.0.77", False),
        # schemes of apps
        ("myapp://", "myapp://", True),
        ("myapp://", "myapp://anything/at/all?x=1", True),
        ("myapp://", "MYAPP://anything", True),
        ("myapp://", "myapp:anything", False),
        ("myapp://", "myapps://anything", False),
        ("myapp://", "https://myapp//", False),
        ("myapp://host", "myapp://HOST/path", True),
        ("myapp://host", "myapp://host.evil/path", False),
        ("myapp://host", "myapp:///host", False),
        ("myapp://host/a", "myapp://host/a", True),
        ("myapp://host/a", "myapp://host/a/b", True),
        ("myapp://host/a/", "myapp://host/a/b", True),
        ("myapp://host/a", "myapp://host/ab", False),
        ("myapp://host/a", "myapp://host/a/../b", False),
        ("myapp://host/a", "myapp://host/a/%2e%2e/b", False),
        ("myapp://host/a", "myapp://host/b/../a/c", True),
    ],
)
async def test_what_a_pattern_trusts(pattern, url, trusted):
    """Exactly what the documentation of `trusted_origins` says."""
    assert await OriginGuard(OWN, [pattern]).trusts(url, post()) is trusted


@pytest.mark.parametrize("url", [OWN, f"{OWN}/", "https://APP.example.com:443/x"])
async def test_the_own_origin_is_trusted_always(url):
    """Without being listed."""
    assert await OriginGuard(OWN).trusts(url, post())


@pytest.mark.parametrize(
    "pattern", ["example.com", "localhost:3000", "", "https://", "https://u@a.com", "//a.com"]
)
def test_a_pattern_that_matches_nothing_is_found_at_start_up(pattern):
    """Otherwise the first sign-in from that page tells, in production."""
    with pytest.raises(ConfigurationError) as error:
        OriginGuard(OWN, [pattern])

    assert repr(pattern) in error.value.message
    assert "https://" in error.value.hint


EVERYTHING_BELOW = (OWN, "*.example.com", "https://*.example.com", "https://a.example.com")


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example.com@evil.example",
        "https://a.example.com:pass@evil.example",
        "https://evil.example\\.example.com",
        "https://evil.example\\@a.example.com",
        "https:\\\\evil.example\\.example.com",
        "https://evil.example\t.example.com",
        "https://evil.example\n.example.com",
        "https://evil.example\r\n.example.com",
        "https://evil.example\0.example.com",
        " https://evil.example/.example.com",
        "https://evil.example /.example.com",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "//evil.example",
        "///evil.example",
        "https://[::1].example.com",
        "https://[a.example.com",
        "https://a.example.com:port",
        "https://a.example.com:99999",
        "https://evil.example\uff0f.example.com",
        "https://evil.example\u2100.example.com",
        "javascript:alert(1)//.example.com",
        "javascript://a.example.com/%0aalert(1)",
        "data:text/html,.example.com",
        "vbscript:.example.com",
        "file:///etc/passwd",
        "blob:https://a.example.com",
        "null",
        "",
        "https://",
        "https://.",
    ],
)
async def test_attack_urls_that_parsers_read_differently(url):
    """What a browser resolves to another host than it seems to name is trusted by nobody."""
    assert not await OriginGuard(OWN, EVERYTHING_BELOW).trusts(url, post())


@pytest.mark.parametrize("url", ["https://x.g\u0131thub.io", "https://x.g\u0130thub.io"])
@pytest.mark.parametrize("pattern", ["*.github.io", "https://*.github.io"])
async def test_attack_look_alike_domain_by_case_folding(pattern, url):
    """A dotless i is another letter, and its domain another owner's."""
    assert not await OriginGuard(OWN, [pattern]).trusts(url, post())


@given(st.text(max_size=40))
@example("https://[")
@example("http://\u2100")
@example("myapp://[")
def test_any_text_can_be_asked_about(url):
    """No URL is an exception, and a random one is not trusted."""
    guard = OriginGuard(OWN, ["*.example.com", "https://*.example.com", "otherapp://host"])

    assert run_blocking(guard.trusts(url, post())) is False


# --- who calls ----------------------------------------------------------------------------

CALLERS = [
    # no cookie: nothing can be borrowed
    ({}, None),
    ({"origin": "https://evil.example"}, None),
    # with one
    ({"cookie": "a=b"}, "MISSING_OR_NULL_ORIGIN"),
    ({"cookie": ""}, "MISSING_OR_NULL_ORIGIN"),
    ({"cookie": "a=b", "origin": OWN}, None),
    ({"cookie": "a=b", "origin": "https://friend.example"}, None),
    ({"cookie": "a=b", "origin": "https://evil.example"}, "INVALID_ORIGIN"),
    ({"cookie": "a=b", "origin": f"{OWN}.evil.example"}, "INVALID_ORIGIN"),
    ({"cookie": "a=b", "origin": "http://app.example.com"}, "INVALID_ORIGIN"),
    ({"cookie": "a=b", "origin": "/relative"}, "INVALID_ORIGIN"),
    ({"cookie": "a=b", "origin": ""}, "MISSING_OR_NULL_ORIGIN"),
    # sandboxed frames and redirected forms send null
    ({"cookie": "a=b", "origin": "null"}, "MISSING_OR_NULL_ORIGIN"),
    ({"cookie": "a=b", "origin": "null", "referer": f"{OWN}/"}, "MISSING_OR_NULL_ORIGIN"),
    ({"cookie": "a=b", "origin": "null", "sec_fetch_site": "same-origin"}, None),
    (
        {"cookie": "a=b", "origin": "null", "sec_fetch_site": "same-site"},
        "MISSING_OR_NULL_ORIGIN",
    ),
    ({"cookie": "a=b", "sec_fetch_site": "same-origin"}, "MISSING_OR_NULL_ORIGIN"),
    # the referer stands in for a missing origin only
    ({"cookie": "a=b", "referer": f"{OWN}/sign-in?x=1"}, None),
    ({"cookie": "a=b", "origin": "", "referer": f"{OWN}/sign-in"}, None),
    ({"cookie": "a=b", "referer": "https://evil.example/app.example.com"}, "INVALID_ORIGIN"),
    ({"cookie": "a=b", "referer": "null"}, "MISSING_OR_NULL_ORIGIN"),
    ({"cookie": "a=b", "origin": "https://evil.example", "referer": f"{OWN}/"}, "INVALID_ORIGIN"),
]


@pytest.mark.parametrize(("headers", "code"), CALLERS)
async def test_attack_borrowed_cookies(headers, code):
    """A request with cookies has to come from a page that is trusted."""
    guard = OriginGuard(OWN, ["https://friend.example"])

    assert await refusal(guard.check_caller, post(**headers)) == code


FORMS = [
    # plain programs send neither
    ({}, None),
    ({"origin": OWN}, None),
    ({"origin": "https://evil.example"}, "INVALID_ORIGIN"),
    ({"referer": "https://evil.example/form"}, "INVALID_ORIGIN"),
    ({"referer": f"{OWN}/form"}, None),
    ({"origin": "null"}, "MISSING_OR_NULL_ORIGIN"),
    ({"origin": ""}, None),
    # a browser says where it comes from, and so has to name an origin
    ({"sec_fetch_mode": "cors"}, "MISSING_OR_NULL_ORIGIN"),
    ({"sec_fetch_site": "same-origin"}, "MISSING_OR_NULL_ORIGIN"),
    ({"sec_fetch_dest": "empty"}, "MISSING_OR_NULL_ORIGIN"),
    ({"sec_fetch_site": " ", "sec_fetch_mode": "", "sec_fetch_dest": " "}, None),
    ({"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors", "origin": OWN}, None),
    ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "cors", "origin": OWN}, None),
    ({"sec_fetch_site": "none", "sec_fetch_mode": "navigate", "origin": OWN}, None),
    ({"sec_fetch_site": "same-origin", "sec_fetch_mode": "navigate", "origin": "null"}, None),
    (
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
        "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED",
    ),
    (
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "origin": OWN},
        "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED",
    ),
]


@pytest.mark.parametrize(("headers", "code"), FORMS)
async def test_attack_login_by_another_sites_form(headers, code):
    """Signing a visitor in as somebody else needs no cookie, so none is asked for."""
    assert await refusal(OriginGuard(OWN).check_form, post(**headers)) == code


# --- origins that depend on the request ------------------------------------------------------


def tenant_of(request):
    """Trust the origin of the tenant whose host is asked."""
    return [f"https://{request.header('host')}"]


async def tenant_of_async(request):
    """Look the tenant up."""
    return tenant_of(request)


@pytest.mark.parametrize("trusted", [tenant_of, tenant_of_async], ids=["def", "async-def"])
@pytest.mark.parametrize(
    ("origin", "host", "code"),
    [
        ("https://a.example", "a.example", None),
        ("https://b.example", "a.example", "INVALID_ORIGIN"),
        (OWN, "a.example", None),
    ],
)
async def test_a_function_is_asked_for_each_request(trusted, origin, host, code):
    """What it returns for one request counts for no other; the own origin stays trusted."""
    guard = OriginGuard(OWN, trusted)
    await guard.check_caller(post(cookie="a=b", origin="https://b.example", host="b.example"))

    assert await refusal(guard.check_caller, post(cookie="a=b", origin=origin, host=host)) == code


async def test_a_function_is_asked_only_when_it_decides():
    """It may ask a database: who comes from our own pages, or brings no cookie, costs nothing."""
    asked = []
    guard = OriginGuard(OWN, lambda request: asked.append(request) or [])
    foreign = post(cookie="a=b", origin="https://evil.example")

    await guard.check_caller(post(cookie="a=b", origin=OWN))
    await guard.check_caller(post(origin="https://evil.example"))
    await guard.check_form(post(origin=OWN))
    await guard.check_targets({"callbackURL": "/dash", "redirectTo": f"{OWN}/dash"}, post())
    before = asked.copy()
    code = await refusal(guard.check_caller, foreign)

    assert (before, asked) == ([], [foreign])
    assert code == "INVALID_ORIGIN"


async def test_a_function_decides_on_targets_too():
    """Where its pages may call from, redirects may lead."""
    guard = OriginGuard(OWN, tenant_of)
    request = post(host="a.example")

    ours = await refusal(guard.check_targets, {"callbackURL": "https://a.example/x"}, request)
    other = await refusal(guard.check_targets, {"callbackURL": "https://b.example/x"}, request)

    assert (ours, other) == (None, "INVALID_CALLBACK_URL")


async def test_a_function_that_returns_no_origin_trusts_nobody():
    """The mistake is told as it would be at start-up, and nobody passes."""
    guard = OriginGuard(OWN, lambda _: ["a.example"])

    with pytest.raises(ConfigurationError, match="names no origin"):
        await guard.check_caller(post(cookie="a=b", origin="https://a.example"))
