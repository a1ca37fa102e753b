"""Blocking connections that keep the time of the call that uses them.

A timeout of a socket is for each of its steps: a server that sends a byte now and then would
hold a caller as long as it likes.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

from redis.connection import (
    BlockingConnectionPool,
    Connection,
    ConnectionPool,
    SSLConnection,
)

__all__ = ["TimedNodePool", "TimedPool", "ending_within"]

_ends_at: ContextVar[float | None] = ContextVar("_ends_at", default=None)


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    """Let all that is done here on a timed connection be over after so many seconds."""
    token = _ends_at.set(monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def _time_left(timeout: float | None) -> float | None:
    """Return the shorter of a timeout and of what is left of the call.

    Raises:
        TimeoutError: Nothing is left.
    """
    ends_at = _ends_at.get()
    if ends_at is None or timeout == 0:  # nobody waits
        return timeout
    left = ends_at - monotonic()
    if left <= 0:
        raise TimeoutError("the time of this call is over")
    return left if timeout is None else min(left, timeout)


class _TimedSocket:
    """A socket of which each step waits no longer than its call may."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._timeout = opened.gettimeout()

    def __getattr__(self, name: str) -> Any:
        """Return what takes no time from the socket itself."""
        return getattr(self._socket, name)

    def settimeout(self, timeout: float | None) -> None:
        """Set what each step may take in any case."""
        self._timeout = timeout

    def recv(self, *args: Any) -> bytes:
        """Receive some bytes."""
        return self._in_time().recv(*args)

    def recv_into(self, *args: Any) -> int:
        """Receive some bytes into a buffer."""
        return self._in_time().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        """Send all bytes."""
        self._in_time().sendall(*args)

    def _in_time(self) -> socket.socket:
        self._socket.settimeout(_time_left(self._timeout))
        return self._socket


class _TimedConnection(Connection):
    def _connect(self) -> Any:
        self.socket_connect_timeout = _time_left(self.socket_timeout)
        return _TimedSocket(super()._connect())  # type: ignore[no-untyped-call]  # redis says no types


class _TimedSSLConnection(SSLConnection):
    def _connect(self) -> Any:
        self.socket_connect_timeout = _time_left(self.socket_timeout)
        return _TimedSocket(super()._connect())  # type: ignore[no-untyped-call]  # redis says no types


def _timed(connection_class: type[Any]) -> type[Any]:
    return _TimedSSLConnection if connection_class is SSLConnection else _TimedConnection


class TimedPool(BlockingConnectionPool):
    """Connections to one server; whoever finds none free waits for one."""

    def __init__(self, *, connection_class: type[Any] = Connection, **settings: Any) -> None:
        super().__init__(connection_class=_timed(connection_class), **settings)  # type: ignore[no-untyped-call]  # redis says no types


class TimedNodePool(ConnectionPool):
    """Connections to one node of a cluster."""

    def __init__(self, *, connection_class: type[Any] = Connection, **settings: Any) -> None:
        super().__init__(connection_class=_timed(connection_class), **settings)
