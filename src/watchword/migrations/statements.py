"""From changes to the SQL that makes them; what is printed is what is run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from alembic.migration import MigrationContext
from alembic.operations import BatchOperations, Operations
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Update,
    select,
    update,
)

from watchword.adapters.sqlalchemy.dialects import is_mysql
from watchword.migrations.calls import Backfill, Batch, Call, RenameKey, Step, steps_of
from watchword.migrations.changes import (
    AddIndex,
    AddReference,
    AddUnique,
    Change,
    ChangeColumn,
    DropIndex,
    DropUnique,
    RenameColumn,
)
from watchword.migrations.columns import built, constant_of, table_of
from watchword.migrations.live import LeftOver, Live
from watchword.migrations.rebuilding import AS_WRITTEN, carried_over, send
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
        leaves: What it, or what came before it, leaves behind when it fails.
        undo: Removes that.
        alone: The same for all rows at once, for who sends it by hand.
    """

    sql: str
    change: Change | None = None
    repeats: bool = False
    is_patient: bool = False
    leaves: LeftOver | None = None
    undo: "Statement | None" = None
    alone: str | None = None


def statements_of(
    changes: Iterable[Change],
    wanted: Snapshot,
    dialect: Dialect,
    *,
    places: Mapping[str, str] = MappingProxyType({}),
) -> list[Statement]:
    """Return the statements for a database that commits each by itself.

    Args:
        changes: In their order.
        wanted: What is to be.
        dialect: Of the database.
        places: The database schemas of the tables, where they have to be said.
    """
    writer = _Writer(wanted, dialect, places)
    online = _ONLINE.get(dialect.name, {})
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
        places: The database schemas of the tables.
    """

    def __init__(self, wanted: Snapshot, dialect: Dialect, places: Mapping[str, str]) -> None:
        self._places = places
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
        state, schema = self._state(change), self._wanted.schema
        whole, empty = _filling(state, column, schema)
        some = _limited(whole, state, empty, self._dialect)
        return Statement(
            sql=self._compiled(some), change=change, repeats=True, alone=self._compiled(whole)
        )

    def _compiled(self, statement: Any) -> str:
        compiled = statement.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True})
        return str(compiled)

    def _state(self, change: Change) -> TableState:
        return self._wanted.tables[str(change.table)]

    def renamed_column(self, change: RenameColumn) -> Iterator[Statement]:
        """Rename it on MariaDB and MySQL without saying again, and so losing, what it is."""
        old, new = self._quote(change.column.name), self._quote(change.name)
        yield self._altering(change, f"RENAME COLUMN {old} TO {new}")

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
            leaves=self._left(change.table, change.key.name, is_index=True),
            undo=self._dropped(change.table, change.key.name, change),
        )
        if unique:
            yield self._altering(change, f"ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")

    def drop_index(self, change: DropIndex) -> Iterator[Statement]:
        """Remove an index beside those who read."""
        yield self._dropped(change.table, change.key.name, change)

    def drop_unique(self, change: DropUnique) -> Iterator[Statement]:
        """Remove a constraint; or the index alone, if somebody did not come further."""
        name = self._quote(change.key.name)
        yield self._altering(change, f"DROP CONSTRAINT IF EXISTS {name}")
        yield self._dropped(change.table, change.key.name, change)

    def reference(self, change: AddReference) -> Iterator[Statement]:
        """Hold new rows to a reference first, and look at the old ones then."""
        it = change.reference
        name = self._quote(it.name)
        target = self._qualified(it.place(self._wanted.schema), it.table)
        yield self._altering(
            change,
            f"ADD CONSTRAINT {name} FOREIGN KEY({self._quote(it.column)}) REFERENCES "
            f"{target} ({self._quote(it.target)}) ON DELETE {it.on_delete.upper()} NOT VALID",
        )
        yield self._validating(change, it.name)

    def column(self, change: ChangeColumn) -> Iterator[Statement]:
        """Change a column; one that becomes required is looked through without a lock."""
        if not change.becomes_required:
            yield from self.plainly(change)
            return
        before = change.before
        relaxed = replace(change.column, nullable=True)
        if change.changes_type or change.changes_default:
            yield from self.plainly(ChangeColumn(change.table, before, relaxed))
        check_name = _check_name(change)
        check = self._quote(check_name)
        column = self._quote(change.column.name)
        fill = [] if change.column.default is None else [self._backfill(change, change.column)]
        yield from fill
        yield self._altering(
            change, f"ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"
        )
        yield from fill  # who wrote a null meanwhile
        yield self._validating(change, check_name)
        yield self._altering(change, f"ALTER COLUMN {column} SET NOT NULL")
        yield self._altering(change, f"DROP CONSTRAINT {check}")

    def tidy(self, it: LeftOver) -> Statement:
        """Remove what was begun."""
        if it.is_index:
            return self._dropped(it.table, it.name, None)
        sql = f"ALTER TABLE {self._table(it.table)} DROP CONSTRAINT {self._quote(it.name)}"
        return Statement(sql=sql)

    def _dropped(self, table: str, index: str, change: Change | None) -> Statement:
        # In the database schema of its table: by itself the name may be another's.
        name = self._qualified(self._places.get(table, self._wanted.schema), index)
        return Statement(
            sql=f"DROP INDEX CONCURRENTLY IF EXISTS {name}", change=change, is_patient=True
        )

    def _validating(self, change: Change, name: str) -> Statement:
        """Look through the rows; what does not hold for them must not refuse new ones."""
        sql = f"ALTER TABLE {self._table(change.table)} VALIDATE CONSTRAINT {self._quote(name)}"
        return Statement(
            sql=sql,
            change=change,
            is_patient=True,
            leaves=self._left(change.table, name, is_index=False),
            undo=self._altering(change, f"DROP CONSTRAINT {self._quote(name)}"),
        )

    def _left(self, table: str, name: str, *, is_index: bool) -> LeftOver:
        return LeftOver(table, name, is_index=is_index, schema=self._wanted.schema)

    def _altering(self, change: Change, what: str) -> Statement:
        return Statement(sql=f"ALTER TABLE {self._table(change.table)} {what}", change=change)

    def _table(self, name: str) -> str:
        return self._qualified(self._wanted.schema, name)

    def _qualified(self, schema: str | None, name: str) -> str:
        return ".".join(self._quote(it) for it in (schema, name) if it)


_IN_PLACE: Final = {RenameColumn: _Writer.renamed_column}
_ONLINE: Final[Mapping[str, Mapping[type[Any], Any]]] = {
    "postgresql": {
        AddIndex: _Writer.index,
        AddUnique: _Writer.index,
        DropIndex: _Writer.drop_index,
        DropUnique: _Writer.drop_unique,
        AddReference: _Writer.reference,
        ChangeColumn: _Writer.column,
    },
    "mysql": _IN_PLACE,
    "mariadb": _IN_PLACE,
}


def tidying(live: Live, wanted: Snapshot, dialect: Dialect) -> list[Statement]:
    """Return what removes that which somebody began and did not finish."""
    writer = _Writer(wanted, dialect, live.places)
    return [writer.tidy(it) for it in live.left_over]


def _check_name(change: ChangeColumn) -> str:
    digest = sha256(f"{change.table}.{change.column.name}".encode()).hexdigest()[:16]
    return f"watchword_{digest}_not_null"


# --- rows that have no value yet -------------------------------------------------------------


def _filling(
    state: TableState, filled: ColumnState, schema: str | None
) -> tuple[Update, ColumnElement[bool]]:
    """Give rows without a value the default; return what does it, and which rows these are."""
    table = table_of(state, schema)
    empty = table.c[filled.name].is_(None)
    return update(table).where(empty).values({filled.name: constant_of(filled)}), empty


def _limited(
    whole: Update, state: TableState, empty: ColumnElement[bool], dialect: Dialect
) -> Update:
    """Do it for some rows."""
    if is_mysql(dialect):
        return whole.with_dialect_options(mysql_limit=BATCH, mariadb_limit=BATCH)
    key = whole.table.c[next(it.name for it in state.columns.values() if it.field == "id")]
    return whole.where(key.in_(select(key).where(empty).limit(BATCH)))


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


def run_steps(
    connection: Connection, steps: Iterable[Step], wanted: Snapshot, recorded: Snapshot
) -> None:
    """Make changes inside the transaction that is open; for SQLite.

    Args:
        connection: In the transaction.
        steps: In their order.
        wanted: What is to be.
        recorded: What was made before; what is in neither is somebody else's.
    """
    ours = frozenset(_names(wanted)) | frozenset(_names(recorded))
    operations = Operations(MigrationContext.configure(connection))
    for step in steps:
        if isinstance(step, Backfill):
            whole, _ = _filling(wanted.tables[step.table], step.column, wanted.schema)
            send(connection, whole)
        elif isinstance(step, Batch) and _makes_anew(step):
            with carried_over(connection, step.table, ours=ours):
                _call(operations, step, wanted.schema)
        elif isinstance(step, Batch):
            for call in step.calls:
                _call_one(operations, _of_table(call, step.table), wanted.schema)
        elif not isinstance(step, RenameKey):
            _call(operations, step, wanted.schema)


def _names(snapshot: Snapshot) -> Iterator[str]:
    """Go through the names of columns, keys and references."""
    for table in snapshot.tables.values():
        yield from table.columns
        yield from table.key_names


def _makes_anew(step: Batch) -> bool:
    """Tell whether SQLite cannot do it in place."""
    return not all(
        it.name in {"create_index", "drop_index"}
        or (it.name == "add_column" and not isinstance(it.arguments[0].default, Mapping))
        for it in step.calls
    )


def _of_table(call: Call, table: str) -> Call:
    """Return a call outside of a batch: it names the table, behind what it makes or drops."""
    before = 0 if call.name == "add_column" else 1
    arguments = (*call.arguments[:before], table, *call.arguments[before:])
    return replace(call, arguments=arguments)


def _call(operations: Operations, step: Call | Batch, schema: str | None) -> None:
    if isinstance(step, Call):
        _call_one(operations, step, schema)
        return
    options = {"sqlite_autoincrement": True} if step.numbers_rows else {}
    with operations.batch_alter_table(
        step.table, schema=schema, table_kwargs=options, reflect_kwargs=AS_WRITTEN
    ) as batch:
        for call in step.calls:
            _call_one(batch, call, schema)


def _call_one(operations: Operations | BatchOperations, call: Call, schema: str | None) -> None:
    dialect = operations.get_context().dialect
    arguments = [built(it, schema, dialect) for it in call.arguments]
    options = {key: built(it, schema, dialect) for key, it in call.options.items()}
    getattr(operations, call.name)(*arguments, **options)
