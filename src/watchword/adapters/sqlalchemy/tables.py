"""From the resolved schema to SQLAlchemy's tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    false,
    literal,
    true,
)
from sqlalchemy.dialects.mysql import DATETIME, LONGBLOB, LONGTEXT
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from watchword.adapters.sqlalchemy.dialects import now_in_utc, text_collation
from watchword.schema import Field, FieldType, Model, Moment, Schema

__all__ = ["ModelTable", "Tables"]


class ExactText(TypeDecorator[str]):
    """Text that compares byte for byte, whatever the database's own collation is."""

    impl = Text
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the dialect's type, collated for exact comparison."""
        collation = text_collation(dialect)
        if self.length is not None:
            return dialect.type_descriptor(String(self.length, collation=collation))
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(LONGTEXT(collation=collation))
        return dialect.type_descriptor(Text(collation=collation))


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the microsecond."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return the dialect's type with the finest step."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write wall-clock time in UTC where the database knows no zones."""
        if value is None:
            return None
        instant = value.astimezone(UTC)
        return instant if dialect.name == "postgresql" else instant.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Read what was written: an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class InstantNow(FunctionElement[datetime]):
    """The database's clock, in UTC, as an `Instant` is stored."""

    type = Instant()
    inherit_cache = True


@compiles(InstantNow)
def _now(_element: InstantNow, compiler: SQLCompiler, **_options: Any) -> str:
    return now_in_utc(compiler.dialect)


_JSON: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# Kept as text on MySQL and MariaDB: the latter's own type sorts by parts of the UUID.
_UUID: Final = Uuid(as_uuid=False).with_variant(
    Uuid(as_uuid=False, native_uuid=False), "mysql", "mariadb"
)

_TYPES: Final[Mapping[FieldType, Callable[[Field], TypeEngine[Any]]]] = {
    "string": lambda field: ExactText(field.limit),
    "text": lambda _: ExactText(),
    "integer": lambda _: Integer(),
    # SQLite numbers rows by itself only in a column that is called INTEGER.
    "bigint": lambda _: BigInteger().with_variant(Integer(), "sqlite"),
    "boolean": lambda _: Boolean(),
    "datetime": lambda _: Instant(),
    "json": lambda _: _JSON,
    "strings": lambda _: _JSON,
    "uuid": lambda _: _UUID,
    "bytes": lambda _: LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb"),
}


@dataclass(frozen=True, slots=True)
class ModelTable:
    """A model beside its table; the columns are keyed by logical field names."""

    model: Model
    table: Table
    fields: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """Every column, in the order of `fields`."""
        return tuple(self.table.c)


class Tables:
    """All tables of a schema, and which unique key each constraint's name stands for."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.metadata = MetaData(schema=schema.naming.schema)
        self._tables = {name: self._table(model) for name, model in schema.models.items()}
        self.unique_keys = dict(self._named_unique_keys())

    def require(self, name: str) -> ModelTable:
        """Return a model's table.

        Raises:
            UnknownModel: The schema has none of this name.
        """
        return self._tables.get(name) or self._tables[self.schema.require_model(name).name]

    def _table(self, model: Model) -> ModelTable:
        naming = self.schema.naming
        table = Table(
            naming.table(model.name),
            self.metadata,
            *(self._column(model, name, field) for name, field in model.fields.items()),
            PrimaryKeyConstraint("id", name=naming.primary_key(model.name)),
            *self._uniques(model),
            *self._foreign_keys(model),
            # Otherwise SQLite gives the number of a deleted user, and with it whatever still
            # names that user, to the next one: https://www.sqlite.org/autoinc.html
            sqlite_autoincrement=model.fields["id"].generated,
            comment=model.comment,
            mysql_charset="utf8mb4",
            mysql_engine="InnoDB",
            mariadb_charset="utf8mb4",
            mariadb_engine="InnoDB",
        )
        for fields in _indexed(model):
            Index(naming.index(model.name, fields), *(table.c[name] for name in fields))
        return ModelTable(model, table, tuple(model.fields))

    def _column(self, model: Model, name: str, field: Field) -> Column[Any]:
        return Column(
            self.schema.naming.column(model.name, name),
            _TYPES[field.type](field),
            key=name,
            nullable=not field.required,
            autoincrement=field.generated,
            server_default=_server_default(field),
            comment=field.comment,
        )

    def _uniques(self, model: Model) -> list[UniqueConstraint]:
        naming = self.schema.naming
        return [
            UniqueConstraint(*fields, name=naming.unique(model.name, fields))
            for fields in model.unique_keys[1:]
        ]

    def _foreign_keys(self, model: Model) -> list[ForeignKeyConstraint]:
        naming = self.schema.naming
        prefix = f"{naming.schema}." if naming.schema else ""
        return [
            ForeignKeyConstraint(
                [name],
                [f"{prefix}{naming.table(target)}.id"],
                name=naming.foreign_key(model.name, name),
                ondelete=model.fields[name].on_delete.upper(),
            )
            for name, target in model.references.items()
        ]

    def _named_unique_keys(self) -> list[tuple[str, tuple[str, tuple[str, ...]]]]:
        naming = self.schema.naming
        return [
            *(
                (naming.unique(model.name, fields), (model.name, fields))
                for model in self.schema.models.values()
                for fields in model.unique_keys[1:]
            ),
            *(
                (naming.primary_key(model.name), (model.name, ("id",)))
                for model in self.schema.models.values()
            ),
        ]


def _server_default(field: Field) -> ColumnElement[Any] | None:
    """Return what the database writes for code that does not know the column."""
    match field.stored_default:
        case None:
            return None
        case Moment():
            return InstantNow()
        case bool(value):
            return true() if value else false()
        case value:
            return literal(value)


def _indexed(model: Model) -> list[tuple[str, ...]]:
    """Return what is indexed; a unique field has its index already."""
    single = [(name,) for name, it in model.fields.items() if it.index and not it.unique]
    return [*single, *(index.fields for index in model.indexes)]
