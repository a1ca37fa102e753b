"""FastAPI: the endpoints in an application, and its users in its own routes."""

from typing import Annotated, TypeAlias, cast

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from watchword.auth import Watchword
from watchword.engine.handler import error_response
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    StorageUnavailable,
    WatchwordError,
)
from watchword.integrations.asgi import ASGIHandler, to_request
from watchword.storage.entities import Identity, User

__all__ = [
    "CurrentSession",
    "CurrentUser",
    "OptionalSession",
    "current_session",
    "mount",
    "require_session",
    "require_user",
]


def mount(app: FastAPI, auth: Watchword) -> None:
    """Add the endpoints to an application; its own routes can then ask who is signed in.

    Raises:
        ConfigurationError: Another instance is mounted already.
    """
    if hasattr(app.state, "watchword"):
        raise ConfigurationError(
            "This application has a Watchword already.", hint="Mount one instance."
        )
    app.state.watchword = auth
    handler = ASGIHandler(auth)
    for path in (auth.options.path or "/", f"{auth.options.path}/{{rest:path}}"):
        app.router.routes.append(Route(path, handler, include_in_schema=False))
    for error in (APIError, StorageUnavailable):
        app.add_exception_handler(error, _answer)


async def current_session(connection: HTTPConnection) -> Identity | None:
    """Return who sends the request, or None."""
    auth = getattr(connection.app.state, "watchword", None)
    if not isinstance(auth, Watchword):
        raise ConfigurationError(
            "This application has no Watchword.", hint="Call mount(app, auth)."
        )
    return await auth.identify(to_request({"method": "GET", **connection.scope}))


async def require_session(
    identity: Annotated[Identity | None, Depends(current_session)],
) -> Identity:
    """Return who sends the request.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    if identity is None:
        raise APIError(CoreError.UNAUTHORIZED)
    return identity


async def require_user(identity: Annotated[Identity, Depends(require_session)]) -> User:
    """Return the user who sends the request.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return identity.user


OptionalSession: TypeAlias = Annotated[Identity | None, Depends(current_session)]
"""Who sends the request, or None."""
CurrentSession: TypeAlias = Annotated[Identity, Depends(require_session)]
"""Who sends the request; others get a 401."""
CurrentUser: TypeAlias = Annotated[User, Depends(require_user)]
"""The user who sends the request; others get a 401."""


async def _answer(_request: Request, error: Exception) -> Response:
    answer = error_response(cast("WatchwordError", error))  # registered for such alone
    return Response(answer.body, answer.status, dict(answer.headers))
