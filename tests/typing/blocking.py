"""What a type checker says about the blocking classes: checked by mypy, never run."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from typing import Any, assert_type

from watchword import BlockingWatchword, User
from watchword.concurrency import driven, driven_iterator
from watchword.storage.blocking import BlockingStore, BlockingUnit
from watchword.storage.contract import Record
from watchword.storage.entities import Account, Session
from watchword.storage.query import F
from watchword.storage.stores.accounts import StoredAccounts
from watchword.storage.stores.blocking import (
    BlockingAccountStore,
    BlockingSessionStore,
    BlockingStoredAccounts,
    BlockingStoredSessions,
    BlockingStoredUsers,
    BlockingStoredVerifications,
    BlockingUserStore,
    BlockingVerificationStore,
)
from watchword.storage.stores.sessions import StoredSessions
from watchword.storage.stores.users import StoredUsers, UserStore
from watchword.storage.stores.verifications import Found, StoredVerifications

auth = BlockingWatchword("sqlite:///auth.db")
store = BlockingStore(auth.instance.store)


def _rows() -> None:
    assert_type(store.create("user", {"name": "Ada"}), Record)
    assert_type(store.find_one("user", F.name == "Ada", lock=True), Record | None)
    assert_type(store.find_many("user", limit=5), list[Record])
    assert_type(store.update("user", F.id == "1", {"name": "Ada"}), Record | None)
    assert_type(store.consume_one("user", F.id == "1"), Record | None)
    assert_type(store.delete_many("user", None), int)
    assert_type(store.count("user"), int)
    store.create("user")  # type: ignore[call-arg]  # no values
    store.find_one("user", "Ada")  # type: ignore[arg-type]  # no condition
    store.delete("user", F.id == "1", lock=True)  # type: ignore[call-arg]  # no such parameter


async def _nothing_is_awaited() -> None:
    await store.create("user", {})  # type: ignore[misc]  # done already
    async with store.transaction():  # type: ignore[attr-defined]  # `with` alone
        pass
    BlockingStore(store)  # type: ignore[arg-type]  # it is blocking by now


def _transactions(session: Any) -> None:
    assert_type(store.transaction(), AbstractContextManager[None])
    with store.using(session) as unit:
        assert_type(unit, BlockingUnit)
    assert_type(store.run_in_transaction(lambda: 5, attempts=1), int)
    assert_type(store.run_in_transaction(_text), str)
    store.run_in_transaction(len)  # type: ignore[arg-type]  # it takes nothing
    store.after_commit(_text)


def _text() -> str:
    return ""


def _typed_stores(
    users: StoredUsers[User],
    sessions: StoredSessions,
    accounts: StoredAccounts[User],
    verifications: StoredVerifications,
) -> None:
    their_users: BlockingUserStore[User] = BlockingStoredUsers(users)
    their_sessions: BlockingSessionStore = BlockingStoredSessions(sessions)
    their_accounts: BlockingAccountStore[User] = BlockingStoredAccounts(accounts)
    their_values: BlockingVerificationStore = BlockingStoredVerifications(verifications)
    assert_type(BlockingStoredUsers(users), BlockingStoredUsers[User])
    assert_type(their_users.get("1"), User | None)
    assert_type(their_users.all(), Iterator[User])
    assert_type(their_users.delete("1"), bool)
    assert_type(their_sessions.create("1"), Session)
    assert_type(their_sessions.list_for_user("1"), list[Session])
    assert_type(their_accounts.find("google", "1"), Account | None)
    assert_type(their_accounts.get_by_provider("google", "1"), User | None)
    assert_type(their_values.issue("reset", "1", expires_in=timedelta(hours=1)), str)
    assert_type(their_values.find("reset", "x"), Found | None)


def _a_store_of_the_application_s_own(users: UserStore[User]) -> None:
    assert_type(BlockingStoredUsers(users).page(), list[User])


def _driven(entered: AbstractAsyncContextManager[int], numbers: AsyncIterator[int]) -> None:
    with driven(entered) as number:
        assert_type(number, int)
    for item in driven_iterator(numbers):
        assert_type(item, int)
    driven_iterator(numbers).close()
