"""Change the name, the picture and additional fields of who is signed in."""

from dataclasses import dataclass
from typing import Any

from watchword.engine.context import Context
from watchword.engine.endpoint import post
from watchword.engine.plugin import Plugin
from watchword.errors import APIError, CoreError, ReferenceViolation, UniqueViolation
from watchword.http.bodies import UNSET, Done, OpenBody, UnsetType
from watchword.storage.entities import Identity, User
from watchword.storage.query import F

__all__ = ["UpdateUser", "UpdateUserBody"]


class UpdateUserBody(OpenBody, frozen=True):
    """What changes; additional fields of the user by their wire names included."""

    name: str | UnsetType = UNSET
    image: str | UnsetType | None = UNSET


@dataclass(frozen=True, kw_only=True)
class UpdateUser(Plugin):
    """Changes users."""

    id = "update-user"

    @post("/update-user")
    async def update(self, ctx: Context, identity: Identity, body: UpdateUserBody) -> Done:
        """Change the user; the address has an endpoint of its own."""
        if body.additional_fields.get("email"):
            raise APIError(CoreError.EMAIL_CAN_NOT_BE_UPDATED)
        changes = ctx.instance.user_fields.for_update(body.additional_fields) | _own(body)
        if not changes:
            raise APIError.bare(400, "No fields to update")
        try:
            row = await ctx.store.update("user", F.id == identity.user.id, changes)
        except ReferenceViolation as error:  # an additional field's value points at nothing
            raise APIError(CoreError.FAILED_TO_UPDATE_USER) from error
        except UniqueViolation as error:  # an additional field's value is taken
            code = ctx.instance.code_of_taken(error.model, error.fields)
            raise APIError(code or CoreError.FAILED_TO_UPDATE_USER) from error
        if row is None:
            raise APIError(CoreError.UNAUTHORIZED)
        ctx.send_session_again(identity.session, User.from_record(row))
        return Done()


def _own(body: UpdateUserBody) -> dict[str, Any]:
    given = {"name": body.name, "image": body.image}
    return {name: it for name, it in given.items() if it is not UNSET}
