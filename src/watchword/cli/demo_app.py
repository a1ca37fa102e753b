"""The demo application: pages beside the endpoints, which do all that is done.

A form works without JavaScript: it is handed to the endpoint as the browser sent it, with its
headers, so the engine's checks against forms of other sites hold for it. No rule of
authentication lives here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from watchword.adapters import Database
from watchword.auth import Watchword
from watchword.cli.demo_forms import DEAD_LINK, FORMS, problem_of, typed_in
from watchword.cli.demo_outbox import Outbox, is_from_this_machine
from watchword.cli.demo_pages import (
    ASSETS,
    SignedIn,
    account_page,
    asset,
    form_page,
    link_sent_page,
    outbox_page,
    problem_page,
    see_other,
)
from watchword.clock import Clock, utc_now
from watchword.crypto.passwords import Passwords
from watchword.engine.options import EmailPassword, EmailVerification
from watchword.engine.origins import OriginGuard
from watchword.errors import APIError
from watchword.http.bodies import dump, parse_form
from watchword.http.messages import Request, Response

__all__ = ["DemoSite"]

_OK: Final = 200
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_VERIFIED: Final = "verified"
# What the page before has done, by the query with which it leads to a form.
_NOTICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "signed-out": "You are signed out.",
        "password-changed": "Your password is changed. Sign in with the new one.",
        _VERIFIED: "Your e-mail address is verified. Sign in to go on.",
    }
)


class DemoSite(Watchword):
    """A Watchword that answers a few pages beside its endpoints, and keeps its mail.

    Args:
        database: As for `Watchword`, like the other arguments.
        outbox: Where mail is kept, and shown to browsers on the same machine.
    """

    def __init__(
        self,
        database: Database,
        *,
        outbox: Outbox,
        secret: str,
        base_url: str,
        trusted_origins: Sequence[str] = (),
        passwords: Passwords | None = None,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(
            database,
            secret=secret,
            base_url=base_url,
            trusted_origins=trusted_origins,
            email_password=EmailPassword(),
            email_verification=EmailVerification(send_on_sign_up=True),
            mail=outbox,
            passwords=passwords,
            clock=clock,
        )
        self._outbox = outbox

    async def handle(self, request: Request) -> Response:
        """Answer a request to a page or to an endpoint."""
        if f"{request.path}/".startswith(f"{self.options.path}/"):
            return await super().handle(request)
        method = "GET" if request.method == "HEAD" else request.method
        page = _PAGES.get((method, request.path))
        if page is None:
            return problem_page("Not found", "There is no page at this address.", status=404)
        try:
            return await page(self, request)
        except APIError as refusal:
            if refusal.status == _FORBIDDEN:
                return self._refused_origin()
            return problem_page("That did not work", refusal.message, status=refusal.status)

    async def start(self, _request: Request) -> Response:
        """Send the browser to the account, from where who is not signed in goes on."""
        return see_other("/account")

    async def file(self, request: Request) -> Response:
        """Send what the pages are drawn with."""
        return asset(request.path)

    # --- the account -----------------------------------------------------------------

    async def account(self, request: Request) -> Response:
        """Show who is signed in; links that verify an address lead here, too."""
        if "error" in request.query:
            return problem_page(
                "This link does not work",
                "It has expired or is not complete. Sign in, and your account page sends another.",
                status=_BAD_REQUEST,
            )
        from_link = _VERIFIED in request.query
        sign_in = see_other(f"/sign-in?{_VERIFIED}" if from_link else "/sign-in")
        return await self._show(
            request,
            lambda it: sign_in if it is None else account_page(it, came_from_link=from_link),
        )

    async def send_link(self, request: Request) -> Response:
        """Send another link that verifies the address."""
        answer = await self._ask_json(request, "/send-verification-email")
        if answer.status == _OK:
            return see_other("/link-sent")
        return problem_page("No link was sent", problem_of(answer).sentence, status=answer.status)

    # --- forms -----------------------------------------------------------------------

    async def form(self, request: Request) -> Response:
        """Show a form; one to sign in only to who is not signed in."""
        form = FORMS[request.path]
        page = form_page(form, notice=_NOTICES.get(request.query_string, ""))
        if not form.for_strangers:
            return page
        return await self._show(request, lambda it: page if it is None else see_other("/account"))

    async def new_password(self, request: Request) -> Response:
        """Show the form to which a link for a new password leads, if the link is good."""
        token = request.query.get("token")
        if not isinstance(token, str):
            return form_page(FORMS["/forgot-password"], status=_BAD_REQUEST, problem=DEAD_LINK)
        return form_page(FORMS[request.path], typed={"token": token})

    async def submit(self, request: Request) -> Response:
        """Hand a form to its endpoint."""
        form = FORMS[request.path]
        if form.as_json:
            answer = await self._ask_json(request, form.endpoint)
        else:
            answer = await self._ask(request, "POST", form.endpoint, body=request.body)
        if answer.status == _OK:
            return _with_cookies(see_other(form.leads_to), answer)
        if answer.status == _FORBIDDEN:
            # Nothing that was sent is shown: it may have been another site that sent it.
            return self._refused_origin()
        problem = problem_of(answer)
        if problem is DEAD_LINK:
            form = FORMS["/forgot-password"]
        return form_page(form, status=answer.status, problem=problem, typed=typed_in(request))

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        answer = await self._ask(request, "POST", "/sign-out")
        if answer.status == _OK:
            return _with_cookies(see_other("/sign-in?signed-out"), answer)
        if answer.status == _FORBIDDEN:
            return self._refused_origin()
        return problem_page(
            "Still signed in",
            "Signing out did not work. Go back and try again in a minute.",
            status=answer.status,
        )

    # --- mail ------------------------------------------------------------------------

    async def link_sent(self, _request: Request) -> Response:
        """Say where a link is that was asked for."""
        return link_sent_page()

    async def outbox(self, request: Request) -> Response:
        """Show the mail that was not sent, to whoever sits at this machine."""
        origin = self.options.origin
        if not is_from_this_machine(request, origin=origin):
            return problem_page(
                "Only on the same machine",
                "The links in the outbox open other people's accounts, so it is shown to browsers "
                "on the machine that runs the server, by a name like localhost. The server's "
                "terminal has the links, too.",
                status=_FORBIDDEN,
            )
        await self.drain()  # what a page before this one has sent is there
        return outbox_page(self._outbox.messages, origin=origin)

    # --- asking the endpoints --------------------------------------------------------

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

    @cached_property
    def _guard(self) -> OriginGuard:
        return OriginGuard(self.options.origin, self.options.trusted_origins)

    async def _ask_json(self, request: Request, endpoint: str) -> Response:
        """Hand a form over as JSON, to an endpoint that takes nothing else.

        No form of another site can send JSON, and the endpoint counts on that; so it is made
        of forms of our own only.

        Raises:
            APIError: The form is of another site, or none that a browser sends.
        """
        await self._guard.check_form(request)
        body = dump(parse_form(request.body))
        others = tuple(it for it in request.headers if it[0] != "content-type")
        as_json = replace(request, headers=(*others, ("content-type", "application/json")))
        return await self._ask(as_json, "POST", endpoint, body=body)

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
        ("GET", "/link-sent"): DemoSite.link_sent,
        ("GET", "/outbox"): DemoSite.outbox,
        ("POST", "/send-verification-email"): DemoSite.send_link,
        ("POST", "/sign-out"): DemoSite.sign_out,
        **{("GET", path): DemoSite.form for path in FORMS},
        ("GET", "/reset-password"): DemoSite.new_password,
        **{("POST", path): DemoSite.submit for path in FORMS},
        **{("GET", path): DemoSite.file for path in ASSETS},
    }
)
