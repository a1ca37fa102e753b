"""Typed stores where a transaction sees an old state, or where no row of ours can be locked."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from watchword import Field, LastAccount, Plugin, StorageUnavailable, User, UserOptions
from watchword.adapters.memory import MemoryAdapter
from watchword.errors import InvalidValue, UniqueViolation
from watchword.storage.query import F

HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Handles(Plugin):
    """Gives accounts a name that no other one has."""

    id = "handles"
    extends: ClassVar = {"account": {"handle": Field("string", required=False, unique=True)}}


class Text(str):
    """A text that is not quite one, as template engines make."""

    __slots__ = ()


class Directory:
    """Users who are nobody's rows; these tests only ask for one by id."""

    create = get_by_email = get_by_field = update = delete = list_users = page = all = print

    def __init__(self, *users: User) -> None:
        self.users = {user.id: user for user in users}

    def get(self, user_id):
        """Return a user."""
        return self.users.get(user_id)


@pytest.fixture
def directory(clock):
    """One person, whom no database knows."""
    now = clock()
    ada = User(
        id="ada",
        name="Ada",
        email="ada@example.org",
        email_verified=True,
        image=None,
        created_at=now,
        updated_at=now,
    )
    return Directory(ada)


async def linked(auth, user_id, count):
    """Give a user so many ways in."""
    return [await auth.accounts.upsert(user_id, "github", str(it)) for it in range(count)]


async def unlinked(auth, user_id, account):
    """Give one up, unless it is the last one."""
    try:
        return await auth.accounts.unlink(user_id, account.id)
    except LastAccount:
        return "last"


async def test_a_user_elsewhere_keeps_a_way_in(app_auth, sql_database, directory, race):
    """Nobody can lock their row, and still one of them waits for the other."""
    auth = await app_auth(
        sql_database, users=directory, user_type=None, plugins=[], user=UserOptions()
    )
    accounts = iter(await linked(auth, "ada", 4))

    outcomes = await race(4, lambda: unlinked(auth, "ada", next(accounts)))

    assert sorted(map(str, outcomes)) == ["True", "True", "True", "last"]


async def test_a_limit_holds_for_a_user_elsewhere(app_auth, sql_database, directory, race):
    """As for one whose row is in the database."""
    auth = await app_auth(
        sql_database, users=directory, user_type=None, plugins=[], user=UserOptions()
    )
    numbers = iter(range(16))

    def create():
        number = str(next(numbers))
        row = {"user_id": "ada", "provider_id": "key", "account_id": number}
        return auth.store.create_under_limit("account", row, F.user_id == "ada", 3)

    made = await race(16, create)

    assert sum(row is not None for row in made) == 3
    assert await auth.store.count("account") == 3


async def test_what_was_read_before_is_not_counted(app_auth, server_database, race):
    """InnoDB shows a transaction what was there at its first look."""
    auth = await app_auth(server_database)
    ada = await auth.users.create(email="ada@example.org", name="Ada")
    accounts = iter(await linked(auth, ada.id, 2))

    async def look_and_unlink():
        account = next(accounts)
        async with auth.transaction():
            await auth.accounts.list_for_user(ada.id)
            return await unlinked(auth, ada.id, account)

    outcomes = await race(2, look_and_unlink)

    assert sorted(map(str, outcomes)) == ["True", "last"]


async def test_a_value_that_another_account_has(app_auth, everywhere):
    """It is no race that could be won by trying again."""
    auth = await app_auth(everywhere, plugins=[Handles()], user_type=None, user=UserOptions())
    ada, eve = [
        await auth.users.create(email=f"{it}@example.org", name=it) for it in ("ada", "eve")
    ]
    await auth.accounts.upsert(ada.id, "github", "1", handle="ada")

    with pytest.raises(UniqueViolation) as refused:
        await auth.accounts.upsert(eve.id, "github", "2", handle="ada")

    assert refused.value.fields == ("handle",)


@pytest.fixture
def old_transaction(postgresql_database, url_of, watchword_mode):
    """Begin the application's own transaction, which sees for ever what it saw first."""

    @asynccontextmanager
    async def old_transaction(auth):
        url, isolation = url_of(postgresql_database), {"isolation_level": "REPEATABLE READ"}
        if watchword_mode.name == "loop":
            engine = create_async_engine(url, **isolation)
            try:
                async with AsyncSession(engine) as session, auth.using(session):
                    yield
            finally:
                await engine.dispose()
        else:
            engine = create_engine(url, **isolation)
            try:
                with Session(engine) as session:
                    async with auth.using(session):
                        yield
            finally:
                engine.dispose()

    return old_transaction


@pytest.mark.parametrize("call", ["upsert", "issue"])
async def test_a_key_of_somebody_who_cannot_be_seen(
    app_auth, postgresql_database, old_transaction, spawn, call
):
    """The call ends, and says that the work may be done again."""
    auth = await app_auth(postgresql_database)
    ada = await auth.users.create(email="ada@example.org", name="Ada")

    async def write():
        if call == "upsert":
            return await auth.accounts.upsert(ada.id, "github", "1")
        return await auth.verifications.issue("code", "1", expires_in=HOUR, token=ada.email)

    async def write_what_another_wrote():
        async with old_transaction(auth):
            await auth.users.get(ada.id)
            await spawn(write).result()
            await write()

    with pytest.raises(StorageUnavailable) as refused:
        await write_what_another_wrote()

    assert refused.value.retryable


async def test_a_purge_ends_in_an_old_transaction(app_auth, server_database, spawn, clock):
    """Though it goes on seeing what another one has deleted."""
    auth = await app_auth(server_database)
    for _ in range(3):
        await auth.verifications.issue("code", "1", expires_in=HOUR)
    clock.advance(hours=2)

    async with auth.transaction():
        await auth.store.find_many("verification")
        await spawn(auth.verifications.purge).result()
        await auth.verifications.purge()

    assert await auth.store.count("verification") == 0


async def test_an_id_is_taken_as_any_text(app_auth, everywhere):
    """Drivers differ in what they take; users need not know."""
    auth = await app_auth(everywhere)
    ada = await auth.users.create(email="ada@example.org", name="Ada")

    found = await auth.users.get(Text(ada.id))
    session = await auth.sessions.create(Text(ada.id))

    assert found == ada
    assert session.user_id == ada.id


@pytest.mark.parametrize("value", [None, 5, b"ada@example.org"])
async def test_what_is_no_text_is_refused(app_auth, value):
    """By a class of ours, not by an accident."""
    auth = await app_auth(MemoryAdapter())

    for call in (
        auth.users.get_by_email(value),
        auth.users.get_by_field("username", value),
        auth.verifications.find("code", value),
        auth.verifications.redeem("code", value),
        auth.verifications.attempt("code", value, limit=3),
    ):
        with pytest.raises(InvalidValue, match="expected text"):
            await call
