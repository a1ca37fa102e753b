"""Whose pages may call, and where a redirect may lead: every rule, and every known way around."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.engine.origins import OriginGuard
from watchword.errors import APIError, ConfigurationError
from watchword.http.messages import Request

OWN = "https://app.example.com"


def refusal(check, *args):
    """Return the code of the refusal, or its sentence if it has none; None without a refusal."""
    try:
        check(*args)
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


def accepts(target, *trusted):
    """Tell whether a redirect to the target is accepted."""
    guard = OriginGuard(OWN, trusted)
    return refusal(guard.check_targets, {"callbackURL": target}, post()) is None


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
def test_what_a_pattern_trusts(pattern, url, trusted):
    """Exactly what the documentation of `trusted_origins` says."""
    assert OriginGuard(OWN, [pattern]).trusts(url) is trusted


@pytest.mark.parametrize("url", [OWN, f"{OWN}/", "https://APP.example.com:443/x"])
def test_the_own_origin_is_trusted_always(url):
    """Without being listed."""
    assert OriginGuard(OWN).trusts(url)


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
def test_attack_urls_that_parsers_read_differently(url):
    """What a browser resolves to another host than it seems to name is trusted by nobody."""
    assert not OriginGuard(OWN, EVERYTHING_BELOW).trusts(url)


@pytest.mark.parametrize("url", ["https://x.g\u0131thub.io", "https://x.g\u0130thub.io"])
@pytest.mark.parametrize("pattern", ["*.github.io", "https://*.github.io"])
def test_attack_look_alike_domain_by_case_folding(pattern, url):
    """A dotless i is another letter, and its domain another owner's."""
    assert not OriginGuard(OWN, [pattern]).trusts(url)


@given(st.text(max_size=40))
@example("https://[")
@example("http://\u2100")
@example("myapp://[")
def test_any_text_can_be_asked_about(url):
    """No URL is an exception, and a random one is not trusted."""
    guard = OriginGuard(OWN, ["*.example.com", "https://*.example.com", "otherapp://host"])

    assert guard.trusts(url) is False


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
def test_attack_borrowed_cookies(headers, code):
    """A request with cookies has to come from a page that is trusted."""
    guard = OriginGuard(OWN, ["https://friend.example"])

    assert refusal(guard.check_caller, post(**headers)) == code


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
def test_attack_login_by_another_sites_form(headers, code):
    """Signing a visitor in as somebody else needs no cookie, so none is asked for."""
    assert refusal(OriginGuard(OWN).check_form, post(**headers)) == code


# --- where a redirect leads -----------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/dash",
        "/dash?next=//evil.example",
        "/dash?next=%2F%2Fevil.example",
        "/dash#//evil.example",
        "/a//b",
        "/@evil.example",
        "/https://evil.example",
        "/%E2%82%AC",
        "/a:b",
        OWN,
        f"{OWN}/dash?x=1#y",
    ],
)
def test_safe_targets_are_accepted(target):
    """Paths of our own, with any query, and the own origin."""
    assert accepts(target)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r/evil.example",
        "/%2fevil.example",
        "/%2Fevil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "/a/%2f/b",
        "/a\\b",
        "/a?b=\\",
        "/a\0",
        "/a\x1b",
        "/a\x7f",
        "/a\r\nset-cookie: a=b",
        "\\\\evil.example",
        "\t//evil.example",
        " //evil.example",
        " /dash",
        "dash",
        "./dash",
        "?a",
        "#a",
        "https://evil.example",
        "https://app.example.com@evil.example",
        "https://app.example.com.evil.example",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "ftp://app.example.com",
        "myapp://",
        "null",
        "%2f%2fevil.example",
    ],
)
def test_attack_open_redirect(target):
    """Whatever a browser might take to another host is refused."""
    assert not accepts(target)


def test_attack_script_by_a_custom_scheme():
    """Trusting one app trusts no other scheme."""
    assert accepts("myapp://home", "myapp://")
    assert not accepts("javascript://home/%0aalert(1)", "myapp://")


@pytest.mark.parametrize(
    ("name", "code", "label"),
    [
        ("callbackURL", "INVALID_CALLBACK_URL", "callbackURL"),
        ("redirectTo", "INVALID_REDIRECT_URL", "redirectURL"),
        ("errorCallbackURL", "INVALID_ERROR_CALLBACK_URL", "errorCallbackURL"),
        ("newUserCallbackURL", "INVALID_NEW_USER_CALLBACK_URL", "newUserCallbackURL"),
    ],
)
def test_each_target_has_its_refusal(name, code, label):
    """403 where it leads elsewhere, 400 where it is no text."""
    guard = OriginGuard(OWN)

    with pytest.raises(APIError) as elsewhere:
        guard.check_targets({name: "https://evil.example"}, post())
    with pytest.raises(APIError) as no_text:
        guard.check_targets({name: ["https://app.example.com"]}, post())

    assert (elsewhere.value.status, elsewhere.value.code.name) == (403, code)
    assert elsewhere.value.message == f"Invalid {label}"
    assert no_text.value.status == 400
    assert no_text.value.message == f"Invalid {label}: expected a string"


@pytest.mark.parametrize("value", [None, "", 0, False, []])
def test_an_empty_target_is_none(value):
    """It leads nowhere; what it should be is validation's to say."""
    assert accepts(value)


@pytest.mark.parametrize("value", [1, True, {"a": 1}, ["/dash"]])
def test_a_target_that_is_no_text_is_refused(value):
    """It must not reach code that expects one."""
    assert not accepts(value)


@pytest.mark.parametrize("body", [{}, {"callbackURL": ""}, None, [], "text", 5])
def test_a_target_in_the_query_counts_where_the_body_has_none(body):
    """Both places lead a browser on."""
    request = Request(method="POST", path="/", query_string="callbackURL=https://evil.example")

    code = refusal(OriginGuard(OWN).check_targets, body, request)

    assert code == "INVALID_CALLBACK_URL"


def test_attack_two_targets_in_the_query():
    """A repeated key is a list, and a list is no target."""
    request = Request(
        method="POST", path="/", query_string="callbackURL=/dash&callbackURL=//evil.example"
    )

    refused = refusal(OriginGuard(OWN).check_targets, {}, request)

    assert refused == "Invalid callbackURL: expected a string"


def test_a_target_in_the_body_goes_before_the_querys():
    """What is followed is what is checked."""
    request = Request(method="POST", path="/", query_string="callbackURL=https://evil.example")

    assert refusal(OriginGuard(OWN).check_targets, {"callbackURL": "/dash"}, request) is None
