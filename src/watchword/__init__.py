"""Authentication for Python applications, on any database, behind any framework."""

from watchword.auth import BlockingWatchword, Watchword
from watchword.engine.options import CookieOptions, EmailPassword, SessionOptions
from watchword.engine.plugin import Plugin
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    StorageError,
    WatchwordError,
)
from watchword.schema import Naming
from watchword.storage.entities import Identity, Session, User
from watchword.storage.hooks import DatabaseHook

__all__ = [
    "APIError",
    "BlockingWatchword",
    "ConfigurationError",
    "CookieOptions",
    "CoreError",
    "DatabaseHook",
    "EmailPassword",
    "Identity",
    "Naming",
    "Plugin",
    "Session",
    "SessionOptions",
    "StorageError",
    "User",
    "Watchword",
    "WatchwordError",
]
