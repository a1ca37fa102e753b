"""The stores of an instance on each database, for the suites that every store has to pass."""

from typing import Any, Final

import pytest
from sqlalchemy import make_url

from watchword import Field, SessionOptions, UserOptions
from watchword.plugins.username import Username

DATABASES: Final = ["memory", "sqlite", "postgresql", "mysql"]
ASYNC_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}
SETTINGS: Final = {
    "plugins": [Username(username_normalization=None)],
    "user": UserOptions(
        additional_fields={
            "plan": Field("string", required=False),
            "logins": Field("integer", default=0),
        }
    ),
    "session": SessionOptions(additional_fields={"theme": Field("string", required=False)}),
}


class LentClock:
    """Tells the time of the test that an instance is lent to."""

    clock: Any

    def __call__(self):
        """Tell the time."""
        return self.clock()


class Instances:
    """One instance per database and mode, for all tests of a module: tables are dear."""

    def __init__(self):
        self._clock = LentClock()
        self._made = {}

    async def lend(self, url, clock, new_auth):
        """Return the instance on this URL, without rows, with the time of this test."""
        self._clock.clock = clock
        if url not in self._made:
            self._made[url] = new_auth(url, clock=self._clock, **SETTINGS)
            await self._made[url].create_tables()
        auth = self._made[url]
        for model in ("user", "verification"):
            await auth.store.delete_many(model, None)
        return auth


@pytest.fixture(scope="module")
def instances() -> Instances:
    """Those of this module."""
    return Instances()


@pytest.fixture(scope="module")
def sqlite_database(tmp_path_factory) -> str:
    """An SQLite file of this module; the URL is of the blocking driver."""
    return f"sqlite:///{tmp_path_factory.mktemp('stores')}/auth.db"


@pytest.fixture
def lend(instances, clock, new_auth, run):
    """Lend an instance of the module's; its connections are closed when the test is over."""
    lent = []

    def lend(url):
        lent.append(run(instances.lend(url, clock, new_auth)))
        return lent[-1]

    yield lend
    for auth in lent:
        run(auth.close())


@pytest.fixture(params=DATABASES)
def stored(request, lend, new_auth, watchword_mode):
    """An instance in which nobody is."""
    if request.param == "memory":
        return new_auth(**SETTINGS)
    url = make_url(request.getfixturevalue(f"{request.param}_database"))
    if watchword_mode.name == "loop":
        url = url.set(drivername=ASYNC_DRIVERS[request.param])
    return lend(url)
