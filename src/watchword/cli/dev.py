"""`watchword dev`: a demo server with pages to sign up, to sign in and to see who is signed in."""

import errno
import os
import socket
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import anyio
import click

from watchword.auth import Watchword
from watchword.cli.console import Colour, Unable, painted, say
from watchword.cli.demo_app import DemoSite
from watchword.cli.demo_data import DemoSecret, demo_secret, shown_database
from watchword.cli.demo_database import demo_database, unusable
from watchword.cli.demo_outbox import Outbox, is_loopback
from watchword.cli.extras import require_module
from watchword.errors import ConfigurationError, StorageError
from watchword.integrations.asgi import ASGIHandler

__all__ = ["dev"]

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_DATABASE: Final = "sqlite+aiosqlite:///watchword-demo.db"
# How long a request may go on after Ctrl-C, in seconds.
_PATIENCE: Final = 3


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes one that is free.",
)
@click.option("--database", default=_DATABASE, show_default=True, help="URL of the database.")
@click.option(
    "--base-url",
    help="Where browsers reach the server, if it is not at its host and port; "
    "behind a proxy or in a container.",
)
def dev(host: str, port: int, database: str, base_url: str | None) -> None:
    """Run a demo server on your machine.

    It has pages to sign up, to sign in and to see who is signed in, and the endpoints below
    /api/auth. What it stores stays for the next start. Mail is not sent, but shown on the page
    /outbox. It is made for development: nobody else should rely on it.
    """
    require_module("uvicorn")
    kept_in = demo_database(database)
    with _listen(host, port) as listener:
        url = base_url or _base_url(listener, host)
        secret = demo_secret(database)
        site = DemoSite(
            kept_in.adapter,
            outbox=Outbox(tell=say),
            secret=secret.value,
            base_url=url,
            trusted_origins=_trusted_origins(url),
        )
        try:
            anyio.run(_prepare, site, database)
            _say_where(url, database, secret, lacks=kept_in.lacks)
            _serve(site, listener)
        except KeyboardInterrupt:
            say("\nStopped.")


# --- where it listens, and who may call --------------------------------------------------


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        listener = socket.create_server((str(address[0]), port), family=family)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigurationError(
            f"There is no host {host!r}.", hint="Use 127.0.0.1, or 0.0.0.0 for every network."
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Unable(
                f"Port {port} of {host} is in use.",
                hint="Stop what runs there, or take a free port: watchword dev --port 0",
            ) from error
        raise Unable(
            f"The server cannot listen on port {port} of {host}: {os.strerror(error.errno or 0)}.",
            hint="Choose others with --host and --port.",
        ) from error
    # asyncio sets this only for sockets that it makes: without it each answer's body waits
    # for the acknowledgement of its head, some 40 milliseconds.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _base_url(listener: socket.socket, host: str) -> str:
    """Return where a browser on this machine reaches the server."""
    address, port = listener.getsockname()[:2]
    name = "localhost" if ip_address(address).is_unspecified else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def _trusted_origins(base_url: str) -> list[str]:
    """Return the other names under which this machine, and only this machine, is reached.

    Whoever opens `localhost` instead of 127.0.0.1 is at the same server, but the browser
    names another origin.
    """
    try:
        parts = urlsplit(base_url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError as error:
        raise ConfigurationError(
            f"The base URL {base_url!r} cannot be read.",
            hint="Write it like http://localhost:8000.",
        ) from error
    if not is_loopback(parts.hostname or ""):
        return []
    return [f"{parts.scheme}://{name}{port}" for name in _LOOPBACK]


# --- running -----------------------------------------------------------------------------


async def _prepare(auth: Watchword, database: str) -> None:
    """Make the tables before the server starts, so that a bad database is one sentence."""
    try:
        await auth.create_tables()
    except StorageError as error:
        raise unusable(database, error) from error
    finally:
        await auth.close()


def _say_where(url: str, database: str, secret: DemoSecret, *, lacks: str | None) -> None:
    if secret.made is not None:
        say(f"  {painted('+', Colour.DONE)} {secret.made}")
    say(f"Watchword runs at {painted(url, Colour.PLACE)}")
    say("  pages      /sign-up  /sign-in  /account  /outbox")
    say("  endpoints  /api/auth/*")
    say(f"  database   {shown_database(database)}")
    if lacks is not None:
        say(f"             it has {lacks}")
    say(f"  secret     {secret.kept}")
    say(f"Next: open {painted(f'{url}/sign-up', Colour.PLACE)} and make an account.")
    say("Ctrl-C stops the server.")


def _serve(site: DemoSite, listener: socket.socket) -> None:
    """Answer until Ctrl-C, which goes on as KeyboardInterrupt when all is closed."""
    uvicorn = require_module("uvicorn")
    config = uvicorn.Config(
        ASGIHandler(site),
        lifespan="on",
        ws="none",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
    )
    uvicorn.Server(config).run(sockets=[listener])
