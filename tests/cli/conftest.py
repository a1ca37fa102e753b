"""An application in a folder, a terminal to run commands in, and the demo with a visitor."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final
from urllib.parse import urlencode

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.cli.demo_app import DemoSite
from watchword.cli.demo_outbox import Outbox
from watchword.http.messages import Request

WARM_START: Final = (sys.executable, str(Path(__file__).with_name("warm_start.py")))
ORIGIN: Final = "http://localhost:8000"
# A start takes a part of a second; a machine under load gets this many.
PATIENCE: Final = 60


def environment() -> dict[str, str]:
    """What a command sees: nothing that a developer has set for an application of theirs."""
    return {name: it for name, it in os.environ.items() if not name.startswith("WATCHWORD_")}


# --- an application in a folder --------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder that commands run in, with the settings of an application."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WATCHWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATCHWORD_SECRET", "correct-horse-battery-staple-0123456789")
    monkeypatch.setenv("WATCHWORD_BASE_URL", ORIGIN)
    return tmp_path


@pytest.fixture
def write(here, monkeypatch) -> Iterator[Callable[[str], None]]:
    """Write the application's module, and forget it after the test."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if it])

    def write(code: str) -> None:
        (here / "shop").mkdir(exist_ok=True)
        (here / "shop" / "auth.py").write_text(code, encoding="utf-8")

    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "shop":
            del sys.modules[name]


# --- commands in processes of their own ------------------------------------------------


@dataclass
class Command:
    """A `watchword` that runs in a process of its own."""

    pid: int
    told: IO[str]
    exit_code: int | None = None

    def wait(self) -> int:
        """Return the exit code, which is negative after a signal that killed it."""
        if self.exit_code is None:
            assert self._has_ended(PATIENCE), "the command does not end"
            self.exit_code = int(self.told.readline())
            self.told.close()
        return self.exit_code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs still."""
        if self.exit_code is None and not self._has_ended(0):
            os.kill(self.pid, number)

    def _has_ended(self, within: float) -> bool:
        return bool(select.select([self.told], [], [], within)[0])


@pytest.fixture(scope="session")
def start_command() -> Iterator[Callable[..., Command]]:
    """Start `watchword` with arguments and streams, in a fork of one process that is ready."""
    ours, theirs = socket.socketpair()
    ready = subprocess.Popen(
        [*WARM_START, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment()
    )
    theirs.close()
    yield partial(_start, ours)
    ours.close()
    assert ready.wait(PATIENCE) == 0


def _start(
    ready: socket.socket,
    arguments: Sequence[str],
    streams: tuple[int, int, int],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Command:
    request = {
        "arguments": arguments,
        "folder": str(folder or Path.cwd()),
        "environment": dict(environment),
    }
    told, telling = os.pipe()
    socket.send_fds(ready, [f"{json.dumps(request)}\n".encode()], [*streams, telling])
    os.close(telling)
    lines = os.fdopen(told, encoding="utf-8")
    return Command(int(lines.readline()), lines)


@pytest.fixture
def run_command(start_command) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end, and return what it wrote."""

    def run_command(
        *arguments: str, stdin: int | None = None, stdout: int | None = None, **more
    ) -> subprocess.CompletedProcess[str]:
        with (
            Path(os.devnull).open() as nothing,
            TemporaryFile("w+", encoding="utf-8", newline="") as written,
            TemporaryFile("w+", encoding="utf-8", newline="") as errors,
        ):
            given = nothing.fileno() if stdin is None else stdin
            taken = written.fileno() if stdout is None else stdout
            ended = start_command(arguments, (given, taken, errors.fileno()), **more).wait()
            written.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(arguments, ended, written.read(), errors.read())

    return run_command


@pytest.fixture
def in_terminal(start_command) -> Callable[..., tuple[str, int]]:
    """Run a command in a terminal, and return all that is shown there, and the exit code."""

    def in_terminal(*arguments: str, answer: str = "", **more: str) -> tuple[str, int]:
        ours, theirs = os.openpty()
        given = {**os.environ, "TERM": "xterm", **more}
        command = start_command(arguments, (theirs, theirs, theirs), environment=given)
        os.close(theirs)
        if answer:
            os.write(ours, f"{answer}\n".encode())
        shown = b""
        try:
            while piece := os.read(ours, 10_000):
                shown += piece
        except OSError:  # what Linux says when the other side is closed
            pass
        os.close(ours)
        return shown.decode(), command.wait()

    return in_terminal


# --- a server of its own ---------------------------------------------------------------


@dataclass
class DevServer:
    """A running `watchword dev`."""

    command: Command
    stdout: IO[str]
    errors: Path
    output: str = ""

    @property
    def url(self) -> str:
        """Where it runs, as it says."""
        return re.search(r"runs at (\S+)", self.output)[1]

    @property
    def port(self) -> str:
        """The port of it."""
        return self.url.rpartition(":")[2]

    def end(self, signal: int) -> int:
        """Send a signal and return the exit code."""
        self.command.send_signal(signal)
        self.output += self.stdout.read()
        return self.command.wait()


@pytest.fixture
def start_server(tmp_path, start_command) -> Iterator[Callable[..., DevServer]]:
    """Start servers that are killed at the test's end; each on a free port, if none is given."""
    started: list[DevServer] = []

    def start(*options: str) -> DevServer:
        errors = tmp_path / f"errors-{len(started)}.txt"
        read, written = os.pipe()
        with Path(os.devnull).open() as nothing, errors.open("w", encoding="utf-8") as stderr:
            command = start_command(
                ("dev", *(options or ("--port", "0"))),
                (nothing.fileno(), written, stderr.fileno()),
                folder=tmp_path,
                environment=environment(),
            )
        os.close(written)
        server = DevServer(command, os.fdopen(read, encoding="utf-8"), errors)
        started.append(server)
        server.output = first_lines(server)
        if "Ctrl-C" not in server.output:
            pytest.fail(f"watchword dev did not start: {errors.read_text('utf-8')}")
        return server

    yield start
    for server in started:
        server.command.send_signal(signal.SIGKILL)
        server.command.wait()
        server.stdout.close()


def first_lines(server: DevServer) -> str:
    """Read what a server says when it starts, or all it says if it ends."""
    late = threading.Timer(PATIENCE, server.command.send_signal, [signal.SIGKILL])
    late.start()
    lines = []
    for line in server.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    late.cancel()
    return "".join(lines)


# --- the pages, without a server -------------------------------------------------------


@pytest.fixture
def new_site(clock, cheap_passwords) -> Callable[..., DemoSite]:
    """Make demos: in memory, or on an adapter."""

    def new_site(adapter: object = None, base_url: str = ORIGIN) -> DemoSite:
        return DemoSite(
            adapter or MemoryAdapter(),
            outbox=Outbox(clock=clock),
            secret="a-secret-for-the-demo-0123456789",
            base_url=base_url,
            passwords=cheap_passwords,
            clock=clock,
        )

    return new_site


@dataclass(frozen=True)
class Page:
    """A response as a browser sees it."""

    status: int
    headers: Mapping[str, str]
    html: str

    @property
    def location(self) -> str | None:
        """Where it leads."""
        return self.headers.get("location")

    @property
    def title(self) -> str:
        """The window's title."""
        return unescape(re.search("<title>(.*)</title>", self.html)[1])

    @property
    def text(self) -> str:
        """What is read, without markup."""
        return unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", self.html)))

    @property
    def alert(self) -> str | None:
        """What is announced at once."""
        found = re.search(r'<p [^>]*role="alert"[^>]*>([^<]*)</p>', self.html)
        return None if found is None else unescape(found[1])

    def input(self, name: str) -> dict[str, str]:
        """The attributes of a field."""
        [tag] = re.findall(rf'<input id="{name}"[^>]*>', self.html)
        return {key: unescape(value) for key, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}

    @property
    def hidden_fields(self) -> dict[str, str]:
        """What the page's forms send besides what is typed in."""
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.html)
        return {name: unescape(value) for name, value in found}

    @property
    def wrong_fields(self) -> set[str]:
        """The fields that are marked as wrong, each described by the alert."""
        names = re.findall(r'<input id="(\w+)"', self.html)
        wrong = {name for name in names if self.input(name)["aria-invalid"] == "true"}
        described = {
            name for name in names if "problem" in self.input(name)["aria-describedby"].split()
        }
        assert wrong == described
        return wrong


@dataclass
class Visitor:
    """A browser without scripts: it follows no redirect by itself."""

    site: DemoSite
    cookies: dict[str, str] = field(default_factory=dict)
    address: str | None = None

    async def get(self, path: str, **headers: str) -> Page:
        """Open a page."""
        return await self._send("GET", path, b"", headers)

    async def submit(self, path: str, fields: Mapping[str, str] | bytes = b"", **headers) -> Page:
        """Submit a form of the page."""
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        given = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded", **headers}
        return await self._send("POST", path, body, given)

    async def sign_up(self, **changes: str) -> Page:
        """Sign Ada up, or somebody else."""
        return await self.submit("/sign-up", {**ADA, **changes})

    async def sign_up_at(self, origin: str) -> Page:
        """Sign Ada up where the demo has another name."""
        return await self.submit("/sign-up", ADA, origin=origin)

    async def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Page:
        if self.cookies:
            pairs = (f"{name}={value}" for name, value in self.cookies.items())
            headers = {**headers, "cookie": "; ".join(pairs)}
        path, _, query = path.partition("?")
        answer = await self.site.handle(
            Request(
                method=method,
                path=path,
                query_string=query,
                headers=tuple((name.replace("_", "-"), it) for name, it in headers.items()),
                body=body,
                client_address=self.address,
            )
        )
        for name, value in answer.headers:
            if name == "set-cookie":
                self._keep(value)
        return Page(answer.status, dict(answer.headers), answer.body.decode())

    def _keep(self, cookie: str) -> None:
        name, _, value = cookie.partition(";")[0].partition("=")
        self.cookies[name] = value
        if "Max-Age=0" in cookie:
            del self.cookies[name]


ADA: Final = {"name": "Ada", "email": "ada@example.org", "password": "difference-engine"}


@pytest.fixture
def visitor(new_site) -> Visitor:
    """Somebody who was never here."""
    return Visitor(new_site())


@pytest.fixture
def new_visitor() -> type[Visitor]:
    """Send visitors to any demo."""
    return Visitor
