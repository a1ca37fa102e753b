"""From a request to its response: the order of steps.

A route is looked for first, then the body is read, then the caller's origin is checked;
only after that is a body looked at closely, and only then does the endpoint run. Whatever
happens, the answer is a response, and cookies that were set before an error are sent.
"""

import logging
from collections.abc import Iterable
from typing import Any

from watchword.engine.context import Context, Instance
from watchword.engine.endpoint import Endpoint
from watchword.engine.origins import OriginGuard
from watchword.engine.plugin import Plugin
from watchword.engine.router import Router
from watchword.errors import (
    APIError,
    CoreError,
    FieldTooLong,
    Overloaded,
    StorageUnavailable,
    WatchwordError,
)
from watchword.http.bodies import parse_body, validate
from watchword.http.messages import Request, Response
from watchword.schema import camel_case

__all__ = ["Handler", "error_response"]

_log = logging.getLogger("watchword")


class Handler:
    """Answers the requests of one instance."""

    def __init__(self, instance: Instance, plugins: Iterable[Plugin]) -> None:
        options = instance.options
        self._instance = instance
        self._guard = OriginGuard(options.origin, options.trusted_origins)
        self.router = Router(plugins, base_path=options.path)

    async def handle(self, request: Request) -> Response:
        """Answer a request; never raises but when it is cancelled."""
        ctx = Context(self._instance, request)
        try:
            response = await self._answer(ctx)
        except WatchwordError as error:
            response = error_response(error)
        except Exception:  # noqa: BLE001 - the one place where everything is caught
            # What went wrong is ours to know: the caller gets neither words nor SQL of it.
            _log.exception("%s %s failed", request.method, request.path)
            response = Response.empty(500)
        for cookie in ctx.set_cookies:
            response.add_header("set-cookie", cookie)
        return response

    async def _answer(self, ctx: Context) -> Response:
        endpoint = self.router.find(ctx.request.method, ctx.request.path)
        if endpoint is None:
            return Response.empty(404)
        body = self._read(endpoint, ctx.request)
        if endpoint.method != "GET":
            self._guard.check_caller(ctx.request)
            self._guard.check_targets(body, ctx.request)
        arguments = _arguments(endpoint, body, ctx.request)
        if endpoint.form:
            self._guard.check_form(ctx.request)
        result = await endpoint.function(ctx, **arguments)
        return result if isinstance(result, Response) else Response.json(result)

    def _read(self, endpoint: Endpoint, request: Request) -> object:
        if len(request.body) > self._instance.options.max_body_size:
            raise APIError(CoreError.PAYLOAD_TOO_LARGE)
        if endpoint.method == "GET":
            return None
        return parse_body(request.header("content-type"), request.body, form_allowed=endpoint.form)


def _arguments(endpoint: Endpoint, body: object, request: Request) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if endpoint.body is not None:
        arguments["body"] = validate(body, endpoint.body)
    if endpoint.query is not None:
        arguments["query"] = validate(dict(request.query), endpoint.query, at="query")
    return arguments


def error_response(error: WatchwordError) -> Response:
    """Answer for an error: a refusal, a busy server's, or ours, of which nothing is told."""
    match error:
        case APIError():
            return _refusal(error)
        case FieldTooLong():
            message = (
                f"[body.{camel_case(error.field)}] "
                f"Too big: expected string to have <={error.limit} characters"
            )
            return _refusal(APIError(CoreError.VALIDATION_ERROR, message=message))
        case Overloaded():
            return _busy(error.retry_after)
        case StorageUnavailable():
            _log.error("the database is not available", exc_info=error)
            return _busy(1)
    _log.error("the request failed", exc_info=error)
    return Response.empty(500)


def _busy(retry_after: int) -> Response:
    headers = {"retry-after": str(retry_after)}
    return _refusal(APIError(CoreError.SERVICE_UNAVAILABLE, headers=headers))


def _refusal(refusal: APIError) -> Response:
    body = {"message": refusal.message}
    if refusal.code is not None:
        body["code"] = refusal.code.name
    response = Response.json(body, status=refusal.status)
    for name, value in refusal.headers.items():
        response.add_header(name, value)
    return response
