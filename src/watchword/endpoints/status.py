"""Tell that the server answers, and show what went wrong with a link."""

import re
from dataclasses import dataclass
from html import escape
from typing import Final

import msgspec

from watchword.engine.context import Context
from watchword.engine.endpoint import get
from watchword.engine.plugin import Plugin
from watchword.engine.redirects import redirect
from watchword.http.bodies import Answer, Body
from watchword.http.messages import Response

__all__ = ["Alive", "ErrorQuery", "Status"]

_CODE: Final = re.compile(r"[A-Za-z0-9_'-]{1,100}")
_STYLE: Final = (
    "body{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;"
    "color-scheme:light dark}code{font-size:1rem}"
)


class Alive(Answer, frozen=True):
    """The server answers."""

    ok: bool = True


class ErrorQuery(Body, frozen=True):
    """What went wrong."""

    error: str | list[str] = ""
    error_description: str | list[str] = msgspec.field(default="", name="error_description")


@dataclass(frozen=True, kw_only=True)
class Status(Plugin):
    """Whether the server answers, and what went wrong."""

    id = "status"

    @get("/ok")
    async def ok(self, ctx: Context) -> Alive:  # noqa: ARG002 - every endpoint gets it
        """Answer; asks nothing of the database."""
        return Alive()

    @get("/error", hidden=True)
    async def error(self, ctx: Context, query: ErrorQuery) -> Response:
        """Show a page for a link that failed, or lead to the application's own."""
        code, description = _first(query.error), _first(query.error_description)
        if not _CODE.fullmatch(code):
            code = "UNKNOWN"
        if ctx.options.error_url is not None:
            described = {"error_description": description} if description else {}
            return redirect(ctx.options.error_url, error=code, **described)
        return _page(code, description)


def _first(value: str | list[str]) -> str:
    return value if isinstance(value, str) else value[0]


def _page(code: str, description: str) -> Response:
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">'
        f"<title>This did not work</title><style>{_STYLE}</style>"
        f"<h1>This did not work</h1><p>{escape(description[:500])}</p>"
        f"<p>Go back to the application and try again. If it happens again, tell its makers "
        f"this code: <code>{escape(code)}</code></p></html>"
    )
    return Response.page(body)
