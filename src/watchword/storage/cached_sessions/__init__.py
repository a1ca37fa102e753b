"""Sessions that are read from a secondary storage, while the database stays the truth.

Begin with `cache.py`, the order of steps; `versions.py` says why nothing revoked is believed.
"""

from watchword.storage.cached_sessions.cache import CachedSessions, SessionCache
from watchword.storage.cached_sessions.changes import Changes

__all__ = ["CachedSessions", "Changes", "SessionCache"]
