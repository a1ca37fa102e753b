"""How coroutines are run: with an event loop, and driven without one."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import pytest

from watchword.concurrency import (
    call,
    current_loop,
    current_owner,
    offload,
    offload_at_once,
    run_blocking,
    sleep,
)
from watchword.errors import ConfigurationError

Turns: TypeAlias = Callable[[], Awaitable[None]]

PATIENCE = 10
"""Seconds after which something that should have happened will not."""


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
    async def test_a_cancelled_caller_waits_for_the_function(self, turns: Turns, way: Any) -> None:
        """Nobody uses a connection again while a thread still works on it."""
        started, go, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            go.wait(PATIENCE)
            ended.set()

        caller = asyncio.create_task(way(work))
        assert await asyncio.to_thread(started.wait, PATIENCE)
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

        with ThreadPoolExecutor(2) as threads:
            owners = list(threads.map(lambda _: run_blocking(owner()), range(2)))

        assert len(set(owners)) == 2

    def test_driven_code_belongs_to_its_thread_and_not_to_the_task_around_it(self) -> None:
        """A blocking call in an async program is the same owner in every task."""

        async def owner() -> object:
            return current_owner()

        async def program() -> object:
            return run_blocking(owner())

        async def programs() -> list[object]:
            return await asyncio.gather(program(), program())

        owners = asyncio.run(programs())

        assert owners == [threading.get_ident()] * 2
