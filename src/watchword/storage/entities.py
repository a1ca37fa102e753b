"""Users and sessions as typed values."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic

import msgspec

from watchword.storage.contract import Record

if TYPE_CHECKING:  # with a default, which Python itself knows from 3.13 on
    from typing_extensions import TypeVar
else:
    from typing import TypeVar

__all__ = ["Identity", "PublicUser", "Session", "User"]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person. What plugins added to the model stands in `extra`, by its logical name."""

    id: str
    name: str
    email: str
    email_verified: bool
    image: str | None
    created_at: datetime
    updated_at: datetime
    extra: Mapping[str, Any] = {}

    @classmethod
    def from_record(cls, record: Record) -> "User":
        """Return a stored row as a value."""
        known = {name: record[name] for name in _USER_FIELDS}
        extra = {name: value for name, value in record.items() if name not in known}
        return cls(**known | {"id": str(record["id"]), "extra": extra})


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that still holds. What was added to the model stands in `extra`.

    `token` is what its holder's cookie carries; in a list of a user's sessions, those of
    others have a handle there with which they can be revoked, but not used.
    """

    id: str
    token: str
    user_id: str
    expires_at: datetime
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
    updated_at: datetime
    extra: Mapping[str, Any] = {}

    @classmethod
    def from_record(cls, record: Record, *, token: str) -> "Session":
        """Return a stored row as a value; the row itself holds the token's digest alone."""
        known = {name: record[name] for name in _SESSION_FIELDS}
        extra = {name: value for name, value in record.items() if name not in _NOT_EXTRA}
        return cls(
            **known
            | {"id": str(record["id"]), "user_id": str(record["user_id"]), "token": token}
            | {"extra": extra}
        )

    def __repr__(self) -> str:
        """Show no token: logs are read by many."""
        return f"Session(id={self.id!r}, user_id={self.user_id!r}, expires_at={self.expires_at})"


if TYPE_CHECKING:
    PublicUser = TypeVar("PublicUser", default=User)
else:
    PublicUser = TypeVar("PublicUser")
"""What the application's code gets for a user: `User`, or what its `user_mapper` makes."""


class Identity(msgspec.Struct, Generic[PublicUser], frozen=True):
    """Who is asking: a session and its user."""

    session: Session
    user: PublicUser


_USER_FIELDS: Final = frozenset(User.__struct_fields__) - {"extra"}
_SESSION_FIELDS: Final = frozenset(Session.__struct_fields__) - {"extra", "token"}
# The user may come with the session; it is no field of it.
_NOT_EXTRA: Final = _SESSION_FIELDS | {"token", "user"}
