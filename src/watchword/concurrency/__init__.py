"""How coroutines are run: with an event loop, or driven without one.

Everything above is written once as `async def`. Under an event loop it is awaited; without
one `run_blocking` drives it with a single `send(None)`, which works because in a blocking
program no port ever really waits. This package alone knows the difference.
"""

from watchword.concurrency.driven import driven, driven_iterator
from watchword.concurrency.driving import (
    acquire,
    call,
    complete,
    current_loop,
    current_owner,
    finish,
    offload,
    offload_at_once,
    run_blocking,
    start_on,
)
from watchword.concurrency.loops import PerLoop
from watchword.concurrency.pools import Background, WorkPool
from watchword.concurrency.processes import PerProcess
from watchword.concurrency.waiting import Backoff, Lock, Mutex, sleep

__all__ = [
    "Background",
    "Backoff",
    "Lock",
    "Mutex",
    "PerLoop",
    "PerProcess",
    "WorkPool",
    "acquire",
    "call",
    "complete",
    "current_loop",
    "current_owner",
    "driven",
    "driven_iterator",
    "finish",
    "offload",
    "offload_at_once",
    "run_blocking",
    "sleep",
    "start_on",
]
