"""The storage contract on SQL databases, by SQLAlchemy Core."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    suppress,
)
from functools import partial
from typing import Any, Generic

from sqlalchemy import Connection, Dialect

from watchword.adapters.sqlalchemy import statements
from watchword.adapters.sqlalchemy.dialects import makes_tables_in_a_transaction, schema_lock
from watchword.adapters.sqlalchemy.engines import Database, open_source
from watchword.adapters.sqlalchemy.gate import Gate
from watchword.adapters.sqlalchemy.inserting import create_row, create_rows, kept, reads_back
from watchword.adapters.sqlalchemy.joining import application_connection
from watchword.adapters.sqlalchemy.lines import Connected, NotFetchedError, connected
from watchword.adapters.sqlalchemy.own_columns import OwnColumns, present_columns
from watchword.adapters.sqlalchemy.own_table import OwnUserTable
from watchword.adapters.sqlalchemy.prepared import PreparedReads
from watchword.adapters.sqlalchemy.reading import Reader, record_of
from watchword.adapters.sqlalchemy.tables import ModelTable, Tables
from watchword.adapters.sqlalchemy.violations import translated
from watchword.errors import ConfigurationError
from watchword.schema import OwnTable, Schema
from watchword.storage.checks import check_changes, check_order, check_row, check_where
from watchword.storage.contract import Capabilities, Record
from watchword.storage.entities import PublicUser, User
from watchword.storage.query import F, Include, Increment, OrderBy, Where

__all__ = ["SQLAlchemyAdapter"]


class SQLAlchemyAdapter(Generic[PublicUser]):
    """Rows in SQLite, PostgreSQL, MariaDB or MySQL, under an event loop or without one.

    Args:
        database: A URL, whose engine is made at its first use; or the application's own
            engine or session factory, which stays the application's to close. A process that
            is forked, by a preforking server for one, has connections of its own: at our
            first use there the pool of an inherited engine is replaced, the application's
            too. What the application does with its engine before that is not protected, so
            it calls `engine.dispose(close=False)` after a fork.
        user_model: The application's own user table: a mapped class, or a `Table`. It stays
            the application's: nothing of ours makes or changes it. Our tables join its
            metadata and point at it.
        fields: Which of its attributes or columns is which field of ours, where the names
            differ: `{"id": "username", "name": "full_name"}`.
        user_mapper: Makes what the application's code gets for a user, as from `identify()`.
            Answers over HTTP stay as they are.

    Raises:
        ConfigurationError: The URL cannot be read or its driver is not installed, or
            `user_model` is no table.
    """

    def __init__(
        self,
        database: Database,
        *,
        user_model: Any = None,
        fields: Mapping[str, str] | None = None,
        user_mapper: Callable[[User], PublicUser] | None = None,
    ) -> None:
        self._own = None if user_model is None else OwnColumns.of(user_model, fields or {})
        self._user_mapper = user_mapper
        self._source = open_source(database)
        self._gate = Gate(self._source.line, self._translated)
        self._learn(Tables(Schema({})))

    @property
    def capabilities(self) -> Capabilities[PublicUser]:
        """What this backend can do."""
        return Capabilities(needs_loop=self._source.line.needs_loop, user_mapper=self._user_mapper)

    @property
    def dialect(self) -> Dialect:
        """What the database speaks, as far as its URL or engine tells without a connection."""
        return self._source.dialect

    @property
    def tables(self) -> Tables:
        """The tables of the bound schema; `tables.metadata` is SQLAlchemy's view of them."""
        return self._tables

    def own_tables(self, *, hooked: bool, makes_ids: bool) -> Sequence[OwnTable]:
        """Return the application's own table, for the schema to be resolved with it."""
        if self._own is None:
            return ()
        return (OwnUserTable(columns=self._own, hooked=hooked, makes_ids=makes_ids),)

    def bind(self, schema: Schema) -> None:
        """Learn the models.

        Raises:
            ConfigurationError: The schema does not know the application's own table, or its
                metadata has a table of one of our names.
        """
        if self._own is not None and schema.require_model("user").ours:
            raise ConfigurationError(
                "The schema was resolved without the application's own user table.",
                hint="Give the adapter to Watchword, or own=adapter.own_tables(...) to "
                "resolve_schema().",
            )
        if schema is self._tables.schema:
            return
        theirs = None if self._own is None else self._own.table.metadata
        self._learn(Tables(schema, self._own, metadata=theirs))

    def _learn(self, tables: Tables) -> None:
        self._tables = tables
        self._reader = Reader(tables)
        self._prepared = PreparedReads(self._reader)

    async def close(self) -> None:
        """Close the pool of an engine that was made from a URL."""
        await self._source.close()

    def _translated(self, model: str) -> AbstractContextManager[None]:
        return translated(self._tables, model)

    # --- reading ---------------------------------------------------------------------

    async def find_one(
        self,
        model: str,
        where: Where,
        *,
        include: Sequence[Include] = (),
        lock: bool = False,
    ) -> Record | None:
        """Return the row that matches, the first by id if several do, or None."""
        it = self._checked(model, where)
        relations = self._reader.relations(it, include)
        prepare = partial(self._prepared.find, it, where, relations)
        if not lock:
            with suppress(NotFetchedError):
                return await self._gate.read_row(model, prepare, where)

        def read(connection: Connection) -> Record | None:
            # Where SQLAlchemy writes other schemas into the SQL, its own way is the right one.
            as_text = not (lock or "schema_translate_map" in connection.get_execution_options())
            prepared = prepare(connection.dialect) if as_text else None
            if prepared is not None:
                return prepared.fetch(connection, where)
            rows = self._reader.rows(
                connection, it=it, where=where, relations=relations, limit=1, lock=lock
            )
            return rows[0] if rows else None

        return await self._gate.read(model, read)

    async def find_many(
        self,
        model: str,
        where: Where | None = None,
        *,
        order_by: Sequence[OrderBy] = (),
        limit: int | None = None,
        offset: int = 0,
        include: Sequence[Include] = (),
        lock: bool = False,
    ) -> list[Record]:
        """Return all rows that match, or a page of them; rows that tie are ordered by id."""
        it = self._checked(model, where)
        check_order(it.model, order_by)
        read = partial(
            self._reader.rows,
            it=it,
            where=where,
            order_by=order_by,
            limit=limit,
            offset=offset,
            relations=self._reader.relations(it, include),
            lock=lock,
        )
        return await self._gate.read(model, read)

    async def count(self, model: str, where: Where | None = None, *, lock: bool = False) -> int:
        """Return how many rows match, with `lock` of those that are committed now."""
        it = self._checked(model, where)

        def run(connection: Connection) -> int:
            query = statements.count_rows(it, where, connection.dialect, lock=lock)
            return int(connection.execute(query).scalar_one())

        return await self._gate.read(model, run)

    # --- writing ---------------------------------------------------------------------

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row and return it; fields not named are null, or made by the database."""
        it = self._tables.require(model)
        check_row(it.model, data)
        return await self._gate.write(
            model,
            lambda connection: create_row(connection, self._reader, it=it, data=data),
            whole=lambda connection: reads_back(it, connection.dialect),
        )

    async def create_many(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Write all rows or none, and return them in the order in which they were given."""
        it = self._tables.require(model)
        for row in rows:
            check_row(it.model, row)
        if not rows:
            return []
        return await self._gate.write(
            model,
            lambda connection: create_rows(connection, self._reader, it=it, rows=rows),
            whole=lambda _: True,
        )

    async def update(self, model: str, where: Where, changes: Mapping[str, Any]) -> Record | None:
        """Change one row that matches and return it as it is then; None if none matches."""
        it = self._checked(model, where)
        check_changes(it.model, changes)
        if not changes:
            return await self.find_one(model, where)

        def run(connection: Connection) -> Record | None:
            dialect = connection.dialect
            if not dialect.update_returning:
                return self._claim_and_update(connection, it, where, changes)
            statement = statements.update_one(it, where, changes, dialect)
            return record_of(it, connection.execute(statement).first())

        return await self._gate.write(
            model, run, whole=lambda connection: not connection.dialect.update_returning
        )

    async def update_many(
        self, model: str, where: Where | None, changes: Mapping[str, Any]
    ) -> int:
        """Change all rows that match and return how many did."""
        it = self._checked(model, where)
        check_changes(it.model, changes)
        if not changes:
            return await self.count(model, where)

        def run(connection: Connection) -> int:
            statement = statements.update_rows(it, where, changes, connection.dialect)
            return connection.execute(statement).rowcount

        return await self._gate.write(model, run)

    async def delete(self, model: str, where: Where) -> None:
        """Delete one row that matches, if there is one."""
        await self.consume_one(model, where)

    async def delete_many(self, model: str, where: Where | None) -> int:
        """Delete all rows that match and return how many went; each goes for one caller."""
        it = self._checked(model, where)

        def run(connection: Connection) -> int:
            statement = statements.delete_rows(it, where, connection.dialect)
            return connection.execute(statement).rowcount

        return await self._gate.write(model, run)

    async def consume_one(self, model: str, where: Where) -> Record | None:
        """Delete one row that matches and return it, to one of several racing callers."""
        it = self._checked(model, where)

        def run(connection: Connection) -> Record | None:
            if not statements.deletes_one_returning(it, where, connection.dialect):
                return self._claim_and_delete(connection, it, where)
            statement = statements.delete_one(it, where, connection.dialect)
            return record_of(it, connection.execute(statement).first())

        return await self._gate.write(
            model,
            run,
            whole=lambda connection: (
                not statements.deletes_one_returning(it, where, connection.dialect)
            ),
        )

    # Without RETURNING a row is claimed by locking it: a racing caller waits for the lock
    # and then looks at what the winner left.

    def _claim(self, connection: Connection, it: ModelTable, where: Where) -> Record | None:
        rows = self._reader.rows(connection, it=it, where=where, limit=1, lock=True)
        return rows[0] if rows else None

    def _claim_and_update(
        self, connection: Connection, it: ModelTable, where: Where, changes: Mapping[str, Any]
    ) -> Record | None:
        row = self._claim(connection, it, where)
        if row is None:
            return None
        row |= {name: _applied(row[name], change) for name, change in changes.items()}
        statement = statements.update_rows(it, F.id == row["id"], changes, connection.dialect)
        connection.execute(statement)
        # In a table of theirs the database, or SQLAlchemy, may have changed more.
        return row if it.model.ours else self._claim(connection, it, F.id == row["id"])

    def _claim_and_delete(
        self, connection: Connection, it: ModelTable, where: Where
    ) -> Record | None:
        row = self._claim(connection, it, where)
        if row is not None:
            statement = statements.delete_rows(it, F.id == row["id"], connection.dialect)
            connection.execute(statement)
        return row

    # --- transactions, schema ----------------------------------------------------------

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Open a transaction that the calls of this task, or thread, join."""
        return self._gate.transaction()

    @asynccontextmanager
    async def using(
        self,
        session: Any,
        *,
        committed: Callable[[], Awaitable[None]],
        undone: Callable[[], object],
    ) -> AsyncIterator[None]:
        """Let the calls of this task, or thread, work in the application's transaction."""
        with self._translated("transaction"):
            line, connection = await application_connection(session, committed, undone)
        async with self._gate.joined_to(line, connection):
            yield

    def connected(self) -> AbstractAsyncContextManager[Connected]:
        """Lend a connection on which each statement commits by itself, to change tables.

        Raises:
            ConfigurationError: A transaction is open here.
        """
        self._gate.check_alone()
        return connected(self._source.line)

    async def create_schema(self, schema: Schema) -> None:
        """Make the tables that are missing; one process does it, others wait and find them.

        Raises:
            ConfigurationError: The application's own user table is not there.
        """

        def run(connection: Connection) -> None:
            own = None if self._own is None else present_columns(self._own, connection)
            with schema_lock(connection):
                self._made_of(schema, own).metadata.create_all(connection)

        self._gate.check_alone()
        await self._gate.write("schema", run, whole=makes_tables_in_a_transaction)

    def _made_of(self, schema: Schema, own: OwnColumns | None) -> Tables:
        is_bound = own is None and schema is self._tables.schema
        return self._tables if is_bound else Tables(schema, own)

    def _checked(self, model: str, where: Where | None) -> ModelTable:
        it = self._tables.require(model)
        check_where(it.model, where)
        return it


def _applied(present: Any, change: Any) -> Any:
    return (present or 0) + change.by if isinstance(change, Increment) else kept(change)
