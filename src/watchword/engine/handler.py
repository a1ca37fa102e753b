"""From a request to its response: the order of steps.

How often the client calls is looked at first, then the route is looked for, then the body is
read and the caller's origin checked; hooks come next; only after them is a body looked at
closely, then who is signed in, and only then does the endpoint run. Whatever happens, the
answer is a response, and cookies that were set before an error are sent.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec

from watchword.engine.context import Context, Instance
from watchword.engine.endpoint import Endpoint
from watchword.engine.hooks import EndpointCall, EndpointHooks
from watchword.engine.identity import require_identity, signed_in
from watchword.engine.origins import OriginGuard
from watchword.engine.plugin import Plugin
from watchword.engine.rate_limit import RateLimiter
from watchword.engine.router import Match, Router
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    ErrorCode,
    FieldTooLong,
    OperationRefused,
    Overloaded,
    StorageUnavailable,
    UniqueViolation,
    WatchwordError,
)
from watchword.http.bodies import UNSET, parse_body, validate, wire_name
from watchword.http.messages import Request, Response
from watchword.schema import camel_case

__all__ = ["Handler", "error_response"]

_log = logging.getLogger("watchword")

# Sent with every answer: no cache keeps it, no browser guesses another type than the one
# told, and no other site learns the address, in which a link may carry a token.
_SECURITY_HEADERS: Final = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
_REST: Final = wire_name("additional_fields")
_UNKNOWN_PATH: Final = "*"


class Handler:
    """Answers the requests of one instance, and the calls from Python."""

    def __init__(self, instance: Instance, plugins: Iterable[Plugin]) -> None:
        plugins = list(plugins)
        options = instance.options
        self.instance = instance
        self._guard = OriginGuard(options.origin, options.trusted_origins)
        self._hooks = EndpointHooks(options.hooks, plugins)
        self._limiter = RateLimiter(
            options.rate_limits,
            [limit for plugin in plugins for limit in plugin.rate_limits],
            instance.counters,
        )
        self._disabled = frozenset(path.rstrip("/") for path in options.disabled_paths)
        self.router = Router(plugins, base_path=options.path)
        instance.endpoints.extend(self.router)
        errors: list[type[ErrorCode]] = [CoreError]
        errors += [it.errors for it in plugins if it.errors is not None]
        instance.codes.extend(code for error in errors for code in error)
        for plugin in plugins:
            instance.taken.update(plugin.taken)
        self._by_function = {_declared(it.function): it for it in self.router}

    async def handle(self, request: Request) -> Response:
        """Answer a request; never raises but when it is cancelled."""
        ctx = Context(self.instance, request)
        try:
            return _complete(await self._answer(ctx), ctx.headers)
        except WatchwordError as error:
            response = error_response(error)
        except Exception:  # noqa: BLE001 - the one place where everything is caught
            # What went wrong is ours to know: the caller gets neither words nor SQL of it. The
            # path as it is declared is told: in the one that was sent, a token may stand.
            match = self.router.find(request.method, self._path(request))
            path = _UNKNOWN_PATH if match is None else match.endpoint.path
            _log.exception("%s %s failed", request.method, path)
            response = Response.empty(500)
        return _complete(response, ctx.headers)

    async def _answer(self, ctx: Context) -> Response:
        path = self._path(ctx.request)
        match = self.router.find(ctx.request.method, path)
        if path in self._disabled or (match and match.endpoint.path in self._disabled):
            return Response(404, [("content-type", "text/plain")], b"Not Found")
        await self._limiter.check(
            ctx.request,
            _UNKNOWN_PATH if match is None else match.endpoint.path,
            self.instance.addresses.find(ctx.request),
            partial(_user_of, ctx),
        )
        if match is None:
            return Response.empty(404)
        body = self._read(match.endpoint, ctx.request)
        if match.endpoint.method != "GET":
            await self._guard.check_caller(ctx.request)
            await self._guard.check_targets(body, ctx.request)
        result = await self._called(ctx, match, body)
        if isinstance(result, Response):
            return result
        return Response.json(self.instance.output.render(result))

    def _path(self, request: Request) -> str | None:
        path = self.router.below_base(request.path)
        if path is not None and self.instance.options.ignore_trailing_slash:
            path = path.removesuffix("/")
        return path

    def _read(self, endpoint: Endpoint, request: Request) -> object:
        if len(request.body) > self.instance.options.max_body_size:
            raise APIError(CoreError.PAYLOAD_TOO_LARGE)
        if endpoint.method == "GET":
            return UNSET
        form = endpoint.declaration.form
        return parse_body(request.header("content-type"), request.body, form_allowed=form)

    # --- one endpoint ------------------------------------------------------------------

    async def call(self, ctx: Context, endpoint: Endpoint, given: msgspec.Struct) -> object:
        """Call an endpoint from Python: its guards and hooks, but no check of origins.

        Raises:
            APIError: As over HTTP.
        """
        values = msgspec.to_builtins(given)
        own = given.__struct_encode_fields__
        # Additional fields may come from a form: they are nothing but that.
        extra = {name: it for name, it in values.pop(_REST, {}).items() if name not in own}
        return await self._called(ctx, Match(endpoint), {**extra, **values}, over_http=False)

    def endpoint_of(self, function: Callable[..., Any]) -> Endpoint:
        """Return the endpoint that a plugin's class declares with this method.

        Raises:
            ConfigurationError: The instance does not have it.
        """
        try:
            return self._by_function[function]
        except KeyError:
            raise ConfigurationError(
                f"This instance has no endpoint {function.__qualname__}.",
                hint="Enable the plugin that it belongs to.",
            ) from None

    async def _called(
        self, ctx: Context, match: Match, body: object, *, over_http: bool = True
    ) -> object:
        """Call an endpoint with all that is around it; a copy of the session goes out last."""
        try:
            result = await self._with_hooks(ctx, match, body, over_http=over_http)
        except APIError:
            await ctx.send_copy()
            raise
        await ctx.send_copy()
        return result

    async def _with_hooks(
        self, ctx: Context, match: Match, body: object, *, over_http: bool
    ) -> object:
        path = match.endpoint.path
        if not self._hooks.concern(path):
            return await self._run(ctx, match, body, over_http=over_http)
        about = EndpointCall(
            path=path,
            request=ctx.request,
            body=body if isinstance(body, Mapping) else {},
            headers=ctx.headers,
        )
        try:
            changed = await self._hooks.before(ctx, about)
            if isinstance(changed, Response):
                return changed
            if changed is not about:
                about, body = changed, changed.body
            result = await self._run(ctx, match, body, over_http=over_http)
        except APIError as error:
            answer = await self._hooks.after(ctx, _done(about, ctx, error))
            if answer is None:
                raise
            return answer
        answer = await self._hooks.after(ctx, _done(about, ctx, result))
        return result if answer is None else answer

    async def _run(self, ctx: Context, match: Match, body: object, *, over_http: bool) -> object:
        endpoint = match.endpoint
        arguments: dict[str, Any] = dict(match.parameters)
        if endpoint.body is not None:
            arguments["body"] = validate(body, endpoint.body)
        if endpoint.query is not None:
            query = dict(ctx.request.query) if over_http else body
            arguments["query"] = validate(query, endpoint.query, at="query")
        if over_http:
            await self._check_origin(ctx, endpoint)
        ctx.takes_copies = endpoint.declaration.copied
        if endpoint.needs_session:
            fresh = endpoint.declaration.fresh
            arguments["identity"] = await require_identity(ctx, fresh=fresh)
        try:
            return await endpoint.function(ctx, **arguments)
        except (FieldTooLong, OperationRefused) as error:
            raise _as_refusal(error) from error
        except UniqueViolation as error:
            code = self.instance.code_of_taken(error.model, error.fields)
            if code is None:
                raise
            raise APIError(code) from error

    async def _check_origin(self, ctx: Context, endpoint: Endpoint) -> None:
        """Guard what the check before it lets through: forms without cookies, and links."""
        if endpoint.declaration.form:
            await self._guard.check_form(ctx.request)
        if endpoint.method == "GET":
            await self._guard.check_targets({}, ctx.request)


async def _user_of(ctx: Context) -> str | None:
    """Return the id of who is signed in; reads a row, and renews nothing."""
    identity = await signed_in(ctx)
    return None if identity is None else identity.user.id


def _complete(response: Response, headers: Iterable[tuple[str, str]]) -> Response:
    """Return an answer with what goes out with it; the one that was given may be another's too."""
    complete = replace(response, headers=[*response.headers])
    for name, value in headers:
        try:
            complete.add_header(name, value)
        except ValueError:
            _log.exception("a hook's header is left out")
    present = {name for name, _ in complete.headers}
    complete.headers.extend(it for it in _SECURITY_HEADERS if it[0] not in present)
    return complete


def _declared(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that stands in the class."""
    return getattr(method, "__func__", method)


def _done(about: EndpointCall, ctx: Context, returned: object) -> EndpointCall:
    return replace(about, new_session=ctx.new_session, returned=returned)


def _as_refusal(error: FieldTooLong | OperationRefused) -> APIError:
    """Return what the caller is told of a value that does not fit, or that a hook refused."""
    if isinstance(error, OperationRefused):
        return APIError(CoreError.OPERATION_REFUSED)
    message = (
        f"[body.{camel_case(error.field)}] "
        f"Too big: expected string to have <={error.limit} characters"
    )
    return APIError(CoreError.VALIDATION_ERROR, message=message)


def error_response(error: WatchwordError) -> Response:
    """Answer for an error: a refusal, a busy server's, or ours, of which nothing is told."""
    match error:
        case APIError():
            return _refusal(error)
        case FieldTooLong() | OperationRefused():
            return _refusal(_as_refusal(error))
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
    if refusal.code is None and not refusal.message:
        response = Response.empty(refusal.status)
    else:
        body = {"message": refusal.message}
        if refusal.code is not None:
            body["code"] = refusal.code.name
        response = Response.json(body, status=refusal.status)
    for name, value in refusal.headers.items():
        response.add_header(name, value)
    return response
