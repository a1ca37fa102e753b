"""How a command gets to a server and its answer back: blocking or under a loop, to one or many.

Whoever sends notes it before: a command that surely was not sent may be tried again. None is
ever sent twice here, whatever a client that was passed in would do by itself.
"""

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Any, Final, Protocol, TypeAlias

from redis.connection import ConnectionPool
from redis.exceptions import RedisClusterException

from watchword.concurrency import current_loop, offload
from watchword.errors import ConfigurationError

__all__ = [
    "AsyncClusterLine",
    "AsyncLine",
    "BlockingClusterLine",
    "BlockingLine",
    "EitherLine",
    "Line",
    "Sent",
    "Words",
    "on_one_loop",
]

Words: TypeAlias = Sequence[bytes | str | int]
"""A command as it is sent, with the key of its cluster's node kept apart."""

# Before redis 5.3 a pool asked what the connection is for.
_WHAT_FOR: Final = (
    ("GET",)
    if signature(ConnectionPool.get_connection).parameters["command_name"].default
    is Parameter.empty
    else ()
)


class Sent:
    """Whether a command may have reached the server."""

    yes = False


class Line(Protocol):
    """The way to a server or a cluster."""

    needs_loop: bool
    has_all_keys: bool
    """Whether every key is at one server, so that a command may be about several."""

    async def ask(self, key: bytes, words: Words, sent: Sent) -> Any:
        """Send a command and return its answer, whose texts are bytes.

        It raises what the driver raises.
        """


class BlockingLine:
    """By a pool of blocking connections; under a loop each call has a thread.

    Args:
        pool: Returns the pool of this process.
    """

    needs_loop = False
    has_all_keys = True

    def __init__(self, pool: Callable[[], Any]) -> None:
        self._pool = pool

    async def ask(self, _key: bytes, words: Words, sent: Sent) -> Any:
        """Send a command on a connection that was alive a moment ago."""
        return await offload(self._ask, words, sent)

    def _ask(self, words: Words, sent: Sent) -> Any:
        pool = self._pool()
        connection = pool.get_connection(*_WHAT_FOR)
        try:
            sent.yes = True
            connection.send_command(*words)
            return connection.read_response(disable_decoding=True)
        finally:
            pool.release(connection)


class AsyncLine:
    """By a pool of connections that belong to one loop.

    Args:
        pool: Returns the pool of the running loop.
    """

    needs_loop = True
    has_all_keys = True

    def __init__(self, pool: Callable[[], Any]) -> None:
        self._pool = pool

    async def ask(self, _key: bytes, words: Words, sent: Sent) -> Any:
        """Send a command on a connection that was alive a moment ago."""
        pool = self._pool()
        connection = await pool.get_connection(*_WHAT_FOR)
        try:
            sent.yes = True
            await connection.send_command(*words)
            return await connection.read_response(disable_decoding=True)
        finally:
            await pool.release(connection)


# A cluster's client sends a command again after an error, except to a node that was named; that
# it was sent to the wrong one does not count, for there it was not done. One that finds no node
# any more is given up: the URL may lead to others meanwhile.


def _keep(_client: Any) -> None:
    """Give nothing up: the client is the application's."""


class BlockingClusterLine:
    """By a blocking client of a cluster; under a loop each call has a thread.

    Args:
        client: Returns the client of this process, which may connect.
        give_up: Has another one made for the next call.
    """

    needs_loop = False
    has_all_keys = False

    def __init__(self, client: Callable[[], Any], give_up: Callable[[Any], None] = _keep) -> None:
        self._client = client
        self._give_up = give_up

    async def ask(self, key: bytes, words: Words, sent: Sent) -> Any:
        """Send a command to the node that has the key."""
        return await offload(self._ask, key, words, sent)

    def _ask(self, key: bytes, words: Words, sent: Sent) -> Any:
        client = self._client()
        try:
            node = client.get_node_from_key(key)
            sent.yes = True
            return client.execute_command(*words, target_nodes=node, NEVER_DECODE=True)
        except RedisClusterException:
            self._give_up(client)
            raise


class AsyncClusterLine:
    """By a client of a cluster that belongs to one loop.

    Args:
        client: Returns the client of the running loop.
        give_up: Has another one made.
    """

    needs_loop = True
    has_all_keys = False

    def __init__(self, client: Callable[[], Any], give_up: Callable[[Any], None] = _keep) -> None:
        self._client = client
        self._give_up = give_up

    async def ask(self, key: bytes, words: Words, sent: Sent) -> Any:
        """Send a command to the node that has the key."""
        client = self._client()
        try:
            await client.initialize()
        except RedisClusterException:
            self._give_up(client)
            client = self._client()
            await client.initialize()
        node = client.get_node_from_key(key)
        sent.yes = True
        return await client.execute_command(*words, target_nodes=node, NEVER_DECODE=True)


class EitherLine:
    """One line under a loop, and another one without.

    Args:
        blocking: For who has no loop.
        asynchronous: For who has one.
    """

    needs_loop = False

    def __init__(self, blocking: Line, asynchronous: Line) -> None:
        self.has_all_keys = blocking.has_all_keys
        self._blocking = blocking
        self._asynchronous = asynchronous

    async def ask(self, key: bytes, words: Words, sent: Sent) -> Any:
        """Send a command by the line that fits."""
        line = self._blocking if current_loop() is None else self._asynchronous
        return await line.ask(key, words, sent)


def on_one_loop(client: Any) -> Callable[[], Any]:
    """Return what gives an async client, on the loop on which it was used first."""
    loops: list[object] = []

    def current() -> Any:
        loop = current_loop()
        if loop is None:
            raise ConfigurationError(
                f"{type(client).__name__} needs an event loop, but this call is blocking.",
                hint="Pass the URL, or a blocking client.",
            )
        if not loops:
            loops.append(loop)
        if loops[0] is not loop:
            raise ConfigurationError(
                "The Redis client was used on another event loop before.",
                hint="Pass the URL: each loop has connections of its own then.",
            )
        return client

    return current
