"""Endpoints as Python calls: typed, for instances with an event loop and without one."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

import msgspec

from watchword.concurrency import run_blocking
from watchword.engine.context import Context
from watchword.engine.handler import Handler
from watchword.http.bodies import Body
from watchword.http.messages import Request

__all__ = ["AsyncCalls", "BlockingCalls", "Call", "Calls", "nothing"]

P = ParamSpec("P")
R = TypeVar("R")


class _Nothing(Body, frozen=True):
    """No body."""


def nothing() -> msgspec.Struct:
    """Return what an endpoint is called with that takes no body.

    A function: to type checkers a struct without fields takes whatever it is given.
    """
    return _Nothing()


class Calls:
    """Calls of endpoints; each is an attribute, declared with `Call`.

    Args:
        handler: Of the instance.
        request: Who asks: its cookies tell who is signed in, its headers where from.
    """

    def __init__(self, handler: Handler, request: Request | None = None) -> None:
        self._handler = handler
        self._request = request
        self.headers: list[tuple[str, str]] = []
        """What the answers of the calls so far send along, such as cookies; empty for calls
        that are on nobody's behalf."""

    def on_behalf_of(self, request: Request | Mapping[str, str]) -> Self:
        """Return the same calls for who sends a request, or for the headers of one.

        The headers that they answer with, such as cookies, gather in its `headers`.
        """
        if not isinstance(request, Request):
            headers = tuple((name.lower(), value) for name, value in request.items())
            request = Request(method="POST", path="", headers=headers)
        return type(self)(self._handler, request)

    async def call(self, function: Callable[..., Any], given: msgspec.Struct) -> Any:
        """Call the endpoint that a plugin's class declares with a method.

        Raises:
            APIError: As the endpoint would answer over HTTP.
        """
        request = self._request or Request(method="POST", path="")
        ctx = Context(self._handler.instance, request)
        try:
            return await self._handler.call(ctx, self._handler.endpoint_of(function), given)
        finally:
            if self._request is not None:
                self.headers += ctx.headers


class AsyncCalls(Calls):
    """Calls that are awaited."""


class BlockingCalls(Calls):
    """Calls that return when they are done."""


class Call(Generic[P, R]):
    """An endpoint as a method of `Calls`: `sign_in_email = Call(SignInBody, SignIn.with_email)`.

    It takes what the body, or the query, is made of, and returns what the endpoint returns.
    """

    def __init__(
        self,
        given: Callable[P, msgspec.Struct],
        function: Callable[Concatenate[Any, Context, ...], Awaitable[R]],
    ) -> None:
        self._given = given
        self._function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, calls: None, owner: type[Calls]) -> Self: ...

    @overload
    def __get__(
        self, calls: AsyncCalls, owner: type[Calls]
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def __get__(self, calls: BlockingCalls, owner: type[Calls]) -> Callable[P, R]: ...

    def __get__(self, calls: Calls | None, owner: type[Calls]) -> Any:
        """Return the call, bound to an instance and to who asks."""
        if calls is None:
            return self
        if isinstance(calls, BlockingCalls):
            return lambda *args, **kwargs: run_blocking(self._call(calls, *args, **kwargs))
        return lambda *args, **kwargs: self._call(calls, *args, **kwargs)

    async def _call(self, calls: Calls, *args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", await calls.call(self._function, self._given(*args, **kwargs)))
