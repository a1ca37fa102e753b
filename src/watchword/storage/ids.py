"""New ids, by the type that ids have in the schema."""

import sys
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from watchword.crypto.tokens import new_token
from watchword.schema import FieldType

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

__all__ = ["NewId", "id_maker", "new_uuid"]

NewId: TypeAlias = Callable[[], str | None]
"""Makes an id; None leaves it to the database."""


def new_uuid() -> str:
    """Return a UUIDv7 (RFC 9562): later ones sort after earlier ones, so indexes stay dense."""
    return str(uuid7())


_MAKERS: Final[Mapping[FieldType, NewId]] = {
    "uuid": new_uuid,
    "string": new_token,
    "integer": lambda: None,
    "bigint": lambda: None,
}


def id_maker(id_type: FieldType) -> NewId:
    """Return what makes ids of this type."""
    return _MAKERS[id_type]
