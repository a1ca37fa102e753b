"""Does the time of an answer tell whether an address is known? Pairs of requests, side by side.

Known and unknown addresses take turns, so that whatever else the machine does meets both. The
ratio of the medians is 1 where time tells nothing.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from secrets import token_hex

from sqlalchemy import create_engine, make_url

from watchword import EmailPassword, EmailVerification, Mail, RateLimits, Watchword
from watchword.http.messages import Request

SERVER = os.environ.get("WATCHWORD_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432")
MAIL_TAKES = 0.005
UNTIL_IT_IS_SENT = 0.04
KNOWN = "ada@example.org"
PATHS = {
    "sign-in": ("/sign-in/email", {"password": "not-the-password"}),
    "reset": ("/request-password-reset", {}),
    "resend": ("/send-verification-email", {}),
    "sign-up": ("/sign-up/email", {"name": "Ada", "password": "difference-engine"}),
}


async def slow_mail(_mail: Mail) -> None:
    """Deliver as slowly as a real server does."""
    await asyncio.sleep(MAIL_TAKES)


def request(path: str, body: dict[str, str]) -> Request:
    """Return what a browser without cookies sends."""
    return Request(
        method="POST",
        path=f"/api/auth{path}",
        headers=(("content-type", "application/json"),),
        body=json.dumps(body).encode(),
    )


async def seconds(answer: Callable[[], Awaitable[object]]) -> float:
    """Return how long an answer takes."""
    start = time.perf_counter()
    await answer()
    return time.perf_counter() - start


async def measure(auth: Watchword, name: str, pairs: int) -> tuple[float, float]:
    """Return the median seconds for a known address and for unknown ones."""
    path, body = PATHS[name]
    taken: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(pairs):
        turns = [True, False]
        random.shuffle(turns)
        for known in turns:
            email = KNOWN if known else f"{token_hex(6)}@example.org"
            asked = request(path, {**body, "email": email})
            taken[known].append(await seconds(lambda asked=asked: auth.handle(asked)))
            # As long for both, and longer than the mail takes: a processor that slept is slower.
            await asyncio.sleep(UNTIL_IT_IS_SENT)
    return statistics.median(taken[True]), statistics.median(taken[False])


async def compare(url: str, pairs: int) -> None:
    """Print a line per endpoint."""
    auth = Watchword(
        url,
        secret=token_hex(32),
        base_url="http://localhost:8000",
        email_password=EmailPassword(hide_existing_users=True),
        email_verification=EmailVerification(send_on_sign_up=True),
        mail=slow_mail,
        rate_limits=RateLimits(enabled=False),
    )
    await auth.create_tables()
    await auth.handle(request("/sign-up/email", {**PATHS["sign-up"][1], "email": KNOWN}))
    print(f"{'endpoint':10} {'known':>9} {'unknown':>9} {'ratio':>6}   medians of {pairs} pairs")
    for name in PATHS:
        await measure(auth, name, 20)
        known, unknown = await measure(auth, name, pairs)
        print(f"{name:10} {known:8.4f}s {unknown:8.4f}s {known / unknown:6.3f}", flush=True)
    await auth.close()


def main() -> None:
    """Make a database, measure on it, and drop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    pairs = parser.parse_args().pairs
    name = f"watchword_bench_{token_hex(4)}"
    admin = create_engine(
        make_url(SERVER).set(drivername="postgresql+psycopg", database="postgres"),
        isolation_level="AUTOCOMMIT",
    )
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        url = make_url(SERVER).set(drivername="postgresql+asyncpg", database=name)
        asyncio.run(compare(url.render_as_string(hide_password=False), pairs))
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    main()
