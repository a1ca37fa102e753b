"""The demo's pages: templates filled in, everything escaped, and sent with strict headers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from types import MappingProxyType
from typing import Final

from watchword.cli.demo_forms import Form, Problem
from watchword.cli.demo_outbox import Message
from watchword.http.bodies import Body
from watchword.http.messages import Response

__all__ = [
    "ASSETS",
    "SignedIn",
    "account_page",
    "asset",
    "form_page",
    "link_sent_page",
    "outbox_page",
    "problem_page",
    "see_other",
]

ASSETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/static/style.css": "text/css; charset=utf-8",
        "/static/icon.svg": "image/svg+xml",
    }
)
# No script may run, wherever it comes from: a hole in the escaping stays without effect.
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    # Not "no-referrer": with it browsers send `Origin: null` with a form, and the check of
    # the origin would have nothing to go by.
    ("referrer-policy", "same-origin"),
)
# Whoever signs out at a shared computer leaves nothing behind for its back button.
_NOT_KEPT: Final = ("cache-control", "no-store")
_FIELDS: Final = ("name", "email", "password", "newPassword")


class _User(Body, frozen=True):
    name: str
    email: str
    email_verified: bool
    created_at: datetime


class _Session(Body, frozen=True):
    expires_at: datetime


class SignedIn(Body, frozen=True):
    """What the pages need of the endpoint that tells who is signed in."""

    user: _User
    session: _Session


def form_page(
    form: Form,
    *,
    status: int = 200,
    notice: str = "",
    problem: Problem | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """Show a form; a refused one says why and holds what was typed, but for the password."""
    wrong = () if problem is None else problem.fields
    invalid = {f"{it}_invalid": str(it in wrong).lower() for it in _FIELDS}
    described = {f"{it}_described": "problem" if it in wrong else "" for it in _FIELDS}
    content = _filled(
        form.template,
        values={"name": "", "email": "", "token": "", **(typed or {}), **invalid, **described},
        markup={"message": _message(notice, problem)},
    )
    return _page(form.title if problem is None else f"Error: {form.title}", content, status)


def account_page(signed_in: SignedIn, *, came_from_link: bool = False) -> Response:
    """Show who is signed in, and whether the address is verified."""
    user, ends_at = signed_in.user, signed_in.session.expires_at
    name = user.name.strip() or user.email
    values = {
        "name": name,
        "initial": name[0].upper(),
        "email": user.email,
        "verified": "Yes" if user.email_verified else "Not yet",
    }
    message = _message("Your e-mail address is verified." if came_from_link else "", None)
    if not user.email_verified:
        message = _filled("_unverified", values=values, markup={})
    markup = {
        "message": message,
        "since": _instant(user.created_at),
        "until": _instant(ends_at),
    }
    return _page("Your account", _filled("account", values=values, markup=markup), 200)


def link_sent_page() -> Response:
    """Say where the link is; the same for every address."""
    return _page("Look at your mail", _filled("link_sent", values={}, markup={}), 200)


def outbox_page(messages: Sequence[Message], *, origin: str) -> Response:
    """List messages in their order, each with its link.

    Links to the demo stay where it was opened: `localhost` keeps other cookies than 127.0.0.1.
    """
    items = [
        _filled(
            "_message",
            values={
                "number": str(number),
                "subject": it.words.subject,
                "to": it.to,
                "href": it.url.removeprefix(origin),
                "text": it.words.text.strip(),
            },
            markup={"time": _instant(it.kept_at)},
        )
        for number, it in enumerate(messages, start=1)
    ]
    listed = f'<ol class="messages">{"".join(items)}</ol>'
    content = listed if items else _filled("_no_messages", values={}, markup={})
    return _page("Outbox", _filled("outbox", values={}, markup={"messages": content}), 200)


def problem_page(title: str, sentence: str, *, status: int) -> Response:
    """Say what went wrong where no form can be shown."""
    return _page(
        title, _filled("problem", values={"title": title, "sentence": sentence}, markup={}), status
    )


def see_other(path: str) -> Response:
    """Send the browser to a page of ours, which it then gets (RFC 9110, 15.4.4)."""
    return Response(303, [*_HEADERS, _NOT_KEPT, ("location", path)])


def asset(path: str) -> Response:
    """Send a file that pages refer to."""
    headers = [*_HEADERS, ("cache-control", "no-cache"), ("content-type", ASSETS[path])]
    return Response(200, headers, _file(path.rpartition("/")[2]).encode())


# --- from templates to pages -------------------------------------------------------------


def _page(title: str, content: str, status: int) -> Response:
    html = _filled("layout", values={"title": title}, markup={"content": content})
    headers = [*_HEADERS, _NOT_KEPT, ("content-type", "text/html; charset=utf-8")]
    return Response(status, headers, html.encode("utf-8", "replace"))


def _filled(template: str, *, values: Mapping[str, str], markup: Mapping[str, str]) -> str:
    """Fill in a template; values are escaped, and only what was made here is markup."""
    escaped = {name: escape(value) for name, value in values.items()}
    return Template(_file(f"{template}.html")).substitute(escaped, **markup)


@cache
def _file(name: str) -> str:
    return files("watchword.cli").joinpath("pages", name).read_text(encoding="utf-8")


def _message(notice: str, problem: Problem | None) -> str:
    """Return what stands above a form.

    The focus goes to a problem when the page comes, so that it is read out first; a region
    that is there from the start is not announced by every screen reader.
    """
    if problem is not None:
        return (
            '<p id="problem" class="message problem" role="alert" tabindex="-1" autofocus>'
            f"{escape(problem.sentence)}</p>"
        )
    return f'<p class="message notice" role="status">{escape(notice)}</p>' if notice else ""


def _instant(instant: datetime) -> str:
    text = f"{instant.day} {instant:%B %Y, %H:%M} UTC"
    return f'<time datetime="{instant:%Y-%m-%dT%H:%M:%SZ}">{text}</time>'
