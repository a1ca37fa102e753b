"""How coroutines are run: with an event loop, and driven without one."""

import asyncio
import gc
import signal
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from traceback import walk_stack
from types import FrameType
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from watchword.concurrency import (
    Mutex,
    WorkPool,
    acquire,
    call,
    complete,
    current_loop,
    current_owner,
    finish,
    offload,
    offload_at_once,
    run_blocking,
    sleep,
)
from watchword.errors import ConfigurationError, Overloaded

PATIENCE = 10
"""Seconds after which something that should have happened will not."""

Job = Callable[[], Coroutine[Any, Any, Any]]


async def turns() -> None:
    """Let every other task of the loop go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def seen(event: threading.Event) -> None:
    """Wait for another thread, without stopping the loop."""
    assert await asyncio.to_thread(event.wait, PATIENCE)


def in_tasks(jobs: Sequence[Job]) -> list[Any]:
    """Run all at the same time as tasks of one loop."""

    async def together() -> list[Any]:
        return await asyncio.gather(*(job() for job in jobs))

    return asyncio.run(together())


def in_threads(jobs: Sequence[Job]) -> list[Any]:
    """Run all at the same time, each driven in a thread of its own."""
    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(lambda job: run_blocking(job()), jobs))


async def waits_for_asyncio() -> None:
    """Wait as most libraries do."""
    await asyncio.sleep(1)


async def waits_for_anyio() -> None:
    """Wait as HTTP clients do."""
    await anyio.sleep(1)


async def makes_a_task() -> None:
    """Ask for a loop without waiting."""
    async with asyncio.TaskGroup():
        pass


async def yields() -> None:
    """Wait for nothing but the loop's next turn."""
    await asyncio.sleep(0)


class TestRunBlocking:
    """A coroutine that never really waits needs no loop."""

    def test_the_result_is_returned(self) -> None:
        """What the coroutine returns is what the caller gets."""

        async def answer() -> int:
            return await offload(lambda: 42)

        assert run_blocking(answer()) == 42

    def test_an_exception_goes_through(self) -> None:
        """The coroutine's exceptions are not dressed up, RuntimeErrors included."""
        broken = RuntimeError("out of order")

        async def fail() -> None:
            raise broken

        with pytest.raises(RuntimeError) as failure:
            run_blocking(fail())
        assert failure.value is broken

    @pytest.mark.parametrize(
        ("coroutine_function", "culprit"),
        [
            (waits_for_asyncio, "waits_for_asyncio"),
            (waits_for_anyio, "waits_for_anyio"),
            (makes_a_task, "makes_a_task"),
            (yields, "sleep"),
        ],
    )
    def test_what_waits_is_named(
        self, coroutine_function: Callable[[], Coroutine[Any, Any, None]], culprit: str
    ) -> None:
        """Whether it asks for a loop or yields to one, the developer reads who did."""

        async def outer() -> None:
            await coroutine_function()

        with pytest.raises(ConfigurationError) as refusal:
            run_blocking(outer())
        assert refusal.value.message.startswith(f"{culprit} needs an event loop")

    def test_what_waits_is_named_inside_a_running_loop(self) -> None:
        """A blocking call in an async program gets the same refusal, not a hanging task."""

        async def program() -> None:
            run_blocking(waits_for_asyncio())

        with pytest.raises(ConfigurationError, match="sleep needs an event loop"):
            asyncio.run(program())

    def test_the_clean_up_of_what_waited_is_driven_too(self) -> None:
        """A `finally` that offloads works in place, though a loop runs in the thread."""
        threads = []

        async def port() -> None:
            try:
                await asyncio.sleep(1)
            finally:
                threads.append(await offload(threading.get_ident))

        async def program() -> None:
            run_blocking(port())

        with pytest.raises(ConfigurationError):
            asyncio.run(program())
        assert threads == [threading.get_ident()]

    def test_a_running_loop_is_out_of_sight_and_back_afterwards(self) -> None:
        """Driven code does not see the loop around it; the code around it still does."""

        async def look() -> object:
            return current_loop()

        async def program() -> tuple[object, object, object]:
            driven = run_blocking(look())
            return driven, current_loop(), asyncio.get_running_loop()

        driven, after, running = asyncio.run(program())

        assert driven is None
        assert after is running

    def test_a_loop_that_is_started_inside_counts_as_itself(self) -> None:
        """A callback may run a loop of its own; what it awaits there waits for that one."""

        async def inside() -> bool:
            return current_loop() is asyncio.get_running_loop()

        async def callback() -> bool:
            return await offload(lambda: asyncio.run(inside()))

        assert run_blocking(callback()) is True


class TestOffload:
    """Blocking work stays off the loop's thread, and in place where no loop runs."""

    @pytest.mark.parametrize("way", [offload, offload_at_once])
    async def test_only_a_loop_s_work_goes_to_another_thread(self, way: Any) -> None:
        """Driven code keeps its thread, with all that is bound to it."""
        thread = await way(threading.get_ident)

        in_place = thread == threading.get_ident()
        assert in_place is (current_loop() is None)

    @pytest.mark.parametrize("way", [offload, offload_at_once])
    async def test_arguments_results_and_exceptions_go_through(self, way: Any) -> None:
        """The detour is invisible to both sides."""
        result = await way(divmod, 7, 2)
        ordered = await way(sorted, [1, 2], reverse=True)

        assert (result, ordered) == ((3, 1), [2, 1])
        with pytest.raises(ZeroDivisionError):
            await way(divmod, 7, 0)

    async def test_context_variables_are_seen(self) -> None:
        """The function belongs to the request that it works for."""
        request: ContextVar[str] = ContextVar("request")
        request.set("this one")

        assert await offload(request.get) == "this one"

    @pytest.mark.needs_loop
    @pytest.mark.parametrize("way", [offload, offload_at_once])
    async def test_a_cancelled_caller_waits_for_the_function(self, way: Any) -> None:
        """Nobody uses a connection again while a thread still works on it."""
        started, go, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            go.wait(PATIENCE)
            ended.set()

        caller = asyncio.create_task(way(work))
        await seen(started)
        caller.cancel()
        await turns()

        assert not caller.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ended.is_set()

    @pytest.mark.needs_loop
    async def test_at_once_is_not_held_up_by_exhausted_threads(self) -> None:
        """A commit finds a thread though every other is waiting for its connection."""
        limiter = anyio.to_thread.current_default_thread_limiter()
        borrowers = [object() for _ in range(int(limiter.total_tokens))]
        for borrower in borrowers:
            limiter.acquire_on_behalf_of_nowait(borrower)
        patient = asyncio.create_task(offload(lambda: "patient"))
        at_once = asyncio.create_task(offload_at_once(lambda: "at once"))

        done, _ = await asyncio.wait(
            [patient, at_once], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )

        for borrower in borrowers:
            limiter.release_on_behalf_of(borrower)
        assert done == {at_once}
        assert await patient == "patient"


class Work:
    """Something that has to be finished, and tells when it began."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self.finished = False

    async def run(self) -> str:
        """Wait for the go, as a commit waits for the database."""
        self.started.set()
        await self.go.wait()
        self.finished = True
        return "committed"


class TestFinish:
    """What was begun is finished; then the cancellation is let through."""

    async def test_the_result_is_returned(self) -> None:
        """Without a cancellation it is a plain await."""

        async def work() -> str:
            return "committed"

        assert await finish(work()) == "committed"

    async def test_an_exception_goes_through(self) -> None:
        """A failed commit is reported to whoever asked for it."""

        async def work() -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await finish(work())

    @pytest.mark.needs_loop
    async def test_it_survives_a_cancelled_task(self) -> None:
        """However often the task is cancelled, the work ends first."""
        work = Work()
        caller = asyncio.create_task(finish(work.run()))
        await work.started.wait()

        for _ in range(3):
            caller.cancel()
            await turns()

        assert not caller.done()
        work.go.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert work.finished

    @pytest.mark.needs_loop
    async def test_it_survives_a_cancel_scope(self) -> None:
        """A framework's cancellation, which lasts, is obeyed at the next await instead."""
        work = Work()
        reached = []

        async with anyio.create_task_group() as tasks:

            async def request() -> None:
                reached.append(await finish(work.run()))
                await anyio.lowlevel.checkpoint()
                reached.append("went on")

            tasks.start_soon(request)
            await work.started.wait()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await turns()
                assert not work.finished
                work.go.set()

        assert work.finished
        assert tasks.cancel_scope.cancelled_caught
        assert reached == ["committed"]

    @pytest.mark.needs_loop
    async def test_it_survives_a_timeout(self) -> None:
        """The deadline is reported, after the work."""
        work = Work()

        async def hurry(deadline: asyncio.Timeout) -> None:
            await work.started.wait()
            deadline.reschedule(0)
            await turns()
            assert not work.finished
            work.go.set()

        async def request() -> None:
            async with asyncio.timeout(None) as deadline:
                hurrying = asyncio.create_task(hurry(deadline))
                await finish(work.run())
            await hurrying

        with pytest.raises(TimeoutError):
            await request()

        assert work.finished

    @pytest.mark.needs_loop
    async def test_a_failure_after_a_cancellation_is_not_reported_as_lost(self) -> None:
        """The caller hears of its cancellation; the log is not told of a forgotten task."""
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, it: complaints.append(it))
        work = Work()

        async def failing() -> None:
            await work.run()
            raise LookupError

        caller = asyncio.create_task(finish(failing()))
        await work.started.wait()
        caller.cancel()
        work.go.set()
        await asyncio.wait([caller])

        assert caller.cancelled()
        del caller
        gc.collect()
        await turns()
        assert complaints == []


class Greeter:
    """A callable that is neither `def` nor `async def`."""

    async def __call__(self, name: str) -> str:
        """Greet."""
        return f"hello {name}"


def greet(name: str) -> str:
    """Greet in a plain function."""
    return f"hello {name}"


async def greet_async(name: str) -> str:
    """Greet in a coroutine."""
    return f"hello {name}"


def greet_later(name: str) -> Awaitable[str]:
    """Return the coroutine of another function."""
    return greet_async(name)


@pytest.mark.needs_loop
class TestAcquire:
    """What has to be given back is never lost on its way to a cancelled caller."""

    async def test_it_arrives(self) -> None:
        """A caller who waits gets it, and nothing is given back."""
        returned: list[str] = []

        async def connect() -> str:
            await asyncio.sleep(0)
            return "connection"

        async def give_back(it: str) -> None:
            returned.append(it)

        assert await acquire(connect(), give_back) == "connection"
        assert returned == []

    @pytest.mark.parametrize("ready", [False, True], ids=["still on its way", "just there"])
    async def test_a_cancelled_caller_gives_it_back(self, ready: bool) -> None:  # noqa: FBT001
        """It goes on without the caller, and is given back once, be it there already or not."""
        arrives: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        returned: list[str] = []

        async def connect() -> str:
            return await arrives

        async def give_back(it: str) -> None:
            returned.append(it)

        caller = asyncio.ensure_future(acquire(connect(), give_back))
        await turns()
        if ready:
            arrives.set_result("connection")
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        if not ready:
            arrives.set_result("connection")
        await turns()

        assert returned == ["connection"]

    async def test_a_failure_after_the_cancellation_is_silent(self) -> None:
        """Nothing came, so there is nothing to give back."""
        arrives: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        returned: list[str] = []

        async def connect() -> str:
            return await arrives

        async def give_back(it: str) -> None:
            returned.append(it)

        caller = asyncio.ensure_future(acquire(connect(), give_back))
        await turns()
        caller.cancel()
        arrives.set_exception(OSError("nobody is there"))
        with pytest.raises(asyncio.CancelledError):
            await caller
        await turns()

        assert returned == []


class TestComplete:
    """What has to be known is told before the cancellation."""

    async def test_the_result_is_returned(self) -> None:
        """Without a cancellation it is no more than waiting."""

        async def commit() -> str:
            return "committed"

        assert await complete(commit()) == "committed"

    @pytest.mark.needs_loop
    async def test_a_cancellation_waits_for_the_next_wait(self) -> None:
        """The caller learns the result; what it waits for next is cancelled."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        learnt: list[str] = []

        async def commit() -> str:
            return await answer

        async def caller() -> None:
            learnt.append(await complete(commit()))
            await asyncio.sleep(PATIENCE)
            learnt.append("went on")

        task = asyncio.ensure_future(caller())
        await turns()
        task.cancel()
        await turns()
        answer.set_result("committed")

        with pytest.raises(asyncio.CancelledError):
            await task
        assert learnt == ["committed"]

    @pytest.mark.needs_loop
    async def test_a_timeout_stays_a_timeout(self) -> None:
        """The cancellation is counted once, so whoever set the limit knows it as their own."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def commit() -> str:
            return await answer

        async def limited() -> None:
            async with asyncio.timeout(0.01):
                asyncio.get_running_loop().call_later(0.05, answer.set_result, "committed")
                await complete(commit())
                await asyncio.sleep(PATIENCE)

        with pytest.raises(TimeoutError):
            await limited()

    @pytest.mark.needs_loop
    async def test_its_error_is_raised(self) -> None:
        """A failed commit is told, cancelled or not."""

        async def commit() -> str:
            raise OSError("lost")

        with pytest.raises(OSError, match="lost"):
            await complete(commit())


class TestCall:
    """Users pass in what they have."""

    @pytest.mark.parametrize(
        "callback",
        [
            greet,
            greet_async,
            greet_later,
            lambda name: f"hello {name}",
            lambda name: greet_async(name.title()),
            partial(greet),
            partial(greet_async),
            Greeter(),
        ],
        ids=[
            "def",
            "async",
            "def-async",
            "lambda",
            "lambda-async",
            "partial",
            "partial-async",
            "object",
        ],
    )
    async def test_every_kind_of_callback_is_called(self, callback: Callable[..., Any]) -> None:
        """The caller gets its result, never a coroutine."""
        assert await call(callback, "Ada") == "hello Ada"

    async def test_a_plain_function_does_not_stop_the_loop(self) -> None:
        """It may talk to a mail server: it is offloaded."""
        thread = await call(threading.get_ident)

        assert (thread == threading.get_ident()) is (current_loop() is None)

    async def test_a_coroutine_function_stays_in_its_task(self) -> None:
        """It shares the transaction of its caller."""

        async def owner() -> object:
            return current_owner()

        assert await call(owner) == current_owner()


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
        other = asyncio.create_task(yields())

        await sleep(0.01)

        assert other.done()


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

    @pytest.mark.parametrize("run_all", [in_tasks, in_threads])
    def test_only_one_is_inside(
        self, mutex: Mutex, run_all: Callable[[Sequence[Job]], list[Any]]
    ) -> None:
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
    async def test_who_gives_up_waiting_is_passed_over(self, mutex: Mutex) -> None:
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
        self, mutex: Mutex
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
    async def test_a_cancel_scope_takes_its_tasks_out_of_the_queue(self, mutex: Mutex) -> None:
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

    @pytest.mark.parametrize("run_all", [in_tasks, in_threads])
    def test_no_more_run_at_the_same_time_than_there_are_workers(
        self, run_all: Callable[[Sequence[Job]], list[Any]]
    ) -> None:
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
    async def test_who_stops_waiting_frees_its_place(self, gate: threading.Event) -> None:
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
        self, gate: threading.Event
    ) -> None:
        """Cancelled callers cannot pile up more work than there are workers."""
        pool = WatchedPool(workers=1, queue=0)
        started = threading.Event()

        def work() -> None:
            started.set()
            gate.wait(PATIENCE)

        caller = asyncio.create_task(pool.run(work))
        await seen(started)
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


class TestCurrentOwner:
    """A transaction belongs to a task, or to a thread where none runs."""

    async def test_it_stays_the_same_across_awaits(self) -> None:
        """What is called belongs to its caller."""

        async def called() -> object:
            await sleep(0)
            return current_owner()

        assert await called() == current_owner()

    @pytest.mark.needs_loop
    async def test_a_child_task_is_another_owner(self) -> None:
        """It inherits the context, but not the transaction."""

        async def child() -> object:
            return current_owner()

        tasks = [asyncio.create_task(child()) for _ in range(2)]
        owners = [current_owner(), *await asyncio.gather(*tasks)]

        assert len(set(owners)) == 3

    def test_two_threads_are_two_owners(self) -> None:
        """Each has its own connection."""
        together = threading.Barrier(2)

        async def owner() -> object:
            together.wait(PATIENCE)
            return current_owner()

        owners = in_threads([owner] * 2)

        assert len(set(owners)) == 2

    def test_driven_code_belongs_to_its_thread_and_not_to_the_task_around_it(self) -> None:
        """A blocking call in an async program is the same owner in every task."""

        async def owner() -> object:
            return current_owner()

        async def program() -> object:
            return run_blocking(owner())

        owners = in_tasks([program] * 2)

        assert owners == [threading.get_ident()] * 2
