"""The answer to too many requests of one client."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, TypeAlias, cast

from watchword.clock import Clock
from watchword.concurrency import Lock, call
from watchword.engine.client_address import bucket
from watchword.engine.rate_limit.counters import Counters, MemoryCounters, RevocableCounters
from watchword.engine.rate_limit.database import DatabaseCounters
from watchword.engine.rate_limit.fallback import FallbackCounters
from watchword.engine.rate_limit.refusal import refusal
from watchword.engine.rate_limit.rules import BUILT_IN, RateLimit, RateLimits, check_rules
from watchword.http.messages import Request
from watchword.storage.circuit_breaker import CircuitBreaker
from watchword.storage.store import Store

__all__ = ["FindUser", "RateLimiter", "counters_of"]

FindUser: TypeAlias = Callable[[], Awaitable[str | None]]
"""Finds the id of who is signed in; None if nobody is."""

_log = logging.getLogger("watchword")

# What a column of the database keeps, and less than a secondary storage does.
_LONGEST_KEY: Final = 255


class RateLimiter:
    """Refuses a client's requests when they are too many.

    Args:
        options: What the application wants.
        plugin_rules: Of all plugins, in their order.
        counters: Where requests are counted.

    Raises:
        ConfigurationError: The rules of plugins are no rules.
    """

    def __init__(
        self, options: RateLimits, plugin_rules: Sequence[RateLimit], counters: Counters
    ) -> None:
        check_rules(plugin_rules)
        self._options = options
        self._rules = (*options.rules, *plugin_rules, *BUILT_IN)
        self._patterns = tuple(_pattern(rule.path) for rule in self._rules)
        self._otherwise = RateLimit("/*", window=options.window, max=options.max)
        self._rule_for = lru_cache(maxsize=1024)(self._find_rule)
        self._counters = counters
        self._lock = Lock()
        self._warned = False

    async def check(
        self, request: Request, path: str, address: str | None, find_user: FindUser
    ) -> None:
        """Count a request, and refuse it if its client had as many as it may.

        A refused request does not put the end of its window off.

        Args:
            request: For `choose`.
            path: The route's, as it is declared; "*" for all that have no route, so that
                nobody fills the memory by inventing paths.
            address: The client's; None if it is not known.
            find_user: Asked only where a limit is by user.

        Raises:
            APIError: 429, with the seconds to wait.
        """
        if not self._options.enabled:
            return
        rule = self._rule_for(path)
        limit = await self._chosen(request, rule)
        if limit is None or limit.max is None:
            return
        client = await self._client(limit, address, find_user)
        if client is None:
            return
        key = f"rate:{client}|{path}"
        if limit.window != rule.window:
            # Otherwise who is given a short window could begin it, to escape the long one.
            key += f"|{limit.window:g}"
        count = await self._counters.increment(_short(key), window=limit.window)
        if count.value > limit.max:
            raise refusal(count.ends_in)

    async def _client(
        self, limit: RateLimit, address: str | None, find_user: FindUser
    ) -> str | None:
        """Return whose requests are counted together; None if that is not known."""
        user_id = await find_user() if limit.by == "user" else None
        if user_id is not None:
            return f"user:{user_id}"
        if address:
            return bucket(address)
        # In one counter for all of these, anybody could lock everybody out.
        self._warn_once()
        return None

    def _find_rule(self, path: str) -> RateLimit:
        for rule, pattern in zip(self._rules, self._patterns, strict=True):
            if pattern.fullmatch(path):
                return rule
        return self._otherwise

    async def _chosen(self, request: Request, rule: RateLimit) -> RateLimit | None:
        choose = self._options.choose
        return rule if choose is None else await call(choose, request, rule)

    def _warn_once(self) -> None:
        if self._warned:
            return
        with self._lock:
            first, self._warned = not self._warned, True
        if first:
            _log.warning(
                "rate limits do not work for clients whose address is not known; "
                "if a proxy reaches this process by a unix socket, set trusted_proxies"
            )


def counters_of(
    options: RateLimits, store: Store, clock: Clock, breaker: CircuitBreaker
) -> RevocableCounters:
    """Return where an instance counts; in memory each of these counts apart."""
    if options.store is None:
        return MemoryCounters(clock)
    if options.store == "database":
        return DatabaseCounters(store, clock)
    # `RateLimits` lets a store that only counts pass where no guesses are: nobody calls the rest.
    given = cast("RevocableCounters", options.store)
    return FallbackCounters(given, breaker, clock)


def _short(key: str) -> str:
    """Return a key that every store can keep; of long ones a digest."""
    written = key.encode()
    return key if len(written) <= _LONGEST_KEY else f"rate:{sha256(written).hexdigest()}"


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in path.split("*")), re.DOTALL)
