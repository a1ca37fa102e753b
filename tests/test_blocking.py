"""Life without an event loop: classes without `await`, and nothing that runs behind them."""

import asyncio
import importlib
import inspect
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import greenlet
import pytest
from sqlalchemy import Column, Engine, MetaData, String, Table, create_engine, func, select
from sqlalchemy.orm import Session

from watchword import BlockingWatchword, EmailPassword, RateLimits, Watchword
from watchword.errors import ConfigurationError, UniqueViolation
from watchword.http.messages import Request
from watchword.storage.blocking import BlockingStore, BlockingUnit
from watchword.storage.query import F

ROOT: Final = Path(__file__).parent.parent
SECRET: Final = "correct-horse-battery-staple-0123456789"
BASE_URL: Final = "http://localhost:8000"
ADA: Final = {"name": "Ada", "email": "ada@example.org"}
EVE: Final = {"name": "Eve", "email": "eve@example.org"}
SIGN_UP: Final = b'{"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}'


DATABASES: Final = ["sqlite_database", "postgresql_database", "mysql_database"]

RECEIPTS: Final = Table("receipt", MetaData(), Column("email", String(100), primary_key=True))
"""A table of the application's own."""


# --- what is generated ---------------------------------------------------------------------


sys.path.append(str(ROOT / "tools"))
TOOL: Final = importlib.import_module("write_blocking")
READER: Final = importlib.import_module("async_source")


@pytest.mark.parametrize("target", TOOL.WRITTEN)
def test_generated_files_are_current(target: str) -> None:
    """Whoever changes an async class has changed the blocking one in the same commit."""
    path = ROOT.joinpath("src", *target.split(".")).with_suffix(".py")

    expected = TOOL.write_module(target, TOOL.WRITTEN[target])

    assert path.read_text(encoding="utf-8") == expected, "stale: run `make blocking`"


@pytest.mark.parametrize("target", TOOL.WRITTEN)
def test_a_generated_class_has_the_members_of_the_async_one(target: str) -> None:
    """Nothing is left out, and nothing of it is a coroutine."""
    written = importlib.import_module(target)

    for of in TOOL.WRITTEN[target].classes:
        source = getattr(importlib.import_module(of.module), of.name)
        blocking = getattr(written, f"Blocking{of.name}")

        assert public(blocking) == (set(of.members) or public(source))
        assert [it for it in public(blocking) if is_async(getattr(blocking, it))] == []


def public(of: type) -> set[str]:
    """Name what a class offers besides its constructor."""
    return {name for name in vars(of) if not name.startswith("_")}


def is_async(member: Any) -> bool:
    """Tell whether a member has to be awaited, or iterated with `async for`."""
    return inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)


COROUTINES: Final = sorted(
    name
    for name, member in inspect.getmembers(Watchword, inspect.isfunction)
    if not name.startswith("_") and inspect.iscoroutinefunction(member)
)


@pytest.mark.parametrize("name", COROUTINES)
def test_both_instances_offer_the_same(name: str) -> None:
    """What is awaited on the one is called on the other: same parameters, result and words."""
    awaited = getattr(Watchword, name)
    called = getattr(BlockingWatchword, name)

    assert not inspect.iscoroutinefunction(called)
    assert signature_of(called) == signature_of(awaited)
    assert inspect.getdoc(called) == inspect.getdoc(awaited)


def signature_of(function: Any) -> tuple[list[tuple[Any, ...]], str]:
    """Describe what a function takes and returns, be its callbacks coroutine functions or not."""
    signature = inspect.signature(function)
    parameters = [
        (it.name, it.kind, it.default, without_awaitable(it.annotation))
        for it in signature.parameters.values()
    ]
    return parameters, without_awaitable(signature.return_annotation)


def without_awaitable(annotation: Any) -> str:
    """Spell a type; what nobody looks at is an object."""
    spelled = re.sub(r"collections\.abc\.Awaitable\[([^\[\]]*)\]", r"\1", str(annotation))
    return spelled.replace("typing.Any", "object")


def test_what_only_one_instance_offers_is_known() -> None:
    """A server of WSGI has no lifespan; everything else is on both."""
    offered = [{it for it in dir(kind) if it[0] != "_"} for kind in (Watchword, BlockingWatchword)]

    assert {"handle", "identify", "migrate"} <= set(COROUTINES)
    assert offered[0] ^ offered[1] == {"lifespan"}


# --- what cannot be generated --------------------------------------------------------------


UNWRITABLE: Final = {
    "@staticmethod\n    def f() -> int:\n        'D.'": "X.f is decorated with staticmethod",
    "async def f(self, x) -> int:\n        'D.'": "X.f says no type of x",
    "async def f(self):\n        'D.'": "X.f says no type of its result",
    "async def f(self) -> int: ...": "X.f has no docstring",
    "async def f(self, x: Awaitable[int]) -> int:\n        'D.'": "X.f would need a loop",
    "async def f(self, x: AsyncIterator[int]) -> int:\n        'D.'": "X.f would need a loop",
    "async def f(self) -> list[Store]:\n        'D.'": "X.f would need a loop",
}


@pytest.mark.parametrize(("member", "message"), UNWRITABLE.items())
def test_what_has_no_known_counterpart_is_refused(
    member: str, message: str, tmp_path, monkeypatch
) -> None:
    """The tool would rather write nothing than a class that cannot work."""
    (tmp_path / "odd.py").write_text(f'"""Odd."""\n\nclass X:\n    """X."""\n\n    {member}\n')
    monkeypatch.setattr(READER, "SOURCE", tmp_path)
    monkeypatch.setattr(TOOL, "BLOCKING_NAMES", {**TOOL.BLOCKING_NAMES, "X": "BlockingX"})
    READER.read_module.cache_clear()

    with pytest.raises(TOOL.CannotBeWrittenError, match=message):
        TOOL.write_module("even", TOOL.Target("Even.", (TOOL.Class("odd", "X"),)))

    READER.read_module.cache_clear()


# --- an application ------------------------------------------------------------------------


@pytest.fixture(params=DATABASES)
def engine(request) -> Iterator[Engine]:
    """An application's own engine, with its own table."""
    engine = create_engine(request.getfixturevalue(request.param))
    RECEIPTS.create(engine, checkfirst=True)
    with engine.begin() as connection:
        connection.execute(RECEIPTS.delete())
    yield engine
    engine.dispose()


@pytest.fixture
def auth(engine, clock, cheap_passwords) -> Iterator[BlockingWatchword]:
    """An instance on the application's engine, with nobody in it."""
    auth = BlockingWatchword(
        engine,
        secret=SECRET,
        base_url=BASE_URL,
        email_password=EmailPassword(),
        passwords=cheap_passwords,
        clock=clock,
        rate_limits=RateLimits(enabled=False),
    )
    auth.create_tables()
    BlockingStore(auth.instance.store).delete_many("user", None)
    yield auth
    auth.close()


@pytest.fixture
def store(auth) -> BlockingStore:
    """The instance's store, for callers that do not await."""
    return BlockingStore(auth.instance.store)


@pytest.fixture
def seen(engine, auth) -> Callable[[], int]:
    """Count the users as somebody else sees them, past our own code."""
    users = auth.metadata.tables["watchword_users"]

    def seen() -> int:
        with engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(users)) or 0

    return seen


@pytest.fixture
def nothing_runs(monkeypatch) -> Iterator[None]:
    """Fail a test in which a thread starts, an event loop is made or a greenlet is switched to."""
    before = set(threading.enumerate())
    started: list[str] = []
    switches: list[str] = []

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an event loop is made")

    monkeypatch.setattr(asyncio.BaseEventLoop, "__init__", refuse)
    # Called in each new thread, so that one which has ended by now is noticed as well.
    threading.settrace(lambda *_: started.append(threading.current_thread().name))
    previous = greenlet.settrace(lambda event, _: switches.append(event))
    yield
    greenlet.settrace(previous)
    threading.settrace(None)  # type: ignore[arg-type]  # as its documentation has it

    assert started == []
    assert set(threading.enumerate()) - before == set()
    assert switches == []


def add(store: BlockingStore, *users: dict[str, str]) -> None:
    """Create users, one after the other."""
    for user in users:
        store.create("user", user)


class TestStore:
    """The store on every database, called from plain functions."""

    pytestmark = pytest.mark.usefixtures("nothing_runs")

    def test_rows_come_and_go(self, store: BlockingStore) -> None:
        """What is created is found, changed, counted and consumed once."""
        ada = store.create("user", ADA)
        store.create("user", EVE)
        store.update("user", F.id == ada["id"], {"name": "Ada King"})

        found = store.find_one("user", F.email == ADA["email"])
        names = [it["name"] for it in store.find_many("user", order_by=[])]
        consumed = store.consume_one("user", F.id == ada["id"])
        again = store.consume_one("user", F.id == ada["id"])
        store.delete("user", F.email == EVE["email"])

        assert found is not None
        assert found == consumed
        assert (found["name"], sorted(names)) == ("Ada King", ["Ada King", "Eve"])
        assert again is None
        assert store.count("user") == 0

    def test_many_rows_at_once(self, store: BlockingStore) -> None:
        """Writes of many rows tell how many they were."""
        store.create("user", ADA)
        store.create("user", EVE)

        changed = store.update_many("user", F.name == "Eve", {"name": "Mallory"})
        gone = store.delete_many("user", None)

        assert (changed, gone) == (1, 2)

    def test_a_transaction_commits(self, store: BlockingStore, seen) -> None:
        """Its operations find it from the body of `with`, and others see them at its end."""
        with store.transaction():
            store.create("user", ADA)
            inside, outside = store.count("user"), seen()

        assert (inside, outside) == (1, 0)
        assert seen() == 1

    def test_a_transaction_rolls_back(self, store: BlockingStore, seen) -> None:
        """An error of the body undoes all, and goes on."""
        failure = ZeroDivisionError()

        def work() -> None:
            store.create("user", ADA)
            raise failure

        with pytest.raises(ZeroDivisionError) as raised, store.transaction():
            work()

        assert raised.value is failure
        assert seen() == 0

    def test_a_savepoint_is_undone_alone(self, store: BlockingStore, seen) -> None:
        """What was refused inside does not take the rest with it."""
        with store.transaction():
            store.create("user", ADA)
            with pytest.raises(UniqueViolation), store.transaction():
                add(store, EVE, ADA)
            store.create("user", {**EVE, "email": "mallory@example.org"})

        assert seen() == 2
        assert store.find_one("user", F.email == EVE["email"]) is None

    def test_a_function_runs_in_a_transaction(self, store: BlockingStore, seen) -> None:
        """Its result is handed on; its error undoes what it did."""

        def fail() -> None:
            store.create("user", EVE)
            raise ZeroDivisionError

        ada = store.run_in_transaction(lambda: store.create("user", ADA), attempts=1)
        with pytest.raises(ZeroDivisionError):
            store.run_in_transaction(fail)

        assert ada["name"] == "Ada"
        assert seen() == 1

    def test_a_coroutine_function_is_not_forgotten(self, auth, store: BlockingStore, seen) -> None:
        """Who passes the async kind by mistake, where no type checker looks, has it run."""

        async def create() -> Any:
            return await auth.instance.store.create("user", ADA)

        store.run_in_transaction(create)

        assert seen() == 1

    def test_work_waits_for_the_commit(self, store: BlockingStore, seen) -> None:
        """It is done once, when others see the rows; without a transaction at once."""
        done: list[int] = []

        with store.transaction():
            with store.transaction():
                store.create("user", ADA)
                store.after_commit(lambda: done.append(seen()))
            before = list(done)
        store.after_commit(lambda: done.append(99))

        assert before == []
        assert done == [1, 99]

    def test_work_is_dropped_with_its_transaction(self, store: BlockingStore) -> None:
        """Nobody is told of what did not happen, neither then nor at the next commit."""
        done: list[str] = []

        with store.transaction(), suppress(ZeroDivisionError), store.transaction():
            store.after_commit(lambda: done.append("savepoint"))
            raise ZeroDivisionError
        with suppress(ZeroDivisionError), store.transaction():
            store.after_commit(lambda: done.append("transaction"))
            raise ZeroDivisionError
        with store.transaction():
            store.create("user", ADA)

        assert done == []


class TestJoining:
    """Our rows in the application's own transaction."""

    pytestmark = pytest.mark.usefixtures("nothing_runs")

    def test_a_session_commits_both(self, engine, store: BlockingStore, seen) -> None:
        """The application's rows and ours are there together, and mail goes then."""
        mailed: list[int] = []

        with Session(engine) as session:
            session.execute(RECEIPTS.insert().values(email=ADA["email"]))
            with store.using(session) as unit:
                store.create("user", ADA)
                store.after_commit(lambda: mailed.append(1))
            before = seen(), list(mailed)
            session.commit()

        assert isinstance(unit, BlockingUnit)
        assert before == (0, [])
        assert (seen(), receipts(engine), mailed) == (1, 1, [1])

    def test_a_session_rolls_both_back(self, engine, store: BlockingStore, seen) -> None:
        """Neither is there, and no mail goes, not even with the session's next commit."""
        mailed: list[int] = []

        with Session(engine) as session:
            session.execute(RECEIPTS.insert().values(email=ADA["email"]))
            with store.using(session):
                store.create("user", ADA)
                store.after_commit(lambda: mailed.append(1))
            session.rollback()
            session.commit()

        assert (seen(), receipts(engine), mailed) == (0, 0, [])

    def test_an_error_of_ours_leaves_the_application_s_rows(
        self, engine, store: BlockingStore, seen
    ) -> None:
        """The part inside is undone, the session goes on."""
        with Session(engine) as session:
            session.execute(RECEIPTS.insert().values(email=ADA["email"]))
            with pytest.raises(UniqueViolation), store.using(session):
                add(store, ADA, ADA)
            session.commit()

        assert (seen(), receipts(engine)) == (0, 1)

    def test_a_connection_s_work_is_run_by_the_application(
        self, engine, store: BlockingStore, seen
    ) -> None:
        """A bare connection does not tell of its commit, so the application does."""
        mailed: list[int] = []

        with engine.connect() as connection:
            with store.using(connection) as unit:
                store.create("user", ADA)
                store.after_commit(lambda: mailed.append(seen()))
            connection.commit()
            before = list(mailed)
            unit.run()

        assert (before, mailed) == ([], [1])


def receipts(engine: Engine) -> int:
    """Count the application's rows."""
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(RECEIPTS)) or 0


class TestTypedStores:
    """The typed stores, called from plain functions."""

    pytestmark = pytest.mark.usefixtures("nothing_runs")

    def test_users(self, auth: BlockingWatchword) -> None:
        """They come, are gone through in a plain loop, change and go."""
        ada = auth.users.create(**ADA)
        auth.users.create(**EVE)

        everybody = [it.name for it in auth.users.all(batch_size=1)]
        page, in_all = auth.users.list_users(limit=1)
        renamed = auth.users.update(ada.id, name="Ada King", expected={"name": "Ada"})

        assert sorted(everybody) == ["Ada", "Eve"]
        assert (len(page), in_all) == (1, 2)
        assert renamed is not None
        assert auth.users.get(ada.id) == renamed == auth.users.get_by_email(ADA["email"])
        assert auth.users.delete(ada.id) is True
        assert auth.users.get(ada.id) is None

    def test_users_are_left_in_the_middle(self, auth: BlockingWatchword) -> None:
        """Who has found somebody stops, and the store is as usable as before."""
        auth.users.create(**ADA)
        auth.users.create(**EVE)

        first = next(iter(auth.users.all(batch_size=1)))

        assert auth.users.delete(first.id) is True

    def test_sessions(self, auth: BlockingWatchword) -> None:
        """They are made, found by their token, listed and revoked."""
        ada = auth.users.create(**ADA)
        session = auth.sessions.create(ada.id, user_agent="a browser")

        found = auth.sessions.get(session.token)
        handles = [it.id for it in auth.sessions.list_for_user(ada.id)]
        revoked = auth.sessions.revoke(session.token), auth.sessions.revoke(session.token)

        assert found == session
        assert handles == [session.id]
        assert revoked == (True, False)

    def test_accounts(self, auth: BlockingWatchword) -> None:
        """They are linked, found with their tokens, and lead to their user."""
        ada = auth.users.create(**ADA)
        auth.accounts.upsert(ada.id, "google", "1", access_token="x")

        found = auth.accounts.find("google", "1")

        assert found is not None
        assert (found.user_id, found.access_token) == (ada.id, "x")
        assert auth.accounts.get_by_provider("google", "1") == ada
        assert auth.accounts.unlink(ada.id, found.id, even_last=True) is True

    def test_verification_values(self, auth: BlockingWatchword) -> None:
        """They are redeemed once, also from inside a transaction."""
        token = auth.verifications.issue("reset", "ada", expires_in=timedelta(hours=1))

        with suppress(ZeroDivisionError), auth.store.transaction():
            undone = auth.verifications.redeem("reset", token)
            raise ZeroDivisionError
        redeemed = [auth.verifications.redeem("reset", token) for _ in range(2)]

        assert undone == "ada"
        assert redeemed == ["ada", None]


class TestInstance:
    """The whole instance, as a WSGI application calls it."""

    pytestmark = pytest.mark.usefixtures("nothing_runs")

    def test_a_user_signs_up_and_is_known(self, auth: BlockingWatchword) -> None:
        """Hashing, writing, cookies and the way back: nothing of it needs more than a thread."""
        answer = auth.handle(sign_up())
        cookies = [value for name, value in answer.headers if name == "set-cookie"]
        cookie = next(it for it in cookies if "session_token=" in it).partition(";")[0]

        identity = auth.identify(
            Request(method="GET", path="/", headers=(("cookie", cookie),), query_string="")
        )

        assert answer.status == 200
        assert identity is not None
        assert identity.user.email == ADA["email"]

    def test_the_tables_are_looked_after(self, auth: BlockingWatchword) -> None:
        """What runs at the start of an application and beside it is as quiet."""
        assert auth.check_schema() == []
        assert auth.purge_expired().sessions == 0


def sign_up() -> Request:
    """Ada's request."""
    return Request(
        method="POST",
        path="/api/auth/sign-up/email",
        headers=(("content-type", "application/json"), ("origin", BASE_URL)),
        body=SIGN_UP,
        client_address="203.0.113.7",
    )


def test_a_store_that_needs_a_loop_says_so(tmp_path, clock) -> None:
    """The driver of an async application is refused with a way out, not with a hanging call."""
    auth = Watchword(f"sqlite+aiosqlite:///{tmp_path}/auth.db", secret=SECRET, base_url=BASE_URL)

    with pytest.raises(ConfigurationError, match="needs an event loop"):
        BlockingStore(auth.instance.store).count("user")


# What has to be refused is refused before anything else is imported. SQLAlchemy cannot be
# imported wholly without greenlet, but no greenlet can be made here.
PROGRAM: Final = """
import _thread, asyncio, greenlet, threading

def refuse(*args, **kwargs):
    raise AssertionError("a thread, an event loop or a greenlet")

_thread.start_new_thread = threading._start_new_thread = threading.Thread.start = refuse
asyncio.BaseEventLoop.__init__ = refuse
greenlet.greenlet = type("Refused", (greenlet.greenlet,), {{"__new__": refuse}})

from watchword import BlockingWatchword, EmailPassword
from watchword.http.messages import Request
from watchword.storage.blocking import BlockingStore

auth = BlockingWatchword({database!r}, secret={secret!r}, base_url={base_url!r},
                         email_password=EmailPassword())
auth.create_tables()
answer = auth.handle(Request(
    method="POST", path="/api/auth/sign-up/email", client_address="203.0.113.7", body={body!r},
    headers=(("content-type", "application/json"), ("origin", {base_url!r}))))
store = BlockingStore(auth.instance.store)
with store.transaction():
    store.create("user", {eve!r})
print(answer.status, store.count("user"))
auth.close()
"""


def test_a_program_without_threads_loops_and_greenlets_works(sqlite_database: str) -> None:
    """Where none of the three can be had, a user signs up all the same."""
    program = PROGRAM.format(
        database=sqlite_database, secret=SECRET, base_url=BASE_URL, body=SIGN_UP, eve=EVE
    )

    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True
    )

    assert (answer.stdout, answer.stderr) == ("200 2\n", "")
