"""Whose sessions are: remembered by this process to save a trip, and believed by nobody."""

from typing import Final

from watchword.concurrency import Lock

__all__ = ["Owners"]

_MOST: Final = 10_000


class Owners:
    """The users of the sessions that were read here of late, by the sessions' keys."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}
        self._lock = Lock()

    def find(self, key: str) -> str | None:
        """Return whose session it was when it was read."""
        return self._users.get(key)

    def remember(self, key: str, user_id: str) -> None:
        """Note whose it is; when there are too many, forget who was noted first."""
        with self._lock:
            self._users[key] = user_id
            if len(self._users) > _MOST:
                del self._users[next(iter(self._users))]
