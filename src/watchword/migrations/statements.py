"""From changes to the SQL that makes them; what is printed is what is run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from alembic.migration import MigrationContext
from alembic.operations import BatchOperations, Operations
from sqlalchemy import (
    Connection,
    Dialect,
    Integer,
    String,
    column,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy import table as table_clause
from sqlalchemy.sql.expression import Executable

from watchword.migrations.calls import Backfill, Batch, Call, RenameKey, Step, steps_of
from watchword.migrations.changes import (
    AddIndex,
    AddReference,
    AddUnique,
    Change,
    ChangeColumn,
    DropIndex,
    DropUnique,
)
from watchword.migrations.columns import built, constant_of, table_of
from watchword.migrations.live import LeftOver
from watchword.schema.snapshot import ColumnState, Snapshot, TableState

__all__ = ["BATCH", "Statement", "run_steps", "statements_of", "tidying"]

BATCH: Final = 5000
"""How many rows get a value at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement.

    Args:
        sql: As the database gets it.
        change: What it is a part of; None if it is about none.
        repeats: It changes some rows at a time, and is repeated until none is left.
        is_patient: It takes long and locks nothing that others need.
        undo: Removes what it, or what came before it, leaves behind when it fails.
    """

    sql: str
    change: Change | None = None
    repeats: bool = False
    is_patient: bool = False
    undo: "Statement | None" = None


def statements_of(
    changes: Iterable[Change], wanted: Snapshot, dialect: Dialect
) -> list[Statement]:
    """Return the statements for a database that commits each by itself."""
    writer = _Writer(wanted, dialect)
    online = _ONLINE if dialect.name == "postgresql" else {}
    found: list[Statement] = []
    for change in changes:
        write = online.get(type(change), _Writer.plainly)
        found += write(writer, change)
    return found


class _Writer:
    """Writes statements for one database.

    Args:
        wanted: What is to be.
        dialect: Of the database.
    """

    def __init__(self, wanted: Snapshot, dialect: Dialect) -> None:
        self._wanted = wanted
        self._dialect = dialect
        self._quote = dialect.identifier_preparer.quote

    def plainly(self, change: Change) -> Iterator[Statement]:
        """Say it as the database does it by itself."""
        for step in steps_of([change], schema=self._wanted.schema, tables=self._wanted.tables):
            if isinstance(step, Backfill):
                yield self._backfill(change, step.column)
            elif isinstance(step, RenameKey):
                yield from self._renamed(change, step)
            else:
                yield from self._sql(change, step)

    def _sql(self, change: Change, step: Call | Batch) -> Iterator[Statement]:
        written = _Written()
        context = MigrationContext.configure(
            dialect=self._dialect, opts={"as_sql": True, "output_buffer": written}
        )
        _call(Operations(context), step, self._wanted.schema)
        yield from (Statement(sql=it, change=change) for it in written.statements)

    def _renamed(self, change: Change, key: RenameKey) -> Iterator[Statement]:
        if self._dialect.name == "postgresql":
            name, becomes = self._table(key.name), self._quote(key.becomes)
            sql = f"ALTER INDEX IF EXISTS {name} RENAME TO {becomes}"
            yield Statement(sql=sql, change=change)

    def _backfill(self, change: Change, column: ColumnState) -> Statement:
        statement = _filling(self._state(change), column, self._wanted.schema, self._dialect)
        return Statement(sql=self._compiled(statement), change=change, repeats=True)

    def _compiled(self, statement: Any) -> str:
        compiled = statement.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True})
        return " ".join(str(compiled).split())

    def _state(self, change: Change) -> TableState:
        return self._wanted.tables[str(change.table)]

    # --- PostgreSQL, with people at work: no lock is held while a table is read --------------

    def index(self, change: AddIndex | AddUnique) -> Iterator[Statement]:
        """Build an index beside those who write."""
        unique = "UNIQUE " if isinstance(change, AddUnique) else ""
        columns = ", ".join(map(self._quote, change.key.columns))
        name, table = self._quote(change.key.name), self._table(change.table)
        yield Statement(
            sql=f"CREATE {unique}INDEX CONCURRENTLY {name} ON {table} ({columns})",
            change=change,
            is_patient=True,
            # An invalid index still refuses rows, and the name is taken.
            undo=self._dropped(change.key.name, change),
        )
        if unique:
            yield self._altering(change, f"ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")

    def drop_index(self, change: DropIndex) -> Iterator[Statement]:
        """Remove an index beside those who read."""
        yield self._dropped(change.key.name, change)

    def drop_unique(self, change: DropUnique) -> Iterator[Statement]:
        """Remove a constraint; or the index alone, if somebody did not come further."""
        name = self._quote(change.key.name)
        yield self._altering(change, f"DROP CONSTRAINT IF EXISTS {name}")
        yield self._dropped(change.key.name, change)

    def reference(self, change: AddReference) -> Iterator[Statement]:
        """Hold new rows to a reference first, and look at the old ones then."""
        it = change.reference
        name, place = self._quote(it.name), it.place(self._wanted.schema)
        target = ".".join(self._quote(part) for part in (place, it.table) if part)
        yield self._altering(
            change,
            f"ADD CONSTRAINT {name} FOREIGN KEY({self._quote(it.column)}) REFERENCES "
            f"{target} ({self._quote(it.target)}) ON DELETE {it.on_delete.upper()} NOT VALID",
        )
        yield self._validating(change, name)

    def column(self, change: ChangeColumn) -> Iterator[Statement]:
        """Change a column; one that becomes required is looked through without a lock."""
        if not change.becomes_required:
            yield from self.plainly(change)
            return
        before = change.before
        relaxed = ColumnState(**{**_fields(change.column), "nullable": True})
        if change.changes_type or change.changes_default:
            yield from self.plainly(ChangeColumn(change.table, before, relaxed))
        check = self._quote(_check_name(change))
        column = self._quote(change.column.name)
        fill = [] if change.column.default is None else [self._backfill(change, change.column)]
        yield from fill
        yield self._altering(
            change, f"ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"
        )
        yield from fill  # who wrote a null meanwhile
        yield self._validating(change, check)
        yield self._altering(change, f"ALTER COLUMN {column} SET NOT NULL")
        yield self._altering(change, f"DROP CONSTRAINT {check}")

    def tidy(self, it: LeftOver) -> Statement:
        """Remove what was begun."""
        if it.is_index:
            return self._dropped(it.name, None)
        sql = f"ALTER TABLE {self._table(it.table)} DROP CONSTRAINT {self._quote(it.name)}"
        return Statement(sql=sql)

    def _dropped(self, index: str, change: Change | None) -> Statement:
        name = self._table(index)  # in the database schema of its table
        return Statement(
            sql=f"DROP INDEX CONCURRENTLY IF EXISTS {name}", change=change, is_patient=True
        )

    def _validating(self, change: Change, constraint: str) -> Statement:
        """Look through the rows; what does not hold for them must not refuse new ones."""
        sql = f"ALTER TABLE {self._table(change.table)} VALIDATE CONSTRAINT {constraint}"
        undo = self._altering(change, f"DROP CONSTRAINT {constraint}")
        return Statement(sql=sql, change=change, is_patient=True, undo=undo)

    def _altering(self, change: Change, what: str) -> Statement:
        return Statement(sql=f"ALTER TABLE {self._table(change.table)} {what}", change=change)

    def _table(self, name: str) -> str:
        schema = self._wanted.schema
        return f"{self._quote(schema)}.{self._quote(name)}" if schema else self._quote(name)


_ONLINE: Final[Mapping[type[Any], Any]] = {
    AddIndex: _Writer.index,
    AddUnique: _Writer.index,
    DropIndex: _Writer.drop_index,
    DropUnique: _Writer.drop_unique,
    AddReference: _Writer.reference,
    ChangeColumn: _Writer.column,
}


def tidying(
    left_over: Sequence[LeftOver], wanted: Snapshot, recorded: Snapshot, dialect: Dialect
) -> list[Statement]:
    """Return what removes that which somebody began and did not finish; of ours alone."""
    tables = (*wanted.tables.values(), *recorded.tables.values())
    ours = {name for table in tables for name in table.key_names}
    writer = _Writer(wanted, dialect)
    return [writer.tidy(it) for it in left_over if it.name in ours or _is_check(it.name)]


def _check_name(change: ChangeColumn) -> str:
    digest = sha256(f"{change.table}.{change.column.name}".encode()).hexdigest()[:16]
    return f"watchword_{digest}_not_null"


def _is_check(name: str) -> bool:
    return name.startswith("watchword_") and name.endswith("_not_null")


def _fields(column: ColumnState) -> dict[str, Any]:
    return {name: getattr(column, name) for name in ColumnState.__dataclass_fields__}


# --- rows that have no value yet -------------------------------------------------------------


def _filling(
    state: TableState, column: ColumnState, schema: str | None, dialect: Dialect
) -> Executable:
    """Give some rows without a value the default."""
    table = table_of(state, schema)
    empty = table.c[column.name].is_(None)
    statement = update(table).values({column.name: constant_of(column)})
    if dialect.name in {"mysql", "mariadb"}:
        return statement.where(empty).with_dialect_options(mysql_limit=BATCH, mariadb_limit=BATCH)
    key = next(it.name for it in state.columns.values() if it.field == "id")
    some = select(table.c[key]).where(empty).limit(BATCH)
    return statement.where(table.c[key].in_(some))


# --- calls -----------------------------------------------------------------------------------


class _Written:
    """Takes down each statement that Alembic writes."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def write(self, text: str) -> None:
        """Take down one, without its end."""
        sql = text.strip().removesuffix(";").strip()
        if sql and not sql.startswith("--"):
            self.statements.append(sql)

    def flush(self) -> None:
        """Keep nothing back."""


def run_steps(connection: Connection, steps: Iterable[Step], wanted: Snapshot) -> None:
    """Make changes inside the transaction that is open; for SQLite."""
    operations = Operations(MigrationContext.configure(connection))
    for step in steps:
        if isinstance(step, Backfill):
            state = wanted.tables[step.table]
            table = table_of(state, wanted.schema)
            empty = table.c[step.column.name].is_(None)
            given = {step.column.name: constant_of(step.column)}
            _execute(connection, update(table).where(empty).values(given))
        elif isinstance(step, Batch) and step.numbers_rows:
            last = _last_number(connection, step.table)
            _call(operations, step, wanted.schema)
            _count_on(connection, step.table, last)
        elif not isinstance(step, RenameKey):
            _call(operations, step, wanted.schema)


def _execute(connection: Connection, statement: Any) -> None:
    """Send a statement with its values inside, so that whoever prints it can send it too."""
    dialect = connection.dialect
    compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(str(compiled))


# SQLite keeps the last number that it gave in a table, and forgets it with the one that is
# made anew: then it would give the number of a row that is gone to another.
_SEQUENCE: Final = table_clause(
    "sqlite_sequence", column("name", String()), column("seq", Integer())
)


def _last_number(connection: Connection, table: str) -> int | None:
    if not inspect(connection).has_table(_SEQUENCE.name):
        return None
    query = select(_SEQUENCE.c.seq).where(_SEQUENCE.c.name == table)
    return connection.scalar(query)


def _count_on(connection: Connection, table: str, last: int | None) -> None:
    if last is not None:
        _execute(connection, delete(_SEQUENCE).where(_SEQUENCE.c.name == table))
        _execute(connection, insert(_SEQUENCE).values(name=table, seq=last))


def _call(operations: Operations, step: Call | Batch, schema: str | None) -> None:
    if isinstance(step, Call):
        _call_one(operations, step, schema)
        return
    options = {"sqlite_autoincrement": True} if step.numbers_rows else {}
    with operations.batch_alter_table(
        step.table, schema=schema, table_kwargs=options, reflect_kwargs=_AS_WRITTEN
    ) as batch:
        for call in step.calls:
            _call_one(batch, call, schema)


def _keep_colons(_inspector: object, _table: object, column: dict[str, Any]) -> None:
    """Keep a colon in a default from standing for a parameter when SQLite's table is copied."""
    if column["default"]:
        column["default"] = column["default"].replace(":", "\\:")


_AS_WRITTEN: Final = {"listeners": [("column_reflect", _keep_colons)]}


def _call_one(operations: Operations | BatchOperations, call: Call, schema: str | None) -> None:
    dialect = operations.get_context().dialect
    arguments = [built(it, schema, dialect) for it in call.arguments]
    options = {key: built(it, schema, dialect) for key, it in call.options.items()}
    getattr(operations, call.name)(*arguments, **options)
