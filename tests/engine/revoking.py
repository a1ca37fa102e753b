"""A worker process that reads a session without end, or changes it, and tells what it has seen.

It is told what to do by lines of JSON, and answers each with another one. Readers note when the
last read began that saw what was before a change; the writer notes when its change was done.
"""

import json
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from watchword import BlockingWatchword, EmailPassword, RateLimits
from watchword.adapters.redis import RedisStorage
from watchword.crypto.passwords import Passwords
from watchword.http.messages import Request
from watchword.storage.cached_sessions import CachedSessions

THREADS = 2


def new_auth(database, redis, prefix):
    """Return an instance that reads sessions in Redis."""
    storage = RedisStorage(redis, prefix=prefix, timeout=30)
    return BlockingWatchword(
        database,
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        email_password=EmailPassword(),
        passwords=Passwords(memory_kib=8, iterations=1),
        rate_limits=RateLimits(enabled=False),
        sessions=CachedSessions(storage=storage, max_staleness=timedelta(minutes=10)),
    )


def send(auth, method, path, cookie, body=None):
    """Make a request; return the answer's body."""
    headers = [("content-type", "application/json"), ("origin", "http://localhost:8000")]
    response = auth.handle(
        Request(
            method=method,
            path=f"/api/auth{path}",
            headers=(*headers, ("cookie", cookie)),
            body=b"" if body is None else json.dumps(body).encode(),
        )
    )
    assert response.status == 200, response
    return json.loads(response.body)


def name_of(auth, cookie):
    """Read whose session it is, if it is one."""
    found = send(auth, "GET", "/get-session", cookie)
    return found and found["user"]["name"]


@dataclass
class Reader:
    """Reads one session in several threads, as long as it is told to."""

    auth: BlockingWatchword
    cookie: str
    old: str
    last_old: float = 0.0
    reads: int = 0
    goes_on: bool = True

    def start(self):
        """Begin, and go on once each thread has seen the session."""
        ready = threading.Barrier(THREADS + 1)
        self.threads = [threading.Thread(target=self._read, args=(ready,)) for _ in range(THREADS)]
        for it in self.threads:
            it.start()
        ready.wait(30)
        return {}

    def _read(self, ready):
        assert name_of(self.auth, self.cookie) == self.old
        ready.wait(30)
        while self.goes_on:
            self.look()

    def look(self):
        """Read once."""
        began_at = monotonic()
        if name_of(self.auth, self.cookie) == self.old:
            self.last_old = max(self.last_old, began_at)
        self.reads += 1

    def stop(self):
        """Read once more, and tell what was seen."""
        self.look()
        self.goes_on = False
        for it in self.threads:
            it.join(30)
        return {"last_old": self.last_old, "reads": self.reads}


def change(auth, cookie, method, path, body):
    """Make the change; tell when it was done."""
    send(auth, method, path, cookie, body)
    return {"done_at": monotonic()}


def main(database, redis, prefix):
    """Do what is told until there is nothing more."""
    auth = new_auth(database, redis, prefix)
    reader = None
    for line in sys.stdin:
        told = json.loads(line)
        match told.pop("do"):
            case "read":
                reader = Reader(auth, **told)
                answer = reader.start()
            case "stop":
                answer = reader.stop()
            case _:
                answer = change(auth, **told)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    auth.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
