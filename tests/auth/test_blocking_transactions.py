"""Transactions of a blocking instance: `with`, threads, and sessions of the application's."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, event, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from watchword import APIError, EmailVerification, StorageUnavailable
from watchword.errors import TransactionEnded, UniqueViolation

ADA = {"name": "Ada", "email": "ada@example.org"}
EVE = {"name": "Eve", "email": "eve@example.org"}
PASSWORD = "difference-engine"
MODELS = ("user", "session", "account", "verification")
ORDERS = Table(
    "blocking_orders",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("buyer", String(100)),
)
"""The application's own."""


class Failing(Exception):
    """Ends a block."""


class Caller(threading.Thread):
    """Calls a function in a thread that inherits the context, and keeps what came of it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = copy_context().run, function
        self.outcome: Any = None

    def run(self) -> None:
        """Call it."""
        run, function = self._call
        try:
            self.outcome = run(function)
        except Exception as error:  # noqa: BLE001 - handed to the test, which judges it
            self.outcome = error


def at_once(*functions: Callable[[], Any]) -> list[Any]:
    """Call all in threads, and return results and exceptions in place."""
    callers = [Caller(it) for it in functions]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    return [it.outcome for it in callers]


@pytest.fixture
def engine(sql_database):
    """The application's own engine, without orders."""
    engine = create_engine(sql_database)
    ORDERS.drop(engine, checkfirst=True)
    ORDERS.create(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def mailed() -> list[str]:
    """To whom mail went."""
    return []


@pytest.fixture
def auth(engine, blocking_auth, mailed):
    """An instance on it, which sends mail to new users."""
    return blocking_auth(
        engine,
        mail=lambda mail: mailed.append(mail.to),
        email_verification=EmailVerification(send_on_sign_up=True),
    )


def names(auth) -> list[str]:
    """Name all users."""
    return sorted(it.name for it in auth.users.all())


def much(auth, eve) -> None:
    """Write by every store and by endpoints, mail included."""
    signed_up = auth.api.sign_up_email(**ADA, password=PASSWORD)
    auth.accounts.upsert(signed_up.user.id, "google", "117", access_token="token")
    auth.sessions.create(signed_up.user.id)
    auth.sessions.revoke_all(eve.id)
    auth.users.update(signed_up.user.id, name="Ada King")
    auth.users.delete(eve.id)


def fail_after(auth, work: Callable[[], Any]) -> None:
    """Work in a transaction, and fail in the end."""
    with auth.transaction():
        work()
        raise Failing


# --- together ------------------------------------------------------------------------------


def test_stores_and_endpoints_commit_together(auth, mailed):
    """And mail goes then."""
    eve = auth.users.create(**EVE)

    with auth.transaction():
        much(auth, eve)
        [outside] = at_once(lambda: names(auth))
        auth.drain()
        before = list(mailed)
    auth.drain()

    assert (before, outside) == ([], ["Eve"])
    assert (mailed, names(auth)) == ([ADA["email"]], ["Ada King"])


@pytest.mark.slow
def test_a_failure_at_any_statement_leaves_nothing(engine, auth, mailed):
    """From the first one to COMMIT itself."""
    eve = auth.users.create(**EVE)
    auth.sessions.create(eve.id)
    before = {model: auth.store.find_many(model) for model in MODELS}
    heard, statements, fail_at = [], count(1), 0

    def fail(_connection, _cursor, statement, *_):
        if fail_at and next(statements) == fail_at:
            error = OperationalError(statement, None, Exception("out of order"))
            raise error if fail_at % 2 else Failing

    def work() -> None:
        with auth.transaction():
            auth.after_commit(lambda: heard.append(fail_at))
            much(auth, eve)

    event.listen(engine, "before_cursor_execute", fail)
    for number in count(1):
        statements, fail_at = count(1), number
        try:
            work()
        except (StorageUnavailable, Failing):
            fail_at = 0
            auth.drain()
            rows = {model: auth.store.find_many(model) for model in MODELS}
            assert (heard, mailed, rows) == ([], [], before), number
        else:
            break
    auth.drain()

    assert number > 15
    assert (heard, mailed) == ([number], [ADA["email"]])


def test_a_nested_part_is_undone_alone(auth):
    """With what it queued; a refusal of an endpoint is such a part too."""
    heard: list[str] = []
    auth.users.create(name="Grace", email="grace@example.org")

    def part() -> None:
        with auth.transaction():
            auth.users.create(**EVE)
            auth.after_commit(lambda: heard.append("eve"))
            raise Failing

    with auth.transaction():
        auth.after_commit(lambda: heard.append("first"))
        with pytest.raises(Failing):
            part()
        with pytest.raises(APIError):
            auth.api.sign_up_email(name="", email="grace@example.org", password=PASSWORD)
        with auth.transaction():
            auth.users.create(**ADA)
            auth.after_commit(lambda: heard.append("ada"))
        auth.after_commit(lambda: heard.append("last"))
        during = list(heard)

    assert during == []
    assert heard == ["first", "ada", "last"]
    assert names(auth) == ["Ada", "Grace"]


def test_nothing_is_said_of_what_was_undone(auth, mailed):
    """Not then, and not by the next commit; nor where a violation was passed over."""
    heard: list[str] = []

    def work() -> None:
        auth.after_commit(lambda: heard.append("never"))
        auth.api.sign_up_email(**ADA, password=PASSWORD)

    def pass_over() -> None:
        with auth.transaction():
            work()
            with pytest.raises(UniqueViolation):
                auth.users.create(**ADA)

    with pytest.raises(Failing):
        fail_after(auth, work)
    with pytest.raises(TransactionEnded):
        pass_over()
    with auth.transaction():
        auth.users.create(**EVE)
    auth.drain()

    assert (heard, mailed, names(auth)) == ([], [], ["Eve"])


# --- again, and apart ----------------------------------------------------------------------


def test_a_deadlock_is_done_again(server_database, blocking_auth):
    """A real one, of two threads; each tells of it once."""
    auth = blocking_auth(server_database)
    users = [auth.users.create(**ADA, age=0), auth.users.create(**EVE, age=0)]
    holding = [threading.Event(), threading.Event()]
    heard: list[int] = []
    tries: list[int] = []

    def both(mine: int) -> int:
        tries.append(mine)
        auth.after_commit(lambda: heard.append(mine))
        auth.users.update(users[mine].id, age=1)
        holding[mine].set()
        assert holding[1 - mine].wait(30)
        auth.users.update(users[1 - mine].id, plan="gold")
        return mine

    results = at_once(*(lambda it=it: auth.run_in_transaction(lambda: both(it)) for it in (0, 1)))

    assert results == [0, 1]
    assert len(tries) > 2
    assert sorted(heard) == [0, 1]


@pytest.mark.slow
def test_64_threads_have_transactions_of_their_own(auth):
    """Started inside an open one that is undone; one of them fails, and fails alone."""
    heard: list[int] = []

    def child(number: int) -> None:
        with auth.transaction():
            auth.users.create(name=f"{number:02}", email=f"{number}@example.org")
            auth.after_commit(lambda: heard.append(number))
            if number == 13:
                raise Failing

    def parent() -> None:
        outcomes.extend(at_once(*(lambda it=it: child(it) for it in range(64))))
        auth.users.create(**ADA)

    outcomes: list[Any] = []
    with pytest.raises(Failing):
        fail_after(auth, parent)

    survivors = [it for it in range(64) if it != 13]
    assert [it for it in outcomes if it is not None] == [outcomes[13]]
    assert isinstance(outcomes[13], Failing)
    assert sorted(heard) == survivors
    assert names(auth) == [f"{it:02}" for it in survivors]


def test_a_context_that_outlives_its_transaction_is_in_none(engine, auth):
    """What was started inside and runs later in the same thread neither joins nor waits."""
    heard: list[str] = []
    with auth.transaction():
        of_transaction = copy_context()
    with Session(engine) as session, auth.using(session):
        of_session = copy_context()

    for context in (of_transaction, of_session):
        context.run(auth.after_commit, lambda: heard.append("at once"))
    of_transaction.run(lambda: auth.users.create(**ADA))

    assert heard == ["at once"] * 2
    assert names(auth) == ["Ada"]


def test_an_interrupted_transaction_gives_its_connection_back(sql_database, blocking_auth):
    """The only one of the pool; Ctrl-C is no `Exception`."""
    engine = create_engine(sql_database, pool_size=1, max_overflow=0, pool_timeout=5)
    auth = blocking_auth(engine)

    def interrupted() -> None:
        with auth.transaction(), auth.transaction():
            auth.users.create(**ADA)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert names(auth) == []
    engine.dispose()


# --- in the application's session ----------------------------------------------------------


def orders(engine) -> int:
    """Count the orders as others see them."""
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(ORDERS))


@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("kind", ["session", "connection"])
def test_both_commit_or_vanish(engine, auth, mailed, kind, end):
    """The application's rows and ours, with the mail."""
    with Session(engine) if kind == "session" else engine.connect() as opened:
        opened.execute(ORDERS.insert().values(buyer="ada"))
        with auth.using(opened) as unit:
            auth.api.sign_up_email(**ADA, password=PASSWORD)
        auth.drain()
        before = orders(engine), names(auth), list(mailed)
        getattr(opened, end)()
    if kind == "connection" and end == "commit":
        unit.run()
    auth.drain()

    assert before == (0, [], [])
    expected = (1, ["Ada"], [ADA["email"]]) if end == "commit" else (0, [], [])
    assert (orders(engine), names(auth), mailed) == expected
