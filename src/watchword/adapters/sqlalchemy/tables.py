"""From the resolved schema to SQLAlchemy's tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    BLANK_SCHEMA,
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
    literal,
)
from sqlalchemy.dialects.mysql import DATETIME, LONGBLOB, LONGTEXT
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import conv
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from watchword.adapters.sqlalchemy.dialects import is_mysql, now_in_utc, text_collation
from watchword.adapters.sqlalchemy.joined_metadata import SCHEMA_KEY, tables_present
from watchword.adapters.sqlalchemy.own_columns import OwnColumns
from watchword.adapters.sqlalchemy.own_types import stored_as
from watchword.adapters.sqlalchemy.shadows import shadow_of
from watchword.schema import Field, FieldType, Model, Moment, Schema

__all__ = ["ModelTable", "Tables", "column_type", "server_default"]


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
        if is_mysql(dialect):
            return dialect.type_descriptor(LONGTEXT(collation=collation))
        # As it is: some of PostgreSQL's drivers would have a VARCHAR without a length of it.
        return Text(collation=collation)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the microsecond."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return the dialect's type with the finest step."""
        if is_mysql(dialect):
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


class UuidText(Uuid[str]):
    """A UUID as text of MySQL and MariaDB.

    It says its collation, because a foreign key needs the same one at both ends: a column of
    the application's that takes its type from ours would otherwise have its database's.
    """

    COLLATION = "utf8mb4_bin"

    def __init__(self) -> None:
        super().__init__(as_uuid=False, native_uuid=False)


@compiles(UuidText)
def _uuid_text(_type: UuidText, _compiler: SQLCompiler, **_options: Any) -> str:
    return f"CHAR(32) COLLATE {UuidText.COLLATION}"


class InstantNow(FunctionElement[datetime]):
    """The database's clock, in UTC, as an `Instant` is stored."""

    type = Instant()
    inherit_cache = True


@compiles(InstantNow)
def _now(_element: InstantNow, compiler: SQLCompiler, **_options: Any) -> str:
    return now_in_utc(compiler.dialect)


class Truth(FunctionElement[bool]):
    """A boolean as the database itself writes it down: a number where it is kept as one."""

    type = Boolean()
    inherit_cache = False

    def __init__(self, *, value: bool) -> None:
        super().__init__()
        self.value = value


@compiles(Truth)
def _truth(element: Truth, compiler: SQLCompiler, **_options: Any) -> str:
    native = compiler.dialect.supports_native_boolean
    return str(element.value).lower() if native else str(int(element.value))


_JSON: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# Kept as text on MySQL and MariaDB: the latter's own type sorts by parts of the UUID.
_UUID: Final = Uuid(as_uuid=False).with_variant(UuidText(), "mysql", "mariadb")

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
        return tuple(self.table.c[name] for name in self.fields)


class Tables:
    """All tables of a schema, and which unique key each constraint's name stands for.

    Args:
        schema: The resolved schema.
        own: The columns of the table that the application has instead of one of ours.
        metadata: What our tables join; by default a new one, with nothing but them.
    """

    def __init__(
        self, schema: Schema, own: OwnColumns | None = None, *, metadata: MetaData | None = None
    ) -> None:
        self.schema = schema
        self.metadata = MetaData(schema=schema.naming.schema) if metadata is None else metadata
        self._own = own
        present = tables_present(self.metadata, schema)
        tables = present | {
            name: self._table(it) for name, it in schema.models.items() if name not in present
        }
        self._tables = {
            name: ModelTable(model, tables[name], tuple(model.fields))
            for name, model in schema.models.items()
        }
        for name, it in self._tables.items():
            if it.model.ours and name not in present:
                self._add_foreign_keys(it)
        self.unique_keys = dict(self._named_unique_keys())

    def require(self, name: str) -> ModelTable:
        """Return a model's table.

        Raises:
            UnknownModel: The schema has none of this name.
        """
        return self._tables.get(name) or self._tables[self.schema.require_model(name).name]

    def _table(self, model: Model) -> Table:
        # Names are marked as final: the application's metadata may have conventions of its own.
        naming = self.schema.naming
        if self._own is not None and not model.ours:
            return shadow_of(self._own, model, naming)
        table = Table(
            naming.table(model.name),
            # Apart from ours: nobody makes it from what is known here.
            self.metadata if model.ours else MetaData(),
            *(self._column(model, name, field) for name, field in model.fields.items()),
            PrimaryKeyConstraint("id", name=naming.primary_key(model.name)),
            *self._uniques(model),
            schema=naming.schema_of(model.name) or BLANK_SCHEMA,
            info={SCHEMA_KEY: self.schema},
            # Otherwise SQLite gives the number of a deleted user, and with it whatever still
            # names that user, to the next one: https://www.sqlite.org/autoinc.html
            sqlite_autoincrement=model.fields["id"].generated,
            comment=model.comment,
            mysql_charset="utf8mb4",
            mysql_engine="InnoDB",
            mariadb_charset="utf8mb4",
            mariadb_engine="InnoDB",
        )
        for fields in model.index_keys:
            Index(conv(naming.index(model.name, fields)), *(table.c[name] for name in fields))
        return table

    def _column(self, model: Model, name: str, field: Field) -> Column[Any]:
        return Column(
            self.schema.naming.column(model.name, name),
            self._column_type(field),
            key=name,
            nullable=not field.required,
            autoincrement=field.generated,
            server_default=server_default(field),
            comment=field.comment,
        )

    def _column_type(self, field: Field) -> TypeEngine[Any]:
        """Return the type of a column; what points at the application's key is of its type."""
        key = None if field.references is None else self._own_key(field.references)
        return column_type(field) if key is None else stored_as(field, key.type)

    def _own_key(self, model: str) -> Column[Any] | None:
        """Return the key of the application's own table; None if the model's table is ours."""
        if self._own is None or self.schema.models[model].ours:
            return None
        return self._own.require(self.schema.naming.column(model, "id"))

    def _uniques(self, model: Model) -> list[UniqueConstraint]:
        naming = self.schema.naming
        return [
            UniqueConstraint(*fields, name=conv(naming.unique(model.name, fields)))
            for fields in model.unique_keys[1:]
        ]

    def _add_foreign_keys(self, it: ModelTable) -> None:
        """Let the table point at others, which are all there by now."""
        for name, target in it.model.references.items():
            it.table.append_constraint(
                ForeignKeyConstraint(
                    [it.table.c[name]],
                    [self._target(target)],
                    name=conv(self.schema.naming.foreign_key(it.model.name, name)),
                    ondelete=it.model.fields[name].on_delete.upper(),
                )
            )

    def _target(self, model: str) -> Column[Any]:
        theirs = self._own_key(model)
        if theirs is not None and theirs.table.metadata is self.metadata:
            return theirs
        return self._tables[model].table.c.id

    def _named_unique_keys(self) -> list[tuple[str, tuple[str, tuple[str, ...]]]]:
        naming = self.schema.naming
        return [
            *self._own_unique_keys(),
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

    def _own_unique_keys(self) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
        if self._own is None:
            return
        for model in (it for it in self.schema.models.values() if not it.ours):
            column = partial(self.schema.naming.column, model.name)
            fields = {column(name): name for name in model.fields}
            for name, columns in self._own.named_unique_keys():
                yield name, (model.name, tuple(fields.get(it, it) for it in columns))


def column_type(field: Field) -> TypeEngine[Any]:
    """Return the type of a field's column."""
    return _TYPES[field.type](field)


def server_default(field: Field) -> ColumnElement[Any] | None:
    """Return what the database writes for code that does not know the column."""
    match field.stored_default:
        case None:
            return None
        case Moment():
            return InstantNow()
        case bool(value):
            return Truth(value=value)
        case value:
            return literal(value)
