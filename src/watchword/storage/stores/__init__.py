"""Typed stores: users, sessions, accounts and verification values, read and written as such.

Each is a Protocol, which an application may implement itself, and one implementation over the
rows of any `Adapter`.
"""

from watchword.storage.stores.accounts import AccountStore, StoredAccounts
from watchword.storage.stores.sessions import Lifetimes, SessionStore, StoredSessions
from watchword.storage.stores.users import StoredUsers, UserStore
from watchword.storage.stores.verifications import (
    Found,
    StoredVerifications,
    VerificationStore,
)

__all__ = [
    "AccountStore",
    "Found",
    "Lifetimes",
    "SessionStore",
    "StoredAccounts",
    "StoredSessions",
    "StoredUsers",
    "StoredVerifications",
    "UserStore",
    "VerificationStore",
]
