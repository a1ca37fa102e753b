"""Eight worker processes with one limit: what passes in all of them together is exactly that."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from watchword import BlockingWatchword, RateLimits

WORKER: Final = Path(__file__).with_name("counting.py")
WORKERS: Final = 8
REQUESTS: Final = 400 if "WATCHWORD_SOAK" in os.environ else 40
LIMIT: Final = 100

pytestmark = pytest.mark.slow


@pytest.fixture
def passed(postgresql_database) -> Iterator:
    """Have eight processes make requests at the same time; return how many passed in each."""
    started = []

    def passed(redis: str = "") -> list[int]:
        command = [sys.executable, str(WORKER), postgresql_database, redis]
        for _ in range(WORKERS):
            worker = subprocess.Popen(
                [*command, str(REQUESTS), str(LIMIT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.append(worker)
        assert [it.stdout.readline() for it in started] == ["ready\n"] * WORKERS
        for worker in started:
            worker.stdin.write("\n")
            worker.stdin.flush()
        told = [worker.communicate(timeout=120)[0].split() for worker in started]
        counted = [(int(passing), int(refused)) for passing, refused in told]
        assert [sum(it) for it in counted] == [REQUESTS] * WORKERS
        return [passing for passing, _ in counted]

    yield passed
    for worker in started:
        worker.kill()
        worker.communicate()


@pytest.mark.postgresql
def test_attack_as_many_guesses_as_there_are_processes_in_the_database(
    passed, postgresql_database
):
    """The table is what they share."""
    auth = BlockingWatchword(
        postgresql_database,
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        rate_limits=RateLimits(store="database"),
    )
    auth.create_tables()
    auth.close()

    assert sum(passed()) == LIMIT


@pytest.mark.postgresql
@pytest.mark.redis
def test_attack_as_many_guesses_as_there_are_processes_in_redis(passed, redis_url):
    """Redis is what they share; nobody asks the database."""
    assert sum(passed(redis_url)) == LIMIT
