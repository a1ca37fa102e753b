"""The types of the application's own columns, read and written as our fields are."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    Uuid,
    type_coerce,
)
from sqlalchemy.dialects.mysql import TINYINT
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from watchword.adapters.sqlalchemy.dialects import text_collation
from watchword.schema import Field, FieldType
from watchword.schema.fields import STRING_CHARACTERS, TEXT_CHARACTERS

__all__ = [
    "TheirText",
    "as_kept",
    "can_keep",
    "exactly",
    "field_type_of",
    "key_type_of",
    "length_of",
    "stored_as",
    "undecorated",
]

_UUID_CHARACTERS: Final = 36
_KEEPING: Final[Mapping[FieldType, tuple[type[TypeEngine[Any]], ...]]] = {
    "string": (String,),
    "text": (String,),
    "integer": (Integer,),
    "bigint": (Integer,),
    "boolean": (Boolean,),
    "datetime": (DateTime,),
    "json": (JSON,),
    "strings": (JSON, ARRAY),
    "uuid": (Uuid, String),
    "bytes": (LargeBinary,),
}

# The narrower before the wider.
_FIELD_TYPES: Final[Sequence[tuple[type[TypeEngine[Any]], FieldType]]] = (
    (Boolean, "boolean"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (Uuid, "uuid"),
    (Text, "text"),
    (String, "string"),
    (DateTime, "datetime"),
    (JSON, "json"),
    (LargeBinary, "bytes"),
)
_KEY_TYPES: Final[Mapping[FieldType | None, FieldType]] = {
    "integer": "integer",
    "bigint": "bigint",
    "string": "string",
    "text": "string",
}


# --- what a column can keep ----------------------------------------------------------------


def can_keep(field: Field, kind: TypeEngine[Any]) -> bool:
    """Tell whether a column of this type keeps the field's values."""
    plain = undecorated(kind)
    if isinstance(plain, Enum):
        return False
    if field.type == "boolean" and _is_mysql_boolean(plain):
        return True
    if field.type == "uuid" and isinstance(plain, String):
        return (plain.length or _UUID_CHARACTERS) >= _UUID_CHARACTERS
    return isinstance(plain, _KEEPING[field.type])


def field_type_of(kind: TypeEngine[Any]) -> FieldType | None:
    """Return the type of a field for a column that nobody asked for; None if there is none."""
    if isinstance(kind, TypeDecorator | Enum):
        return None
    if _is_mysql_boolean(kind):
        return "boolean"
    if isinstance(kind, String) and (kind.length or TEXT_CHARACTERS) > STRING_CHARACTERS:
        return "text"
    return next((name for theirs, name in _FIELD_TYPES if isinstance(kind, theirs)), None)


def key_type_of(kind: TypeEngine[Any]) -> FieldType | None:
    """Return what ids are in a column of this type; None if it can hold none."""
    plain = undecorated(kind)
    if isinstance(plain, Enum | Boolean):
        return None
    if isinstance(plain, Uuid) or _is_read_as_uuid(kind):
        return "uuid"
    return _KEY_TYPES.get(field_type_of(plain))


def length_of(kind: TypeEngine[Any]) -> int | None:
    """Return how many characters fit into a column; None if it is not about characters."""
    plain = undecorated(kind)
    return plain.length if isinstance(plain, String | LargeBinary) else None


def undecorated(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return what a type of the application's own making is kept as."""
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return kind


def _is_read_as_uuid(kind: TypeEngine[Any]) -> bool:
    try:
        return kind.python_type is UUID
    except NotImplementedError:
        return False


def _is_mysql_boolean(kind: TypeEngine[Any]) -> bool:
    """Tell whether this is how MySQL and MariaDB say BOOLEAN when a table is reflected."""
    return isinstance(kind, TINYINT) and kind.display_width == 1


# --- how its values are read and written -----------------------------------------------------


def stored_as(field: Field, kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type by which we read and write a column of theirs."""
    match field.type:
        case "string" | "text":
            return TheirText(kind)
        case "datetime":
            return TheirInstant(kind)
        case "uuid":
            return TheirUuid(kind)
        case "boolean" if not isinstance(kind, TypeDecorator):
            return Boolean()
    return kind


class _Theirs(TypeDecorator[Any]):
    """A type of theirs, which knows how the database keeps it."""

    impl = String
    cache_ok = True  # said again by each subclass: it is not inherited

    def __init__(self, theirs: TypeEngine[Any]) -> None:
        super().__init__()
        self.theirs = theirs
        self.impl = theirs  # type: ignore[assignment]  # an instance, as there is by now


class TheirText(_Theirs):
    """Text in their column, whatever it calls equal; `exactly` compares it byte for byte."""

    cache_ok = True


class TheirInstant(_Theirs):
    """An aware datetime in UTC, also where their column knows no zones."""

    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write wall-clock time in UTC where the column knows no zones."""
        if value is None or value.tzinfo is None:  # naive ones are of their own defaults alone
            return value
        instant = value.astimezone(UTC)
        return instant if self._knows_zones(dialect) else instant.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Read an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def _knows_zones(self, dialect: Dialect) -> bool:
        if isinstance(self.theirs, TypeDecorator):
            return True  # it does what there is to do
        kind = self.theirs.dialect_impl(dialect)
        return dialect.name == "postgresql" and bool(getattr(kind, "timezone", False))


class TheirUuid(_Theirs):
    """A UUID as text for us, as whatever their type takes for them."""

    cache_ok = True

    def process_bind_param(self, value: str | UUID | None, _dialect: Dialect) -> Any:
        """Write what their type takes."""
        if value is None or not self._takes_uuids:
            return None if value is None else str(value)
        return UUID(str(value))

    def process_result_value(self, value: Any, _dialect: Dialect) -> str | None:
        """Read text."""
        return None if value is None else str(value)

    @property
    def _takes_uuids(self) -> bool:
        return _is_read_as_uuid(self.theirs)


# --- exact comparison ------------------------------------------------------------------------


def exactly(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return text of theirs so that it is equal only to itself; anything else as it is.

    By MariaDB's and MySQL's usual collations jose@ would be found as josé@.
    """
    return Exact(column) if isinstance(column.type, TheirText) else column


def as_kept(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a text of theirs so that it is compared with parts of what the database keeps.

    Their type is for whole values: it may refuse a part, or make something else of it.
    """
    return type_coerce(column, String()) if isinstance(column, Exact) else column


class Exact(FunctionElement[str]):
    """A text that compares byte for byte, whatever its column's collation is."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[str]) -> None:
        super().__init__(column)
        # What it is compared with is written as the column is, encrypted for one.
        self.type = column.type


@compiles(Exact)
def _exact(element: Exact, compiler: SQLCompiler, **options: Any) -> str:
    return f'CAST({compiler.process(element.clauses, **options)} AS TEXT) COLLATE "C"'


@compiles(Exact, "sqlite")
def _exact_on_sqlite(element: Exact, compiler: SQLCompiler, **options: Any) -> str:
    return f"{compiler.process(element.clauses, **options)} COLLATE BINARY"


@compiles(Exact, "mysql", "mariadb")
def _exact_on_mysql(element: Exact, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"CONVERT({text} USING utf8mb4) COLLATE {text_collation(compiler.dialect)}"
