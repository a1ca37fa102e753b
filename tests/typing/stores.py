"""What a type checker says about typed stores and transactions: checked by mypy, never run."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from typing import Annotated, Any, assert_type

from fastapi import Depends
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session as ORMSession

from watchword import BlockingWatchword, Identity, Session, User, Watchword
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.http.messages import Request
from watchword.integrations.fastapi import require_user
from watchword.storage.after_commit import Unit
from watchword.storage.blocking import BlockingStore, BlockingUnit
from watchword.storage.entities import Account
from watchword.storage.store import Store
from watchword.storage.stores import Found, UserStore
from watchword.storage.stores.blocking import BlockingUserStore


class AppUser(User, frozen=True, kw_only=True):
    """Users of the application, who have a plan."""

    plan: str
    age: int | None


class Stranger:
    """No user at all."""


URL = "sqlite+aiosqlite:///auth.db"
auth = Watchword(URL, user_type=AppUser)
blocking = BlockingWatchword("sqlite:///auth.db", user_type=AppUser)
plain = Watchword(URL)
assert_type(auth, Watchword[AppUser])
assert_type(blocking, BlockingWatchword[AppUser])
assert_type(Watchword(MemoryAdapter(), user_type=AppUser), Watchword[AppUser])
own_table = SQLAlchemyAdapter("sqlite://", user_model=Stranger)
assert_type(Watchword(own_table, user_type=AppUser), Watchword[AppUser])
assert_type(BlockingWatchword(own_table, user_type=AppUser), BlockingWatchword[AppUser])
assert_type(Watchword(URL, user_type=User), Watchword[User])
assert_type(plain, Watchword[User])
assert_type(BlockingWatchword("sqlite:///auth.db"), BlockingWatchword[User])
Watchword(URL, user_type="AppUser")  # type: ignore[arg-type]  # the class, not its name


def _app_user(user: User) -> AppUser:
    return AppUser(**user.to_record(), plan="", age=None)


# A mapper's users that are `User`s as well are named by the application, or by `user_type`.
mapped: Watchword[AppUser] = Watchword(SQLAlchemyAdapter("sqlite://", user_mapper=_app_user))


# --- users ---------------------------------------------------------------------------------


async def _users() -> None:
    assert_type(await auth.users.get("1"), AppUser | None)
    assert_type(await auth.users.get_by_email("ada@example.org"), AppUser | None)
    assert_type(await auth.users.get_by_field("username", "ada"), AppUser | None)
    made = await auth.users.create(email="ada@example.org", name="Ada", plan="gold")
    assert_type(made, AppUser)
    assert_type(made.plan, str)
    assert_type(made.age, int | None)
    assert_type(made.extra, Mapping[str, Any])
    assert_type(await auth.users.update("1", expected={"plan": "free"}, plan="x"), AppUser | None)
    assert_type(await auth.users.delete("1"), bool)
    assert_type(await auth.users.list_users(limit=5), tuple[list[AppUser], int])
    assert_type(await auth.users.page(after="1"), list[AppUser])
    assert_type(auth.users.all(), AsyncIterator[AppUser])
    assert_type(await plain.users.get("1"), User | None)
    auth.users = auth.users  # type: ignore[misc]  # an instance stays as it was built
    made.plan = "free"  # type: ignore[misc]  # a value
    made.tier  # type: ignore[attr-defined]  # noqa: B018 - no such field
    auth.users.get("1").plan  # type: ignore[attr-defined]  # noqa: B018 - not awaited
    (await auth.users.get("1")).plan  # type: ignore[union-attr]  # noqa: B018 - perhaps nobody
    await auth.users.create("ada@example.org")  # type: ignore[call-arg]  # by name
    await auth.users.get(1)  # type: ignore[arg-type]  # ids are texts
    (await plain.users.page())[0].plan  # type: ignore[attr-defined]  # noqa: B018 - of AppUser


def _blocking_users() -> None:
    assert_type(blocking.users.get("1"), AppUser | None)
    assert_type(blocking.users.create(email="", name=""), AppUser)
    assert_type(blocking.users.list_users(), tuple[list[AppUser], int])
    assert_type(blocking.users.all(), Iterator[AppUser])
    assert_type(blocking.accounts.get_by_provider("google", "1"), AppUser | None)


async def _who_asks(request: Request) -> None:
    found = await auth.identify(request)
    assert_type(found, Identity[AppUser] | None)
    assert found is not None
    assert_type(found.user, AppUser)
    assert_type(found.user.plan, str)
    assert_type(blocking.identify(request), Identity[AppUser] | None)
    found.user = found.user  # type: ignore[misc]  # a value


async def _me(user: Annotated[AppUser, Depends(require_user)]) -> str:
    return user.plan


# --- the other three -----------------------------------------------------------------------


async def _others() -> None:
    session = await auth.sessions.create("1")
    assert_type(session, Session)
    assert_type(await auth.sessions.get("token"), Session | None)
    assert_type(await auth.sessions.list_for_user("1"), list[Session])
    assert_type(await auth.sessions.revoke("token"), bool)
    assert_type(await auth.sessions.revoke_all("1", but="token"), int)
    assert_type(await auth.accounts.get("1"), Account | None)
    assert_type(await auth.accounts.get_by_provider("google", "1"), AppUser | None)
    assert_type(await auth.accounts.list_for_user("1"), list[Account])
    token = await auth.verifications.issue("invitation", "1", expires_in=timedelta(hours=1))
    assert_type(token, str)
    assert_type(await auth.verifications.find("invitation", token), Found | None)
    assert_type(await auth.verifications.redeem("invitation", token), str | None)
    session.token = ""  # type: ignore[misc]  # a value
    (await auth.accounts.list_for_user("1"))[0].scope = ""  # type: ignore[misc]  # likewise
    await auth.verifications.issue("invitation", "1")  # type: ignore[call-arg]  # for how long?


def _others_blocking() -> None:
    assert_type(blocking.sessions.create("1"), Session)
    assert_type(blocking.accounts.get("1"), Account | None)
    assert_type(blocking.verifications.redeem("invitation", "token"), str | None)


# --- stores of plugins, and of the application ----------------------------------------------


class Badges:
    """A plugin's store."""

    def __init__(self, store: Store) -> None:
        self.store = store


class BlockingBadges:
    """The same without `await`."""

    def __init__(self, store: BlockingStore) -> None:
        self.store = store


assert_type(auth.stores(Badges), Badges)
assert_type(blocking.stores(BlockingBadges), BlockingBadges)
auth.stores(BlockingBadges)  # type: ignore[arg-type]  # of the other kind
blocking.stores(Badges)  # type: ignore[arg-type]  # likewise


class Directory:
    """Users of a directory, as the application brings them."""

    async def create(self, *, email: str, name: str, **values: Any) -> AppUser:
        """Make a user."""
        raise NotImplementedError

    async def get(self, user_id: str) -> AppUser | None:
        """Find one by id."""
        raise NotImplementedError

    async def get_by_email(self, email: str) -> AppUser | None:
        """Find one by address."""
        raise NotImplementedError

    async def get_by_field(self, field: str, value: str) -> AppUser | None:
        """Find one by a field."""
        raise NotImplementedError

    async def update(
        self, user_id: str, *, expected: Mapping[str, Any] | None = None, **changes: Any
    ) -> AppUser | None:
        """Change one."""
        raise NotImplementedError

    async def delete(self, user_id: str) -> bool:
        """Remove one."""
        raise NotImplementedError

    async def list_users(self, *, offset: int = 0, limit: int = 100) -> tuple[list[AppUser], int]:
        """Return some, and how many there are."""
        raise NotImplementedError

    async def page(self, *, after: str | None = None, limit: int = 100) -> list[AppUser]:
        """Return the next ones."""
        raise NotImplementedError

    async def all(self, *, batch_size: int = 500) -> AsyncIterator[AppUser]:
        """Go through all."""
        yield await self.create(email="ada@example.org", name="Ada")


class Odd(Directory):
    """One that looks people up by number."""

    async def get(self, user_id: int) -> AppUser | None:  # type: ignore[override]
        """Find one by id."""
        raise NotImplementedError


class Short:
    """One that lacks nearly everything."""

    async def get(self, user_id: str) -> AppUser | None:
        """Find one by id."""
        raise NotImplementedError


def _brought(theirs: UserStore[AppUser], called: BlockingUserStore[AppUser]) -> None:
    assert_type(Watchword(URL, users=theirs), Watchword[AppUser])
    assert_type(Watchword(URL, users=theirs, user_type=AppUser), Watchword[AppUser])
    assert_type(Watchword(URL, users=called), Watchword[AppUser])
    assert_type(Watchword(URL, users=Directory()), Watchword[AppUser])
    assert_type(BlockingWatchword("sqlite://", users=called), BlockingWatchword[AppUser])
    Watchword(URL, users=theirs, user_type=Stranger)  # type: ignore[misc]  # of others
    Watchword(URL, users=Odd())  # type: ignore[arg-type]  # ids are texts
    Watchword(URL, users=Short())  # type: ignore[arg-type]  # it cannot create
    Watchword(URL, sessions=Directory())  # type: ignore[arg-type]  # of users


# --- transactions --------------------------------------------------------------------------


async def _number() -> int:
    return 5


async def _transactions(
    session: AsyncSession, connection: AsyncConnection, plain_session: ORMSession
) -> None:
    assert_type(auth.transaction(), AbstractAsyncContextManager[None])
    async with auth.using(session) as unit:
        assert_type(unit, Unit)
    auth.using(connection)
    auth.using(plain_session)
    auth.using(URL)  # type: ignore[arg-type]  # no session
    assert_type(await auth.run_in_transaction(_number, attempts=2), int)
    await auth.run_in_transaction(lambda: 5)  # type: ignore[arg-type, return-value]  # awaited
    await auth.after_commit(_number)
    with auth.transaction():  # type: ignore[attr-defined]  # `async with`
        pass


def _blocking_transactions(
    session: ORMSession, connection: Connection, wrong: AsyncSession
) -> None:
    assert_type(blocking.transaction(), AbstractContextManager[None])
    with blocking.using(session) as unit:
        assert_type(unit, BlockingUnit)
    blocking.using(connection)
    blocking.using(wrong)  # type: ignore[arg-type]  # it needs a loop
    assert_type(blocking.run_in_transaction(lambda: 5), int)
    blocking.after_commit(lambda: None)
