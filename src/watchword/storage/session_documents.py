"""All sessions of one user as one text: what of each is kept, and how it is read back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from watchword.crypto.tokens import digest
from watchword.errors import InvalidValue, StorageError
from watchword.schema import Field
from watchword.storage.contract import Record
from watchword.storage.entities import Session
from watchword.storage.json_types import Instant
from watchword.storage.values import accepted

__all__ = ["KeptSession", "Name", "hashed", "kept", "read", "written"]


class KeptSession(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session in the document of its user.

    JSON cannot tell an instant or bytes from a text, so what was added to sessions is sorted by
    its type: `instants`, `octets`, and all else in `plain`.

    Args:
        token: Its digest: whoever reads the document can sign in as nobody.
    """

    id: str
    token: str
    expires_at: Instant
    created_at: Instant
    updated_at: Instant
    ip_address: str | None
    user_agent: str | None
    plain: dict[str, Any] = {}
    instants: dict[str, Instant] = {}
    octets: dict[str, bytes] = {}

    def to_record(self) -> Record:
        """Return it as a row, without its user and with the token's digest."""
        own = {name: getattr(self, name) for name in _OWN}
        return {**self.plain, **self.instants, **self.octets, **own}

    def as_session(self, user_id: str, token: str | None = None) -> Session:
        """Return it for its holder, or for others with its handle, which is its id."""
        record = {**self.to_record(), "user_id": user_id}
        return Session.from_record(record, token=self.id if token is None else token)


_OWN: Final[Mapping[str, Field]] = {
    **dict.fromkeys(("id", "token"), Field("text")),
    **dict.fromkeys(("expires_at", "created_at", "updated_at"), Field("datetime")),
    **dict.fromkeys(("ip_address", "user_agent"), Field("text", required=False)),
}
_DOCUMENT: Final = msgspec.json.Decoder(list[KeptSession])


@dataclass(frozen=True, slots=True)
class Name:
    """What a session is called by: its token, or its handle."""

    text: str
    hashed: str

    @classmethod
    def of(cls, text: str) -> "Name":
        """Return it with the digest under which a token is kept."""
        return cls(text, hashed("token", text))

    def is_of(self, session: KeptSession) -> bool:
        """Tell whether it is this session that is called so."""
        return session.id == self.text or session.token == self.hashed


def hashed(field: str, text: str) -> str:
    """Return the digest of a token, an id or a user's id.

    Raises:
        InvalidValue: It is no text.
    """
    if not isinstance(text, str):
        raise InvalidValue("session", field, f"expected text, not {type(text).__name__}")
    return digest(text)


def kept(record: Mapping[str, Any]) -> KeptSession:
    """Return a row as it is kept; its token is a digest already.

    Raises:
        InvalidValue: Something of it is nothing that sessions have in a database either.
    """
    values = {
        name: accepted("session", name, _OWN.get(name) or _field_for(it), it)
        for name, it in record.items()
    }
    own = {name: values.pop(name) for name in _OWN}
    instants = {name: it for name, it in values.items() if isinstance(it, datetime)}
    octets = {name: it for name, it in values.items() if isinstance(it, bytes)}
    plain = {name: it for name, it in values.items() if not isinstance(it, datetime | bytes)}
    return KeptSession(**own, plain=plain, instants=instants, octets=octets)


def _field_for(value: Any) -> Field:
    match value:
        case datetime():
            return Field("datetime")
        case bytes():
            return Field("bytes")
        case str():
            return Field("text")
    return Field("json", required=False)


def read(text: str | None) -> list[KeptSession]:
    """Return the sessions of a document; none if there is no document.

    Raises:
        StorageError: It is something else.
    """
    if text is None:
        return []
    try:
        return _DOCUMENT.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StorageError("What is kept of a user's sessions cannot be read.") from error


def written(sessions: Iterable[KeptSession]) -> str:
    """Return the document of these sessions."""
    return msgspec.json.encode(list(sessions)).decode()
