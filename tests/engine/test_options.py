"""Settings are checked when they are made, and what follows from them is computed once here."""

from datetime import timedelta

import pytest

from watchword import ConfigurationError, CookieOptions, EmailPassword, SessionOptions
from watchword.engine.options import Options

ZERO, SECOND, DAY = timedelta(0), timedelta(seconds=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://example.com/", "https://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("HTTPS://Example.COM", "https://example.com"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://example.com/login", "https://example.com"),
    ],
)
def test_the_origin_is_as_browsers_send_it(base_url, origin):
    """Otherwise no request of the own pages would pass."""
    assert Options(base_url=base_url).origin == origin


@pytest.mark.parametrize(
    ("base_url", "base_path", "path"),
    [
        ("http://a.com", "/api/auth", "/api/auth"),
        ("http://a.com", "/api/auth/", "/api/auth"),
        ("http://a.com/", "/login", "/login"),
        ("http://a.com/v1/login/", "/api/auth", "/v1/login"),
        ("http://a.com", "/", ""),
    ],
)
def test_the_base_urls_own_path_wins(base_url, base_path, path):
    """The path has no slash at its end."""
    assert Options(base_url=base_url, base_path=base_path).path == path


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "example.com",
        "localhost:8000",
        "//example.com",
        "ftp://example.com",
        "https://",
        "https:///path",
        "http://[::1",
        "http://localhost:port",
        "http://localhost:99999",
    ],
)
def test_a_base_url_that_names_no_host_is_refused(base_url):
    """With a sentence, whatever the URL parser makes of it."""
    with pytest.raises(ConfigurationError) as error:
        Options(base_url=base_url)

    assert repr(base_url) in error.value.message
    assert "https://example.com" in error.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_path": "api/auth"},
        {"trusted_origins": "https://a.com"},
        {"max_body_size": 0},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(wrong):
    """Each with a hint."""
    with pytest.raises(ConfigurationError) as error:
        Options(base_url="http://localhost", **wrong)

    assert error.value.hint


@pytest.mark.parametrize(
    ("base_url", "secure", "expected"),
    [
        ("https://a.com", None, True),
        ("HTTPS://a.com", None, True),
        ("http://a.com", None, False),
        ("http://a.com", True, True),
        ("https://a.com", False, False),
    ],
)
def test_cookies_are_secure_where_the_url_is(base_url, secure, expected):
    """Unless the setting says otherwise."""
    options = Options(base_url=base_url, cookies=CookieOptions(secure=secure))

    assert options.secure_cookies is expected


@pytest.mark.parametrize(("low", "high"), [(0, 128), (-1, 8), (9, 8), (8, 1025)])
def test_password_lengths_that_make_no_range_are_refused(low, high):
    """At start-up, not with the first password."""
    with pytest.raises(ConfigurationError, match="Passwords cannot have"):
        EmailPassword(min_password_length=low, max_password_length=high)


@pytest.mark.parametrize(
    "spans",
    [
        {"expires_in": ZERO},
        {"expires_in": timedelta(milliseconds=999), "update_age": ZERO},
        {"forgotten_in": ZERO},
        {"expires_in": -DAY},
        {"update_age": -SECOND},
        {"expires_in": DAY, "update_age": DAY + SECOND},
    ],
    ids=str,
)
def test_sessions_that_could_not_live_are_refused(spans):
    """Or that would never be renewed."""
    with pytest.raises(ConfigurationError):
        SessionOptions(**spans)
