"""What a route is: declared beside its method, collected from a plugin."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, get_type_hints

from watchword.errors import ConfigurationError

__all__ = ["Declaration", "Endpoint", "collect", "get", "post"]

Method = Literal["GET", "POST"]
Function = TypeVar("Function", bound=Callable[..., Awaitable[object]])

_MARK: Final = "__endpoint__"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `get` and `post` say of a method."""

    method: Method
    path: str
    form: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route.

    Args:
        method: The HTTP method.
        path: Below the base path.
        function: Called with the context, and with `body` and `query` if it asks for them.
        body: What the body must be; None if the function takes none.
        query: What the query must be; None likewise.
        form: An HTML form of ours may post to it; guarded against those of other sites.
    """

    method: Method
    path: str
    function: Callable[..., Awaitable[object]]
    body: Any = None
    query: Any = None
    form: bool = False


def get(path: str) -> Callable[[Function], Function]:
    """Declare a method of a plugin as an endpoint that is read."""
    return _mark(Declaration("GET", path, form=False))


def post(path: str, *, form: bool = False) -> Callable[[Function], Function]:
    """Declare a method of a plugin as an endpoint that acts."""
    return _mark(Declaration("POST", path, form=form))


def _mark(declaration: Declaration) -> Callable[[Function], Function]:
    def mark(function: Function) -> Function:
        if not declaration.path.startswith("/") or declaration.path.endswith("/"):
            raise ConfigurationError(
                f"The path {declaration.path!r} of {function.__qualname__} is malformed.",
                hint="Begin it with a slash, and do not end it with one.",
            )
        setattr(function, _MARK, declaration)
        return function

    return mark


def collect(plugin: object) -> Iterator[Endpoint]:
    """Return the endpoints of a plugin, in the order of their declaration."""
    for name in _names(type(plugin)):
        declaration = getattr(getattr(type(plugin), name), _MARK, None)
        if isinstance(declaration, Declaration):
            function = getattr(plugin, name)
            hints = get_type_hints(function)
            yield Endpoint(
                declaration.method,
                declaration.path,
                function,
                body=hints.get("body"),
                query=hints.get("query"),
                form=declaration.form,
            )


def _names(plugin: type) -> Iterator[str]:
    """Go through a class's attributes, those of its bases first."""
    seen: set[str] = set()
    for owner in reversed(plugin.__mro__):
        for name in vars(owner):
            if name not in seen:
                seen.add(name)
                yield name
