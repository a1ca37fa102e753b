"""What is left of sessions when their storage fails in the middle, or forgets some of them."""

from functools import partial

import pytest

from watchword.adapters.memory_storage import MemoryStorage
from watchword.errors import StorageError, StorageUnavailable, UniqueViolation
from watchword.storage.secondary_sessions import SecondarySessions

TOKEN = "a token that is known"


class Breaking:
    """A storage that is away from one of its calls on, until it is mended.

    Args:
        storage: Keeps the values.
    """

    needs_loop = False

    def __init__(self, storage):
        self.storage = storage
        self.keys = {}
        self.left = None
        self.answers_are_lost = False

    def __getattr__(self, name):
        """Pass a call on, unless the storage is away."""

        async def call(key, *args, **values):
            self.keys[key] = None
            if self.left is None:
                return await getattr(self.storage, name)(key, *args, **values)
            self.left -= 1
            if self.left == 0 and self.answers_are_lost:
                await getattr(self.storage, name)(key, *args, **values)
            if self.left <= 0:
                raise StorageUnavailable("away", retryable=not self.answers_are_lost)
            return await getattr(self.storage, name)(key, *args, **values)

        return call

    async def broken_at(self, number, call):
        """Make a call whose step of this number fails; tell what came of it."""
        self.left = number
        try:
            return await call()
        except StorageUnavailable as error:
            return error
        finally:
            self.left = None

    async def forget(self, kind):
        """Lose all values of one kind."""
        for key in [it for it in self.keys if it.startswith(kind)]:
            await self.storage.delete(key)

    async def garble(self, kind, text):
        """Put something else in the place of all values of one kind."""
        for key in [it for it in self.keys if it.startswith(kind)]:
            await self.storage.set(key, text, ttl=60)


@pytest.fixture
def storage(clock):
    """One in which nothing is."""
    return Breaking(MemoryStorage(clock))


@pytest.fixture
def sessions(storage, clock):
    """Those in it."""
    return SecondarySessions(storage, clock)


@pytest.fixture(params=["nothing was done", "the answer was lost"])
def lossy(request, storage):
    """The storage, whose failing step is not done, or done and not told."""
    storage.answers_are_lost = request.param == "the answer was lost"
    return storage


async def state(sessions, session):
    """Tell whether a session works; it is listed, and found, if and only if it does."""
    works = await sessions.get(session.token) is not None
    listed = [it.id for it in await sessions.list_for_user(session.user_id)]
    found = await sessions.find(session.id) is not None
    assert (session.id in listed, found) == (works, works)
    return works


# --- failures in the middle ------------------------------------------------------------------


@pytest.mark.parametrize("step", range(1, 6))
async def test_a_sign_in_that_broke_off(lossy, sessions, step):
    """It was made, or it was not; others are as they were, and the same can be asked again."""
    other = await sessions.create("ada")
    make = partial(sessions.create, "ada", token=TOKEN, id="1")

    outcome = await lossy.broken_at(step, make)

    works = await sessions.get(TOKEN) is not None
    if isinstance(outcome, StorageUnavailable):
        assert works == (step == 4 and lossy.answers_are_lost)
    else:
        assert (step, works) == (5, True)
    if works:
        with pytest.raises(UniqueViolation):
            await make()
    else:
        await make()
    listed = [it.id for it in await sessions.list_for_user("ada")]
    assert sorted(listed) == sorted(["1", other.id])
    assert await sessions.get(other.token) == other


@pytest.mark.parametrize("by", ["token", "handle", "token of a user", "all", "all others"])
async def test_a_revocation_that_broke_off(lossy, sessions, by):
    """Whoever is told that a session ended finds it ended; it never ends by half."""
    user = {"user_id": "ada"}
    outcomes = []
    for step in range(1, 13):
        made, kept = [await sessions.create("ada") for _ in range(2)]
        calls = {
            "token": partial(sessions.revoke, made.token),
            "handle": partial(sessions.revoke, made.id),
            "token of a user": partial(sessions.revoke, made.token, **user),
            "all": partial(sessions.revoke_all, "ada"),
            "all others": partial(sessions.revoke_all, "ada", but=kept.token),
        }

        outcomes.append(await lossy.broken_at(step, calls[by]))

        works = await state(sessions, made)
        if not isinstance(outcomes[-1], StorageUnavailable):
            assert outcomes[-1] >= 1
            assert not works
        elif not lossy.answers_are_lost:
            assert works
        assert await state(sessions, kept) == (by != "all" or works)
        await calls[by]()
        assert not await state(sessions, made)
        await sessions.revoke_all("ada")
        assert not await state(sessions, kept)
    assert isinstance(outcomes[0], StorageUnavailable)
    assert not isinstance(outcomes[-1], StorageUnavailable)


@pytest.mark.parametrize("step", range(1, 9))
async def test_an_extension_that_broke_off(lossy, sessions, clock, step):
    """The session works until its former end at least, and whatever it says."""
    made = await sessions.create("ada")
    clock.advance(days=2)

    outcome = await lossy.broken_at(step, partial(sessions.touch, made.token))

    assert isinstance(outcome, StorageUnavailable)
    found = await sessions.get(made.token)
    assert (found.expires_at > made.expires_at) == (
        step > 6 or (step == 6 and lossy.answers_are_lost)
    )
    clock.advance(seconds=(found.expires_at - clock()).total_seconds() - 1)
    assert await state(sessions, made)
    clock.advance(seconds=1)
    assert not await state(sessions, made)


# --- what the storage forgot -----------------------------------------------------------------


async def test_without_its_token_pointer_a_session_signs_nobody_in(storage, sessions):
    """It is still listed, and can be revoked."""
    made, other = [await sessions.create("ada") for _ in range(2)]
    await storage.forget("session-of-token:")

    assert await sessions.get(made.token) is None
    assert await sessions.touch(made.token) is None
    assert {it.id for it in await sessions.list_for_user("ada")} == {made.id, other.id}
    assert await sessions.revoke(made.token) is False
    assert await sessions.revoke(made.token, user_id="ada") is True
    assert await sessions.revoke(other.id) is True
    assert await sessions.list_for_user("ada") == []


async def test_without_its_id_pointer_a_session_works_and_can_be_ended(storage, sessions):
    """By its token, by its user, with all others; by its handle, of those who know whose it is."""
    made = [await sessions.create("ada") for _ in range(4)]
    await storage.forget("session-of-id:")
    assert await sessions.find(made[0].id) is None
    assert await sessions.get(made[0].token) == made[0]

    assert await sessions.revoke(made[0].id) is False
    assert await sessions.revoke(made[0].id, user_id="ada") is True
    assert await sessions.revoke(made[1].token) is True
    assert await sessions.revoke_all("ada", but=made[2].token) == 1

    assert [await sessions.get(it.token) for it in made] == [None, None, made[2], None]


async def test_an_extension_brings_a_lost_pointer_back(storage, sessions, clock):
    """For whoever knows whose the session is, as its holder does."""
    made = await sessions.create("ada")
    await storage.forget("session-of-id:")
    clock.advance(days=2)

    touched = await sessions.touch(made.token)

    assert touched.expires_at > made.expires_at
    assert await state(sessions, made)


async def test_a_lost_document_ends_sessions_for_good(storage, sessions):
    """They do not come back with the next one, though their pointers are there."""
    lost = await sessions.create("ada")
    await storage.forget("sessions:")

    assert not await state(sessions, lost)
    assert await sessions.touch(lost.token) is None
    assert await sessions.update(lost.id, user_agent="curl") is None
    assert await sessions.revoke(lost.token) is False
    assert await sessions.revoke_all("ada") == 0
    made = await sessions.create("ada")
    assert not await state(sessions, lost)
    assert await state(sessions, made)


@pytest.mark.parametrize("user_id", ["ada", "eve"])
async def test_what_a_lost_document_left_is_in_nobodys_way(storage, sessions, user_id):
    """Its sessions' tokens and ids are free, for whomever."""
    lost = await sessions.create("ada")
    await storage.forget("sessions:")

    made = await sessions.create(user_id, token=lost.token, id=lost.id)

    assert made.user_id == user_id
    assert await sessions.get(lost.token) == made
    assert await state(sessions, made)


async def test_a_document_that_is_lost_in_a_change_is_not_brought_back(clock):
    """Who read it before writes on what is there, which is nothing."""

    class Forgetful(MemoryStorage):
        async def compare_and_set(self, key, expected, value, *, ttl):
            await self.delete(key)
            return await super().compare_and_set(key, expected, value, ttl=ttl)

    sessions = SecondarySessions(Forgetful(clock), clock)
    lost = await sessions.create("ada")

    made = await sessions.create("ada")

    assert not await state(sessions, lost)
    assert await state(sessions, made)


GARBLED = {
    "nothing": "",
    "no JSON": "{",
    "null": "null",
    "another value": '{"sessions": []}',
    "no session": "[42]",
    "half a session": '[{"id": "1", "token": "2"}]',
    "a naive instant": '[{"id": "1", "token": "2", "ip_address": null, "user_agent": null, '
    '"created_at": "2026-05-17T12:00:00Z", "updated_at": "2026-05-17T12:00:00Z", '
    '"expires_at": "2026-05-17T12:00:00"}]',
    "too deep": '[{"plain": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}]",
}


@pytest.mark.parametrize("text", GARBLED.values(), ids=GARBLED)
async def test_a_garbled_document_is_an_error_of_the_storage(storage, sessions, text):
    """Nobody is signed in by it, and nothing is written over it."""
    made = await sessions.create("ada")
    await storage.garble("sessions:", text)
    calls = [
        partial(sessions.get, made.token),
        partial(sessions.find, made.id),
        partial(sessions.touch, made.token),
        partial(sessions.list_for_user, "ada"),
        partial(sessions.create, "ada"),
        partial(sessions.update, made.id, user_agent="curl"),
        partial(sessions.revoke, made.token),
        partial(sessions.revoke_all, "ada"),
    ]

    for call in calls:
        with pytest.raises(StorageError, match="cannot be read") as failure:
            await call()
        assert made.token not in f"{failure.value!r} {failure.value.__cause__!r}"

    [document] = [it for it in storage.keys if it.startswith("sessions:")]
    assert await storage.get(document) == text


@pytest.mark.parametrize("text", ["", "eve", "\0", "x" * 5000, "{}"])
async def test_a_garbled_pointer_leads_to_nobody(storage, sessions, text):
    """Whatever it says."""
    made = await sessions.create("ada")
    await storage.garble("session-of-", text)

    assert await sessions.get(made.token) is None
    assert await sessions.find(made.id) is None
    assert await sessions.revoke(made.token) is False
    assert len(await sessions.list_for_user("ada")) == 1
