"""Guesses at one account's password: few for each address, and none that lock its owner out."""

from secrets import token_hex
from typing import Final

import pytest

from watchword import (
    ConfigurationError,
    EmailPassword,
    PasswordGuesses,
    RateLimit,
    RateLimits,
    UserOptions,
)
from watchword.adapters.memory_storage import MemoryStorage
from watchword.adapters.redis import RedisStorage
from watchword.engine.options import DeleteUser
from watchword.plugins.username import Username

STRANGER: Final = "198.51.100.9"
NO_OTHER_LIMITS: Final = [RateLimit("/*", window=10, max=None)]
FEW: Final = PasswordGuesses(per_address=3, per_account=5, window=60)
WRONG: Final = "not-her-password"
SIGN_UP: Final = {
    "name": "Ada",
    "email": "ada@example.org",
    "password": "difference-engine",
    "username": "ada",
}
SIGN_IN: Final = {"email": "ada@example.org", "password": WRONG}
BY_NAME: Final = {"username": "ada", "password": WRONG}
CONFIRMED: Final = [
    ("/verify-password", {"password": WRONG}),
    ("/change-password", {"currentPassword": WRONG, "newPassword": "analytical-engine"}),
    ("/delete-user", {"password": WRONG}),
]


@pytest.fixture(params=["memory", "database", "storage"])
def guarded(request, new_auth, clock):
    """An instance whose only limit is on guesses."""
    store = {"memory": None, "database": "database", "storage": MemoryStorage(clock)}
    return new_auth(
        rate_limits=RateLimits(rules=NO_OTHER_LIMITS, guesses=FEW, store=store[request.param]),
        email_password=EmailPassword(),
        user=UserOptions(delete_user=DeleteUser()),
        plugins=[Username()],
    )


@pytest.fixture
def ada(guarded, new_browser, run):
    """Ada's browser, at home; she has signed up, and signed in from nowhere yet."""
    browser = new_browser(guarded)
    run(browser.post("/sign-up/email", SIGN_UP))
    return browser


@pytest.fixture
def stranger(guarded, new_browser):
    """Somebody else's browser."""
    return new_browser(guarded, address=STRANGER)


async def statuses(browser, times, path="/sign-in/email", body=SIGN_IN):
    """Guess so many times; return the answers' statuses."""
    return [(await browser.post(path, body)).status for _ in range(times)]


async def from_many_addresses(auth, new_browser, guesses, body=SIGN_IN):
    """Guess once from each of so many networks; return the statuses."""
    browsers = [new_browser(auth, address=f"2001:db8:{n:x}::1") for n in range(guesses)]
    return [(await it.post("/sign-in/email", body)).status for it in browsers]


# --- one address ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"), [("/sign-in/email", SIGN_IN), ("/sign-in/username", BY_NAME)]
)
async def test_attack_guessing_slowly(ada, stranger, clock, path, body):
    """So many in a window; then not even the right password is looked at."""
    guessed = await statuses(stranger, 4, path, body)

    answer = await stranger.post(path, {**body, "password": SIGN_UP["password"]})

    assert guessed == [401, 401, 401, 429]
    assert (answer.status, answer.set_cookies) == (429, [])
    assert answer.json == {"message": "Too many requests. Please try again later."}
    assert (answer.header("x-retry-after"), answer.header("retry-after")) == ("60", "60")
    clock.advance(seconds=60)
    assert await statuses(stranger, 1, path, body) == [401]


@pytest.mark.parametrize(("path", "body"), CONFIRMED)
async def test_attack_guessing_with_a_stolen_session(ada, path, body):
    """What asks for the password again gives no guesses beside those of the sign-in."""
    signed_in = await statuses(ada, 1)

    guessed = await statuses(ada, 3, path, body)

    assert (signed_in, guessed) == ([401], [400, 400, 429])


async def test_attack_another_spelling_of_the_address(ada, stranger):
    """It is the same account."""
    await statuses(stranger, 3)

    assert await statuses(stranger, 1, body={**SIGN_IN, "email": "ADA@Example.ORG"}) == [429]


async def test_attack_another_address_of_one_network(ada, guarded, new_browser):
    """Whoever has one IPv6 address has 2**64."""
    browsers = [new_browser(guarded, address=f"2001:db8::{n:x}") for n in range(1, 5)]

    assert [(await it.post("/sign-in/email", SIGN_IN)).status for it in browsers][-1] == 429


async def test_accounts_are_guessed_at_apart(ada, stranger):
    """An office behind one address has as many accounts as it has people."""
    await statuses(stranger, 3)

    assert await statuses(stranger, 1, body={**SIGN_IN, "email": "grace@example.org"}) == [401]


async def test_a_right_password_forgets_the_wrong_ones(ada):
    """Who mistypes now and then is never locked out."""
    for _ in range(4):
        assert await statuses(ada, 2) == [401, 401]
        assert (await ada.sign_in()).status == 200


async def test_attack_which_addresses_are_known(ada, stranger, guarded, new_browser):
    """An unknown one is counted and refused by the same numbers, in the same words."""
    nobody = {**SIGN_IN, "email": "nobody@example.org"}

    answers = [
        [await stranger.post("/sign-in/email", body) for _ in range(5)]
        for body in (SIGN_IN, nobody)
    ]

    known, unknown = ([(it.status, it.headers, it.body) for it in each] for each in answers)
    assert known == unknown
    spread = [
        await from_many_addresses(guarded, new_browser, 6, body) for body in (SIGN_IN, nobody)
    ]
    assert spread == [[401] * 2 + [429] * 4] * 2


async def test_attack_many_guesses_at_the_same_time(ada, stranger, race):
    """They are counted before a password is looked at, so none is free."""
    answers = await race(64, lambda: stranger.post("/sign-in/email", SIGN_IN))

    assert sorted(it.status for it in answers) == [401] * 3 + [429] * 61


async def check_exact(auth, stranger, race):
    """Race at an account that nobody has: so many guesses pass, and no more."""
    answers = await race(64, lambda: stranger.post("/sign-in/email", SIGN_IN))

    assert sorted(it.status for it in answers) == [401] * 3 + [429] * 61
    await auth.close()


@pytest.mark.redis
async def test_attack_many_guesses_at_the_same_time_in_redis(
    new_auth, new_browser, race, redis_url
):
    """Redis counts them as exactly."""
    store = RedisStorage(redis_url, prefix=f"test:{token_hex(8)}:")
    limits = RateLimits(rules=NO_OTHER_LIMITS, guesses=FEW, store=store)
    auth = new_auth(rate_limits=limits)

    await check_exact(auth, new_browser(auth), race)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def in_sql(request, sql_auth, run):
    """An instance that counts guesses in an SQL database, where there are none yet."""
    limits = RateLimits(rules=NO_OTHER_LIMITS, guesses=FEW, store="database")
    auth = sql_auth(request.getfixturevalue(f"{request.param}_database"), rate_limits=limits)
    run(auth.store.delete_many("rate_limit", None))
    return auth


async def test_attack_many_guesses_at_the_same_time_in_sql(in_sql, new_browser, race):
    """Every database counts them as exactly."""
    await check_exact(in_sql, new_browser(in_sql), race)


# --- many addresses ------------------------------------------------------------------------


async def test_attack_guessing_from_many_addresses(ada, guarded, new_browser):
    """All that never signed in to the account have so many together."""
    guessed = await from_many_addresses(guarded, new_browser, 7)

    assert guessed == [401] * 5 + [429] * 2


async def test_attack_a_stranger_locks_the_owner_out(ada, guarded, new_browser):
    """Where she has signed in before, she still can; with her own guesses, and no more."""
    await ada.sign_in()
    await from_many_addresses(guarded, new_browser, 20)

    assert await statuses(ada, 2) == [401, 401]
    assert (await ada.sign_in()).status == 200
    assert await statuses(ada, 4) == [401, 401, 401, 429]


async def test_a_lock_ends_with_its_window(ada, guarded, new_browser, clock):
    """Whoever goes on puts it off no further."""
    for _ in range(3):
        await from_many_addresses(guarded, new_browser, 6)
        clock.advance(seconds=19)
    clock.advance(seconds=3)

    assert (await ada.sign_in()).status == 200


async def test_a_link_by_mail_opens_the_account_again(new_auth, new_browser):
    """Who reads the owner's mail is the owner, wherever they are and whatever others tried."""
    sent = []
    auth = new_auth(
        rate_limits=RateLimits(rules=NO_OTHER_LIMITS, guesses=FEW),
        mail=sent.append,
    )
    await new_browser(auth).sign_up()
    await from_many_addresses(auth, new_browser, 20)
    abroad = new_browser(auth, address=STRANGER)
    assert await statuses(abroad, 1) == [429]

    await abroad.post("/request-password-reset", {"email": "ada@example.org"})
    body = {"token": sent[-1].token, "newPassword": "analytical-engine"}
    reset = await abroad.post("/reset-password", body)

    assert reset.status == 200
    assert (await abroad.sign_in(password="analytical-engine")).status == 200


# --- what is kept, and where it is off -----------------------------------------------------


async def test_what_is_stored_names_nobody(new_auth, new_browser):
    """Neither an account nor where it was guessed at from; the secret makes the keys."""
    auth = new_auth(rate_limits=RateLimits(rules=NO_OTHER_LIMITS, guesses=FEW, store="database"))
    browser = new_browser(auth)
    await browser.sign_up()
    await statuses(browser, 1)
    await browser.sign_in()
    await statuses(browser, 1)

    keys = sorted(row["key"] for row in await auth.store.find_many("rate_limit"))

    assert [key.partition(":")[0] for key in keys] == ["guess", "guesses", "known"]
    assert all(len(key.partition(":")[2]) == 64 for key in keys)


@pytest.mark.parametrize("settings", [{"guesses": None}, {"enabled": False}])
async def test_it_can_be_switched_off(new_auth, new_browser, settings):
    """Alone, or with all other limits."""
    given = {"rules": NO_OTHER_LIMITS, "guesses": FEW, **settings}
    browser = new_browser(new_auth(rate_limits=RateLimits(**given)))

    assert await statuses(browser, 5) == [401] * 5


async def test_clients_whose_address_is_unknown_lock_nobody_out(new_auth, new_browser):
    """Together they would be one client."""
    limits = RateLimits(rules=NO_OTHER_LIMITS, guesses=FEW)
    browser = new_browser(new_auth(rate_limits=limits), address="")

    assert await statuses(browser, 7) == [401] * 7


def test_the_defaults_are_what_the_standard_allows():
    """A hundred for an account at most, and they are on."""
    guesses = RateLimits().guesses

    assert (guesses.per_address, guesses.per_account, guesses.window) == (10, 100, 3600)


@pytest.mark.parametrize("wrong", [{"per_address": 0}, {"per_account": -1}, {"window": 0}])
def test_what_lets_nobody_in_is_refused(wrong):
    """Found when it is made."""
    with pytest.raises(ConfigurationError):
        PasswordGuesses(**wrong)


def test_a_store_that_forgets_nothing_cannot_count_guesses():
    """Without them it may count requests."""

    class Counting:
        async def increment(self, key, *, window):
            """Count nothing."""

    with pytest.raises(ConfigurationError, match=r"has no get\(\), delete\(\)"):
        RateLimits(store=Counting())
    assert RateLimits(store=Counting(), guesses=None).guesses is None
