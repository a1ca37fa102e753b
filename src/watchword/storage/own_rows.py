"""What a store of the application's own keeps, as rows."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import product
from typing import Any, Final, Protocol, TypeVar

from watchword.concurrency import call
from watchword.errors import ConfigurationError, InvalidValue
from watchword.storage.contract import Record
from watchword.storage.entities import Account, Session, User
from watchword.storage.query import And, Comparison, Operator, Where, required_values

__all__ = ["OwnAccounts", "OwnRows", "OwnSessions", "OwnUsers"]

T = TypeVar("T")

_PAGE: Final = 500


class OwnRows(Protocol):
    """The rows of one model in a store of the application's own."""

    def rows(self, where: Where) -> AsyncIterator[Record]:
        """Go through rows among which are all that match, in the order of ids.

        Raises:
            InvalidValue: The store cannot look for this.
        """

    async def total(self) -> int | None:
        """Return how many rows there are; None if the store cannot tell."""

    async def create(self, row: Mapping[str, Any]) -> Record:
        """Write a row and return it."""

    async def update(self, row: Record, changes: Record, expected: Record) -> Record | None:
        """Change a row if these fields still have these values; return it as it is then."""

    async def delete(self, row: Record) -> bool:
        """Delete a row; tell whether this call did."""


async def _asked(method: Callable[..., Awaitable[T] | T], *args: Any, **values: Any) -> T:
    """Call what the application wrote, be it `def` or `async def`."""
    return await call(partial(method, *args, **values))


class OwnUsers:
    """Users of a `UserStore` of the application's own.

    Args:
        store: Theirs.
        user_type: What its users are.
    """

    def __init__(self, store: Any, user_type: type[User]) -> None:
        self._store = store
        self._user_type = user_type

    async def rows(self, where: Where) -> AsyncIterator[Record]:
        """Look up by id, address or user name, or else go through all."""
        wanted = _wanted(where)
        if "id" in wanted:
            found = [await _asked(self._store.get, it) for it in wanted["id"]]
        elif "email" in wanted:
            found = [await _asked(self._store.get_by_email, it) for it in wanted["email"]]
        elif "username" in wanted:
            look_up = partial(_asked, self._store.get_by_field, "username")
            found = [await look_up(it) for it in wanted["username"]]
        else:
            async for row in self._all(after=_lower_bound(where)):
                yield row
            return
        for row in _by_id(self._row(it) for it in found if it is not None):
            yield row

    async def _all(self, after: str | None) -> AsyncIterator[Record]:
        while users := await _asked(self._store.page, after=after, limit=_PAGE):
            for user in users:
                yield self._row(user)
            after = users[-1].id

    async def total(self) -> int:
        """Return how many users there are."""
        _, total = await _asked(self._store.list_users, offset=0, limit=1)
        return int(total)

    async def create(self, row: Mapping[str, Any]) -> Record:
        """Write a user and return it."""
        return self._row(await _asked(self._store.create, **row))

    async def update(self, row: Record, changes: Record, expected: Record) -> Record | None:
        """Change a user if these fields still have these values."""
        update = self._store.update
        user = await _asked(update, str(row["id"]), expected=expected or None, **changes)
        return None if user is None else self._row(user)

    async def delete(self, row: Record) -> bool:
        """Delete a user; tell whether this call did."""
        return bool(await _asked(self._store.delete, str(row["id"])))

    def _row(self, user: object) -> Record:
        if not isinstance(user, self._user_type):
            raise ConfigurationError(
                f"{type(self._store).__name__} returns a {type(user).__name__}, "
                f"no {self._user_type.__name__}.",
                hint="Return User or a subclass of it, and name the subclass: user_type=….",
            )
        return user.to_record()


class OwnSessions:
    """Sessions of a `SessionStore` of the application's own."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def rows(self, where: Where) -> AsyncIterator[Record]:
        """Look up by token, id and user: whatever of these the condition names."""
        asked = list(_asked_for(where, {"token", "id"}))
        user_ids = _wanted(where).get("user_id")
        if not asked and user_ids is None:
            raise _cannot_look_for("session", "token, id or user_id")
        found: list[Session | None] = []
        for user_id in user_ids or ():
            found += await _asked(self._store.list_for_user, user_id)
        # Those that are asked for by their token come with it, others with a handle.
        for field, look_up in (("id", self._store.find), ("token", self._store.get)):
            values = [value for it in asked if it.field == field for value in _texts(it.values)]
            found += [await _asked(look_up, value) for value in values]
        for row in _by_id(it.to_record() for it in found if it is not None):
            yield row

    async def total(self) -> None:
        """Tell nothing: nobody counts all sessions."""

    async def create(self, row: Mapping[str, Any]) -> Record:
        """Write a session and return it."""
        user_id, values = _split(row, "user_id")
        session: Session = await _asked(self._store.create, user_id, **values)
        return session.to_record()

    async def update(self, row: Record, changes: Record, expected: Record) -> Record | None:
        """Change a session if these fields still have these values."""
        update = self._store.update
        # Whose it is never changes; a store that keeps sessions by user finds it at once.
        whose = {**expected, "user_id": str(row["user_id"])}
        session = await _asked(update, str(row["id"]), expected=whose, **changes)
        return None if session is None else {**session.to_record(), "token": row["token"]}

    async def delete(self, row: Record) -> bool:
        """End a session by its token, or by the handle that came in its place."""
        user_id = str(row["user_id"])
        return bool(await _asked(self._store.revoke, row["token"], user_id=user_id))


class OwnAccounts:
    """Accounts of an `AccountStore` of the application's own."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def rows(self, where: Where) -> AsyncIterator[Record]:
        """Look up by id, by provider and subject, or by user."""
        wanted = _wanted(where)
        found: list[Account | None] = []
        if "id" in wanted:
            found = [await _asked(self._store.get, it) for it in wanted["id"]]
        elif {"provider_id", "account_id"} <= set(wanted):
            named = product(wanted["provider_id"], wanted["account_id"])
            found = [await _asked(self._store.find, *it) for it in named]
        elif "user_id" in wanted:
            for user_id in wanted["user_id"]:
                found += await _asked(self._store.list_for_user, user_id)
        else:
            raise _cannot_look_for("account", "id, provider_id and account_id, or user_id")
        for row in _by_id(it.to_record() for it in found if it is not None):
            yield row

    async def total(self) -> None:
        """Tell nothing: nobody counts all accounts."""

    async def create(self, row: Mapping[str, Any]) -> Record:
        """Write an account and return it."""
        user_id, values = _split(row, "user_id")
        account: Account = await _asked(self._store.create, user_id, **values)
        return account.to_record()

    async def update(self, row: Record, changes: Record, expected: Record) -> Record | None:
        """Change an account if these fields still have these values."""
        update = self._store.update
        account = await _asked(update, str(row["id"]), expected=expected or None, **changes)
        return None if account is None else account.to_record()

    async def delete(self, row: Record) -> bool:
        """Unlink an account; tell whether this call did."""
        user_id = str(row["user_id"])
        return bool(await _asked(self._store.unlink, user_id, str(row["id"]), even_last=True))


# --- conditions ----------------------------------------------------------------------------


def _wanted(where: Where) -> dict[str, list[str]]:
    """Return of which values every row that matches has one, by field, as own stores know them."""
    return {name: _texts(values) for name, values in required_values(where).items()}


def _asked_for(where: Where, fields: Collection[str]) -> Iterable[Comparison]:
    """Go through the comparisons that mention values, be they wanted or excepted."""
    return (it for it in where.comparisons() if it.field in fields and it.names_values)


def _texts(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values]


def _by_id(rows: Iterable[Record]) -> list[Record]:
    """Return each row once, the last of those with one id, in the order of ids."""
    found = {row["id"]: row for row in rows}
    return [found[key] for key in sorted(found)]


def _lower_bound(where: Where) -> str | None:
    """Return an id that all rows which match come after."""
    parts = where.parts if isinstance(where, And) else (where,)
    bounds = (
        str(it.value)
        for it in parts
        if isinstance(it, Comparison) and (it.field, it.operator) == ("id", Operator.GT)
    )
    return max(bounds, default=None)


def _split(row: Mapping[str, Any], first: str) -> tuple[str, dict[str, Any]]:
    return str(row[first]), {name: value for name, value in row.items() if name != first}


def _cannot_look_for(model: str, what: str) -> InvalidValue:
    return InvalidValue(model, what.split(",", maxsplit=1)[0], f"an own store looks up {what}")
