"""Authentication for Python applications, on any database, behind any framework."""

from watchword.auth import BlockingWatchword, Watchword
from watchword.engine.findings import Finding
from watchword.engine.hooks import EndpointCall, EndpointHook
from watchword.engine.mail import Mail, SendMail
from watchword.engine.options import (
    AccountOptions,
    ChangeEmail,
    CookieOptions,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    SessionOptions,
    UserCallback,
    UserOptions,
)
from watchword.engine.plugin import Plugin
from watchword.engine.purge import Purged
from watchword.engine.rate_limit import RateLimit, RateLimits
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    MigrationFailed,
    MigrationRefused,
    StorageError,
    StorageUnavailable,
    WatchwordError,
)
from watchword.http.messages import Request, Response
from watchword.migrations import Migrated
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
    "Finding",
    "Identity",
    "Mail",
    "Migrated",
    "MigrationFailed",
    "MigrationRefused",
    "Naming",
    "Plugin",
    "Purged",
    "RateLimit",
    "RateLimits",
    "Request",
    "Response",
    "SendMail",
    "Session",
    "SessionOptions",
    "StorageError",
    "StorageUnavailable",
    "User",
    "UserCallback",
    "UserOptions",
    "Watchword",
    "WatchwordError",
]
