"""How often one client may call: never more than agreed, and never less."""

import asyncio
import logging
import sys
import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.clock import utc_now
from watchword.concurrency import run_blocking
from watchword.engine.rate_limit import Count, MemoryCounters, RateLimit, RateLimiter, RateLimits
from watchword.errors import APIError, ConfigurationError, StorageUnavailable
from watchword.http.messages import Request

ADDRESS = "203.0.113.7"
OTHER = "198.51.100.9"
SIGN_IN = "/sign-in/email"
REQUEST = Request(method="POST", path="/api/auth/sign-in/email")


@pytest.fixture
def new_limiter(clock):
    """Make limiters on the test's clock."""

    def new_limiter(*plugin_rules, **options):
        return RateLimiter(RateLimits(**options), plugin_rules, clock)

    return new_limiter


async def wait(limiter, path=SIGN_IN, address=ADDRESS, request=REQUEST):
    """Return how long a refused request is told to wait; None if it passed."""
    try:
        await limiter.check(request, path, address)
    except APIError as refusal:
        return int(refusal.headers["retry-after"])
    return None


async def passing(limiter, path=SIGN_IN, address=ADDRESS):
    """Count the requests that pass at one instant, up to 200."""
    for passed in range(200):
        if await wait(limiter, path, address) is not None:
            return passed
    return None


# --- the answer ---------------------------------------------------------------------------


async def test_the_refusal_is_what_browser_clients_know(new_limiter):
    """A sentence without a code, and the seconds to wait in both headers."""
    limiter = new_limiter()
    for _ in range(3):
        await limiter.check(REQUEST, SIGN_IN, ADDRESS)

    with pytest.raises(APIError) as error:
        await limiter.check(REQUEST, SIGN_IN, ADDRESS)

    assert (error.value.status, error.value.code) == (429, None)
    assert error.value.message == "Too many requests. Please try again later."
    assert error.value.headers == {"x-retry-after": "10", "retry-after": "10"}


@pytest.mark.parametrize(
    ("after", "seconds"), [(0, 10), (0.001, 10), (1, 9), (1.5, 9), (9, 1), (9.999999, 1)]
)
async def test_the_seconds_to_wait_are_rounded_up(new_limiter, clock, after, seconds):
    """Who waits as long as told is let in, and nobody is told to wait for nothing."""
    limiter = new_limiter()
    await passing(limiter)
    clock.advance(seconds=after)

    told = await wait(limiter)

    assert told == seconds
    clock.advance(seconds=told)
    assert await wait(limiter) is None


# --- windows ------------------------------------------------------------------------------


async def test_a_window_has_room_for_max_requests(new_limiter, clock):
    """Then none passes until its end, and after that as many again."""
    limiter = new_limiter()

    first = await passing(limiter)
    clock.advance(seconds=9.999999)
    before_the_end = await passing(limiter)
    clock.advance(seconds=0.000001)

    assert (first, before_the_end, await passing(limiter)) == (3, 0, 3)


async def test_a_steady_client_below_the_limit_is_never_refused(new_limiter, clock):
    """One request in 4 seconds is less than 3 in 10, however long it goes on."""
    limiter = new_limiter()

    refused = 0
    for _ in range(1000):
        refused += await wait(limiter) is not None
        clock.advance(seconds=4)

    assert refused == 0


async def test_a_client_at_exactly_the_limit_is_never_refused(new_limiter, clock):
    """A window is open at its end: the request at that instant begins the next."""
    limiter = new_limiter(rules=[RateLimit("/*", window=10, max=4)])

    refused = 0
    for _ in range(1000):
        refused += await wait(limiter) is not None
        clock.advance(seconds=2.5)

    assert refused == 0


async def test_refused_requests_do_not_put_the_end_off(new_limiter, clock):
    """Who never stops trying gets in as soon as who waits."""
    limiter = new_limiter()

    passed = []
    for second in range(25):
        if await wait(limiter) is None:
            passed.append(second)
        clock.advance(seconds=1)

    assert passed == [0, 1, 2, 10, 11, 12, 20, 21, 22]


GAPS = st.lists(st.floats(0, 6) | st.sampled_from([0.0, 10.0, 9.999999]), min_size=1, max_size=60)


@given(GAPS)
def test_what_passes_stays_within_its_bounds(gaps):
    """At most max in each window, which begins where the last had ended, and 2 max in any."""
    now = utc_now()
    counter = RateLimiter(RateLimits(), (), lambda: now)
    start, passed, windows = now, [], []
    for gap in gaps:
        now += timedelta(seconds=gap)
        if not windows or now - windows[-1][0] >= timedelta(seconds=10):
            windows.append((now, []))
        if run_blocking(wait(counter)) is None:
            passed.append(now - start)
            windows[-1][1].append(now)

    assert all(1 <= len(requests) <= 3 for _, requests in windows)
    assert all(
        sum(first <= it < first + timedelta(seconds=10) for it in passed) <= 6 for first in passed
    )


async def test_limits_of_zero_and_none(new_limiter):
    """Zero refuses all, none lets all pass."""
    limiter = new_limiter(
        rules=[RateLimit("/never", window=5, max=0), RateLimit("/always", window=5, max=None)]
    )

    assert await wait(limiter, "/never") == 5
    assert await passing(limiter, "/always") is None


async def test_it_can_be_switched_off(new_limiter):
    """Then nothing is counted and nobody asked."""
    limiter = new_limiter(enabled=False, max=0, choose=pytest.fail)

    assert await passing(limiter) is None


# --- a clock that is set ------------------------------------------------------------------


async def test_a_clock_that_goes_back_locks_nobody_out(new_limiter, clock):
    """What was left of a window is what is left of it."""
    limiter = new_limiter()
    await passing(limiter)
    clock.advance(seconds=4)
    assert await wait(limiter) == 6

    clock.advance(hours=-5)

    assert await wait(limiter) == 6
    clock.advance(seconds=6)
    assert await passing(limiter) == 3


async def test_attack_more_requests_while_the_clock_goes_back(new_limiter, clock):
    """A correction of the clock forgets no request."""
    limiter = new_limiter()

    passed = 0
    for _ in range(20):
        passed += await wait(limiter) is None
        clock.advance(milliseconds=-100)

    assert passed == 3


# --- whom it counts -----------------------------------------------------------------------


async def test_clients_and_paths_are_counted_apart(new_limiter):
    """One client's guesses take nothing from another's, nor from other paths."""
    limiter = new_limiter()
    await passing(limiter)

    assert await passing(limiter, address=OTHER) == 3
    assert await passing(limiter, "/sign-in/social") == 3
    assert await passing(limiter, "/get-session") == 100


async def test_attack_another_address_of_one_ipv6_network(new_limiter):
    """Every customer has 2**64 of them."""
    limiter = new_limiter()
    await passing(limiter, address="2001:db8:1:2::1")

    assert await passing(limiter, address="2001:db8:1:2:ffff::2") == 0
    assert await passing(limiter, address="2001:db8:1:3::1") == 3


async def test_paths_without_a_route_share_a_counter(new_limiter):
    """The general limit holds for them together."""
    assert await passing(new_limiter(max=7), "*") == 7
    assert await passing(new_limiter(max=7, rules=[RateLimit("/*", window=1, max=1)]), "*") == 7


@pytest.mark.parametrize("unknown", [None, ""])
async def test_unknown_clients_are_not_limited(new_limiter, unknown, caplog):
    """In one counter any of them would lock all others out; the log says so, once."""
    limiter = new_limiter(max=0)

    with caplog.at_level(logging.WARNING, "watchword"):
        passed = await passing(limiter, address=unknown)

    assert passed is None
    [record] = caplog.records
    assert "trusted_proxies" in record.getMessage()


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

    passed = await passing(limiter, path)

    assert (await wait(limiter, path), passed) == limit


async def test_paths_without_a_rule_have_the_general_limit(new_limiter):
    """It replaces no rule."""
    limiter = new_limiter(window=7, max=2)

    assert await passing(limiter, "/get-session") == 2
    assert await wait(limiter, "/get-session") == 7
    assert await passing(limiter) == 3


async def test_a_rule_of_a_plugin_replaces_the_built_in_one(new_limiter):
    """It is wider or narrower, as its author knows; of several the first holds."""
    limiter = new_limiter(
        RateLimit(SIGN_IN, window=60, max=5), RateLimit("/sign-in/*", window=5, max=1)
    )

    assert await passing(limiter) == 5
    assert await wait(limiter) == 60
    assert await passing(limiter, "/sign-in/social") == 1
    assert await passing(limiter, "/sign-up/email") == 3


async def test_a_rule_of_the_application_replaces_all_others(new_limiter):
    """Of several the first holds."""
    limiter = new_limiter(
        RateLimit(SIGN_IN, window=60, max=5),
        rules=[RateLimit(SIGN_IN, window=20, max=1), RateLimit("/sign-in*", window=10, max=9)],
    )

    assert await passing(limiter) == 1
    assert await wait(limiter) == 20
    assert await passing(limiter, "/sign-in/social") == 9


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

    assert (await wait(limiter, path) is not None) is matches


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

    assert [await wait(limiter) for _ in range(4)] == [None, None, None, 10]
    assert await wait(limiter, request=GOOD) is None


async def test_what_is_chosen_holds(new_limiter):
    """Another limit, from the one of the rules."""
    seen = []

    def choose(_, limit):
        seen.append(limit)
        return RateLimit(limit.path, window=30, max=1)

    limiter = new_limiter(RateLimit("/sign-in/*", window=60, max=5), choose=choose)

    assert [await wait(limiter), await wait(limiter)] == [None, 30]
    await wait(limiter, "/get-session")
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
        await wait(limiter, request=GOOD)
        passed += await wait(limiter) is None
        clock.advance(seconds=1)

    assert passed == 3


async def test_a_choice_that_fails_lets_nobody_pass(new_limiter):
    """An error is an error."""

    def choose(_, limit):
        raise LookupError(limit.path)

    with pytest.raises(LookupError):
        await new_limiter(choose=choose).check(REQUEST, SIGN_IN, ADDRESS)


# --- stores -------------------------------------------------------------------------------


class Shared:
    """Counts where several processes see it; this one notes what it is asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def increment(self, key, *, window):
        """Answer as the test says."""
        self.asked.append((key, window))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_store_is_asked_once_for_each_request(new_limiter):
    """One step for client and path; what it comes to is believed."""
    store = Shared(Count(3, 9.2), Count(4, 8.2), Count(5, 0))
    limiter = new_limiter(store=store)

    told = [await wait(limiter), await wait(limiter, address="2001:db8::1"), await wait(limiter)]

    assert told == [None, 9, 1]
    assert store.asked == [
        ("203.0.113.7|/sign-in/email", 10),
        ("2001:0db8:0000:0000:0000:0000:0000:0000|/sign-in/email", 10),
        ("203.0.113.7|/sign-in/email", 10),
    ]


async def test_two_processes_with_one_store_have_one_limit(new_limiter, clock):
    """Else each more would be three more guesses."""
    store = MemoryCounters(clock)

    passed = [await passing(new_limiter(store=store)) for _ in range(2)]

    assert passed == [3, 0]


async def test_a_store_that_cannot_count_lets_nobody_pass(new_limiter):
    """Otherwise whoever can overload it guesses freely."""
    limiter = new_limiter(store=Shared(StorageUnavailable("down", retryable=True)))

    with pytest.raises(StorageUnavailable):
        await limiter.check(REQUEST, SIGN_IN, ADDRESS)


# --- races --------------------------------------------------------------------------------


@pytest.fixture
def hurried():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def test_attack_many_requests_at_the_same_time(new_limiter, race):
    """Of 64 callers at once exactly as many pass as may."""
    limiter = new_limiter(rules=[RateLimit("/*", window=10, max=5)])

    told = await race(64, lambda: wait(limiter))

    assert sorted(told, key=str) == [10] * 59 + [None] * 5


def in_threads(threads, work):
    """Do something in so many threads, which start as one; return what came of it."""
    start = threading.Barrier(threads)
    results = []

    def go():
        start.wait(60)
        results.append(work())

    started = [threading.Thread(target=go) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(60)
    assert len(results) == threads
    return results


async def hit(counters, keys):
    """Hit each key once; return the values."""
    return [(await counters.increment(key, window=10)).value for key in keys]


@pytest.mark.parametrize("run", [run_blocking, asyncio.run], ids=["driven", "loops"])
def test_threads_lose_no_count(hurried, run):
    """Each value is given once, with an event loop in every thread or in none."""
    counters = MemoryCounters()
    keys = [f"key {n}" for n in range(3000)]

    counted = in_threads(8, lambda: run(hit(counters, keys)))

    assert [sorted(values) for values in zip(*counted, strict=True)] == [[*range(1, 9)]] * 3000


def test_threads_wear_no_hole_into_full_counters(hurried):
    """Making room is one step with what needs it."""
    counters = MemoryCounters(max_entries=3)
    keys = [f"key {n % 7}" for n in range(2000)]

    in_threads(8, lambda: run_blocking(hit(counters, keys)))

    assert kept(counters) == 3


# --- the memory ---------------------------------------------------------------------------


def kept(counters):
    """Count what is kept, which is kept twice."""
    assert sorted(key for _, key in counters._ends) == sorted(counters._windows)
    return len(counters._windows)


async def test_attack_memory_filled_with_addresses(clock):
    """However many clients come, there is a bound; who ends first makes room."""
    counters = MemoryCounters(clock, max_entries=100)
    await counters.increment("first", window=10)
    await counters.increment("long", window=60)
    for n in range(1000):
        clock.advance(milliseconds=1)
        await counters.increment(f"client {n}", window=10)

    assert kept(counters) == 100
    assert (await counters.increment("long", window=60)).value == 2
    assert (await counters.increment("client 999", window=10)).value == 2
    assert (await counters.increment("first", window=10)).value == 1


async def test_a_client_that_came_back_is_not_taken_for_the_oldest(clock):
    """A window that was begun again ends later than it once did."""
    counters = MemoryCounters(clock, max_entries=4)
    for key in "abcd":
        await counters.increment(key, window=10)
    clock.advance(seconds=10)
    # While the others are dropped, two for each call, the last is opened again.
    await counters.increment("d", window=10)
    clock.advance(seconds=1)
    for key in "xyz":
        await counters.increment(key, window=5)
    assert kept(counters) == 4

    await counters.increment("more", window=5)

    assert (await counters.increment("d", window=10)).value == 2


async def test_ended_windows_are_dropped(clock):
    """They go while others come, so that the memory is only as large as what is counted."""
    counters = MemoryCounters(clock)
    for n in range(1000):
        await counters.increment(f"client {n}", window=10)
    clock.advance(seconds=10)

    for _ in range(500):
        await counters.increment("one", window=10)

    assert kept(counters) == 1


async def test_no_request_pays_for_all_ended_windows(clock):
    """Each drops two at most: a thousand at once would be felt by all who wait."""
    counters = MemoryCounters(clock)
    for n in range(1000):
        await counters.increment(f"client {n}", window=10)
    clock.advance(seconds=10)

    await counters.increment("one", window=10)

    assert kept(counters) == 999


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([1, 3, 10]), st.integers(-2, 6)),
    max_size=80,
)


@given(OPERATIONS)
def test_counters_are_what_a_simple_model_says(operations):
    """Whatever the order of keys, windows and steps of the clock, in both directions."""
    now = utc_now()
    counters, model, elapsed = MemoryCounters(lambda: now), {}, 0
    for key, window, step in operations:
        now += timedelta(seconds=step)
        elapsed += max(step, 0)
        value, ends_at = model.get(key, (0, 0))
        if ends_at <= elapsed:
            value, ends_at = 0, elapsed + window
        model[key] = value + 1, ends_at

        count = run_blocking(counters.increment(key, window=window))

        assert count == Count(value + 1, ends_at - elapsed)
        assert kept(counters) <= 8


@given(OPERATIONS)
def test_full_counters_keep_what_ends_last(operations):
    """The key that was just counted stays, and the bound holds at every step."""
    now = utc_now()
    counters = MemoryCounters(lambda: now, max_entries=3)
    for key, window, step in operations:
        now += timedelta(seconds=step)

        run_blocking(counters.increment(key, window=window))

        assert key in counters._windows
        assert kept(counters) <= 3


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
        RateLimiter(RateLimits(), rules, clock)


def test_what_cannot_be_called_is_refused():
    """A store without increment, a choice that is none, counters without room."""
    with pytest.raises(ConfigurationError, match="dict has no increment"):
        RateLimits(store={})
    with pytest.raises(ConfigurationError, match="choose"):
        RateLimits(choose=RateLimit("/", window=1, max=1))
    with pytest.raises(ConfigurationError, match="room"):
        MemoryCounters(max_entries=0)
