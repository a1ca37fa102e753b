"""How many sessions a second get-session reads, by where it reads them, beside a floor.

The floor is a bare ASGI handler that finds the session by one prepared join with asyncpg and
encodes the same JSON. Sessions are read from the database, from Redis beside it, from Redis
alone, and from a copy in the browser's cookie. All run under uvicorn with one worker, on the same
PostgreSQL and Redis, one after the other in turns, so that a noisy machine disturbs all alike;
the ratios are what counts.

    python bench/session_read.py [--rounds 7] [--seconds 2] [--connections 16]
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from watchword import CookieCache, EmailPassword, RateLimits, SessionOptions, Watchword
from watchword.adapters.redis import RedisStorage
from watchword.http.bodies import format_instant
from watchword.integrations.asgi import ASGIHandler
from watchword.storage.cached_sessions import CachedSessions
from watchword.storage.secondary_sessions import SecondarySessions

SECRET = "a secret that only this benchmark knows"
SERVER = os.environ.get("WATCHWORD_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432")
REDIS = os.environ.get("WATCHWORD_REDIS_URL", "redis://127.0.0.1:6379")
DATABASE = os.environ.get("BENCH_DATABASE", "")
HOUR = timedelta(hours=1)

JOIN = """
SELECT s.id, s.user_id, s.token, s.expires_at, s.ip_address, s.user_agent, s.created_at,
       s.updated_at, u.id, u.name, u.email, u.email_verified, u.image, u.created_at, u.updated_at
FROM watchword_sessions s LEFT JOIN watchword_users u ON s.user_id = u.id
WHERE s.token = $1
"""
SESSION_KEYS = (
    "id userId token expiresAt ipAddress userAgent createdAt updatedAt".split()  # noqa: SIM905
)
USER_KEYS = "id name email emailVerified image createdAt updatedAt".split()  # noqa: SIM905


def redis_storage() -> RedisStorage:
    """Return the storage of this run."""
    return RedisStorage(REDIS, prefix=f"{DATABASE.rpartition('/')[2]}:")


MODES: dict[str, Callable[[], dict[str, Any]]] = {
    "database": dict,
    "cached": lambda: {"sessions": CachedSessions(redis_storage())},
    "secondary": lambda: {"sessions": SecondarySessions(redis_storage())},
    "cookie": lambda: {"session": SessionOptions(cookie_cache=CookieCache(max_age=HOUR))},
}


def watchword_app() -> ASGIHandler:
    """Return the application that is measured."""
    return ASGIHandler(
        Watchword(
            DATABASE.replace("postgresql:", "postgresql+asyncpg:"),
            secret=SECRET,
            base_url="http://localhost",
            email_password=EmailPassword(),
            # Counted as everywhere, and never reached.
            rate_limits=RateLimits(max=1_000_000_000),
            **MODES[os.environ["BENCH_MODE"]](),
        )
    )


class Floor:
    """The least that answers the same question: no signature, no checks, no layers."""

    def __init__(self) -> None:
        self.pool: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await receive()
            self.pool = await asyncpg.create_pool(DATABASE, min_size=1, max_size=15)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        [cookie] = [value for name, value in scope["headers"] if name == b"cookie"]
        token = cookie.partition(b"=")[2].partition(b".")[0]
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(JOIN, sha256(token).hexdigest())
        values = [format_instant(it) if hasattr(it, "tzinfo") else it for it in row.values()]
        body = msgspec.json.encode(
            {
                "session": dict(zip(SESSION_KEYS, values[:8], strict=True)),
                "user": dict(zip(USER_KEYS, values[8:], strict=True)),
            }
        )
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def floor_app() -> Floor:
    """Return the application that it is measured against."""
    return Floor()


@contextmanager
def serving(app: str, database: str, mode: str = "") -> Iterator[int]:
    """Run an application under uvicorn with one worker; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "uvicorn", "--factory", f"session_read:{app}",
        "--port", str(port), "--no-access-log", "--log-level", "warning",
        "--app-dir", str(Path(__file__).parent),
    ]  # fmt: skip
    environment = {**os.environ, "BENCH_DATABASE": database, "BENCH_MODE": mode}
    process = subprocess.Popen(command, env=environment)
    try:
        wait_for(port)
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def wait_for(port: int) -> None:
    """Wait until something listens."""
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


async def request_once(port: int, head: bytes, body: bytes = b"") -> tuple[bytes, bytes]:
    """Send one request and return head and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + body)
    answer = await read_answer(reader)
    writer.close()
    return answer


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one answer that tells its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def sign_up(port: int) -> str:
    """Make a user and return their cookies."""
    email = f"{token_hex(6)}@example.org"
    body = msgspec.json.encode({"name": "Ada", "email": email, "password": "correct horse"})
    head = (
        "POST /api/auth/sign-up/email HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer, _ = await request_once(port, head.encode(), body)
    lines = [line for line in answer.decode().splitlines() if line.startswith("set-cookie: ")]
    return "; ".join(line.removeprefix("set-cookie: ").partition(";")[0] for line in lines)


async def requests_per_second(
    port: int, cookie: str, *, seconds: float, connections: int
) -> float:
    """Ask over and over, on connections that stay open."""
    request = (
        f"GET /api/auth/get-session HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
    ).encode()
    end = time.perf_counter() + seconds
    answers = 0

    async def client() -> None:
        nonlocal answers
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            writer.write(request)
            head, body = await read_answer(reader)
            if not head.startswith(b"HTTP/1.1 200") or b'"user":{' not in body:
                raise SystemExit(f"an unexpected answer: {head!r} {body!r}")
            answers += 1
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return answers / (time.perf_counter() - begin)


@contextmanager
def own_database() -> Iterator[str]:
    """Make a database and drop it afterwards."""
    name = f"watchword_bench_{token_hex(4)}"

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(urlunsplit(urlsplit(SERVER)._replace(path="/postgres")))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run(f"CREATE DATABASE {name}"))
    try:
        yield urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
    finally:
        asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


def main() -> None:
    """Measure all in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    load = {"seconds": options.seconds, "connections": options.connections}
    with own_database() as database, ExitStack() as stack:
        served = {
            mode: stack.enter_context(serving("watchword_app", database, mode)) for mode in MODES
        }
        cookies = {mode: asyncio.run(sign_up(port)) for mode, port in served.items()}
        served["bare"] = stack.enter_context(serving("floor_app", database))
        cookies["bare"] = cookies["database"]
        rounds = []
        for number in range(options.rounds + 1):
            rates = {
                mode: asyncio.run(requests_per_second(port, cookies[mode], **load))
                for mode, port in served.items()
            }
            if number == 0:
                continue  # the first round warms caches and pools
            rounds.append(rates)
            print(f"round {number}: " + "  ".join(f"{it} {n:,.0f}/s" for it, n in rates.items()))
        for mode in MODES:
            beside = [it[mode] / it["database"] for it in rounds]
            print(f"{mode}: {statistics.median(beside):.2f} of database", end="; ")
            bare = [it[mode] / it["bare"] for it in rounds]
            print(f"{statistics.median(bare):.2f} ({min(bare):.2f} to {max(bare):.2f}) of bare")
        print("aims for database beside bare asyncpg: 0.45 first, 0.70 in the end")


if __name__ == "__main__":
    main()
