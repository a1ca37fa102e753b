"""Sign in with an e-mail address and a password."""

from dataclasses import dataclass
from typing import Final

from watchword.engine.accounts import require_email_password
from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.password_sign_in import PasswordBody, PasswordSignIn, SignedIn
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError
from watchword.http.emails import canonical_email, is_email
from watchword.storage.query import F

__all__ = ["SignIn", "SignInBody"]

_BY_EMAIL: Final = PasswordSignIn(refusal=CoreError.INVALID_EMAIL_OR_PASSWORD, no_session=401)


class SignInBody(PasswordBody, frozen=True):
    """What a returning user sends."""

    email: str


@dataclass(frozen=True, kw_only=True)
class SignIn(Plugin):
    """Makes sessions for users who prove who they are."""

    id = "sign-in"

    @post("/sign-in/email", form=True)
    async def with_email(self, ctx: Context, body: SignInBody) -> SignedIn:
        """Make a session, if the password is right.

        An unknown address, an account without a password and a wrong password are answered
        alike, after the same work.
        """
        require_email_password(ctx.options)
        if not is_email(body.email):
            raise APIError(CoreError.INVALID_EMAIL)
        return await _BY_EMAIL.sign_in(ctx, F.email == canonical_email(body.email), body)
