"""Sessions in a secondary storage, beside a database that has none."""

import json
from datetime import timedelta

import pytest

from watchword import DeleteUser, Field, SessionOptions, UserOptions
from watchword.adapters.memory_storage import MemoryStorage
from watchword.errors import StorageUnavailable
from watchword.storage.secondary_sessions import SecondarySessions

PASSWORD, NEW = "difference-engine", "analytical-engine"
COOKIE = "better-auth.session_token"
EVE = {"name": "Eve", "email": "eve@example.org"}


class Storage(MemoryStorage):
    """Knows its keys, and goes away when a test says so."""

    def __init__(self, clock):
        super().__init__(clock)
        self.values = {}
        self.is_away = False

    async def get(self, key):
        """Read, if it is there."""
        if self.is_away:
            raise StorageUnavailable("away", retryable=True)
        return await super().get(key)

    async def set_if_absent(self, key, value, *, ttl):
        """Write, and note what."""
        self.values[key] = value
        return await super().set_if_absent(key, value, ttl=ttl)

    async def compare_and_set(self, key, expected, value, *, ttl):
        """Write, and note what."""
        self.values[key] = value
        return await super().compare_and_set(key, expected, value, ttl=ttl)

    async def forget(self, kind):
        """Lose all values of one kind, as a full server does."""
        for key in self.values:
            if key.startswith(kind):
                await self.delete(key)


@pytest.fixture
def storage(clock):
    """One in which nothing is."""
    return Storage(clock)


@pytest.fixture
def auth(new_auth, storage, clock):
    """An instance whose sessions are there."""
    fields = {
        "theme": Field("string", required=False),
        "opened_at": Field("datetime", required=False),
    }
    return new_auth(
        sessions=SecondarySessions(storage, clock),
        session=SessionOptions(additional_fields=fields),
        user=UserOptions(delete_user=DeleteUser()),
    )


@pytest.fixture
def ada(auth, new_browser, run):
    """Ada's browser, in which she is signed in."""
    browser = new_browser(auth)
    assert run(browser.sign_up()).status == 200
    return browser


@pytest.fixture
def others(auth, new_browser, run, ada, clock):
    """Two more of hers; she was there first."""
    browsers = [new_browser(auth) for _ in range(2)]
    for it in browsers:
        clock.advance(seconds=2)
        assert run(it.sign_in()).status == 200
    return browsers


@pytest.fixture
def eve(auth, new_browser, run):
    """Somebody else's."""
    browser = new_browser(auth)
    assert run(browser.sign_up(**EVE)).status == 200
    return browser


async def signed_in(*browsers):
    """Tell in which of them somebody is signed in."""
    return [(await it.session()).json is not None for it in browsers]


async def test_who_is_signed_in(auth, storage, ada):
    """The storage knows it, the database does not, and neither has a token that works."""
    found = (await ada.session()).json

    assert found["user"]["email"] == "ada@example.org"
    assert found["session"]["userId"] == found["user"]["id"]
    token = ada.cookies[COOKIE].partition(".")[0]
    assert found["session"]["token"] == token
    kept = json.dumps(storage.values)
    assert found["session"]["id"] in kept
    assert token not in kept
    assert await auth.store.count("user") == 1


async def test_sessions_are_listed_and_revoked_one_by_one(ada, others, eve):
    """The oldest first, each with a handle; nobody revokes somebody else's."""
    listed = (await ada.get("/list-sessions")).json
    own = (await ada.session()).json["session"]
    assert (len(listed), listed[0]) == (3, own)

    by_eve = await eve.post("/revoke-session", {"token": listed[1]["token"]})
    assert await signed_in(ada, *others, eve) == [True] * 4
    by_ada = await ada.post("/revoke-session", {"token": listed[1]["token"]})

    assert (by_eve.status, by_ada.status) == (200, 200)
    assert await signed_in(ada, *others, eve) == [True, False, True, True]
    left = [it["id"] for it in (await ada.get("/list-sessions")).json]
    assert left == [listed[0]["id"], listed[2]["id"]]


@pytest.mark.parametrize("forgotten", ["nothing", "session-of-id:"])
async def test_all_others_are_revoked(storage, ada, others, eve, forgotten):
    """Also those whose pointers the storage lost, though they still worked."""
    await storage.forget(forgotten)

    answer = await ada.post("/revoke-other-sessions")

    assert answer.status == 200
    assert await signed_in(ada, *others, eve) == [True, False, False, True]
    assert len((await ada.get("/list-sessions")).json) == 1


@pytest.mark.parametrize("forgotten", ["nothing", "session-of-id:"])
async def test_a_new_password_ends_other_sessions(storage, ada, others, eve, forgotten):
    """Nobody whom it was changed for stays in."""
    await storage.forget(forgotten)
    body = {"currentPassword": PASSWORD, "newPassword": NEW, "revokeOtherSessions": True}

    changed = await ada.post("/change-password", body)

    assert changed.status == 200
    assert await signed_in(ada, *others, eve) == [True, False, False, True]
    assert (await others[0].sign_in()).status == 401
    assert (await others[0].sign_in(password=NEW)).status == 200


async def test_all_sessions_are_revoked(ada, others, eve):
    """The caller's own too."""
    assert (await ada.post("/revoke-sessions")).status == 200

    assert await signed_in(ada, *others, eve) == [False, False, False, True]


async def test_a_sign_out_ends_one_session(ada, others):
    """For whoever copied the cookie as well."""
    copied = dict(ada.cookies)

    assert (await ada.post("/sign-out")).status == 200

    ada.cookies.update(copied)
    assert await signed_in(ada, *others) == [False, True, True]


async def test_a_deleted_user_has_no_sessions(auth, storage, ada, others, eve):
    """Nor, when copies have ended, anything else that says who they were."""
    user_id = (await ada.session()).json["user"]["id"]

    assert (await ada.post("/delete-user", {"password": PASSWORD})).status == 200

    assert await signed_in(ada, *others, eve) == [False, False, False, True]
    assert await auth.sessions.list_for_user(user_id) == []
    auth.instance.clock.advance(minutes=1)
    left = [await storage.get(it) for it in storage.values]
    assert not [it for it in left if it is not None and user_id in it]


async def test_added_fields_are_kept(auth, ada, clock):
    """What clients set, and what the application does, with its type."""
    answer = await ada.post("/update-session", {"theme": "dark"})
    session_id = (await ada.session()).json["session"]["id"]

    changed = await auth.sessions.update(session_id, opened_at=clock())

    assert answer.status == 200
    assert changed.extra == {"theme": "dark", "opened_at": clock()}
    assert (await ada.session()).json["session"]["theme"] == "dark"


async def test_a_session_in_use_lives_on(ada, clock):
    """Renewed once a day, ended after a week without use."""
    before = (await ada.session()).json["session"]
    clock.advance(days=2)

    renewed = (await ada.session()).json["session"]

    assert renewed["expiresAt"] > before["expiresAt"]
    clock.advance(days=6)
    assert await signed_in(ada) == [True]
    clock.advance(days=7)
    assert await signed_in(ada) == [False]


async def test_who_is_not_remembered_is_not_extended(auth, ada, new_browser, clock):
    """A day after the sign-in they are out."""
    browser = new_browser(auth)
    await browser.sign_in(rememberMe=False)
    clock.advance(hours=23)
    assert await signed_in(browser) == [True]

    clock.advance(hours=1)

    assert await signed_in(browser) == [False]


async def test_without_its_id_pointer_a_session_is_touched(auth, storage, ada, clock):
    """By its holder's token, which says whose it is."""
    token = (await ada.session()).json["session"]["token"]
    await storage.forget("session-of-id:")
    clock.advance(days=2)

    touched = await auth.sessions.touch(token)

    assert touched.expires_at == clock() + timedelta(days=7)
    assert (await auth.sessions.find(touched.id)).id == touched.id


async def test_racing_sign_ins_are_all_listed(auth, ada, new_browser, race):
    """Each works, until all are revoked."""
    browsers = [new_browser(auth) for _ in range(16)]
    left = iter(browsers)

    answers = await race(16, lambda: next(left).sign_in())

    assert [it.status for it in answers] == [200] * 16
    assert await signed_in(*browsers) == [True] * 16
    assert len((await ada.get("/list-sessions")).json) == 17
    await ada.post("/revoke-sessions")
    assert await signed_in(ada, *browsers) == [False] * 17


async def test_a_storage_that_is_away_signs_nobody_out(storage, ada):
    """The answer says so, and the cookie stays."""
    storage.is_away = True
    answer = await ada.session()
    storage.is_away = False

    assert answer.status == 503
    assert await signed_in(ada) == [True]


async def test_a_storage_that_lost_all_signs_everybody_out(storage, ada, others):
    """Until they sign in again."""
    await storage.forget("")

    assert await signed_in(ada, *others) == [False] * 3
    assert (await ada.sign_in()).status == 200
    assert await signed_in(ada, *others) == [True, False, False]


async def test_a_purge_finds_nothing_to_do(auth, ada, clock):
    """What has ended is gone."""
    clock.advance(days=8)

    assert (await auth.purge_expired()).sessions == 0
