"""Waiting no longer than so many seconds, under a loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from watchword.concurrency.driving import current_loop

__all__ = ["within"]

T = TypeVar("T")


async def within(seconds: float, coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for a coroutine, and cancel it when so many seconds have passed.

    Driven without a loop it waits for nothing but blocking calls, which nobody can break off:
    those keep time by themselves.

    Raises:
        TimeoutError: It was cancelled, wherever it was.
    """
    if current_loop() is None:
        return await coroutine
    async with asyncio.timeout(seconds):
        return await coroutine
