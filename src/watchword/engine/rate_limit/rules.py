"""How often one client may call: the rules, and which of them come built in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import Final, Literal, TypeAlias, get_args

from watchword.engine.rate_limit.counters import Counters
from watchword.errors import ConfigurationError
from watchword.http.messages import Request

__all__ = [
    "BUILT_IN",
    "Choose",
    "CountedBy",
    "PasswordGuesses",
    "RateLimit",
    "RateLimits",
    "check_rules",
]

CountedBy: TypeAlias = Literal["address", "user"]
"""Whose requests are counted together."""

_LONGEST_WINDOW: Final = timedelta(days=366).total_seconds()
_SHORTEST_WINDOW: Final = 0.001


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often one client may call each of some paths.

    Args:
        path: Below the base path, as it is declared; `*` stands for any text, slashes too.
        window: Seconds; one begins with a client's first request and lasts so long.
        max: How many requests each window has room for; None is no limit.
        by: Who is one client: those of one address, or the person who is signed in, from however
            many addresses. Where nobody is signed in, "user" counts by address too.

    Raises:
        ConfigurationError: It could never match, or never end, or counts by something else.
    """

    path: str
    _: KW_ONLY
    window: float
    max: int | None
    by: CountedBy = "address"

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ConfigurationError(
                f"The rate limit's path {self.path!r} does not begin with a slash.",
                hint="Write it below the base path, like /sign-in/email or /sign-in/*.",
            )
        _check_window(self.window)
        if self.max is not None:
            _check_max(self.max)
        if self.by not in get_args(CountedBy):
            raise ConfigurationError(
                f"A rate limit cannot count by {self.by!r}.", hint='Use "address" or "user".'
            )


Choose: TypeAlias = Callable[[Request, RateLimit], Awaitable[RateLimit | None] | RateLimit | None]
"""Chooses a request's limit, `def` or `async def`, from the one that the rules give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordGuesses:
    """How often the password of one account may be guessed at.

    What is typed in at a sign-in or to confirm a change counts as a guess; a right one forgets
    the wrong ones of its address. Nobody locks an account for its owner: from an address that
    has signed in to it within 90 days only that address's own guesses count.

    Args:
        per_address: From one address, in a window.
        per_account: From all addresses together that have not signed in to it before. NIST SP
            800-63B (5.2.2) allows 100 at most.
        window: Seconds; one begins with a first guess and lasts so long.

    Raises:
        ConfigurationError: Something of this cannot work.
    """

    per_address: int = 10
    per_account: int = 100
    window: float = 3600

    def __post_init__(self) -> None:
        _check_window(self.window)
        if min(self.per_address, self.per_account) < 1:
            raise ConfigurationError(
                "No password could ever be tried.",
                hint="Let at least one guess pass; guesses=None counts none.",
            )


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
        store: Where requests are counted. None is the memory of this process; "database" is a
            table of ours, which the schema then has; or what processes share beside it, such as
            a `SecondaryStorage`. While that fails, each process counts in its memory.
        guesses: How often one account's password may be guessed at; None counts no guesses.

    Raises:
        ConfigurationError: Something of this cannot work.
    """

    enabled: bool = True
    window: float = 10
    max: int = 100
    rules: Sequence[RateLimit] = ()
    choose: Choose | None = None
    store: Counters | Literal["database"] | None = None
    guesses: PasswordGuesses | None = field(default_factory=PasswordGuesses)

    def __post_init__(self) -> None:
        _check_window(self.window)
        _check_max(self.max)
        check_rules(self.rules)
        if self.choose is not None and not callable(self.choose):
            raise ConfigurationError(
                "The rate limits' choose cannot be called.",
                hint="Pass a function of the request and its RateLimit.",
            )
        if self.store is not None and self.store != "database":
            _check_store(self.store, counts_guesses=self.guesses is not None)


def _check_store(store: object, *, counts_guesses: bool) -> None:
    needed = ["increment", "get", "delete"] if counts_guesses else ["increment"]
    missing = [f"{it}()" for it in needed if not callable(getattr(store, it, None))]
    if missing:
        raise ConfigurationError(
            f"{type(store).__name__} has no {', '.join(missing)}, so it cannot count.",
            hint='Pass "database", or an object that does what RevocableCounters describes; '
            "guesses=None needs increment() alone.",
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


def check_rules(rules: object) -> None:
    """Refuse what is no list of rules.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(rules, Sequence) or not all(isinstance(it, RateLimit) for it in rules):
        raise ConfigurationError(
            "The rules are no list of RateLimit.",
            hint='Write them like [RateLimit("/sign-in/*", window=60, max=5)].',
        )


BUILT_IN: Final = (
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
