"""Verification rows that name a person: nothing but their text tells whose they are."""

import re
from collections.abc import Iterator, Sequence
from functools import partial, reduce
from operator import or_
from typing import Any, Final

import msgspec

from watchword.crypto.tokens import digest
from watchword.engine.personal_data.rows import matching
from watchword.schema import Model
from watchword.storage.contract import Record
from watchword.storage.query import F, Where
from watchword.storage.store import Store

__all__ = ["verifications_about"]

# A shorter id, such as a number, may be any part of a text by chance.
_TELLING: Final = 16
_BETWEEN_NAMES: Final = re.compile(r"[^\w.%+'@-]+")
_KEYS_OF_PEOPLE: Final = frozenset({"id", "sub", "user"})


async def verifications_about(store: Store, people: Sequence[Record]) -> list[Record]:
    """Return the verification rows whose identifier or value names one of some people.

    By their id or their address. There is no index for it, so the table is read.
    """
    model = store.schema.require_model("user")
    digests = [_digests(model, it) for it in people]
    condition = reduce(or_, map(_candidates, people, digests))
    return [
        row
        async for row in matching(store, "verification", condition)
        if any(map(partial(_is_about, row), people, digests))
    ]


def _candidates(person: Record, digests: Sequence[str]) -> Where:
    """Return a condition that all rows about a person keep, and hardly any other."""
    user_id, address = str(person["id"]), person["email"]
    spellings = {address, address.lower()}
    # As text in JSON, or as a number there.
    written = (
        [user_id] if _is_telling(user_id) else [f'"{user_id}"', f":{user_id}", f": {user_id}"]
    )
    parts = [F.value == user_id, F.identifier == user_id]
    parts += [F.value.contains(it) for it in (*written, *spellings)]
    parts += [F.identifier.contains(it) for it in spellings]
    if _is_telling(user_id):
        parts.append(F.identifier.contains(user_id))
    return reduce(or_, [*parts, *(F.identifier.ends_with(it) for it in digests)])


def _digests(model: Model, person: Record) -> tuple[str, ...]:
    """Return what stands for a value of the person's that is a token, as one they are sent.

    Of what nobody else can have alone: whoever calls themselves like another person's address,
    be it by a unique name, would be shown that person's links, and take them along.
    """
    unique = {key[0] for key in model.unique_keys if len(key) == 1}
    tokens = {str(person["id"]), person["email"], person["email"].lower()}
    tokens |= {
        it
        for name, it in person.items()
        if name in unique and isinstance(it, str) and "@" not in it
    }
    return tuple(digest(it) for it in sorted(tokens))


def _is_about(row: Record, person: Record, digests: tuple[str, ...]) -> bool:
    user_id, address = str(person["id"]), person["email"].lower()
    if row["identifier"].endswith(digests):
        return True
    return any(
        address in _BETWEEN_NAMES.split(text.lower())
        or (text == user_id and (_is_telling(user_id) or _is_key_of_people(key)))
        or (_is_telling(user_id) and user_id in _BETWEEN_NAMES.split(text))
        for field in ("identifier", "value")
        for key, text in _texts_of(row[field])
    )


def _is_telling(user_id: str) -> bool:
    return len(user_id) >= _TELLING


def _is_key_of_people(key: str) -> bool:
    plain = key.replace("_", "").lower()
    return plain in _KEYS_OF_PEOPLE or plain.endswith("userid")


def _texts_of(text: str) -> Iterator[tuple[str, str]]:
    """Go through the texts in a text, each with its key: those of its JSON, or itself."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):  # no JSON, or nested too deep for anybody
        value = None
    if isinstance(value, dict | list):
        yield from _leaves(value)
    else:
        yield "id", text


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    waiting = [("", value)]
    while waiting:  # without calls in calls, of which there can be too many
        key, inner = waiting.pop()
        match inner:
            case dict():
                yield from (("", name) for name in inner)
                waiting += inner.items()
            case list():
                waiting += [(key, it) for it in inner]
            case str() | int():
                yield key, str(inner)
