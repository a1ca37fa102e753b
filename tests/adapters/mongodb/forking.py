"""Uses an adapter, forks, and uses it on both sides: python forking.py <kind> <url>.

Prints what each process was told of somebody else, or not told at all; nothing is as it should
be.
"""

import asyncio
import os
import signal
import sys
from uuid import uuid4

from pymongo import AsyncMongoClient, MongoClient, monitoring

from watchword.adapters.mongodb import MongoDBAdapter
from watchword.concurrency import run_blocking
from watchword.storage.query import F, Increment
from watchword.testing.suite.models import SUITE_SCHEMA

CHILDREN = 4
READS = 20
KINDS = {
    "blocking": str,
    "own-blocking": MongoClient,
    "loop": str,
    "own-loop": AsyncMongoClient,
}


class Opened(monitoring.ConnectionPoolListener):
    """Counts the connections that this process opened."""

    count = 0

    def connection_created(self, event):
        """Count one."""
        Opened.count += 1

    def _pass_over(self, event):
        """Nobody counts it."""

    connection_ready = connection_closed = connection_check_out_started = _pass_over
    connection_check_out_failed = connection_checked_out = connection_checked_in = _pass_over
    pool_created = pool_ready = pool_cleared = pool_closed = _pass_over


def say(text):
    """Print what is wrong."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def serve(adapter, name):
    """Write a row and read it, again and again, outside of transactions and inside."""
    code = f"{name}-{os.getpid()}"
    await adapter.create("ticket", {"id": str(uuid4()), "code": code, "uses": 0})
    for _ in range(READS):
        found = await adapter.find_many("ticket", F.code == code)
        if [it["code"] for it in found] != [code]:
            say(f"{code} is told {found}")
    async with adapter.transaction():
        row = await adapter.update("ticket", F.code == code, {"uses": Increment()})
        again = await adapter.update("ticket", F.code == code, {"uses": Increment()})
    if (row["uses"], again["uses"]) != (1, 2):
        say(f"{code} counts {row} and {again}")


def fork(work):
    """Let children work, and wait for them."""
    for number in range(CHILDREN):
        if os.fork() == 0:
            signal.alarm(20)
            try:
                work(number)
                os._exit(0)
            finally:  # whatever happened: the parent's part is not the child's
                os._exit(1)
    for _ in range(CHILDREN):
        _, status = os.wait()
        if status:
            say(f"a child ended with {status}")


def main(kind, url):
    """Use it, fork, and use it."""
    signal.alarm(60)
    monitoring.register(Opened())
    adapter = MongoDBAdapter(KINDS[kind](url), name=url.rpartition("/")[2])
    adapter.bind(SUITE_SCHEMA)
    run = asyncio.run if kind.endswith("loop") else run_blocking

    async def used_and_closed(name):
        await serve(adapter, name)
        await adapter.close()

    if kind == "own-loop":  # whose client stays on the loop that used it first
        fork(lambda number: run(used_and_closed(number)))
        return
    run(serve(adapter, "parent"))
    before = Opened.count
    fork(lambda number: run(used_and_closed(number)))
    fork(lambda _: run(adapter.close()))
    run(serve(adapter, "afterwards"))
    if kind != "loop" and Opened.count != before:  # each run has a loop of its own
        say(f"the parent had to connect {Opened.count - before} times more")


if __name__ == "__main__":
    main(*sys.argv[1:])
