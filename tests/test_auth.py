"""Watchword and BlockingWatchword: what they refuse at start-up, and who is asking."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from watchword import (
    BlockingWatchword,
    ConfigurationError,
    EmailPassword,
    Identity,
    Plugin,
    Watchword,
)
from watchword.adapters.memory import MemoryAdapter
from watchword.http.messages import Request
from watchword.schema import Field
from watchword.storage.contract import Capabilities
from watchword.storage.query import F

SECRET = "correct-horse-battery-staple-0123456789"
NEEDED = {"secret": SECRET, "base_url": "http://localhost:8000"}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    """Take away what the machine may have set."""
    monkeypatch.delenv("WATCHWORD_SECRET", raising=False)
    monkeypatch.delenv("WATCHWORD_BASE_URL", raising=False)
    monkeypatch.delenv("WATCHWORD_TRUSTED_ORIGINS", raising=False)


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Watchword, BlockingWatchword])
@pytest.mark.parametrize(
    ("database", "said", "hint"),
    [
        ("", "cannot be read", "sqlite+aiosqlite"),
        ("auth.db", "cannot be read", "sqlite+aiosqlite"),
        ("postgresql//user@host/db", "cannot be read", "postgresql+asyncpg"),
        ("oracle+nothing://host", "no database driver", "Known:"),
        ("nothing://host", "no database driver", "Known:"),
        ("mysql+asyncmy://host/db", "not installed", 'pip install "watchword[mysql]"'),
        ("postgresql+pg8000://host/db", "not installed", 'pip install "watchword[postgresql]"'),
        (object(), "A object is no database", "Pass a URL"),
        (None, "A NoneType is no database", "Pass a URL"),
    ],
)
def test_a_database_that_leads_nowhere_is_refused(kind, database, said, hint):
    """Nothing is connected for it, and no traceback of a driver is shown."""
    with pytest.raises(ConfigurationError) as error:
        kind(database, **NEEDED)

    assert said in error.value.message
    assert hint in error.value.hint


def test_attack_database_password_in_an_error():
    """An error at start-up is logged and mailed around."""
    for url in ("post gres://user:hunter2@host/db", "postgresql+pg8000://user:hunter2@host/db"):
        with pytest.raises(ConfigurationError) as error:
            Watchword(url, **NEEDED)

        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:///x.db", "postgresql+asyncpg://host/db", "mysql+aiomysql://host/db"]
)
def test_a_blocking_instance_refuses_an_async_driver(url):
    """It could not wait for it; the hint names drivers that fit."""
    with pytest.raises(ConfigurationError, match="needs an event loop") as error:
        BlockingWatchword(url, **NEEDED)

    assert "postgresql+psycopg" in error.value.hint
    Watchword(url, **NEEDED)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (None, "There is no secret"),
        ([], "There is no secret"),
        ("", "shorter than 32"),
        ("x" * 31, "shorter than 32"),
        ("x" * 64, "different characters"),
    ],
)
def test_a_secret_that_could_be_guessed_is_refused(secret, said):
    """With a command that makes one, and without showing it."""
    with pytest.raises(ConfigurationError) as error:
        Watchword(MemoryAdapter(), base_url="http://localhost", secret=secret)

    assert said in error.value.message
    assert "secret" in error.value.hint.lower()


def test_attack_secret_in_a_log():
    """An instance's parts can be printed."""
    auth = Watchword(MemoryAdapter(), **NEEDED)

    assert SECRET not in repr(auth.instance)
    assert SECRET not in repr(vars(auth))


def test_a_missing_base_url_is_refused():
    """Links and cookies would have to guess it from requests, which attackers write."""
    with pytest.raises(ConfigurationError, match="no base_url") as error:
        Watchword(MemoryAdapter(), secret=SECRET)

    assert "WATCHWORD_BASE_URL" in error.value.hint


def test_secret_and_base_url_come_from_the_environment(monkeypatch):
    """Arguments go before variables."""
    monkeypatch.setenv("WATCHWORD_SECRET", "environment-" * 4)
    monkeypatch.setenv("WATCHWORD_BASE_URL", "https://environment.example")

    auth = Watchword(MemoryAdapter())
    given = Watchword(MemoryAdapter(), base_url="https://argument.example", secret=SECRET)

    assert auth.options.origin == "https://environment.example"
    assert auth.instance.secrets == ("environment-" * 4,)
    assert given.options.origin == "https://argument.example"
    assert given.instance.secrets == (SECRET,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "localhost:8000"},
        {"base_path": "api"},
        {"trusted_origins": ["localhost:3000"]},
        {"ids": "bigint"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(wrong):
    """When the instance is built."""

    class WithoutIds(MemoryAdapter):
        capabilities = Capabilities(generates_ids=False)

    with pytest.raises(ConfigurationError) as error:
        Watchword(WithoutIds(), **{**NEEDED, **wrong})

    assert error.value.hint


# --- trusted origins ----------------------------------------------------------------------


async def calls_from(origin, auth, new_browser):
    """Return the status of a call by a page of an origin, with a cookie."""
    browser = new_browser(auth, {"any": "cookie"})
    return (await browser.post("/sign-out", {}, headers={"origin": origin})).status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://given.example", 200),
        ("https://a.example", 200),
        ("https://x.b.example", 200),
        ("http://localhost:8000", 200),
        ("https://c.example", 403),
    ],
)
async def test_trusted_origins_of_the_environment_are_added(
    monkeypatch, new_auth, new_browser, origin, status
):
    """To those of the argument, so that one build serves several places."""
    monkeypatch.setenv("WATCHWORD_TRUSTED_ORIGINS", "https://a.example, *.b.example,,")
    auth = new_auth(trusted_origins=["https://given.example"])

    assert await calls_from(origin, auth, new_browser) == status


def test_a_trusted_origin_of_the_environment_that_matches_nothing_is_refused(monkeypatch):
    """At start-up, as one of the argument is."""
    monkeypatch.setenv("WATCHWORD_TRUSTED_ORIGINS", "https://a.example,b.example")

    with pytest.raises(ConfigurationError, match=r"'b\.example' names no origin"):
        Watchword(MemoryAdapter(), **NEEDED)


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(("tenant", "status"), [("a", 200), ("b", 403)])
async def test_a_function_trusts_origins_by_the_request(
    new_auth, new_browser, kind, tenant, status
):
    """Of many tenants each has pages of its own."""

    def tenant_of(request):
        return [f"https://{request.header('x-tenant')}.example"]

    async def tenant_of_async(request):
        return tenant_of(request)

    auth = new_auth(trusted_origins=tenant_of if kind == "def" else tenant_of_async)
    browser = new_browser(auth, {"any": "cookie"})

    answer = await browser.post(
        "/sign-out", {}, headers={"origin": "https://a.example", "x-tenant": tenant}
    )

    assert answer.status == status


# --- who is asking ------------------------------------------------------------------------


def as_request(browser) -> Request:
    """Return a request of the application's own that carries the browser's cookies."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return Request(method="GET", path="/me", headers=(("cookie", cookie),))


async def test_whoever_is_signed_in_is_identified(auth, browser):
    """Session and user, as values."""
    signed_up = await browser.sign_up(image="https://example.org/a.png")

    identity = await auth.identify(as_request(browser))

    assert isinstance(identity, Identity)
    assert identity.user.email == "ada@example.org"
    assert identity.user.image == "https://example.org/a.png"
    assert identity.user.id == identity.session.user_id == signed_up.json["user"]["id"]
    assert identity.session.ip_address == "203.0.113.7"


async def test_whoever_is_not_signed_in_is_nobody(auth, browser, clock):
    """Without a cookie, with a forged one, after the end, after signing out."""
    assert await auth.identify(as_request(browser)) is None
    browser.cookies["better-auth.session_token"] = "forged.signature"
    assert await auth.identify(as_request(browser)) is None
    await browser.sign_up()
    clock.now += timedelta(days=7)
    assert await auth.identify(as_request(browser)) is None
    await browser.sign_in()
    signed_in = as_request(browser)
    await browser.post("/sign-out", {})
    assert await auth.identify(signed_in) is None


async def test_identifying_writes_nothing(auth, browser, clock):
    """Neither renewal nor clean-up: it runs with every request of the application."""
    await browser.sign_up()
    clock.advance(days=6)
    before = await auth.store.find_many("session")

    await auth.identify(as_request(browser))
    clock.advance(days=2)
    await auth.identify(as_request(browser))

    assert await auth.store.find_many("session") == before


async def test_ids_are_texts_whatever_they_are_in_the_database(new_auth, new_browser):
    """Also where the database counts them."""
    auth = new_auth(ids="bigint")
    browser = new_browser(auth)

    answer = await browser.sign_up()

    assert answer.json["user"]["id"] == "1"
    session = (await browser.session()).json["session"]
    assert (session["id"], session["userId"]) == ("1", "1")
    assert (await auth.identify(as_request(browser))).user.id == "1"


async def test_what_plugins_add_to_users_is_extra(new_auth, new_browser):
    """By its logical name, and not among the core's fields."""

    class Loyalty(Plugin):
        id = "loyalty"
        extends = {"user": {"points": Field("integer", default=5)}}  # noqa: RUF012

    auth = new_auth(plugins=[Loyalty()])
    browser = new_browser(auth)
    await browser.sign_up()

    identity = await auth.identify(as_request(browser))

    assert identity.user.extra == {"points": 5}


# --- life ---------------------------------------------------------------------------------


def test_a_lifespan_makes_tables_and_closes_connections(sqlite_database):
    """On each start, and with the rows of the last one still there."""
    url = sqlite_database.replace("sqlite:", "sqlite+aiosqlite:")

    async def start(seen):
        auth = Watchword(url, **NEEDED)
        async with auth.lifespan(object()):
            seen.append(await auth.store.count("user"))
            await auth.store.create("user", {"name": "", "email": f"{len(seen)}@example.org"})

    seen: list[int] = []
    for _ in range(2):
        asyncio.run(start(seen))

    assert seen == [0, 1]


def test_a_blocking_instance_needs_no_loop(sqlite_database, cheap_passwords):
    """From the tables to the answer, in this thread."""
    auth = BlockingWatchword(
        sqlite_database, email_password=EmailPassword(), passwords=cheap_passwords, **NEEDED
    )
    auth.create_tables()
    body = b'{"name": "", "email": "ada@example.org", "password": "difference-engine"}'
    request = Request(
        method="POST",
        path="/api/auth/sign-up/email",
        headers=(("content-type", "application/json"),),
        body=body,
    )

    response = auth.handle(request)

    assert response.status == 200
    [cookie] = [value for name, value in response.headers if name == "set-cookie"]
    name, value = cookie.partition(";")[0].split("=", 1)
    asking = Request(method="GET", path="/me", headers=(("cookie", f"{name}={value}"),))
    assert auth.identify(asking).user.email == "ada@example.org"
    auth.close()
    assert auth.store.count("user", F.email == "ada@example.org") == 1
    auth.close()


@pytest.fixture
def auth_of_file(sql_auth, sqlite_database):
    """An instance on a file, by the driver that fits the test's mode."""
    return sql_auth(sqlite_database)


def is_connected(database: str) -> bool:
    """Tell whether anybody is, by SQLite's log, which goes with the last connection."""
    return Path(database.removeprefix("sqlite:///") + "-wal").exists()


async def test_dispose_closes_connections_and_the_next_use_opens_others(
    auth_of_file, sqlite_database
):
    """Once more does no harm."""
    seen = [is_connected(sqlite_database)]

    for _ in range(2):
        await auth_of_file.dispose()
        seen.append(is_connected(sqlite_database))

    assert seen == [True, False, False]
    assert await auth_of_file.store.count("user") == 0


def test_a_blocking_instance_disposes_as_well(sqlite_database):
    """And is used in between."""
    auth = BlockingWatchword(sqlite_database, **NEEDED)
    seen = []

    for _ in range(2):
        auth.create_tables()
        seen.append(is_connected(sqlite_database))
        auth.dispose()
        seen.append(is_connected(sqlite_database))

    assert seen == [True, False] * 2
