"""What goes wrong around Redis: each call ends in time, says so, and the next ones work."""

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final

import pytest
import redis
import redis.asyncio

from watchword.adapters.redis import RedisStorage
from watchword.concurrency import sleep
from watchword.errors import StorageUnavailable

pytestmark = [
    pytest.mark.redis,
    pytest.mark.xdist_group("redis-adapters"),
    pytest.mark.usefixtures("forgotten_nodes"),
]

HASTY: Final = 0.2


async def notice():
    """Let a loop look at its sockets: it was held up while the server was killed."""
    for _ in range(3):
        await sleep(0)


class TestAway:
    """A server that is not there."""

    async def test_killed_and_started_again(self, storage, server, calls):
        """While it is away nothing was sent; the first call after that works."""
        await calls.work(storage)
        server.kill()
        await notice()

        assert {it.retryable for it in await calls.fail(storage)} == {True}

        server.start()
        await calls.work(storage)

    async def test_started_again_meanwhile(self, storage, server, calls):
        """Whoever did not ask in between notices nothing but that values are gone."""
        await storage.set("a", "1", ttl=60)
        server.kill()
        server.start()
        await notice()

        assert await storage.get("a") is None
        await calls.work(storage)

    async def test_an_address_that_swallows_everything(self, open_storage, calls):
        """A firewall does; and a server whose queue is full."""
        with ExitStack() as stack:
            full = stack.enter_context(socket.socket())
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for _ in range(4):
                filling = stack.enter_context(socket.socket())
                filling.settimeout(0)
                filling.connect_ex(full.getsockname())
            storage = open_storage(f"redis://127.0.0.1:{full.getsockname()[1]}", timeout=HASTY)

            [failure] = await calls.fail(storage, "increment")

        assert failure.retryable is True

    async def test_no_such_host(self, open_storage, calls):
        """The name leads nowhere."""
        storage = open_storage("redis://no-such-host.invalid", timeout=30)

        assert {it.retryable for it in await calls.fail(storage)} == {True}

    async def test_a_server_that_never_greets(self, open_storage, server, calls):
        """It took the connection and hangs, so nothing was sent."""
        with server.stopped():
            storage = open_storage(f"redis://:secret@127.0.0.1:{server.port}", timeout=HASTY)
            [failure] = await calls.fail(storage, "increment")

        assert failure.retryable is True


class TestHangs:
    """A server that answers late."""

    async def test_every_call_ends(self, hasty, server, calls):
        """Nobody knows what was done; and no answer reaches whoever asks next."""
        await calls.work(hasty)
        await hasty.set("x", "late", ttl=60)

        with server.stopped():
            with pytest.raises(StorageUnavailable, match="in time") as first:
                await hasty.get("x")
            await calls.fail(hasty)

        assert first.value.retryable is False
        await hasty.set("y", "next", ttl=60)
        assert [await hasty.get("y") for _ in range(5)] == ["next"] * 5
        await calls.work(hasty)

    async def test_a_pause(self, hasty, storage, server, calls):
        """Of all clients, as before a failover."""
        await calls.work(hasty)
        with server.client() as client:
            client.execute_command("CLIENT", "PAUSE", 700, "ALL")

        [failure] = await calls.fail(hasty, "get_and_delete")

        assert failure.retryable is False
        await storage.get("x")  # waits for the end of it
        await storage.delete("a")
        await calls.work(hasty)

    async def test_an_answer_that_comes_by_bytes(self, open_storage, proxy, calls):
        """Each byte comes in time, and the whole answer never does."""
        storage = open_storage(f"redis://127.0.0.1:{proxy.port}", timeout=HASTY)
        await calls.work(storage)
        proxy.drips = True

        assert len(await calls.fail(storage)) == 7

        proxy.drips = False
        await calls.work(storage)

    async def test_many_steps_that_are_each_in_time(self, open_storage, proxy, calls):
        """Connecting, choosing the database and asking share one span."""
        storage = open_storage(f"redis://127.0.0.1:{proxy.port}/1", timeout=HASTY)
        proxy.delay = HASTY * 0.75

        await calls.fail(storage, "get")

        proxy.delay = 0.0
        await calls.work(storage)

    async def test_a_busy_script(self, hasty, server, calls):
        """Somebody's endless one; the server says so."""
        with server.client() as client:
            client.config_set("busy-reply-threshold", 1)
        endless = threading.Thread(target=partial(run_endless_script, server))
        endless.start()
        with server.client() as client:
            while not is_busy(client):
                pass

            [failure] = await calls.fail(hasty, "set")

            assert failure.retryable is True
            client.script_kill()
        endless.join()
        await calls.work(hasty)

    @pytest.mark.needs_loop
    async def test_a_task_that_is_cancelled(self, storage, server):
        """Its answer reaches nobody else, and its connection is not missed."""
        storage = RedisStorage(f"{server.url}?max_connections=1", timeout=30)
        await storage.set("x", "late", ttl=60)
        await storage.set("y", "next", ttl=60)

        for _ in range(3):
            with server.stopped():
                task = asyncio.ensure_future(storage.get("x"))
                for _ in range(20):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            assert task.cancelled()
            assert await storage.get("y") == "next"
        await storage.close()

    async def test_more_callers_than_connections(self, open_storage, server, race):
        """They take turns."""
        storage = open_storage(f"{server.url}?max_connections=2", timeout=30)

        results = await race(64, partial(storage.increment, "a", window=60))

        assert sorted(it.value for it in results) == list(range(1, 65))
        with server.client() as client:
            assert len(client.client_list()) <= 3


def run_endless_script(server):
    """Keep the server busy until somebody ends the script."""
    with server.client() as client, suppress(redis.ResponseError):
        client.eval("while true do end", 0)


def is_busy(client):
    """Tell whether a script runs for long."""
    try:
        client.ping()
    except redis.ResponseError:
        return True
    return False


class TestOnce:
    """What was sent is not sent again, whoever made the client."""

    async def test_a_lost_answer(self, open_storage, proxy, server):
        """It was done, and once."""
        await self._loses_an_answer(
            open_storage(f"redis://127.0.0.1:{proxy.port}", timeout=30), proxy
        )

    async def test_a_lost_answer_of_a_client(self, open_storage, proxy, server):
        """The same, though it would send again by default."""
        with redis.Redis.from_url(f"redis://127.0.0.1:{proxy.port}", socket_timeout=30) as client:
            await self._loses_an_answer(open_storage(client), proxy)

    @pytest.mark.needs_loop
    async def test_a_lost_answer_of_an_async_client(self, open_storage, proxy, server):
        """The same."""
        async with redis.asyncio.Redis.from_url(f"redis://127.0.0.1:{proxy.port}") as client:
            await self._loses_an_answer(open_storage(client, timeout=30), proxy)

    async def _loses_an_answer(self, storage, proxy):
        await storage.increment("a", window=60)
        proxy.loses_answers_to = b"EVALSHA"

        with pytest.raises(StorageUnavailable, match="lost") as failure:
            await storage.increment("a", window=60)

        assert failure.value.retryable is False
        proxy.loses_answers_to = b""
        assert (await storage.increment("a", window=60)).value == 3

    async def test_a_lost_answer_of_a_cluster(self, open_storage, small_cluster):
        """The same, though its client sends again by default."""
        proxy, _ = small_cluster
        storage = open_storage(f"redis+cluster://127.0.0.1:{proxy.port}", timeout=30)
        await storage.increment("a", window=60)
        proxy.loses_answers_to = b"EVALSHA"

        with pytest.raises(StorageUnavailable) as failure:
            await storage.increment("a", window=60)

        assert failure.value.retryable is False
        proxy.loses_answers_to = b""
        assert (await storage.increment("a", window=60)).value == 3

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    async def test_a_cluster_that_went_away(self, open_storage, small_cluster, calls):
        """Each call says so, also of a storage that never reached it; then the next ones work."""
        proxy, node = small_cluster
        url = f"redis+cluster://127.0.0.1:{proxy.port}"
        storage, late = open_storage(url, timeout=30), open_storage(url, timeout=30)
        await calls.work(storage)

        node.kill()
        await calls.fail(storage)
        assert {it.retryable for it in await calls.fail(late)} == {True}

        node.start()
        while not node.is_whole():
            pass
        await late.delete("a")
        await calls.work(late)
        await storage.delete("a")
        await calls.work(storage)

    async def test_a_cluster_that_hangs(self, open_storage, small_cluster, calls):
        """Each call ends, however many nodes could be asked; the next ones work."""
        proxy, node = small_cluster
        storage = open_storage(f"redis+cluster://127.0.0.1:{proxy.port}", timeout=HASTY)
        patient = open_storage(f"redis+cluster://127.0.0.1:{proxy.port}", timeout=30)
        await calls.work(patient)

        with node.stopped():
            await calls.fail(storage)

        await patient.get("a")
        await patient.delete("a")
        await calls.work(storage)


PROGRAM: Final = """
import os, signal, sys
from watchword.adapters.redis import RedisStorage
from watchword.concurrency import run_blocking

signal.alarm(60)
storage = RedisStorage(sys.argv[1], timeout=30)

def count(times):
    return [run_blocking(storage.increment("a", window=60)).value for _ in range(times)]

count(1)
children = []
for _ in range(3):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, repr(count(100)).encode())
        os._exit(0)
    os.close(write)
    children.append(read)
seen = count(100)
for it in children:
    with open(it) as file:
        seen += eval(file.read())
    os.wait()
print(sorted(seen) == list(range(2, 402)))
"""


def test_each_process_has_connections_of_its_own(server):
    """Nobody gets the answer to another process's question."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, server.url],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert (run.stdout, run.stderr) == ("True\n", "")


def test_each_loop_has_connections_of_its_own(server):
    """One storage serves loops one after another, several at once, and who has none."""
    storage = RedisStorage(server.url, timeout=30)
    seen = []

    async def count():
        for _ in range(50):
            seen.extend([(await storage.increment("a", window=60)).value])
        await storage.close()

    threads = [threading.Thread(target=lambda: asyncio.run(count())) for _ in range(4)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    asyncio.run(count())

    assert sorted(seen) == list(range(1, 251))
