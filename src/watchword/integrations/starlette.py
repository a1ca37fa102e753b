"""Starlette: the endpoints in an application, and its users in its own routes."""

from collections.abc import MutableMapping
from typing import Any, cast

from watchword.auth import Watchword
from watchword.engine.handler import error_response
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    StorageUnavailable,
    WatchwordError,
)
from watchword.integrations import missing_framework
from watchword.integrations.asgi import CLOSE_CODES, ASGIHandler, find_identity, path_of
from watchword.storage.entities import Identity, User

try:
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.routing import Match, Route
    from starlette.websockets import WebSocket
except ModuleNotFoundError as error:
    raise missing_framework("starlette", error) from error

__all__ = ["current_session", "mount", "require_session", "require_user"]


def mount(app: Starlette, auth: Watchword[Any]) -> None:
    """Add the endpoints to an application; its own routes can then ask who is signed in.

    Raises:
        ConfigurationError: Another instance is mounted already, or this one is blocking.
    """
    if hasattr(app.state, "watchword"):
        raise ConfigurationError(
            "This application has a Watchword already.", hint="Mount one instance."
        )
    app.router.routes.append(_Endpoints(auth))
    app.state.watchword = auth
    for error in (APIError, StorageUnavailable):
        app.add_exception_handler(error, cast("Any", _answer))  # for both kinds of connection


async def current_session(connection: HTTPConnection) -> Identity | None:
    """Return who sends the request, or opened the websocket; None if nobody is signed in."""
    auth = getattr(connection.app.state, "watchword", None)
    if not isinstance(auth, Watchword):
        raise ConfigurationError(
            "This application has no Watchword.", hint="Call mount(app, auth)."
        )
    return await find_identity(auth, connection.scope)


async def require_session(connection: HTTPConnection) -> Identity:
    """Return who sends the request, or opened the websocket.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    identity = await current_session(connection)
    if identity is None:
        raise APIError(CoreError.UNAUTHORIZED)
    return identity


async def require_user(connection: HTTPConnection) -> User:
    """Return the user who sends the request, or opened the websocket.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return (await require_session(connection)).user


class _Endpoints(Route):
    """The base path and all below it, whatever the method and whatever the path holds."""

    def __init__(self, auth: Watchword[Any]) -> None:
        self._base = auth.options.path
        super().__init__(f"{self._base}/{{rest:path}}", ASGIHandler(auth), include_in_schema=False)

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, MutableMapping[str, Any]]:
        if scope["type"] == "http":
            path = path_of(scope, self._base)
            if f"{path}/".startswith(f"{self._base}/"):
                return Match.FULL, {"endpoint": self.endpoint}
        return Match.NONE, {}


async def _answer(connection: HTTPConnection, error: Exception) -> Response | None:
    answer = error_response(cast("WatchwordError", error))  # registered for such alone
    if isinstance(connection, WebSocket):
        await connection.close(CLOSE_CODES + answer.status)
        return None
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers.append(name, value)
    return response
