"""What tests of concurrency share: many callers at once, and the loop's other tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest

from watchword.concurrency import run_blocking

Job: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture
def turns() -> Callable[[], Awaitable[None]]:
    """Let every other task of the loop go as far as it can."""

    async def turns() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    return turns


def in_tasks(jobs: Sequence[Job]) -> list[Any]:
    """Run all at the same time as tasks of one loop."""

    async def together() -> list[Any]:
        return await asyncio.gather(*(job() for job in jobs))

    return asyncio.run(together())


def in_threads(jobs: Sequence[Job]) -> list[Any]:
    """Run all at the same time, each driven in a thread of its own."""
    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(lambda job: run_blocking(job()), jobs))


@pytest.fixture(params=[in_tasks, in_threads])
def run_all(request: pytest.FixtureRequest) -> Any:
    """Run all jobs at the same time, in each of the two ways."""
    return request.param
