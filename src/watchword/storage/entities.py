"""Users, sessions and accounts as typed values."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Self

import msgspec

from watchword.storage.contract import Record

if TYPE_CHECKING:  # with a default, which Python itself knows from 3.13 on
    from typing_extensions import TypeVar
else:
    from typing import TypeVar

__all__ = ["TOKENS", "Account", "Identity", "PublicUser", "Session", "User"]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person. What was added to the model stands in `extra`, by its logical name.

    A subclass gives types to what was added: `class AppUser(User, frozen=True, kw_only=True)`
    with `plan: str`. `Watchword(…, user_type=AppUser)` then hands out such users.
    """

    id: str
    name: str
    email: str
    email_verified: bool
    image: str | None
    created_at: datetime
    updated_at: datetime
    extra: Mapping[str, Any] = {}

    @classmethod
    def from_record(cls, record: Record) -> Self:
        """Return a stored row as a value."""
        known = {name: record[name] for name in cls.__struct_fields__ if name != "extra"}
        extra = {name: value for name, value in record.items() if name not in _USER_FIELDS}
        return cls(**known | {"id": str(record["id"]), "extra": extra})

    def to_record(self) -> Record:
        """Return the value as a row, with what was added to the model."""
        return _record_of(self)


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

    def to_record(self) -> Record:
        """Return the value as a row, with what was added to the model."""
        return _record_of(self)

    def __repr__(self) -> str:
        """Show no token: logs are read by many."""
        return f"Session(id={self.id!r}, user_id={self.user_id!r}, expires_at={self.expires_at})"


if TYPE_CHECKING:
    PublicUser = TypeVar("PublicUser", default=User)
else:
    PublicUser = TypeVar("PublicUser")
"""What the application's code gets for a user: `User`, or what its `user_mapper` makes."""


"""`User`, or a subclass of it."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A way in: a password, whose provider is `credential`, or an account at a provider.

    Its tokens are those of the provider, readable; a list of accounts comes without them.
    `password` is the hash.
    """

    id: str
    user_id: str
    provider_id: str
    account_id: str
    access_token: str | None = None
    refresh_token: str | None = None
    id_token: str | None = None
    access_token_expires_at: datetime | None = None
    refresh_token_expires_at: datetime | None = None
    scope: str | None = None
    password: str | None = None
    created_at: datetime
    updated_at: datetime
    extra: Mapping[str, Any] = {}

    @classmethod
    def from_record(cls, record: Record, *, tokens: Mapping[str, str | None]) -> "Account":
        """Return a stored row as a value, with its tokens as they were before they were sealed."""
        known = {name: record[name] for name in _ACCOUNT_FIELDS}
        extra = {name: value for name, value in record.items() if name not in _NOT_OF_ACCOUNTS}
        ids = {"id": str(record["id"]), "user_id": str(record["user_id"])}
        sealed = dict.fromkeys(TOKENS)
        return cls(**{**known, **ids, **sealed, **tokens, "extra": extra})

    def to_record(self) -> Record:
        """Return the value as a row, with what was added to the model."""
        return _record_of(self)

    @property
    def scopes(self) -> list[str]:
        """What the provider lets us do; on the wire they are one text with commas."""
        return self.scope.split(",") if self.scope else []

    def __repr__(self) -> str:
        """Show no token and no hash: logs are read by many."""
        return (
            f"Account(id={self.id!r}, user_id={self.user_id!r}, provider_id={self.provider_id!r})"
        )


class Identity(msgspec.Struct, Generic[PublicUser], frozen=True):
    """Who is asking: a session and its user."""

    session: Session
    user: PublicUser


def _record_of(entity: User | Session | Account) -> Record:
    own = {name: getattr(entity, name) for name in entity.__struct_fields__ if name != "extra"}
    return {**entity.extra, **own}


_USER_FIELDS: Final = frozenset(User.__struct_fields__) - {"extra"}
_SESSION_FIELDS: Final = frozenset(Session.__struct_fields__) - {"extra", "token"}
# The user may come with the session; it is no field of it.
_NOT_EXTRA: Final = _SESSION_FIELDS | {"token", "user"}
TOKENS: Final = ("access_token", "refresh_token", "id_token")
"""What of an account is the provider's secret, and sealed at rest."""
_ACCOUNT_FIELDS: Final = frozenset(Account.__struct_fields__) - {"extra", *TOKENS}
_NOT_OF_ACCOUNTS: Final = _ACCOUNT_FIELDS | {"user", *TOKENS}
