"""From stored rows to what clients see: returned fields alone, under their wire names."""

from typing import Any

from watchword.schema import Schema, camel_case
from watchword.storage.contract import Record

__all__ = ["Output"]


class Output:
    """Knows which fields of which model are returned."""

    def __init__(self, schema: Schema) -> None:
        self._returned = {
            model.name: tuple(
                (name, camel_case(name)) for name, it in model.fields.items() if it.returned
            )
            for model in schema.models.values()
        }

    def user(self, row: Record) -> dict[str, Any]:
        """Return a user as clients see them."""
        return {wire: row[name] for name, wire in self._returned["user"]} | {"id": str(row["id"])}

    def session(self, row: Record, token: str) -> dict[str, Any]:
        """Return a session as its own holder sees it, with the token that only they have."""
        shown = {wire: row[name] for name, wire in self._returned["session"]}
        return shown | {
            "id": str(row["id"]),
            "userId": str(row["user_id"]),
            "token": token,
        }
