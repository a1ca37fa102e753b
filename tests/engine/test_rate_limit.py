"""How often one client may call: never more than agreed, and never less."""

import logging
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchword.clock import utc_now
from watchword.concurrency import run_blocking
from watchword.engine.rate_limit import Count, MemoryCounters, RateLimit
from watchword.errors import APIError, StorageUnavailable
from watchword.http.messages import Request

ADDRESS = "203.0.113.7"
OTHER = "198.51.100.9"
SIGN_IN = "/sign-in/email"
REQUEST = Request(method="POST", path="/api/auth/sign-in/email")
ONE = [RateLimit("/*", window=1, max=1)]

# --- the answer ---------------------------------------------------------------------------


async def test_the_refusal_is_what_browser_clients_know(new_limiter):
    """A sentence without a code, and the seconds to wait in both headers."""
    limiter = new_limiter()
    for _ in range(3):
        await limiter.check(REQUEST, SIGN_IN, ADDRESS, limiter.find_user)

    with pytest.raises(APIError) as error:
        await limiter.check(REQUEST, SIGN_IN, ADDRESS, limiter.find_user)

    assert (error.value.status, error.value.code) == (429, None)
    assert error.value.message == "Too many requests. Please try again later."
    assert error.value.headers == {"x-retry-after": "10", "retry-after": "10"}


@pytest.mark.parametrize(
    ("after", "seconds"), [(0, 10), (0.001, 10), (1, 9), (1.5, 9), (9, 1), (9.999999, 1)]
)
async def test_the_seconds_to_wait_are_rounded_up(new_limiter, clock, after, seconds):
    """Who waits as long as told is let in, and nobody is told to wait for nothing."""
    limiter = new_limiter()
    await limiter.passing()
    clock.advance(seconds=after)

    told = await limiter.wait()

    assert told == seconds
    clock.advance(seconds=told)
    assert await limiter.wait() is None


# --- windows ------------------------------------------------------------------------------


async def test_a_window_has_room_for_max_requests(new_limiter, clock):
    """Then none passes until its end, and after that as many again."""
    limiter = new_limiter()

    first = await limiter.passing()
    clock.advance(seconds=9.999999)
    before_the_end = await limiter.passing()
    clock.advance(seconds=0.000001)

    assert (first, before_the_end, await limiter.passing()) == (3, 0, 3)


async def test_a_steady_client_below_the_limit_is_never_refused(new_limiter, clock):
    """One request in 4 seconds is less than 3 in 10, however long it goes on."""
    limiter = new_limiter()

    refused = 0
    for _ in range(1000):
        refused += await limiter.wait() is not None
        clock.advance(seconds=4)

    assert refused == 0


async def test_a_client_at_exactly_the_limit_is_never_refused(new_limiter, clock):
    """A window is open at its end: the request at that instant begins the next."""
    limiter = new_limiter(rules=[RateLimit("/*", window=10, max=4)])

    refused = 0
    for _ in range(1000):
        refused += await limiter.wait() is not None
        clock.advance(seconds=2.5)

    assert refused == 0


async def test_refused_requests_do_not_put_the_end_off(new_limiter, clock):
    """Who never stops trying gets in as soon as who waits."""
    limiter = new_limiter()

    passed = []
    for second in range(25):
        if await limiter.wait() is None:
            passed.append(second)
        clock.advance(seconds=1)

    assert passed == [0, 1, 2, 10, 11, 12, 20, 21, 22]


GAPS = st.lists(st.floats(0, 6) | st.sampled_from([0.0, 10.0, 9.999999]), min_size=1, max_size=60)


@given(gaps=GAPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_passes_stays_within_its_bounds(new_limiter, gaps):
    """At most max in each window, which begins where the last had ended, and 2 max in any."""
    now = utc_now()
    limiter = new_limiter(clock=lambda: now)
    start, passed, windows = now, [], []
    for gap in gaps:
        now += timedelta(seconds=gap)
        if not windows or now - windows[-1][0] >= timedelta(seconds=10):
            windows.append((now, []))
        if run_blocking(limiter.wait()) is None:
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

    assert await limiter.wait("/never") == 5
    assert await limiter.passing("/always") is None


async def test_it_can_be_switched_off(new_limiter):
    """Then nothing is counted and nobody asked."""
    limiter = new_limiter(enabled=False, max=0, choose=pytest.fail)

    assert await limiter.passing() is None


# --- a clock that is set ------------------------------------------------------------------


async def test_a_clock_that_goes_back_locks_nobody_out(new_limiter, clock):
    """What was left of a window is what is left of it."""
    limiter = new_limiter()
    await limiter.passing()
    clock.advance(seconds=4)
    assert await limiter.wait() == 6

    clock.advance(hours=-5)

    assert await limiter.wait() == 6
    clock.advance(seconds=6)
    assert await limiter.passing() == 3


async def test_attack_more_requests_while_the_clock_goes_back(new_limiter, clock):
    """A correction of the clock forgets no request."""
    limiter = new_limiter()

    passed = 0
    for _ in range(20):
        passed += await limiter.wait() is None
        clock.advance(milliseconds=-100)

    assert passed == 3


# --- whom it counts -----------------------------------------------------------------------


async def test_clients_and_paths_are_counted_apart(new_limiter):
    """One client's guesses take nothing from another's, nor from other paths."""
    limiter = new_limiter()
    await limiter.passing()

    assert await limiter.passing(address=OTHER) == 3
    assert await limiter.passing("/sign-in/social") == 3
    assert await limiter.passing("/get-session") == 100


async def test_attack_another_address_of_one_ipv6_network(new_limiter):
    """Every customer has 2**64 of them."""
    limiter = new_limiter()
    await limiter.passing(address="2001:db8:1:2::1")

    assert await limiter.passing(address="2001:db8:1:2:ffff::2") == 0
    assert await limiter.passing(address="2001:db8:1:3::1") == 3


async def test_paths_without_a_route_share_a_counter(new_limiter):
    """The general limit holds for them together."""
    assert await new_limiter(max=7).passing("*") == 7
    assert await new_limiter(max=7, rules=ONE).passing("*") == 7


@pytest.mark.parametrize("unknown", [None, ""])
async def test_unknown_clients_are_not_limited(new_limiter, unknown, caplog):
    """In one counter any of them would lock all others out; the log says so, once."""
    limiter = new_limiter(max=0)

    with caplog.at_level(logging.WARNING, "watchword"):
        passed = await limiter.passing(address=unknown)

    assert passed is None
    [record] = caplog.records
    assert "trusted_proxies" in record.getMessage()


# --- by user ------------------------------------------------------------------------------

BY_USER = [RateLimit("/*", window=10, max=3, by="user")]


async def test_who_is_signed_in_has_one_limit_everywhere(new_limiter):
    """From two addresses a person may not do more than from one, nor less than another one."""
    limiter = new_limiter(rules=BY_USER)
    limiter.user_id = "ada"
    await limiter.passing()

    assert await limiter.passing(address=OTHER) == 0
    assert await limiter.passing(address=None) == 0
    limiter.user_id = "grace"
    assert await limiter.passing() == 3


async def test_where_nobody_is_signed_in_the_address_counts(new_limiter):
    """And a person at that address is another client."""
    limiter = new_limiter(rules=BY_USER)
    await limiter.passing()

    assert await limiter.passing(address=OTHER) == 3
    limiter.user_id = "ada"
    assert await limiter.passing() == 3


async def test_attack_an_id_that_reads_like_an_address(new_limiter):
    """Applications may make ids of any text."""
    limiter = new_limiter(rules=BY_USER)
    await limiter.passing()
    limiter.user_id = ADDRESS

    assert await limiter.passing() == 3


async def test_limits_by_address_do_not_ask_who_is_signed_in(new_limiter):
    """It costs a read, which an address does not."""
    limiter = new_limiter()
    limiter.find_user = pytest.fail

    assert await limiter.passing() == 3


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

    told = [await limiter.wait(), await limiter.wait(address="2001:db8::1"), await limiter.wait()]

    assert told == [None, 9, 1]
    assert store.asked == [
        ("rate:203.0.113.7|/sign-in/email", 10),
        ("rate:2001:0db8:0000:0000:0000:0000:0000:0000|/sign-in/email", 10),
        ("rate:203.0.113.7|/sign-in/email", 10),
    ]


async def test_two_processes_with_one_store_have_one_limit(new_limiter, clock):
    """Else each more would be three more guesses."""
    store = MemoryCounters(clock)

    passed = [await new_limiter(store=store).passing() for _ in range(2)]

    assert passed == [3, 0]


async def test_a_store_that_cannot_count_lets_nobody_pass(new_limiter):
    """Otherwise whoever can overload it guesses freely."""
    limiter = new_limiter(store=Shared(StorageUnavailable("down", retryable=True)))

    with pytest.raises(StorageUnavailable):
        await limiter.wait()


async def test_attack_many_requests_at_the_same_time(new_limiter, race):
    """Of 64 callers at once exactly as many pass as may."""
    limiter = new_limiter(rules=[RateLimit("/*", window=10, max=5)])

    told = await race(64, limiter.wait)

    assert sorted(told, key=str) == [10] * 59 + [None] * 5


async def test_long_keys_are_digests(new_limiter):
    """Every store keeps them, and two long ones are still two."""
    store = Shared(*[Count(1, 10)] * 3)
    limiter = new_limiter(store=store)

    for path in ("/" + "a" * 230, "/" + "a" * 300, "/" + "b" * 300):
        await limiter.wait(path)

    keys = [key for key, _ in store.asked]
    assert keys[0].endswith("aaa")
    assert max(len(key) for key in keys) <= 255
    assert len(set(keys)) == 3
