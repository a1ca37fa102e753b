"""The settings as keyword arguments, for whoever passes them on to `Options`."""

from collections.abc import Sequence
from typing import TypedDict

from watchword.engine.hooks import EndpointHook
from watchword.engine.mail import SendMail
from watchword.engine.options import (
    AccountOptions,
    CookieOptions,
    EmailPassword,
    EmailVerification,
    SchemaCheck,
    SessionOptions,
    UserOptions,
)
from watchword.engine.origins import TrustedOrigins
from watchword.engine.rate_limit import RateLimits

__all__ = ["Settings"]


class Settings(TypedDict, total=False):
    """What `Options` takes beside the base URL, for whoever passes it on."""

    base_path: str
    email_password: EmailPassword | None
    email_verification: EmailVerification | None
    session: SessionOptions
    user: UserOptions
    account: AccountOptions
    cookies: CookieOptions
    mail: SendMail | None
    trusted_origins: TrustedOrigins
    rate_limits: RateLimits
    trusted_proxies: Sequence[str]
    proxy_header: str
    hooks: Sequence[EndpointHook]
    disabled_paths: Sequence[str]
    ignore_trailing_slash: bool
    error_url: str | None
    max_body_size: int
    schema_check: SchemaCheck
