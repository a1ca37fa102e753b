"""Copies of a session with its user as they stand in a secondary storage: typed and signed."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from watchword.crypto.keys import derive_key
from watchword.crypto.tokens import equal
from watchword.schema import Model, Schema
from watchword.storage.contract import Record
from watchword.storage.json_types import JSON_TYPES, Instant

__all__ = ["Entries", "Entry"]

_PURPOSE: Final = "cached sessions"


@dataclass(frozen=True, slots=True)
class Entry:
    """A copy of a session.

    Args:
        version: Of its user, in force before the database was read.
        read_at: When that was, or a moment before.
        row: The session as the database has it, with its user.
    """

    version: str
    read_at: datetime
    row: Record


class Entries:
    """Writes copies, and reads those that this application has written.

    They are signed: whoever can write into the storage can sign nobody in.

    Args:
        schema: What sessions and users are.
        secrets: The current one first, then older ones that are still accepted.
        base_url: Of the instance.
    """

    def __init__(self, schema: Schema, secrets: Sequence[str], base_url: str) -> None:
        # One instance for the staff and one for the customers may share storage and secrets; the
        # token of a customer is to sign nobody in among the staff.
        names = schema.naming
        tables = [(names.schema_of(it), names.table(it)) for it in ("user", "session")]
        purpose = f"{_PURPOSE} of {json.dumps([base_url, tables])}"
        self._keys = [derive_key(it, purpose) for it in secrets]
        entry = msgspec.defstruct(
            "CachedSession",
            [
                ("version", str),
                ("read_at", Instant),
                ("session", _row_type(schema.require_model("session"))),
                ("user", _row_type(schema.require_model("user"))),
            ],
            frozen=True,
        )
        self._decoder = msgspec.json.Decoder(entry)

    def write(self, entry: Entry) -> str:
        """Return a copy as a text."""
        session = {name: it for name, it in entry.row.items() if name != "user"}
        parts = {"version": entry.version, "read_at": entry.read_at, "session": session}
        text = msgspec.json.encode({**parts, "user": entry.row["user"]}).decode()
        return f"{_signature(self._keys[0], text)}.{text}"

    def read(self, written: str | None) -> Entry | None:
        """Return a copy; None for all else, such as those of a release with other fields."""
        signature, _, text = (written or "").partition(".")
        if not any(equal(_signature(key, text), signature) for key in self._keys):
            return None
        try:
            found: Any = self._decoder.decode(text)
        except msgspec.DecodeError:
            return None
        session, user = map(msgspec.structs.asdict, (found.session, found.user))
        return Entry(found.version, found.read_at, {**session, "user": user})


def _row_type(model: Model) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any]] = [
        (name, JSON_TYPES[it.type] | None) for name, it in model.fields.items()
    ]
    return msgspec.defstruct(f"Cached{model.name.title()}", fields, frozen=True)


def _signature(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()
