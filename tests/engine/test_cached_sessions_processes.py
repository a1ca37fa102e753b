"""Processes that share a database and Redis: what one has changed, none sees as it was."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest

from watchword import BlockingWatchword, EmailPassword, RateLimits

WORKER: Final = Path(__file__).with_name("revoking.py")
WORKERS: Final = 8 if "WATCHWORD_SOAK" in os.environ else 4
ROUNDS: Final = 200 if "WATCHWORD_SOAK" in os.environ else 15
PASSWORD: Final = "difference-engine"
CHANGES: Final = {
    "sign-out": ("/sign-out", {}),
    "revocation": ("/revoke-sessions", {}),
    "new name": ("/update-user", {"name": "Countess"}),
    "new password": (
        "/change-password",
        {
            "currentPassword": PASSWORD,
            "newPassword": "analytical-engine",
            "revokeOtherSessions": True,
        },
    ),
}

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, pytest.mark.redis]


class Worker:
    """A process, and what it is told."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, do: str, **words: Any) -> None:
        """Say what to do."""
        self.process.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait for the answer."""
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def workers(postgresql_database, redis_url) -> Iterator[list[Worker]]:
    """Processes of one application."""
    prefix = f"test-{token_hex(6)}:"
    workers = [Worker(postgresql_database, redis_url, prefix) for _ in range(WORKERS)]
    yield workers
    for it in workers:
        it.close()


@pytest.fixture
def auth(postgresql_database, cheap_passwords) -> Iterator[BlockingWatchword]:
    """The application without a cache, which signs people up."""
    auth = BlockingWatchword(
        postgresql_database,
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        email_password=EmailPassword(),
        passwords=cheap_passwords,
        rate_limits=RateLimits(enabled=False),
    )
    auth.create_tables()
    yield auth
    auth.close()


@pytest.fixture
def sign_up(auth, new_browser, run):
    """Sign somebody up; return the cookie."""

    class Blocking:
        async def handle(self, request):
            return auth.handle(request)

        async def drain(self):
            auth.drain()

    async def sign_up() -> str:
        browser = new_browser(Blocking())
        await browser.sign_up(email=f"{token_hex(6)}@example.org", password=PASSWORD)
        [pair] = browser.cookies.items()
        return "=".join(pair)

    return sign_up


@pytest.mark.never_loop
@pytest.mark.parametrize("change", CHANGES)
async def test_no_read_that_begins_after_a_change_sees_what_was_before(workers, sign_up, change):
    """In no process, while all of them read and copy without end."""
    path, body = CHANGES[change]
    reads = 0

    for number in range(ROUNDS):
        writer = workers[number % WORKERS]
        readers = [it for it in workers if it is not writer]
        cookie = await sign_up()
        for it in readers:
            it.tell("read", cookie=cookie, old="Ada")
        assert [it.hear() for it in readers] == [{}] * len(readers)
        writer.tell("change", cookie=cookie, method="POST", path=path, body=body)
        done_at = writer.hear()["done_at"]
        for it in readers:
            it.tell("stop")
        seen = [it.hear() for it in readers]
        reads += sum(it["reads"] for it in seen)
        assert [it["last_old"] - done_at for it in seen if it["last_old"] > done_at] == []

    assert reads > ROUNDS * (WORKERS - 1)
