"""What is written over personal values in rows that stay."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from secrets import randbelow
from typing import Any, Final

from watchword.crypto.tokens import new_token
from watchword.schema import Field, FieldType, Model
from watchword.storage.ids import new_uuid

__all__ = ["blanks_of", "needs_distinct_blanks"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Until 2038, as every kind of instant in a database can hold it.
_MILLISECONDS: Final = 1000 * (1 << 31)
_NOBODYS: Final[Mapping[FieldType, Callable[[], Any]]] = {
    "string": str,
    "text": str,
    "integer": int,
    "bigint": int,
    "boolean": bool,
    "datetime": lambda: _EPOCH,
    "json": dict,
    "uuid": new_uuid,
    "bytes": bytes,
    "strings": list,
}

# By the most characters there may be.
_ANYBODYS: Final[Mapping[FieldType, Callable[[int | None], Any]]] = {
    "string": lambda limit: new_token()[:limit],
    "text": lambda limit: new_token()[:limit],
    "integer": lambda _: randbelow(1 << 31),
    "bigint": lambda _: randbelow(1 << 31),
    "boolean": lambda _: bool(randbelow(2)),
    # To the millisecond, which every database keeps of an instant.
    "datetime": lambda _: _EPOCH + timedelta(milliseconds=randbelow(_MILLISECONDS)),
    "json": lambda _: {"": new_token()},
    "uuid": lambda _: new_uuid(),
    "bytes": lambda limit: new_token()[:limit].encode(),
    "strings": lambda _: [new_token()],
}


def needs_distinct_blanks(model: Model) -> bool:
    """Tell whether two rows may not be blanked alike."""
    return any(_is_distinct(model, name) for name in _personal(model))


def blanks_of(model: Model) -> dict[str, Any]:
    """Return what takes the place of personal values: null, or what says nothing.

    A value that no two rows share and that cannot be null becomes a random one.
    """
    return {name: _blank(model, name) for name in _personal(model)}


def _personal(model: Model) -> Collection[str]:
    # A reference that cannot be null has to lead somewhere; it is no text about anybody.
    return [
        name
        for name, it in model.fields.items()
        if it.pii and name != "id" and not (it.references and it.required)
    ]


def _blank(model: Model, name: str) -> Any:
    field = model.fields[name]
    if not field.required:
        return None
    return _random(field) if _is_distinct(model, name) else _NOBODYS[field.type]()


def _is_distinct(model: Model, name: str) -> bool:
    return model.fields[name].required and any(name in key for key in model.unique_keys)


def _random(field: Field) -> Any:
    return _ANYBODYS[field.type](field.limit)
