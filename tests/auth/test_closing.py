"""What an instance closes: each secondary storage that it was given, once, wherever it is."""

from dataclasses import dataclass
from secrets import token_hex

import pytest

from watchword import RateLimits
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.memory_storage import MemoryStorage
from watchword.adapters.redis import RedisStorage
from watchword.errors import StorageUnavailable
from watchword.storage.secondary_verifications import SecondaryVerifications


class Storage(MemoryStorage):
    """Knows how often it was closed."""

    closed = 0

    async def close(self):
        """Close."""
        self.closed += 1


class Failing(Storage):
    """Cannot say good-bye."""

    async def close(self):
        """Fail, after all."""
        await super().close()
        raise StorageUnavailable("gone", retryable=True)


class Adapter(MemoryAdapter):
    """Knows how often it was closed."""

    closed = 0

    async def close(self):
        """Close."""
        self.closed += 1


@dataclass(frozen=True)
class Wrapping:
    """A store of sessions above a secondary storage: it has its place under the usual name."""

    storage: object

    async def _nothing(self, *_, **__):
        """Keep nothing: no test asks."""

    create = get = find = touch = list_for_user = update = _nothing
    revoke = revoke_all = purge = _nothing


async def test_storages_are_closed_wherever_they_are(new_auth):
    """Below a store, or as one; each once, however often it was given."""
    counting, links, sessions = Storage(), Storage(), Storage()
    auth = new_auth(
        rate_limits=RateLimits(store=counting),
        verifications=SecondaryVerifications(links),
        sessions=Wrapping(sessions),
    )

    await auth.close()

    assert [it.closed for it in (counting, links, sessions)] == [1, 1, 1]


async def test_one_storage_for_everything_is_closed_once(new_auth):
    """It has one set of connections."""
    storage = Storage()
    auth = new_auth(
        rate_limits=RateLimits(store=storage),
        verifications=SecondaryVerifications(storage),
        sessions=Wrapping(storage),
    )

    await auth.close()

    assert storage.closed == 1


async def test_what_fails_keeps_nothing_else_open(new_auth):
    """The error is raised, after the rest was closed."""
    failing, other, adapter = Failing(), Storage(), Adapter()
    auth = new_auth(
        adapter,
        rate_limits=RateLimits(store=failing),
        verifications=SecondaryVerifications(other),
    )

    with pytest.raises(StorageUnavailable):
        await auth.close()

    assert (failing.closed, other.closed, adapter.closed) == (1, 1, 1)


async def test_what_is_no_storage_is_left_alone(new_auth):
    """A store of the application's own may call anything its storage."""
    auth = new_auth(sessions=Wrapping("/var/lib/sessions"))

    await auth.close()

    assert auth.instance.options.rate_limits.store is None


@pytest.mark.redis
async def test_redis_may_be_closed_twice(new_auth, redis_url):
    """By the instance and by whoever made it; the next call connects again."""
    storage = RedisStorage(redis_url, prefix=f"test_{token_hex(4)}:")
    auth = new_auth(verifications=SecondaryVerifications(storage))
    await storage.set("a", "1", ttl=60)

    await auth.close()
    await storage.close()
    await auth.close()

    assert await storage.get("a") == "1"
    await storage.close()
