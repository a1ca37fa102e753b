"""Transactions at an instance: what commits or vanishes together, and what waits for it."""

import asyncio
from contextlib import aclosing, suppress
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from watchword import APIError, EmailVerification, StorageUnavailable
from watchword.errors import TransactionEnded, UniqueViolation

ADA = {"name": "Ada", "email": "ada@example.org"}
EVE = {"name": "Eve", "email": "eve@example.org"}
PASSWORD = "difference-engine"
MODELS = ("user", "session", "account", "verification")


class Failing(Exception):
    """Ends a block."""


@pytest.fixture
def mailed() -> list[str]:
    """To whom mail went."""
    return []


@pytest.fixture
def mailing(mailed) -> dict:
    """Settings by which a new user gets mail."""

    async def send(mail) -> None:
        mailed.append(mail.to)

    return {"mail": send, "email_verification": EmailVerification(send_on_sign_up=True)}


@pytest.fixture
def note():
    """Make work for after the commit, which notes that it was done."""

    def note(heard, text):
        async def work() -> None:
            heard.append(text)

        return work

    return note


@pytest.fixture
def on_engine(sql_database, url_of, app_auth, watchword_mode, run):
    """Make an instance on an engine of the application's, and return both."""
    url = url_of(sql_database)
    make = create_engine if watchword_mode.name == "driven" else create_async_engine
    engines = []

    async def on_engine(*, instance=None, **pool):
        engine = make(url, **pool)
        engines.append(engine)
        return engine, await app_auth(engine, **instance or {})

    yield on_engine
    for engine in engines:
        closed = engine.dispose()
        if closed is not None:
            run(closed)


async def rows_of(auth) -> dict:
    """Return every row of every model."""
    return {model: await auth.store.find_many(model) for model in MODELS}


async def much(auth, eve) -> None:
    """Write by every store and by endpoints, mail and hooks included."""
    signed_up = await auth.api.sign_up_email(**ADA, password=PASSWORD)
    await auth.accounts.upsert(signed_up.user.id, "google", "117", access_token="token")
    await auth.sessions.create(signed_up.user.id, ip_address="203.0.113.7")
    await auth.sessions.revoke_all(eve.id)
    await auth.users.update(signed_up.user.id, name="Ada King")
    await auth.api.sign_in_email(email=ADA["email"], password=PASSWORD)
    await auth.users.delete(eve.id)


# --- together ------------------------------------------------------------------------------


async def test_stores_and_endpoints_commit_together(
    sql_database, app_auth, mailing, mailed, emails
):
    """Others see nothing of it before, and all of it then; mail goes then."""
    auth = await app_auth(sql_database, **mailing)
    eve = await auth.users.create(**EVE)

    async with auth.transaction():
        await much(auth, eve)
        await auth.drain()
        before = list(mailed)
    await auth.drain()

    assert before == []
    assert mailed == ["ada@example.org"]
    assert await emails(auth) == ["ada@example.org"]
    ada = await auth.users.get_by_email(ADA["email"])
    assert ada.name == "Ada King"
    providers = [it.provider_id for it in await auth.accounts.list_for_user(ada.id)]
    assert sorted(providers) == ["credential", "google"]
    assert len(await auth.sessions.list_for_user(ada.id)) == 3


async def test_an_exception_leaves_nothing(sql_database, app_auth, mailing, mailed):
    """Neither rows, nor mail, nor the deletion of what was there."""
    auth = await app_auth(sql_database, **mailing)
    eve = await auth.users.create(**EVE)
    await auth.sessions.create(eve.id)
    before = await rows_of(auth)

    with pytest.raises(Failing):
        await fail_after(auth, much(auth, eve))
    await auth.drain()

    assert await rows_of(auth) == before
    assert mailed == []


async def fail_after(auth, work) -> None:
    """Work in a transaction, and fail in the end."""
    async with auth.transaction():
        await work
        raise Failing


async def test_a_refusal_of_an_endpoint_undoes_what_was_before_it(sql_database, app_auth, emails):
    """An `APIError` is an exception like others; caught inside, it undoes its own part alone."""
    auth = await app_auth(sql_database)
    await auth.users.create(**EVE)

    async def sign_up(email):
        await auth.api.sign_up_email(name="", email=email, password=PASSWORD)

    async def refused_in_the_end():
        async with auth.transaction():
            await sign_up("grace@example.org")
            await sign_up(EVE["email"])

    with pytest.raises(APIError):
        await refused_in_the_end()
    async with auth.transaction():
        with pytest.raises(APIError):
            await sign_up(EVE["email"])
        await sign_up("alan@example.org")

    assert await emails(auth) == ["alan@example.org", "eve@example.org"]


async def test_a_caught_violation_undoes_the_transaction(sql_database, app_auth, emails):
    """On every database alike: whoever goes on after it learns at the end that nothing is kept."""
    auth = await app_auth(sql_database)
    await auth.users.create(**EVE)

    async def go_on():
        async with auth.transaction():
            await auth.users.create(**ADA)
            with suppress(UniqueViolation):
                await auth.users.create(**EVE)

    with pytest.raises(TransactionEnded):
        await go_on()

    assert await emails(auth) == ["eve@example.org"]


async def test_a_value_is_redeemed_with_its_transaction(sql_database, app_auth):
    """Rolled back, it was not; and a user who was made for it is not there."""
    auth = await app_auth(sql_database)
    hour = timedelta(hours=1)
    token = await auth.verifications.issue("invitation", "gold", expires_in=hour)

    async def accept():
        plan = await auth.verifications.redeem("invitation", token)
        await auth.users.create(**ADA, plan=plan)

    with pytest.raises(Failing):
        await fail_after(auth, accept())
    kept = await auth.verifications.find("invitation", token)
    async with auth.transaction():
        await accept()

    assert kept.value == "gold"
    assert (await auth.users.get_by_email(ADA["email"])).plan == "gold"
    assert await auth.verifications.redeem("invitation", token) is None


@pytest.mark.slow
async def test_a_failure_at_any_statement_leaves_nothing(on_engine, mailing, mailed):
    """From the first one to COMMIT itself, be the error the database's or a bug's."""
    engine, auth = await on_engine(instance=mailing)
    eve = await auth.users.create(**EVE)
    await auth.sessions.create(eve.id)
    before = await rows_of(auth)
    heard, statements, fail_at = [], count(1), 0

    def fail(_connection, _cursor, statement, *_):
        if fail_at and next(statements) == fail_at:
            error = OperationalError(statement, None, Exception("out of order"))
            raise error if fail_at % 2 else Failing

    async def hear() -> None:
        heard.append(fail_at)

    async def work() -> None:
        async with auth.transaction():
            await auth.after_commit(hear)
            await much(auth, eve)

    event.listen(getattr(engine, "sync_engine", engine), "before_cursor_execute", fail)
    for number in count(1):
        statements, fail_at = count(1), number
        try:
            await work()
        except (StorageUnavailable, Failing):
            fail_at = 0
            await auth.drain()
            assert (heard, mailed, await rows_of(auth)) == ([], [], before), number
        else:
            break
    await auth.drain()

    assert number > 20
    assert (heard, mailed) == ([number], ["ada@example.org"])


# --- savepoints, and what waits ------------------------------------------------------------


async def test_a_nested_part_is_undone_alone(sql_database, app_auth, emails, note):
    """With what it queued; what was before and comes after it is kept."""
    auth = await app_auth(sql_database)
    heard = []

    async def part():
        async with auth.transaction():
            await auth.users.create(**EVE)
            await auth.after_commit(note(heard, "eve"))
            async with auth.transaction():
                await auth.users.create(name="", email="mallory@example.org")
                await auth.after_commit(note(heard, "mallory"))
            raise Failing

    async with auth.transaction():
        await auth.users.create(**ADA)
        await auth.after_commit(note(heard, "ada"))
        with pytest.raises(Failing):
            await part()
        async with auth.transaction():
            await auth.users.create(name="", email="grace@example.org")
            await auth.after_commit(note(heard, "grace"))

    assert heard == ["ada", "grace"]
    assert await emails(auth) == ["ada@example.org", "grace@example.org"]


async def test_work_runs_once_after_the_outermost_commit(sql_database, app_auth, note):
    """In the order in which it was asked for, and sees what was committed; then at once."""
    auth = await app_auth(sql_database)
    heard = []

    async def look() -> None:
        heard.append((await auth.users.list_users())[1])

    async with auth.transaction():
        await auth.after_commit(note(heard, "first"))
        async with auth.transaction():
            await auth.after_commit(note(heard, "second"))
            await auth.users.create(**ADA)
        await auth.after_commit(look)
        await auth.after_commit(note(heard, "last"))
        during = list(heard)
    after = list(heard)
    async with auth.transaction():
        await auth.users.create(**EVE)
    await auth.after_commit(note(heard, "at once"))

    assert during == []
    assert after == ["first", "second", 1, "last"]
    assert heard[4:] == ["at once"]


async def test_nothing_is_said_of_what_was_undone(sql_database, app_auth, mailing, mailed, note):
    """Not then, and not by the next commit."""
    auth = await app_auth(sql_database, **mailing)
    heard = []

    async def work():
        await auth.after_commit(note(heard, "never"))
        await auth.api.sign_up_email(**ADA, password=PASSWORD)

    with pytest.raises(Failing):
        await fail_after(auth, work())
    async with auth.transaction():
        await auth.users.create(**EVE)
    await auth.drain()

    assert (heard, mailed) == ([], [])


# --- again ---------------------------------------------------------------------------------


async def test_a_deadlock_is_done_again(server_database, app_auth, spawn, watchword_mode, note):
    """A real one: each holds what the other wants; both are done, each tells of it once."""
    auth = await app_auth(server_database)
    users = [await auth.users.create(**ADA, age=0), await auth.users.create(**EVE, age=0)]
    holding = [watchword_mode.signal(), watchword_mode.signal()]
    heard, tries = [], []

    async def older(user) -> None:
        found = await auth.users.get(user.id)
        await auth.users.update(user.id, age=found.age + 1)

    def both(mine):
        async def work() -> int:
            tries.append(mine)
            await auth.after_commit(note(heard, mine))
            await older(users[mine])
            holding[mine].set()
            assert await holding[1 - mine].wait()
            await auth.users.update(users[1 - mine].id, plan="gold")
            return mine

        return work

    children = [spawn(lambda it=it: auth.run_in_transaction(both(it))) for it in (0, 1)]
    results = [await child.result() for child in children]

    assert results == [0, 1]
    assert len(tries) > 2
    assert sorted(heard) == [0, 1]
    kept = [await auth.users.get(it.id) for it in users]
    assert [(it.age, it.plan) for it in kept] == [(1, "gold")] * 2


async def test_what_does_not_get_better_is_given_up(sql_database, app_auth, emails):
    """After so many attempts as were allowed, with nothing written."""
    auth = await app_auth(sql_database)
    tries = []

    async def work() -> None:
        tries.append(await auth.users.create(**ADA))
        raise StorageUnavailable("deadlock", retryable=True)

    with pytest.raises(StorageUnavailable):
        await auth.run_in_transaction(work, attempts=3)

    assert len(tries) == 3
    assert await emails(auth) == []


# --- what is not shared --------------------------------------------------------------------


@pytest.mark.slow
async def test_64_children_have_transactions_of_their_own(
    sql_database, app_auth, race, emails, note
):
    """Started inside an open one that is undone; one of them fails, and fails alone."""
    auth = await app_auth(sql_database)
    numbers, heard = count(), []

    async def child() -> None:
        number = next(numbers)
        async with auth.transaction():
            await auth.users.create(name="", email=f"{number:02}@example.org")
            await auth.after_commit(note(heard, number))
            await auth.users.create(name="", email=f"{number:02}@example.com")
            if number == 13:
                raise Failing

    async def parent() -> list:
        async with auth.transaction():
            await auth.after_commit(note(heard, "parent"))
            outcomes = await race(64, child)
            await auth.users.create(**ADA)
            assert (await auth.users.get_by_email("12@example.com")) is not None
            raise Failing(outcomes)

    with pytest.raises(Failing) as failure:
        await parent()

    [outcomes] = failure.value.args
    survivors = [it for it in range(64) if it != 13]
    assert [type(it) for it in outcomes if it is not None] == [Failing]
    assert sorted(heard) == survivors
    expected = [f"{it:02}@example.{end}" for it in survivors for end in ("com", "org")]
    assert await emails_in_pages(auth) == expected


async def emails_in_pages(auth) -> list[str]:
    """Return all addresses in order."""
    return sorted([it.email async for it in auth.users.all()])


async def test_a_child_sees_nothing_of_what_is_open(server_database, app_auth, spawn):
    """It reads on a connection of its own what was committed."""
    auth = await app_auth(server_database)

    async with auth.transaction():
        made = await auth.users.create(**ADA)
        seen = await spawn(lambda: auth.users.get(made.id)).result()
        own = await auth.users.get(made.id)

    assert seen is None
    assert own == made == await auth.users.get(made.id)


# --- left open -----------------------------------------------------------------------------


async def made_in_parts(auth):
    """Write a user in a transaction, and yield inside of it."""
    async with auth.transaction():
        yield await auth.users.create(**EVE)
        yield None


async def test_a_generator_that_is_left_takes_nothing_else_with_it(on_engine, emails, spawn, note):
    """Its own rows are undone; what its task writes, at once and later, is committed."""
    _, auth = await on_engine(pool_size=1, max_overflow=0, pool_timeout=5)
    heard = []

    async for _ in made_in_parts(auth):
        break
    await auth.users.create(name="", email="at-once@example.org")
    async for _ in made_in_parts(auth):
        break
    await auth.after_commit(note(heard, "at once"))
    async for _ in made_in_parts(auth):
        break
    async with auth.transaction():
        await auth.users.create(**ADA)
    seen = await spawn(lambda: emails(auth)).result()

    assert heard == ["at once"]
    assert seen == ["ada@example.org", "at-once@example.org"]


async def test_a_generator_that_is_closed_undoes_its_part(on_engine, emails):
    """Inside another transaction it is a savepoint."""
    _, auth = await on_engine(pool_size=1, max_overflow=0, pool_timeout=5)

    async with auth.transaction():
        async with aclosing(made_in_parts(auth)) as parts:
            await anext(parts)
        await auth.users.create(**ADA)

    assert await emails(auth) == ["ada@example.org"]


@pytest.mark.needs_loop
async def test_a_part_that_is_left_open_undoes_the_whole(on_engine, emails):
    """Nobody could tell what was written inside of it and what behind it."""
    _, auth = await on_engine(pool_size=1, max_overflow=0, pool_timeout=5)
    left = made_in_parts(auth)

    async def work(leave) -> None:
        async with auth.transaction():
            await anext(left)
            await auth.users.create(**ADA)
            await leave()

    async def in_another_task() -> None:
        await asyncio.create_task(close())

    async def close() -> None:
        await left.aclose()

    async def never() -> None:
        pass

    for leave in (in_another_task, never):
        with pytest.raises(TransactionEnded):
            await work(leave)
        with suppress(TransactionEnded):
            await left.aclose()
        assert await emails(auth) == []
        left = made_in_parts(auth)


async def test_a_transaction_may_be_left_by_another_task_or_thread(on_engine, emails, spawn, note):
    """As a dependency or a fixture is: it is committed, and what waited for that is done once."""
    _, auth = await on_engine(pool_size=1, max_overflow=0, pool_timeout=5)
    heard = []

    async def dependency():
        async with auth.transaction():
            await auth.users.create(**ADA)
            await auth.after_commit(note(heard, "committed"))
            yield

    parts = dependency()

    async def step() -> bool:
        return await anext(parts, "done") == "done"

    ended = [await spawn(step).result() for _ in range(2)]
    await auth.users.create(**EVE)

    assert ended == [False, True]
    assert heard == ["committed"]
    assert await emails(auth) == ["ada@example.org", "eve@example.org"]


@pytest.mark.needs_loop
@pytest.mark.parametrize("nested", [False, True])
async def test_a_cancelled_transaction_gives_its_connection_back(on_engine, note, emails, nested):
    """The only one of the pool; nothing of it is kept, and nothing is said of it."""
    _, auth = await on_engine(pool_size=1, max_overflow=0, pool_timeout=5)
    heard, written = [], asyncio.Event()

    async def work() -> None:
        await auth.users.create(**ADA)
        await auth.after_commit(note(heard, "never"))
        written.set()
        await asyncio.Event().wait()

    async def left_open() -> None:
        async with auth.transaction():
            await (auth.run_in_transaction(work) if nested else work())

    task = asyncio.ensure_future(left_open())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert heard == []
    async with auth.transaction():
        await auth.users.create(**EVE)
    assert await emails(auth) == ["eve@example.org"]


@pytest.mark.needs_loop
async def test_a_transaction_that_runs_out_of_time_is_undone(on_engine, emails):
    """By `asyncio.timeout()`, which cancels and then goes on in the same task."""
    _, auth = await on_engine(pool_size=1, max_overflow=0, pool_timeout=5)

    async def work() -> None:
        async with asyncio.timeout(0.3), auth.transaction():
            await auth.users.create(**ADA)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()

    assert await emails(auth) == []


async def test_an_interrupted_transaction_gives_its_connection_back(on_engine, emails):
    """By whatever ends a program: Ctrl-C is no `Exception`."""
    _, auth = await on_engine(pool_size=1, max_overflow=0, pool_timeout=5)

    class Interrupted(BaseException):
        pass

    async def work() -> None:
        async with auth.transaction(), auth.transaction():
            await auth.users.create(**ADA)
            raise Interrupted

    with pytest.raises(Interrupted):
        await work()

    assert await emails(auth) == []
