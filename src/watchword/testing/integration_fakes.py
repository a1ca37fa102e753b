"""What the integration suite plays with: a clock, a database, an endpoint and a browser."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from watchword import Plugin
from watchword.adapters.memory import MemoryAdapter
from watchword.concurrency import sleep
from watchword.engine.context import Context
from watchword.engine.endpoint import get
from watchword.errors import StorageUnavailable
from watchword.http.messages import Response
from watchword.storage.contract import Record
from watchword.storage.query import Where
from watchword.testing.integration_clients import HeaderLines, IntegrationClient, Reply
from watchword.testing.modes import PATIENCE

__all__ = ["BASE", "JSON", "ORIGIN", "PASSWORD", "Echo", "SuiteClock", "SuiteDatabase", "Visitor"]

BASE: Final = "/api/auth"
ORIGIN: Final = "http://localhost:8000"
JSON: Final = ("content-type", "application/json")
PASSWORD: Final = "difference-engine"


class SuiteClock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 17, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


class SuiteDatabase(MemoryAdapter):
    """Memory that counts reads, can be unplugged, and lets readers wait for one another."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.is_down = False
        self.crowd = 0
        """Reads begin to be answered when there were so many."""
        self.patience = PATIENCE / 6

    async def find_many(
        self, model: str, where: Where | None = None, **options: Any
    ) -> list[Record]:
        """Return rows as the memory does, when it is time."""
        self.reads.append(model)
        if self.is_down:
            raise StorageUnavailable("unplugged", retryable=False)
        waited = 0.0
        while len(self.reads) < self.crowd:
            if waited > self.patience:
                self.crowd = 0
                raise TimeoutError("requests wait for one another instead of running together")
            await sleep(0.001)
            waited += 0.001
        return await super().find_many(model, where, **options)


class Echo(Plugin):
    """Tells what arrived."""

    id = "integration-suite"

    @get("/suite/echo")
    async def echo(self, ctx: Context) -> Response:
        """Return the request as the endpoints see it, with one header twice."""
        request = ctx.request
        response = Response.json(
            {
                "path": request.path,
                "query": request.query_string,
                "headers": dict(request.headers),
                "address": request.client_address,
            }
        )
        response.add_header("x-suite", "caf\xe9")
        response.add_header("x-suite", "\xff")
        return response


@dataclass
class Visitor:
    """A browser with a page of the application: it names its origin and keeps its cookies."""

    client: IntegrationClient
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, target: str, *headers: tuple[str, str]) -> Reply:
        """Read."""
        return await self._send("GET", target, headers)

    async def post(self, path: str, body: Any, *headers: tuple[str, str]) -> Reply:
        """Send a body to an endpoint: JSON, unless it is bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = headers or (JSON, ("origin", ORIGIN))
        return await self._send("POST", BASE + path, lines, raw)

    async def sign_up(self, email: str = "ada@example.org", **changes: Any) -> Reply:
        """Sign somebody up."""
        body = {"name": "Ada", "email": email, "password": PASSWORD, **changes}
        return await self.post("/sign-up/email", body)

    async def session(self) -> Any:
        """Ask the endpoint who is signed in."""
        return (await self.get(f"{BASE}/get-session")).json

    async def _send(
        self, method: str, target: str, headers: HeaderLines, body: bytes = b""
    ) -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [*headers, ("cookie", cookie)] if cookie else headers
        reply = await self.client.send(method, target, headers=lines, body=body)
        assert reply is not None
        for line in reply.values("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if "max-age=0" not in line.lower():
                self.cookies[name] = value
        return reply
