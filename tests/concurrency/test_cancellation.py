"""What a cancellation cannot interrupt, lose or hide."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest

from watchword.concurrency import acquire, complete, finish

Turns: TypeAlias = Callable[[], Awaitable[None]]

PATIENCE = 10
"""Seconds after which something that should have happened will not."""


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
    async def test_it_survives_a_cancelled_task(self, turns: Turns) -> None:
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
    async def test_it_survives_a_cancel_scope(self, turns: Turns) -> None:
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
    async def test_it_survives_a_timeout(self, turns: Turns) -> None:
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
    async def test_a_failure_after_a_cancellation_is_not_reported_as_lost(
        self, turns: Turns
    ) -> None:
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
    async def test_a_cancelled_caller_gives_it_back(self, turns: Turns, ready: bool) -> None:  # noqa: FBT001
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

    async def test_a_failure_after_the_cancellation_is_silent(self, turns: Turns) -> None:
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
    async def test_a_cancellation_waits_for_the_next_wait(self, turns: Turns) -> None:
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
