"""What applications and plugins do before and after an endpoint."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from watchword.concurrency import call
from watchword.errors import ConfigurationError
from watchword.http.messages import Request, Response
from watchword.storage.entities import Identity

__all__ = ["After", "Before", "EndpointCall", "EndpointHook", "EndpointHooks"]


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
        if not self.path.startswith(("/", "*")):
            raise ConfigurationError(
                f"The hook's path {self.path!r} does not begin with a slash.",
                hint="Write it like /sign-in/email, or /sign-in/*.",
            )


class EndpointHooks:
    """All hooks, in the order in which they were given."""

    def __init__(self, hooks: Iterable[EndpointHook] = ()) -> None:
        self._hooks = tuple(hooks)

    def concern(self, path: str) -> bool:
        """Tell whether any hook wants to know."""
        return any(fnmatchcase(path, hook.path) for hook in self._hooks)

    async def before(self, about: EndpointCall) -> EndpointCall | Response:
        """Return the call as the hooks changed it, or the answer of one that took it over."""
        for hook in self._hooks:
            if hook.before is not None and fnmatchcase(about.path, hook.path):
                verdict = await call(hook.before, about)
                if isinstance(verdict, Response):
                    return verdict
                if verdict:
                    about = replace(about, body={**about.body, **verdict})
        return about

    async def after(self, about: EndpointCall) -> Response | None:
        """Return the answer of the last hook that has one."""
        answer = None
        for hook in self._hooks:
            if hook.after is not None and fnmatchcase(about.path, hook.path):
                answer = await call(hook.after, about) or answer
        return answer
