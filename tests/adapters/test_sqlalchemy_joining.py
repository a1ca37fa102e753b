"""The SQL adapter inside the application's own sessions and connections."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.crypto.sealing import KeyRing
from watchword.errors import ConfigurationError, UniqueViolation
from watchword.schema import CORE_MODELS, resolve_schema
from watchword.storage.query import F
from watchword.storage.store import Store
from watchword.testing.modes import Signal

ADA = {"name": "Ada", "email": "ada@example.org"}
BLOCKING = ["sqlite", "postgresql+psycopg", "mysql+pymysql"]
ASYNC = ["sqlite+aiosqlite", "postgresql+asyncpg", "postgresql+psycopg_async", "mysql+aiomysql"]


@dataclass
class Application:
    """An application with an engine of its own, and a store on it."""

    engine: Any
    store: Store
    mailed: Signal
    sent: list[str] = field(default_factory=list)

    async def mail(self) -> None:
        """Stand for a mail that tells of a new user."""
        self.sent.append("mail")
        self.mailed.set()

    async def add_ada(self) -> None:
        """Write a user, and a mail about it."""
        await self.store.create("user", ADA)
        await self.store.after_commit(self.mail)

    async def users(self) -> int:
        """Count the users, as others see them."""
        return await self.store.count("user")


def _store(engine: Any) -> Store:
    return Store(
        SQLAlchemyAdapter(engine),
        resolve_schema(CORE_MODELS),
        sealer=KeyRing(["0123456789abcdefghijklmnopqrstuv"]),
    )


def _url(request: pytest.FixtureRequest) -> Any:
    backend = request.param.partition("+")[0]
    database = request.getfixturevalue(f"{backend}_database")
    return make_url(database).set(drivername=request.param)


async def _empty(store: Store) -> None:
    await store.adapter.create_schema(store.schema)
    await store.delete_many("user", None)


@pytest.fixture(params=BLOCKING)
def blocking(request, postgresql_url, mysql_url, run, watchword_mode) -> Iterator[Application]:
    """An application on an `Engine`."""
    engine = create_engine(_url(request))
    application = Application(engine, _store(engine), watchword_mode.signal())
    run(_empty(application.store))
    yield application
    engine.dispose()


@pytest.fixture(params=ASYNC)
def on_loop(request, postgresql_url, mysql_url, run, watchword_mode) -> Iterator[Application]:
    """An application on an `AsyncEngine`."""
    engine = create_async_engine(_url(request))
    application = Application(engine, _store(engine), watchword_mode.signal())
    run(_empty(application.store))
    yield application
    run(engine.dispose())


class TestSession:
    """A blocking session, with an event loop and without one."""

    async def test_commits_with_the_application(self, blocking):
        """Our rows are there when the session commits, and mail goes then."""
        with Session(blocking.engine) as session:
            async with blocking.store.using(session):
                await blocking.add_ada()
            before = list(blocking.sent)
            session.commit()

        assert before == []
        assert await blocking.mailed.wait()
        assert blocking.sent == ["mail"]
        assert await blocking.users() == 1

    async def test_vanishes_with_the_application(self, blocking):
        """A rollback of the session leaves no row and sends no mail, now or later."""
        with Session(blocking.engine) as session:
            async with blocking.store.using(session):
                await blocking.add_ada()
            session.rollback()
            session.commit()

        assert blocking.sent == []
        assert await blocking.users() == 0

    async def test_a_refused_row_leaves_the_session_usable(self, blocking):
        """An error of ours undoes our part alone; what the application does still commits."""
        with Session(blocking.engine) as session:
            async with blocking.store.using(session):
                await blocking.add_ada()
            with pytest.raises(UniqueViolation):
                async with blocking.store.using(session):
                    await blocking.store.create("user", ADA | {"name": "Eve"})
            session.commit()

        [user] = await blocking.store.find_many("user")
        assert user["name"] == "Ada"

    async def test_a_failed_block_sends_no_mail(self, blocking):
        """What was undone is not spoken of when the application commits the rest."""
        with Session(blocking.engine) as session:
            with suppress(ZeroDivisionError):
                async with blocking.store.using(session):
                    await blocking.add_ada()
                    raise ZeroDivisionError
            session.commit()

        assert blocking.sent == []
        assert await blocking.users() == 0

    async def test_savepoints_of_the_application_send_no_mail(self, blocking):
        """Mail waits for the outermost commit."""
        with Session(blocking.engine) as session:
            with session.begin_nested():
                async with blocking.store.using(session):
                    await blocking.add_ada()
            nested = list(blocking.sent)
            session.commit()

        assert nested == []
        assert await blocking.mailed.wait()
        assert blocking.sent == ["mail"]

    async def test_a_rolled_back_savepoint_sends_no_mail(self, blocking):
        """What the application undoes by itself is not spoken of, though it commits the rest."""
        with Session(blocking.engine) as session:
            with session.begin_nested() as part:
                async with blocking.store.using(session):
                    await blocking.add_ada()
                part.rollback()
            session.commit()

        assert blocking.sent == []
        assert await blocking.users() == 0

    async def test_a_closed_session_sends_no_mail(self, blocking):
        """A session that is closed has rolled back; its next commit is about other things."""
        session = Session(blocking.engine)
        async with blocking.store.using(session):
            await blocking.add_ada()
        session.close()

        session.connection()
        session.commit()

        assert blocking.sent == []
        assert await blocking.users() == 0
        session.close()

    async def test_reads_what_the_application_wrote(self, blocking):
        """Inside the session our reads see its uncommitted rows; outside nobody does."""
        with Session(blocking.engine) as session:
            async with blocking.store.using(session):
                await blocking.add_ada()
                inside = await blocking.users()
            session.rollback()

        assert inside == 1
        assert await blocking.users() == 0


class TestAsyncSession:
    """A session under an event loop."""

    @pytest.mark.needs_loop
    async def test_commits_with_the_application(self, on_loop):
        """Our rows are there when the session commits, and mail goes then."""
        async with AsyncSession(on_loop.engine) as session:
            async with on_loop.store.using(session):
                await on_loop.add_ada()
            before = list(on_loop.sent)
            await session.commit()

        assert before == []
        assert on_loop.sent == ["mail"]
        assert await on_loop.users() == 1

    @pytest.mark.needs_loop
    async def test_vanishes_with_the_application(self, on_loop):
        """A rollback of the session leaves no row and sends no mail."""
        async with AsyncSession(on_loop.engine) as session:
            async with on_loop.store.using(session):
                await on_loop.add_ada()
            await session.rollback()
            await session.commit()

        assert on_loop.sent == []
        assert await on_loop.users() == 0

    @pytest.mark.needs_loop
    async def test_mail_does_not_wait_for_the_sessions_connection(self, on_loop):
        """Work after the commit may ask the database itself, also with a pool of one."""
        small = create_async_engine(on_loop.engine.url, pool_size=1, max_overflow=0)
        store = _store(small)
        counts: list[int] = []

        async def count() -> None:
            counts.append(await store.count("user"))

        async with AsyncSession(small) as session:
            async with store.using(session):
                await store.create("user", ADA)
                await store.after_commit(count)
            await session.commit()

        assert counts == [1]
        await small.dispose()

    @pytest.mark.needs_loop
    async def test_a_connection_says_nothing(self, on_loop):
        """With a bare connection the application lets the mail go after its commit."""
        async with on_loop.engine.connect() as connection:
            async with on_loop.store.using(connection) as unit:
                await on_loop.add_ada()
            await connection.commit()
            before = list(on_loop.sent)
            await unit.run()

        assert before == []
        assert on_loop.sent == ["mail"]
        assert await on_loop.users() == 1


class TestFactories:
    """A session factory leads to its engine."""

    async def test_sessionmaker(self, blocking):
        """A `sessionmaker` is taken as its engine."""
        store = _store(sessionmaker(blocking.engine))

        await store.create("user", ADA)

        assert await blocking.users() == 1

    @pytest.mark.needs_loop
    async def test_async_sessionmaker(self, on_loop):
        """An `async_sessionmaker` is taken as its engine."""
        store = _store(async_sessionmaker(on_loop.engine))

        await store.create("user", ADA)

        assert await on_loop.users() == 1

    def test_an_unbound_factory(self):
        """A factory without an engine is refused at once."""
        with pytest.raises(ConfigurationError, match="bound to no engine"):
            SQLAlchemyAdapter(sessionmaker())


async def test_a_stranger_cannot_be_joined(blocking):
    """What is no session or connection is refused before anything is done."""
    with pytest.raises(ConfigurationError, match="cannot be joined"):
        async with blocking.store.using(object()):
            await blocking.add_ada()

    assert await blocking.users() == 0


async def test_memory_has_no_sessions():
    """An adapter that cannot join says so."""
    store = Store(
        MemoryAdapter(),
        resolve_schema(CORE_MODELS),
        sealer=KeyRing(["0123456789abcdefghijklmnopqrstuv"]),
    )

    with pytest.raises(ConfigurationError, match="cannot join"):
        async with store.using(object()):
            await store.count("user", F.name == "Ada")
