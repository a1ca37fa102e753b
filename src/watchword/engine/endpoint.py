"""What a route is: declared beside its method, collected from a plugin."""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_type_hints

from watchword.engine.marks import Function, mark, marked
from watchword.errors import ConfigurationError

__all__ = ["PARAMETER", "Declaration", "Endpoint", "collect", "get", "post", "server_only"]

Method = Literal["GET", "POST"]

PARAMETER: Final = re.compile(r":([a-z_]+)")
"""A part of a path that stands for any text, and its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What `get`, `post` and `server_only` say of a method."""

    method: Method
    path: str
    form: bool = False
    fresh: bool = False
    copied: bool = False
    routed: bool = True
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route, or a call that Python code alone can make.

    Args:
        declaration: Its method, its path below the base path, its guards.
        function: Called with the context, and with those of the following that it asks for.
        owner: The id of its plugin.
        body: What the body must be; None if the function takes none.
        query: What the query must be; None likewise.
        needs_session: The function takes an `identity`, so others than the signed-in get 401.
        parameters: Names of the parts of the path that it takes.
        returns: The type of its answer.
    """

    declaration: Declaration
    function: Callable[..., Awaitable[object]]
    owner: str
    body: Any = None
    query: Any = None
    needs_session: bool = False
    parameters: tuple[str, ...] = ()
    returns: Any = field(default=None)

    @property
    def method(self) -> Method:
        """The HTTP method."""
        return self.declaration.method

    @property
    def path(self) -> str:
        """The path below the base path, with `:name` for its parameters."""
        return self.declaration.path


def get(
    path: str, *, fresh: bool = False, copied: bool = False, hidden: bool = False
) -> Callable[[Function], Function]:
    """Declare a method of a plugin as an endpoint that is read.

    Args:
        path: Below the base path; `:name` stands for a part that the method takes.
        fresh: The sign-in must be recent.
        copied: A copy in a cookie may tell who asks, where the settings have one made; a session
            that was revoked may then still be answered for a while. All others ask the store.
        hidden: Not described in the OpenAPI document.
    """
    return _declare(
        Declaration(method="GET", path=path, fresh=fresh, copied=copied, hidden=hidden)
    )


def post(path: str, *, form: bool = False, fresh: bool = False) -> Callable[[Function], Function]:
    """Declare a method of a plugin as an endpoint that acts.

    A method that takes an `identity` is called for who is signed in.

    Args:
        path: Below the base path.
        form: An HTML form of ours may post to it; guarded against those of other sites.
        fresh: The sign-in must be recent.
    """
    return _declare(Declaration(method="POST", path=path, form=form, fresh=fresh))


def server_only(path: str) -> Callable[[Function], Function]:
    """Declare a method that Python code alone calls; there is no route to it."""
    return _declare(Declaration(method="POST", path=path, routed=False))


def _declare(declaration: Declaration) -> Callable[[Function], Function]:
    def declare(function: Function) -> Function:
        if not declaration.path.startswith("/") or declaration.path.endswith("/"):
            raise ConfigurationError(
                f"The path {declaration.path!r} of {function.__qualname__} is malformed.",
                hint="Begin it with a slash, and do not end it with one.",
            )
        if declaration.fresh and declaration.copied:
            raise ConfigurationError(
                f"{function.__qualname__} wants a recent sign-in, and takes a copy's word for it.",
                hint="Declare it with fresh=True alone.",
            )
        return mark(function, declaration)

    return declare


def collect(plugin: object, owner: str) -> Iterator[Endpoint]:
    """Return the endpoints of a plugin, in the order of their declaration."""
    for declaration, method in marked(plugin, Declaration):
        yield _endpoint(declaration, method, owner)


def _endpoint(
    declaration: Declaration, function: Callable[..., Awaitable[object]], owner: str
) -> Endpoint:
    hints = get_type_hints(function)
    return Endpoint(
        declaration,
        function,
        owner,
        body=hints.get("body"),
        query=hints.get("query"),
        needs_session="identity" in hints,
        parameters=tuple(PARAMETER.findall(declaration.path)),
        returns=hints.get("return"),
    )
