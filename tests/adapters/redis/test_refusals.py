"""What Redis forgets, and what it refuses: the error says which, and the next calls work."""

import traceback
from typing import Final

import pytest

from watchword.errors import InvalidValue, StorageError, StorageUnavailable

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("redis-adapters")]

HASTY: Final = 0.2


class TestForgets:
    """Redis may forget everything at any time."""

    async def test_everything(self, storage, server):
        """What was kept is absent, and counters begin anew."""
        await storage.set("a", "1", ttl=60)
        await storage.increment("b", window=60)
        with server.client() as client:
            client.flushall()

        assert await storage.get("a") is None
        assert (await storage.increment("b", window=60)).value == 1

    async def test_its_scripts(self, storage, server):
        """They are sent again, and nobody notices."""
        await storage.set("a", "1", ttl=60)
        for turn in range(3):
            with server.client() as client:
                client.script_flush()

            assert (await storage.increment("b", window=60)).value == turn + 1
            assert await storage.compare_and_set("a", str(turn + 1), str(turn + 2), ttl=60)

    async def test_what_was_used_least(self, storage, server, calls):
        """A full one that may forget takes every value, and no call fails."""
        with server.client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", client.info("memory")["used_memory"] + 2_000_000)

            for it in range(400):
                await storage.set(str(it), "x" * 10_000, ttl=60)

            assert 0 < client.dbsize() < 400
        await calls.work(storage)


WRITES: Final = ("set", "set_if_absent", "compare_and_set", "increment")


class TestRefuses:
    """A server that says no."""

    async def test_no_memory_is_left(self, storage, server, calls):
        """Nothing was written; what is there is still read, and deleted."""
        await storage.set("a", "1", ttl=60)
        with server.client() as client:
            client.config_set("maxmemory", 1)

            assert [it.retryable for it in await calls.fail(storage, *WRITES)] == [True] * 4

            assert await storage.get_and_delete("a") == "1"
            client.config_set("maxmemory", 0)
        await calls.work(storage)

    async def test_a_replica_that_takes_no_writes(self, storage, server, calls):
        """As in the middle of a failover."""
        await storage.set("a", "1", ttl=60)
        with server.client() as client:
            client.replicaof("127.0.0.1", 1)

            names = (*WRITES, "delete", "get_and_delete")
            assert [it.retryable for it in await calls.fail(storage, *names)] == [True] * 6

            client.replicaof("NO", "ONE")
        await calls.work(storage)

    @pytest.mark.parametrize("password", ["", ":wr%40ng-s3cret@", "ada:wr%40ng-s3cret@"])
    async def test_a_password(self, open_storage, server, password, calls):
        """The error says so, and not which one was tried; the right one is let in."""
        server.kill()
        server.start("--requirepass", "p@ss:word")
        storage = open_storage(f"redis://{password}127.0.0.1:{server.port}", timeout=30)

        for failure in await calls.fail(storage):
            assert "password" in str(failure)
            assert "s3cret" not in "".join(traceback.format_exception(failure))
        right = open_storage(f"redis://:p%40ss%3Aword@127.0.0.1:{server.port}", timeout=30)
        await calls.work(right)

    async def test_a_command_that_is_not_permitted(self, open_storage, server, calls):
        """By an access list; it is no outage."""
        with server.client() as client:
            client.acl_setuser("ada", enabled=True, nopass=True, keys="*", commands=["+get"])
        storage = open_storage(f"redis://ada:x@127.0.0.1:{server.port}", timeout=30)

        assert await storage.get("a") is None
        for call in [it for name, it in calls.of(storage).items() if name != "get"]:
            with pytest.raises(StorageError, match="permit") as failure:
                await call()
            assert not isinstance(failure.value, StorageUnavailable)

    async def test_something_else_under_a_key(self, storage, server, calls):
        """A list of the application's, or bytes that are no text."""
        with server.client() as client:
            client.lpush("watchword:a", "1")
            client.set("watchword:b", b"\xff", px=60_000)

        for name in ("get", "get_and_delete", "compare_and_set"):
            with pytest.raises(StorageError, match="something else"):
                await calls.of(storage)[name]()
        with pytest.raises(StorageError, match="something else"):
            await storage.increment("a", window=60)
        with pytest.raises(StorageError, match="something else"):
            await storage.get("b")
        with pytest.raises(InvalidValue):
            await storage.increment("b", window=60)
        assert await storage.delete("a") is True

    async def test_an_older_server(self, storage, server):
        """The error names the version, and not the key, which the server repeats."""
        server.kill()
        server.start("--rename-command", "GETDEL", "")

        with pytest.raises(StorageError, match=r"6\.2") as failure:
            await storage.get_and_delete("s3cret")

        assert "s3cret" in str(failure.value.__cause__)
        assert "s3cret" not in str(failure.value)


class TestTLS:
    """A server that is asked who it is."""

    async def test_a_certificate(self, open_storage, tls_server, calls):
        """One that is trusted is; the others are not sent a password."""
        port, certificate = tls_server
        trusting = open_storage(
            f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}", timeout=30
        )
        asking = open_storage(f"rediss://127.0.0.1:{port}", timeout=30)

        await calls.work(trusting)
        assert {it.retryable for it in await calls.fail(asking)} == {True}

    async def test_a_server_that_hangs(self, open_storage, tls_server, server, calls):
        """Each call ends, on an open connection and while one is made."""
        port, certificate = tls_server
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"
        opened = open_storage(url, timeout=HASTY * 5)
        await calls.work(opened)

        with server.stopped():
            await calls.fail(opened, "get")
            await calls.fail(open_storage(url, timeout=HASTY), "get")

        await calls.work(opened)
