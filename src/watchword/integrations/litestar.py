"""Litestar: the endpoints in an application, and its users in its own handlers."""

from typing import Any, Final, cast
from urllib.parse import unquote

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
from watchword.integrations.asgi import CLOSE_CODES, ASGIHandler, find_identity
from watchword.storage.entities import Identity, User

try:
    from litestar import Litestar, Request, Response
    from litestar.config.app import AppConfig
    from litestar.enums import HttpMethod, ScopeType
    from litestar.exceptions import WebSocketException
    from litestar.handlers import HTTPRouteHandler
    from litestar.plugins import InitPluginProtocol
    from litestar.types import ASGIApp, Receive, Scope, Send
except ModuleNotFoundError as error:
    raise missing_framework("litestar", error) from error

__all__ = ["WatchwordPlugin", "current_session", "mount", "require_session", "require_user"]

_NAME: Final = "watchword"


def mount(auth: Watchword[Any]) -> "WatchwordPlugin":
    """Return the plugin that adds the endpoints: `Litestar(plugins=[mount(auth)], ...)`.

    The application's own handlers can then ask who is signed in.

    Raises:
        ConfigurationError: The instance is blocking.
    """
    return WatchwordPlugin(auth)


async def current_session(scope: Scope) -> Identity | None:
    """Return who sends the request, or opened the websocket; None if nobody is signed in.

    For `Provide`, or with the scope of a request or websocket.
    """
    auth = Litestar.from_scope(scope).state.get(_NAME)
    if not isinstance(auth, Watchword):
        raise ConfigurationError(
            "This application has no Watchword.", hint="Pass plugins=[mount(auth)] to Litestar."
        )
    return await find_identity(auth, cast("dict[str, Any]", scope))  # a TypedDict


async def require_session(scope: Scope) -> Identity:
    """Return who sends the request, or opened the websocket; for `Provide` as well.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
        WebSocketException: The same for a websocket; it is closed with the code 4401.
    """
    identity = await current_session(scope)
    if identity is None:
        refusal = APIError(CoreError.UNAUTHORIZED)
        if scope["type"] == ScopeType.WEBSOCKET:
            raise WebSocketException(
                detail=refusal.message, code=CLOSE_CODES + refusal.status
            ) from refusal
        raise refusal
    return identity


async def require_user(scope: Scope) -> User:
    """Return the user who sends the request, or opened the websocket; for `Provide` as well.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
        WebSocketException: The same for a websocket; it is closed with the code 4401.
    """
    return (await require_session(scope)).user


class WatchwordPlugin(InitPluginProtocol):
    """Adds the endpoints of an instance to an application; made by `mount`."""

    def __init__(self, auth: Watchword[Any]) -> None:
        self._auth = auth
        self._handler = ASGIHandler(auth)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add what the instance needs to an application's configuration.

        Raises:
            ConfigurationError: Another instance is mounted already.
        """
        if _NAME in app_config.state:
            raise ConfigurationError(
                "This application has a Watchword already.", hint="Mount one instance."
            )
        app_config.state[_NAME] = self._auth
        app_config.route_handlers = [*app_config.route_handlers, self._route(app_config)]
        for error in (APIError, StorageUnavailable):
            app_config.exception_handlers.setdefault(error, _refuse)
        return app_config

    def _route(self, app_config: AppConfig) -> HTTPRouteHandler:
        base, csrf = self._auth.options.path, app_config.csrf_config
        # Not a mounted ASGI application: that would take `/api/authors/1` for one of ours.
        return HTTPRouteHandler(
            [base, f"{base}/{{rest:path}}"] if base else "/{rest:path}",
            http_method=list(HttpMethod),
            include_in_schema=False,
            # Their own check of the caller's origin guards the endpoints.
            opt={csrf.exclude_from_csrf_key: True} if csrf else {},
        )(self._endpoints)

    async def _endpoints(self) -> ASGIApp:
        return self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = cast("dict[str, Any]", scope)  # TypedDicts, here and in the messages
        await self._handler(
            {**asked, "path": _path(asked)}, cast("Any", receive), cast("Any", send)
        )


def _path(scope: dict[str, Any]) -> str:
    """Return the path as it was sent: the router has taken slashes from its end."""
    raw: bytes | None = scope.get("raw_path")
    return scope["path"] if raw is None else unquote(raw.partition(b"?")[0].decode("latin-1"))


def _refuse(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    answer = error_response(cast("WatchwordError", error))  # registered for such alone
    headers = dict(answer.headers)
    media_type = headers.pop("content-type", None)
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=media_type)
