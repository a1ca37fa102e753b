"""What a storage in Redis can be made from, and what is refused when it is made."""

import asyncio
import subprocess
import sys
import traceback

import pytest
import redis
import redis.asyncio
import redis.cache
import redis.sentinel

from watchword.adapters.redis import RedisStorage
from watchword.concurrency import run_blocking
from watchword.errors import ConfigurationError, StorageError
from watchword.storage.secondary import SecondaryStorage

URL = "redis://127.0.0.1:6379"
UNREADABLE = (
    *("", "s3cret", "http://:s3cret@localhost", "redis://:s3cret@localhost:65536999"),
    *("redis://:s3cret@localhost:x", "redis://localhost?db=s3cret", "redis:/s3cret"),
    *("redis://localhost?s3cret=1", "redis://[s3cret", "redis+cluster://localhost?s3cret=1"),
    *("redis://localhost?socket_read_size=s3cret", "unix:///s3cret"),
)


class Unopened(redis.RedisCluster):
    """A client of a cluster that was not asked for its nodes."""

    def __init__(self, **settings) -> None:
        vars(self).update(settings)

    def get_connection_kwargs(self):
        """Return what its nodes are connected with."""
        return {"socket_timeout": 1}

    def __del__(self) -> None:
        """Close nothing."""


class TestURL:
    """A URL is read when the storage is made, and nothing is connected."""

    @pytest.mark.parametrize("url", UNREADABLE)
    def test_a_url_that_cannot_be_read(self, url):
        """The error shows how to write it, and no part of it: any may be of a password."""
        with pytest.raises(ConfigurationError, match="cannot be read") as refusal:
            RedisStorage(url)

        assert "s3cret" not in str(refusal.value)
        assert refusal.value.__cause__ is None
        printed = "".join(traceback.format_exception_only(refusal.value))
        assert "s3cret" not in printed

    @pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+cluster", "rediss+cluster"])
    def test_it_works_with_a_loop_and_without(self, scheme):
        """So that one setting serves a server and a script."""
        storage = RedisStorage(f"{scheme}://ada:s3cret@localhost:1")

        assert isinstance(storage, SecondaryStorage)
        assert storage.needs_loop is False
        assert "s3cret" not in repr(storage)

    def test_a_cluster_has_no_databases(self):
        """The number would be ignored."""
        with pytest.raises(ConfigurationError, match="no numbered databases"):
            RedisStorage("redis+cluster://localhost/1")

    def test_no_time_is_refused(self):
        """Every call would be late."""
        with pytest.raises(ConfigurationError, match="no time"):
            RedisStorage(URL, timeout=0)

    def test_what_is_no_redis_is_refused(self):
        """The error says what to pass."""
        with pytest.raises(ConfigurationError, match="A dict is no Redis"):
            RedisStorage({})

    def test_without_the_extra(self):
        """The error names the line that installs it."""
        program = "import sys; sys.modules['redis'] = None; import watchword.adapters.redis"

        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )

        assert run.stderr.endswith('hint: pip install "watchword[redis]"\n')


class TestClients:
    """A client has to keep the promises too."""

    def test_what_needs_a_loop_says_so(self):
        """A blocking program can refuse it."""
        blocking = redis.Redis(socket_timeout=1)

        assert RedisStorage(blocking).needs_loop is False
        assert RedisStorage(redis.asyncio.Redis()).needs_loop is True

    def test_one_that_waits_for_ever(self):
        """A hanging server would hold its threads."""
        with pytest.raises(ConfigurationError, match="wait for ever"):
            RedisStorage(redis.Redis(socket_timeout=None))

    def test_one_that_reads_what_was_replaced(self):
        """From replicas, or from a cache."""
        replica = redis.sentinel.Sentinel([("localhost", 1)]).slave_for("x", socket_timeout=1)
        cached = redis.Redis(protocol=3, cache_config=redis.cache.CacheConfig(), socket_timeout=1)
        nodes = redis.asyncio.RedisCluster("localhost", 1)
        nodes.read_from_replicas = True
        behind = Unopened(read_from_replicas=True)

        for client in (replica, cached, nodes, behind):
            with pytest.raises(ConfigurationError, match="may be behind"):
                RedisStorage(client)

    def test_one_of_another_loop(self, redis_url):
        """Its connections belong to the loop on which it was used first."""
        client = redis.asyncio.Redis.from_url(redis_url)
        storage = RedisStorage(client)

        async def use():
            await storage.get("a")
            await client.aclose()

        asyncio.run(use())
        with pytest.raises(ConfigurationError, match="another event loop"):
            asyncio.run(use())

    def test_one_that_needs_a_loop_without_one(self):
        """The error says what to exchange."""
        storage = RedisStorage(redis.asyncio.Redis())

        with pytest.raises(ConfigurationError, match="needs an event loop"):
            run_blocking(storage.get("a"))

    async def test_one_that_was_passed_in_stays_open(self, redis_url):
        """Its owner closes it."""
        with redis.Redis.from_url(redis_url, socket_timeout=30) as client:
            connection = client.connection_pool.get_connection()
            client.connection_pool.release(connection)

            await RedisStorage(client).close()

            assert connection.is_connected


def port_of(client, key) -> int:
    """Return the port of the node that has a key of a storage."""
    return client.get_node_from_key(f"watchword:{key}").port


class TestKeys:
    """What the keys are called in Redis."""

    async def test_a_prefix(self, redis_url, run):
        """It stands before the key, whose tag chooses the node of a cluster."""
        storage = RedisStorage(redis_url, prefix="shop:", timeout=30)
        with redis.Redis.from_url(redis_url) as client:
            await storage.set("{ada}:1", "x", ttl=60)

            assert client.get("shop:{ada}:1") == b"x"

            await storage.delete("{ada}:1")
        await storage.close()

    async def test_a_tag_chooses_the_node(self, cluster):
        """Keys of one tag are together, others are where they fall."""
        storage = RedisStorage(f"redis+cluster://127.0.0.1:{cluster[0].port}", timeout=30)
        names = [f"{{ada}}:{it}" for it in range(20)]
        for it in names:
            await storage.set(it, "x", ttl=60)

        found = []
        for node in cluster:
            with node.client() as client:
                found.append(
                    sum(client.keys("*").count(f"watchword:{it}".encode()) for it in names)
                )

        assert sorted(found) == [0, 0, 20]
        await storage.close()

    async def test_a_cluster_taken_for_a_server(self, cluster):
        """The error says how to write the URL."""
        storage = RedisStorage(cluster[0].url, timeout=30)
        with redis.RedisCluster("127.0.0.1", cluster[0].port) as client:
            keys = (f"{it}" for it in range(1000))
            elsewhere = next(it for it in keys if port_of(client, it) != cluster[0].port)

        with pytest.raises(StorageError, match=r"redis\+cluster://"):
            await storage.get(elsewhere)

        await storage.close()

    async def test_a_server_taken_for_a_cluster(self, redis_url):
        """The error says so."""
        storage = RedisStorage(redis_url.replace("redis://", "redis+cluster://"), timeout=30)

        with pytest.raises(StorageError, match="no cluster"):
            await storage.get("a")

        await storage.close()
