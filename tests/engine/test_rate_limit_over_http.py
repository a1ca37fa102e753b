"""Rate limits as clients meet them: which requests are counted together, and whose they are."""

import pytest

from watchword import (
    BlockingWatchword,
    ConfigurationError,
    EmailPassword,
    Plugin,
    RateLimit,
    RateLimits,
    Watchword,
)
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.memory_storage import MemoryStorage
from watchword.engine.endpoint import get
from watchword.engine.rate_limit import MemoryCounters

SIGN_IN = {"email": "ada@example.org", "password": "difference-engine"}
PROXY = "10.0.0.1"


@pytest.fixture
def limited(new_auth, new_browser):
    """A browser at an instance that lets two requests pass on each path."""
    return new_browser(new_auth(rate_limits=RateLimits(max=2)))


async def statuses(browser, *paths, **request):
    """Read these paths, one after the other."""
    return [(await browser.get(path, **request)).status for path in paths]


async def test_sign_ins_are_limited_unless_told_otherwise(clock, cheap_passwords, new_browser):
    """Three in ten seconds; then who waits as long as told may try again."""
    auth = Watchword(
        MemoryAdapter(),
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        email_password=EmailPassword(),
        passwords=cheap_passwords,
        clock=clock,
    )
    browser = new_browser(auth)

    answers = [await browser.post("/sign-in/email", SIGN_IN) for _ in range(4)]

    assert [it.status for it in answers] == [401, 401, 401, 429]
    refused = answers[-1]
    assert refused.json == {"message": "Too many requests. Please try again later."}
    assert (refused.header("x-retry-after"), refused.header("retry-after")) == ("10", "10")
    clock.advance(seconds=10)
    assert (await browser.post("/sign-in/email", SIGN_IN)).status == 401


async def test_attack_guessing_passwords(auth, new_auth, browser, new_browser):
    """Not even the right password is looked at any more."""
    limited = new_browser(new_auth(auth.adapter, rate_limits=RateLimits()))
    await browser.sign_up()
    for guess in ("password", "12345678", "ada-lovelace"):
        await limited.sign_in(password=guess)

    answer = await limited.sign_in()

    assert (answer.status, answer.set_cookies) == (429, [])


async def test_each_path_is_counted_apart(limited):
    """Who reads the session often can still see whether the server answers."""
    await statuses(limited, "/ok", "/ok")

    assert await statuses(limited, "/ok", "/get-session") == [429, 200]


async def test_attack_memory_filled_with_invented_paths(limited):
    """All that lead nowhere are one, with any method; those that exist are not concerned."""
    assert await statuses(limited, "/a", "/sign-in/email", "/b", "/ok") == [404, 404, 429, 200]
    assert (await limited.post("/c", {})).status == 429


async def test_attack_guessing_tokens_in_a_path(limited):
    """What counts is the route, not what stands in its place."""
    paths = (f"/reset-password/{guess}" for guess in "abc")

    assert await statuses(limited, *paths, query="callbackURL=/") == [302, 302, 429]


async def test_another_client_is_not_affected(limited, new_browser):
    """One that calls too often locks nobody out."""
    other = new_browser(limited.auth, address="198.51.100.9")

    assert await statuses(limited, "/ok", "/ok", "/ok") == [200, 200, 429]
    assert await statuses(other, "/ok") == [200]


async def test_attack_an_invented_address_in_a_header(limited):
    """Without a proxy that is trusted the header is anybody's word."""
    answers = [
        await limited.get("/ok", headers={"x-forwarded-for": f"198.51.100.{number}"})
        for number in range(3)
    ]

    assert [it.status for it in answers] == [200, 200, 429]


async def test_behind_a_trusted_proxy_its_clients_are_counted(new_auth, new_browser):
    """Not the proxy, which is one address for all; and not what a client wrote before it."""
    auth = new_auth(rate_limits=RateLimits(max=1), trusted_proxies=["10.0.0.0/8"])
    proxy = new_browser(auth, address=PROXY)
    reported = ("198.51.100.1", "198.51.100.2", "203.0.113.5, 198.51.100.1")

    answers = [await proxy.get("/ok", headers={"x-forwarded-for": it}) for it in reported]

    assert [it.status for it in answers] == [200, 200, 429]


async def test_a_disabled_path_is_not_counted(new_auth, new_browser):
    """It costs nothing, so there is nothing to limit."""
    auth = new_auth(rate_limits=RateLimits(max=1), disabled_paths=["/ok"])

    assert await statuses(new_browser(auth), "/ok", "/ok", "/unknown") == [404, 404, 404]


class Reports(Plugin):
    """An endpoint that costs much, and so is limited by user."""

    id = "reports"
    rate_limits = (RateLimit("/report", window=60, max=2, by="user"),)

    @get("/report")
    async def report(self, ctx) -> None:
        """Report nothing."""


async def test_a_plugin_limits_people_wherever_they_are(new_auth, new_browser):
    """A second address is no second person; a session that has ended is nobody's."""
    auth = new_auth(rate_limits=RateLimits(), plugins=[Reports()])
    home = new_browser(auth)
    await home.sign_up()
    away = new_browser(auth, home.cookies, address="198.51.100.9")
    stranger = new_browser(auth)

    assert await statuses(home, "/report", "/report") == [200, 200]
    assert await statuses(away, "/report") == [429]
    assert await statuses(stranger, "/report") == [200]
    await auth.store.delete_many("session", None)
    assert await statuses(away, "/report") == [200]


async def test_counting_by_user_renews_no_session(new_auth, new_browser, clock):
    """What is limited may not be what keeps a session alive."""
    auth = new_auth(rate_limits=RateLimits(), plugins=[Reports()])
    browser = new_browser(auth)
    await browser.sign_up()
    before = await auth.store.find_many("session")
    clock.advance(days=2)

    answer = await browser.get("/report")

    assert (answer.status, answer.set_cookies) == (200, [])
    assert await auth.store.find_many("session") == before


# --- stores beside the database -----------------------------------------------------------


class Storage(MemoryStorage):
    """Needs an event loop, and knows whether it is open."""

    needs_loop = True
    is_open = True

    async def close(self):
        """Close."""
        self.is_open = False


def test_a_blocking_instance_refuses_a_store_that_needs_a_loop():
    """Found when it is made, and not at the first request."""
    with pytest.raises(ConfigurationError, match="Storage needs an event loop"):
        BlockingWatchword(
            MemoryAdapter(),
            secret="correct-horse-battery-staple-0123456789",
            base_url="http://localhost:8000",
            rate_limits=RateLimits(store=Storage()),
        )


async def test_the_store_is_closed_with_the_instance(new_auth):
    """What it has opened is given back; a store that only counts has nothing to close."""
    storage = Storage()

    await new_auth(rate_limits=RateLimits(store=storage)).close()
    await new_auth(rate_limits=RateLimits(store=MemoryCounters())).close()

    assert not storage.is_open
