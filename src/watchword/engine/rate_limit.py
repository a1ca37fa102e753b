"""How often one client may call: the rules, the counters, and the answer to too many requests."""

import logging
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from functools import lru_cache
from heapq import heappop, heappush, heapreplace
from typing import Final, Protocol, TypeAlias

from watchword.clock import Clock, utc_now
from watchword.concurrency import Lock, call
from watchword.engine.client_address import bucket
from watchword.errors import APIError, ConfigurationError
from watchword.http.messages import Request

__all__ = ["Count", "Counters", "MemoryCounters", "RateLimit", "RateLimiter", "RateLimits"]

_log = logging.getLogger("watchword")

_LONGEST_WINDOW: Final = timedelta(days=366).total_seconds()
_SHORTEST_WINDOW: Final = 0.001

# --- rules -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often one client may call each of some paths.

    Args:
        path: Below the base path, as it is declared; `*` stands for any text, slashes too.
        window: Seconds; one begins with a client's first request and lasts so long.
        max: How many requests each window has room for; None is no limit.

    Raises:
        ConfigurationError: It could never match, or never end.
    """

    path: str
    _: KW_ONLY
    window: float
    max: int | None

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ConfigurationError(
                f"The rate limit's path {self.path!r} does not begin with a slash.",
                hint="Write it below the base path, like /sign-in/email or /sign-in/*.",
            )
        _check_window(self.window)
        if self.max is not None:
            _check_max(self.max)


Choose: TypeAlias = Callable[[Request, RateLimit], Awaitable[RateLimit | None] | RateLimit | None]
"""Chooses a request's limit, `def` or `async def`, from the one that the rules give."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a counter has come to.

    Args:
        value: The requests of this window, with this one.
        ends_in: Seconds until it ends.
    """

    value: int
    ends_in: float


class Counters(Protocol):
    """Where requests are counted; one that all processes share makes their limit one."""

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a key's counter and return what it has come to, in one step.

        A counter begins with the first call and ends `window` seconds after that, whatever
        comes in between.

        Raises:
            StorageUnavailable: Nobody can tell; the request is answered 503.
        """


@dataclass(frozen=True, kw_only=True)
class RateLimits:
    """How often one client may call.

    A window is fixed: it begins with a client's first request, and when it has ended the next
    request begins another. So at most `max` requests pass in a window, and twice as many in
    any other span of its length.

    Args:
        enabled: False lets everybody call as often as they like.
        window: Seconds, for paths without a rule.
        max: Requests in that time, for each path.
        rules: The first that matches replaces those of plugins, and the built-in ones.
        choose: Has the last word on each request; None is no limit.
        store: Where requests are counted; None is the memory of this process.

    Raises:
        ConfigurationError: Something of this cannot work.
    """

    enabled: bool = True
    window: float = 10
    max: int = 100
    rules: Sequence[RateLimit] = ()
    choose: Choose | None = None
    store: Counters | None = None

    def __post_init__(self) -> None:
        _check_window(self.window)
        _check_max(self.max)
        _check_rules(self.rules)
        if self.choose is not None and not callable(self.choose):
            raise ConfigurationError(
                "The rate limits' choose cannot be called.",
                hint="Pass a function of the request and its RateLimit.",
            )
        if self.store is not None and not callable(getattr(self.store, "increment", None)):
            raise ConfigurationError(
                f"{type(self.store).__name__} has no increment(), so it cannot count.",
                hint="Pass an object that does what Counters describes.",
            )


def _check_window(window: object) -> None:
    if not isinstance(window, int | float) or not _SHORTEST_WINDOW <= window <= _LONGEST_WINDOW:
        raise ConfigurationError(
            f"A rate limit cannot have a window of {window!r}.",
            hint="Give seconds: more than zero, and no more than a year.",
        )


def _check_max(most: object) -> None:
    if not isinstance(most, int) or most < 0:
        raise ConfigurationError(
            f"A rate limit cannot let {most!r} requests pass.",
            hint="Give a whole number; 0 refuses all. A rule's max=None is no limit.",
        )


def _check_rules(rules: object) -> None:
    if not isinstance(rules, Sequence) or not all(isinstance(it, RateLimit) for it in rules):
        raise ConfigurationError(
            "The rules are no list of RateLimit.",
            hint='Write them like [RateLimit("/sign-in/*", window=60, max=5)].',
        )


_BUILT_IN: Final = (
    # Guessing passwords, and making accounts by the thousand.
    RateLimit("/sign-in*", window=10, max=3),
    RateLimit("/sign-up*", window=10, max=3),
    RateLimit("/change-password*", window=10, max=3),
    RateLimit("/change-email*", window=10, max=3),
    # With a stolen session the password itself could be guessed here.
    RateLimit("/verify-password", window=10, max=3),
    RateLimit("/delete-user", window=10, max=3),
    # Each call sends a mail, to whom the caller names.
    RateLimit("/request-password-reset", window=60, max=3),
    RateLimit("/send-verification-email", window=60, max=3),
    RateLimit("/forget-password*", window=60, max=3),
    RateLimit("/email-otp/send-verification-otp", window=60, max=3),
    RateLimit("/email-otp/request-password-reset", window=60, max=3),
)


# --- counting ----------------------------------------------------------------------------


class MemoryCounters:
    """Counts in the memory of this process, for all its threads and event loops.

    Each call costs the same few steps however many counters there are: at most two that have
    ended are dropped on the way.

    Args:
        clock: Tells the time; while it goes back, the time of all counters stands still.
        max_entries: When so many clients are being counted, the counter that ends first makes
            room for a new one: that many addresses can wear a limit off, but not the memory.
    """

    def __init__(self, clock: Clock = utc_now, *, max_entries: int = 100_000) -> None:
        if max_entries < 1:
            raise ConfigurationError(
                "MemoryCounters has no room for a counter.", hint="Give max_entries of 1 or more."
            )
        self._clock = clock
        self._read_at = clock()
        self._elapsed = timedelta(0)
        self._max_entries = max_entries
        self._windows: dict[str, _Window] = {}
        # Each key once, with the end of its window, or of an earlier one.
        self._ends: list[tuple[timedelta, str]] = []
        self._lock = Lock()

    async def increment(self, key: str, *, window: float) -> Count:
        """Add one to a key's counter and return what it has come to, in one step."""
        with self._lock:
            now = self._now()
            self._drop_some(now)
            found = self._windows.get(key)
            if found is None or found.ends_at <= now:
                found = self._begin(key, now + timedelta(seconds=window))
            found.value += 1
            return Count(found.value, (found.ends_at - now).total_seconds())

    def _now(self) -> timedelta:
        # Read under the lock: for a thread that was overtaken the clock would have gone back.
        read_at = self._clock()
        self._elapsed += max(read_at - self._read_at, timedelta(0))
        self._read_at = read_at
        return self._elapsed

    def _begin(self, key: str, ends_at: timedelta) -> "_Window":
        if key not in self._windows:
            while len(self._windows) >= self._max_entries:
                self._settle_first()
            heappush(self._ends, (ends_at, key))
        self._windows[key] = window = _Window(ends_at)
        return window

    def _drop_some(self, now: timedelta) -> None:
        # One more than a call can add, so the ended ones become fewer; all of them at once
        # would stop an event loop for a moment that everybody feels.
        for _ in range(2):
            if self._ends and self._ends[0][0] <= now:
                self._settle_first()

    def _settle_first(self) -> None:
        """Drop the counter that is noted to end first, or note when it really does."""
        noted, key = self._ends[0]
        ends_at = self._windows[key].ends_at
        if ends_at == noted:
            heappop(self._ends)
            del self._windows[key]
        else:
            heapreplace(self._ends, (ends_at, key))


@dataclass(slots=True)
class _Window:
    ends_at: timedelta
    value: int = 0


# --- refusing ----------------------------------------------------------------------------


class RateLimiter:
    """Refuses a client's requests when they are too many.

    Args:
        options: What the application wants.
        plugin_rules: Of all plugins, in their order.
        clock: Tells the time to the counters of this process.
    """

    def __init__(
        self, options: RateLimits, plugin_rules: Sequence[RateLimit], clock: Clock = utc_now
    ) -> None:
        _check_rules(plugin_rules)
        self._options = options
        self._rules = (*options.rules, *plugin_rules, *_BUILT_IN)
        self._patterns = tuple(_pattern(rule.path) for rule in self._rules)
        self._otherwise = RateLimit("/*", window=options.window, max=options.max)
        self._rule_for = lru_cache(maxsize=1024)(self._find_rule)
        self._counters = MemoryCounters(clock) if options.store is None else options.store
        self._lock = Lock()
        self._warned = False

    async def check(self, request: Request, path: str, address: str | None) -> None:
        """Count a request, and refuse it if its client had as many as it may.

        A refused request does not put the end of its window off.

        Args:
            request: For `choose`.
            path: The route's, as it is declared; "*" for all that have no route, so that
                nobody fills the memory by inventing paths.
            address: The client's; None if it is not known.

        Raises:
            APIError: 429, with the seconds to wait.
        """
        if not self._options.enabled:
            return
        if not address:
            # In one counter for all of these, anybody could lock everybody out.
            self._warn_once()
            return
        rule = self._rule_for(path)
        limit = await self._chosen(request, rule)
        if limit is None or limit.max is None:
            return
        key = f"{bucket(address)}|{path}"
        if limit.window != rule.window:
            # Otherwise who is given a short window could begin it, to escape the long one.
            key += f"|{limit.window:g}"
        count = await self._counters.increment(key, window=limit.window)
        if count.value > limit.max:
            raise _refusal(count.ends_in)

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


def _refusal(ends_in: float) -> APIError:
    seconds = str(max(1, math.ceil(ends_in)))
    return APIError.bare(
        429,
        "Too many requests. Please try again later.",
        # The first is what browser clients look for, the second what HTTP has (RFC 9110).
        headers={"x-retry-after": seconds, "retry-after": seconds},
    )


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in path.split("*")), re.DOTALL)
