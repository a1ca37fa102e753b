"""List and unlink the ways in of who is signed in."""

from dataclasses import dataclass
from datetime import datetime

from watchword.engine.context import Context
from watchword.engine.endpoint import get, post
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError
from watchword.http.bodies import Answer, Body, Done
from watchword.storage.contract import Record
from watchword.storage.entities import Identity
from watchword.storage.query import F

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

    @get("/list-accounts")
    async def list_all(self, ctx: Context, identity: Identity) -> list[LinkedAccount]:
        """Return every way in of the user."""
        rows = await ctx.store.find_many("account", F.user_id == identity.user.id)
        return [_shown(row) for row in rows]

    @post("/unlink-account", fresh=True)
    async def unlink(self, ctx: Context, identity: Identity, body: UnlinkBody) -> Done:
        """Give up a way in; the last one stays, unless the options let it go."""
        theirs = F.user_id == identity.user.id

        async def write() -> None:
            # Held to the commit: two calls that each leave one would together leave none.
            await ctx.store.find_one("user", F.id == identity.user.id, lock=True)
            if await ctx.store.count("account", theirs) == 1 and not _may_unlink_last(ctx):
                raise APIError(CoreError.FAILED_TO_UNLINK_LAST_ACCOUNT)
            if not await ctx.store.delete_many("account", theirs & (F.id == body.account_id)):
                raise APIError(CoreError.ACCOUNT_NOT_FOUND)

        await ctx.store.run_in_transaction(write)
        return Done()


def _may_unlink_last(ctx: Context) -> bool:
    return ctx.options.account.allow_unlinking_all


def _shown(row: Record) -> LinkedAccount:
    return LinkedAccount(
        id=str(row["id"]),
        account_id=row["account_id"],
        provider_id=row["provider_id"],
        user_id=str(row["user_id"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        scopes=row["scope"].split(",") if row["scope"] else [],
    )
