"""Connections to the database: one serves everybody, and nobody holds one while they hash."""

from collections import Counter
from itertools import count

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from watchword import ChangeEmail, DatabaseHook, DeleteUser, EmailVerification, UserOptions
from watchword.concurrency import WorkPool
from watchword.crypto.passwords import Passwords

ADDRESS = "ada@example.org"
PASSWORD, NEW, NEWER = "difference-engine", "analytical-engine", "jacquard-loom"
DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}
ONE = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 5}


class WatchingPool(WorkPool):
    """Works on passwords, and notes how many connections are out meanwhile."""

    def __init__(self) -> None:
        super().__init__(workers=4, queue=64)
        self.connections = None
        self.seen: list[int] = []

    async def run(self, function, *args, **kwargs):
        """Look, then work."""
        self.seen.append(self.connections.checkedout())
        return await super().run(function, *args, **kwargs)


async def signing_up(page):
    """Sign up, verify the address by mail, sign out."""
    return [
        await page.sign_up(),
        await page.sign_up(),
        await page.post("/send-verification-email", {"email": ADDRESS}),
        await page.get("/verify-email", query=f"token={page.outbox[-1].token}"),
        await page.session(),
        await page.post("/sign-out", {}),
    ]


async def signing_in(page):
    """Sign in, look around, change what there is."""
    return [
        await page.sign_in(password="wrong-password"),
        await page.sign_in(),
        await page.get("/list-sessions"),
        await page.get("/list-accounts"),
        await page.post("/revoke-session", {"token": "unknown"}),
        await page.post("/revoke-other-sessions", {}),
        await page.post("/update-user", {"name": "Countess"}),
        await page.post("/verify-password", {"password": PASSWORD}),
        await page.post("/unlink-account", {"accountId": "unknown"}),
    ]


async def replacing(page):
    """Replace the password twice and the address once, by mail where that is asked."""
    changed = {"currentPassword": PASSWORD, "newPassword": NEW, "revokeOtherSessions": True}
    answers = [
        await page.post("/change-password", changed),
        await page.post("/request-password-reset", {"email": ADDRESS}),
    ]
    token = page.outbox[-1].token
    answers += [
        await page.get(f"/reset-password/{token}", query="callbackURL=/"),
        await page.post("/reset-password", {"newPassword": NEWER, "token": token}),
        await page.sign_in(password=NEWER),
        await page.post("/change-email", {"newEmail": "new@example.org"}),
        await page.get("/verify-email", query=f"token={page.outbox[-1].token}"),
    ]
    return answers


async def leaving(page):
    """Delete the user by mail."""
    return [
        await page.post("/delete-user", {"password": NEWER}),
        await page.get("/delete-user/callback", query=f"token={page.outbox[-1].token}"),
        await page.post("/revoke-sessions", {}),
    ]


JOURNEY = {
    signing_up: [200, 422, 200, 200, 200, 200],
    signing_in: [401, 200, 200, 200, 200, 200, 200, 200, 400],
    replacing: [200, 200, 302, 200, 200, 200, 200],
    leaving: [200, 200, 401],
}


class OneConnection:
    """What a pool of one connection has to be enough for."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def engine(self, database, watchword_mode, run):
        """The application's own engine, of one connection."""
        url = make_url(database)
        if watchword_mode.name == "driven":
            engine = create_engine(url, **ONE)
            yield engine
            engine.dispose()
        else:
            engine = create_async_engine(
                url.set(drivername=DRIVERS[url.get_backend_name()]), **ONE
            )
            yield engine
            run(engine.dispose())

    @pytest.fixture
    def pool(self, engine):
        """Where passwords are worked on."""
        pool = WatchingPool()
        pool.connections = engine.pool
        return pool

    @pytest.fixture
    def page(self, new_auth, new_browser, engine, pool, run):
        """A browser at an instance whose hooks and mail ask the database themselves."""

        async def look(_):
            page.told.append(await auth.store.count("user"))

        async def deliver(mail):
            await look(mail)
            page.outbox.append(mail)

        auth = new_auth(
            engine,
            mail=deliver,
            passwords=Passwords(memory_kib=8, iterations=1, pool=pool),
            email_verification=EmailVerification(auto_sign_in=True, before=look, after=look),
            user=UserOptions(
                change_email=ChangeEmail(),
                delete_user=DeleteUser(confirm_by_mail=True, before=look, after=look),
            ),
            database_hooks=[DatabaseHook(model="session", operation="create", after=look)],
        )
        run(auth.create_tables())
        for model in ("user", "verification"):
            run(auth.store.delete_many(model, None))
        page = new_browser(auth)
        page.outbox, page.told = [], []
        return page

    async def test_one_connection_serves_the_whole_journey(self, page):
        """Each endpoint, each hook and each mail gets it in its turn."""
        for part, statuses in JOURNEY.items():
            answers = await part(page)

            assert [it.status for it in answers] == statuses, part.__name__
        assert len(page.told) >= 10

    async def test_nobody_holds_it_while_a_password_is_worked_on(self, page, pool):
        """A hash takes as long as a hundred statements; others would wait for it."""
        for part in JOURNEY:
            await part(page)

        assert len(pool.seen) >= 9
        assert set(pool.seen) == {0}

    async def test_many_take_turns(self, page, new_browser, race):
        """Of 24 who sign up and in at once none is refused."""
        await page.sign_up()
        turns = count()

        async def sign_up_or_in():
            number = next(turns)
            browser = new_browser(page.auth)
            if number % 2:
                return await browser.sign_in()
            return await browser.sign_up(email=f"ada{number}@example.org")

        answers = await race(24, sign_up_or_in)

        assert Counter(it.status for it in answers) == {200: 24}
        assert await page.auth.store.count("session") == 25


class TestSQLite(OneConnection):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(OneConnection):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(OneConnection):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database
