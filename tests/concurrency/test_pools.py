"""Threads and tasks of our own: for heavy work, and for work that nobody waits for."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeAlias

import pytest

from watchword.concurrency import Background, WorkPool, current_loop, run_blocking
from watchword.errors import Overloaded
from watchword.testing.modes import Mode, Signal

Turns: TypeAlias = Callable[[], Awaitable[None]]
RunAll: TypeAlias = Callable[[Sequence[Callable[[], Coroutine[Any, Any, Any]]]], list[Any]]

PATIENCE = 10
"""Seconds after which something that should have happened will not."""


class WatchedPool(WorkPool):
    """A pool that tells when someone came and when someone left."""

    def __init__(self, *, workers: int, queue: int) -> None:
        super().__init__(workers=workers, queue=queue, retry_after=7)
        self.came = threading.Semaphore(0)
        self.left = threading.Semaphore(0)

    def _enter(self) -> None:
        super()._enter()
        self.came.release()

    def _leave(self, _future: object = None) -> None:
        super()._leave(_future)
        self.left.release()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What the work in a pool waits for; open at the end of the test in any case."""
    gate = threading.Event()
    yield gate
    gate.set()


class TestWorkPool:
    """A burst is answered with "later", not with a backlog."""

    @pytest.mark.parametrize(("workers", "queue"), [(1, 0), (1, 2), (2, 1)])
    async def test_what_does_not_fit_is_refused_at_once(
        self, workers: int, queue: int, gate: threading.Event
    ) -> None:
        """As many as workers and queue hold may wait; the next one is told when to return."""
        pool = WatchedPool(workers=workers, queue=queue)
        capacity = workers + queue
        ran: list[str] = []
        with ThreadPoolExecutor(capacity) as threads:
            for _ in range(capacity):
                threads.submit(lambda: run_blocking(pool.run(gate.wait, PATIENCE)))
            for _ in range(capacity):
                assert pool.came.acquire(timeout=PATIENCE)

            with pytest.raises(Overloaded) as refusal:
                await pool.run(ran.append, "refused")
            gate.set()

        assert refusal.value.retry_after == 7
        assert ran == []

    def test_no_more_run_at_the_same_time_than_there_are_workers(self, run_all: RunAll) -> None:
        """Both slots are used, and never a third."""
        pool = WorkPool(workers=2, queue=6)
        pair, crowd = threading.Barrier(2), threading.Barrier(3)
        guard = threading.Lock()
        running: list[int] = []
        most = 0

        def work() -> None:
            nonlocal most
            with guard:
                running.append(1)
                most = max(most, len(running))
            pair.wait(PATIENCE)
            # A third would come here at once; nobody does, so the barrier breaks, once.
            with suppress(threading.BrokenBarrierError):
                crowd.wait(0.1)
            with guard:
                running.pop()

        run_all([lambda: pool.run(work)] * 8)

        assert most == 2

    async def test_an_exception_frees_its_slot(self) -> None:
        """Failing work does not use the pool up."""
        pool = WorkPool(workers=1, queue=0)

        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.run(divmod, 1, 0)

        assert await pool.run(divmod, 7, 2) == (3, 1)

    async def test_a_refusal_takes_no_slot(self, gate: threading.Event) -> None:
        """However many were refused, the pool is whole once its work is done."""
        pool = WatchedPool(workers=1, queue=0)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: run_blocking(pool.run(gate.wait, PATIENCE)))
            assert pool.came.acquire(timeout=PATIENCE)
            for _ in range(3):
                with pytest.raises(Overloaded):
                    await pool.run(threading.get_ident)
            gate.set()

        assert await pool.run(divmod, 7, 2) == (3, 1)

    @pytest.mark.needs_loop
    async def test_who_stops_waiting_frees_its_place(
        self, turns: Turns, gate: threading.Event
    ) -> None:
        """A cancelled caller in the queue is gone, and its work is never done."""
        pool = WorkPool(workers=1, queue=1)
        ran: list[str] = []
        busy = asyncio.create_task(pool.run(gate.wait, PATIENCE))
        impatient = asyncio.create_task(pool.run(ran.append, "impatient"))
        await turns()

        impatient.cancel()
        await turns()
        next_one = asyncio.create_task(pool.run(ran.append, "next"))
        await turns()
        gate.set()
        await asyncio.gather(busy, next_one)

        assert ran == ["next"]

    @pytest.mark.needs_loop
    async def test_work_that_nobody_waits_for_keeps_its_slot_until_it_ends(
        self, turns: Turns, gate: threading.Event
    ) -> None:
        """Cancelled callers cannot pile up more work than there are workers."""
        pool = WatchedPool(workers=1, queue=0)
        started = threading.Event()

        def work() -> None:
            started.set()
            gate.wait(PATIENCE)

        caller = asyncio.create_task(pool.run(work))
        assert await asyncio.to_thread(started.wait, PATIENCE)
        caller.cancel()
        await turns()

        assert caller.cancelled()
        with pytest.raises(Overloaded):
            await pool.run(threading.get_ident)
        gate.set()
        assert await asyncio.to_thread(pool.left.acquire, timeout=PATIENCE)
        assert await pool.run(divmod, 7, 2) == (3, 1)

    async def test_only_a_loop_s_work_goes_to_another_thread(self) -> None:
        """Without a loop the caller's own thread does the work, when its turn has come."""
        thread = await WorkPool(workers=1, queue=0).run(threading.get_ident)

        assert (thread == threading.get_ident()) is (current_loop() is None)


class Piece:
    """A piece of work that ends when it is told to."""

    def __init__(self, go: Signal) -> None:
        self.go = go
        self.done = False

    async def work(self) -> None:
        """Wait for the go."""
        assert await self.go.wait(PATIENCE)
        self.done = True


@pytest.fixture
def piece(watchword_mode: Mode) -> Piece:
    """A piece of work that still has to be told to end."""
    return Piece(watchword_mode.signal())


async def fail() -> None:
    """Do what a mail server that is down makes a sender do."""
    raise LookupError("no mail server")


async def nothing() -> None:
    """Do nothing."""


@pytest.fixture
def hurried() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class TestBackground:
    """An answer waits for no mail server."""

    async def test_the_caller_goes_on_at_once(self, piece: Piece) -> None:
        """Work that was begun is done by the time that `drain` returns, and not before."""
        background = Background()

        await background.start(piece.work)
        before = piece.done
        piece.go.set()
        await background.drain()

        assert (before, piece.done) == (False, True)

    @pytest.mark.parametrize("most", [1000, 0], ids=["beside", "in place"])
    async def test_what_fails_is_logged_and_raised_nowhere(
        self, caplog: pytest.LogCaptureFixture, most: int
    ) -> None:
        """Neither who began it nor who waits for it can do anything about it."""
        background = Background(most=most)

        with caplog.at_level(logging.ERROR, logger="watchword"):
            await background.start(fail)
            await background.drain()

        [record] = caplog.records
        assert record.message == "work in the background failed"
        assert str(record.exc_info and record.exc_info[1]) == "no mail server"

    async def test_a_flood_slows_down_who_causes_it(self, piece: Piece) -> None:
        """What comes on top of the most is done when `start` returns."""
        background, done = Background(most=2), []

        async def note() -> None:
            done.append("note")

        for _ in range(2):
            await background.start(piece.work)
        await background.start(note)
        in_place = done.copy()
        piece.go.set()
        await background.drain()

        assert (in_place, piece.done) == (["note"], True)

    async def test_work_that_is_done_makes_room(self, piece: Piece) -> None:
        """Most is what waits at the same time, not what was ever begun."""
        background = Background(most=10)
        for _ in range(20):
            await background.start(nothing)
            await background.drain()

        await background.start(piece.work)
        before = piece.done
        piece.go.set()
        await background.drain()

        assert (before, piece.done) == (False, True)

    async def test_nothing_is_there_to_be_waited_for(self) -> None:
        """Closing what was never used works."""
        await Background().drain()

    @pytest.mark.parametrize("drain", [asyncio.run, run_blocking], ids=["loop", "driven"])
    def test_nobody_waits_for_the_tasks_of_another_loop(
        self, gate: threading.Event, drain: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        """A loop cannot, and a thread would wait for ever if that loop has stopped."""
        background, begun, done = Background(), threading.Event(), threading.Event()

        async def work() -> None:
            begun.set()
            await asyncio.to_thread(gate.wait, PATIENCE)
            done.set()

        async def program() -> None:
            await background.start(work)
            await background.drain()

        elsewhere = threading.Thread(target=lambda: asyncio.run(program()))
        elsewhere.start()
        assert begun.wait(PATIENCE)
        drain(background.drain())
        before = done.is_set()
        gate.set()
        elsewhere.join(PATIENCE)

        assert (before, done.is_set()) == (False, True)

    @pytest.mark.usefixtures("hurried")
    def test_a_loop_may_drain_while_another_begins(self) -> None:
        """What other threads begin and end meanwhile does not disturb it."""
        background, begun, stopped = Background(most=5000), threading.Event(), threading.Event()

        async def begin() -> None:
            for_ever = asyncio.Event().wait
            for _ in range(2000):
                await background.start(for_ever)
            begun.set()
            while not stopped.is_set():
                await background.start(nothing)
                await asyncio.sleep(0)

        async def drain() -> None:
            for _ in range(500):
                await background.drain()

        elsewhere = threading.Thread(target=lambda: asyncio.run(begin()))
        elsewhere.start()
        assert begun.wait(PATIENCE)
        try:
            asyncio.run(drain())
        finally:
            stopped.set()
            elsewhere.join(PATIENCE)

        assert not elsewhere.is_alive()

    async def test_work_begun_in_a_transaction_does_not_join_it(self, new_auth: Any) -> None:
        """It is undone with nobody, and keeps nobody's connection."""
        store, background = new_auth().store, Background()

        async def write(name: str) -> None:
            await store.create("user", {"name": name, "email": f"{name}@example.org"})

        async def change() -> None:
            await write("ada")
            await background.start(lambda: write("bob"))
            raise LookupError

        with pytest.raises(LookupError):
            await store.run_in_transaction(change)
        await background.drain()

        assert [it["name"] for it in await store.find_many("user")] == ["bob"]


FORKS: Final = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
SENDS: Final = """
import os, signal, sys, threading
from watchword.concurrency import Background, run_blocking

signal.alarm(20)
background, gate, begun = Background(workers=1), threading.Event(), threading.Event()

def say(what):
    async def work():
        sys.stdout.write(what + chr(10))
        sys.stdout.flush()
    return work

async def wait_for_gate():
    begun.set()
    gate.wait(20)

run_blocking(background.start(wait_for_gate))
run_blocking(background.start(say("the parent's")))
begun.wait(20)
if os.fork() == 0:
    signal.alarm(20)
    run_blocking(background.start(say("the child's")))
    run_blocking(background.drain())
    os._exit(0)
status = os.wait()[1]
gate.set()
run_blocking(background.drain())
print(status)
"""
WORKS: Final = """
import asyncio, os, signal, sys, threading
from watchword.concurrency import WorkPool, run_blocking

signal.alarm(20)
pool, gate, begun = WorkPool(workers=1, queue=0), threading.Event(), threading.Event()
drive = {"loop": asyncio.run, "driven": run_blocking}[sys.argv[1]]

def work():
    begun.set()
    gate.wait(20)

thread = threading.Thread(target=lambda: drive(pool.run(work)))
thread.start()
begun.wait(20)
if os.fork() == 0:
    signal.alarm(20)
    os._exit(drive(pool.run(int, "42")))
print(os.waitstatus_to_exitcode(os.wait()[1]))
gate.set()
thread.join(20)
print(drive(pool.run(int, "7")))
"""


def run_forking(program: str, *arguments: str) -> list[str]:
    """Run a program that forks; threads of the tests' own process would not survive it."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines()


@FORKS
class TestFork:
    """Threads do not survive a fork, and nobody releases what another thread had locked."""

    def test_a_child_does_what_it_began_and_no_more(self) -> None:
        """Its own mail is sent, once, and what its parent had under way stays the parent's."""
        assert run_forking(SENDS) == ["the child's", "the parent's", "0"]

    @pytest.mark.parametrize("driving", ["loop", "driven"])
    def test_a_child_has_threads_and_slots_of_its_own(self, driving: str) -> None:
        """What was busy in the parent is free in the child, and busy in the parent still."""
        assert run_forking(WORKS, driving) == ["42", "7"]
