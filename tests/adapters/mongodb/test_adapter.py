"""The adapter for MongoDB keeps the contract, by both kinds of clients and by a URL."""

import os
from typing import Any, ClassVar, Final

import pytest

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.testing import AdapterSuite

# Test to why it needs them.
ONLY_WITH_TRANSACTIONS: Final = {
    "test_an_update_of_many_is_all_or_nothing": "a change of several rows is several steps",
    "test_random_histories": "the same",
}
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
pytestmark = [pytest.mark.slow] if IS_SOAK else []


class OnMongoDB(AdapterSuite):
    """What the suites of all clients share."""

    rounds = 100 if IS_SOAK else 5
    examples = 100 if IS_SOAK else 3
    has_pool = True
    survives_disconnect = True
    transactions: ClassVar[bool] = True
    object_ids: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def _can_be_shown(self, request):
        """Leave out what needs transactions."""
        name = request.node.originalname
        if not self.transactions and name in ONLY_WITH_TRANSACTIONS:
            pytest.skip(ONLY_WITH_TRANSACTIONS[name])

    def make(self, database: Any, name: str) -> MongoDBAdapter:
        """Return an adapter."""
        return MongoDBAdapter(
            database, name=name, transactions=self.transactions, object_ids=self.object_ids
        )

    @pytest.fixture
    def adapter(self, request, mongodb_name, empty):
        """On a database without documents; by a way that may be cut if the test cuts it."""
        is_cut = "disconnect" in request.fixturenames
        client = request.getfixturevalue("cut_client" if is_cut else "client")
        return self.make(client, mongodb_name)

    @pytest.fixture
    def disconnect(self, proxy):
        """Cuts it."""
        return proxy.disconnect

    @pytest.fixture
    def small_pool(self, new_client, mongodb_url, mongodb_name, empty):
        """By a client of one connection."""
        return self.make(new_client(mongodb_url, maxPoolSize=1), mongodb_name)

    @pytest.fixture
    def peek(self, peek_into, empty, schema):
        """Reads by a client of its own."""
        return peek_into(empty, schema)


class TestMongoClient(OnMongoDB):
    """Without an event loop."""

    never_loop = True


class TestAsyncMongoClient(OnMongoDB):
    """Under an event loop."""

    needs_loop = True


class TestWithoutTransactions(OnMongoDB):
    """On a server that is alone, with texts for ids; under an event loop as well, in the soak."""

    ids = "string"
    transactions = False
    has_pool = False
    never_loop = not IS_SOAK

    @pytest.fixture
    def proxy(self, new_proxy, mongodb_alone_url):
        """A way to that server that may be cut."""
        return new_proxy(mongodb_alone_url)

    @pytest.fixture
    def client(self, alone_client):
        """PyMongo's client of that server."""
        return alone_client

    @pytest.fixture
    def empty(self, alone_empty):
        """The database there."""
        return alone_empty


class TestObjectIds(OnMongoDB):
    """With ObjectIds, which do not change who wins a race: outside of the soak few run."""

    ids = "string"
    object_ids = True
    never_loop = not IS_SOAK
    rounds = 100 if IS_SOAK else 1
