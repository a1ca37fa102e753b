"""What an event loop has to itself: connections made on one are no use to another."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from watchword.concurrency.driving import current_loop
from watchword.concurrency.processes import PerProcess

__all__ = ["PerLoop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One thing for each event loop, and one for who has none: sockets belong to a loop.

    A process that was forked begins with nothing: on the parent's connections people would get
    the answers to other people's questions.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._of_process: PerProcess[dict[Any, T]] = PerProcess(dict)

    def current(self) -> T:
        """Return what the running loop has, made at its first use."""
        loop = current_loop()
        made = self._of_process.here
        if loop not in made:
            # A copy first: loops of other threads come meanwhile.
            for ended in [it for it in list(made) if it is not None and it.is_closed()]:
                made.pop(ended, None)  # nobody can use or close it any more
            made.setdefault(loop, self._make())
        return made[loop]

    def give_up(self, given: T) -> None:
        """Have another one made in the place of this one, for whoever asks next."""
        made = self._of_process.here
        if made.get(current_loop()) is given:
            made.pop(current_loop(), None)

    def taken(self) -> Iterator[T]:
        """Go through what the running loop has, at most one, which it then has no more."""
        made = self._of_process.here
        loop = current_loop()
        if loop in made:
            yield made.pop(loop)
