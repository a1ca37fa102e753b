"""What mail says: the words for each purpose, as plain text and as HTML."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from string import Template
from types import MappingProxyType
from typing import Final, TypeAlias

from watchword.engine.mail import Mail, MailPurpose

__all__ = ["RenderMail", "Rendered", "render_mail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The words of a message. Its text form shows the subject alone: the rest holds the link.

    Args:
        subject: One line.
        text: For programs that show plain text; the link is in it.
        html: For the others; without it all show the plain text.
    """

    subject: str
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)


RenderMail: TypeAlias = Callable[[Mail], Awaitable[Rendered] | Rendered]
"""Puts a message into words, `def` or `async def`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What a message says; {app}, {to}, {old} and {new} are filled in.

    Args:
        subject: Its subject.
        request: What is asked, and of whom; the link follows.
        button: What the link does.
        otherwise: What to do if one did not ask for it.
    """

    subject: str
    request: str
    button: str
    otherwise: str


# The user's name is in none of them: whoever signs up with a stranger's address chooses it,
# and would have us bring that stranger any sentence, and any link.
_WORDS: Final[Mapping[MailPurpose, _Words]] = MappingProxyType(
    {
        "verify-email": _Words(
            subject="Verify your e-mail address for {app}",
            request="The e-mail address {to} was entered at {app}. "
            "Open this link to confirm that it is yours:",
            button="Verify e-mail address",
            otherwise="If it was not you, ignore this message: the address then stays unverified.",
        ),
        "reset-password": _Words(
            subject="Reset your password for {app}",
            request="A new password was asked for, for the account of {to} at {app}. "
            "Open this link to choose one:",
            button="Choose a new password",
            otherwise="If you did not ask for it, ignore this message: your password stays as it "
            "is. Pass the link on to nobody: whoever opens it can sign in as you.",
        ),
        "confirm-email-change": _Words(
            subject="Confirm the change of your e-mail address at {app}",
            request="The e-mail address of your account at {app} is to be changed "
            "from {old} to {new}. Open this link to agree:",
            button="Agree to the change",
            otherwise="If you did not ask for it, do not open the link: the address stays {old}. "
            "Somebody else may be signed in as you; change your password.",
        ),
        "verify-new-email": _Words(
            subject="Verify your new e-mail address for {app}",
            request="The e-mail address of an account at {app} is to be changed "
            "from {old} to {new}. Open this link to confirm that {new} is yours:",
            button="Verify new e-mail address",
            otherwise="If you did not ask for it, ignore this message: the account keeps {old}.",
        ),
        "delete-user": _Words(
            subject="Confirm that your account at {app} is to be deleted",
            request="The account of {to} at {app} is to be deleted, with all that belongs to it. "
            "This cannot be undone. Open this link to delete it:",
            button="Delete the account",
            otherwise="If you did not ask for it, do not open the link: the account stays. "
            "Somebody else may be signed in as you; change your password.",
        ),
    }
)

_TEXT: Final = Template("$request\n\n$url\n\n$otherwise\n")
_HTML: Final = Template("""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>$subject</title></head>
<body style="font: 16px/1.5 sans-serif; max-width: 36em; margin: 2em auto; padding: 0 1em">
<p>$request</p>
<p><a href="$url" style="display: inline-block; padding: 0.6em 1.2em; color: #ffffff; \
background: #2b3cb4; border-radius: 0.5em; text-decoration: none">$button</a></p>
<p>Or copy this address into your browser:<br>
<a href="$url" style="word-break: break-all">$url</a></p>
<p>$otherwise</p>
</body>
</html>
""")


def render_mail(mail: Mail, *, app_name: str) -> Rendered:
    """Put a message into the words that are sent where no others are chosen."""
    words = _WORDS[mail.purpose]
    names = {
        "app": app_name,
        "to": mail.to,
        "old": mail.user.email,
        "new": mail.new_email or mail.to,
    }
    parts = {
        "subject": words.subject.format_map(names),
        "request": words.request.format_map(names),
        "button": words.button,
        "url": mail.url,
        "otherwise": words.otherwise.format_map(names),
    }
    escaped = {name: escape(part) for name, part in parts.items()}
    return Rendered(
        subject=parts["subject"],
        text=_TEXT.substitute(parts),
        html=_HTML.substitute(escaped),
    )
