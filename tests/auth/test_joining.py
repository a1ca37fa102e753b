"""An instance in the application's own transaction: its rows and ours, together."""

import asyncio
import inspect
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, String, create_engine, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from watchword import ConfigurationError, EmailVerification
from watchword.errors import StorageError, UniqueViolation

ADA = {"name": "Ada", "email": "ada@example.org"}
EVE = {"name": "Eve", "email": "eve@example.org"}
PASSWORD = "difference-engine"


class Base(DeclarativeBase):
    """The application's tables."""


class Order(Base):
    """What somebody bought; of the application's own."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    buyer: Mapped[str] = mapped_column(String(100))


class Failing(Exception):
    """Ends a block."""


async def done(result: Any) -> Any:
    """Wait, where there is something to wait for: sessions come in two kinds."""
    return await result if inspect.isawaitable(result) else result


@dataclass
class Shop:
    """An application: its engine, its instance, and a session or connection of its own."""

    engine: Any
    auth: Any
    opened: Any
    heard: list[str]

    async def order(self) -> None:
        """Write a row of the application's own."""
        added = self.opened.execute(insert(Order).values(buyer=ADA["email"]))
        await done(added)

    async def sign_up(self, user: dict[str, str]) -> None:
        """Write rows of ours, by an endpoint and a store, and work for the commit."""
        made = await self.auth.api.sign_up_email(**user, password=PASSWORD)
        await self.auth.accounts.create(made.user.id, "google", user["email"])

        async def hear() -> None:
            self.heard.append(user["name"])

        await self.auth.after_commit(hear)

    async def end(self, how: str, unit: Any = None) -> None:
        """Commit, or roll back; a bare connection tells nobody of its commit."""
        await done(getattr(self.opened, how)())
        if how == "commit" and unit is not None and self.is_bare:
            await unit.run()
        await self.auth.drain()

    @property
    def is_bare(self) -> bool:
        """Whether this is a connection."""
        return isinstance(self.opened, Connection | AsyncConnection)

    async def kept(self) -> tuple[int, list[str]]:
        """Count the orders, and name the users, as others see them."""
        users = [it.name async for it in self.auth.users.all()]
        return await self.orders(), sorted(users)

    async def orders(self) -> int:
        """Count the orders on a connection of their own."""
        connection = await done(self.engine.connect())
        counted = await done(connection.scalar(select(func.count()).select_from(Order)))
        await done(connection.close())
        return counted


@pytest.fixture
def new_shop(sql_database, url_of, app_auth, watchword_mode, run):
    """Make applications: with an event loop on async engines and sessions, else on others."""
    is_driven = watchword_mode.name == "driven"
    made = []

    async def new_shop(kind: str, *, pool: dict[str, int], **settings: Any) -> Shop:
        blocking = create_engine(sql_database, poolclass=NullPool)
        Base.metadata.create_all(blocking)
        with blocking.begin() as connection:
            connection.execute(delete(Order))
        engine = (create_engine if is_driven else create_async_engine)(
            url_of(sql_database), **pool
        )
        auth = await app_auth(engine, **settings)
        new_session = Session if is_driven else AsyncSession
        opened = new_session(engine) if kind == "session" else await done(engine.connect())
        shop = Shop(engine, auth, opened, [])
        made.append(shop)
        return shop

    yield new_shop
    for shop in made:
        run(done(shop.opened.close()))
        run(done(shop.engine.dispose()))


@pytest.fixture(params=["session", "connection"])
def kind(request) -> str:
    """What the application's transaction is of."""
    return request.param


POOL = {"pool_size": 2, "max_overflow": 0}
"""Room for the application's transaction, and for one who looks at it from outside."""


async def test_both_commit_together(new_shop, kind):
    """Nobody sees anything before; mail and work for the commit go once, and then."""
    mailed = []
    shop = await new_shop(
        kind,
        pool=POOL,
        mail=lambda mail: mailed.append(mail.to),
        email_verification=EmailVerification(send_on_sign_up=True),
    )

    await shop.order()
    async with shop.auth.using(shop.opened) as unit:
        await shop.sign_up(ADA)
        inside = await shop.auth.users.get_by_email(ADA["email"])
    await shop.order()
    await shop.auth.drain()
    before = await shop.kept(), list(shop.heard), list(mailed)
    await shop.end("commit", unit)
    await shop.end("commit", unit)

    assert inside.plan == "free"
    assert before == ((0, []), [], [])
    assert await shop.kept() == (2, ["Ada"])
    assert (shop.heard, mailed) == (["Ada"], [ADA["email"]])


async def test_both_roll_back_together(new_shop, kind):
    """And nothing is said, neither then nor with the next commit."""
    shop = await new_shop(kind, pool=POOL)

    await shop.order()
    async with shop.auth.using(shop.opened):
        await shop.sign_up(ADA)
    await shop.end("rollback")
    await shop.end("commit")

    assert await shop.kept() == (0, [])
    assert shop.heard == []


async def test_a_session_s_objects_are_in_it(new_shop):
    """What the application added and we wrote is one unit, in whatever order they were."""
    shop = await new_shop("session", pool=POOL)

    shop.opened.add(Order(buyer="first"))
    async with shop.auth.using(shop.opened):
        user = await shop.auth.users.create(**ADA)
        shop.opened.add(Order(buyer=user.id))
    await shop.end("commit")

    assert await shop.kept() == (2, ["Ada"])


async def test_a_failure_of_ours_undoes_our_part(new_shop, kind):
    """The application may go on and commit its own; what it had of ours before stays."""
    shop = await new_shop(kind, pool=POOL)

    async def refused() -> None:
        async with shop.auth.using(shop.opened):
            await shop.sign_up(EVE)
            await shop.auth.users.create(**ADA)

    await shop.order()
    async with shop.auth.using(shop.opened) as unit:
        await shop.sign_up(ADA)
    with pytest.raises(UniqueViolation):
        await refused()
    await shop.order()
    await shop.end("commit", unit)

    assert await shop.kept() == (2, ["Ada"])
    assert shop.heard == ["Ada"]


async def test_a_savepoint_of_the_application_undoes_both(new_shop):
    """Its order and our user; what is outside of it is kept and spoken of."""
    shop = await new_shop("session", pool=POOL)

    await shop.order()
    async with shop.auth.using(shop.opened):
        await shop.sign_up(ADA)
    part = await done(shop.opened.begin_nested())
    await shop.order()
    async with shop.auth.using(shop.opened):
        await shop.sign_up(EVE)
    await done(part.rollback())
    await shop.end("commit")

    assert await shop.kept() == (1, ["Ada"])
    assert shop.heard == ["Ada"]


async def test_our_savepoint_inside_is_undone_alone(new_shop, kind):
    """`transaction()` inside `using()` is a part of it."""
    shop = await new_shop(kind, pool=POOL)

    async def part() -> None:
        async with shop.auth.transaction():
            await shop.sign_up(EVE)
            raise Failing

    async with shop.auth.using(shop.opened) as unit:
        async with shop.auth.transaction():
            await shop.sign_up(ADA)
        with suppress(Failing):
            await part()
    await shop.end("commit", unit)

    assert await shop.kept() == (0, ["Ada"])
    assert shop.heard == ["Ada"]


async def test_a_child_does_not_work_in_it(new_shop, kind, spawn):
    """It reads and writes on a connection of its own; here one that finds nothing yet."""
    shop = await new_shop(kind, pool=POOL)

    async with shop.auth.using(shop.opened):
        await shop.sign_up(ADA)
        seen = await spawn(lambda: shop.auth.users.get_by_email(ADA["email"])).result()
    await shop.end("rollback")

    assert seen is None
    assert await shop.kept() == (0, [])


async def test_after_the_block_nothing_is_joined(new_shop, kind):
    """A call behind it is not in the application's transaction, which is still open."""
    shop = await new_shop(kind, pool=POOL)

    async with shop.auth.using(shop.opened):
        inside = await shop.auth.users.create(**ADA)
    outside = await shop.auth.users.get(inside.id)
    await shop.end("rollback")
    await shop.auth.users.create(**EVE)

    assert outside is None
    assert await shop.kept() == (0, ["Eve"])


async def test_one_connection_is_enough(new_shop, kind):
    """For the application's rows, for ours, and for what comes after the commit."""
    shop = await new_shop(kind, pool={"pool_size": 1, "max_overflow": 0, "pool_timeout": 5})
    seen = []

    async def look() -> None:
        seen.append((await shop.auth.users.list_users())[1])

    await shop.order()
    async with shop.auth.using(shop.opened) as unit:
        await shop.sign_up(ADA)
        await shop.auth.after_commit(look)
    await done(shop.opened.commit())
    if shop.is_bare:  # it holds the connection until it is closed
        await done(shop.opened.close())
        await unit.run()
    await shop.auth.drain()

    assert seen == [1]
    assert await shop.kept() == (1, ["Ada"])


@pytest.mark.needs_loop
async def test_what_waits_for_the_commit_survives_a_cancellation(new_shop, kind):
    """The rows are there, so all that was promised of them is done before it goes on."""
    shop = await new_shop(kind, pool=POOL)
    started, go_on = asyncio.Event(), asyncio.Event()

    async def take_long() -> None:
        started.set()
        await go_on.wait()
        shop.heard.append("long")

    async with shop.auth.using(shop.opened) as unit:
        await shop.auth.after_commit(take_long)
        await shop.sign_up(ADA)
    ending = asyncio.ensure_future(shop.end("commit", unit))
    await started.wait()
    ending.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await ending

    assert shop.heard == ["long", "Ada"]
    assert await shop.kept() == (0, ["Ada"])


@pytest.mark.needs_loop
async def test_a_cancelled_part_of_ours_is_undone_alone(new_shop, kind):
    """The application may commit what it has, as after any other failure of ours."""
    shop = await new_shop(kind, pool=POOL)

    async def too_long() -> None:
        async with asyncio.timeout(0.5), shop.auth.using(shop.opened):
            await shop.sign_up(ADA)
            await asyncio.Event().wait()

    await shop.order()
    with pytest.raises(TimeoutError):
        await too_long()
    await shop.end("commit")

    assert await shop.kept() == (1, [])
    assert shop.heard == []


async def test_what_cannot_be_joined_is_refused(new_shop, new_auth, kind):
    """By an instance in memory, and where it is no session at all; nothing is done."""
    shop = await new_shop(kind, pool=POOL)

    for auth, session, said in [
        (new_auth(), shop.opened, "MemoryAdapter cannot join"),
        (shop.auth, shop.engine, "cannot be joined"),
        (shop.auth, None, "A NoneType cannot be joined"),
    ]:
        with pytest.raises(ConfigurationError, match=said) as error:
            await auth.using(session).__aenter__()
        assert error.value.hint
    assert await shop.kept() == (0, [])


async def test_a_session_without_transactions_is_refused(new_shop, kind):
    """Before anything is written: its rollback would leave our rows."""
    shop = await new_shop(kind, pool=POOL | {"isolation_level": "AUTOCOMMIT"})

    with pytest.raises(ConfigurationError, match="AUTOCOMMIT") as error:
        await shop.auth.using(shop.opened).__aenter__()

    assert "isolation_level" in error.value.hint
    assert await shop.kept() == (0, [])


@pytest.mark.parametrize(("how", "kept"), [("commit", ["Ada"]), ("rollback", [])])
@pytest.mark.parametrize("goes_on", [False, True])
async def test_the_end_of_a_session_inside_the_block_is_named(new_shop, kind, how, kept, goes_on):
    """It is a mistake, and the error says which; nothing is written behind it."""
    shop = await new_shop(kind, pool=POOL)

    async def too_early() -> None:
        async with shop.auth.using(shop.opened):
            await shop.auth.users.create(**ADA)
            await done(getattr(shop.opened, how)())
            if goes_on:
                await shop.auth.users.create(**EVE)

    with pytest.raises(StorageError, match=r"inside using\(\)"):
        await too_early()
    await done(shop.opened.rollback())
    await done(shop.opened.close())

    assert await shop.kept() == (0, kept)


async def test_a_generator_that_is_left_undoes_its_part_of_a_session(new_shop, kind):
    """And what its task writes next is in no session, and committed."""
    shop = await new_shop(kind, pool=POOL)

    async def parts():
        async with shop.auth.using(shop.opened):
            yield await shop.auth.users.create(**EVE)

    await shop.order()
    async for _ in parts():
        break
    seen = await shop.auth.users.get_by_email(EVE["email"])
    await shop.end("commit")
    await shop.auth.users.create(**ADA)

    assert seen is None
    assert await shop.kept() == (1, ["Ada"])
