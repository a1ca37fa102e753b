"""Sessions that are read beside the database: what is read, what is believed, and what ends it."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from watchword import (
    BlockingWatchword,
    ConfigurationError,
    Field,
    Naming,
    SessionOptions,
    UserOptions,
)
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.memory_storage import MemoryStorage
from watchword.concurrency import run_blocking
from watchword.crypto.tokens import digest
from watchword.errors import InvalidValue, StorageUnavailable
from watchword.storage.cached_sessions import CachedSessions
from watchword.storage.query import F

DATABASES = ["memory", "sqlite_database", "postgresql_database", "mysql_database"]
EXTRA = {
    "birthday": Field("datetime", required=False),
    "badge": Field("bytes", required=False, input=False),
    "plan": Field("json", required=False),
    "tags": Field("strings", required=False),
    "points": Field("bigint", required=False),
    "secret_note": Field("text", required=False, returned=False),
}
VALUES = {
    "birthday": datetime(1815, 12, 10, 1, 2, 3, 456789, tzinfo=UTC),
    "badge": b"\x00\xff",
    "plan": {"name": "pro", "seats": [1, 2.5, None]},
    "tags": ["a", "2015-12-10T00:00:00Z"],
    "points": 2**60,
    "secret_note": "2015-12-10T00:00:00Z",
}


class Reads(MemoryAdapter):
    """Memory that counts the reads of sessions."""

    def __init__(self):
        super().__init__()
        self.reads = 0

    async def find_many(self, model, where=None, **options):
        """Count, and read."""
        self.reads += model == "session"
        return await super().find_many(model, where, **options)


@pytest.fixture
def storage(clock):
    """Where copies are."""
    return MemoryStorage(clock)


@pytest.fixture
def database():
    """Where sessions are."""
    return Reads()


@pytest.fixture
def cached(new_auth, storage):
    """Make instances that share copies."""

    def cached(database, **settings):
        return new_auth(database, sessions=CachedSessions(storage=storage), **settings)

    return cached


@pytest.fixture
def auth(cached, database):
    """An instance in memory."""
    return cached(database)


async def sign_in(auth, email="ada@example.org", **values):
    """Make a user with a session; return its token."""
    user = await auth.store.create("user", {"name": "Ada", "email": email, **values})
    return (await auth.instance.sessions.stored.create(str(user["id"]))).token


async def find(auth, token):
    """Return who is signed in with a token."""
    return await auth.instance.sessions.find(token)


async def key_of(auth, storage, token):
    """Return the key under which a session's copy is, and the copy."""
    row = await auth.store.find_one("session", F.token == token)
    key = f"session:{row['token']}"
    return key, await storage.get(key)


# --- what is read --------------------------------------------------------------------------


async def test_a_session_is_read_once(auth, database):
    """Twice by whoever finds no copy: what tells whose it is may be older than the version."""
    token = await sign_in(auth)

    found = [await find(auth, token) for _ in range(3)]

    assert found[0].user.email == "ada@example.org"
    assert found == [found[0]] * 3
    assert database.reads == 2


async def test_a_copy_that_ended_tells_whose_it_is(auth, database, clock):
    """So the database is asked once."""
    token = await sign_in(auth)
    await find(auth, token)
    clock.advance(minutes=1)
    database.reads = 0

    found = [await find(auth, token) for _ in range(2)]

    assert found[0] == found[1]
    assert database.reads == 1


async def test_an_unknown_token_is_looked_up(auth, database):
    """Nothing is kept of it, so nobody fills the storage by inventing tokens."""
    await sign_in(auth)

    assert [await find(auth, "invented") for _ in range(2)] == [None, None]
    assert database.reads == 2


@pytest.fixture(params=["uuid", "bigint"])
def rich(request, sql_auth, storage, each_database):
    """An instance whose users and sessions have fields of every type."""
    return sql_auth(
        each_database,
        sessions=CachedSessions(storage=storage),
        ids=request.param,
        naming=Naming(prefix=f"{request.param}_"),
        user=UserOptions(additional_fields=EXTRA),
        session=SessionOptions(additional_fields=EXTRA),
        email_password=None,
    )


@pytest.fixture(params=DATABASES[1:])
def each_database(request):
    """Each server, and SQLite."""
    return request.getfixturevalue(request.param)


async def test_a_copy_is_what_the_database_has(rich, storage):
    """To the microsecond and the type, fields that nobody is shown included."""
    token = await sign_in(rich, **VALUES)
    first = await find(rich, token)
    assert (await key_of(rich, storage, token))[1] is not None

    again = await find(rich, token)

    assert again == first
    assert {name: again.user.extra[name] for name in VALUES} == VALUES


async def test_a_transaction_reads_the_database(auth, storage):
    """It sees what it has written, and makes no copies that others would believe."""
    token = await sign_in(auth)
    await find(auth, token)
    key, copy = await key_of(auth, storage, token)
    await storage.delete(key)

    async with auth.transaction():
        await auth.store.update("user", F.name == "Ada", {"name": "Grace"})
        inside = await find(auth, token)

    assert inside.user.name == "Grace"
    assert await storage.get(key) is None
    assert copy is not None


# --- what ends a copy ----------------------------------------------------------------------

# What changes a session or its user, by what is then found: None, or the user's name and the
# session's user agent.
CHANGES = {
    "revoke": (lambda auth, it: auth.sessions.revoke(it.session.token), None),
    "revoke by handle": (lambda auth, it: auth.sessions.revoke(it.session.id), None),
    "revoke all": (lambda auth, it: auth.sessions.revoke_all(it.user.id), None),
    "delete": (lambda auth, it: auth.store.delete("session", F.id == it.session.id), None),
    "delete by agent": (
        lambda auth, it: auth.store.delete_many("session", F.user_agent == "Lynx"),
        None,
    ),
    "delete what ends within a month": (
        lambda auth, it: auth.store.delete_many(
            "session",
            (F.expires_at <= it.session.expires_at + timedelta(days=30))
            & (F.user_agent == "Lynx"),
        ),
        None,
    ),
    "delete every one": (lambda auth, it: auth.store.delete_many("session", None), None),
    "consume": (
        lambda auth, it: auth.store.consume_one("session", F.token == it.session.token),
        None,
    ),
    "delete the user": (lambda auth, it: auth.store.delete("user", F.id == it.user.id), None),
    "erase the user": (lambda auth, it: auth.erase_user(it.user.id), None),
    "rename": (lambda auth, it: auth.users.update(it.user.id, name="Grace"), ("Grace", "Lynx")),
    "rename by address": (
        lambda auth, it: auth.store.update("user", F.email == it.user.email, {"name": "Grace"}),
        ("Grace", "Lynx"),
    ),
    "rename all": (
        lambda auth, it: auth.store.update_many("user", None, {"name": "Grace"}),
        ("Grace", "Lynx"),
    ),
    "another agent": (
        lambda auth, it: auth.sessions.update(it.session.id, user_agent="Mosaic"),
        ("Ada", "Mosaic"),
    ),
    "other agents": (
        lambda auth, it: auth.store.update_many(
            "session", F.user_agent == "Lynx", {"user_agent": "Mosaic"}
        ),
        ("Ada", "Mosaic"),
    ),
}


@pytest.fixture(params=DATABASES)
def pair(request, cached, storage, sql_auth):
    """Two instances on one database and one storage, as two processes have them."""
    sessions = CachedSessions(storage=storage)
    if request.param == "memory":
        database = MemoryAdapter()
        return cached(database), cached(database)
    url = request.getfixturevalue(request.param)
    return sql_auth(url, sessions=sessions), sql_auth(url, sessions=sessions)


def seen(found):
    """Return what was found of Ada, as `CHANGES` write it."""
    return None if found is None else (found.user.name, found.session.user_agent)


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_seen_at_once(pair, storage, clock, change, in_transaction):
    """By another process too, which had a copy; and nobody else's session ends."""
    auth, other = pair
    [token, bystander] = [await sign_in(auth, f"{it}@example.org") for it in ("ada", "bob")]
    for it, agent in ((token, "Lynx"), (bystander, "Other")):
        await auth.store.update("session", F.token == it, {"user_agent": agent})
    clock.advance(seconds=10)  # else the marks of these changes would tell of the next one
    user = (await find(auth, token)).user
    assert [(await find(other, it)) is not None for it in (token, bystander)] == [True, True]
    make, expected = CHANGES[change]
    _, copy = await key_of(auth, storage, token)

    if in_transaction:
        async with auth.transaction():
            await make(auth, await find(auth, token))
    else:
        await make(auth, await find(auth, token))

    assert user.name == "Ada"
    assert copy is not None
    assert seen(await find(other, token)) == expected
    assert seen(await find(auth, token)) == expected
    assert "every" in change or await find(other, bystander) is not None


@pytest.mark.parametrize("sign_out", ["by token", "by token, as its user"])
async def test_a_session_that_is_gone_is_ended_all_the_same(auth, sign_out):
    """Somebody ended it who could not tell; whoever signs out again is not left signed in."""
    token = await sign_in(auth)
    user = (await find(auth, token)).user
    await auth.store.adapter.delete("session", F.user_id == user.id)
    assert await find(auth, token) is not None

    await auth.sessions.revoke(token, user_id=user.id if "user" in sign_out else None)

    assert await find(auth, token) is None


async def test_a_copy_is_made_again_when_the_change_is_over(auth, database, storage):
    """When the mark that it left has ended."""
    token = await sign_in(auth)
    user = (await find(auth, token)).user
    await auth.users.update(user.id, name="Grace")
    await find(auth, token)
    database.reads = 0

    assert (await find(auth, token)).user.name == "Grace"
    assert database.reads == 1


async def test_an_ended_session_is_looked_up(auth, clock):
    """It may have been renewed by whoever could not tell."""
    token = await sign_in(auth)
    found = await find(auth, token)
    clock.now = found.session.expires_at - timedelta(seconds=1)
    await find(auth, token)
    clock.advance(seconds=2)
    later = clock.now + timedelta(days=1)
    await auth.store.adapter.update("session", F.id == found.session.id, {"expires_at": later})

    assert (await find(auth, token)).session.expires_at == later


async def test_a_change_past_us_is_seen_when_it_is_told_of(auth, storage):
    """Until then a copy is believed, for as long as was agreed."""
    token = await sign_in(auth)
    user = (await find(auth, token)).user
    await auth.store.adapter.update("user", F.id == user.id, {"name": "Grace"})
    assert (await find(auth, token)).user.name == "Ada"

    await auth.drop_cached_sessions(user.id)

    assert (await find(auth, token)).user.name == "Grace"


async def test_a_change_past_us_is_seen_after_a_while(auth, clock):
    """Whatever happens, a copy is no older than was agreed."""
    token = await sign_in(auth)
    user = (await find(auth, token)).user
    await auth.store.adapter.update("user", F.id == user.id, {"name": "Grace"})
    clock.advance(seconds=59)
    assert (await find(auth, token)).user.name == "Ada"

    clock.advance(seconds=1)

    assert (await find(auth, token)).user.name == "Grace"


async def test_attack_an_old_version_is_put_back(auth, storage, clock):
    """Whoever writes into the storage wins no more time than a copy has anyway."""
    token = await sign_in(auth)
    user = (await find(auth, token)).user
    _, copy = await key_of(auth, storage, token)
    version = json.loads(copy.partition(".")[2])["version"]
    clock.advance(minutes=1)
    await auth.store.adapter.update("user", F.id == user.id, {"name": "Grace"})

    await storage.set(f"session-version:{digest(user.id)}", version, ttl=600)

    assert (await find(auth, token)).user.name == "Grace"


# --- what is kept --------------------------------------------------------------------------


async def test_no_token_is_kept(auth, storage):
    """Whoever reads the storage can sign in as nobody."""
    token = await sign_in(auth)
    await find(auth, token)

    key, copy = await key_of(auth, storage, token)

    assert token not in key
    assert token not in copy


async def forged(auth, storage, token, forge):
    """Put another copy in the place of the one that stands; return who is found then."""
    await find(auth, token)
    key, copy = await key_of(auth, storage, token)
    await storage.set(key, forge(copy), ttl=600)
    return await find(auth, token)


@pytest.mark.parametrize(
    "forge",
    [
        lambda copy: copy.replace("Ada", "Eve"),
        lambda copy: copy.partition(".")[2].replace("Ada", "Eve"),
        lambda copy: "." + copy.partition(".")[2].replace("Ada", "Eve"),
        lambda copy: copy.upper(),
        lambda copy: copy[:-1],
        lambda copy: "",
        lambda copy: "null",
    ],
)
async def test_attack_a_copy_that_nobody_signed(auth, storage, forge):
    """It is read as none, and replaced."""
    token = await sign_in(auth)

    assert (await forged(auth, storage, token, forge)).user.name == "Ada"
    assert "Ada" in (await key_of(auth, storage, token))[1]


async def test_attack_the_copy_of_another_session(auth, storage):
    """Our own signature makes nobody somebody else."""
    ada, eve = [await sign_in(auth, f"{it}@example.org") for it in ("ada", "eve")]
    await find(auth, ada)
    _, copy = await key_of(auth, storage, ada)

    found = await forged(auth, storage, eve, lambda _: copy)

    assert found.user.email == "eve@example.org"


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "https://staff.example.org"},
        {"naming": Naming(prefix="staff_")},
        {"naming": Naming(schema="staff")},
    ],
)
async def test_attack_a_session_of_another_instance(new_auth, storage, settings):
    """Storage and secret may be shared; users are not, so nobody is let in by a copy."""
    sessions = CachedSessions(storage=storage)
    customers = new_auth(MemoryAdapter(), sessions=sessions)
    staff = new_auth(MemoryAdapter(), sessions=sessions, **settings)
    token = await sign_in(customers)
    assert await find(customers, token) is not None

    assert await find(staff, token) is None


async def test_rotated_secrets(new_auth, storage, database):
    """Copies that an older one signed are read on; those of an unknown one are not."""
    old, new = "an-old-secret-of-32-characters-or-more", "a-new-secret-of-32-characters-or-more"
    sessions = CachedSessions(storage=storage)
    before = new_auth(database, sessions=sessions, secret=old)
    token = await sign_in(before)
    await find(before, token)
    database.reads = 0

    assert await find(new_auth(database, sessions=sessions, secret=[new, old]), token)
    assert database.reads == 0
    assert await find(new_auth(database, sessions=sessions, secret=new), token)
    assert database.reads > 0


async def test_a_release_with_other_fields(cached, database, storage):
    """It makes copies of its own, and neither stumbles over the other's."""
    plan = UserOptions(additional_fields={"plan": Field("string", required=False)})
    old, new = cached(database), cached(database, user=plan)
    token = await sign_in(new, plan="pro")
    await find(old, token)

    assert (await find(new, token)).user.extra["plan"] == "pro"
    assert (await find(old, token)).user.name == "Ada"


# --- while the storage fails ---------------------------------------------------------------


class Failing(MemoryStorage):
    """Memory that refuses what it is asked."""

    refused: frozenset[str] = frozenset()
    asked = 0

    def _check(self, call):
        self.asked += 1
        if call in self.refused:
            raise StorageUnavailable(f"no {call}", retryable=True)

    async def get(self, key):
        """Refuse, or return a value."""
        self._check("get")
        return await super().get(key)

    async def set(self, key, value, *, ttl):
        """Refuse, or keep a value."""
        self._check("set")
        await super().set(key, value, ttl=ttl)


@pytest.fixture
def failing(clock):
    """A storage that can be made to fail."""
    return Failing(clock)


async def test_attack_a_sign_out_of_nobody_ends_no_outage(new_auth, failing, database, caplog):
    """Nobody was told of it, so it shows nothing: the log has one line, and nobody waits."""
    auth = new_auth(database, sessions=CachedSessions(storage=failing))
    token = await sign_in(auth)
    await find(auth, token)
    failing.refused = frozenset({"get", "set"})
    await find(auth, token)
    failing.asked = 0

    for _ in range(3):
        await auth.instance.sessions.delete("invented")
        await find(auth, token)

    assert failing.asked == 0
    assert len([it for it in caplog.messages if "secondary storage" in it]) == 1


async def test_a_full_storage_is_told_all_the_same(new_auth, failing):
    """It deletes where it keeps nothing more, so no other process goes on to believe."""
    database, sessions = MemoryAdapter(), CachedSessions(storage=failing)
    auth, other = [new_auth(database, sessions=sessions) for _ in range(2)]
    token = await sign_in(auth)
    await find(other, token)
    failing.refused = frozenset({"set"})

    await auth.instance.sessions.delete(token)

    assert await find(other, token) is None


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"storage": object()},
        {"storage": "redis://localhost"},
        {"storage": MemoryStorage(), "max_staleness": timedelta(0)},
        {"storage": MemoryStorage(), "max_staleness": 60},
        {"storage": MemoryStorage(), "max_staleness": timedelta.max},
    ],
)
def test_what_cannot_keep_copies_is_refused(settings):
    """When it is made, and with a hint."""
    with pytest.raises(ConfigurationError) as refusal:
        CachedSessions(**settings)

    assert refusal.value.hint


def test_a_storage_that_needs_a_loop_is_refused_without_one(clock):
    """When the instance is made."""

    class OnALoop(MemoryStorage):
        needs_loop = True

    with pytest.raises(ConfigurationError, match="OnALoop"):
        BlockingWatchword(
            MemoryAdapter(),
            secret="an-example-of-32-characters-or-more",
            base_url="https://example.org",
            sessions=CachedSessions(storage=OnALoop(clock)),
        )


def test_a_blocking_instance(clock):
    """It reads copies too, and drops them."""
    database = Reads()
    auth = BlockingWatchword(
        database,
        secret="an-example-of-32-characters-or-more",
        base_url="https://example.org",
        sessions=CachedSessions(storage=MemoryStorage(clock)),
        clock=clock,
    )
    user = auth.users.create(name="Ada", email="ada@example.org")
    token = auth.sessions.create(user.id).token

    found = [run_blocking(find(auth, token)) for _ in range(2)]
    reads = database.reads
    auth.drop_cached_sessions(user.id)
    run_blocking(find(auth, token))

    assert [it.user.id for it in found] == [user.id] * 2
    assert (reads, database.reads) == (2, 3)


async def test_a_storage_that_cannot_be_told_says_so(new_auth, database, clock):
    """Whoever asks for it by name wants to know."""

    class Away(MemoryStorage):
        async def set(self, key, value, *, ttl):
            raise StorageUnavailable("away", retryable=True)

    auth = new_auth(database, sessions=CachedSessions(storage=Away(clock)))

    with pytest.raises(StorageUnavailable):
        await auth.drop_cached_sessions(str(uuid4()))


@pytest.mark.parametrize("user_id", ["1", 1, None, "\ud800"])
async def test_what_is_no_id_is_refused_and_forgotten(auth, database, user_id):
    """Copies are read on; a mistake of one caller is not everybody's."""
    token = await sign_in(auth)
    await find(auth, token)
    database.reads = 0

    with pytest.raises(InvalidValue):
        await auth.drop_cached_sessions(user_id)

    assert await find(auth, token) is not None
    assert database.reads == 0


@pytest.mark.parametrize("spelt", [str.upper, UUID])
async def test_an_id_is_told_in_any_spelling(auth, spelt):
    """As the database knows it."""
    token = await sign_in(auth)
    user = (await find(auth, token)).user
    await auth.store.adapter.update("user", F.id == user.id, {"name": "Grace"})

    await auth.drop_cached_sessions(spelt(user.id))

    assert (await find(auth, token)).user.name == "Grace"


async def test_without_copies_there_is_nothing_to_drop(new_auth):
    """And nothing is said."""
    await new_auth().drop_cached_sessions("1")
