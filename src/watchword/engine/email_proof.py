"""Links by which people prove to own an address: what they stand for, and how they are sent."""

from datetime import timedelta
from typing import Final

import msgspec

from watchword.engine.accounts import password_fingerprint
from watchword.engine.context import Context
from watchword.engine.mail import Mail
from watchword.engine.options import EmailVerification
from watchword.http.bodies import UNSET, UnsetType
from watchword.storage.contract import Record
from watchword.storage.entities import User

__all__ = [
    "PURPOSE",
    "EmailProof",
    "change_of",
    "pretend_to_send",
    "proof_of",
    "send_change_confirmation",
    "send_new_address_verification",
    "send_verification",
    "value_of",
]

PURPOSE: Final = "verify-email"


class EmailProof(msgspec.Struct, frozen=True, kw_only=True):
    """What a link proves: who opens it reads the mail of an address.

    Bound to the user and to the address that they had when it was sent, and for a change to
    their password too: a link outlives no change of these. Whoever knew the old password must
    not take the account over by a link that was asked for before the reset.
    """

    user_id: str
    email: str
    new_email: str | None = None
    """The address that is to replace it."""
    password: str = ""
    """The fingerprint of the password at that time, if it is about a change."""
    confirms_change: bool = False
    """Sent to the old address, to ask whether the change is meant."""


def proof_of(value: str) -> EmailProof:
    """Return what was issued; nobody but us writes such values."""
    return msgspec.json.decode(value, type=EmailProof)


def value_of(proof: EmailProof) -> str:
    """Return what is issued of a proof."""
    return msgspec.json.encode(proof).decode()


async def send_verification(ctx: Context, user: User, callback_url: str | UnsetType) -> None:
    """Send a link that verifies the user's address."""
    token = await _issue(ctx, EmailProof(user_id=user.id, email=user.email))
    url = _url(ctx, token, callback_url)
    await ctx.post(Mail(purpose="verify-email", to=user.email, user=user, url=url, token=token))


def change_of(user: User, new_email: str, account: Record | None) -> EmailProof:
    """Return the proof of a change that is asked for now.

    Args:
        user: Who asks.
        new_email: In its canonical form.
        account: Their credential account, if there is one.
    """
    fingerprint = password_fingerprint(account)
    return EmailProof(user_id=user.id, email=user.email, new_email=new_email, password=fingerprint)


async def send_change_confirmation(
    ctx: Context, user: User, change: EmailProof, callback_url: str | UnsetType
) -> None:
    """Ask at the present address whether the change is meant."""
    token = await _issue(ctx, msgspec.structs.replace(change, confirms_change=True))
    await ctx.post(
        Mail(
            purpose="confirm-email-change",
            to=user.email,
            user=user,
            url=_url(ctx, token, callback_url),
            token=token,
            new_email=change.new_email,
        )
    )


async def send_new_address_verification(
    ctx: Context, user: User, change: EmailProof, callback_url: str | UnsetType
) -> None:
    """Send a link to the new address that makes it the user's."""
    token = await _issue(ctx, msgspec.structs.replace(change, confirms_change=False))
    await ctx.post(
        Mail(
            purpose="verify-new-email",
            to=change.new_email or "",
            user=user,
            url=_url(ctx, token, callback_url),
            token=token,
            new_email=change.new_email,
        )
    )


async def pretend_to_send(ctx: Context, email: str) -> None:
    """Do the work of a link for nobody, so that an answer's time tells nothing.

    What is written stands for no user and goes with the next purge.
    """
    await _issue(ctx, EmailProof(user_id="", email=email))
    await ctx.post(None)


async def _issue(ctx: Context, proof: EmailProof) -> str:
    return await ctx.verifications.issue(PURPOSE, value_of(proof), expires_in=_lifetime(ctx))


def _lifetime(ctx: Context) -> timedelta:
    return (ctx.options.email_verification or EmailVerification()).expires_in


def _url(ctx: Context, token: str, callback_url: str | UnsetType) -> str:
    target = "/" if callback_url is UNSET or not callback_url else callback_url
    return ctx.link("/verify-email", token=token, callbackURL=target)
