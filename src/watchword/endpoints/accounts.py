"""List and unlink the ways in of who is signed in."""

from dataclasses import dataclass
from datetime import datetime

from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError, LastAccount
from watchword.http.bodies import Answer, Body, Done
from watchword.storage.entities import Account, Identity

__all__ = ["Accounts", "LinkedAccount", "UnlinkBody"]


class LinkedAccount(Answer, frozen=True):
    """A way in: at a provider, or `credential` for a password. No secret is told."""

    id: str
    account_id: str
    provider_id: str
    user_id: str
    created_at: datetime
    updated_at: datetime
    scopes: list[str]


class UnlinkBody(Body, frozen=True):
    """The `id` of the account in the list; not the provider's."""

    account_id: str


@dataclass(frozen=True, kw_only=True)
class Accounts(Plugin):
    """The ways in of who is signed in."""

    id = "accounts"

    @get("/list-accounts", copied=True)
    async def list_all(self, ctx: Context, identity: Identity) -> list[LinkedAccount]:
        """Return every way in of the user."""
        return [_shown(it) for it in await ctx.accounts.list_for_user(identity.user.id)]

    @post("/unlink-account", fresh=True)
    async def unlink(self, ctx: Context, identity: Identity, body: UnlinkBody) -> Done:
        """Give up a way in; the last one stays, unless the options let it go."""
        even_last = ctx.options.account.allow_unlinking_all
        try:
            unlinked = await ctx.accounts.unlink(
                identity.user.id, body.account_id, even_last=even_last
            )
        except LastAccount as error:
            raise APIError(CoreError.FAILED_TO_UNLINK_LAST_ACCOUNT) from error
        if not unlinked:
            raise APIError(CoreError.ACCOUNT_NOT_FOUND)
        return Done()


def _shown(account: Account) -> LinkedAccount:
    return LinkedAccount(
        id=account.id,
        account_id=account.account_id,
        provider_id=account.provider_id,
        user_id=account.user_id,
        created_at=account.created_at,
        updated_at=account.updated_at,
        scopes=account.scopes,
    )
