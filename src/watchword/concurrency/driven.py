"""Context managers and iterators driven without an event loop, as `run_blocking` does it."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import TypeVar

from watchword.concurrency.driving import run_blocking

__all__ = ["driven", "driven_iterator"]

T = TypeVar("T")


def driven(context_manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
    """Return a context manager for `with`, which enters and leaves without an event loop.

    Both happen in the caller's own context: a context variable that is set at the start is
    seen by the body, and by whatever that calls.

    Raises:
        ConfigurationError: On entering or leaving it waited for an event loop.
    """
    return _Driven(context_manager)


class _Driven(AbstractContextManager[T]):
    def __init__(self, context_manager: AbstractAsyncContextManager[T]) -> None:
        self._context_manager = context_manager

    def __enter__(self) -> T:
        return run_blocking(self._enter())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return run_blocking(self._exit(kind, error, trace))

    # Coroutines of our own, for the protocol allows any awaitable.

    async def _enter(self) -> T:
        return await self._context_manager.__aenter__()

    async def _exit(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._context_manager.__aexit__(kind, error, trace)


def driven_iterator(iterator: AsyncIterator[T]) -> Generator[T, None, None]:
    """Go through an async iterator without an event loop.

    Whoever stops early has the async generator closed: its `finally` has run when `close()`
    returns, or when the last reference to the iterator is gone.

    Raises:
        ConfigurationError: A step waited for an event loop.
    """
    try:
        while True:
            try:
                item = run_blocking(_next(iterator))
            except StopAsyncIteration:
                return
            yield item
    finally:
        if isinstance(iterator, AsyncGenerator):
            run_blocking(_close(iterator))


async def _next(iterator: AsyncIterator[T]) -> T:
    return await anext(iterator)


async def _close(generator: AsyncGenerator[T, None]) -> None:
    await generator.aclose()
