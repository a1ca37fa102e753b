"""How long does a sign-in take while `migrate` changes a table of a million users?

One process signs people in, one after the other, with the code from before the migration; another
one migrates: it adds the columns, indexes and tables of two plugins, and a column becomes
required, so that every user gets a value. Before and after that the same is measured without.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from secrets import token_hex
from typing import ClassVar

from sqlalchemy import Connection, create_engine, make_url

from watchword import (
    BlockingWatchword,
    EmailPassword,
    RateLimits,
    UserOptions,
    Watchword,
)
from watchword.engine.plugin import Plugin
from watchword.http.messages import Request
from watchword.migrations import Progress
from watchword.plugins.username import Username
from watchword.schema import Field, Model

SERVER = os.environ.get("WATCHWORD_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432")
PASSWORD = "difference-engine"
SETTINGS = {
    "secret": "correct-horse-battery-staple-0123456789",
    "base_url": "http://localhost:8000",
    "email_password": EmailPassword(),
    "rate_limits": RateLimits(enabled=False),
}
BEFORE = UserOptions(additional_fields={"language": Field("string", required=False)})
AFTER = UserOptions(additional_fields={"language": Field("string", default="en")})


class TwoFactor(Plugin):
    """The tables of a second factor."""

    id = "two-factor"
    models = (
        Model(
            "two_factor",
            {
                "secret": Field("text", sealed=True),
                "user_id": Field.reference("user"),
                "failed_verification_count": Field("integer", default=0),
            },
        ),
    )
    extends: ClassVar = {"user": {"two_factor_enabled": Field("boolean", default=False)}}


# --- the process that migrates -------------------------------------------------------------


def migrate(url: str) -> None:
    """Migrate, and say how long each part took."""
    begun: dict[str, float] = {}

    def note(progress: Progress) -> None:
        begun.setdefault(progress.doing, time.perf_counter())

    auth = BlockingWatchword(url, plugins=[Username(), TwoFactor()], user=AFTER, **SETTINGS)
    auth.migrate(on_progress=note)
    ends = [*list(begun.values())[1:], time.perf_counter()]
    for (doing, start), end in zip(begun.items(), ends, strict=True):
        print(f"    {end - start:7.2f}s  {doing}")
    auth.close()


# --- the process that signs people in -------------------------------------------------------


async def sign_in(auth: Watchword, users: int) -> float:
    """Sign somebody in, and return how many seconds it took."""
    email = f"user{random.randint(1, users)}@example.org"
    request = Request(
        method="POST",
        path="/api/auth/sign-in/email",
        headers=(("content-type", "application/json"),),
        body=json.dumps({"email": email, "password": PASSWORD}).encode(),
    )
    start = time.perf_counter()
    response = await auth.handle(request)
    taken = time.perf_counter() - start
    if response.status != 200:
        raise SystemExit(f"{email} was not signed in: {response.body!r}")
    return taken


async def sign_in_while(auth: Watchword, users: int, goes_on: Callable[[], bool]) -> list[float]:
    """Sign people in, one after the other."""
    taken = []
    while goes_on():
        taken.append(await sign_in(auth, users))
    return taken


async def sign_in_for(auth: Watchword, users: int, seconds: float) -> list[float]:
    """Sign people in for a time."""
    end = time.perf_counter() + seconds
    return await sign_in_while(auth, users, lambda: time.perf_counter() < end)


async def measure(url: str, users: int, seconds: float) -> None:
    """Measure before, during and after a migration."""
    auth = Watchword(url.replace("+psycopg", "+asyncpg"), user=BEFORE, **SETTINGS)
    await sign_in_for(auth, users, 2)
    before = await sign_in_for(auth, users, seconds)
    tell("before", before)
    start = time.perf_counter()
    child = await asyncio.create_subprocess_exec(sys.executable, __file__, "--migrate", url)
    during = await sign_in_while(auth, users, lambda: child.returncode is None)
    takes = time.perf_counter() - start
    if child.returncode:
        raise SystemExit("The migration failed.")
    tell("during", during)
    after = await sign_in_for(auth, users, takes)
    tell("after", after)
    await auth.close()
    usual = max(before, after, key=len)
    print(f"migration of {users:,} users: {takes:.1f}s")
    print(f"median,  during / without: {statistics.median(during) / statistics.median(usual):.2f}")
    print(f"slowest, during / without: {max(during) / max(usual):.2f}")
    print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def tell(when: str, taken: list[float]) -> None:
    """Print a line."""
    taken = sorted(taken)
    print(
        f"{when:7} {len(taken):6,} sign-ins  median {statistics.median(taken) * 1000:6.1f} ms"
        f"  99 of 100 in {taken[len(taken) * 99 // 100] * 1000:6.1f} ms"
        f"  slowest {taken[-1] * 1000:6.1f} ms",
        flush=True,
    )


# --- a database with many people ------------------------------------------------------------


def fill(url: str, users: int) -> None:
    """Make the tables, sign one up, and copy that person."""
    auth = BlockingWatchword(url, user=BEFORE, **SETTINGS)
    auth.migrate()
    first = {"name": "Ada", "email": "user1@example.org", "password": PASSWORD}
    auth.handle(
        Request(
            method="POST",
            path="/api/auth/sign-up/email",
            headers=(("content-type", "application/json"),),
            body=json.dumps(first).encode(),
        )
    )
    auth.close()
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        copy(connection, users)


def copy(connection: Connection, users: int) -> None:
    """Let everybody have the first one's password."""
    connection.exec_driver_sql(
        f"""
        INSERT INTO watchword_users (id, name, email, email_verified, created_at, updated_at)
        SELECT gen_random_uuid(), 'Ada ' || n, 'user' || n || '@example.org', false, now(), now()
        FROM generate_series(2, {users}) n
        """
    )
    connection.exec_driver_sql(
        """
        INSERT INTO watchword_accounts
            (id, user_id, account_id, provider_id, password, created_at, updated_at)
        SELECT gen_random_uuid(), u.id, u.id::text, a.provider_id, a.password, now(), now()
        FROM watchword_users u
        CROSS JOIN (SELECT provider_id, password FROM watchword_accounts) a
        WHERE u.email <> 'user1@example.org'
        """
    )
    connection.exec_driver_sql("VACUUM ANALYZE")
    connection.exec_driver_sql("CHECKPOINT")


def main() -> None:
    """Make a database, measure on it, and drop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30, help="measured before")
    parser.add_argument("--migrate", metavar="URL", help=argparse.SUPPRESS)
    # `make bench ARGS=` are those of all benchmarks.
    given, _ = parser.parse_known_args()
    if given.migrate:
        migrate(given.migrate)
        return
    name = f"watchword_bench_{token_hex(4)}"
    server = make_url(SERVER).set(drivername="postgresql+psycopg", database="postgres")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        url = server.set(database=name).render_as_string(hide_password=False)
        fill(url, given.users)
        asyncio.run(measure(url, given.users, given.seconds))
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    main()
