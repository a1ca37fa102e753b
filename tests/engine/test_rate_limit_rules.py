"""Which limit is whose: rules of the application, of plugins, built in, and mistakes in them."""

from datetime import timedelta

import pytest

from watchword.engine.rate_limit import MemoryCounters, RateLimit, RateLimiter, RateLimits
from watchword.errors import ConfigurationError
from watchword.http.messages import Request

SIGN_IN = "/sign-in/email"

# --- rules --------------------------------------------------------------------------------

TEN, SIXTY = (10, 3), (60, 3)
BUILT_IN = [
    ("/sign-in/email", TEN),
    ("/sign-in/social", TEN),
    ("/sign-in", TEN),
    ("/sign-up/email", TEN),
    ("/change-password", TEN),
    ("/change-email", TEN),
    ("/request-password-reset", SIXTY),
    ("/send-verification-email", SIXTY),
    ("/forget-password", SIXTY),
    ("/forget-password/email-otp", SIXTY),
    ("/email-otp/send-verification-otp", SIXTY),
    ("/email-otp/request-password-reset", SIXTY),
    ("/get-session", (10, 100)),
    ("/sign-out", (10, 100)),
    ("/request-password-reset/callback", (10, 100)),
    ("/my/sign-in", (10, 100)),
]


@pytest.mark.parametrize(("path", "limit"), BUILT_IN)
async def test_the_built_in_limits(new_limiter, path, limit):
    """What guesses passwords, makes accounts or sends mail is rare; the rest is not."""
    limiter = new_limiter()

    passed = await limiter.passing(path)

    assert (await limiter.wait(path), passed) == limit


async def test_paths_without_a_rule_have_the_general_limit(new_limiter):
    """It replaces no rule."""
    limiter = new_limiter(window=7, max=2)

    assert await limiter.passing("/get-session") == 2
    assert await limiter.wait("/get-session") == 7
    assert await limiter.passing() == 3


async def test_a_rule_of_a_plugin_replaces_the_built_in_one(new_limiter):
    """It is wider or narrower, as its author knows; of several the first holds."""
    limiter = new_limiter(
        RateLimit(SIGN_IN, window=60, max=5), RateLimit("/sign-in/*", window=5, max=1)
    )

    assert await limiter.passing() == 5
    assert await limiter.wait() == 60
    assert await limiter.passing("/sign-in/social") == 1
    assert await limiter.passing("/sign-up/email") == 3


async def test_a_rule_of_the_application_replaces_all_others(new_limiter):
    """Of several the first holds."""
    limiter = new_limiter(
        RateLimit(SIGN_IN, window=60, max=5),
        rules=[RateLimit(SIGN_IN, window=20, max=1), RateLimit("/sign-in*", window=10, max=9)],
    )

    assert await limiter.passing() == 1
    assert await limiter.wait() == 20
    assert await limiter.passing("/sign-in/social") == 9


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", False),
        ("/a", "/A", False),
        ("/a*", "/a", True),
        ("/a*", "/ab/c", True),
        ("/a/*", "/a", False),
        ("/a/*", "/a/b/c", True),
        ("/a/*/c", "/a/b/c", True),
        ("/a/*/c", "/a/b/d", False),
        ("/a/*/c", "/a/b/c/d", False),
        ("/*", "/anything\n", True),
        ("/a.b", "/axb", False),
        ("/a[b]?", "/a[b]?", True),
        ("/reset-password/:token", "/reset-password/:token", True),
    ],
)
async def test_which_paths_a_rule_is_for(new_limiter, pattern, path, matches):
    """A star stands for any text, and nothing else for anything."""
    limiter = new_limiter(rules=[RateLimit(pattern, window=1, max=0)])

    assert (await limiter.wait(path) is not None) is matches


# --- the last word ------------------------------------------------------------------------

GOOD = Request(method="POST", path="/", headers=(("x-api-key", "good"),))


def choose(request, limit):
    """Let those with a key call as they like."""
    return None if request.header("x-api-key") else limit


async def choose_later(request, limit):
    """Do the same where it has to be waited for."""
    return choose(request, limit)


@pytest.mark.parametrize("choose", [choose, choose_later])
async def test_the_application_has_the_last_word(new_limiter, choose):
    """It sees each request and the limit that the rules give."""
    limiter = new_limiter(choose=choose)

    assert [await limiter.wait() for _ in range(4)] == [None, None, None, 10]
    assert await limiter.wait(request=GOOD) is None


async def test_what_is_chosen_holds(new_limiter):
    """Another limit, from the one of the rules."""
    seen = []

    def choose(_, limit):
        seen.append(limit)
        return RateLimit(limit.path, window=30, max=1)

    limiter = new_limiter(RateLimit("/sign-in/*", window=60, max=5), choose=choose)

    assert [await limiter.wait(), await limiter.wait()] == [None, 30]
    await limiter.wait("/get-session")
    assert seen[1:] == [
        RateLimit("/sign-in/*", window=60, max=5),
        RateLimit("/*", window=10, max=100),
    ]


async def test_attack_a_short_window_begun_to_escape_a_long_one(new_limiter, clock):
    """Who may be given one of two windows is counted in each by itself."""

    def choose(request, limit):
        return RateLimit("/*", window=1, max=50) if request.header("x-api-key") else limit

    limiter = new_limiter(choose=choose)

    passed = 0
    for _ in range(9):
        await limiter.wait(request=GOOD)
        passed += await limiter.wait() is None
        clock.advance(seconds=1)

    assert passed == 3


async def test_a_choice_that_fails_lets_nobody_pass(new_limiter):
    """An error is an error."""

    def choose(_, limit):
        raise LookupError(limit.path)

    with pytest.raises(LookupError):
        await new_limiter(choose=choose).wait()


# --- configuration ------------------------------------------------------------------------

WINDOWS = [0, -1, 0.0001, float("nan"), float("inf"), 1e12, "10", None, timedelta(seconds=10)]


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_without_an_end_or_a_beginning_is_refused(window):
    """It would let everybody pass, or lock everybody out."""
    with pytest.raises(ConfigurationError, match="window"):
        RateLimits(window=window)
    with pytest.raises(ConfigurationError, match="window"):
        RateLimit("/", window=window, max=3)


@pytest.mark.parametrize("most", [-1, 1.5, "3"])
def test_a_limit_that_is_no_number_is_refused(most):
    """Found when it is made."""
    with pytest.raises(ConfigurationError, match="requests pass"):
        RateLimits(max=most)
    with pytest.raises(ConfigurationError, match="requests pass"):
        RateLimit("/", window=10, max=most)


def test_only_a_rule_may_have_no_limit():
    """The general one is switched off by enabled=False."""
    assert RateLimit("/", window=10, max=None).max is None
    with pytest.raises(ConfigurationError, match="None"):
        RateLimits(max=None)


@pytest.mark.parametrize("path", ["", "*", "sign-in/*", "https://a.example/sign-in"])
def test_a_rule_that_matches_nothing_is_refused(path):
    """Every path begins with a slash."""
    with pytest.raises(ConfigurationError, match="slash"):
        RateLimit(path, window=10, max=3)


@pytest.mark.parametrize("rules", [RateLimit("/", window=1, max=1), "/sign-in", ["/sign-in"], 3])
def test_rules_are_a_list_of_rules(rules, clock):
    """Found when the instance is made, for those of the application and of plugins."""
    with pytest.raises(ConfigurationError, match="list of RateLimit"):
        RateLimits(rules=rules)
    with pytest.raises(ConfigurationError, match="list of RateLimit"):
        RateLimiter(RateLimits(), rules, MemoryCounters(clock))


def test_what_cannot_be_called_is_refused():
    """A store without increment, a choice that is none, counters without room."""
    with pytest.raises(ConfigurationError, match="dict has no increment"):
        RateLimits(store={})
    with pytest.raises(ConfigurationError, match="choose"):
        RateLimits(choose=RateLimit("/", window=1, max=1))
    with pytest.raises(ConfigurationError, match="room"):
        MemoryCounters(max_entries=0)
    with pytest.raises(ConfigurationError, match="str has no increment"):
        RateLimits(store="redis")


def test_a_client_is_an_address_or_a_user():
    """Found when the rule is made."""
    with pytest.raises(ConfigurationError, match="count by 'session'"):
        RateLimit("/", window=10, max=3, by="session")
