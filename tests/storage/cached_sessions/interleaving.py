"""Every order in which the steps of several callers can come, one after the other.

Callers are tasks of an event loop that has no clock and no sockets; each waits at its next step
until it is its turn. A schedule is the list of who goes on when. All are tried by playing them
from the beginning, depth first. Where two steps commute, the schedules that differ in their order
alone are one: sleep sets (Godefroid, Partial-Order Methods, 1996, chapter 5) leave out the others.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, Self


class Died(BaseException):
    """What a caller gets at each further step, whose process has died; no step is done."""


class Redundant(BaseException):
    """This schedule differs from one that was played in the order of commuting steps alone."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a caller does next.

    Args:
        actor: Who.
        place: What it concerns, and all places of which this is the beginning.
        changes: It does not only look.
        kills: Who dies of it.
    """

    actor: str
    place: str
    changes: bool = False
    kills: str | None = None

    def commutes_with(self, other: Self) -> bool:
        """Tell whether nobody can see which of the two came first."""
        if self.actor in {other.actor, other.kills} or self.kills == other.actor:
            return False
        if not (self.changes or other.changes):
            return True
        return not (self.place.startswith(other.place) or other.place.startswith(self.place))


# --- callers ---------------------------------------------------------------------------------


class Loop(asyncio.AbstractEventLoop):
    """An event loop that runs what is ready, and then stands still."""

    def __init__(self) -> None:
        self._ready: deque[tuple[Context, Callable[..., object], tuple[Any, ...]]] = deque()

    def call_soon(self, callback, *args, context=None):
        """Run it in its turn."""
        self._ready.append((context or copy_context(), callback, args))

    call_soon_threadsafe = call_soon

    def create_future(self):
        """Return one of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        """Return one that begins in its turn."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_exception_handler(self, context):
        """Say nothing: of the dead nobody fetches the result."""

    def get_debug(self):
        """Look for no mistakes."""
        return False

    def is_closed(self):
        """Never end."""
        return False

    def drain(self) -> None:
        """Run until everybody waits."""
        while self._ready:
            context, callback, args = self._ready.popleft()
            context.run(callback, *args)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the loop of this thread."""
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)


class Actor:
    """A caller, and the children it has: they are never under way at the same time.

    Args:
        name: Of this one.
        work: What it does.
        process: Where; the place of what concerns no other.
    """

    _current: ContextVar["Actor | None"] = ContextVar("actor", default=None)

    def __init__(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], process: str
    ) -> None:
        self.name = name
        self.process = process
        self._work = work
        self._turn: asyncio.Future[None] | None = None
        self.next_step: Step | None = None
        self.is_dead = False
        self.task: asyncio.Task[None] | None = None

    @classmethod
    def current(cls) -> "Actor | None":
        """Return whose turn it is; None outside of a schedule."""
        return cls._current.get()

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.task is not None and self.task.done()

    def start(self, loop: Loop) -> None:
        """Come to the first step."""
        context = copy_context()
        context.run(self._current.set, self)
        self.task = loop.create_task(self._work(), context=context)
        loop.drain()

    async def wait_for_turn(self, place: str = "", **about: Any) -> None:
        """Stand before a step until it is its turn.

        Args:
            place: What the step concerns; by default what this process remembers.
            about: Further what `Step` takes.

        Raises:
            Died: It never comes.
        """
        if not self.is_dead:
            what = {"place": place, **about} if place else {"place": self.process, "changes": True}
            self.next_step = Step(self.name, **what)
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn
        if self.is_dead:
            raise Died

    def go(self, loop: Loop) -> None:
        """Do the step, and come to the next one."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.set_result(None)
        loop.drain()

    def die(self) -> None:
        """Do no further step; what it has open is undone by those who notice."""
        self.is_dead = True
        if self._turn is not None:
            self._turn.set_result(None)
            self._turn = None

    def result(self) -> None:
        """Raise what it raised; the dead say nothing."""
        if self.task is not None and not self.is_dead:
            self.task.result()


# --- all schedules ---------------------------------------------------------------------------


@dataclass(slots=True)
class _Choice:
    """Who could go on at a point, who did, and with whom nothing new would come out."""

    able: dict[str, Step]
    asleep: dict[str, Step]
    chosen: str = ""

    def choose(self) -> bool:
        """Choose somebody who was not chosen yet; tell whether there is one."""
        self.chosen = next((name for name in self.able if name not in self.asleep), "")
        return bool(self.chosen)


class Schedules:
    """Goes through all schedules, depth first.

    Args:
        reduced: Leave out those that differ in the order of commuting steps alone.
    """

    def __init__(self, *, reduced: bool = True) -> None:
        self._reduced = reduced
        self._path: list[_Choice] = []
        self._depth = 0
        self.played = 0
        self.redundant = 0

    def play_all(self, play: Callable[[Self], None]) -> Self:
        """Play each schedule; an error has a note that says which it was in."""
        while True:
            self._depth = 0
            try:
                play(self)
                self.played += 1
            except Redundant:
                self.redundant += 1
            except BaseException as error:
                error.add_note(f"schedule {self.played}: {' '.join(self.names)}")
                raise
            if not self._go_back():
                return self

    @property
    def names(self) -> list[str]:
        """Who went on, from the beginning."""
        return [it.chosen for it in self._path]

    def choose(self, able: Mapping[str, Step]) -> str:
        """Return who goes on.

        Raises:
            Redundant: Whoever it were, it was played already.
        """
        if self._depth == len(self._path):
            choice = _Choice(dict(able), self._asleep())
            if not choice.choose():
                raise Redundant
            self._path.append(choice)
        choice = self._path[self._depth]
        assert choice.able.keys() == able.keys(), "the same steps led elsewhere"
        self._depth += 1
        return choice.chosen

    def _asleep(self) -> dict[str, Step]:
        if not self._path or not self._reduced:
            return {}
        last = self._path[-1]
        step = last.able[last.chosen]
        return {name: it for name, it in last.asleep.items() if it.commutes_with(step)}

    def _go_back(self) -> bool:
        """Choose otherwise at the last point where that is possible."""
        while self._path:
            choice = self._path[-1]
            choice.asleep[choice.chosen] = choice.able[choice.chosen]
            if choice.choose():
                return True
            self._path.pop()
        return False
