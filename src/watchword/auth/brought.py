"""The stores that an application brings instead of the database's."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from watchword.clock import Clock
from watchword.concurrency import call
from watchword.errors import ConfigurationError
from watchword.schema import OwnTable
from watchword.schema.elsewhere import KeptElsewhere
from watchword.storage.cached_sessions import CachedSessions
from watchword.storage.contract import Adapter
from watchword.storage.own_rows import OwnAccounts, OwnRows, OwnSessions, OwnUsers
from watchword.storage.own_stores import OwnStores
from watchword.storage.own_verifications import OwnVerifications
from watchword.storage.secondary_sessions import SecondarySessions
from watchword.storage.store import Store
from watchword.storage.stores import (
    AccountStore,
    SessionStore,
    StoredVerifications,
    UserStore,
    VerificationStore,
)

__all__ = ["Brought"]

_PROTOCOLS: Final[Mapping[str, type]] = {
    "users": UserStore,
    "sessions": SessionStore,
    "accounts": AccountStore,
    "verifications": VerificationStore,
}
# It leads to users, whom another store may keep.
_NEVER_ASKED: Final = frozenset({"get_by_provider"})


@dataclass(frozen=True, slots=True)
class Brought:
    """What was given to the constructor; None is kept in the database.

    Raises:
        ConfigurationError: Something of it is no such store.
    """

    users: Any
    sessions: Any
    accounts: Any
    verifications: Any

    cached: CachedSessions | None = field(init=False, default=None)
    """Where sessions are read that something else keeps."""

    def __post_init__(self) -> None:
        if isinstance(self.sessions, CachedSessions):
            object.__setattr__(self, "cached", self.sessions)
            object.__setattr__(self, "sessions", None)
        elif isinstance(self.sessions, SecondarySessions):
            # Their users are in the database, which would be asked with each request.
            beside = CachedSessions(self.sessions.storage)
            object.__setattr__(self, "cached", beside)
        for name, protocol in _PROTOCOLS.items():
            if (store := getattr(self, name)) is not None:
                _check(name, store, protocol)

    @property
    def stores(self) -> list[object]:
        """What was given."""
        given = [self.cached, *(getattr(self, name) for name in _PROTOCOLS)]
        return [it for it in given if it is not None]

    @property
    def models(self) -> list[str]:
        """Which models the database does not keep."""
        own = {"user": self.users, "session": self.sessions, "account": self.accounts}
        return [name for name, store in own.items() if store is not None]

    def own(self, tables: Sequence[OwnTable]) -> Sequence[OwnTable]:
        """Return what stands for models of ours: the application's tables, and its stores.

        Raises:
            ConfigurationError: Users are in a table and in a store.
        """
        if self.users is not None and tables:
            raise ConfigurationError(
                "There are two places for users: the adapter's user_model, and users=….",
                hint="Give one of them.",
            )
        return [*tables, *map(KeptElsewhere, self.models)]

    def beside(self, adapter: Adapter[Any], user_type: Any) -> Adapter[Any]:
        """Return what keeps all rows: the own stores theirs, the adapter the others."""
        rows: dict[str, Callable[[], OwnRows]] = {
            "user": lambda: OwnUsers(self.users, user_type),
            "session": lambda: OwnSessions(self.sessions),
            "account": lambda: OwnAccounts(self.accounts),
        }
        own = {name: rows[name]() for name in self.models}
        return OwnStores(adapter, own) if own else adapter

    def verifications_of(self, store: Store, clock: Clock) -> VerificationStore:
        """Return what keeps the values that prove something once."""
        if self.verifications is None:
            return StoredVerifications(store, clock)
        return OwnVerifications(self.verifications)

    @property
    def purges(self) -> dict[str, Callable[[], Awaitable[int]]]:
        """What deletes expired rows of own stores, by the name in `Purged`."""
        stores = {"sessions": self.sessions, "verifications": self.verifications}
        return {
            name: partial(call, store.purge) for name, store in stores.items() if store is not None
        }


def _check(name: str, store: object, protocol: type) -> None:
    if isinstance(store, type):
        raise ConfigurationError(
            f"{name} is the class {store.__name__}.", hint=f"Make one: {name}={store.__name__}(…)."
        )
    wanted = {it for it in vars(protocol) if not it.startswith("_")} - _NEVER_ASKED
    missing = [it for it in sorted(wanted) if not callable(getattr(store, it, None))]
    if missing:
        raise ConfigurationError(
            f"{type(store).__name__} is no {protocol.__name__}: it has no {', '.join(missing)}.",
            hint=f"Write what watchword.storage.stores.{protocol.__name__} says; "
            f"watchword.testing.{protocol.__name__}Suite proves it.",
        )
