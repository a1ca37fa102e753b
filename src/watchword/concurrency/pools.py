"""Threads and tasks of our own: for heavy work, and for work that nobody waits for."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

from watchword.concurrency.driving import current_loop, run_blocking
from watchword.concurrency.processes import PerProcess
from watchword.errors import Overloaded

__all__ = ["Background", "WorkPool"]

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger("watchword")


class _Workshop:
    """The threads of a pool in one process, and how many callers are with them."""

    def __init__(self, workers: int) -> None:
        self.guard = threading.Lock()
        self.present = 0
        self.slots = threading.Semaphore(workers)
        self.executor = ThreadPoolExecutor(workers, thread_name_prefix="watchword-work")


class WorkPool:
    """A few threads for heavy work, with a bounded queue before them.

    The bound is what keeps a burst of sign-ins from becoming a backlog of minutes: what
    does not fit is refused at once. A process that is forked has threads and a queue of its
    own.

    Args:
        workers: How many calls run at the same time.
        queue: How many more may wait.
        retry_after: Seconds that a refused caller is told to wait.
    """

    def __init__(self, *, workers: int, queue: int, retry_after: int = 1) -> None:
        self._capacity = workers + queue
        self._retry_after = retry_after
        self._workshop = PerProcess(lambda: _Workshop(workers))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function when a slot is free.

        Raises:
            Overloaded: The queue is full; nothing was done.
        """
        self._enter()
        workshop = self._workshop.here
        if current_loop() is None:
            try:
                with workshop.slots:
                    return function(*args, **kwargs)
            finally:
                self._leave()
        future = workshop.executor.submit(function, *args, **kwargs)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _enter(self) -> None:
        workshop = self._workshop.here
        with workshop.guard:
            if workshop.present >= self._capacity:
                raise Overloaded(
                    "Too much work is waiting already.", retry_after=self._retry_after
                )
            workshop.present += 1

    def _leave(self, _future: object = None) -> None:
        workshop = self._workshop.here
        with workshop.guard:
            workshop.present -= 1


class _Errands:
    """The threads of one process that do what nobody waits for, and what is under way."""

    def __init__(self, workers: int) -> None:
        self.executor = ThreadPoolExecutor(workers, thread_name_prefix="watchword-background")
        self.running: set[asyncio.Task[None] | Future[None]] = set()


class Background:
    """Work that nobody waits for, until `drain` does; what fails is logged.

    A process that is forked has threads of its own; what was begun before is its parent's.

    Args:
        workers: Threads that do it where no event loop runs.
        most: How many pieces wait at the same time; what comes on top is done in place, so
            that a flood slows down who causes it instead of filling the memory.
    """

    def __init__(self, *, workers: int = 4, most: int = 1000) -> None:
        self._most = most
        self._errands = PerProcess(lambda: _Errands(workers))

    @property
    def _running(self) -> set[asyncio.Task[None] | Future[None]]:
        return self._errands.here.running

    async def start(
        self,
        function: Callable[[], Coroutine[Any, Any, None]],
        *,
        failed: str = "work in the background failed",
    ) -> None:
        """Begin a piece of work, and go on without it.

        Args:
            function: Does it.
            failed: What the log says if it fails.
        """
        errands = self._errands.here
        if len(errands.running) >= self._most:
            await _logged(function, failed)
            return
        work: asyncio.Task[None] | Future[None]
        if current_loop() is None:
            work = errands.executor.submit(lambda: run_blocking(_logged(function, failed)))
        else:
            work = asyncio.ensure_future(_logged(function, failed))
        errands.running.add(work)
        work.add_done_callback(errands.running.discard)

    async def drain(self) -> None:
        """Wait until all that was begun here is done."""
        if current_loop() is None:
            wait([it for it in self._running.copy() if isinstance(it, Future)])
            return
        loop = asyncio.get_running_loop()
        tasks = [it for it in self._running.copy() if isinstance(it, asyncio.Task)]
        if ours := [it for it in tasks if it.get_loop() is loop]:
            await asyncio.wait(ours)


async def _logged(function: Callable[[], Coroutine[Any, Any, None]], failed: str) -> None:
    try:
        await function()
    except Exception:  # noqa: BLE001 - nobody else would hear of it
        _log.exception(failed)
