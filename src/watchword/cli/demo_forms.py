"""The demo's forms, and what they say when the engine refuses one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from watchword.errors import APIError, CoreError
from watchword.http.bodies import Body, parse_form
from watchword.http.messages import Request, Response

__all__ = ["DEAD_LINK", "FORMS", "Form", "Problem", "problem_of", "typed_in"]

# No password: a page with one in it would be kept by the browser.
_REPEATED: Final = ("name", "email", "token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A page with a form.

    Args:
        template: The page's file, without its ending.
        title: The page's title.
        endpoint: What answers the form, below the base path.
        leads_to: Where the browser goes on when it was answered.
        as_json: The endpoint takes no forms of browsers, so it is handed the same as JSON.
        for_strangers: Who is signed in has no use for it.
    """

    template: str
    title: str
    endpoint: str
    leads_to: str
    as_json: bool = False
    for_strangers: bool = False


FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        "/sign-up": Form(
            template="sign_up",
            title="Create your account",
            endpoint="/sign-up/email",
            leads_to="/account",
            for_strangers=True,
        ),
        "/sign-in": Form(
            template="sign_in",
            title="Sign in",
            endpoint="/sign-in/email",
            leads_to="/account",
            for_strangers=True,
        ),
        "/forgot-password": Form(
            template="forgot_password",
            title="Forgot your password?",
            endpoint="/request-password-reset",
            leads_to="/link-sent",
            as_json=True,
        ),
        "/reset-password": Form(
            template="reset_password",
            title="Choose a new password",
            endpoint="/reset-password",
            leads_to="/sign-in?password-changed",
            as_json=True,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a form was refused.

    Args:
        sentence: Says what to do.
        fields: Those it is about, by their names in the form.
    """

    sentence: str
    fields: tuple[str, ...] = ()


class Refusal(Body, frozen=True):
    """What the engine answers then."""

    message: str = ""
    code: str = ""


_NAME: Final = Problem("Enter a name of at most 255 characters.", ("name",))
_EMAIL: Final = Problem("Enter an e-mail address, such as ada@example.org.", ("email",))
# One of the two is in a form; the other is not there to be marked.
_PASSWORDS: Final = ("password", "newPassword")
_PASSWORD: Final = Problem("Enter a password.", _PASSWORDS)
DEAD_LINK: Final = Problem(
    "This link was used already, or has expired. Enter your address to get another."
)

_FIELDS: Final[Mapping[str, Problem]] = MappingProxyType(
    {"name": _NAME, "email": _EMAIL, "password": _PASSWORD, "newPassword": _PASSWORD}
)
_PROBLEMS: Final[Mapping[CoreError, Problem]] = MappingProxyType(
    {
        CoreError.INVALID_EMAIL: _EMAIL,
        CoreError.INVALID_PASSWORD: _PASSWORD,
        CoreError.INVALID_EMAIL_OR_PASSWORD: Problem(
            "The e-mail address or the password is wrong.", ("email", "password")
        ),
        CoreError.PASSWORD_TOO_SHORT: Problem(
            "Choose a password of at least 8 characters.", _PASSWORDS
        ),
        CoreError.PASSWORD_TOO_LONG: Problem(
            "Choose a password of at most 128 characters.", _PASSWORDS
        ),
        CoreError.INVALID_TOKEN: DEAD_LINK,
        CoreError.USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL: Problem(
            "There is an account with this e-mail address. Sign in, or use another address.",
            ("email",),
        ),
    }
)
_BY_CODE: Final = {code.name: problem for code, problem in _PROBLEMS.items()}
_UNKNOWN: Final = Problem("That did not work. Look at what you entered and try again.")


def problem_of(answer: Response) -> Problem:
    """Return what to tell a person of the engine's refusal of a form."""
    try:
        refusal = msgspec.json.decode(answer.body, type=Refusal)
    except msgspec.DecodeError:
        return _UNKNOWN  # a failure of ours has no body
    if refusal.code == CoreError.VALIDATION_ERROR.name:
        named = re.findall(r"\[body\.(\w+)\]", refusal.message)
        return next((_FIELDS[name] for name in named if name in _FIELDS), _UNKNOWN)
    known = _BY_CODE.get(refusal.code)
    return known or (Problem(refusal.message) if refusal.message else _UNKNOWN)


def typed_in(request: Request) -> dict[str, str]:
    """Return what a refused form repeats, so that nobody has to type it again."""
    try:
        fields = parse_form(request.body)
    except APIError:
        fields = {}
    return {name: fields.get(name, "") for name in _REPEATED}
