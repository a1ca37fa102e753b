"""What a backend promises: eight operations, and protocols for what it can do besides.

`watchword.testing.AdapterSuite` is the meaning of this contract; an adapter that passes
it can be trusted with users.

* A record is a plain dict by logical field names, with every field of the model.
* Values are those of the field's type: `str`, `int`, `bool`, aware `datetime`, `bytes`, a
  JSON value, a list of `str`; ids and UUIDs are `str` (or `int` where the database makes
  them). What no database could keep was refused above, by the `Store`.
* Each operation is atomic, and sees what earlier ones of its transaction wrote.
* Errors are those of `watchword.errors`, with the driver's own as their cause.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, runtime_checkable

from watchword.schema import OwnTable
from watchword.schema.fields import Schema
from watchword.storage.ids import NewId
from watchword.storage.query import Include, OrderBy, Where

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from watchword.storage.entities import User

    PublicUser_co = TypeVar("PublicUser_co", default=User, covariant=True)
else:
    from typing import TypeVar

    PublicUser_co = TypeVar("PublicUser_co", covariant=True)

__all__ = [
    "Adapter",
    "BulkAdapter",
    "Capabilities",
    "ConsumingAdapter",
    "JoiningAdapter",
    "OwnTablesAdapter",
    "PublicUser_co",
    "Record",
    "SchemaAdapter",
    "TransactionalAdapter",
]

Record: TypeAlias = dict[str, Any]
"""A row by logical field names; included rows stand under their model's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities(Generic[PublicUser_co]):
    """What differs between backends and a caller may have to know.

    Args:
        needs_loop: Its calls wait for an event loop; a blocking program cannot use it.
        transactions: Several operations commit or vanish together.
        waits: A transaction that meets another one waits for its end; without that one of the
            two is undone, and has to begin again.
        references: The database itself keeps references whole.
        generates_ids: It can make integer ids.
        durable: A second instance on the same database finds what the first one wrote.
        instant_resolution: The step of stored instants; finer values are cut.
        new_id: Makes ids of the only kind that it keeps; None if it keeps any that fit the schema.
        user_mapper: Makes what the application's code gets for a user; None for our `User`.
    """

    needs_loop: bool = False
    transactions: bool = True
    waits: bool = True
    references: bool = True
    generates_ids: bool = True
    durable: bool = True
    instant_resolution: timedelta = timedelta(microseconds=1)
    new_id: NewId | None = None
    user_mapper: "Callable[[User], PublicUser_co] | None" = None


class Adapter(Protocol[PublicUser_co]):
    """A backend for every model of a schema."""

    @property
    def capabilities(self) -> Capabilities[PublicUser_co]:
        """What this backend can do."""

    def bind(self, schema: Schema) -> None:
        """Learn the models; called once, before any operation, and without I/O."""

    async def create(self, model: str, data: Mapping[str, Any]) -> Record:
        """Write a row and return it; fields not named are null, or made by the database.

        Raises:
            UniqueViolation: Another row has one of its unique keys.
            ReferenceViolation: It points at a row that does not exist.
        """

    async def find_one(
        self,
        model: str,
        where: Where,
        *,
        include: Sequence[Include] = (),
        lock: bool = False,
    ) -> Record | None:
        """Return the row that matches, the first by id if several do, or None.

        With `lock`, the row is as it is committed now, whatever the transaction saw before,
        and nobody else changes it before the transaction ends.
        """

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
        """Return all rows that match, or a page of them; rows that tie are ordered by id.

        With `lock` they are read as `find_one` does it, and locked in their order.
        """

    async def update(self, model: str, where: Where, changes: Mapping[str, Any]) -> Record | None:
        """Change one row that matches and return it as it is then; None if none matches.

        The test and the change are one step: of several callers that race for a condition
        which the change makes false, one succeeds.

        Raises:
            UniqueViolation: Another row has one of its unique keys.
            ReferenceViolation: It would point at a row that does not exist.
        """

    async def update_many(
        self, model: str, where: Where | None, changes: Mapping[str, Any]
    ) -> int:
        """Change all rows that match and return how many did."""

    async def delete(self, model: str, where: Where) -> None:
        """Delete one row that matches, if there is one."""

    async def delete_many(self, model: str, where: Where | None) -> int:
        """Delete all rows that match and return how many went; each goes for one caller."""

    async def count(self, model: str, where: Where | None = None, *, lock: bool = False) -> int:
        """Return how many rows match.

        With `lock`, the rows are counted as they are committed now, whatever the transaction saw
        before. It keeps nobody else out: who counts holds a lock that others wait for.
        """

    async def close(self) -> None:
        """Give back connections that the adapter made; an engine passed in stays open."""


@runtime_checkable
class BulkAdapter(Protocol):
    """A backend that writes many rows faster than one by one."""

    async def create_many(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Write all rows or none, and return them in the order in which they were given.

        Each is what `create` takes; there may be any number of them, and none.

        Raises:
            UniqueViolation: One has a unique key of another row, or of one beside it.
            ReferenceViolation: One points at a row that does not exist.
        """


@runtime_checkable
class ConsumingAdapter(Protocol):
    """A backend that deletes and returns in one step."""

    async def consume_one(self, model: str, where: Where) -> Record | None:
        """Delete one row that matches and return it, to one of several racing callers."""


@runtime_checkable
class SchemaAdapter(Protocol):
    """A backend that can make its own tables."""

    async def create_schema(self, schema: Schema) -> None:
        """Make what is missing; safe on every start and from several processes at once."""


@runtime_checkable
class OwnTablesAdapter(Protocol):
    """A backend in which the application's own tables can stand for ours."""

    def own_tables(self, *, hooked: bool, makes_ids: bool) -> Sequence[OwnTable]:
        """Return those tables, for the schema to be resolved with them.

        Args:
            hooked: A hook may give new users values.
            makes_ids: The application makes ids by a function of its own.
        """


@runtime_checkable
class TransactionalAdapter(Protocol):
    """A backend whose operations can commit or vanish together."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Open a transaction that the calls of this task, or thread, join.

        Inside another one it is a savepoint. A child task or thread does not join: what it
        does is its own. An exception rolls back and goes on.

        A `UniqueViolation`, `ReferenceViolation` or `StorageUnavailable` dooms the innermost
        transaction or savepoint in which it happened, even if it is caught inside: its later
        operations and its end raise `TransactionEnded`, and nothing of it is kept. To go on after
        such an error, put a savepoint around what may fail.

        Raises:
            StorageUnavailable: The database gave up on the transaction; `retryable` if the
                same work may be done again, as after a deadlock.
        """


@runtime_checkable
class JoiningAdapter(Protocol):
    """A backend that can work inside a transaction of the application's."""

    def using(
        self,
        session: Any,
        *,
        committed: Callable[[], Awaitable[None]],
        undone: Callable[[], object],
    ) -> AbstractAsyncContextManager[None]:
        """Let the calls of this task, or thread, work in the session's own transaction.

        The application commits. A session that tells of it has `committed` awaited after
        each commit, and `undone` called after a rollback.

        Raises:
            ConfigurationError: This is no session or connection of the right kind.
        """
