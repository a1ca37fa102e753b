"""Coroutines awaited under an event loop, or driven without one."""

import asyncio
import inspect
import math
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

import anyio
import anyio.to_thread

from watchword.errors import ConfigurationError

__all__ = [
    "acquire",
    "call",
    "complete",
    "current_loop",
    "current_owner",
    "finish",
    "offload",
    "offload_at_once",
    "run_blocking",
    "start_on",
]

P = ParamSpec("P")
T = TypeVar("T")


class _Driving(threading.local):
    """Whether `run_blocking` is at work in this thread, and over which running loop."""

    active = False
    loop: asyncio.AbstractEventLoop | None = None


_driving = _Driving()


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in this thread, without an event loop.

    Raises:
        ConfigurationError: The coroutine waited for an event loop; the message names what
            waited, so that the port behind it can be exchanged for a blocking one.
    """
    before = _driving.active, _driving.loop
    _driving.active, _driving.loop = True, _running_loop()
    try:
        coroutine.send(None)
        waiting = _innermost(coroutine)
        coroutine.close()  # its clean-up is driven like the rest
    except StopIteration as stop:
        return cast("T", stop.value)  # send() types the value as Any
    except RuntimeError as error:
        if "event loop" not in str(error):
            raise
        raise _needs_loop(_asking(error)) from error
    finally:
        _driving.active, _driving.loop = before
    raise _needs_loop(waiting)


def _needs_loop(waiting: str) -> ConfigurationError:
    return ConfigurationError(
        f"{waiting} needs an event loop, but this call is blocking.",
        hint="Pass a blocking engine, client or callback, or use the async Watchword.",
    )


def _innermost(coroutine: Coroutine[Any, Any, Any]) -> str:
    """Name the coroutine function at the end of the chain of awaits."""
    awaited: Any = coroutine
    while inspect.iscoroutine(awaited.cr_await):
        awaited = awaited.cr_await
    return str(awaited.__qualname__)


def _asking(error: RuntimeError) -> str:
    """Name the last function before those that look for an event loop and find none."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [frame.f_globals.get("__name__", "").partition(".")[0] for frame in frames]
    callers = [
        frame
        for frame, package in zip(frames, packages, strict=True)
        if package not in {"asyncio", "anyio"}
    ]
    return callers[-1].f_code.co_qualname


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def current_loop() -> object | None:
    """Return what the caller's waiting is bound to; None where it is driven without a loop.

    A loop that was started inside driven code counts as itself.
    """
    loop = _running_loop()
    return None if _driving.active and loop is _driving.loop else loop


def current_owner() -> object:
    """Identify the running task, or the thread where no event loop runs it."""
    if current_loop() is None:
        return threading.get_ident()
    return asyncio.current_task()


async def offload(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function: in place when driven, in a worker thread under a loop.

    A cancelled caller still waits for the function to end, so nothing that the function
    holds is lost; then the cancellation goes on.
    """
    if current_loop() is None:
        return function(*args, **kwargs)
    return await finish(_in_thread(lambda: function(*args, **kwargs), limiter=None))


async def offload_at_once(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do the same without ever waiting for a free thread.

    For work on something that other threads wait for, such as an open connection: if it
    queued behind them, both would wait for ever.
    """
    if current_loop() is None:
        return function(*args, **kwargs)
    limiter = anyio.CapacityLimiter(math.inf)
    return await finish(_in_thread(lambda: function(*args, **kwargs), limiter=limiter))


async def _in_thread(function: Callable[[], T], *, limiter: anyio.CapacityLimiter | None) -> T:
    return await anyio.to_thread.run_sync(function, limiter=limiter)


async def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end even if the caller is cancelled; then let that through.

    The cancellation of an anyio scope lasts, so it is left to the caller's next await:
    several steps of a clean-up are all done.

    Raises:
        asyncio.CancelledError: The caller was cancelled meanwhile; the work is done.
    """
    if current_loop() is None:
        return await coroutine
    task = asyncio.ensure_future(coroutine)
    cancellation = None
    # anyio repeats a cancellation until it is obeyed; its shield keeps it to one.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # seen: the cancellation is what the caller has to know
    raise cancellation


async def complete(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result, cancelled or not.

    Unlike `finish`, which raises it, a cancellation that comes meanwhile waits for the
    caller's next wait: the caller learns first what was done.
    """
    if current_loop() is None:
        return await coroutine
    task = asyncio.ensure_future(coroutine)
    try:
        await finish(_ended(task))
    except asyncio.CancelledError:
        caller = asyncio.current_task()
        if caller is not None:
            # Counted once, as asyncio.timeout() expects of one cancellation.
            caller.uncancel()
            caller.cancel()
    return task.result()


async def _ended(task: asyncio.Future[Any]) -> None:
    await asyncio.wait([task])


def start_on(loop: object, coroutine: Coroutine[Any, Any, None]) -> None:
    """Start a coroutine on a loop of `current_loop`, from any thread, and do not wait."""
    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise TypeError(f"{type(loop).__name__} is no event loop")
    asyncio.run_coroutine_threadsafe(coroutine, loop)


async def acquire(
    coroutine: Coroutine[Any, Any, T], give_back: Callable[[T], Coroutine[Any, Any, None]]
) -> T:
    """Wait for something that has to be given back, such as a connection, under a loop.

    A cancelled caller waits no longer; what comes after that is given back at once, so it is
    never lost on its way.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # Held by the callbacks of what it waits for, until it has ended.
        asyncio.ensure_future(_return(task, give_back))  # noqa: RUF006 - the line above
        raise


async def _return(
    task: asyncio.Future[T], give_back: Callable[[T], Coroutine[Any, Any, None]]
) -> None:
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is None:
        await give_back(task.result())


async def call(callback: Callable[..., Awaitable[T] | T], *args: Any) -> T:
    """Call what a user passed in, be it `def` or `async def`."""
    if inspect.iscoroutinefunction(callback):
        result: Awaitable[T] | T = callback(*args)
    else:
        result = await offload(callback, *args)
    if inspect.isawaitable(result):
        return await result
    return result
