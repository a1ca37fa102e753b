"""What a process has to itself: a child that is forked gets another."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

T = TypeVar("T")


def _do_nothing(_inherited: object) -> None:
    """Leave it as it is."""


class PerProcess(Generic[T]):
    """One thing for each process: what holds threads, locks or sockets is no child's.

    A child that is forked inherits threads that do not run, locks that nobody will release and
    sockets on which the parent's answers arrive. It makes its own at the first use; asking for
    the process's number each time also notices the forks of servers written in C, uWSGI for
    one, which do not call Python's own hooks.

    Args:
        make: Makes one; the first is made at once.
        leave: Takes leave in a child of what is the parent's. That and what this returns are
            kept: the destructor of a connection could say goodbye in the parent's name.
    """

    def __init__(
        self, make: Callable[[], T], *, leave: Callable[[T], object] = _do_nothing
    ) -> None:
        self._make = make
        self._leave = leave
        self._lock = threading.Lock()
        self._inherited: list[object] = []
        self._made = os.getpid(), make()

    @property
    def here(self) -> T:
        """What this process has."""
        process, made = self._made
        return made if process == os.getpid() else self._made_anew()

    def _made_anew(self) -> T:
        with self._lock:
            process, made = self._made
            if process != os.getpid():
                self._inherited.append((made, self._leave(made)))
                made = self._make()
                self._made = os.getpid(), made
            return made
