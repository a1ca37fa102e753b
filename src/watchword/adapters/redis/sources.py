"""What a storage in Redis can be made from: a URL, or a client of the package redis."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final, TypeAlias

import redis
import redis.asyncio
from redis.asyncio import connection as asyncio_connection
from redis.connection import AbstractConnection, Connection, SSLConnection, parse_url

from watchword.adapters.redis.deadlines import TimedNodePool, TimedPool
from watchword.adapters.redis.lines import (
    AsyncClusterLine,
    AsyncLine,
    BlockingClusterLine,
    BlockingLine,
    EitherLine,
    Line,
    on_one_loop,
)
from watchword.concurrency import PerLoop
from watchword.errors import ConfigurationError

__all__ = ["Redis", "Source", "open_source"]

Redis: TypeAlias = (
    "str | redis.Redis | redis.asyncio.Redis | redis.RedisCluster | redis.asyncio.RedisCluster"
)

_CONNECTIONS: Final = 50
_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "redis+cluster": "redis",
    "rediss+cluster": "rediss",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A line to Redis, and how to close what we opened for it."""

    line: Line
    close: Callable[[], Awaitable[None]]


def open_source(source: Redis, timeout: float) -> Source:
    """Return the way to Redis; nothing is connected yet.

    Raises:
        ConfigurationError: Nothing here leads to Redis, or it would break a promise.
    """
    match source:
        case str():
            return _from_url(source, timeout)
        case redis.Redis() | redis.RedisCluster():
            _check_waits(source)
            _check_is_fresh(source)
            return Source(_blocking_line(source), _leave_open)
        case redis.asyncio.Redis() | redis.asyncio.RedisCluster():
            _check_is_fresh(source)
            return Source(_async_line(source), _leave_open)
    raise ConfigurationError(
        f"A {type(source).__name__} is no Redis.",
        hint="Pass a URL such as redis://localhost:6379/0, or a Redis or RedisCluster client.",
    )


async def _leave_open() -> None:
    """Close nothing: the client is the application's."""


# --- clients -------------------------------------------------------------------------------


def _blocking_line(client: Any) -> Line:
    if isinstance(client, redis.RedisCluster):
        return BlockingClusterLine(lambda: client)
    return BlockingLine(lambda: client.connection_pool)


def _async_line(client: Any) -> Line:
    current = on_one_loop(client)
    if isinstance(client, redis.asyncio.RedisCluster):
        return AsyncClusterLine(current)
    return AsyncLine(lambda: current().connection_pool)


def _check_waits(client: Any) -> None:
    """Refuse a blocking client without a timeout: nobody can break off its waiting."""
    default = signature(AbstractConnection.__init__).parameters["socket_timeout"].default
    if client.get_connection_kwargs().get("socket_timeout", default) is None:
        raise ConfigurationError(
            "The Redis client would wait for ever for a server that hangs.",
            hint="Make it with socket_timeout=1 and socket_connect_timeout=1, or pass the URL.",
        )


def _check_is_fresh(client: Any) -> None:
    """Refuse what may answer with a value that was replaced or deleted."""
    pool = getattr(client, "connection_pool", None)
    stale = (
        getattr(client, "read_from_replicas", False),
        getattr(client, "load_balancing_strategy", None) is not None,
        getattr(pool, "cache", None) is not None,
        not getattr(pool, "is_master", True),  # of a Sentinel
    )
    if any(stale):
        raise ConfigurationError(
            "The Redis client reads from a cache or a replica, which may be behind.",
            hint="Make another one for RedisStorage, or pass the URL.",
        )


# --- URLs ----------------------------------------------------------------------------------


def _from_url(url: str, timeout: float) -> Source:
    """Read a URL. No complaint repeats a part of it: any may be a piece of a password."""
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        raise _unreadable()
    plain = f"{_SCHEMES[scheme]}://{rest}"
    settings = _settings(plain, timeout)
    if not scheme.endswith("+cluster"):
        settings.setdefault("max_connections", _CONNECTIONS)
        return _server(settings, timeout, tls=scheme == "rediss")
    if settings.pop("db", 0) != 0:
        raise ConfigurationError(
            "A cluster of Redis has no numbered databases.", hint="Leave out the number."
        )
    return _cluster(plain.partition("?")[0], settings)


def _settings(url: str, timeout: float) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]  # redis says no types
        connection_class = settings.pop("connection_class", Connection)
        settings.pop("timeout", None)
        settings.setdefault("protocol", 2)  # one step less for each new connection
        settings |= {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        # It takes what is known, and connects to nothing.
        connection_class(**{it: settings[it] for it in settings if it != "max_connections"})
    except (ValueError, TypeError, redis.RedisError):
        raise _unreadable() from None
    return settings


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "The Redis URL cannot be read.",
        hint="Write it like redis://user:password@localhost:6379/0, with rediss:// for TLS and "
        "redis+cluster:// for a cluster; in a password @ : / ? # % are "
        "%40 %3A %2F %3F %23 %25.",
    )


def _server(settings: dict[str, Any], timeout: float, *, tls: bool) -> Source:
    blocking_class = SSLConnection if tls else Connection
    async_class = asyncio_connection.SSLConnection if tls else asyncio_connection.Connection
    blocking = PerLoop(
        lambda: TimedPool(connection_class=blocking_class, timeout=timeout, **settings)
    )
    asynchronous = PerLoop(
        lambda: redis.asyncio.BlockingConnectionPool(
            connection_class=async_class, timeout=timeout, **settings
        )
    )

    async def close() -> None:
        for pool in blocking.taken():
            pool.disconnect()
        for async_pool in asynchronous.taken():
            await async_pool.disconnect()

    line = EitherLine(BlockingLine(blocking.current), AsyncLine(asynchronous.current))
    return Source(line, close)


def _cluster(url: str, settings: dict[str, Any]) -> Source:
    blocking = PerLoop(
        lambda: redis.RedisCluster(url=url, connection_pool_class=TimedNodePool, **settings)
    )
    asynchronous = PerLoop(lambda: redis.asyncio.RedisCluster.from_url(url, **settings))

    async def close() -> None:
        for client in blocking.taken():
            client.close()
        for async_client in asynchronous.taken():
            await async_client.aclose()

    line = EitherLine(
        BlockingClusterLine(blocking.current, blocking.give_up),
        AsyncClusterLine(asynchronous.current, asynchronous.give_up),
    )
    return Source(line, close)
