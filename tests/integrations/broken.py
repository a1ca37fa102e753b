"""Fronts that each break one promise; what the integration suite has to notice."""

from asyncio import sleep
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from watchword import APIError, Watchword
from watchword.errors import StorageUnavailable
from watchword.integrations.starlette import (
    current_session,
    mount,
    require_session,
    require_user,
)


async def me(request):
    """Answer who must be signed in."""
    return JSONResponse({"email": (await require_user(request)).email})


async def maybe(request):
    """Answer who may be signed in."""
    identity = await current_session(request)
    return JSONResponse({"email": identity.user.email if identity else None})


async def session(request):
    """Ask in every way."""
    await current_session(request)
    identity, user = await require_session(request), await require_user(request)
    return JSONResponse({"id": identity.session.id, "email": user.email})


class Sound:
    """Breaks nothing."""

    def __init__(self, settings):
        self.app = Starlette(routes=[Route(f"/{it.__name__}", it) for it in (me, maybe, session)])
        mount(self.app, Watchword(**settings))

    async def __call__(self, scope, receive, send):
        """Answer a request."""
        await self.app(self.seen(scope), self.heard(scope, receive), self.said(scope, send))

    def seen(self, scope):
        """Return what the application sees of the request."""
        return scope

    def heard(self, scope, receive):
        """Return what the application hears of the body."""
        return receive

    def said(self, scope, send):
        """Return what takes the application's answer."""
        return send


class JoinsCookies(Sound):
    """As one that keeps headers in a dict."""

    def said(self, scope, send):
        """Join them by commas."""

        async def joined(message):
            headers = {}
            for name, value in message.get("headers", []):
                headers[name] = headers[name] + b", " + value if name in headers else value
            await send({**message, "headers": list(headers.items())})

        return joined


class KeepsTheLastOfAKey(Sound):
    """As one that keeps queries in a dict."""

    def seen(self, scope):
        """Write the query anew."""
        pairs = dict(it.partition(b"=")[::2] for it in scope["query_string"].split(b"&"))
        query = b"&".join(b"%b=%b" % pair for pair in pairs.items())
        return {**scope, "query_string": query}


class DecodesTwice(Sound):
    """As one behind a proxy that decodes."""

    def seen(self, scope):
        """Decode the path again."""
        return {**scope, "path": unquote(scope["path"])}


class TidiesPaths(Sound):
    """As one that likes no slash at the end."""

    def seen(self, scope):
        """Take it off."""
        return {**scope, "path": scope["path"].rstrip("/")}


class TakesHeadersForUTF8(Sound):
    """They are Latin-1."""

    def seen(self, scope):
        """Replace what is none."""
        headers = [
            (name, value.decode("utf-8", "replace").encode("latin-1", "replace"))
            for name, value in scope["headers"]
        ]
        return {**scope, "headers": headers}


class HidesAddresses(Sound):
    """As one behind a socket."""

    def seen(self, scope):
        """Leave the client out."""
        return {**scope, "client": None}


class TrustsEveryPage(Sound):
    """As one that sets the origin right."""

    def seen(self, scope):
        """Say that the request came from our own."""
        headers = [it for it in scope["headers"] if it[0] != b"origin"]
        return {**scope, "headers": [*headers, (b"origin", b"http://localhost:8000")]}


class ReadsToTheEnd(Sound):
    """As one that wants the body first."""

    def heard(self, scope, receive):
        """Take all of it, however long."""
        parts = []

        async def whole():
            while not parts or parts[-1].get("more_body", False):
                parts.append(await receive())
            body = b"".join(part.get("body", b"") for part in parts)
            return {"type": "http.request", "body": body}

        return whole


class KeepsHalf(ReadsToTheEnd):
    """A body that breaks off is taken for a whole one."""


class ReadsTheFirstPiece(Sound):
    """As one that was never tried on a network."""

    def heard(self, scope, receive):
        """Say that no more comes."""

        async def first():
            return {**await receive(), "more_body": False}

        return first


class TakesForms(Sound):
    """As one that reads forms before anybody else can."""

    def heard(self, scope, receive):
        """Leave nothing of a form."""
        taken = (b"content-type", b"application/x-www-form-urlencoded") in scope["headers"]

        async def nothing():
            return {"type": "http.request", "body": b""}

        return nothing if taken else receive


class AnswersOptions(Sound):
    """As most do by themselves."""

    async def __call__(self, scope, receive, send):
        """Answer in the application's place."""
        if scope["method"] == "OPTIONS":
            await JSONResponse(None)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class AsksEachTime(Sound):
    """As one that forgets at once."""

    def seen(self, scope):
        """Keep nothing with the request."""

        class Forgetful(dict):
            def setdefault(self, key, default):
                return default if key.startswith("watchword") else super().setdefault(key, default)

            def copy(self):
                return Forgetful(self)

        return Forgetful(scope)


class RemembersWhoCame(Sound):
    """As one that keeps what it knows with the application."""

    known = None

    def seen(self, scope):
        """Hand what is known on to the next."""
        self.known = {} if self.known is None else self.known
        return {**scope, "watchword.identities": self.known}


class KeepsTheRequestOnItself(Sound):
    """As one that serves one request at a time."""

    headers = None

    async def __call__(self, scope, receive, send):
        """Look at the request again after others had their turn."""
        self.headers = scope["headers"]
        await sleep(0)
        await super().__call__({**scope, "headers": self.headers}, receive, send)


class SendsNobodyAway(Sound):
    """As one that has a page to sign in."""

    def __init__(self, settings):
        super().__init__(settings)
        self.app.add_exception_handler(APIError, lambda *_: RedirectResponse("/sign-in"))


class SaysSignedOut(Sound):
    """As one that takes every error for a refusal."""

    def __init__(self, settings):
        super().__init__(settings)
        self.app.add_exception_handler(
            StorageUnavailable, lambda *_: JSONResponse({"code": "UNAUTHORIZED"}, 401)
        )
