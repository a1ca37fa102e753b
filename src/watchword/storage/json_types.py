"""What values of fields are where they are written as JSON, and read back as what they were."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from watchword.schema import FieldType

__all__ = ["JSON_TYPES", "Instant"]

Instant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
JSON_TYPES: Final[Mapping[FieldType, Any]] = MappingProxyType(
    {
        "string": str,
        "text": str,
        "uuid": str,
        "integer": int,
        "bigint": int,
        "boolean": bool,
        "datetime": Instant,
        "json": Any,
        "bytes": bytes,
        "strings": list[str],
    }
)
