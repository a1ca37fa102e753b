"""The secondary storage in Redis: each call is one command, or one script."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, Final

from redis.exceptions import NoScriptError

from watchword.adapters.redis.deadlines import ending_within
from watchword.adapters.redis.lines import Sent, Words
from watchword.adapters.redis.refusals import translated
from watchword.adapters.redis.sources import Redis, open_source
from watchword.concurrency.deadlines import within
from watchword.errors import ConfigurationError, StorageError
from watchword.storage.secondary import Count, check_key, check_value, milliseconds

__all__ = ["RedisStorage"]


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        # Names the script to the server, and protects nothing.
        digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


# A script is done as a whole, and others see nothing of it before it has ended.

_COMPARE_AND_SET: Final = _Script("""\
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
return 1
""")

# The counter's end is set when it has none, so that none is ever without one.
_INCREMENT: Final = _Script("""\
local value = redis.call("INCR", KEYS[1])
local left = redis.call("PTTL", KEYS[1])
if left < 0 then
  redis.call("PEXPIRE", KEYS[1], ARGV[1])
  left = ARGV[1]
end
return {value, tonumber(left)}
""")


class RedisStorage:
    """Keeps values in Redis 6.2 or newer, in one server or in a cluster.

    Each call is one command or one script, and sent once: after a lost answer nobody knows
    whether it was done, and `StorageUnavailable` says so. The next call makes a new connection.

    Args:
        redis: `redis://user:password@host:6379/0`, `rediss://` with TLS, `redis+cluster://` or
            `rediss+cluster://` with any node of a cluster; these work under event loops and
            without one. Or a `Redis` or `RedisCluster` client of the package redis, blocking or
            of `redis.asyncio`; one of the latter stays on one loop.
        prefix: What all keys begin with. A `{tag}` in a key stays as it is, so that keys of one
            tag are on one node of a cluster.
        timeout: Seconds that connecting and each call may take in all. A blocking client that
            is passed in has timeouts of its own instead.

    Raises:
        ConfigurationError: The URL cannot be read, this is no client, or it would wait for ever
            or answer from a copy.
    """

    def __init__(self, redis: Redis, *, prefix: str = "watchword:", timeout: float = 1.0) -> None:
        if timeout <= 0:
            raise ConfigurationError(
                "RedisStorage has no time to ask Redis.", hint="Give a timeout of some seconds."
            )
        self._source = open_source(redis, timeout)
        self._prefix = prefix.encode()
        self._timeout = timeout

    def __repr__(self) -> str:
        """Show the prefix, and not how one signs in."""
        return f"RedisStorage(prefix={self._prefix.decode()!r})"

    @property
    def needs_loop(self) -> bool:
        """Whether it was made from a client of `redis.asyncio`."""
        return self._source.line.needs_loop

    async def get(self, key: str) -> str | None:
        """Return a value; None if there is none, or none any more."""
        name = self._name(key)
        return _text(await self._ask(name, ("GET", name)))

    async def get_many(self, keys: Sequence[str]) -> list[str | None]:
        """Return a value for each key, in their order; from one server in one trip."""
        if not self._source.line.has_all_keys:
            return [await self.get(key) for key in keys]
        names = [self._name(key) for key in keys]
        return [_text(it) for it in await self._ask(names[0], ("MGET", *names))]

    async def set(self, key: str, value: str, *, ttl: float) -> None:
        """Keep a value for so many seconds, in place of any other."""
        name = self._name(key)
        await self._ask(name, ("SET", name, check_value(value), "PX", milliseconds(ttl)))

    async def delete(self, key: str) -> bool:
        """Forget a value; tell whether this call did."""
        name = self._name(key)
        return bool(await self._ask(name, ("DEL", name)))

    async def get_and_delete(self, key: str) -> str | None:
        """Forget a value and return it."""
        name = self._name(key)
        return _text(await self._ask(name, ("GETDEL", name)))

    async def set_if_absent(self, key: str, value: str, *, ttl: float) -> bool:
        """Keep a value if there is none; tell whether this call did."""
        name = self._name(key)
        words = ("SET", name, check_value(value), "PX", milliseconds(ttl), "NX")
        return bool(await self._ask(name, words))

    async def compare_and_set(self, key: str, expected: str, value: str, *, ttl: float) -> bool:
        """Put a value in the place of the expected one; tell whether that was there."""
        arguments = (check_value(expected), check_value(value), milliseconds(ttl))
        return bool(await self._run(_COMPARE_AND_SET, self._name(key), arguments))

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a counter and return what it has come to."""
        arguments = (milliseconds(window),)
        value, left = await self._run(_INCREMENT, self._name(key), arguments)
        return Count(value, left / 1000)

    async def close(self) -> None:
        """Close the connections that it made on this loop, or without one.

        A call after that makes new ones.
        """
        with translated(Sent()):
            await self._source.close()

    def _name(self, key: str) -> bytes:
        return self._prefix + check_key(key)

    async def _run(self, script: _Script, name: bytes, arguments: Words) -> Any:
        parts = (1, name, *arguments)
        return await self._ask(
            name, ("EVALSHA", script.digest, *parts), otherwise=("EVAL", script.text, *parts)
        )

    async def _ask(self, name: bytes, words: Words, *, otherwise: Words = ()) -> Any:
        sent = Sent()
        with translated(sent), ending_within(self._timeout):
            return await within(self._timeout, self._asked(name, words, otherwise, sent))

    async def _asked(self, name: bytes, words: Words, otherwise: Words, sent: Sent) -> Any:
        line = self._source.line
        try:
            return await line.ask(name, words, sent)
        except NoScriptError:
            if not otherwise:
                raise
        # The server was restarted, or its scripts were flushed: it did nothing.
        sent.yes = False
        return await line.ask(name, otherwise, sent)


def _text(answer: Any) -> str | None:
    if answer is None:
        return None
    try:
        return bytes(answer).decode()
    except (TypeError, UnicodeDecodeError):
        raise StorageError("Redis has something else than a text under this key.") from None
