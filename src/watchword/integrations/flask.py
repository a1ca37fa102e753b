"""Flask: the endpoints in an application, and its users in its own views."""

from dataclasses import replace
from io import BytesIO
from typing import Any, Final, cast

from watchword.auth import BlockingWatchword
from watchword.engine.handler import error_response
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    StorageUnavailable,
    WatchwordError,
)
from watchword.http import messages
from watchword.integrations import missing_framework
from watchword.integrations.wsgi import (
    WSGIHandler,
    announced_length,
    find_identity,
    read_body,
    to_request,
)
from watchword.storage.entities import Identity, User

try:
    from flask import Flask, Response, current_app, request
    from werkzeug.exceptions import ClientDisconnected
    from werkzeug.routing import BaseConverter
except ModuleNotFoundError as error:
    raise missing_framework("flask", error) from error

__all__ = ["current_session", "mount", "require_session", "require_user"]

_NAME: Final = "watchword"


def mount(app: Flask, auth: BlockingWatchword[Any]) -> None:
    """Add the endpoints to an application; its own views can then ask who is signed in.

    Raises:
        ConfigurationError: Another instance is mounted already, or this one needs an event
            loop.
    """
    if _NAME in app.extensions:
        raise ConfigurationError(
            "This application has a Watchword already.", hint="Mount one instance."
        )
    endpoints = _Endpoints(auth)
    app.extensions[_NAME] = auth
    app.view_functions[_NAME] = endpoints
    app.url_map.converters[_NAME] = _Anything
    for path in (auth.options.path, f"{auth.options.path}/<{_NAME}:rest>"):
        if path:
            # Not by `add_url_rule`, which answers unknown methods and OPTIONS by itself.
            app.url_map.add(app.url_rule_class(path, endpoint=_NAME, methods=None))
    for error in (APIError, StorageUnavailable):
        app.register_error_handler(error, _refuse)


def current_session() -> Identity | None:
    """Return who sends the request that is being answered, or None."""
    auth = current_app.extensions.get(_NAME)
    if not isinstance(auth, BlockingWatchword):
        raise ConfigurationError(
            "This application has no Watchword.", hint="Call mount(app, auth)."
        )
    # Not on `g`: it is the application context's, which tests may keep open over requests.
    return find_identity(auth, request.environ)


def require_session() -> Identity:
    """Return who sends the request that is being answered.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    identity = current_session()
    if identity is None:
        raise APIError(CoreError.UNAUTHORIZED)
    return identity


def require_user() -> User:
    """Return the user who sends the request that is being answered.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return require_session().user


class _Endpoints:
    """The view of the base path and of all below it, whatever the method."""

    def __init__(self, auth: BlockingWatchword[Any]) -> None:
        WSGIHandler(auth)  # refuses the other kind
        self._auth = auth
        self.__name__ = _NAME  # by which extensions know views

    def __call__(self, **_rest: str) -> Response:
        body = _read(self._auth.options.max_body_size)
        asked = replace(to_request(request.environ), path=request.path, body=body)
        return _to_response(self._auth.handle(asked))


class _Anything(BaseConverter):
    """The rest of a path, with all slashes and line breaks that are in it."""

    regex = r"[\s\S]*"
    part_isolating = False


class _Unchanged(Response):
    """A response without a content type but that which it is given."""

    default_mimetype = None


def _read(limit: int) -> bytes:
    length = announced_length(request.environ)
    try:
        body = read_body(request.stream, length, limit=limit)
        # A function that runs before every view may have read it, and left a copy.
        return body or read_body(BytesIO(request.get_data()), length, limit=limit)
    except ClientDisconnected:
        return b""


def _refuse(error: Exception) -> Response:
    return _to_response(error_response(cast("WatchwordError", error)))  # for such alone


def _to_response(answer: messages.Response) -> Response:
    return _Unchanged(answer.body, answer.status, headers=answer.headers)
