"""Servers that use their instance and then fork, as gunicorn does with --preload.

Prints what each child was told of somebody else, or not told at all; nothing is as it should be.
"""

import asyncio
import json
import os
import signal
import sys
import traceback

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import Pool

from watchword import BlockingWatchword, EmailPassword, RateLimits, Watchword
from watchword.crypto.passwords import Passwords
from watchword.http.messages import Request

CHILDREN = 4
READS = 20
BASE_URL = "http://localhost:8000"
SETTINGS = {
    "secret": "correct-horse-battery-staple-0123456789",
    "base_url": BASE_URL,
    "email_password": EmailPassword(),
    "passwords": Passwords(memory_kib=8, iterations=1),
    "rate_limits": RateLimits(enabled=False),
}


def request(method, path, body=None, cookie=None):
    """Return what a browser sends."""
    headers = [("origin", BASE_URL)]
    if body is not None:
        headers.append(("content-type", "application/json"))
    if cookie is not None:
        headers.append(("cookie", cookie))
    raw = b"" if body is None else json.dumps(body).encode()
    path = f"/api/auth{path}"
    return Request(
        method=method, path=path, headers=tuple(headers), body=raw, client_address="203.0.113.7"
    )


def sign_up(number):
    """Return an address that nobody has, and the request that signs it up."""
    email = f"{number}-{os.getpid()}@example.org"
    body = {"name": email, "email": email, "password": "difference-engine"}
    return email, request("POST", "/sign-up/email", body)


def signed_up(response):
    """Return the cookie of whoever was signed up."""
    if response.status != 200:
        return None
    return next(
        value.partition(";")[0] for name, value in response.headers if name == "set-cookie"
    )


def told(response):
    """Return whose session it is, or what the answer is instead."""
    if response.status != 200:
        return response.status
    found = json.loads(response.body)
    return None if found is None else found["user"]["email"]


def report(number, email, answers):
    """Print what is nobody's business."""
    wrong = [it for it in answers if it != email]
    if wrong:
        sys.stdout.write(f"{number} is told {wrong}\n")
        sys.stdout.flush()


def serve_blocking(auth, number):
    """Sign up and ask for one's own session, again and again."""
    email, message = sign_up(number)
    cookie = signed_up(auth.handle(message))
    ask = request("GET", "/get-session", cookie=cookie)
    report(number, email, [told(auth.handle(ask)) for _ in range(READS)])


async def serve(auth, number):
    """Do the same on an event loop."""
    email, message = sign_up(number)
    cookie = signed_up(await auth.handle(message))
    ask = request("GET", "/get-session", cookie=cookie)
    report(number, email, [told(await auth.handle(ask)) for _ in range(READS)])


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
            sys.stdout.write(f"a child ended with {status}\n")
            sys.stdout.flush()


def main_blocking(database):
    """Serve without an event loop."""
    opened = []
    event.listen(Pool, "connect", lambda *_: opened.append(os.getpid()))
    auth = BlockingWatchword(database, **SETTINGS)
    auth.create_tables()
    serve_blocking(auth, "parent")

    def work(number):
        serve_blocking(auth, number)
        auth.close()

    fork(work)
    fork(lambda _: auth.close())
    serve_blocking(auth, "afterwards")
    if len(opened) > 1:
        sys.stdout.write(f"the parent had to connect {len(opened)} times\n")
        sys.stdout.flush()


def main_loop(database):
    """Serve on an event loop for each process."""
    auth = Watchword(database, **SETTINGS)

    async def begin():
        await auth.create_tables()
        await serve(auth, "parent")

    async def work(number):
        await serve(auth, number)
        await auth.close()

    asyncio.run(begin())
    fork(lambda number: asyncio.run(work(number)))


def serve_once(kind, address):
    """Serve by our engine, or by one of the application's own."""
    signal.alarm(60)
    url = make_url(address)
    match kind:
        case "blocking":
            main_blocking(url)
        case "own-blocking":
            main_blocking(create_engine(url))
        case "loop":
            main_loop(url)
        case "own-loop":
            main_loop(create_async_engine(url))


def main(kinds_and_addresses):
    """Give each server a process of its own, one after another: imports are dear."""
    for kind, address in zip(kinds_and_addresses[::2], kinds_and_addresses[1::2], strict=True):
        if os.fork() == 0:
            try:
                serve_once(kind, address)
                os._exit(0)  # aiomysql's destructors complain of a loop that has ended
            except BaseException:  # noqa: BLE001 - whatever it is, the caller sees it
                traceback.print_exc()
            finally:
                os._exit(1)
        _, status = os.wait()
        if status:
            sys.stdout.write(f"{kind} ended with {status}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
