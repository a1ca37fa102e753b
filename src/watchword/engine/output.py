"""From what endpoints return to what clients see: returned fields alone, by their wire names."""

from typing import Any

import msgspec

from watchword.http.bodies import UNSET
from watchword.schema import Schema, camel_case
from watchword.storage.entities import Session, User

__all__ = ["Output"]


class Output:
    """Knows which fields of which model are returned."""

    def __init__(self, schema: Schema) -> None:
        self._user = _Shown(schema, "user", User)
        self._session = _Shown(schema, "session", Session)

    def user(self, user: User) -> dict[str, Any]:
        """Return a user as clients see them."""
        return self._user.of(user)

    def session(self, session: Session) -> dict[str, Any]:
        """Return a session as its user sees it."""
        return self._session.of(session)

    def render(self, value: Any) -> Any:
        """Return a value with every user, session and answer in it as clients see them."""
        match value:
            case User():
                return self.user(value)
            case Session():
                return self.session(value)
            case msgspec.Struct():
                return self._struct(value)
            case dict():
                return {key: self.render(it) for key, it in value.items()}
            case list() | tuple():
                return [self.render(it) for it in value]
        return value

    def _struct(self, value: msgspec.Struct) -> dict[str, Any]:
        fields = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        found = ((wire, getattr(value, name)) for name, wire in fields)
        return {wire: self.render(it) for wire, it in found if it is not UNSET}


class _Shown:
    """The returned fields of one model."""

    def __init__(self, schema: Schema, model: str, entity: type[msgspec.Struct]) -> None:
        returned = [
            (name, camel_case(name))
            for name, it in schema.require_model(model).fields.items()
            if it.returned
        ]
        own = entity.__struct_fields__
        self._own = tuple((name, wire) for name, wire in returned if name in own)
        self._extra = tuple((name, wire) for name, wire in returned if name not in own)

    def of(self, entity: User | Session) -> dict[str, Any]:
        shown = {wire: getattr(entity, name) for name, wire in self._own}
        extra = entity.extra
        return shown | {wire: extra.get(name) for name, wire in self._extra}
