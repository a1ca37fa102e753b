"""Rate limits: how often one client may call, where that is counted, and the refusal."""

from watchword.engine.rate_limit.counters import Count, Counters, MemoryCounters, RevocableCounters
from watchword.engine.rate_limit.database import RATE_LIMIT, CountersInSchema, DatabaseCounters
from watchword.engine.rate_limit.fallback import FallbackCounters, counting_breaker
from watchword.engine.rate_limit.guesses import Guess, GuessLimiter, guess_limiter_of
from watchword.engine.rate_limit.limiter import FindUser, RateLimiter, counters_of
from watchword.engine.rate_limit.rules import (
    Choose,
    CountedBy,
    PasswordGuesses,
    RateLimit,
    RateLimits,
)

__all__ = [
    "RATE_LIMIT",
    "Choose",
    "Count",
    "CountedBy",
    "Counters",
    "CountersInSchema",
    "DatabaseCounters",
    "FallbackCounters",
    "FindUser",
    "Guess",
    "GuessLimiter",
    "MemoryCounters",
    "PasswordGuesses",
    "RateLimit",
    "RateLimiter",
    "RateLimits",
    "RevocableCounters",
    "counters_of",
    "counting_breaker",
    "guess_limiter_of",
]
