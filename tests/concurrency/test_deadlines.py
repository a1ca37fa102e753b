"""Waiting that comes to an end."""

import asyncio

import pytest

from watchword.concurrency.deadlines import within


async def one() -> int:
    """Return something at once."""
    return 1


async def test_what_is_done_in_time_is_returned():
    """With a loop and without one."""
    assert await within(60, one()) == 1


@pytest.mark.needs_loop
async def test_what_is_not_is_cancelled():
    """Where it waits; and whoever waited for it goes on."""
    left = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.append(True)

    with pytest.raises(TimeoutError):
        await within(0.001, wait_for_ever())

    assert left == [True]
    assert await within(60, one()) == 1
