"""When the database is away, or too much is asked for: 503, and everything works afterwards."""

import threading

import pytest

from watchword.concurrency import WorkPool
from watchword.crypto.passwords import Passwords

DOWN = {
    "message": "The service is busy. Please try again later.",
    "code": "SERVICE_UNAVAILABLE",
}


class Outages:
    """What every server's driver has to keep."""

    @pytest.fixture
    def server(self):
        """Return the proxy, and the URL that leads through it."""
        raise NotImplementedError

    @pytest.fixture
    def auth(self, server, sql_auth):
        """An instance whose database can be cut off."""
        return sql_auth(server[1])

    async def test_a_request_without_a_database_is_503(self, server, auth, new_browser):
        """Reading and writing alike; nobody is signed out by it."""
        proxy, _ = server
        browser = new_browser(auth)
        await browser.sign_up()
        cookies = dict(browser.cookies)
        proxy.stop()

        answers = [
            await browser.session(),
            await browser.sign_in(),
            await browser.sign_up(email="eve@example.org"),
            await browser.post("/sign-out", {}),
        ]
        proxy.start()

        assert [(it.status, it.json) for it in answers] == [(503, DOWN)] * 4
        assert [it.header("retry-after") for it in answers] == ["1"] * 4
        assert (browser.cookies, [it.set_cookies for it in answers]) == (cookies, [[]] * 4)

    async def test_it_works_again_when_the_database_does(self, server, auth, new_browser):
        """Connections that broke are not used again; the first request is served."""
        proxy, _ = server
        browser = new_browser(auth)
        await browser.sign_up()
        proxy.stop()
        await browser.session()
        proxy.start()

        answers = [await browser.session(), await browser.sign_in()]

        assert [it.status for it in answers] == [200, 200]
        assert answers[0].json["user"]["name"] == "Ada"


class TestPostgreSQL(Outages):
    """PostgreSQL."""

    @pytest.fixture
    def server(self, proxy_to, postgresql_database):
        """Return the proxy, and the URL that leads through it."""
        return proxy_to(postgresql_database)


class TestMariaDB(Outages):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def server(self, proxy_to, mysql_database):
        """Return the proxy, and the URL that leads through it."""
        return proxy_to(mysql_database)


async def test_more_passwords_than_can_be_hashed_are_503(new_auth, new_browser, spawn):
    """The one that is being hashed ends well; who comes meanwhile is told when to come again."""
    started, go_on = threading.Event(), threading.Event()

    class BusyPool(WorkPool):
        async def run(self, function, *args, **kwargs):
            def slow():
                started.set()
                go_on.wait(10)
                return function(*args, **kwargs)

            return await super().run(slow)

    pool = BusyPool(workers=1, queue=0, retry_after=3)
    auth = new_auth(passwords=Passwords(memory_kib=8, iterations=1, pool=pool))
    first = spawn(lambda: new_browser(auth).sign_up())
    while not started.is_set():
        await first.ended(within=0.01)

    refused = await new_browser(auth).sign_up(email="eve@example.org")
    go_on.set()

    assert (refused.status, refused.json, refused.header("retry-after")) == (503, DOWN, "3")
    assert (await first.result()).status == 200
    assert await auth.store.count("user") == 1
