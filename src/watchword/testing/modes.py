"""The two ways in which a coroutine test is run: on an event loop, and driven without one."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from watchword.concurrency import run_blocking

__all__ = ["PATIENCE", "Child", "DrivenMode", "LoopMode", "MakeCoroutine", "Mode", "Signal"]

T = TypeVar("T")

MakeCoroutine: TypeAlias = Callable[[], Coroutine[Any, Any, T]]

PATIENCE: Final = 60.0
"""Seconds after which whoever is waited for counts as hanging, unless the test says other."""


class Signal(Protocol):
    """What one party sets and others wait for."""

    def set(self) -> None:
        """Let all go on who wait, now or later."""

    async def wait(self, within: float | None = None) -> bool:
        """Wait; False if nothing was set by then."""


class Child(Protocol):
    """A task, or a thread where no loop runs, that inherited its maker's context."""

    async def ended(self, within: float) -> bool:
        """Wait for its end; False if it still runs by then."""

    async def result(self) -> Any:
        """Return what it returned, or raise what it raised."""


class Mode(Protocol):
    """A way to run coroutines; the tests of one mode see no difference to the other."""

    name: str
    patience: float

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; all of one test share a loop, if there is one."""

    async def race(self, callers: int, make_coroutine: MakeCoroutine[T]) -> list[Any]:
        """Run so many callers at the same time; return results and exceptions in place.

        Raises:
            TimeoutError: Some never came back.
        """

    def spawn(self, make_coroutine: MakeCoroutine[Any]) -> Child:
        """Start something beside the test, with a copy of its context."""

    def signal(self) -> Signal:
        """Return a new signal."""

    def close(self) -> None:
        """End what is still running."""


class LoopMode:
    """Every caller is a task of one event loop."""

    name = "loop"

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._runner = asyncio.Runner()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it on the loop of this test."""
        return self._runner.run(coroutine)

    async def race(self, callers: int, make_coroutine: MakeCoroutine[T]) -> list[Any]:
        """Run so many tasks."""
        tasks = [asyncio.ensure_future(make_coroutine()) for _ in range(callers)]
        _, late = await asyncio.wait(tasks, timeout=self.patience)
        if late:
            raise TimeoutError(f"{len(late)} of {callers} callers never came back")
        return await asyncio.gather(*tasks, return_exceptions=True)

    def spawn(self, make_coroutine: MakeCoroutine[Any]) -> "_ChildTask":
        """Start a task."""
        return _ChildTask(asyncio.ensure_future(make_coroutine()), self.patience)

    def signal(self) -> "_LoopSignal":
        """Return a signal between tasks."""
        return _LoopSignal(self.patience)

    def close(self) -> None:
        """Cancel what is left and close the loop."""
        self._runner.close()


class DrivenMode:
    """Every caller is a thread in which no event loop runs."""

    name = "driven"

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Drive it in this thread."""
        return run_blocking(coroutine)

    async def race(self, callers: int, make_coroutine: MakeCoroutine[T]) -> list[Any]:
        """Run so many threads, which start as one."""
        start = threading.Barrier(callers)

        async def wait_and_go() -> T:
            start.wait(self.patience)
            return await make_coroutine()

        threads = [_Thread(wait_and_go) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.patience)
        late = sum(thread.is_alive() for thread in threads)
        if late:
            raise TimeoutError(f"{late} of {callers} callers never came back")
        return [thread.outcome for thread in threads]

    def spawn(self, make_coroutine: MakeCoroutine[Any]) -> "_ChildThread":
        """Start a thread."""
        return _ChildThread(make_coroutine, self.patience)

    def signal(self) -> "_DrivenSignal":
        """Return a signal between threads."""
        return _DrivenSignal(self.patience)

    def close(self) -> None:
        """Nothing is left: a driven coroutine has ended when `run` returns."""


class _Thread(threading.Thread, Generic[T]):
    """Drives one coroutine, in a copy of the context of whoever made it."""

    def __init__(self, make_coroutine: MakeCoroutine[T]) -> None:
        # A thread that hangs must not keep the process from ending.
        super().__init__(daemon=True)
        self._make_coroutine = make_coroutine
        self._context = contextvars.copy_context()
        self.outcome: T | BaseException | None = None

    def run(self) -> None:
        try:
            self.outcome = self._context.run(run_blocking, self._make_coroutine())
        except BaseException as error:  # noqa: BLE001 - handed to the test, which judges it
            self.outcome = error


class _ChildTask:
    def __init__(self, task: asyncio.Future[Any], patience: float) -> None:
        self._task = task
        self._patience = patience

    async def ended(self, within: float) -> bool:
        done, _ = await asyncio.wait([self._task], timeout=within)
        return bool(done)

    async def result(self) -> Any:
        async with asyncio.timeout(self._patience):
            return await self._task


class _ChildThread:
    def __init__(self, make_coroutine: MakeCoroutine[Any], patience: float) -> None:
        self._patience = patience
        self._thread = _Thread(make_coroutine)
        self._thread.start()

    async def ended(self, within: float) -> bool:
        self._thread.join(within)
        return not self._thread.is_alive()

    async def result(self) -> Any:
        if not await self.ended(self._patience):
            raise TimeoutError("the child never came back")
        if isinstance(self._thread.outcome, BaseException):
            raise self._thread.outcome
        return self._thread.outcome


class _LoopSignal:
    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, within: float | None = None) -> bool:
        try:
            async with asyncio.timeout(self._patience if within is None else within):
                return await self._event.wait()
        except TimeoutError:
            return False


class _DrivenSignal:
    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, within: float | None = None) -> bool:
        return self._event.wait(self._patience if within is None else within)
