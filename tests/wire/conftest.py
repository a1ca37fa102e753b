"""A server for the JavaScript client: instances to tell stories about, their mail, their clock."""

import asyncio
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

import pytest
import uvicorn

from watchword import (
    AccountOptions,
    ChangeEmail,
    CookieCache,
    CookieOptions,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    Field,
    Mail,
    RateLimit,
    RateLimits,
    SessionOptions,
    UserOptions,
    Watchword,
)
from watchword.adapters.memory import MemoryAdapter
from watchword.clock import utc_now
from watchword.crypto.passwords import Passwords
from watchword.integrations.asgi import ASGIHandler
from watchword.plugins.username import Username

SECRET: Final = "correct-horse-battery-staple-0123456789"
# How long a story waits for a mail that should be there, and a start takes at most.
PATIENCE: Final = 10

# Base path to settings; `client/published.mjs` has the same for the published server.
OFF: Final = RateLimits(enabled=False)
CACHED: Final[dict[str, Any]] = {
    "/cached/auth": "compact",
    "/cached-jwt/auth": "jwt",
    "/cached-jwe/auth": "jwe",
}
INSTANCES: Final[dict[str, dict[str, Any]]] = {
    "/api/auth": {
        "email_password": EmailPassword(),
        "email_verification": EmailVerification(),
        "user": UserOptions(
            additional_fields={
                "plan": Field("string", required=False),
                "role": Field("string", required=False, input=False, default="member"),
                "rank": Field("string", required=False, input=False),
                "note": Field("string", required=False, returned=False),
            },
            change_email=ChangeEmail(),
            delete_user=DeleteUser(),
        ),
        "session": SessionOptions(
            additional_fields={
                "theme": Field("string", required=False),
                "level": Field("string", required=False, input=False),
            }
        ),
    },
    "/strict/auth": {
        "email_password": EmailPassword(require_email_verification=True),
        "email_verification": EmailVerification(send_on_sign_in=True, auto_sign_in=True),
        "user": UserOptions(
            change_email=ChangeEmail(confirm_with_old_address=True),
            delete_user=DeleteUser(confirm_by_mail=True),
        ),
    },
    "/quiet/auth": {"email_password": EmailPassword(auto_sign_in=False)},
    "/bare/auth": {"email_password": EmailPassword(), "mail": None},
    "/closed/auth": {},
    "/deferred/auth": {
        "email_password": EmailPassword(),
        "session": SessionOptions(defer_refresh=True),
        "account": AccountOptions(allow_unlinking_all=True),
    },
    "/limited/auth": {
        "email_password": EmailPassword(),
        "rate_limits": RateLimits(rules=[RateLimit("/get-session", window=60, max=5)]),
    },
    "/prompt/auth": {
        "email_password": EmailPassword(min_password_length=4, max_password_length=20),
        "email_verification": EmailVerification(send_on_sign_up=True),
        "user": UserOptions(change_email=ChangeEmail(unverified_at_once=True)),
        "session": SessionOptions(
            expires_in=timedelta(hours=1), update_age=timedelta(), fresh_age=timedelta()
        ),
    },
    "/paths/auth": {
        "email_password": EmailPassword(sign_up=False),
        "ignore_trailing_slash": True,
        "disabled_paths": ["/sign-in/email"],
        "error_url": "/problem?of=mine",
    },
    "/shared/auth": {
        "email_password": EmailPassword(),
        "cookies": CookieOptions(prefix="shop", domain="example.com"),
        "trusted_origins": [
            "https://app.example.com",
            "http://localhost:3000",
            "https://*.example.org",
            "*.example.net",
            "https://shop-?.example.com",
            "myapp://",
            "other://host/path",
        ],
    },
    **{
        path: {
            "email_password": EmailPassword(),
            "session": SessionOptions(cookie_cache=CookieCache(strategy=strategy)),
        }
        for path, strategy in CACHED.items()
    },
    "/named/auth": {"email_password": EmailPassword(), "plugins": [Username()]},
    "/fixed/auth": {
        "email_password": EmailPassword(require_email_verification=True),
        "email_verification": EmailVerification(send_on_sign_in=True),
        "plugins": [
            Username(
                min_username_length=2,
                max_username_length=8,
                username_normalization=lambda name: name.strip().lower(),
                validate_normalized_username=True,
                display_username_validator=lambda shown: "!" not in shown,
                immutable_username=True,
            )
        ],
    },
}


@dataclass
class Clock:
    """Goes like any other, and is put forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        """Tell the time."""
        return utc_now() + self.ahead


class Letterbox:
    """Keeps the mail to each address until it is read."""

    def __init__(self) -> None:
        self._mails: dict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)

    async def deliver(self, mail: Mail) -> None:
        """Take a mail."""
        await self._mails[mail.to].put(
            {
                "purpose": mail.purpose,
                "to": mail.to,
                "url": mail.url,
                "token": mail.token,
                "newEmail": mail.new_email,
            }
        )

    async def next(self, to: str) -> dict[str, Any]:
        """Return the next mail to an address, as soon as it is there."""
        return await asyncio.wait_for(self._mails[to].get(), PATIENCE)

    def unread(self, to: str) -> int:
        """Count the mails to an address that nobody has read."""
        return self._mails[to].qsize()


@dataclass
class Site:
    """An ASGI application: the instances, and beside them what a test wants to know and do."""

    instances: dict[str, Watchword]
    letters: Letterbox
    clock: Clock
    handlers: dict[str, ASGIHandler] = field(init=False)

    def __post_init__(self) -> None:
        self.handlers = {f"{path}/": ASGIHandler(it) for path, it in self.instances.items()}

    async def __call__(self, scope, receive, send) -> None:
        """Answer one request, or follow the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._follow_lifespan(receive, send)
            return
        path = scope["path"]
        handler = next((it for base, it in self.handlers.items() if path.startswith(base)), None)
        if handler is not None:
            await handler(scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode())
        body = json.dumps(await self._own(scope["method"], path, query)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def _own(self, method: str, path: str, query: dict[str, list[str]]) -> Any:
        if path == "/clock":
            seconds = timedelta(seconds=float(query.get("seconds", ["0"])[0]))
            self.clock.ahead = timedelta() if method == "DELETE" else self.clock.ahead + seconds
            return None
        [to] = query["to"]
        return self.letters.unread(to) if path == "/unread" else await self.letters.next(to)

    async def _follow_lifespan(self, receive, send) -> None:
        await receive()
        for auth in self.instances.values():
            await auth.create_tables()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for auth in self.instances.values():
            await auth.close()
        await send({"type": "lifespan.shutdown.complete"})


def new_site(origin: str, new_database: Callable[[str], Any]) -> Site:
    """Make every instance, each with a database of its own."""
    letters, clock = Letterbox(), Clock()
    shared = {
        "secret": SECRET,
        "base_url": origin,
        "mail": letters.deliver,
        "rate_limits": OFF,
        "passwords": Passwords(memory_kib=8, iterations=1),
        "clock": clock,
    }
    instances = {
        path: Watchword(new_database(path), base_path=path, **{**shared, **settings})
        for path, settings in INSTANCES.items()
    }
    return Site(instances, letters, clock)


@pytest.fixture(scope="session")
def settings_of() -> Callable[[str], dict[str, Any]]:
    """The settings of an instance, by its base path; calls are counted where it says so."""
    return lambda path: {"rate_limits": OFF, **INSTANCES[path]}


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def origin(request, tmp_path_factory) -> Iterator[str]:
    """Where a server with every instance runs: in memory, and on SQLite."""
    folder = tmp_path_factory.mktemp("wire")

    def new_database(path: str) -> Any:
        if request.param == "memory":
            return MemoryAdapter()
        return f"sqlite+aiosqlite:///{folder}/{path.split('/')[1]}.db"

    listener = socket.create_server(("127.0.0.1", 0))
    # Answers go out in two writes; asyncio sets this only for sockets that it made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    origin = f"http://localhost:{listener.getsockname()[1]}"
    config = uvicorn.Config(new_site(origin, new_database), lifespan="on", log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield origin
    server.should_exit = True
    thread.join(PATIENCE)
    listener.close()
    assert not thread.is_alive()
