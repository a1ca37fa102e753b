"""Waiting: for time to pass, and for one another."""

import asyncio
import signal
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from traceback import walk_stack
from types import FrameType
from typing import Any, TypeAlias

import anyio
import pytest

from watchword.concurrency import Backoff, Mutex, run_blocking, sleep

Turns: TypeAlias = Callable[[], Awaitable[None]]
RunAll: TypeAlias = Callable[[Sequence[Callable[[], Coroutine[Any, Any, Any]]]], list[Any]]

PATIENCE = 10
"""Seconds after which something that should have happened will not."""


class TestSleep:
    """Time passes for one task or thread."""

    async def test_it_takes_as_long_as_it_was_told(self) -> None:
        """A pause between two tries is a pause, in both worlds."""
        before = time.monotonic()

        await sleep(0.01)

        assert time.monotonic() - before >= 0.01

    @pytest.mark.needs_loop
    async def test_other_tasks_go_on(self) -> None:
        """A pause is not the loop's."""
        other = asyncio.create_task(asyncio.sleep(0))

        await sleep(0.01)

        assert other.done()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each pause was to last; none really does."""
    asked: list[float] = []

    async def ask(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(time, "sleep", asked.append)
    monkeypatch.setattr(asyncio, "sleep", ask)
    return asked


class TestBackoff:
    """Who lost a race tries again, later and later."""

    async def test_each_pause_is_about_twice_as_long_up_to_the_longest(
        self, pauses: list[float]
    ) -> None:
        """At least half of what it may last, so that a try is never wasted at once."""
        backoff = Backoff(first=1, longest=5)

        for _ in range(6):
            await backoff.pause()

        shares = [pause / most for pause, most in zip(pauses, (1, 2, 4, 5, 5, 5), strict=True)]
        assert min(shares) >= 0.5
        assert max(shares) <= 1

    async def test_losers_spread(self, pauses: list[float]) -> None:
        """Two that met once do not meet again by waiting equally long."""
        for _ in range(20):
            await Backoff(first=1, longest=5).pause()

        assert len(set(pauses)) > 10


class Announcing(deque[Future[None]]):
    """The queue of a mutex, which tells when someone has joined it."""

    def __init__(self) -> None:
        super().__init__()
        self.joined = threading.Semaphore(0)

    def append(self, turn: Future[None]) -> None:
        """Take a place and tell."""
        super().append(turn)
        self.joined.release()


@pytest.fixture
def queue() -> Announcing:
    """Those who wait for the mutex."""
    return Announcing()


@pytest.fixture
def mutex(queue: Announcing) -> Mutex:
    """A mutex that can be watched."""
    mutex = Mutex()
    mutex._waiting = queue
    return mutex


class Interrupted(BaseException):
    """What a server's signal handler raises to stop a worker."""


@pytest.fixture
def interrupted_while_waiting(queue: Announcing) -> Iterator[None]:
    """Stop this thread once it waits in the queue."""
    stopped = threading.Event()

    def stop(_signal: int, frame: FrameType | None) -> None:
        waits = any(it.f_code is Future.result.__code__ for it, _ in walk_stack(frame))
        if waits and not stopped.is_set():
            stopped.set()
            raise Interrupted

    def knock() -> None:
        queue.joined.acquire(timeout=PATIENCE)
        # A signal that comes a moment before the thread waits does not wake it.
        while not stopped.wait(0.01):
            signal.pthread_kill(waiting, signal.SIGUSR1)

    waiting = threading.get_ident()
    before = signal.signal(signal.SIGUSR1, stop)
    knocking = threading.Thread(target=knock)
    knocking.start()
    yield
    stopped.set()
    knocking.join()
    signal.signal(signal.SIGUSR1, before)


class TestMutex:
    """One at a time, first come, first served."""

    def test_only_one_is_inside(self, mutex: Mutex, run_all: RunAll) -> None:
        """A read followed by a write loses no count, though others run in between."""
        count = 0

        async def add() -> None:
            nonlocal count
            for _ in range(20):
                async with mutex:
                    before = count
                    await sleep(0)
                    count = before + 1

        run_all([add] * 8)

        assert count == 160

    @pytest.mark.needs_loop
    async def test_tasks_and_threads_queue_together(self, mutex: Mutex, queue: Announcing) -> None:
        """Who came first goes first, whatever it is."""
        order: list[int] = []

        async def enter(number: int) -> None:
            async with mutex:
                order.append(number)

        await mutex.acquire()
        waiting = []
        for number in range(6):
            job = enter(number)
            elsewhere = asyncio.to_thread(run_blocking, job) if number % 2 else job
            waiting.append(asyncio.create_task(elsewhere))
            assert await asyncio.to_thread(queue.joined.acquire, timeout=PATIENCE)
        mutex.release()
        await asyncio.gather(*waiting)

        assert order == [0, 1, 2, 3, 4, 5]

    @pytest.mark.needs_loop
    async def test_who_gives_up_waiting_is_passed_over(self, turns: Turns, mutex: Mutex) -> None:
        """A cancelled task takes its place out of the queue."""
        await mutex.acquire()
        impatient = asyncio.create_task(mutex.acquire())
        patient = asyncio.create_task(mutex.acquire())
        await turns()

        impatient.cancel()
        await turns()
        assert not patient.done()
        mutex.release()
        await asyncio.wait_for(patient, PATIENCE)

        assert impatient.cancelled()

    @pytest.mark.needs_loop
    async def test_who_is_cancelled_while_the_lock_is_handed_over_passes_it_on(
        self, turns: Turns, mutex: Mutex
    ) -> None:
        """The lock is not lost in the moment between being given and being taken."""
        await mutex.acquire()
        unlucky = asyncio.create_task(mutex.acquire())
        following = asyncio.create_task(mutex.acquire())
        await turns()

        mutex.release()
        unlucky.cancel()

        await asyncio.wait_for(following, PATIENCE)
        assert unlucky.cancelled()

    @pytest.mark.needs_loop
    async def test_a_cancel_scope_takes_its_tasks_out_of_the_queue(
        self, turns: Turns, mutex: Mutex
    ) -> None:
        """A framework's cancellation leaves no dead place behind."""
        await mutex.acquire()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(mutex.acquire)
            await turns()
            tasks.cancel_scope.cancel()

        mutex.release()

        await asyncio.wait_for(mutex.acquire(), PATIENCE)

    @pytest.mark.usefixtures("interrupted_while_waiting")
    def test_an_interrupted_thread_is_passed_over(self, mutex: Mutex) -> None:
        """A worker that is told to stop while it waits does not get the lock for ever."""
        run_blocking(mutex.acquire())
        with pytest.raises(Interrupted):
            run_blocking(mutex.acquire())

        mutex.release()

        next_one = threading.Thread(target=lambda: run_blocking(mutex.acquire()), daemon=True)
        next_one.start()
        next_one.join(PATIENCE)
        assert not next_one.is_alive()

    async def test_an_exception_inside_gives_the_lock_back(self, mutex: Mutex) -> None:
        """The next one finds it free."""

        async def fail() -> None:
            async with mutex:
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        await mutex.acquire()

        assert mutex._held
