"""Authentication for Python applications, on any database, behind any framework."""

from watchword.auth import BlockingWatchword, Watchword
from watchword.crypto.sealing import UnsealError
from watchword.engine.cookie_cache import CookieCache
from watchword.engine.findings import Finding
from watchword.engine.hooks import EndpointCall, EndpointHook
from watchword.engine.importing import Imported
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
from watchword.engine.personal_data import Erased, StillReferenced
from watchword.engine.plugin import Plugin
from watchword.engine.rate_limit import PasswordGuesses, RateLimit, RateLimits
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    LastAccount,
    MigrationFailed,
    MigrationRefused,
    NoSuchUser,
    StorageError,
    StorageUnavailable,
    WatchwordError,
)
from watchword.http.messages import Request, Response
from watchword.migrations import Migrated
from watchword.schema import Field, Naming
from watchword.storage.cached_sessions import CachedSessions
from watchword.storage.entities import Account, Identity, Session, User
from watchword.storage.hooks import DatabaseHook
from watchword.storage.purge import Purged
from watchword.storage.secondary_sessions import SecondarySessions
from watchword.storage.secondary_verifications import SecondaryVerifications

__all__ = [
    "APIError",
    "Account",
    "AccountOptions",
    "BlockingWatchword",
    "CachedSessions",
    "ChangeEmail",
    "ConfigurationError",
    "CookieCache",
    "CookieOptions",
    "CoreError",
    "DatabaseHook",
    "DeleteUser",
    "EmailPassword",
    "EmailVerification",
    "EndpointCall",
    "EndpointHook",
    "Erased",
    "Field",
    "Finding",
    "Identity",
    "Imported",
    "LastAccount",
    "Mail",
    "Migrated",
    "MigrationFailed",
    "MigrationRefused",
    "Naming",
    "NoSuchUser",
    "PasswordGuesses",
    "Plugin",
    "Purged",
    "RateLimit",
    "RateLimits",
    "Request",
    "Response",
    "SecondarySessions",
    "SecondaryVerifications",
    "SendMail",
    "Session",
    "SessionOptions",
    "StillReferenced",
    "StorageError",
    "StorageUnavailable",
    "UnsealError",
    "User",
    "UserCallback",
    "UserOptions",
    "Watchword",
    "WatchwordError",
]
