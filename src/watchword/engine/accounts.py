"""Accounts that sign in by password, called `credential`: made with their user, and found."""

from collections.abc import Mapping
from typing import Any, Final

from watchword.engine.options import EmailPassword
from watchword.errors import APIError, CoreError
from watchword.storage.contract import Record
from watchword.storage.query import F
from watchword.storage.store import Store

__all__ = [
    "CREDENTIAL",
    "check_password_length",
    "check_password_not_too_long",
    "create_with_password",
    "find_with_password",
    "still_has_password",
]

CREDENTIAL: Final = "credential"


def check_password_length(password: str, options: EmailPassword) -> None:
    """Refuse a password before any work is done for it.

    Raises:
        APIError: It is too short or too long.
    """
    if _utf16_length(password) < options.min_password_length:
        raise APIError(CoreError.PASSWORD_TOO_SHORT)
    check_password_not_too_long(password, options)


def check_password_not_too_long(password: str, options: EmailPassword) -> None:
    """Refuse what no stored password can be; a short one may be of an older rule.

    Raises:
        APIError: It is too long.
    """
    if _utf16_length(password) > options.max_password_length:
        raise APIError(CoreError.PASSWORD_TOO_LONG)


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


async def create_with_password(
    store: Store, user: Mapping[str, Any], *, password_hash: str
) -> Record:
    """Write a user and their credential account; joins the transaction that is open.

    Raises:
        UniqueViolation: The address is taken.
    """
    created = await store.create("user", user)
    await store.create(
        "account",
        {
            "user_id": created["id"],
            "account_id": str(created["id"]),
            "provider_id": CREDENTIAL,
            "password": password_hash,
        },
    )
    return created


async def find_with_password(store: Store, email: str) -> tuple[Record, Record] | None:
    """Return the user with this canonical address and their credential account, or None."""
    user = await store.find_one("user", F.email == email)
    # Looked for in any case: a statement less would tell that the address is unknown.
    about = "nobody" if user is None else str(user["id"])
    credential = (F.provider_id == CREDENTIAL) & (F.account_id == about)
    account = await store.find_one("account", credential)
    if user is None or account is None or account["password"] is None:
        return None
    # An account of this name that is somebody else's proves nothing.
    return (user, account) if account["user_id"] == user["id"] else None


async def still_has_password(store: Store, account: Record) -> bool:
    """Tell whether the password is the one that was verified, and keep it so to the commit.

    A password that is changed meanwhile revokes the sessions of the old one; one that is
    made afterwards from the old password must not escape that.
    """
    unchanged = (F.id == account["id"]) & (F.password == account["password"])
    return await store.find_one("account", unchanged, lock=True) is not None
