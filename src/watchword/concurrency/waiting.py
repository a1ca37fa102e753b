"""Waiting: for time to pass, and for one another."""

import asyncio
import random
import threading
import time
from collections import deque
from concurrent.futures import Future

from watchword.concurrency.driving import current_loop

__all__ = ["Backoff", "Lock", "Mutex", "sleep"]


async def sleep(seconds: float) -> None:
    """Let time pass for this task, or for this thread where no event loop runs it."""
    if current_loop() is None:
        time.sleep(seconds)  # noqa: ASYNC251 - no event loop runs here
    else:
        await asyncio.sleep(seconds)


class Backoff:
    """The pauses between tries: each about twice as long, at random, so that losers spread.

    Args:
        first: Seconds that the first one lasts at most.
        longest: Seconds that none exceeds.
    """

    def __init__(self, *, first: float, longest: float) -> None:
        self._next = first
        self._longest = longest

    async def pause(self) -> None:
        """Wait before the next try."""
        await sleep(self._next * random.uniform(0.5, 1))  # noqa: S311 - no secret
        self._next = min(self._next * 2, self._longest)


Lock = threading.Lock
"""A lock for a few steps that never wait; what waits while it is held needs a `Mutex`."""


class Mutex:
    """A lock that tasks and threads share, first come, first served."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[Future[None]] = deque()

    async def acquire(self) -> None:
        """Wait until the lock is ours."""
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn: Future[None] = Future()
            self._waiting.append(turn)
        try:
            if current_loop() is None:
                turn.result()
            else:
                await asyncio.wrap_future(turn)
        except BaseException:
            # A turn that was given before the waiting was broken off is passed on.
            if not turn.cancel():
                self.release()
            raise

    def release(self) -> None:
        """Hand the lock to whoever has waited longest."""
        with self._guard:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._held = False

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *exc: object) -> None:
        self.release()
