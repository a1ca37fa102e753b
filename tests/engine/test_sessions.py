"""Sessions as rows: renewed once, deleted for good, found by their token alone."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from watchword import SessionOptions
from watchword.errors import ReferenceViolation
from watchword.storage.entities import Session
from watchword.storage.query import F

DAY = timedelta(days=1)


@pytest.fixture
def sessions(auth):
    """The sessions of the instance in memory."""
    return auth.instance.sessions


@pytest.fixture
def new_session(auth, sessions) -> Callable:
    """Make a session of a new user."""

    async def new_session(*, remembered=True):
        user = await auth.store.create("user", {"name": "", "email": "ada@example.org"})
        return await sessions.create(
            user["id"], ip_address="", user_agent="", remembered=remembered
        )

    return new_session


def entity(session):
    """Return what was read of a session when it was made."""
    return Session.from_record(session.row, token=session.token)


async def test_a_token_finds_its_session_and_user(sessions, new_session):
    """And nothing else does: neither the stored digest nor the id."""
    session = await new_session()

    found = await sessions.find(session.token)

    assert found.user.email == "ada@example.org"
    assert found.session == entity(session)
    assert await sessions.find(session.row["token"]) is None
    assert await sessions.find(str(session.row["id"])) is None
    assert await sessions.find("") is None


async def test_a_session_of_nobody_cannot_be_made(sessions, missing_id):
    """The reference holds."""
    with pytest.raises(ReferenceViolation):
        await sessions.create(missing_id, ip_address="", user_agent="", remembered=True)


@pytest.fixture
def missing_id() -> str:
    """An id that no row has."""
    return "00000000-0000-7000-8000-000000000000"


async def test_of_two_renewals_one_writes_and_both_see_it(auth, sessions, new_session, clock):
    """The second one finds what the first one wrote, though it had read the old row."""
    token = (await new_session()).token
    clock.advance(days=1)
    read = (await sessions.find(token)).session

    first = await sessions.renew(read)
    clock.advance(seconds=1)
    second = await sessions.renew(read)

    assert first.expires_at == second.expires_at == read.expires_at + DAY
    assert second.updated_at == first.updated_at
    assert first.token == second.token == token
    assert await auth.store.count("session", F.updated_at == first.updated_at) == 1


async def test_a_session_that_is_gone_is_not_renewed(sessions, new_session, clock):
    """Not even by who has read it before."""
    session = await new_session()
    await sessions.delete(session.token)

    assert await sessions.renew(entity(session)) is None
    assert await sessions.find(session.token) is None


async def test_a_session_renewed_meanwhile_is_not_deleted_as_expired(sessions, new_session, clock):
    """Whoever read the old row does not end the new one."""
    session = await new_session()
    clock.now = session.row["expires_at"]
    renewed = await sessions.renew((await sessions.find(session.token)).session)

    await sessions.delete_expired(entity(session))

    assert (await sessions.find(session.token)).session.expires_at == renewed.expires_at


@pytest.mark.parametrize(
    ("age", "due"),
    [
        (timedelta(0), False),
        (DAY - timedelta(microseconds=1), False),
        (DAY, True),
        (6 * DAY, True),
    ],
)
async def test_a_session_is_due_after_its_update_age(sessions, new_session, clock, age, due):
    """To the microsecond."""
    session = await new_session()
    clock.now += age

    assert sessions.is_due(entity(session)) is due
    assert sessions.is_expired(entity(session)) is False


async def test_an_update_age_of_zero_renews_with_each_use(new_auth, new_browser, clock):
    """For who wants the end to be exact."""
    auth = new_auth(session=SessionOptions(update_age=timedelta(0)))
    browser = new_browser(auth)
    await browser.sign_up()
    clock.advance(seconds=1)

    answer = await browser.session()

    assert answer.json["session"]["expiresAt"] == "2026-05-24T12:00:01.123Z"
