"""What the suite asks of a subclass, and the fixtures that its tests are written with."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar, Protocol, TypeAlias
from uuid import UUID, uuid4

import pytest

from watchword.schema import FieldType, IdType, Naming, Schema
from watchword.storage.contract import (
    Adapter,
    ConsumingAdapter,
    Record,
    SchemaAdapter,
    TransactionalAdapter,
)
from watchword.storage.query import F, OrderBy, Where
from watchword.storage.store import Store
from watchword.testing.modes import PATIENCE, Child, MakeCoroutine, Mode
from watchword.testing.suite.models import SAMPLES, suite_schema

__all__ = [
    "Add",
    "Backend",
    "Peek",
    "PlainSealer",
    "Race",
    "Spawn",
    "Suite",
    "consume",
    "id_of",
    "new_row",
]


class Backend(Adapter, TransactionalAdapter, Protocol):
    """An adapter as most tests need it; those with less are skipped by a fixture."""


Peek: TypeAlias = Callable[[str], list[dict[str, Any]]]
Race: TypeAlias = Callable[[int, MakeCoroutine[Any]], Awaitable[list[Any]]]
Spawn: TypeAlias = Callable[[MakeCoroutine[Any]], Child]


class Add(Protocol):
    """Writes a row; what the test does not say comes from the samples."""

    async def __call__(self, model: str, /, **values: Any) -> Record:
        """Return the row that was written."""


def id_of(kind: FieldType, uuid: UUID) -> str | None:
    """Return an id of this type, the same each time; None where the database makes them.

    A text has the digits of an ObjectId, for databases where that is what stands for it.
    """
    ids = {"uuid": str(uuid), "string": uuid.hex[:24]}
    return ids.get(kind)


def new_row(schema: Schema, model: str, **values: Any) -> dict[str, Any]:
    """Return what `create` takes: samples and values, with an id unless the database makes it."""
    row = {**SAMPLES.get(model, {}), **values}
    made = id_of(schema.models[model].fields["id"].type, uuid4())
    return row if made is None else {"id": made, **row}


async def consume(backend: Adapter, model: str, where: Where) -> Record | None:
    """Delete a row and return it to one caller, as the store does it."""
    if isinstance(backend, ConsumingAdapter):
        return await backend.consume_one(model, where)
    row = await backend.find_one(model, where)
    if row is None or not await backend.delete_many(model, where & (F.id == row["id"])):
        return None
    return row


class PlainSealer:
    """Marks what is sealed; the suite tests no cryptography."""

    def seal(self, purpose: str, text: str) -> str:
        """Put the purpose before the text."""
        return f"{purpose}:{text}"

    def open(self, purpose: str, sealed: str) -> str:
        """Take the purpose away again."""
        return sealed.removeprefix(f"{purpose}:")


class Suite:
    """The ground of every part of the suite.

    A subclass provides the fixtures `adapter` and `peek`, and says by attributes what else
    can be tested.
    """

    pytestmark: ClassVar[Any] = pytest.mark.watchword_async

    ids: ClassVar[IdType] = "uuid"
    """What ids are in the schema that the adapter is bound to."""
    naming: ClassVar[Naming | None] = None
    """The names in the database; None is the default."""
    has_pool: ClassVar[bool] = False
    """There is a fixture `small_pool`: like `adapter`, with one connection in all."""
    survives_disconnect: ClassVar[bool] = False
    """There is a fixture `disconnect`: a callable that cuts every connection of `adapter`."""
    patience: ClassVar[float] = PATIENCE
    """Seconds after which a call counts as hanging; longer than the database's own timeouts."""
    rounds: ClassVar[int] = 100
    """How often a race is run; more for a soak."""
    callers: ClassVar[int] = 64
    """How many take part in a race."""

    @pytest.fixture
    def adapter(self) -> Adapter:
        """Return a new adapter, not yet bound, on a database without rows."""
        raise NotImplementedError("the subclass provides the fixture 'adapter'")

    @pytest.fixture
    def peek(self) -> Peek:
        """Return what reads all rows of a model past the adapter.

        Rows are dicts by logical names; values are the driver's, the suite looks at texts,
        integers and nulls only.
        """
        raise NotImplementedError("the subclass provides the fixture 'peek'")

    @pytest.fixture
    def small_pool(self) -> Adapter:
        """Return an adapter with a pool of one connection."""
        raise NotImplementedError("has_pool needs the fixture 'small_pool'")

    @pytest.fixture
    def disconnect(self) -> Callable[[], None]:
        """Return what cuts every connection of the adapter."""
        raise NotImplementedError("survives_disconnect needs the fixture 'disconnect'")

    @pytest.fixture
    def mode(self, watchword_mode: Mode) -> Mode:
        """How this test runs."""
        return watchword_mode

    @pytest.fixture(scope="class")
    @classmethod
    def schema(cls) -> Schema:
        """What adapters are bound to."""
        return suite_schema(cls.ids, cls.naming)

    @pytest.fixture
    def backend(self, adapter: Adapter, schema: Schema, mode: Mode) -> Iterator[Adapter]:
        """Bind the adapter and give it tables."""
        yield _opened(adapter, schema, mode)
        mode.run(adapter.close())

    @pytest.fixture
    def small_backend(self, small_pool: Adapter, schema: Schema, mode: Mode) -> Iterator[Adapter]:
        """Do the same with the adapter of one connection."""
        yield _opened(small_pool, schema, mode)
        mode.run(small_pool.close())

    @pytest.fixture
    def transactional(self, backend: Adapter) -> Adapter:
        """Return the backend; skip the test if it has no transactions."""
        if not (backend.capabilities.transactions and isinstance(backend, TransactionalAdapter)):
            pytest.skip("the adapter has no capability: transactions")
        return backend

    @pytest.fixture
    def referential(self, backend: Adapter) -> Adapter:
        """Return the backend; skip the test if it does not keep references whole."""
        if not backend.capabilities.references:
            pytest.skip("the adapter has no capability: references")
        return backend

    @pytest.fixture
    def store(self, backend: Adapter, schema: Schema) -> Store:
        """A store over the adapter."""
        return Store(backend, schema, sealer=PlainSealer())

    @pytest.fixture
    def transactional_store(self, transactional: Backend, schema: Schema) -> Store:
        """The same, over an adapter with transactions."""
        return Store(transactional, schema, sealer=PlainSealer())

    @pytest.fixture
    def add(self, backend: Adapter, schema: Schema) -> Add:
        """Write a row of the samples, with the values that the test is about."""

        async def add(model: str, /, **values: Any) -> Record:
            return await backend.create(model, new_row(schema, model, **values))

        return add

    @pytest.fixture
    def missing_id(self) -> str | int:
        """An id that no row has."""
        return id_of(self.ids, uuid4()) or 2**31 - 1

    @pytest.fixture
    def tick(self, adapter: Adapter) -> timedelta:
        """The smallest step between two stored instants."""
        return adapter.capabilities.instant_resolution


def _opened(adapter: Adapter, schema: Schema, mode: Mode) -> Adapter:
    adapter.bind(schema)
    if isinstance(adapter, SchemaAdapter):
        mode.run(adapter.create_schema(schema))
    return adapter


async def values_of(
    backend: Adapter,
    model: str,
    field: str,
    where: Where | None = None,
    order_by: tuple[OrderBy, ...] = (),
) -> list[Any]:
    """Return one field of all rows that match."""
    rows = await backend.find_many(model, where, order_by=order_by)
    return [row[field] for row in rows]
