"""What tests of instances share: one on every database, its users, and what waits for a commit."""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any, Final

import pytest
from sqlalchemy import NullPool, create_engine, make_url, select

from watchword import (
    BlockingWatchword,
    EmailPassword,
    Field,
    Naming,
    RateLimits,
    User,
    UserOptions,
)
from watchword.adapters.memory import MemoryAdapter
from watchword.plugins.username import Username

SERVERS: Final = [pytest.param(f"{name}_database", id=name) for name in ("postgresql", "mysql")]
SQL: Final = [pytest.param("sqlite_database", id="sqlite"), *SERVERS]
EVERYWHERE: Final = [pytest.param(None, id="memory"), *SQL]
ASYNC_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}


class AppUser(User, frozen=True, kw_only=True):
    """A user of the application in these tests."""

    plan: str
    age: int | None
    username: str | None


@pytest.fixture
def app_user() -> type[AppUser]:
    """The application's own type of users."""
    return AppUser


@pytest.fixture
def app_settings() -> dict[str, Any]:
    """The settings of an application that has such users."""
    fields = {
        "plan": Field("string", default="free", input=False),
        "age": Field("integer", required=False),
    }
    return {
        "user_type": AppUser,
        "user": UserOptions(additional_fields=fields),
        "plugins": [Username()],
    }


@pytest.fixture
def naming() -> Naming:
    """Names of tables that no other test has."""
    return Naming(prefix=f"w{token_hex(4)}_")


# --- databases -----------------------------------------------------------------------------


@pytest.fixture(params=EVERYWHERE)
def everywhere(request) -> Any:
    """Each database in turn, memory included; a URL, or an adapter."""
    return request.getfixturevalue(request.param) if request.param else MemoryAdapter()


@pytest.fixture(params=SQL)
def sql_database(request) -> str:
    """Each SQL database in turn, by the URL of its blocking driver."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=SERVERS)
def server_database(request) -> str:
    """Each database that is a server, likewise."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def url_of(watchword_mode) -> Callable[[str], Any]:
    """Turn a URL into that of the driver that fits the test's mode."""

    def url_of(database: str) -> Any:
        url = make_url(database)
        if watchword_mode.name == "driven":
            return url
        return url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])

    return url_of


@pytest.fixture
def app_auth(new_auth, url_of, run, naming, app_settings) -> Iterator[Callable[..., Any]]:
    """Make instances of the application, by the driver that fits the test's mode."""
    made = []

    async def app_auth(database: Any, **settings: Any) -> Any:
        source = url_of(database) if isinstance(database, str) else database
        auth = new_auth(source, **{"naming": naming, **app_settings, **settings})
        await auth.create_tables()
        made.append(auth)
        return auth

    yield app_auth
    for auth in made:
        run(auth.close())


@pytest.fixture
def blocking_auth(clock, cheap_passwords, naming, app_settings) -> Iterator[Callable[..., Any]]:
    """Make blocking instances of the application."""
    made = []

    def blocking_auth(database: Any, **settings: Any) -> BlockingWatchword[AppUser]:
        given = {
            "secret": "correct-horse-battery-staple-0123456789",
            "base_url": "http://localhost:8000",
            "email_password": EmailPassword(),
            "passwords": cheap_passwords,
            "clock": clock,
            "rate_limits": RateLimits(enabled=False),
            "naming": naming,
        }
        auth = BlockingWatchword(database, **{**given, **app_settings, **settings})
        auth.create_tables()
        made.append(auth)
        return auth

    yield blocking_auth
    for auth in made:
        auth.close()


# --- what is in there ----------------------------------------------------------------------


def texts_past_us(database: Any, auth: Any) -> str:
    """Return all that an instance's tables hold, as one text, read past our own code."""
    if isinstance(database, MemoryAdapter):
        return str(vars(database))
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as connection:
        tables = auth.metadata.sorted_tables
        return "\n".join(str(connection.execute(select(it)).all()) for it in tables)


@pytest.fixture
def stolen() -> Callable[[Any, Any], str]:
    """Read what a thief of the tables gets."""
    return texts_past_us


@pytest.fixture
def emails() -> Callable[[Any], Any]:
    """Read the addresses of all users, as others see them."""

    async def emails(auth: Any) -> list[str]:
        users, _ = await auth.users.list_users()
        return sorted(it.email for it in users)

    return emails
