"""What tests share: database servers, a clock, cheap passwords, instances and their callers."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import pytest
from hypothesis import settings
from pymongo import AsyncMongoClient, MongoClient
from sqlalchemy import NullPool, create_engine, make_url

from watchword import EmailPassword, RateLimits, Watchword
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.mongodb import MongoDBAdapter
from watchword.concurrency import WorkPool, run_blocking
from watchword.crypto.passwords import Passwords
from watchword.http.messages import Request, Response
from watchword.storage.query import F

# How long an example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Service to the variable that names its server, and the server tried without it.
SERVICES: Final = {
    "postgresql": ("WATCHWORD_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432"),
    "mysql": ("WATCHWORD_MYSQL_URL", "mysql://root@127.0.0.1:3306"),
    "redis": ("WATCHWORD_REDIS_URL", "redis://127.0.0.1:6379"),
}

STAND_IN: Final = Path(__file__).parent / "adapters" / "mongodb" / "stand_in.py"
NX_27017: Final = STAND_IN.with_name("nx_27017_server.py")
REAL_MONGODB: Final = os.environ.get("WATCHWORD_MONGODB_URL")

# Tests of the shipped suites that take their time: many rounds of many callers, or of chance.
SLOW: Final = (
    *("test_random_histories", "test_a_broken_promise_is_found_at_random"),
    *("test_a_limit_holds", "test_one_caller_creates", "test_one_caller_consumes"),
    *("test_one_caller_swaps", "test_consume_without_the_protocol", "test_counts_are_not_lost"),
    *("test_several_tokens_go_to_several_callers", "test_a_stranger_runs_the_suite"),
    *("test_a_limit_holds_for_rows", "test_many_rows_race_for_a_key"),
    *("test_all_who_link_one_account_get_the_same", "test_one_of_two_users_gets_an_account"),
    *("test_callers_who_leave_one_way_in_leave_one", "test_one_caller_unlinks_an_account"),
    *("test_of_all_who_issue_one_stays", "test_so_many_callers_may_try"),
    *("test_one_caller_deletes_a_user", "test_a_broken_promise_is_found_in_a_store"),
    *("test_a_read_and_a_write", "test_a_read_and_a_write_in_one_process"),
    *("test_two_reads_and_a_write", "test_a_read_and_two_writes", "test_a_writer_that_dies"),
    *("test_a_value_that_is_lost", "test_a_mark_that_ends"),
    *(
        "test_a_writer_that_dies_when_its_mark_is_gone",
        "test_a_read_returns_what_the_database_has",
    ),
)


# Tests of the endpoints and of plugins that name no database run on each of these.
HOMES: Final = ("memory", "mongodb", "mongodb-alone")
BESIDE_MEMORY: Final = {"tests/endpoints/", "tests/plugins/"}
# What is to be seen without transactions: that endpoints do their work.
ALONE: Final = {
    *("test_sign_up", "test_sign_in", "test_sign_out", "test_get_session", "test_sessions"),
    *("test_passwords", "test_reset_password", "test_verify_email", "test_change_email"),
    *("test_delete_user", "test_set_password"),
}
# What these show is in cookies and bodies; where users are kept has no part in it.
ONLY_IN_MEMORY: Final = {
    *("test_cookie_cache", "test_cookie_cache_attacks", "test_sign_out_body", "test_status"),
}
NEEDS_TRANSACTIONS: Final = "needs_transactions"
# Homes whose tests run in one mode. The other one is shown by the adapter's suite, and by races.
MODE_OF: Final = {"mongodb": "loop", "mongodb-alone": "driven"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of endpoints and plugins on MongoDB as well, unless they choose a database.

    A class chooses one for all of its tests.
    """
    names, path = set(metafunc.fixturenames), metafunc.definition.path
    if "kept_in" not in names or "sql_auth" in names or metafunc.cls is not None:
        return
    is_here = any(it in path.as_posix() for it in BESIDE_MEMORY)
    if not is_here or path.stem in ONLY_IN_MEMORY or _chooses_home(metafunc):
        return
    homes = HOMES if path.stem in ALONE else HOMES[:2]
    metafunc.parametrize("kept_in", homes, indirect=True)


def _chooses_home(metafunc: pytest.Metafunc) -> bool:
    marks = metafunc.definition.iter_markers("parametrize")
    return any(it.args[0] == "kept_in" for it in marks)


def _is_in_vain(item: pytest.Item) -> bool:
    """Tell whether a test cannot run where it is kept, or shows nothing there that is new."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    homes = {it for it in given.values() if isinstance(it, str)} & MODE_OF.keys()
    if not homes:
        return False
    [home] = homes
    needs = home == "mongodb-alone" and item.get_closest_marker(NEEDS_TRANSACTIONS) is not None
    mode = given.get("watchword_mode", MODE_OF[home])
    return needs or mode != MODE_OF[home] or given.get("ids") == "bigint"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark whoever asks for a server, and keep the tests of one server in two processes.

    The races open dozens of connections; from more processes at once they would run into the
    server's limit.
    """
    vain = [item for item in items if _is_in_vain(item)]
    if vain:
        config.hook.pytest_deselected(items=vain)
        left_out = set(vain)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if getattr(item, "originalname", item.name) in SLOW:
            item.add_marker(pytest.mark.slow)
        if _is_on_mongodb(item):
            item.add_marker(pytest.mark.mongodb)
        for service in SERVICES:
            if _asks_for(item, service):
                item.add_marker(getattr(pytest.mark, service))
                lane = "adapters" if "tests/adapters/" in item.path.as_posix() else "others"
                item.add_marker(pytest.mark.xdist_group(f"{service}-{lane}"))


def _is_on_mongodb(item: pytest.Item) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "mongodb_url" in getattr(item, "fixturenames", ()) or any(
        isinstance(it, str) and it in MODE_OF for it in parameters
    )


def _asks_for(item: pytest.Item, service: str) -> bool:
    """Tell whether a test uses a server: by a fixture, by a parameter's name, or as it says."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return (
        f"{service}_url" in getattr(item, "fixturenames", ())
        or any(it in {service, f"{service}_database"} for it in parameters if isinstance(it, str))
        or item.get_closest_marker(service) is not None
    )


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """The PostgreSQL server, without a database's name."""
    return _require_server("postgresql")


@pytest.fixture(scope="session")
def mysql_url() -> str:
    """The MariaDB or MySQL server, without a database's name."""
    return _require_server("mysql")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The Redis server."""
    return _require_server("redis")


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory) -> Iterator[str]:
    """A replica set of MongoDB, without a database's name."""
    if REAL_MONGODB is not None:
        yield REAL_MONGODB
        return
    with server_of(tmp_path_factory.mktemp("mongodb"), STAND_IN, "0") as url:
        yield url


@pytest.fixture(scope="session")
def mongodb_alone_url(tmp_path_factory) -> Iterator[str]:
    """A server that is no replica set, and knows no transactions; the real one does as well."""
    if REAL_MONGODB is not None:
        yield REAL_MONGODB
        return
    with server_of(tmp_path_factory.mktemp("alone"), STAND_IN, "0", "--alone") as url:
        yield url


@pytest.fixture(scope="session")
def nx_27017_url(tmp_path_factory) -> Iterator[str]:
    """A server of MongoDB's protocol that others wrote."""
    with server_of(tmp_path_factory.mktemp("nx-27017"), NX_27017) as url:
        yield url


@contextmanager
def server_of(folder: Path, program: Path, *arguments: str) -> Iterator[str]:
    """Start a program and return its URL; it writes what goes wrong to `log` in the folder."""
    command = [sys.executable, str(program), *arguments]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, f"it did not start: see {log.name}"
            yield url
        finally:
            process.terminate()


def _require_server(service: str) -> str:
    """Return a server's address; fail if nobody answers there.

    Never a skip: a suite that is green without its databases has promised too much.
    """
    variable, default = SERVICES[service]
    url = os.environ.get(variable, default)
    address = urlsplit(url)
    port = address.port or urlsplit(default).port
    try:
        socket.create_connection((address.hostname or "127.0.0.1", port), timeout=3).close()
    except OSError as error:
        # The address without its password: logs are read by many.
        where = f"{address.hostname}:{port}"
        pytest.fail(
            f"No {service} server answers at {where} ({error}). Start one, or name another in "
            f"{variable}; `make quick` runs the tests that need none.",
            pytrace=False,
        )
    return url.rstrip("/")


# --- databases of our own ----------------------------------------------------------------


def _with_driver(url: str, driver: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme=driver, path=f"/{database}"))


def _own_database(server: str, driver: str, maintenance: str) -> Iterator[str]:
    """Make a database, and drop it when its tests are done."""
    name = f"watchword_{token_hex(6)}"
    url = _with_driver(server, driver, maintenance)
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield _with_driver(server, driver, name)
    with engine.connect() as connection:
        force = " WITH (FORCE)" if driver.startswith("postgresql") else ""
        connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


@pytest.fixture(scope="module")
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """A PostgreSQL database of this module; the URL is of the blocking driver."""
    yield from _own_database(postgresql_url, "postgresql+psycopg", "postgres")


@pytest.fixture(scope="module")
def mysql_database(mysql_url: str) -> Iterator[str]:
    """A MariaDB or MySQL database of this module; the URL is of the blocking driver."""
    yield from _own_database(mysql_url, "mysql+pymysql", "")


@pytest.fixture
def sqlite_database(tmp_path) -> str:
    """An SQLite file that is not there yet; the URL is of the blocking driver."""
    return f"sqlite:///{tmp_path}/auth.db"


@pytest.fixture(scope="session")
def mongodb_client(mongodb_url: str) -> Iterator[MongoClient]:
    """A client of this process for the replica set, which no instance closes."""
    with MongoClient(mongodb_url) as client:
        yield client


@pytest.fixture(scope="session")
def mongodb_alone_client(mongodb_alone_url: str) -> Iterator[MongoClient]:
    """The same for the server that is alone."""
    with MongoClient(mongodb_alone_url) as client:
        yield client


@pytest.fixture
def mongodb_place(mongodb_client: MongoClient, mongodb_url: str, clock: "Clock") -> Iterator[str]:
    """The URL of a MongoDB database that is not there yet; the clock tells what it keeps."""
    clock.now = _to_milliseconds(clock.now)
    name = f"watchword_{token_hex(6)}"
    yield urlunsplit(urlsplit(mongodb_url)._replace(path=f"/{name}"))
    mongodb_client.drop_database(name)


def _to_milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


# --- where instances keep users that are given no database ---------------------------------


class InMemory:
    """Each instance has its own memory."""

    def new_adapter(self) -> MemoryAdapter:
        """Return one without rows."""
        return MemoryAdapter()

    def make_tables(self, auth: Watchword) -> None:
        """Do nothing: there are none."""


@dataclass
class InMongoDB:
    """Each instance has a database of its own.

    Args:
        client: What the instances use.
        beside: What makes tables at once, also where a loop is running, and drops them.
        transactions: The server has them.
    """

    client: MongoClient | AsyncMongoClient
    beside: MongoClient
    transactions: bool
    names: dict[MongoDBAdapter, str] = field(default_factory=dict)

    def new_adapter(self) -> MongoDBAdapter:
        """Return one without rows."""
        name = f"watchword_{token_hex(6)}"
        adapter = self._adapter(self.client, name)
        self.names[adapter] = name
        return adapter

    def make_tables(self, auth: Watchword) -> None:
        """Make what keeps keys unique."""
        if auth.adapter in self.names:
            adapter = self._adapter(self.beside, self.names[auth.adapter])
            run_blocking(adapter.create_schema(auth.schema))

    def _adapter(self, client: MongoClient | AsyncMongoClient, name: str) -> MongoDBAdapter:
        return MongoDBAdapter(client, name=name, transactions=self.transactions)

    def drop(self) -> None:
        """Leave nothing behind."""
        for name in self.names.values():
            self.beside.drop_database(name)


@pytest.fixture
def kept_in(request) -> str:
    """Where instances keep users that are given no database: the name of a home."""
    return getattr(request, "param", "memory")


@pytest.fixture
def home(kept_in, request) -> Iterator[InMemory | InMongoDB]:
    """What makes databases of such instances."""
    if kept_in == "memory":
        yield InMemory()
        return
    clock = request.getfixturevalue("clock")
    clock.now = _to_milliseconds(clock.now)
    alone = "alone_" if kept_in == "mongodb-alone" else ""
    beside = request.getfixturevalue(f"mongodb_{alone}client")
    run = request.getfixturevalue("run") if "watchword_mode" in request.fixturenames else None
    is_async = run is not None and MODE_OF[kept_in] == "loop"
    url = request.getfixturevalue(f"mongodb_{alone}url")
    client = AsyncMongoClient(url) if is_async else beside
    made = InMongoDB(client, beside, transactions=not alone)
    yield made
    made.drop()
    if is_async:
        run(client.close())


# --- instances ---------------------------------------------------------------------------

SECRET: Final = "correct-horse-battery-staple-0123456789"
BASE_URL: Final = "http://localhost:8000"
ASYNC_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}


class Clock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    """The time, as the test wants it."""
    return Clock()


@pytest.fixture(scope="session")
def cheap_passwords() -> Passwords:
    """Real Argon2id at a thousandth of the price."""
    return Passwords(memory_kib=8, iterations=1)


class WatchedPool(WorkPool):
    """Works on passwords, notes what it does, and lets something happen once it is done."""

    def __init__(self) -> None:
        super().__init__(workers=4, queue=64)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.interruption: Callable[[], Any] | None = None

    async def run(self, function, *args, **kwargs):
        """Do the work, then what is to come between, before anybody hears of it."""
        self.calls.append((function.__name__, args))
        result = await super().run(function, *args, **kwargs)
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            await interruption()
        return result


@pytest.fixture
def interrupted_passwords() -> Passwords:
    """Cheap passwords; what their pool has as `interruption` happens after the next work."""
    return Passwords(memory_kib=8, iterations=1, pool=WatchedPool())


@pytest.fixture
def work(interrupted_passwords) -> tuple[Passwords, list[tuple[str, tuple[Any, ...]]]]:
    """Cheap passwords, and the list of every hash and verification that they make."""
    return interrupted_passwords, interrupted_passwords.pool.calls


@pytest.fixture
def new_auth(clock, cheap_passwords, home) -> Callable[..., Watchword]:
    """Make instances: at home, with passwords, and with the settings that a test is about."""

    def new_auth(database: Any = None, **settings: Any) -> Watchword:
        given = {
            "secret": SECRET,
            "base_url": BASE_URL,
            "email_password": EmailPassword(),
            "passwords": cheap_passwords,
            "clock": clock,
            "rate_limits": RateLimits(enabled=False),
            **settings,
        }
        auth = Watchword(home.new_adapter() if database is None else database, **given)
        home.make_tables(auth)
        return auth

    return new_auth


@pytest.fixture
def auth(new_auth) -> Watchword:
    """An instance at home."""
    return new_auth()


@pytest.fixture
def sql_auth(new_auth, run, watchword_mode) -> Iterator[Callable[..., Watchword]]:
    """Make instances on a database without rows, by the driver that fits the test's mode.

    MongoDB's fits both.
    """
    made = []

    def sql_auth(database: str, **settings: Any) -> Watchword:
        url = database if str(database).startswith("mongodb") else make_url(database)
        if not isinstance(url, str) and watchword_mode.name == "loop":
            url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
        auth = new_auth(url, **settings)
        run(auth.create_tables())
        if not made:
            run(auth.store.delete_many("user", None))
        made.append(auth)
        return auth

    yield sql_auth
    for auth in made:
        run(auth.close())


# --- callers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A response as a client reads it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        assert ("content-type", "application/json") in self.headers
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of an answer that is a refusal and no more than that."""
        assert set(self.json) == {"message", "code"}
        return self.status, self.json["code"]

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def set_cookies(self) -> list[str]:
        """Every Set-Cookie header, in order."""
        return [value for key, value in self.headers if key == "set-cookie"]

    @property
    def cookies(self) -> dict[str, tuple[str, str]]:
        """Name to decoded value and attributes of each cookie that is set."""
        pairs = [cookie.partition("; ") for cookie in self.set_cookies]
        split = [(pair.partition("="), attributes) for pair, _, attributes in pairs]
        return {name: (unquote(value), attributes) for (name, _, value), attributes in split}


@dataclass
class Browser:
    """A page of the application: it speaks JSON, names its origin and keeps cookies."""

    auth: Watchword
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "203.0.113.7"

    async def post(self, path: str, body: Any = None, **request: Any) -> Answer:
        """Send a body, JSON unless it is bytes."""
        return await self.send("POST", path, body=body, **request)

    async def get(self, path: str, **request: Any) -> Answer:
        """Read."""
        return await self.send("GET", path, **request)

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: str = "",
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send a request; a header of None is left out."""
        raw = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        given: dict[str, str | None] = {
            "content-type": "application/json" if raw else None,
            "origin": BASE_URL if method == "POST" else None,
            "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None,
            **(headers or {}),
        }
        request = Request(
            method=method,
            path=path if path.startswith("/api/") or not path else f"/api/auth{path}",
            query_string=query,
            headers=tuple((name, value) for name, value in given.items() if value is not None),
            body=raw,
            client_address=self.address,
        )
        response = await self.auth.handle(request)
        await self.auth.drain()
        return self._keep(response)

    def _keep(self, response: Response) -> Answer:
        answer = Answer(response.status, response.headers, response.body)
        for cookie in answer.set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    async def sign_up(self, **changes: Any) -> Answer:
        """Sign Ada up, or somebody else."""
        return await self.post("/sign-up/email", {**ADA, **changes})

    async def sign_in(self, **changes: Any) -> Answer:
        """Sign Ada in, or somebody else."""
        known = {key: ADA[key] for key in ("email", "password")}
        return await self.post("/sign-in/email", {**known, **changes})

    async def session(self, **request: Any) -> Answer:
        """Ask who is signed in."""
        return await self.get("/get-session", **request)


ADA: Final = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.fixture
def browser(auth) -> Browser:
    """A browser that was never here, at the instance at home."""
    return Browser(auth)


@pytest.fixture
def new_browser() -> type[Browser]:
    """Make browsers for any instance."""
    return Browser


@pytest.fixture
def count_rows() -> Callable[[Watchword], Any]:
    """Count the rows of every model of an instance that clients can cause."""

    async def count_rows(auth: Watchword) -> dict[str, int]:
        models = ("user", "account", "session", "verification")
        return {model: await auth.store.count(model) for model in models}

    return count_rows


@pytest.fixture
def password_of() -> Callable[..., Any]:
    """Read the stored hash of a user's password."""

    async def password_of(auth: Watchword, email: str = ADA["email"]) -> str | None:
        user = await auth.store.find_one("user", F.email == email)
        account = await auth.store.find_one("account", F.user_id == user["id"])
        return account["password"]

    return password_of
