"""Links that work once, kept in Redis beside a database."""

from secrets import token_hex

import pytest

from watchword.adapters.redis import RedisStorage
from watchword.storage.secondary_verifications import SecondaryVerifications

ADDRESS = "ada@example.org"
INVALID = (400, "INVALID_TOKEN")


@pytest.fixture
def storage(redis_url, run):
    """One in which nothing is."""
    storage = RedisStorage(redis_url, prefix=f"test_{token_hex(4)}:")
    yield storage
    run(storage.close())


@pytest.fixture
def outbox():
    """Every mail that was sent."""
    return []


@pytest.fixture
def auth(new_auth, outbox, storage, clock):
    """An instance that mails links."""
    verifications = SecondaryVerifications(storage, clock)
    return new_auth(mail=outbox.append, verifications=verifications)


async def test_a_link_resets_a_password_once(auth, new_browser, outbox):
    """The database knows nothing of it, before and after."""
    browser = new_browser(auth)
    await browser.sign_up()
    await browser.post("/request-password-reset", {"email": ADDRESS})
    reset = {"newPassword": "analytical-engine", "token": outbox[-1].token}
    assert await auth.store.count("verification") == 0

    first, second = [await new_browser(auth).post("/reset-password", reset) for _ in range(2)]

    assert (first.status, second.refusal) == (200, INVALID)
    assert (await browser.sign_in(password="analytical-engine")).status == 200


async def test_one_of_many_who_open_a_link_resets(auth, new_browser, outbox, race):
    """The others are told that it is no longer valid."""
    await new_browser(auth).sign_up()
    await new_browser(auth).post("/request-password-reset", {"email": ADDRESS})
    reset = {"newPassword": "analytical-engine", "token": outbox[-1].token}

    answers = await race(16, lambda: new_browser(auth).post("/reset-password", reset))

    assert sorted(it.status for it in answers) == [200] + [400] * 15


async def test_a_link_ends(auth, new_browser, outbox, clock):
    """When its time is over."""
    await new_browser(auth).sign_up()
    await new_browser(auth).post("/request-password-reset", {"email": ADDRESS})
    clock.advance(seconds=3601)

    reset = {"newPassword": "analytical-engine", "token": outbox[-1].token}
    assert (await new_browser(auth).post("/reset-password", reset)).refusal == INVALID
