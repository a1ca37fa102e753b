"""Work that waits for the commit: mail, webhooks, hooks; held by the task that asked for it."""

import inspect
import logging
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Self, TypeAlias

from watchword.concurrency import call, current_loop, current_owner, finish, sleep

__all__ = ["Unit", "Work", "is_in_generator", "let_generators_close"]

Work: TypeAlias = Callable[[], object]
"""Takes nothing, and may be `def` or `async def`; what it returns is not used."""

_log = logging.getLogger("watchword")


def is_in_generator() -> bool:
    """Tell whether an async generator of the application's is at work here.

    What it has open when it is left early is open until the event loop closes it; without a loop
    it is closed where it is left.
    """
    frame = None if current_loop() is None else inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR and not _is_ours(frame):
            return True
        frame = frame.f_back
    return False


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("watchword.")


async def let_generators_close() -> None:
    """Wait until those that were left by now have come to their `finally`.

    The loop makes a task of each in its next turn, which begins in the one behind it.
    """
    await sleep(0)
    await sleep(0)


class Unit:
    """What one transaction, or one savepoint, has promised to do when it is committed."""

    _innermost: ContextVar["Unit | None"] = ContextVar("watchword_unit", default=None)

    def __init__(self, store: object) -> None:
        self.store = store
        self.owner: object | None = current_owner()
        self.outer = Unit._open()
        self.has_ended = False
        self.may_be_left = is_in_generator()
        self._work: list[Work] = []

    @classmethod
    def of(cls, store: object) -> "Unit | None":
        """Return the unit that this task, or thread, has open on a store.

        A child task inherits the context but not the unit: it does not own it.
        """
        unit = cls._open()
        while unit is not None and not unit.is_ours(store):
            unit = unit.outer
        return unit

    @classmethod
    async def joined(cls, store: object) -> "Unit | None":
        """Return the same, but for one whose generator was left a moment ago."""
        unit = cls.of(store)
        if unit is not None and unit.may_be_left:
            await let_generators_close()
            unit = cls.of(store)
        return unit

    @classmethod
    def _open(cls) -> "Unit | None":
        """Return the innermost unit of this context that has not ended, whose-ever it is."""
        unit = cls._innermost.get()
        while unit is not None and unit.has_ended:
            unit = unit.outer
        return unit

    def is_ours(self, store: object) -> bool:
        """Tell whether it is open on a store, and by this task or thread."""
        return not self.has_ended and self.store is store and self.owner == current_owner()

    def add(self, work: Work) -> None:
        """Queue work for the commit."""
        self._work.append(work)

    def take_over(self, inner: "Unit") -> None:
        """Queue the work of a savepoint that was kept."""
        self._work.extend(inner.drop())

    def drop(self) -> list[Work]:
        """Forget the work, as when it was rolled back; return what it was."""
        work, self._work = self._work, []
        return work

    async def run(self) -> None:
        """Do the work, each piece once, whatever becomes of the others."""
        # A caller who is cancelled meanwhile has committed all the same.
        await finish(self._run())

    async def _run(self) -> None:
        for piece in self.drop():
            try:
                await call(piece)
            except (KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except BaseException:  # noqa: BLE001 - the reason is below
                # The change is committed: to answer "failed" now would be a lie, and the
                # pieces behind this one were promised as well. A cancellation is one of the
                # piece's own, of a task that it waited for: the caller's does not come here.
                _log.exception("work after the commit failed")

    def __enter__(self) -> Self:
        Unit._innermost.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        # First, for it may end in another context than it began in: a generator that was left
        # is closed by another task. The context in which it began keeps it, and so does one
        # that was copied meanwhile, to be used later, even by the same thread.
        self.has_ended = True
        Unit._innermost.set(Unit._open())
