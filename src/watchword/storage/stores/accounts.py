"""Accounts: the ways in that a user has, at providers and by password."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Generic, Protocol

from watchword.crypto.foreign_hashes import refusal_of_hash
from watchword.errors import (
    InvalidValue,
    LastAccount,
    ReferenceViolation,
    StorageUnavailable,
    UniqueViolation,
)
from watchword.storage.contract import PublicUser_co, Record
from watchword.storage.entities import TOKENS, Account, PublicUser
from watchword.storage.query import F, Include, OrderBy, Where, having
from watchword.storage.store import Store

__all__ = ["AccountStore", "StoredAccounts"]

_NAMED: Final = ("account_id", "provider_id")
# Others may win as often; a transaction that sees an old state would lose for ever.
_TURNS: Final = 20


class AccountStore(Protocol[PublicUser_co]):
    """Keeps the accounts of users; an application may bring its own.

    One that is brought may be written with `def` or `async def`. It gets the tokens of
    providers sealed, as texts that only this instance can read, and passwords as hashes.
    """

    async def get(self, account_id: str) -> Account | None:
        """Return an account by its own id, with its tokens.

        Raises:
            UnsealError: The secret is gone under which they were sealed.
        """

    async def find(self, provider_id: str, account_id: str) -> Account | None:
        """Return the account that a provider knows by an id, with its tokens.

        Raises:
            UnsealError: The secret is gone under which they were sealed.
        """

    async def get_by_provider(self, provider_id: str, account_id: str) -> PublicUser_co | None:
        """Return the user whom a provider knows by an id, or None.

        A store that is brought is not asked this.
        """

    async def create(
        self, user_id: str, provider_id: str, account_id: str, **values: Any
    ) -> Account:
        """Link an account and return it without tokens.

        Args:
            user_id: Whose.
            provider_id: Such as "google".
            account_id: The subject: the user's id at the provider.
            values: Other fields, and `id`, `created_at` and `updated_at` where they are known
                already.

        Raises:
            InvalidValue: `password` is no hash that a sign-in can verify, but perhaps a
                password in clear.
            UniqueViolation: It is linked already.
            ReferenceViolation: There is no such user; one that is brought may not know.
        """

    async def upsert(
        self, user_id: str, provider_id: str, account_id: str, **values: Any
    ) -> Account:
        """Link an account or bring it up to date, and return it without tokens.

        Of several callers who link one account for one user all get the same one.

        Args:
            user_id: Whose.
            provider_id: Such as "google".
            account_id: The subject: the user's id at the provider.
            values: Other fields, tokens among them.

        Raises:
            UniqueViolation: It is the account of another user, and stays theirs.
            ReferenceViolation: There is no such user.
        """

    async def list_for_user(self, user_id: str) -> list[Account]:
        """Return all accounts of a user, the oldest first, without tokens."""

    async def update(
        self, account_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> Account | None:
        """Change an account by its own id and return it without tokens; None if there is none.

        Args:
            account_id: Which.
            expected: Change only if these fields still have these values, in one step.
            changes: New values by field.
        """

    async def unlink(self, user_id: str, account_id: str, *, even_last: bool = False) -> bool:
        """Delete an account of a user by its own id; tell whether this call did.

        Of several callers who each leave one way in, together they do too.

        Raises:
            LastAccount: The user has one way in alone; nothing was deleted.
        """


class StoredAccounts(Generic[PublicUser]):
    """The accounts of one database.

    Args:
        store: The rows.
        of_record: Makes of a user's row what is returned.
    """

    def __init__(self, store: Store, of_record: Callable[[Record], PublicUser]) -> None:
        self._store = store
        self._of_record = of_record

    async def get(self, account_id: str) -> Account | None:
        """Return an account by its own id, with its tokens."""
        row = await self._store.find_one("account", F.id == account_id)
        return None if row is None else self._opened(row)

    async def find(self, provider_id: str, account_id: str) -> Account | None:
        """Return the account that a provider knows by an id, with its tokens."""
        row = await self._store.find_one("account", _known_as(provider_id, account_id))
        return None if row is None else self._opened(row)

    async def get_by_provider(self, provider_id: str, account_id: str) -> PublicUser | None:
        """Return the user whom a provider knows by an id, or None."""
        row = await self._store.find_one(
            "account",
            _known_as(provider_id, account_id),
            include=(Include("user", through="user_id"),),
        )
        return None if row is None or row["user"] is None else self._of_record(row["user"])

    async def create(
        self, user_id: str, provider_id: str, account_id: str, **values: Any
    ) -> Account:
        """Link an account and return it without tokens."""
        named = {"user_id": user_id, "provider_id": provider_id, "account_id": account_id}
        row = await self._store.create("account", {**named, **_checked(values)})
        return Account.from_record(row, tokens={})

    async def upsert(
        self, user_id: str, provider_id: str, account_id: str, **values: Any
    ) -> Account:
        """Link an account or bring it up to date, and return it without tokens."""
        named = _known_as(provider_id, account_id)
        mine = named & (F.user_id == user_id)
        transact = self._store.run_in_transaction  # InnoDB ends races for a new key by deadlocks
        change = partial(self._store.update, "account", mine, _checked(values))
        create = partial(self.create, user_id, provider_id, account_id, **values)
        find = partial(self._store.find_one, "account", named, lock=True)
        for _ in range(_TURNS):  # each but the last was lost to another call, which was done then
            row = await transact(change)
            if row is not None:
                return Account.from_record(row, tokens={})
            try:
                return await transact(create)
            except UniqueViolation as error:
                present = await transact(find)
                is_of_another = present is not None and str(present["user_id"]) != str(user_id)
                if is_of_another or error.fields not in {_NAMED, ()}:
                    raise
        raise StorageUnavailable("The account is taken by nobody who can be seen.", retryable=True)

    async def list_for_user(self, user_id: str) -> list[Account]:
        """Return all accounts of a user, the oldest first, without tokens."""
        order = (OrderBy("created_at"),)
        rows = await self._store.find_many("account", F.user_id == user_id, order_by=order)
        return [Account.from_record(row, tokens={}) for row in rows]

    async def update(
        self, account_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> Account | None:
        """Change an account by its own id and return it without tokens; None if there is none."""
        theirs = (F.id == account_id) & having(expected or {})
        row = await self._store.update("account", theirs, _checked(changes))
        return None if row is None else Account.from_record(row, tokens={})

    async def unlink(self, user_id: str, account_id: str, *, even_last: bool = False) -> bool:
        """Delete an account of a user by its own id; tell whether this call did."""
        theirs = F.user_id == user_id
        unlinked = theirs & (F.id == account_id)
        if even_last:  # nothing is counted, so this works without transactions
            return await self._store.delete_many("account", unlinked) > 0

        async def unlink(count: int) -> bool:
            if count == 1:
                raise LastAccount
            return await self._store.delete_many("account", unlinked) > 0

        try:
            # Counted alone: two calls that each leave one would together leave none.
            return await self._store.when_counted("account", theirs, unlink)
        except ReferenceViolation:
            return False  # nobody has this id

    def _opened(self, row: Record) -> Account:
        tokens = {name: self._store.unseal("account", row, name) for name in TOKENS}
        return Account.from_record(row, tokens=tokens)


def _checked(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse a password that is none of the hashes that a sign-in can verify."""
    refusal = refusal_of_hash(values["password"]) if values.get("password") else None
    if refusal is not None:
        raise InvalidValue("account", "password", refusal)
    return values


def _known_as(provider_id: str, account_id: str) -> Where:
    return (F.provider_id == provider_id) & (F.account_id == account_id)
