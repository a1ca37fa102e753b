"""The demo application: pages beside the endpoints, which do all that is done.

A form works without JavaScript: it is handed to the endpoint as the browser sent it, with its
headers, so the engine's checks against forms of other sites hold for it. No rule of
authentication lives here.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from watchword.auth import Watchword
from watchword.cli.demo_forms import FORMS, problem_of, typed_in
from watchword.cli.demo_pages import (
    ASSETS,
    SignedIn,
    account_page,
    asset,
    form_page,
    problem_page,
    see_other,
)
from watchword.http.messages import Request, Response

__all__ = ["DemoSite"]

_OK: Final = 200
_FORBIDDEN: Final = 403
_SIGNED_OUT: Final = "signed-out"


class DemoSite(Watchword):
    """A Watchword that answers a few pages beside its endpoints."""

    async def handle(self, request: Request) -> Response:
        """Answer a request to a page or to an endpoint."""
        if f"{request.path}/".startswith(f"{self.options.path}/"):
            return await super().handle(request)
        method = "GET" if request.method == "HEAD" else request.method
        page = _PAGES.get((method, request.path))
        if page is None:
            return problem_page("Not found", "There is no page at this address.", status=404)
        return await page(self, request)

    async def start(self, _request: Request) -> Response:
        """Send the browser to the account, from where who is not signed in goes on."""
        return see_other("/account")

    async def file(self, request: Request) -> Response:
        """Send what the pages are drawn with."""
        return asset(request.path)

    async def account(self, request: Request) -> Response:
        """Show who is signed in."""
        return await self._show(
            request, lambda it: see_other("/sign-in") if it is None else account_page(it)
        )

    async def form(self, request: Request) -> Response:
        """Show a form to who is not signed in."""
        notice = "You are signed out." if request.query_string == _SIGNED_OUT else ""
        page = form_page(FORMS[request.path], notice=notice)
        return await self._show(request, lambda it: page if it is None else see_other("/account"))

    async def submit(self, request: Request) -> Response:
        """Hand a form to its endpoint."""
        form = FORMS[request.path]
        answer = await self._ask(request, "POST", form.endpoint, body=request.body)
        if answer.status == _OK:
            return _with_cookies(see_other("/account"), answer)
        if answer.status == _FORBIDDEN:
            # Nothing that was sent is shown: it may have been another site that sent it.
            return self._refused_origin()
        return form_page(
            form, status=answer.status, problem=problem_of(answer), typed=typed_in(request)
        )

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        answer = await self._ask(request, "POST", "/sign-out")
        if answer.status == _OK:
            return _with_cookies(see_other(f"/sign-in?{_SIGNED_OUT}"), answer)
        if answer.status == _FORBIDDEN:
            return self._refused_origin()
        return problem_page(
            "Still signed in",
            "Signing out did not work. Go back and try again in a minute.",
            status=answer.status,
        )

    async def _show(
        self, request: Request, page: Callable[[SignedIn | None], Response]
    ) -> Response:
        """Answer with a page that depends on who is signed in."""
        answer = await self._ask(request, "GET", "/get-session")
        if answer.status != _OK:
            return problem_page(
                "Not now",
                "The server cannot tell who you are at the moment. Try again in a minute.",
                status=answer.status,
            )
        found = msgspec.json.decode(answer.body, type=SignedIn | None)
        return _with_cookies(page(found), answer)

    def _refused_origin(self) -> Response:
        return problem_page(
            "Sent from another address",
            f"This server takes forms from its own pages only. Open {self.options.origin} and "
            "try again there, or start the server with --base-url and the address you opened.",
            status=_FORBIDDEN,
        )

    async def _ask(
        self, request: Request, method: str, endpoint: str, *, body: bytes = b""
    ) -> Response:
        """Ask an endpoint on behalf of the browser: its cookies, its origin, its address."""
        path = self.options.path + endpoint
        asked = replace(request, method=method, path=path, query_string="", body=body)
        return await super().handle(asked)


def _with_cookies(page: Response, answer: Response) -> Response:
    """Let a page carry the cookies of an endpoint's answer."""
    for name, value in answer.headers:
        if name == "set-cookie":
            page.add_header(name, value)
    return page


_Page: TypeAlias = Callable[[DemoSite, Request], Awaitable[Response]]

_PAGES: Final[Mapping[tuple[str, str], _Page]] = MappingProxyType(
    {
        ("GET", "/"): DemoSite.start,
        ("GET", "/account"): DemoSite.account,
        ("POST", "/sign-out"): DemoSite.sign_out,
        **{("GET", path): DemoSite.form for path in FORMS},
        **{("POST", path): DemoSite.submit for path in FORMS},
        **{("GET", path): DemoSite.file for path in ASSETS},
    }
)
