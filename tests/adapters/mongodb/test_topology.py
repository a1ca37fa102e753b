"""A server without transactions is refused at the start, where they were promised."""

import os

import pytest

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.adapters.mongodb.topology import server_has_transactions
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.schema import CORE_MODELS, resolve_schema

SCHEMA = resolve_schema(CORE_MODELS)
on_a_server_alone = pytest.mark.skipif(
    "WATCHWORD_MONGODB_URL" in os.environ, reason="it needs a server that is alone"
)


@on_a_server_alone
async def test_a_wrong_set_up_is_told_at_the_start(mongodb_alone_client, mongodb_alone_url):
    """Before anything is made, and not when the first user signs up."""
    adapter = MongoDBAdapter(mongodb_alone_url, name="refused")

    with pytest.raises(ConfigurationError, match="This MongoDB server has no transactions") as it:
        await adapter.create_schema(SCHEMA)

    await adapter.close()
    assert "transactions=False" in it.value.hint
    assert mongodb_alone_client["refused"].list_collection_names() == []


async def test_who_promises_none_needs_none(mongodb_alone_client):
    """On any server."""
    adapter = MongoDBAdapter(mongodb_alone_client, name="alone", transactions=False)

    await adapter.create_schema(SCHEMA)

    assert "watchword_users" in mongodb_alone_client["alone"].list_collection_names()
    mongodb_alone_client.drop_database("alone")


async def test_a_replica_set_has_transactions(mongodb_url):
    """As it says itself."""
    assert await server_has_transactions(mongodb_url) is True


@on_a_server_alone
async def test_a_server_that_is_alone_has_none(mongodb_alone_url):
    """Whatever the URL says."""
    assert await server_has_transactions(mongodb_alone_url) is False


async def test_a_server_that_does_not_answer():
    """Nothing is taken for granted."""
    with pytest.raises(StorageUnavailable):
        await server_has_transactions("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
