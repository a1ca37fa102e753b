"""Users: read, listed and written with types."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Protocol

from watchword.errors import ConfigurationError, InvalidValue, NoSuchUser
from watchword.http.emails import canonical_email, is_email
from watchword.storage.contract import Record
from watchword.storage.entities import PublicUser
from watchword.storage.query import F, OrderBy, Where, having
from watchword.storage.store import Store

__all__ = ["StoredUsers", "UserStore"]

_LOOKED_UP_BY: Final = ("email", "username")
_BY_ID: Final = (OrderBy("id"),)


class UserStore(Protocol[PublicUser]):
    """Keeps users; an application may bring its own, such as users of a directory.

    One that is brought returns `User`, or the subclass that `user_type` names, and may be
    written with `def` or `async def`. Fields are named as in the schema: `email_verified`.
    """

    async def create(self, *, email: str, name: str, **values: Any) -> PublicUser:
        """Write a user and return it; what is not given has its default.

        Args:
            email: In any case; what is stored and returned is in lower case.
            name: Any text.
            values: Other fields, and `id`, `created_at` and `updated_at` where they are known
                already. A store that is brought may give another id, but none twice: whoever
                gets it next has the sessions and passwords of who had it before.

        Raises:
            UniqueViolation: The address, or another value that is unique, is taken.
            InvalidValue: A value is not what its field keeps.
        """

    async def get(self, user_id: str) -> PublicUser | None:
        """Return the user of an id, or None."""

    async def get_by_email(self, email: str) -> PublicUser | None:
        """Return the user of an address, however it is written, or None."""

    async def get_by_field(self, field: str, value: str) -> PublicUser | None:
        """Return the user who is named by a field, or None.

        Args:
            field: "email", or "username" where users have one.
            value: What it holds.

        Raises:
            InvalidValue: The field names nobody.
            UnknownField: Users have no such field.
        """

    async def update(
        self, user_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> PublicUser | None:
        """Change a user and return it as it is then; None if there is none.

        Args:
            user_id: Whose.
            expected: Change only if these fields still have these values, in one step.
            changes: New values by field. A changed address stays as verified as the old one was,
                unless `email_verified` is given too.

        Raises:
            UniqueViolation: A value is taken.
            InvalidValue: A value is not what its field keeps.
        """

    async def delete(self, user_id: str) -> bool:
        """Delete a user with all that is theirs; tell whether this call did.

        Raises:
            ReferenceViolation: Rows that must not lose the user stand in the way.
        """

    async def list_users(
        self, *, offset: int = 0, limit: int = 100
    ) -> tuple[list[PublicUser], int]:
        """Return a page of the users, by id, and how many there are in all.

        Far pages cost the database what stands before them; `page` does not.
        """

    async def page(self, *, after: str | None = None, limit: int = 100) -> list[PublicUser]:
        """Return the users that come after an id, in the order of ids; none is the end.

        One that is brought orders ids as Python orders texts.
        """

    def all(self, *, batch_size: int = 500) -> AsyncIterator[PublicUser]:
        """Go through all users in the order of ids, with few of them in memory at a time."""


class StoredUsers(Generic[PublicUser]):
    """The users of one database.

    Args:
        store: The rows.
        of_record: Makes of a row what is returned.
        forms: Bring what is looked up into the form in which it is stored, by field.
        erase: Deletes a user with all that is theirs, or raises `NoSuchUser`.
    """

    def __init__(
        self,
        store: Store,
        of_record: Callable[[Record], PublicUser],
        *,
        forms: Mapping[str, Callable[[str], str]],
        erase: Callable[[Store, str], Awaitable[object]],
    ) -> None:
        self._store = store
        self._of_record = of_record
        self._forms = forms
        self._erase = erase

    async def create(self, *, email: str, name: str, **values: Any) -> PublicUser:
        """Write a user and return it; what is not given has its default."""
        row = {"email": _address(email), "name": name, **values}
        return self._of_record(await self._store.create("user", row))

    async def get(self, user_id: str) -> PublicUser | None:
        """Return the user of an id, or None."""
        return self._found(await self._store.find_one("user", F.id == user_id))

    async def get_by_email(self, email: str) -> PublicUser | None:
        """Return the user of an address, however it is written, or None."""
        return await self.get_by_field("email", email)

    async def get_by_field(self, field: str, value: str) -> PublicUser | None:
        """Return the user who is named by "email" or "username", or None."""
        self._store.schema.require_model("user").require_field(field)
        if field not in _LOOKED_UP_BY:
            raise InvalidValue("user", field, f"names nobody; {' and '.join(_LOOKED_UP_BY)} do")
        if not isinstance(value, str):
            raise InvalidValue("user", field, f"expected text, not {type(value).__name__}")
        form = canonical_email if field == "email" else self._forms.get(field, str)
        return self._found(await self._store.find_one("user", getattr(F, field) == form(value)))

    async def update(
        self, user_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> PublicUser | None:
        """Change a user and return it as it is then; None if there is none."""
        if "email" in changes:
            changes["email"] = _address(changes["email"])
        theirs = (F.id == user_id) & having(expected or {})
        return self._found(await self._store.update("user", theirs, changes))

    async def delete(self, user_id: str) -> bool:
        """Delete a user with all that is theirs; tell whether this call did."""
        try:
            await self._erase(self._store, user_id)
        except NoSuchUser:
            return False
        return True

    async def list_users(
        self, *, offset: int = 0, limit: int = 100
    ) -> tuple[list[PublicUser], int]:
        """Return a page of the users, by id, and how many there are in all."""
        _check_page(limit, offset)
        rows = await self._store.find_many("user", order_by=_BY_ID, offset=offset, limit=limit)
        return self._each(rows), await self._store.count("user")

    async def page(self, *, after: str | None = None, limit: int = 100) -> list[PublicUser]:
        """Return the users that come after an id, in the order of ids; none is the end."""
        _check_page(limit)
        return self._each(await self._page(None if after is None else F.id > after, limit))

    async def all(self, *, batch_size: int = 500) -> AsyncIterator[PublicUser]:
        """Go through all users in the order of ids, with few of them in memory at a time."""
        _check_page(batch_size)
        rows = await self._page(None, batch_size)
        while rows:
            for user in self._each(rows):
                yield user
            rows = await self._page(F.id > rows[-1]["id"], batch_size)

    async def _page(self, where: Where | None, limit: int) -> list[Record]:
        return await self._store.find_many("user", where, order_by=_BY_ID, limit=limit)

    def _each(self, rows: list[Record]) -> list[PublicUser]:
        return [self._of_record(row) for row in rows]

    def _found(self, row: Record | None) -> PublicUser | None:
        return None if row is None else self._of_record(row)


def _check_page(limit: int, offset: int = 0) -> None:
    if limit < 1 or offset < 0:
        raise ConfigurationError(
            f"There is no page of {limit} users from the {offset}th on.",
            hint="A limit is 1 or more, an offset 0 or more.",
        )


def _address(email: Any) -> str:
    if not isinstance(email, str) or not is_email(email):
        raise InvalidValue("user", "email", "is no e-mail address")
    return canonical_email(email)
