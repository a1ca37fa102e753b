"""Context managers and iterators, driven without an event loop."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from contextvars import ContextVar

import pytest

from watchword.concurrency import current_loop, driven, driven_iterator, offload
from watchword.errors import ConfigurationError

inside: ContextVar[str] = ContextVar("inside", default="nothing")


@asynccontextmanager
async def variable(value: str) -> AsyncIterator[str]:
    """Set a context variable for the body, as a transaction does."""
    token = inside.set(value)
    try:
        yield await offload(inside.get)
    finally:
        inside.reset(token)


@asynccontextmanager
async def suppressing(kind: type[BaseException], seen: list[BaseException]) -> AsyncIterator[None]:
    """Note an error of one kind, and let it go no further."""
    try:
        yield
    except kind as error:
        seen.append(error)


@asynccontextmanager
async def waiting(*, at_the_end: bool) -> AsyncIterator[None]:
    """Wait for an event loop, on the way in or out."""
    if not at_the_end:
        await asyncio.sleep(1)
    yield
    await asyncio.sleep(1)


class TestDriven:
    """`with driven(...)` is `async with`, without a loop."""

    def test_the_body_gets_what_is_entered(self) -> None:
        """The value of `as` is that of the context manager."""
        with driven(variable("transaction")) as value:
            got = value

        assert got == "transaction"

    def test_a_context_variable_is_seen_by_the_body(self) -> None:
        """Whatever the body calls finds the transaction; afterwards it is gone."""
        with driven(variable("transaction")):
            with driven(variable("savepoint")):
                innermost = inside.get()
            body = inside.get()

        assert (innermost, body, inside.get()) == ("savepoint", "transaction", "nothing")

    def test_an_error_of_the_body_goes_in(self) -> None:
        """The context manager sees the very error, and decides what becomes of it."""
        failure = ZeroDivisionError()
        seen: list[BaseException] = []

        with driven(suppressing(ZeroDivisionError, seen)):
            raise failure

        assert seen == [failure]

    def test_an_error_that_is_not_suppressed_goes_on(self) -> None:
        """It is the body's own, and what was set is undone."""
        failure = LookupError()

        with pytest.raises(LookupError) as raised, driven(variable("transaction")):
            raise failure

        assert raised.value is failure
        assert inside.get() == "nothing"

    @pytest.mark.parametrize("at_the_end", [False, True])
    def test_what_waits_for_a_loop_is_refused(self, at_the_end: bool) -> None:  # noqa: FBT001 - a case
        """The developer reads that a loop is missing, as with `run_blocking`."""
        with (
            pytest.raises(ConfigurationError, match="needs an event loop"),
            driven(waiting(at_the_end=at_the_end)),
        ):
            pass

    def test_a_running_loop_is_out_of_sight(self) -> None:
        """A blocking call in an async program works in place, on entering and on leaving."""
        seen: list[object] = []

        @asynccontextmanager
        async def looking() -> AsyncIterator[None]:
            seen.append(current_loop())
            yield
            seen.append(current_loop())

        async def program() -> None:
            with driven(looking()):
                seen.append(current_loop() is asyncio.get_running_loop())

        asyncio.run(program())

        assert seen == [None, True, None]

    def test_any_async_context_manager_will_do(self) -> None:
        """Those that are written as classes are driven like generators."""
        stack = AsyncExitStack()
        left: list[str] = []

        with driven(stack), driven(nullcontext("value")) as value:
            stack.callback(left.append, "left")

        assert (value, left) == ("value", ["left"])


async def counting(closed: list[str]) -> AsyncIterator[int]:
    """Count for ever, and say when it was closed."""
    number = 0
    try:
        while True:
            yield await offload(lambda now=number: now)
            number += 1
    finally:
        closed.append(await offload(lambda: "closed"))


class Pair:
    """An iterator that is no generator."""

    def __init__(self) -> None:
        self._left = [2, 1]

    def __aiter__(self) -> "Pair":
        return self

    async def __anext__(self) -> int:
        """Return the next of two numbers."""
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class TestDrivenIterator:
    """`for` over `driven_iterator(...)` is `async for`, without a loop."""

    def test_every_item_comes_once(self) -> None:
        """It ends where the async iterator ends."""
        assert list(driven_iterator(Pair())) == [1, 2]

    def test_nothing_is_asked_for_ahead(self) -> None:
        """An item is made when it is wanted, so that rows are not all kept at once."""
        asked: list[int] = []

        async def asking() -> AsyncIterator[int]:
            for number in range(3):
                asked.append(number)
                yield number

        next(driven_iterator(asking()))

        assert asked == [0]

    def test_closing_early_closes_the_generator(self) -> None:
        """What it holds is given back at once, by clean-up that is driven as well."""
        closed: list[str] = []
        generator = counting(closed)  # held, for Python closes what nobody holds
        numbers = driven_iterator(generator)

        taken = [next(numbers), next(numbers)]
        before = list(closed)
        numbers.close()

        assert (taken, before, closed) == ([0, 1], [], ["closed"])

    def test_leaving_a_loop_closes_the_generator(self) -> None:
        """A `break` needs no `close()`."""
        closed: list[str] = []
        generator = counting(closed)

        for number in driven_iterator(generator):
            if number:
                break

        gc.collect()
        assert closed == ["closed"]

    def test_an_error_comes_out(self) -> None:
        """The error of a step is the iterator's own, after the items before it."""
        failure = ZeroDivisionError()

        async def failing() -> AsyncIterator[int]:
            yield 1
            raise failure

        numbers = driven_iterator(failing())

        assert next(numbers) == 1
        with pytest.raises(ZeroDivisionError) as raised:
            next(numbers)
        assert raised.value is failure

    def test_what_waits_for_a_loop_is_refused(self) -> None:
        """A step that waits is a mistake of the developer's, and told so."""

        async def waits() -> AsyncIterator[int]:
            await asyncio.sleep(1)
            yield 1

        with pytest.raises(ConfigurationError, match="needs an event loop"):
            next(driven_iterator(waits()))
