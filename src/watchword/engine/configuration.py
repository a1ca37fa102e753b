"""Settings that work and are not safe, or switch off what somebody will look for."""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from watchword.crypto.keys import check_secret
from watchword.engine.findings import Code, Finding, Level
from watchword.engine.options import Options
from watchword.errors import ConfigurationError

__all__ = ["check_configuration"]

# Long enough that not one in a million random secrets has such a word by chance.
_WORDS: Final = re.compile(
    r"change.?me|example|placeholder|password|your.?secret|my.?secret|secret.?key|super.?secret"
    r"|correct.horse|battery.staple|qwerty|abcdefg|1234567|replace|insecure|default|development",
    re.IGNORECASE,
)
# Where anybody gets a name of their own below it.
_SHARED: Final = frozenset(
    {
        *("vercel.app", "netlify.app", "pages.dev", "workers.dev", "github.io", "gitlab.io"),
        *("herokuapp.com", "onrender.com", "fly.dev", "web.app", "firebaseapp.com"),
        *("azurewebsites.net", "cloudfront.net", "amazonaws.com", "run.app"),
        *("ngrok.io", "ngrok.app", "ngrok-free.app", "trycloudflare.com"),
    }
)
# A pattern of numbers alone matches addresses alone.
_NETWORK: Final = re.compile(r"[0-9]+\.[0-9.*?]+")
_PRIVATE_ENDINGS: Final = (".local", ".localhost", ".internal", ".lan", ".test", ".home.arpa")
_WIDEST: Final = {4: 8, 6: 16}


def check_configuration(options: Options, secrets: Sequence[str]) -> list[Finding]:
    """Return what is to be thought about before people use the application.

    Args:
        options: The settings. What cannot work at all was refused when they were made.
        secrets: The first signs, all are accepted.
    """
    return [
        *_secrets(options, secrets),
        *_transport(options),
        *_origins(options),
        *_cookies(options),
        *_mail(options),
        *_limits(options),
    ]


# --- secrets ---------------------------------------------------------------------------------


def _secrets(options: Options, secrets: Sequence[str]) -> Iterator[Finding]:
    level: Level = "warning" if _is_loopback(_host(options.base_url)) else "error"
    if _is_example(secrets[0]):
        yield Finding(
            Code.W101,
            level,
            "The secret looks like an example, and whoever guesses it can sign in as anybody",
            "`watchword secret` makes one; give it as WATCHWORD_SECRET",
        )
    if any(_is_weak(it) for it in secrets[1:]):
        yield Finding(
            Code.W102,
            "warning",
            "One of the older secrets can be guessed, and what it signs is still accepted",
            "Remove it; who was signed in under it alone has to sign in again",
        )


def _is_example(secret: str) -> bool:
    return _WORDS.search(secret) is not None or _repeats(secret)


def _repeats(secret: str) -> bool:
    """Tell whether it is a shorter text several times over."""
    return secret in (secret + secret)[1:-1]


def _is_weak(secret: str) -> bool:
    try:
        check_secret(secret)
    except ConfigurationError:
        return True
    return _is_example(secret)


# --- transport and origins -------------------------------------------------------------------


def _transport(options: Options) -> Iterator[Finding]:
    host = _host(options.base_url)
    if urlsplit(options.base_url).scheme == "https" or _is_loopback(host):
        return
    yield Finding(
        Code.W103,
        "warning" if _is_private(host) else "error",
        f"base_url is {options.origin}: passwords and cookies can be read on their way",
        "Serve it by https, and let base_url say so",
    )


def _origins(options: Options) -> Iterator[Finding]:
    if callable(options.trusted_origins):
        return  # known to the function alone
    for origin in options.trusted_origins:
        host = origin.rpartition("://")[2].partition("/")[0]
        if _is_anybodys(host):
            yield Finding(
                Code.W105,
                "error",
                f"The trusted origin {origin} is anybody's: their pages can act for users",
                "Name the origins that are yours, such as https://app.example.com",
            )
        elif origin.startswith("http://") and not _is_loopback(_host(origin)):
            yield Finding(
                Code.W104,
                "warning",
                f"The trusted origin {origin} has no TLS: who is in the way can fake its pages",
                "Serve it by https, and name it so",
            )


def _is_anybodys(host: str) -> bool:
    """Tell whether a pattern leaves open whose domain it is."""
    if not set(host) & {"*", "?"} or _NETWORK.fullmatch(host):
        return False
    fixed = re.split(r"[*?]", host)[-1].partition(":")[0].lower()
    owned = fixed.rpartition(".")[0].strip(".")
    # What follows the last wildcard has to be a whole domain that belongs to somebody.
    return not fixed.startswith(".") or not owned or fixed[1:] in _SHARED


# --- cookies ---------------------------------------------------------------------------------


def _cookies(options: Options) -> Iterator[Finding]:
    host = _host(options.base_url)
    is_https = urlsplit(options.base_url).scheme == "https"
    if is_https and not options.secure_cookies:
        yield Finding(
            Code.W106,
            "error",
            "CookieOptions(secure=False) sends cookies over connections without TLS, too",
            "Leave secure out: it is true where base_url is https",
        )
    if not is_https and options.secure_cookies and not _is_loopback(host):
        yield Finding(
            Code.W107,
            "error",
            f"CookieOptions(secure=True) at {options.origin}: browsers keep no such cookie there",
            "Serve it by https, and let base_url say so",
        )
    domain = (options.cookies.domain or "").lstrip(".").lower()
    if domain and host != domain and not host.endswith(f".{domain}"):
        yield Finding(
            Code.W107,
            "error",
            f"Cookies are for {domain}, which {host} is not part of: browsers keep none",
            "Give CookieOptions(domain=…) the host of base_url, or a domain above it",
        )


# --- mail and limits -------------------------------------------------------------------------


def _mail(options: Options) -> Iterator[Finding]:
    password = options.email_password
    if password is not None and password.reset_password and options.mail is None:
        yield Finding(
            Code.W108,
            "warning",
            "Nothing delivers mail, so nobody can set a forgotten password anew",
            "Pass mail=SMTPSender(…), or EmailPassword(reset_password=False)",
        )
    if password is not None and password.require_email_verification and options.mail is None:
        yield Finding(
            Code.W109,
            "warning",
            "Sign-in requires a verified address, and nothing sends a link that verifies one",
            "Pass mail=SMTPSender(…) and email_verification=EmailVerification(), unless the "
            "application verifies addresses by itself",
        )
    change = options.user.change_email
    if change is not None and options.email_verification is None:
        who = "whose address is verified" if change.unverified_at_once else "who is signed in"
        yield Finding(
            Code.W110,
            "warning",
            f"ChangeEmail is on, but nothing verifies a new address: nobody {who} can change it",
            "Pass email_verification=EmailVerification() and mail=SMTPSender(…)",
        )


def _limits(options: Options) -> Iterator[Finding]:
    if not options.rate_limits.enabled:
        yield Finding(
            Code.W111,
            "warning",
            "Rate limits are off, so passwords can be guessed as fast as the server answers",
            "Leave RateLimits(enabled=False) out, unless a proxy limits clients",
        )
    for proxy in options.trusted_proxies:
        network = ip_network(proxy)
        if network.prefixlen < _WIDEST[network.version] and not network.is_private:
            yield Finding(
                Code.W112,
                "warning",
                f"trusted_proxies has {proxy}: very many clients could choose their address",
                "List the networks of your proxies only, such as 10.0.0.0/8",
            )


# --- hosts -----------------------------------------------------------------------------------


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_private(host: str) -> bool:
    """Tell whether only a network of one's own knows the name."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_ENDINGS)
