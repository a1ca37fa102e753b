"""Settings that work and are not safe are found, and no others."""

from typing import Any, Final

import pytest

from watchword import (
    ChangeEmail,
    CookieOptions,
    EmailPassword,
    EmailVerification,
    RateLimits,
    UserOptions,
)
from watchword.crypto.tokens import new_token
from watchword.engine.configuration import check_configuration
from watchword.engine.findings import Code, Finding
from watchword.engine.options import Options

SECRET: Final = new_token(43)


async def send(_mail: object) -> None:
    """Deliver nothing."""


def found(secrets: tuple[str, ...] = (SECRET,), **settings: Any) -> list[Finding]:
    """Check settings that are otherwise right for production."""
    given = {"base_url": "https://shop.example", "mail": send, **settings}
    return check_configuration(Options(**given), secrets)


def codes(findings: list[Finding]) -> list[tuple[Code, str]]:
    """Return what was found, and how bad it is."""
    return [(it.code, it.level) for it in findings]


RIGHT: Final[dict[str, dict[str, Any]]] = {
    "production": {"email_password": EmailPassword()},
    "development": {"base_url": "http://localhost:8000"},
    "development by address": {"base_url": "http://127.0.0.1:8000"},
    "development on IPv6": {"base_url": "http://[::1]:8000"},
    "development below localhost": {"base_url": "http://shop.localhost:8000"},
    "secure cookies in development": {
        "base_url": "http://localhost:8000",
        "cookies": CookieOptions(secure=True),
    },
    "no passwords": {"mail": None},
    "no forgotten passwords": {
        "mail": None,
        "email_password": EmailPassword(reset_password=False),
    },
    "several secrets": {"secrets": (SECRET, new_token(43), new_token(32))},
    "all by mail": {
        "email_password": EmailPassword(require_email_verification=True),
        "email_verification": EmailVerification(),
        "user": UserOptions(change_email=ChangeEmail()),
    },
    "origins": {
        "trusted_origins": (
            *("https://app.shop.example", "https://*.shop.example", "*.shop.example", "myapp://"),
            *("http://localhost:3000", "https://shop-*.team.example:8443", "10.0.0.*"),
        )
    },
    "origins of a function": {"trusted_origins": lambda _request: ["*"]},
    "a cookie domain": {
        "base_url": "https://auth.shop.example",
        "cookies": CookieOptions(domain=".shop.example"),
    },
    "proxies": {"trusted_proxies": ("10.0.0.0/8", "fc00::/7", "104.16.0.0/13", "192.0.2.1")},
}


@pytest.mark.parametrize("settings", RIGHT.values(), ids=RIGHT)
def test_nothing_is_found_in_settings_that_are_right(settings):
    """Nobody reads warnings that are wrong."""
    assert found(**settings) == []


WEAK: Final = (
    "an-example-of-32-characters-or-more",
    "correct-horse-battery-staple-0123456789",
    "please-CHANGE-ME-before-you-deploy!",
    "my_super_secret_key_nobody_will_know",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "k2Jd9sLqk2Jd9sLqk2Jd9sLqk2Jd9sLq",
)


@pytest.mark.parametrize("secret", WEAK)
def test_a_secret_that_looks_like_an_example_is_found(secret):
    """Where people can reach it, it is an error; the sentence does not repeat it."""
    in_production = found((secret,))
    in_development = found((secret,), base_url="http://localhost:8000")

    assert codes(in_production) == [(Code.W101, "error")]
    assert codes(in_development) == [(Code.W101, "warning")]
    assert secret not in str(in_production[0])


def test_secrets_that_are_made_are_never_taken_for_examples():
    """Whatever letters they happen to have."""
    assert [it for it in (new_token(43) for _ in range(2000)) if found((it,))] == []


@pytest.mark.parametrize("secret", ["short", "a" * 40, WEAK[0]])
def test_an_older_secret_that_can_be_guessed_is_found(secret):
    """It is there to be rotated away, and signs in until then."""
    assert codes(found((SECRET, secret))) == [(Code.W102, "warning")]


@pytest.mark.parametrize(
    ("base_url", "level"),
    [
        ("http://shop.example", "error"),
        ("http://192.0.2.1.example:8000", "error"),
        ("http://8.8.8.8", "error"),
        ("http://web:8000", "warning"),
        ("http://shop.internal", "warning"),
        ("http://10.0.0.7:8000", "warning"),
    ],
)
def test_a_site_without_tls_is_found(base_url, level):
    """In a network of one's own it may be meant so."""
    assert codes(found(base_url=base_url)) == [(Code.W103, level)]


def test_a_trusted_origin_without_tls_is_found():
    """Who is between can put a page there."""
    [finding] = found(trusted_origins=["https://a.example", "http://b.example"])

    assert codes([finding]) == [(Code.W104, "warning")]
    assert "http://b.example" in finding.message


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "https://*", "http://*", "*.com", "https://*.com", "*.*", "https://*:3000"),
        *("*shop.example", "https://*.vercel.app", "*.github.io", "https://shop.*"),
    ],
)
def test_a_trusted_origin_that_anybody_can_have_is_found(origin):
    """A domain can be bought, or is given away."""
    assert codes(found(trusted_origins=[origin])) == [(Code.W105, "error")]


def test_cookies_that_go_without_tls_are_found():
    """The site itself has it."""
    assert codes(found(cookies=CookieOptions(secure=False))) == [(Code.W106, "error")]


@pytest.mark.parametrize(
    "settings",
    [
        {"cookies": CookieOptions(domain="example.org")},
        {"cookies": CookieOptions(domain="app.shop.example")},
        {"cookies": CookieOptions(domain="hop.example")},
    ],
)
def test_cookies_that_no_browser_keeps_are_found(settings):
    """Nobody would be signed in."""
    assert codes(found(**settings)) == [(Code.W107, "error")]


def test_secure_cookies_of_a_site_without_tls_are_found():
    """No browser keeps them."""
    settings = {"base_url": "http://shop.example", "cookies": CookieOptions(secure=True)}

    assert codes(found(**settings)) == [(Code.W103, "error"), (Code.W107, "error")]


WITHOUT_MAIL: Final[dict[str, tuple[dict[str, Any], list[Code]]]] = {
    "forgotten passwords": ({"mail": None, "email_password": EmailPassword()}, [Code.W108]),
    "required addresses": (
        {
            "mail": None,
            "email_password": EmailPassword(require_email_verification=True, reset_password=False),
        },
        [Code.W109],
    ),
    "new addresses": ({"user": UserOptions(change_email=ChangeEmail())}, [Code.W110]),
    "new addresses of the verified": (
        {"user": UserOptions(change_email=ChangeEmail(unverified_at_once=True))},
        [Code.W110],
    ),
}


@pytest.mark.parametrize(("settings", "expected"), WITHOUT_MAIL.values(), ids=WITHOUT_MAIL)
def test_what_does_not_work_without_mail_is_found(settings, expected):
    """It is no error: the application may do it by other means."""
    assert codes(found(**settings)) == [(it, "warning") for it in expected]


def test_limits_that_are_off_are_found():
    """A proxy may limit clients, too."""
    assert codes(found(rate_limits=RateLimits(enabled=False))) == [(Code.W111, "warning")]


@pytest.mark.parametrize("proxy", ["0.0.0.0/1", "128.0.0.0/1", "8.0.0.0/7", "2000::/3"])
def test_proxies_that_are_very_many_are_found(proxy):
    """Two halves are everybody, whom a single entry may not be."""
    assert codes(found(trusted_proxies=[proxy])) == [(Code.W112, "warning")]
