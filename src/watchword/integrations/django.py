"""Django: the endpoints in a URLconf, and its users in its own views, be they sync or async.

`settings.WATCHWORD` is the dotted path of the instance, such as "shop.auth.auth", and
`WatchwordMiddleware` stands in `settings.MIDDLEWARE`. A `BlockingWatchword` works under WSGI
and ASGI, a `Watchword` under ASGI; each in views of both kinds.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

from watchword.auth import BlockingWatchword, Watchword
from watchword.concurrency import current_loop, offload
from watchword.engine.handler import error_response
from watchword.errors import APIError, ConfigurationError, CoreError, StorageUnavailable
from watchword.http import messages
from watchword.integrations import asgi, missing_framework, wsgi
from watchword.storage.entities import Identity, User

try:
    from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction
    from django.conf import settings
    from django.core.exceptions import SynchronousOnlyOperation
    from django.core.handlers.asgi import ASGIRequest
    from django.db import connections, transaction
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern, re_path
    from django.utils.module_loading import import_string
except ModuleNotFoundError as error:
    raise missing_framework("django", error) from error

__all__ = [
    "Caller",
    "WatchwordMiddleware",
    "acurrent_session",
    "arequire_session",
    "arequire_user",
    "current_session",
    "mount",
    "require_session",
    "require_user",
]

Instance: TypeAlias = Watchword[Any] | BlockingWatchword[Any]

_HINT: Final = 'Set WATCHWORD to the dotted path of your instance, such as "shop.auth.auth".'


def mount(auth: Instance) -> list[URLPattern]:
    """Return the URL patterns of the endpoints, for the root: `urlpatterns = [*mount(auth)]`.

    Raises:
        ConfigurationError: This is no instance.
    """
    auth = _checked(auth)
    view = _AsyncEndpoints(auth) if isinstance(auth, Watchword) else _Endpoints(auth)
    base = re.escape(auth.options.path.removeprefix("/"))
    # What follows may hold line breaks, which a dot does not match.
    below = r"(?P<rest>/[\s\S]*)?\Z" if base else r"(?P<rest>[\s\S]*)\Z"
    return [re_path(rf"^{base}{below}", view, name="watchword")]


# --- who is asking ---------------------------------------------------------------------


def current_session(request: HttpRequest) -> Identity | None:
    """Return who sends the request, or None; for views that are no coroutines."""
    return _caller_of(request).identity


def require_session(request: HttpRequest) -> Identity:
    """Return who sends the request; for views that are no coroutines.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return _signed_in(current_session(request))


def require_user(request: HttpRequest) -> User:
    """Return the user who sends the request; for views that are no coroutines.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return require_session(request).user


async def acurrent_session(request: HttpRequest) -> Identity | None:
    """Return who sends the request, or None; for views that are coroutines."""
    return await _caller_of(request).aidentity()


async def arequire_session(request: HttpRequest) -> Identity:
    """Return who sends the request; for views that are coroutines.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return _signed_in(await acurrent_session(request))


async def arequire_user(request: HttpRequest) -> User:
    """Return the user who sends the request; for views that are coroutines.

    Raises:
        APIError: Nobody who is signed in; it becomes a 401.
    """
    return (await arequire_session(request)).user


class Caller:
    """Who sends a request: asked once, and only if somebody wants to know.

    It stands in `request.watchword`, so a template can say
    `{{ request.watchword.identity.user.name }}`.
    """

    def __init__(self, auth: Instance, request: HttpRequest) -> None:
        self._auth = auth
        self._request = request
        self._known: list[Identity | None] = []

    @property
    def identity(self) -> Identity | None:
        """Their session and user, or None.

        Raises:
            SynchronousOnlyOperation: A coroutine asks, and nobody has asked before.
        """
        if not self._known:
            self._known.append(_ask(self._auth, self._request))
        return self._known[0]

    async def aidentity(self) -> Identity | None:
        """Return their session and user, or None."""
        if not self._known:
            self._known.append(await _aask(self._auth, self._request))
        return self._known[0]


def _caller_of(request: HttpRequest) -> Caller:
    caller = getattr(request, "watchword", None)
    if not isinstance(caller, Caller):
        raise ConfigurationError(
            "The request did not pass Watchword's middleware.",
            hint='Add "watchword.integrations.django.WatchwordMiddleware" to MIDDLEWARE.',
        )
    return caller


def _signed_in(identity: Identity | None) -> Identity:
    if identity is None:
        raise APIError(CoreError.UNAUTHORIZED)
    return identity


def _ask(auth: Instance, request: HttpRequest) -> Identity | None:
    if current_loop() is not None:
        raise SynchronousOnlyOperation(
            "This would stop the event loop: use `await acurrent_session(request)` here."
        )
    asked = _to_request(auth, request)
    if isinstance(auth, BlockingWatchword):
        return auth.identify(asked)
    identity: Identity | None = async_to_sync(auth.identify)(asked)
    return identity


async def _aask(auth: Instance, request: HttpRequest) -> Identity | None:
    asked = _to_request(auth, request)
    if isinstance(auth, BlockingWatchword):
        return await offload(auth.identify, asked)
    return await auth.identify(asked)


# --- the middleware --------------------------------------------------------------------

GetResponse: TypeAlias = Callable[[HttpRequest], Any]


class WatchwordMiddleware:
    """Lets views ask who is signed in, and answers for those that refuse a caller.

    Raises:
        ConfigurationError: `settings.WATCHWORD` leads to no instance.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._auth = _configured()
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        """Pass a request on; what comes back is awaited if the views' side is."""
        request.watchword = Caller(self._auth, request)
        response: HttpResponse | Awaitable[HttpResponse] = self._get_response(request)
        return response

    def process_exception(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        exception: Exception,
    ) -> HttpResponse | None:
        """Turn a view's refusal into its response, as the endpoints do."""
        if isinstance(exception, APIError | StorageUnavailable):
            return _to_response(error_response(exception))
        return None


def _configured() -> Instance:
    path = getattr(settings, "WATCHWORD", None)
    if not isinstance(path, str):
        raise ConfigurationError("The settings name no Watchword.", hint=_HINT)
    try:
        auth = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"There is no {path}: {error}.", hint=_HINT) from error
    return _checked(auth)


def _checked(auth: object) -> Instance:
    if not isinstance(auth, Watchword | BlockingWatchword):
        raise ConfigurationError(f"A {type(auth).__name__} is no Watchword.", hint=_HINT)
    return auth


# --- the endpoints ---------------------------------------------------------------------


class _Endpoints:
    """The view of the base path and of all below it, whatever the method."""

    def __init__(self, auth: BlockingWatchword[Any]) -> None:
        self._auth = auth
        _leave_alone(self)

    def __call__(self, request: HttpRequest, rest: str | None = None) -> HttpResponse:
        return _to_response(self._auth.handle(_at_endpoint(self._auth, request, rest)))


class _AsyncEndpoints:
    """The same as a coroutine."""

    def __init__(self, auth: Watchword[Any]) -> None:
        self._auth = auth
        _leave_alone(self)
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest, rest: str | None = None) -> HttpResponse:
        return _to_response(await self._auth.handle(_at_endpoint(self._auth, request, rest)))


def _leave_alone(view: Any) -> None:
    """Tell Django what it need not do around a view of ours."""
    # The endpoints check the caller's origin themselves.
    view.csrf_exempt = True
    for alias in connections:
        # Nothing of Django's databases is touched, and a coroutine could not be wrapped.
        transaction.non_atomic_requests(using=alias)(view)


def _at_endpoint(auth: Instance, request: HttpRequest, rest: str | None) -> messages.Request:
    path = auth.options.path + (rest or "")
    body = _read(request, auth.options.max_body_size)
    return replace(
        _to_request(auth, request), path=path if path[:1] == "/" else f"/{path}", body=body
    )


def _to_request(auth: Instance, request: HttpRequest) -> messages.Request:
    """Return what a request says, but for its body."""
    if isinstance(request, ASGIRequest):
        # Of Django's AsyncClient the scope's own is a text.
        query: str = request.META["QUERY_STRING"]
        return asgi.to_request({**request.scope, "query_string": query.encode()})
    if isinstance(auth, Watchword):
        # Under WSGI a loop ends with its request: connections would be left in it, and mail
        # that is sent after the answer would never be.
        raise ConfigurationError(
            "Under WSGI there is no event loop that lasts, and Watchword needs one.",
            hint="Use BlockingWatchword with a blocking driver, or serve by ASGI; in tests, "
            "use AsyncClient.",
        )
    return wsgi.to_request(request.environ)


def _read(request: HttpRequest, limit: int) -> bytes:
    # What was sent in chunks announces nothing; Django knows where it ends.
    announced = wsgi.announced_length(request.META) if "CONTENT_LENGTH" in request.META else None
    return wsgi.read_body(request, announced, limit=limit)


def _to_response(answer: messages.Response) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response["content-type"]
    for name, value in answer.headers:
        if name == "set-cookie":
            response.cookies.load(value)
        elif name in response:
            response[name] = f"{response[name]}, {value}"
        else:
            response[name] = value
    return response
