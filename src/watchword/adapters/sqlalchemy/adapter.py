"""The storage contract on SQL databases, by SQLAlchemy Core."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    suppress,
)
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic

from sqlalchemy import Connection, CursorResult, Dialect

from watchword.adapters.sqlalchemy import statements
from watchword.adapters.sqlalchemy.dialects import makes_tables_in_a_transaction, schema_lock
from watchword.adapters.sqlalchemy.engines import Database, open_source
from watchword.adapters.sqlalchemy.gate import Gate
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
        theirs = None if self._own is None else self._own.table.metadata
        self._tables = Tables(schema, self._own, metadata=theirs)
        self._reader = Reader(self._tables)
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
        if not lock:
            prepare = partial(self._prepared.find, it, where, relations)
            with suppress(NotFetchedError):
                return await self._gate.read_row(model, prepare, where)
        read = partial(
            self._reader.rows, it=it, where=where, relations=relations, limit=1, lock=lock
        )
        rows = await self._gate.read(model, read)
        return rows[0] if rows else None

    async def find_many(
        self,
        model: str,
        where: Where | None = None,
        *,
        order_by: Sequence[OrderBy] = (),
        limit: int | None = None,
        offset: int = 0,
        include: Sequence[Include] = (),
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
        )
        return await self._gate.read(model, read)

    async def count(self, model: str, where: Where | None = None) -> int:
        """Return how many rows match."""
        it = self._checked(model, where)

        def run(connection: Connection) -> int:
            query = statements.count_rows(it, where, connection.dialect)
            return int(connection.execute(query).scalar_one())

        return await self._gate.read(model, run)

    # --- writing ---------------------------------------------------------------------

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row and return it; fields not named are null, or made by the database."""
        it = self._tables.require(model)
        check_row(it.model, data)
        if not it.model.ours:
            return await self._create_theirs(it, data)

        def run(connection: Connection) -> Record:
            inserted = connection.execute(statements.insert_row(it, data))
            kept = {name: _kept(value) for name, value in data.items()}
            return {**dict.fromkeys(it.fields), "id": _generated_id(inserted), **kept}

        return await self._gate.write(model, run)

    async def _create_theirs(self, it: ModelTable, data: Mapping[str, Any]) -> Record:
        """Write a row and read it, for there are defaults that we know nothing of.

        What was given is returned as it was given, also where a column cuts instants: who
        signs up with a known address is shown them uncut.
        """
        given = {name: _kept(value) for name, value in data.items() if value is not None}

        def run(connection: Connection) -> Record:
            statement = statements.insert_row(it, data)
            if connection.dialect.insert_returning:
                row = connection.execute(statement.returning(*it.columns)).one()
                return dict(zip(it.fields, row, strict=True)) | given
            key = _generated_id(connection.execute(statement))
            [found] = self._reader.rows(connection, it=it, where=F.id == key)
            return found | given

        return await self._gate.write(
            it.model.name, run, whole=lambda connection: not connection.dialect.insert_returning
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
                Tables(schema, own).metadata.create_all(connection)

        self._gate.check_alone()
        await self._gate.write("schema", run, whole=makes_tables_in_a_transaction)

    def _checked(self, model: str, where: Where | None) -> ModelTable:
        it = self._tables.require(model)
        check_where(it.model, where)
        return it


def _generated_id(inserted: CursorResult[Any]) -> Any:
    key = inserted.inserted_primary_key
    return None if key is None else key[0]


def _applied(present: Any, change: Any) -> Any:
    return (present or 0) + change.by if isinstance(change, Increment) else _kept(change)


def _kept(value: Any) -> Any:
    """Return a value as it will be read: instants in UTC, JSON as a copy of its own."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case dict() | list():
            return deepcopy(value)
    return value
