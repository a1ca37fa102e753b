"""What sessions in a secondary storage promise beyond every store of sessions."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from secrets import token_hex

import pytest

from watchword.adapters.memory_storage import MemoryStorage
from watchword.adapters.redis import RedisStorage
from watchword.crypto.tokens import digest
from watchword.errors import InvalidValue, StorageUnavailable, UniqueViolation
from watchword.storage.secondary_sessions import SecondarySessions
from watchword.storage.stores import Lifetimes
from watchword.testing.store_suite import in_turn

CALLERS = 64
ROUNDS = 3


@pytest.fixture(params=["memory", "redis"])
def shared(request, clock, run):
    """Sessions in which nobody is, in either storage."""
    if request.param == "memory":
        yield SecondarySessions(MemoryStorage(clock), clock)
        return
    storage = RedisStorage(request.getfixturevalue("redis_url"), prefix=f"test_{token_hex(4)}:")
    yield SecondarySessions(storage, clock)
    run(storage.close())


class Noted(MemoryStorage):
    """Notes what was ever written, and lets something happen before the next swap."""

    def __init__(self, clock):
        super().__init__(clock)
        self.written: dict[str, list[str]] = {}
        self.interruption = None

    async def set(self, key, value, *, ttl):
        """Write."""
        await super().set(key, value, ttl=ttl)
        self.note(key, value)

    async def set_if_absent(self, key, value, *, ttl):
        """Write, if there is nothing."""
        done = await super().set_if_absent(key, value, ttl=ttl)
        return done and self.note(key, value)

    async def compare_and_set(self, key, expected, value, *, ttl):
        """Write, unless what happens before comes first."""
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            await interruption()
        done = await super().compare_and_set(key, expected, value, ttl=ttl)
        return done and self.note(key, value)

    def note(self, key, value):
        """Remember what was written; say that it was."""
        self.written.setdefault(key, []).append(value)
        return True

    def keys(self, of):
        """Return the keys of one kind."""
        return [it for it in self.written if it.startswith(of)]

    async def left(self):
        """Return the keys that have a value."""
        return [it for it in self.written if await self.get(it) is not None]


@pytest.fixture
def storage(clock):
    """One in which nothing is."""
    return Noted(clock)


@pytest.fixture
def sessions(storage, clock):
    """Those in it."""
    return SecondarySessions(storage, clock)


# --- races -------------------------------------------------------------------------------


async def test_racing_sign_ins_lose_none(shared, race):
    """Each session is listed, and works, though all are in one document."""
    for _ in range(ROUNDS):
        made = await race(CALLERS, partial(shared.create, "ada"))

        listed = await shared.list_for_user("ada")
        assert {it.id for it in listed} == {it.id for it in made}
        assert [await shared.get(it.token) for it in made] == made
        assert await shared.revoke_all("ada") == CALLERS


async def test_a_racing_session_has_ended_or_works(shared, race):
    """It is counted by whoever ended it, or it is listed and works; never both, never neither."""
    for _ in range(ROUNDS):
        calls = [partial(shared.create, "ada")] * CALLERS
        calls[8::8] = [partial(shared.revoke_all, "ada")] * 7

        results = await race(CALLERS, in_turn(calls))

        made = [it for it in results if not isinstance(it, int)]
        ended = sum(it for it in results if isinstance(it, int))
        listed = {it.id for it in await shared.list_for_user("ada")}
        working = {it.id for it in made if await shared.get(it.token) is not None}
        assert len(made) == CALLERS - 7
        assert working == listed
        assert len(made) == ended + len(listed)
        await shared.revoke_all("ada")


async def test_whoever_never_gets_a_turn_is_told(storage, sessions):
    """After so many tries, and that nothing was done."""
    made = await sessions.create("ada")

    async def overtake():
        storage.interruption = None
        await sessions.create("ada")
        storage.interruption = overtake

    storage.interruption = overtake
    with pytest.raises(StorageUnavailable) as failure:
        await sessions.revoke(made.token)

    assert failure.value.retryable
    storage.interruption = None
    assert await sessions.get(made.token) == made


async def test_a_longer_life_that_others_gave_meanwhile_holds(storage, sessions, clock):
    """Also for the pointers, which an extension that came too late had written."""
    made = await sessions.create("ada")
    clock.advance(days=2)

    async def extend():
        pointers = storage.keys("session-of-")
        await sessions.update(made.id, expires_at=clock() + timedelta(days=30))
        for it in pointers:
            await storage.set(it, "ada", ttl=7 * 24 * 60 * 60)

    storage.interruption = extend
    touched = await sessions.touch(made.token)

    assert touched.expires_at == clock() + timedelta(days=30)
    clock.advance(days=29)
    assert await sessions.get(made.token) == touched
    assert (await sessions.find(made.id)).id == made.id


# --- what is kept --------------------------------------------------------------------------


async def test_values_keep_their_types(shared):
    """What JSON would make a text of, or cannot tell from another, comes back as it was."""
    added = {
        "seen_at": datetime(2026, 5, 17, 14, 0, 0, 654321, tzinfo=timezone(timedelta(hours=2))),
        "looks_like_an_instant": "2026-05-17T12:00:00Z",
        "key": bytes(range(256)),
        "empty": b"",
        "points": 9_007_199_254_740_993,
        "one": 1,
        "yes": True,
        "whole": 1.0,
        "nothing": None,
        "roles": ["admin", ""],
        "device": {"at": "2026-05-17T12:00:00Z", "sizes": [1, 1.5, None], "": {}},
    }
    made = await shared.create("ada", **added)

    found = await shared.get(made.token)
    changed = await shared.update(made.id, key="text", one=b"\xff", empty=made.created_at)

    assert found.extra == made.extra == added
    assert {name: type(it) for name, it in found.extra.items()} == {
        name: type(it) for name, it in added.items()
    }
    assert found.extra["seen_at"].tzinfo == UTC
    assert changed.extra == {**added, "key": "text", "one": b"\xff", "empty": made.created_at}


@pytest.mark.parametrize(
    "values",
    [
        {"seen_at": datetime(2026, 5, 17)},  # noqa: DTZ001 - it names no instant
        {"device": {"seen_at": datetime(2026, 5, 17, tzinfo=UTC)}},
        {"price": Decimal(1)},
        {"roles": {"admin"}},
        {"share": float("nan")},
        {"theme": "\ud800"},
        {"id": 42},
        {"id": None},
        {"created_at": "2026-05-17T12:00:00Z"},
        {"user_agent": b"curl"},
    ],
    ids=str,
)
async def test_what_would_not_come_back_is_refused(storage, sessions, values):
    """Before anything is written."""
    with pytest.raises(InvalidValue):
        await sessions.create("ada", **values)

    assert storage.written == {}


@pytest.mark.parametrize("it", [None, 42, b"token", ["token"]])
async def test_what_is_no_text_is_refused(storage, sessions, it):
    """As a token, as an id, and as whose it is."""
    calls = [
        partial(sessions.get, it),
        partial(sessions.find, it),
        partial(sessions.touch, it),
        partial(sessions.list_for_user, it),
        partial(sessions.create, it),
        partial(sessions.create, "ada", token=it or 42),
        partial(sessions.update, it),
        partial(sessions.revoke, it),
        partial(sessions.revoke_all, it),
    ]

    for call in calls:
        with pytest.raises(InvalidValue):
            await call()

    assert storage.written == {}


async def test_what_is_kept_signs_nobody_in(storage, sessions):
    """Neither keys nor values have a token, nor a text that works as one."""
    made = await sessions.create("ada", token="a token that is known")
    await sessions.update(made.id, user_agent="curl")

    texts = [*storage.written, *(it for values in storage.written.values() for it in values)]
    assert not [it for it in texts if made.token in it]
    for it in (*storage.written, digest(made.token)):
        text = it.rpartition(":")[2].strip("{}")
        assert await sessions.get(text) is None
        assert await sessions.revoke(text) is False
        assert await sessions.revoke(text, user_id="ada") is False


@pytest.mark.parametrize("field", ["id", "token", "user_id"])
async def test_whose_a_session_is_never_changes(sessions, field):
    """Nor its id, nor its token."""
    made = await sessions.create("ada")

    with pytest.raises(InvalidValue, match="never changes"):
        await sessions.update(made.id, **{field: "eve"})

    assert await sessions.get(made.token) == made


async def test_what_a_change_may_expect(sessions):
    """Its token and its user too."""
    made = await sessions.create("ada")
    wrong: list[Mapping[str, object]] = [
        {"token": "another"},
        {"token": digest(made.token)},
        {"user_id": "eve"},
        {"user_id": None},
    ]

    refused = [await sessions.update(made.id, expected=it, user_agent="no") for it in wrong]
    right = {"token": made.token, "user_id": "ada", "expires_at": made.expires_at}
    changed = await sessions.update(made.id, expected=right, user_agent="curl")

    assert refused == [None] * 4
    assert changed.user_agent == "curl"


async def test_a_change_leaves_other_sessions_alone(sessions):
    """Be they in the document before it or after it."""
    made = [await sessions.create("ada") for _ in range(3)]

    await sessions.update(made[1].id, user_agent="curl")

    assert await sessions.get(made[0].token) == made[0]
    assert (await sessions.get(made[1].token)).user_agent == "curl"
    assert await sessions.get(made[2].token) == made[2]


async def test_what_changes_nothing_writes_nothing(storage, sessions):
    """So strangers, who ask for what is not there, fill no storage."""
    made = await sessions.create("ada")
    before = {key: list(values) for key, values in storage.written.items()}

    for it in ("eve", made.token):
        assert await sessions.revoke(it, user_id="eve") is False
        assert await sessions.revoke_all(it) == 0
        assert await sessions.update(it, user_agent="curl") is None
    assert await sessions.revoke("eve", user_id="ada") is False
    assert await sessions.revoke_all("ada", but=made.token) == 0
    assert await sessions.update(made.id, expected={"user_agent": ""}, user_agent="curl") is None
    assert await sessions.touch(made.token) == made

    assert storage.written == before


async def test_a_change_tells_when_it_was(sessions, clock):
    """As in a database, unless it says so itself."""
    made = await sessions.create("ada")
    clock.advance(hours=1)

    changed = await sessions.update(made.id, user_agent="curl")
    as_told = await sessions.update(made.id, updated_at=made.updated_at)

    assert changed.updated_at == clock()
    assert as_told.updated_at == made.updated_at


# --- what two sessions cannot share ----------------------------------------------------------


@pytest.mark.parametrize("user_id", ["ada", "eve"])
@pytest.mark.parametrize("field", ["token", "id"])
async def test_two_sessions_share_nothing(sessions, user_id, field):
    """Neither token nor id, be they one user's or two users'; the first one stays."""
    made = await sessions.create("ada")

    with pytest.raises(UniqueViolation) as refusal:
        await sessions.create(user_id, **{field: getattr(made, field)})

    assert refusal.value.fields == (field,)
    assert await sessions.get(made.token) == made
    assert [it.id for it in await sessions.list_for_user("ada")] == [made.id]
    assert await sessions.list_for_user("eve") == []


async def test_one_of_all_who_race_for_a_token_gets_it(shared, race):
    """The others are refused."""
    for turn in range(ROUNDS):
        results = await race(16, partial(shared.create, "ada", token=f"token {turn}"))

        [made] = [it for it in results if not isinstance(it, UniqueViolation)]
        assert await shared.get(made.token) == made


async def test_two_users_never_mix(storage, sessions):
    """Not even where a pointer leads to somebody else."""
    ada, eve = await sessions.create("ada"), await sessions.create("eve")
    for it in storage.keys("session-of-"):
        if storage.written[it] == ["ada"]:
            await storage.set(it, "eve", ttl=60)

    assert await sessions.get(ada.token) is None
    assert await sessions.find(ada.id) is None
    assert await sessions.get(eve.token) == eve
    assert await sessions.revoke(ada.token) is False
    assert await sessions.revoke_all("eve", but=ada.token) == 1
    assert [it.id for it in await sessions.list_for_user("ada")] == [ada.id]


# --- time ----------------------------------------------------------------------------------


async def test_nothing_stays_of_what_has_ended(storage, sessions, clock):
    """The document lives as long as its last session; one without any, a minute."""
    await sessions.create("ada", expires_at=clock() + timedelta(hours=1))
    last = await sessions.create("ada", expires_at=clock() + timedelta(hours=2))
    clock.advance(minutes=119)
    assert len(await storage.left()) == 3
    assert [it.id for it in await sessions.list_for_user("ada")] == [last.id]

    clock.advance(minutes=1)

    assert await storage.left() == []
    revoked = await sessions.create("ada")
    assert await sessions.revoke(revoked.token)
    assert await storage.left() == storage.keys("sessions:")
    clock.advance(minutes=1)
    assert await storage.left() == []


async def test_a_write_drops_what_has_ended(storage, sessions, clock):
    """So a document is no larger than the sessions that hold."""
    ended = await sessions.create("ada", expires_at=clock() + timedelta(hours=1))
    await sessions.create("ada")
    clock.advance(hours=1)

    await sessions.create("ada")

    [document] = storage.keys("sessions:")
    assert ended.id in storage.written[document][-2]
    assert ended.id not in storage.written[document][-1]


async def test_a_session_that_has_ended_already_is_not_kept(storage, sessions, clock):
    """By its making, or by a change."""
    made = await sessions.create("ada", expires_at=clock())
    changed = await sessions.create("ada")
    await sessions.update(changed.id, expires_at=clock())

    assert await sessions.get(made.token) is None
    assert await sessions.get(changed.token) is None
    assert await sessions.list_for_user("ada") == []
    assert await sessions.update(changed.id, expires_at=clock() + timedelta(1)) is None


async def test_a_session_that_is_not_remembered_is_never_extended(sessions, clock):
    """As the settings have it, which may be told."""
    made = await sessions.create("ada", expires_at=clock() + timedelta(days=1))
    clock.advance(hours=23)

    assert await sessions.touch(made.token) == made


async def test_sessions_live_as_they_are_told(storage, clock):
    """Whoever calls the store itself says how long."""
    short, never = timedelta(minutes=10), timedelta(0)
    lifetimes = Lifetimes(expires_in=short, forgotten_in=never, update_age=never, refresh=True)
    sessions = SecondarySessions(storage, clock, lifetimes)
    made = await sessions.create("ada")
    clock.advance(minutes=9)

    touched = await sessions.touch(made.token)

    assert made.expires_at == clock() + timedelta(minutes=1)
    assert touched.expires_at == clock() + short
