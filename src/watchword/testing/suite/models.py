"""The models that the suite stores: every type, key and reference, beside the core's."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from watchword.schema import (
    CORE_MODELS,
    Field,
    IdType,
    Index,
    Model,
    Naming,
    OwnTable,
    Schema,
    Unique,
    resolve_schema,
)
from watchword.schema.fields import INDEXED_CHARACTERS

__all__ = ["SAMPLES", "SUITE_SCHEMA", "suite_schema"]

# One field of each type; most of the names are reserved words of one database or another.
SPECIMEN: Final = Model(
    "specimen",
    {
        "string": Field("string", required=False, index=True),
        "text": Field("text", required=False),
        "integer": Field("integer", required=False, index=True),
        "bigint": Field("bigint", required=False),
        "boolean": Field("boolean", required=False),
        "datetime": Field("datetime", required=False, index=True),
        "json": Field("json", required=False),
        "uuid": Field("uuid", required=False, index=True),
        "bytes": Field("bytes", required=False),
        "strings": Field("strings", required=False),
    },
    indexes=(Index("string", "integer"),),
)
TICKET: Final = Model(
    "ticket",
    {
        "code": Field("string", unique=True),
        "holder": Field("string", required=False),
        "uses": Field("integer", required=False),
        "total": Field("bigint", required=False),
    },
)
SEAT: Final = Model(
    "seat",
    {
        "room": Field("string"),
        "number": Field("integer", required=False),
        "guest": Field("string", required=False),
    },
    uniques=(Unique("room", "number"),),
)
SIGNATURE: Final = Model(
    "signature", {"mark": Field("string", unique=True, max_length=INDEXED_CHARACTERS)}
)
AUTHOR: Final = Model("author", {"name": Field("string")})
BOOK: Final = Model(
    "book",
    {
        "title": Field("string"),
        "author_id": Field.reference("author"),
        "editor_id": Field.reference("author", required=False, on_delete="set null"),
    },
)
CHAPTER: Final = Model("chapter", {"title": Field("string"), "book_id": Field.reference("book")})
NOTE: Final = Model(
    "note",
    {
        "text": Field("text", required=False),
        "author_id": Field.reference("author", required=False, on_delete="set null"),
    },
)
CONTRACT: Final = Model("contract", {"author_id": Field.reference("author", on_delete="restrict")})

_MODELS: Final = (
    SPECIMEN,
    TICKET,
    SEAT,
    SIGNATURE,
    AUTHOR,
    BOOK,
    CHAPTER,
    NOTE,
    CONTRACT,
)


def suite_schema(
    ids: IdType = "uuid", naming: Naming | None = None, own: Sequence[OwnTable] = ()
) -> Schema:
    """Return the suite's schema with ids of one type, and with tables of an application's."""
    return resolve_schema([*CORE_MODELS, *_MODELS], ids=ids, naming=naming, own=own)


SUITE_SCHEMA: Final = suite_schema()

_LONG_AGO: Final = datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
_STAMPS: Final = {"created_at": _LONG_AGO, "updated_at": _LONG_AGO}

SAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "ticket": {"code": "one"},
    "seat": {"room": "hall"},
    "author": {"name": "Ada"},
    "book": {"title": "Notes"},
    "chapter": {"title": "Note G"},
    "user": {"name": "Ada", "email": "ada@example.org", "email_verified": False, **_STAMPS},
    "session": {"token": "digest", "expires_at": _LONG_AGO, **_STAMPS},
    "account": {"account_id": "ada", "provider_id": "credential", **_STAMPS},
    "verification": {
        "identifier": "digest",
        "value": "ada@example.org",
        "expires_at": _LONG_AGO,
        **_STAMPS,
    },
}
"""What a test need not say about a row."""
