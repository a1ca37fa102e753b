"""Redis keeps the contract of a secondary storage: by each client, from a URL, in a cluster."""

import os
from secrets import token_hex

import pytest
import redis
import redis.asyncio

from watchword.adapters.redis import RedisStorage
from watchword.testing import SecondaryStorageSuite

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("redis-adapters")]

PATIENT = {"socket_timeout": 30, "socket_connect_timeout": 30}


class OnRedis(SecondaryStorageSuite):
    """The ground of all: what is told past the storage."""

    __test__ = False
    rounds = 50 if "WATCHWORD_SOAK" in os.environ else 3

    @pytest.fixture
    def time_left(self, peek):
        """Ask Redis."""
        return peek.time_left

    @pytest.fixture
    def pass_time(self, peek):
        """Set the end to now."""
        return peek.end


class OnServer(OnRedis):
    """One server; its connections can be cut."""

    survives_disconnect = True

    @pytest.fixture
    def client_name(self):
        """What the storage's connections are called."""
        return f"watchword-{token_hex(4)}"

    @pytest.fixture
    def disconnect(self, peek, client_name):
        """Let the server close the storage's connections, and no others."""
        return lambda: peek.cut(client_name)


class TestURL(OnServer):
    """Made from a URL, under a loop and without one."""

    __test__ = True

    @pytest.fixture
    def storage(self, redis_url, client_name, run):
        """A storage with connections of its own; many callers wait for one."""
        storage = RedisStorage(f"{redis_url}?client_name={client_name}", timeout=30)
        yield storage
        run(storage.close())


class TestBlockingClient(OnServer):
    """Made from a blocking client, which has a thread for each call under a loop."""

    __test__ = True

    @pytest.fixture
    def storage(self, redis_url, client_name):
        """A storage on a client that decodes, which changes nothing."""
        settings = {**PATIENT, "client_name": client_name, "decode_responses": True}
        with redis.Redis.from_url(redis_url, **settings) as client:
            yield RedisStorage(client, timeout=30)


class TestAsyncClient(OnServer):
    """Made from a client that stays on one loop."""

    __test__ = True
    needs_loop = True

    @pytest.fixture
    def storage(self, redis_url, client_name, run):
        """A storage on a client that decodes, which changes nothing."""
        client = redis.asyncio.Redis.from_url(
            redis_url, decode_responses=True, client_name=client_name
        )
        yield RedisStorage(client, timeout=30)
        run(client.aclose())


class TestClusterURL(OnRedis):
    """Made from the URL of one node."""

    __test__ = True
    on_cluster = True

    @pytest.fixture
    def storage(self, cluster, run):
        """A storage with connections of its own to each node."""
        storage = RedisStorage(f"redis+cluster://127.0.0.1:{cluster[1].port}", timeout=30)
        yield storage
        run(storage.close())


class TestBlockingClusterClient(OnRedis):
    """Made from a blocking client of the cluster."""

    __test__ = True
    on_cluster = True
    never_loop = True

    @pytest.fixture
    def storage(self, cluster):
        """A storage on a client that decodes, which changes nothing."""
        with redis.RedisCluster(
            "127.0.0.1", cluster[0].port, decode_responses=True, **PATIENT
        ) as client:
            yield RedisStorage(client, timeout=30)


class TestAsyncClusterClient(OnRedis):
    """Made from a client of the cluster that stays on one loop."""

    __test__ = True
    on_cluster = True
    needs_loop = True

    @pytest.fixture
    def storage(self, cluster, run):
        """A storage on a client that decodes, which changes nothing."""
        client = redis.asyncio.RedisCluster("127.0.0.1", cluster[0].port, decode_responses=True)
        yield RedisStorage(client, timeout=30)
        run(client.aclose())
