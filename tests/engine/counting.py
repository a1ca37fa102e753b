"""A worker process that makes requests as fast as it can, and prints how many passed.

It says that it is ready, and begins when it is told to: with the others, and not before them.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import make_url

from watchword import BlockingWatchword, RateLimits
from watchword.adapters.redis import RedisStorage
from watchword.http.messages import Request

THREADS = 4
REQUEST = Request(method="GET", path="/api/auth/ok", client_address="203.0.113.7")


def new_auth(database, redis, limit):
    """Return an instance that counts in Redis if there is a URL, or else in the database."""
    # The database is new for each run, so its name tells the counters of two runs apart.
    prefix = f"{make_url(database).database}:"
    store = RedisStorage(redis, prefix=prefix) if redis else "database"
    return BlockingWatchword(
        database,
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        rate_limits=RateLimits(window=600, max=limit, store=store),
    )


def main(database, redis, requests, limit):
    """Make the requests with several threads."""
    auth = new_auth(database, redis, limit)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(auth.handle, [REQUEST] * requests))
    auth.close()
    statuses = [it.status for it in answers]
    sys.stdout.write(f"{statuses.count(200)} {statuses.count(429)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
