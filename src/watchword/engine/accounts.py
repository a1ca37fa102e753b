"""Accounts that sign in by password, called `credential`: made with their user, and found."""

from collections.abc import Mapping
from typing import Any, Final

from watchword.crypto.tokens import digest
from watchword.engine.options import EmailPassword, Options
from watchword.errors import APIError, CoreError, UniqueViolation
from watchword.http.bodies import utf16_length
from watchword.storage.contract import Record
from watchword.storage.query import F, Where
from watchword.storage.store import Store

__all__ = [
    "CREDENTIAL",
    "check_password_length",
    "check_password_not_too_long",
    "create_with_password",
    "find_credential",
    "find_with_password",
    "new_credential",
    "password_fingerprint",
    "replace_password",
    "require_email_password",
    "still_has_password",
    "write_password",
]

CREDENTIAL: Final = "credential"


def require_email_password(options: Options) -> EmailPassword:
    """Return how passwords are used.

    Raises:
        APIError: They are not.
    """
    if options.email_password is None:
        raise APIError(CoreError.EMAIL_PASSWORD_DISABLED)
    return options.email_password


def check_password_length(password: str, options: EmailPassword) -> None:
    """Refuse a password before any work is done for it.

    Raises:
        APIError: It is too short or too long.
    """
    if utf16_length(password) < options.min_password_length:
        raise APIError(CoreError.PASSWORD_TOO_SHORT)
    check_password_not_too_long(password, options)


def check_password_not_too_long(password: str, options: EmailPassword) -> None:
    """Refuse what no stored password can be; a short one may be of an older rule.

    Raises:
        APIError: It is too long.
    """
    if utf16_length(password) > options.max_password_length:
        raise APIError(CoreError.PASSWORD_TOO_LONG)


async def create_with_password(
    store: Store, user: Mapping[str, Any], *, password_hash: str
) -> Record:
    """Write a user and their credential account; joins the transaction that is open.

    Without transactions the account comes first. If the process dies then, it is nobody's, and in
    nobody's way; a user without one could neither sign in nor sign up again.

    Raises:
        UniqueViolation: The address is taken.
    """
    user_id = None if store.adapter.capabilities.transactions else store.new_id("user")
    if user_id is None:
        created = await store.create("user", user)
        await new_credential(store, str(created["id"]), password_hash=password_hash)
        return created
    await new_credential(store, user_id, password_hash=password_hash)
    try:
        return await store.create("user", {**user, "id": user_id})
    except BaseException:
        await store.delete("account", _is_credential_of(user_id))
        raise


async def new_credential(store: Store, user_id: str, *, password_hash: str) -> None:
    """Write a credential account; joins the transaction that is open.

    Raises:
        UniqueViolation: The user has one.
        ReferenceViolation: The user is gone.
    """
    await store.create(
        "account",
        {
            "user_id": user_id,
            "account_id": user_id,
            "provider_id": CREDENTIAL,
            "password": password_hash,
        },
    )


async def find_credential(store: Store, user_id: str, *, lock: bool = False) -> Record | None:
    """Return a user's credential account, with a password or without."""
    account = await store.find_one("account", _is_credential_of(user_id), lock=lock)
    # An account of this name that is somebody else's proves nothing.
    return account if account is not None and str(account["user_id"]) == user_id else None


def _is_credential_of(user_id: str) -> Where:
    return (F.provider_id == CREDENTIAL) & (F.account_id == user_id)


async def replace_password(store: Store, account: Record, password_hash: str) -> bool:
    """Write a new password over the one that was read; False if it was changed meanwhile."""
    unchanged = (F.id == account["id"]) & (F.password == account["password"])
    return await store.update("account", unchanged, {"password": password_hash}) is not None


async def find_with_password(store: Store, whose: Where) -> tuple[Record, Record] | None:
    """Return the user who is meant and their credential account, or None.

    Args:
        store: Where they are.
        whose: Compares a unique field, such as the canonical address.
    """
    user = await store.find_one("user", whose)
    # Looked for in any case: a statement less would tell that the user is unknown.
    about = "nobody" if user is None else str(user["id"])
    account = await find_credential(store, about)
    if user is None or account is None or account["password"] is None:
        return None
    return user, account


async def write_password(
    store: Store, user_id: str, account: Record | None, password_hash: str
) -> bool:
    """Replace the password of the account that was read, or make the account if there was none.

    Returns:
        False if another call was faster; nothing is written then.

    Raises:
        ReferenceViolation: The user is gone.
    """
    if account is not None:
        return await replace_password(store, account, password_hash)
    try:
        await new_credential(store, user_id, password_hash=password_hash)
    except UniqueViolation:
        return False
    return True


def password_fingerprint(account: Record | None) -> str:
    """Return what a link is bound to that must not outlive the present password."""
    return digest((account or {}).get("password") or "")


async def still_has_password(store: Store, account: Record) -> bool:
    """Tell whether the password is the one that was verified, and keep it so to the commit.

    A password that is changed meanwhile revokes the sessions of the old one; one that is
    made afterwards from the old password must not escape that.
    """
    unchanged = (F.id == account["id"]) & (F.password == account["password"])
    return await store.find_one("account", unchanged, lock=True) is not None
