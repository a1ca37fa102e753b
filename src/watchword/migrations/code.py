"""From calls to Python source: what a revision of Alembic's holds."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from watchword.migrations.calls import (
    Backfill,
    Batch,
    Call,
    DefaultOf,
    PrimaryKeyOf,
    RenameKey,
    Step,
    TypeOf,
    UniqueOf,
)
from watchword.migrations.source import INDENT, Bracketed, Source, literal
from watchword.schema.snapshot import ColumnState, Reference

__all__ = ["HELPERS", "body_of"]

HELPERS: Final[Mapping[str, str]] = {
    "exact": '''
def exact(length: int | None = None) -> sa.String:
    """Text that compares byte for byte, whatever the database's own collation is."""
    dialect = op.get_context().dialect
    if dialect.name == "postgresql":
        return sa.String(length, collation="C") if length else sa.Text(collation="C")
    if dialect.name in ("mysql", "mariadb"):
        collation = "utf8mb4_nopad_bin" if dialect.is_mariadb else "utf8mb4_0900_bin"
        if length is None:
            return mysql.LONGTEXT(collation=collation)
        return sa.String(length, collation=collation)
    return sa.String(length) if length else sa.Text()
''',
    "instant": '''
def instant() -> sa.DateTime:
    """An instant to the microsecond; in UTC where the database knows no zones."""
    if op.get_context().dialect.name in ("mysql", "mariadb"):
        return mysql.DATETIME(fsp=6)
    return sa.DateTime(timezone=True)
''',
    "now": '''
def now() -> sa.TextClause:
    """The database's clock, in UTC."""
    if op.get_context().dialect.name in ("mysql", "mariadb"):
        return sa.text("(UTC_TIMESTAMP(6))")
    return sa.text("CURRENT_TIMESTAMP")
''',
    "uuid": '''
def uuid() -> sa.types.TypeEngine[str]:
    """A UUID, as 32 characters where the database has no such type."""
    dialect = op.get_context().dialect
    if dialect.name in ("mysql", "mariadb"):
        return mysql.CHAR(32, collation="utf8mb4_bin")
    return sa.Uuid() if dialect.name == "postgresql" else sa.CHAR(32)
''',
    "rename_key": '''
def rename_key(name: str, becomes: str, schema: str | None = None) -> None:
    """Rename a primary key on PostgreSQL, where another table's may need the name."""
    if op.get_context().dialect.name == "postgresql":
        quote = op.get_context().dialect.identifier_preparer.quote
        there = ".".join(quote(it) for it in (schema, name) if it)
        sql = f"ALTER INDEX IF EXISTS {there} RENAME TO {quote(becomes)}"
        op.execute(sa.text(sql.replace(":", "\\\\:")))
''',
    "last_number": '''
def last_number(table: str) -> int | None:
    """The last number that SQLite gave to a row, which it forgets with the table."""
    if op.get_context().dialect.name != "sqlite" or op.get_context().as_sql:
        return None
    if not sa.inspect(op.get_bind()).has_table("sqlite_sequence"):
        return None
    query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return op.get_bind().scalar(query, {"name": table})
''',
    "count_on": '''
def count_on(table: str, last: int | None) -> None:
    """Give no number twice: what still names a row that is gone would name another."""
    if last is None:
        return
    sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    op.execute(sa.delete(sequence).where(sequence.c.name == table))
    op.execute(sa.insert(sequence).values(name=table, seq=last))
''',
    "as_written": '''
def as_written() -> dict[str, list[object]]:
    """Let a default with a colon stay what it is where SQLite makes a table anew."""

    def escape(_inspector: object, _table: object, column: dict[str, str | None]) -> None:
        if column["default"]:
            column["default"] = column["default"].replace(":", "\\\\:")

    return {"listeners": [("column_reflect", escape)]}
''',
    "keep_rows": '''
def keep_rows() -> None:
    """Let SQLite make a table anew without deleting what points at its rows."""
    if op.get_context().dialect.name != "sqlite" or op.get_context().as_sql:
        return
    op.execute("PRAGMA foreign_keys = OFF")
    if op.get_bind().scalar(sa.text("PRAGMA foreign_keys")):
        raise RuntimeError("Switch foreign keys off in env.py before the transaction begins.")
''',
}
"""Functions that a revision may need, by name."""

_TYPES: Final = {
    "integer": "sa.Integer()",
    "boolean": "sa.Boolean()",
    "datetime": "instant()",
    "uuid": "uuid()",
    "text": "exact()",
    "bigint": 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")',
    "json": 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")',
    "bytes": 'sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")',
}
_PLAIN: Final = {"bigint": "sa.BigInteger()", "uuid": "sa.Uuid()"}


def body_of(steps: Iterable[Step], schema: str | None) -> str:
    """Return the lines of a function that makes the calls."""
    lines = [line for step in steps for line in _lines(step, schema)]
    return "\n".join(lines) if lines else f"{INDENT}pass"


def _lines(step: Step, schema: str | None) -> Iterator[str]:
    match step:
        case Call():
            yield from _call("op", step, schema).lines(INDENT)
        case Backfill(table, column):
            yield from _backfill(table, column, schema)
        case RenameKey(name, becomes):
            place = {"schema": literal(schema)} if schema else {}
            made = Bracketed("rename_key", [literal(name), literal(becomes)], place)
            yield from made.lines(INDENT)
        case Batch():
            yield from _batch(step, schema)


def _call(target: str, call: Call, schema: str | None) -> Bracketed:
    return Bracketed(
        f"{target}.{call.name}",
        [_source(it, schema) for it in call.arguments],
        {key: _source(it, schema) for key, it in call.options.items()},
    )


def _batch(batch: Batch, schema: str | None) -> Iterator[str]:
    options: dict[str, Source] = {"schema": literal(schema)} if schema else {}
    if batch.numbers_rows:
        options["table_kwargs"] = '{"sqlite_autoincrement": True}'
    if batch.has_colons:
        options["reflect_kwargs"] = "as_written()"
    opened = Bracketed("op.batch_alter_table", [literal(batch.table)], options)
    if batch.numbers_rows:
        yield f"{INDENT}last = last_number({literal(batch.table)})"
    yield from opened.lines(INDENT, "with ", " as batch:")
    for call in batch.calls:
        yield from _call("batch", call, schema).lines(INDENT * 2)
    if batch.numbers_rows:
        yield f"{INDENT}count_on({literal(batch.table)}, last)"


def _backfill(table: str, column: ColumnState, schema: str | None) -> Iterator[str]:
    name = str(literal(column.name))
    place = {"schema": literal(schema)} if schema else {}
    filled = Bracketed("sa.column", [name, _type(column)])
    rows = Bracketed("sa.table", [literal(table), filled], place)
    given = Bracketed("", (), {name: _value(column)}, brackets="{}", sign=": ")
    yield from rows.lines(INDENT, "rows = ")
    yield f"{INDENT}empty = rows.c[{name}].is_(None)"
    yield from given.lines(INDENT, "given = ")
    yield f"{INDENT}op.execute(sa.update(rows).where(empty).values(given))"


def _value(column: ColumnState) -> Source:
    match column.default:
        case bool(value):
            return f"sa.{value}()".lower()
        case {"moment": "now"}:
            return "now()"
        case value:
            return literal(value)


# --- arguments ---------------------------------------------------------------------------------


def _source(value: Any, schema: str | None) -> Source:
    match value:
        case ColumnState():
            return _column(value)
        case TypeOf(column):
            return _type(column)
        case DefaultOf(default):
            return _default(default)
        case PrimaryKeyOf(name, columns):
            return _constraint("sa.PrimaryKeyConstraint", columns, name)
        case UniqueOf(key):
            return _constraint("sa.UniqueConstraint", key.columns, key.name)
    return _reference(value, schema) if isinstance(value, Reference) else literal(value)


def _constraint(kind: str, columns: Iterable[str], name: str) -> Bracketed:
    return Bracketed(kind, [*map(literal, columns)], {"name": literal(name)})


def _column(column: ColumnState) -> Bracketed:
    keywords: dict[str, Source] = {"nullable": str(column.nullable)}
    if column.generated:
        keywords["autoincrement"] = "True"
    if column.default is not None:
        keywords["server_default"] = _default(column.default)
    if column.comment is not None:
        keywords["comment"] = literal(column.comment)
    return Bracketed("sa.Column", [literal(column.name), _type(column)], keywords)


def _type(column: ColumnState) -> str:
    if column.borrowed:  # as the application's own key is most often declared
        return {**_TYPES, "string": f"sa.String({column.length})", **_PLAIN}[column.type]
    if column.type == "string":
        return f"exact({column.length})"
    return _TYPES[column.type]


def _default(default: Any) -> Source:
    match default:
        case None:
            return "None"
        case {"moment": "now"}:
            return "now()"
        case bool(value):
            return f"sa.{value}()".lower()
        case int(value):
            return f'sa.text("{value}")'
    return Bracketed("sa.literal", [literal(default)])


def _reference(reference: Reference, schema: str | None) -> Bracketed:
    return Bracketed(
        "sa.ForeignKeyConstraint",
        [literal([reference.column]), literal([reference.pointed_at(schema)])],
        {"name": literal(reference.name), "ondelete": literal(reference.on_delete.upper())},
    )
