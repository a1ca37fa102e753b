"""The typed stores for applications without an event loop."""

from watchword.storage.stores.blocking.accounts import (
    BlockingAccountStore,
    BlockingStoredAccounts,
)
from watchword.storage.stores.blocking.sessions import (
    BlockingSessionStore,
    BlockingStoredSessions,
)
from watchword.storage.stores.blocking.users import BlockingStoredUsers, BlockingUserStore
from watchword.storage.stores.blocking.verifications import (
    BlockingStoredVerifications,
    BlockingVerificationStore,
)

__all__ = [
    "BlockingAccountStore",
    "BlockingSessionStore",
    "BlockingStoredAccounts",
    "BlockingStoredSessions",
    "BlockingStoredUsers",
    "BlockingStoredVerifications",
    "BlockingUserStore",
    "BlockingVerificationStore",
]
