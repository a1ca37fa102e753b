"""Work that waits for the commit: mail, webhooks, hooks; held by the task that asked for it."""

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Self, TypeAlias

from watchword.concurrency import current_owner

__all__ = ["Unit", "Work"]

Work: TypeAlias = Callable[[], Awaitable[Any]]

_log = logging.getLogger("watchword")


class Unit:
    """What one transaction, or one savepoint, has promised to do when it is committed."""

    _innermost: ContextVar["Unit | None"] = ContextVar("watchword_unit", default=None)

    def __init__(self, store: object) -> None:
        self.store = store
        self.owner = current_owner()
        self.outer = Unit._innermost.get()
        self._work: list[Work] = []

    @classmethod
    def of(cls, store: object) -> "Unit | None":
        """Return the unit that this task, or thread, has open on a store.

        A child task inherits the context but not the unit: it does not own it.
        """
        unit = cls._innermost.get()
        while unit is not None and not (unit.store is store and unit.owner == current_owner()):
            unit = unit.outer
        return unit

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
        for piece in self.drop():
            try:
                await piece()
            except Exception:  # noqa: BLE001 - the reason is below
                # The change is committed: to answer "failed" now would be a lie, and the
                # pieces behind this one were promised as well.
                _log.exception("work after the commit failed")

    def __enter__(self) -> Self:
        self._token = Unit._innermost.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        Unit._innermost.reset(self._token)
