"""Migrations by a way to MongoDB on which answers are lost, or take long."""

import pytest

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.clock import utc_now
from watchword.errors import StorageUnavailable
from watchword.migrations import Aim, migrator_for
from watchword.migrations.mongodb import patience
from watchword.schema import CORE_MODELS, Naming, resolve_schema

CORE = resolve_schema(CORE_MODELS)
EMAIL = "uq_watchword_users_email"
# Milliseconds that are waited for what is held for ever.
HASTY = 200

# The driver's monitor may leave a socket to the garbage collector when it is cut off.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def new_adapter(proxy, new_client, empty):
    """Make adapters that go by the proxy."""

    def new_adapter(schema=CORE, **options):
        client = new_client(proxy.url, **(options or {"socketTimeoutMS": HASTY}))
        adapter = MongoDBAdapter(client, name=empty.name)
        adapter.bind(schema)
        return adapter

    return new_adapter


async def migrate(adapter, schema=CORE):
    """Migrate, and return what was done."""
    return (await migrator_for(adapter, schema, clock=utc_now).run(Aim())).changes


async def test_an_index_takes_long(new_adapter, proxy, empty, monkeypatch):
    """Longer than answers are waited for: it is asked for again, and the lease is kept."""
    adapter = new_adapter()
    await migrate(adapter)
    empty["watchword_users"].drop_index(EMAIL)
    monkeypatch.setattr(patience, "_PATIENCE", -1)
    proxy.fail("createIndexes", "hold", "hold")
    proxy.seen.clear()

    assert await migrate(adapter) == ("+ unique watchword_users(email)",)

    assert empty["watchword_users"].index_information()[EMAIL]["unique"]
    first, second, third = (
        number for number, it in enumerate(proxy.seen) if it == "createIndexes"
    )
    assert "update" in proxy.seen[first:second]
    assert "update" in proxy.seen[second:third]


async def test_an_index_takes_longer_than_everything_may(new_adapter, proxy, empty):
    """A `timeoutMS` ends the building itself: nobody begins it anew for ever."""
    await new_adapter().create_schema(CORE)
    empty["watchword_users"].drop_index(EMAIL)
    proxy.seen.clear()
    proxy.fail("createIndexes", "hold")

    with pytest.raises(StorageUnavailable, match="no answer in time"):
        await new_adapter(timeoutMS=5 * HASTY).create_schema(CORE)

    assert proxy.times("createIndexes") == 1


async def test_an_index_takes_long_at_the_start(new_adapter, proxy, empty):
    """Nothing starts without it, so it is waited for."""
    proxy.fail("createIndexes", "hold", "hold")

    await new_adapter().create_schema(CORE)

    assert empty["watchword_users"].index_information()[EMAIL]["unique"]


async def test_a_collection_was_renamed(new_adapter, proxy, empty):
    """And nobody was told: it is not looked for by its old name."""
    await migrate(new_adapter())
    renamed = resolve_schema(CORE_MODELS, naming=Naming(tables={"user": "people"}))
    proxy.fail("renameCollection", "lose")

    done = await migrate(new_adapter(renamed), renamed)

    assert "~ table watchword_users becomes people" in done
    assert "people" in empty.list_collection_names()
