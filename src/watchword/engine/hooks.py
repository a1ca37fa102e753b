"""What applications and plugins do before and after an endpoint, and plugins around writes."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from watchword.concurrency import call
from watchword.engine.marks import Function, mark, marked
from watchword.errors import ConfigurationError
from watchword.http.messages import Request, Response
from watchword.storage.entities import Identity
from watchword.storage.hooks import DatabaseHook, Operation

__all__ = [
    "After",
    "Before",
    "EndpointCall",
    "EndpointHook",
    "EndpointHooks",
    "after",
    "after_write",
    "before",
    "before_write",
    "collect_database_hooks",
]

When: TypeAlias = Literal["before", "after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCall:
    """One call of an endpoint, over HTTP or from Python.

    Args:
        path: The endpoint's path below the base path, such as `/sign-in/email`.
        request: What came in.
        body: The parsed body before it is checked; empty if it is no object.
        headers: Of the answer; more may be added.
        new_session: Who was signed in by this call; known afterwards.
        returned: What the endpoint returned, or the error that it raised; afterwards.
    """

    path: str
    request: Request
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    new_session: Identity | None = None
    returned: object = field(default=None, repr=False)


Verdict: TypeAlias = Response | Mapping[str, Any] | None
Before: TypeAlias = Callable[[EndpointCall], Verdict | Awaitable[Verdict]]
"""Returns None to go on, values to put into the body, or an answer to send instead; may
refuse with an `APIError`."""
After: TypeAlias = Callable[[EndpointCall], Response | Awaitable[Response | None] | None]
"""Returns None to leave the answer, or another one; runs after a refusal too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointHook:
    """Something to do around endpoints; `def` or `async def`.

    Args:
        path: Exact, or with wildcards: `/sign-in/*`.
        before: Runs before the body is checked.
        after: Runs when the endpoint is done; what it wrote is committed.
    """

    path: str
    before: Before | None = None
    after: After | None = None

    def __post_init__(self) -> None:
        _check_path(self.path)


def _check_path(path: str) -> None:
    if not path.startswith(("/", "*")):
        raise ConfigurationError(
            f"The hook's path {path!r} does not begin with a slash.",
            hint="Write it like /sign-in/email, or /sign-in/*.",
        )


# --- of plugins ------------------------------------------------------------------------


def before(path: str) -> Callable[[Function], Function]:
    """Let a method of a plugin run before endpoints: `async def check(self, ctx, call)`.

    It gets the context and the `EndpointCall`, and returns what `Before` does.

    Args:
        path: Exact, or with wildcards: `/sign-in/*`.
    """
    return _around("before", path)


def after(path: str) -> Callable[[Function], Function]:
    """Let a method of a plugin run after endpoints: as `before`, and returns what `After` does."""
    return _around("after", path)


def before_write(model: str, operation: Operation) -> Callable[[Function], Function]:
    """Let a method of a plugin run before writes: `async def fill_in(self, row)`.

    It is what `before` is of a `DatabaseHook`.
    """
    return lambda function: mark(function, _Write("before", model, operation))


def after_write(model: str, operation: Operation) -> Callable[[Function], Function]:
    """Let a method of a plugin run after the commit: it is what `after` is of a `DatabaseHook`."""
    return lambda function: mark(function, _Write("after", model, operation))


def collect_database_hooks(plugin: object) -> Iterator[DatabaseHook]:
    """Return what a plugin does around writes, in the order of its class."""
    for write, method in marked(plugin, _Write):
        moment: dict[str, Any] = {write.when: method}
        yield DatabaseHook(model=write.model, operation=write.operation, **moment)


@dataclass(frozen=True, slots=True)
class _Write:
    """What `before_write` and `after_write` say of a method."""

    when: When
    model: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class _Around:
    """When something runs, and around which endpoints."""

    when: When
    path: str


def _around(when: When, path: str) -> Callable[[Function], Function]:
    _check_path(path)
    return lambda function: mark(function, _Around(when, path))


# --- at work ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hook:
    around: _Around
    function: Callable[..., Any]
    takes_context: bool

    async def run(self, ctx: object, about: EndpointCall) -> Any:
        return await call(self.function, *((ctx, about) if self.takes_context else (about,)))


class EndpointHooks:
    """All hooks, in the order in which they were given: the application's before plugins'.

    Args:
        hooks: The application's.
        plugins: Those that may have methods marked with `before` and `after`.
    """

    def __init__(self, hooks: Iterable[EndpointHook] = (), plugins: Iterable[object] = ()) -> None:
        self._hooks = [it for hook in hooks for it in _of_application(hook)]
        for plugin in plugins:
            for around, method in marked(plugin, _Around):
                self._hooks.append(_Hook(around, method, takes_context=True))

    def concern(self, path: str) -> bool:
        """Tell whether any hook wants to know."""
        return any(fnmatchcase(path, hook.around.path) for hook in self._hooks)

    async def before(self, ctx: object, about: EndpointCall) -> EndpointCall | Response:
        """Return the call as the hooks changed it, or the answer of one that took it over."""
        for hook in self._asked("before", about.path):
            verdict = await hook.run(ctx, about)
            if isinstance(verdict, Response):
                return verdict
            if verdict:
                about = replace(about, body={**about.body, **verdict})
        return about

    async def after(self, ctx: object, about: EndpointCall) -> Response | None:
        """Return the answer of the last hook that has one."""
        answer = None
        for hook in self._asked("after", about.path):
            answer = await hook.run(ctx, about) or answer
        return answer

    def _asked(self, when: When, path: str) -> Iterator[_Hook]:
        for hook in self._hooks:
            if hook.around.when == when and fnmatchcase(path, hook.around.path):
                yield hook


def _of_application(hook: EndpointHook) -> Iterator[_Hook]:
    if hook.before is not None:
        yield _Hook(_Around("before", hook.path), hook.before, takes_context=False)
    if hook.after is not None:
        yield _Hook(_Around("after", hook.path), hook.after, takes_context=False)
