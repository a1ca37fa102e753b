"""Authentication for Python applications, on any database, behind any framework."""

from watchword.auth import BlockingWatchword, Watchword
from watchword.engine.hooks import EndpointCall, EndpointHook
from watchword.engine.mail import Mail
from watchword.engine.options import (
    AccountOptions,
    ChangeEmail,
    CookieOptions,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    SessionOptions,
    UserOptions,
)
from watchword.engine.plugin import Plugin
from watchword.engine.rate_limit import RateLimit, RateLimits
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    StorageError,
    WatchwordError,
)
from watchword.schema import Field, Naming
from watchword.storage.entities import Identity, Session, User
from watchword.storage.hooks import DatabaseHook

__all__ = [
    "APIError",
    "AccountOptions",
    "BlockingWatchword",
    "ChangeEmail",
    "ConfigurationError",
    "CookieOptions",
    "CoreError",
    "DatabaseHook",
    "DeleteUser",
    "EmailPassword",
    "EmailVerification",
    "EndpointCall",
    "EndpointHook",
    "Field",
    "Identity",
    "Mail",
    "Naming",
    "Plugin",
    "RateLimit",
    "RateLimits",
    "Session",
    "SessionOptions",
    "StorageError",
    "User",
    "UserOptions",
    "Watchword",
    "WatchwordError",
]
