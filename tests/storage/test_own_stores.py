"""Stores of the application's own: each passes its suite, and every flow goes through them."""

import os
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from secrets import token_hex, token_urlsafe
from threading import RLock
from typing import Any, Final

import pytest
from sqlalchemy import Column, MetaData, NullPool, String, Table, create_engine, make_url

from watchword import (
    BlockingWatchword,
    ConfigurationError,
    DatabaseHook,
    DeleteUser,
    EmailPassword,
    Field,
    Naming,
    Purged,
    RateLimits,
    Session,
    SessionOptions,
    User,
    UserOptions,
)
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.errors import InvalidValue, LastAccount, StorageUnavailable, UniqueViolation
from watchword.plugins.username import Username
from watchword.storage.entities import TOKENS, Account
from watchword.storage.query import F
from watchword.storage.stores import Found
from watchword.testing import (
    AccountStoreSuite,
    SessionStoreSuite,
    UserStoreSuite,
    VerificationStoreSuite,
)

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
ROUNDS: Final = 100 if IS_SOAK else 1
CALLERS: Final = 16 if IS_SOAK else 8
NEW_HASH: Final = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "A" * 40
GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "own-stores.md"
BLOCKS: Final = re.findall(
    r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def guide() -> dict[str, Any]:
    """Return what the first block of the guide defines."""
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(BLOCKS[0], GUIDE.name, "exec"), names)
    return names


CSVUsers: Final = guide()["CSVUsers"]

# --- the smallest stores that keep their promises --------------------------------------------


class Rows:
    """Rows by id, which one caller at a time changes."""

    def __init__(self, clock):
        self.clock = clock
        self.rows: dict[str, dict[str, Any]] = {}
        self.lock = RLock()

    def add(self, **values):
        """Write a row with an id and times."""
        now = self.clock()
        with self.lock:
            row = {"id": token_hex(8), "created_at": now, "updated_at": now, **values}
            self.rows[row["id"]] = row
            return row

    def change(self, row_id, expected, changes):
        """Compare and write in one step."""
        with self.lock:
            row = self.rows.get(row_id)
            if row is None or any(row.get(it) != value for it, value in (expected or {}).items()):
                return None
            self.rows[row_id] = row | changes
            return self.rows[row_id]

    def remove(self, **wanted):
        """Delete what matches, and count it."""
        with self.lock:
            found = [row["id"] for row in self.matching(**wanted)]
            return sum(self.rows.pop(it, None) is not None for it in found)

    def matching(self, **wanted):
        """Return what matches, the oldest first."""
        with self.lock:
            rows = [it for it in self.rows.values() if wanted.items() <= it.items()]
            return sorted(rows, key=lambda it: it["created_at"])


class OwnSessions(Rows):
    """Sessions in memory; a handle is no id here, to show that it need not be one."""

    def create(self, user_id, *, token=None, expires_at=None, **values):
        """Make a session."""
        given = {"ip_address": None, "user_agent": None, **values}
        token = token or token_urlsafe()
        expires_at = expires_at or self.clock() + timedelta(days=7)
        return shown(self.add(user_id=user_id, token=token, expires_at=expires_at, **given), token)

    def get(self, token):
        """Find one that holds."""
        found = [it for it in self.matching(token=token) if it["expires_at"] > self.clock()]
        return shown(found[0], token) if found else None

    def find(self, session_id):
        """Find one, ended or not."""
        return handled(self.rows.get(session_id))

    def touch(self, token):
        """Let it live on."""
        session = self.get(token)
        if session is not None and session.expires_at <= self.clock() + timedelta(days=6):
            later = {"expires_at": self.clock() + timedelta(days=7)}
            self.change(session.id, None, later)
            session = self.get(token)
        return session

    def list_for_user(self, user_id):
        """List those that hold."""
        rows = self.matching(user_id=user_id)
        return [handled(it) for it in rows if it["expires_at"] > self.clock()]

    def update(self, session_id, *, expected=None, **changes):
        """Change one."""
        return handled(self.change(session_id, expected, changes))

    def revoke(self, token, *, user_id=None):
        """End one."""
        theirs = {} if user_id is None else {"user_id": user_id}
        row_id = token.removeprefix("handle of ")
        by_handle = row_id != token and self.remove(id=row_id, **theirs)
        return bool(by_handle or self.remove(token=token, **theirs))

    def revoke_all(self, user_id, *, but=None):
        """End many."""
        ended = [
            it for it in self.matching(user_id=user_id) if but not in {it["token"], handle(it)}
        ]
        return sum(self.remove(id=it["id"]) for it in ended)

    def purge(self):
        """Delete what has ended."""
        ended = [it for it in self.matching() if it["expires_at"] <= self.clock()]
        return sum(self.remove(id=it["id"]) for it in ended)


def handle(row):
    """What stands in a list in place of a token."""
    return f"handle of {row['id']}"


def shown(row, token):
    """Return a session with what its holder has."""
    return Session.from_record(row, token=token)


def handled(row):
    """Return a session as others see it."""
    return None if row is None else shown(row, handle(row))


class Accounts:
    """Accounts in memory."""

    def __init__(self, clock):
        self.table = Rows(clock)

    def get(self, account_id):
        """Find by id."""
        return opened(self.table.rows.get(account_id))

    def find(self, provider_id, account_id):
        """Find by what the provider knows."""
        found = self.table.matching(provider_id=provider_id, account_id=account_id)
        return opened(found[0]) if found else None

    def create(self, user_id, provider_id, account_id, **values):
        """Link."""
        with self.table.lock:
            if self.find(provider_id, account_id):
                raise UniqueViolation("account", ["account_id", "provider_id"])
            named = {"user_id": user_id, "provider_id": provider_id, "account_id": account_id}
            blank = dict.fromkeys(Account.__struct_fields__[4:-3])
            return closed(self.table.add(**(blank | named | values)))

    def upsert(self, user_id, provider_id, account_id, **values):
        """Link or bring up to date."""
        with self.table.lock:
            found = self.find(provider_id, account_id)
            if found is None or found.user_id != user_id:
                return self.create(user_id, provider_id, account_id, **values)
            return self.update(found.id, **values)

    def list_for_user(self, user_id):
        """List."""
        return [closed(it) for it in self.table.matching(user_id=user_id)]

    def update(self, account_id, *, expected=None, **changes):
        """Change one."""
        return closed(self.table.change(account_id, expected, changes))

    def unlink(self, user_id, account_id, *, even_last=False):
        """Delete one."""
        with self.table.lock:
            if not even_last and len(self.table.matching(user_id=user_id)) == 1:
                raise LastAccount
            return self.table.remove(user_id=user_id, id=account_id) > 0


def opened(row):
    """Return an account with its tokens."""
    return None if row is None else Account.from_record(row, tokens={it: row[it] for it in TOKENS})


def closed(row):
    """Return an account without them."""
    return None if row is None else Account.from_record(row, tokens={})


class Verifications:
    """Values in memory."""

    def __init__(self, clock):
        self.clock = clock
        self.values: dict[tuple[str, str], Any] = {}
        self.tries: Counter[tuple[str, str]] = Counter()
        self.lock = RLock()

    def issue(self, purpose, value, *, expires_in, token=None):
        """Keep one."""
        key = purpose, token or token_urlsafe()
        with self.lock:
            self.tries[key] = 0
            self.values[key] = (value, self.clock() + expires_in)
        return key[1]

    def find(self, purpose, token):
        """Look."""
        found = self.values.get((purpose, token))
        return None if found is None else Found(found[0], found[1] <= self.clock())

    def redeem(self, purpose, token):
        """Use."""
        with self.lock:
            found = self.find(purpose, token)
            if found is None or found.is_expired:
                return None
            del self.values[purpose, token]
            return found.value

    def discard(self, purpose, token):
        """Forget."""
        with self.lock:
            return self.values.pop((purpose, token), None) is not None

    def attempt(self, purpose, token, *, limit):
        """Count."""
        with self.lock:
            found = self.find(purpose, token)
            if found is None or found.is_expired or self.tries[purpose, token] >= limit:
                return False
            self.tries[purpose, token] += 1
            return True

    def purge(self):
        """Delete what has expired."""
        with self.lock:
            gone = [key for key, (_, until) in self.values.items() if until <= self.clock()]
            return sum(self.discard(*it) for it in gone)


# --- they pass -------------------------------------------------------------------------------


class TestCSVUsers(UserStoreSuite):
    """Users in a file, by plain functions."""

    additional = {"plan": 'pro, or\n"not" \\N'}  # noqa: RUF012 - a class attribute of the suite
    has_usernames = True
    rounds = ROUNDS

    @pytest.fixture
    def store(self, tmp_path):
        """A file that is not there yet."""
        return CSVUsers(tmp_path / "users.csv", additional=("username", "plan"))


class TestOwnSessions(SessionStoreSuite):
    """Sessions by plain functions."""

    additional = {"theme": "dark"}  # noqa: RUF012 - a class attribute of the suite
    rounds = ROUNDS

    @pytest.fixture
    def store(self, clock):
        """Nothing is in it."""
        return OwnSessions(clock)


class TestOwnAccounts(AccountStoreSuite):
    """Accounts by plain functions, which know ids of users alone."""

    knows_users = False
    rounds = ROUNDS

    @pytest.fixture
    def store(self, clock):
        """Nothing is in it."""
        return Accounts(clock)


class TestOwnVerifications(VerificationStoreSuite):
    """Values by plain functions."""

    rounds = ROUNDS

    @pytest.fixture
    def store(self, clock):
        """Nothing is in it."""
        return Verifications(clock)


# --- what goes through them ------------------------------------------------------------------

PASSWORD, NEW = "difference-engine", "analytical-engine"
REPLACED: Final = {
    "users": ("users",),
    "sessions": ("sessions",),
    "accounts": ("accounts",),
    "verifications": ("verifications",),
    "all": ("users", "sessions", "accounts", "verifications"),
}
USER_COLUMNS: Final = (
    *("id", "name", "email", "email_verified", "image", "created_at", "updated_at"),
)
SETTINGS: Final = [
    *(f"sqlite {kept} uuid" for kept in REPLACED),
    *(f"sqlite {kept} bigint" for kept in ("sessions", "accounts", "all")),
    *(
        pytest.param(f"postgresql {kept} uuid", marks=pytest.mark.postgresql)
        for kept in ("users", "all")
    ),
]
ASYNC_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
}
MODELS: Final = {"users": "user", "sessions": "session", "accounts": "account"}


class Member(User, frozen=True, kw_only=True):
    """A user of this application."""

    plan: str | None = None


# --- users of another type, and what remains after a failure ----------------------------------

PLAN: Final = {"plan": Field("string", required=False)}


@pytest.fixture
def outbox():
    """Every mail that was sent."""
    return []


@pytest.fixture
def members(sql_auth, sqlite_database, tmp_path):
    """An instance and a store that have one type of users."""
    users = CSVUsers(tmp_path / "users.csv", additional=("plan",), user_type=Member)
    options = UserOptions(additional_fields=PLAN)
    return sql_auth(sqlite_database, users=users, user_type=Member, user=options), users


async def test_users_are_of_the_applications_type(members, new_browser):
    """From the store through the endpoints to the application's code."""
    auth, users = members
    await new_browser(auth).sign_up(plan="pro")

    user = await auth.users.get_by_email("ada@example.org")

    assert isinstance(user, Member)
    assert (user.plan, user.extra) == ("pro", {"plan": "pro"})
    assert users.get(user.id) == user
    assert [it async for it in auth.users.all()] == [user]


@pytest.fixture
def strangers(sql_auth, sqlite_database, tmp_path):
    """An instance whose store has users of another type."""
    users = CSVUsers(tmp_path / "users.csv", additional=("plan",))
    options = UserOptions(additional_fields=PLAN)
    auth = sql_auth(sqlite_database, users=users, user_type=Member, user=options)
    users.create(email="ada@example.org", name="Ada")
    return auth


async def test_users_of_another_type_are_the_developers_mistake(strangers):
    """Nobody gets a user without the fields that their type promises."""
    with pytest.raises(ConfigurationError, match="CSVUsers returns a User, no Member"):
        await strangers.users.get_by_email("ada@example.org")


def test_users_have_one_place(new_auth, tmp_path):
    """A table of the application's and a store of its own are one too many."""
    table = Table("members", MetaData(), *(Column(it, String(200)) for it in USER_COLUMNS))
    adapter = SQLAlchemyAdapter("sqlite://", user_model=table)

    with pytest.raises(ConfigurationError, match="two places for users"):
        new_auth(adapter, users=CSVUsers(tmp_path / "users.csv"))


@pytest.fixture
def refusals():
    """What a hook says to new accounts, the last one first."""
    return [False]


@pytest.fixture
def refusing(sql_auth, sqlite_database, tmp_path, outbox, refusals):
    """An instance whose users are in a file, and whose database refuses the first account."""
    hook = DatabaseHook(model="account", operation="create", before=lambda _: refusals.pop())
    users = CSVUsers(tmp_path / "users.csv")
    return sql_auth(sqlite_database, users=users, mail=outbox.append, database_hooks=[hook])


async def test_what_a_failed_sign_up_leaves(refusing, refusals, outbox, new_browser):
    """A user without a way in, who gets one by mail."""
    ada = new_browser(refusing)
    assert (await ada.sign_up()).status == 400
    refusals.append(None)
    user = await refusing.users.get_by_email("ada@example.org")
    assert await refusing.accounts.list_for_user(user.id) == []
    assert (await ada.sign_up()).refusal[1] == "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"

    await ada.post("/request-password-reset", {"email": "ada@example.org"})
    await ada.post("/reset-password", {"newPassword": NEW, "token": outbox[-1].token})

    assert (await ada.sign_in(password=NEW)).status == 200


class Unreachable(CSVUsers):
    """A directory that is away when somebody is to be deleted."""

    def delete(self, user_id):
        """Fail."""
        raise StorageUnavailable("the directory is away", retryable=False)


@pytest.fixture
def unreachable(sql_auth, sqlite_database, tmp_path):
    """An instance whose directory is away."""
    options = UserOptions(delete_user=DeleteUser())
    return sql_auth(sqlite_database, users=Unreachable(tmp_path / "users.csv"), user=options)


async def test_what_a_failed_deletion_leaves(unreachable, new_browser):
    """Everything: the database undoes its part."""
    ada, other = new_browser(unreachable), new_browser(unreachable)
    await ada.sign_up()
    await other.sign_in()

    answer = await ada.post("/delete-user", {"password": PASSWORD})

    assert answer.status == 503
    assert (await ada.session()).json["user"]["email"] == "ada@example.org"
    assert (await other.session()).json is not None


class Keeps(CSVUsers):
    """A directory in which nobody is deleted."""

    def delete(self, user_id):
        """Do nothing."""
        return False


@pytest.fixture
def keeping(sql_auth, sqlite_database, tmp_path):
    """An instance whose directory deletes nobody."""
    return sql_auth(sqlite_database, users=Keeps(tmp_path / "users.csv"))


async def test_a_store_that_deletes_nobody_is_an_error(keeping):
    """It is told, and not asked again without end."""
    user = await keeping.users.create(email="ada@example.org", name="Ada")

    with pytest.raises(StorageUnavailable, match="does not delete this user"):
        await keeping.users.delete(user.id)

    assert await keeping.users.get(user.id) == user
    assert await keeping.users.delete("nobody") is False


# --- every flow ------------------------------------------------------------------------------


class AsAwaited:
    """A blocking instance, as a browser's test calls it."""

    def __init__(self, auth):
        self.blocking = auth

    async def handle(self, request):
        """Answer."""
        return self.blocking.handle(request)

    async def drain(self):
        """Wait for mail."""
        self.blocking.drain()


class LentClock:
    """Tells the time of the test that an instance is lent to."""

    clock: Any

    def __call__(self):
        """Tell the time."""
        return self.clock()


class Ground:
    """What the tests of one setting share, as tables are dear: an instance, and its stores.

    Every test has it to itself, and finds it empty.
    """

    def __init__(self, server, kept, ids, folder):
        self.database = server or f"sqlite:///{folder}/auth.db"
        self.clock = LentClock()
        self.heard: list[tuple[str, str, Any]] = []
        self.outbox: list[Any] = []
        self._users = folder / "users.csv"
        made = {
            "users": CSVUsers(self._users, additional=("username", "display_username", "plan")),
            "sessions": OwnSessions(self.clock),
            "accounts": Accounts(self.clock),
            "verifications": Verifications(self.clock),
        }
        self.replaced = {name: made[name] for name in REPLACED[kept]}
        self.settings = {
            **self.replaced,
            "ids": ids,
            "clock": self.clock,
            "naming": Naming(prefix=f"t{token_hex(4)}_"),
            "mail": self.outbox.append,
            "plugins": [Username()],
            "user": UserOptions(
                delete_user=DeleteUser(),
                additional_fields={"plan": Field("string", required=False)},
            ),
            "session": SessionOptions(
                additional_fields={"theme": Field("string", required=False)}
            ),
            "database_hooks": [
                self._hear(model, it)
                for model in ("user", "session", "account")
                for it in ("create", "update", "delete")
            ],
        }
        self.stores = made
        self.auth: Any = None

    def _hear(self, model, operation):
        return DatabaseHook(
            model=model,
            operation=operation,
            after=lambda row: self.heard.append((model, operation, row["id"])),
        )

    def empty(self):
        """Delete what the test before left, past everything."""
        for it in (
            *(self.heard, self.outbox, self.stores["sessions"].rows),
            *(self.stores["accounts"].table.rows, self.stores["verifications"].values),
            self.stores["verifications"].tries,
        ):
            it.clear()
        self._users.unlink(missing_ok=True)
        if self.auth is not None:
            with create_engine(self.database, poolclass=NullPool).begin() as connection:
                for table in reversed(self.auth.metadata.sorted_tables):
                    connection.execute(table.delete())


@pytest.fixture(scope="module")
def grounds() -> dict[tuple[str, ...], Ground]:
    """Those of this module, by the class of the test, its mode and its setting."""
    return {}


class Flows:
    """What people do, with one store replaced or all of them."""

    @pytest.fixture(params=SETTINGS)
    def setting(self, request):
        """The database, the stores that are not in it, and what ids are there."""
        return request.param.split()

    @pytest.fixture
    def server(self, request, setting):
        """The URL of the database, if that is a server."""
        if setting[0] == "sqlite":
            return None
        return request.getfixturevalue(f"{setting[0]}_database")

    @pytest.fixture
    def unclocked_ground(self, setting, server, grounds, watchword_mode, tmp_path_factory):
        """What tests of this setting share."""
        key = (type(self).__name__, watchword_mode.name, *setting)
        if key not in grounds:
            grounds[key] = Ground(server, *setting[1:], tmp_path_factory.mktemp("ground"))
        return grounds[key]

    @pytest.fixture
    def ground(self, unclocked_ground, clock):
        """The same, empty and with the time of this test."""
        unclocked_ground.clock.clock = clock
        unclocked_ground.empty()
        return unclocked_ground

    @pytest.fixture
    def replaced(self, ground):
        """The stores that are not the database's, by what they keep."""
        return ground.replaced

    @pytest.fixture
    def heard(self, ground):
        """What hooks were told."""
        return ground.heard

    @pytest.fixture
    def outbox(self, ground):
        """Every mail that was sent."""
        return ground.outbox

    @pytest.fixture
    def ada(self, instance, new_browser, run):
        """Ada's browser, in which she is signed in."""
        browser = new_browser(instance)
        answer = run(browser.sign_up(username="Ada_L", plan="pro", rememberMe=True))
        assert answer.status == 200, answer.json
        return browser

    async def test_who_is_signed_in(self, ada, new_browser, instance):
        """By address and by name, in whatever case; what is wrong is refused."""
        by_address, by_name, wrong = (new_browser(instance) for _ in range(3))

        answers = [
            await by_address.sign_in(email="ADA@Example.org"),
            await by_name.post("/sign-in/username", {"username": "aDA_l", "password": PASSWORD}),
            await wrong.sign_in(password="wrong"),
            await wrong.post("/sign-in/username", {"username": "eve", "password": PASSWORD}),
        ]

        assert [it.status for it in answers] == [200, 200, 401, 401]
        for browser in (ada, by_address, by_name):
            user = (await browser.session()).json["user"]
            assert (user["email"], user["username"], user["plan"]) == (
                *("ada@example.org", "ada_l", "pro"),
            )
        assert (await wrong.session()).json is None

    async def test_what_is_taken(self, ada, new_browser, instance):
        """An address and a name are somebody's, in any case."""
        eve = new_browser(instance)

        address = await eve.sign_up(email="ADA@example.org", username="eve")
        name = await eve.sign_up(email="eve@example.org", username="ADA_L")
        free = await eve.post("/is-username-available", {"username": "aDa_L"})

        assert address.refusal == (422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")
        assert name.refusal == (400, "USERNAME_IS_ALREADY_TAKEN")
        assert free.json == {"available": False}

    async def test_updates(self, ada, heard):
        """Of the user and of the session, with hooks, and null where it is allowed."""
        heard.clear()
        before = (await ada.session()).json

        answers = [
            await ada.post("/update-user", {"name": "Lovelace", "image": "a.png", "plan": None}),
            await ada.post("/update-session", {"theme": "dark"}),
            await ada.post("/update-user", {"username": "Lady"}),
        ]

        assert [it.status for it in answers] == [200] * 3, [it.json for it in answers]
        found = (await ada.session()).json
        user = {it: found["user"][it] for it in ("name", "image", "plan", "username")}
        assert user == {"name": "Lovelace", "image": "a.png", "plan": None, "username": "lady"}
        assert found["session"]["theme"] == "dark"
        written = [("user", "update"), ("session", "update"), ("user", "update")]
        ids = {it: str(before[it]["id"]) for it in ("user", "session")}
        assert [(it[0], it[1], str(it[2])) for it in heard] == [
            (*it, ids[it[0]]) for it in written
        ]

    async def test_sessions(self, ada, new_browser, instance, clock):
        """Listed with handles, revoked one by one and all at once, renewed in use."""
        others = [new_browser(instance) for _ in range(3)]
        for it in others:
            clock.advance(seconds=2)
            await it.sign_in()
        listed = (await ada.get("/list-sessions")).json
        own = (await ada.session()).json["session"]
        assert len(listed) == 4
        assert [it["token"] for it in listed if it["id"] == own["id"]] == [own["token"]]

        stranger = new_browser(instance)
        await stranger.sign_up(email="eve@example.org", username="eve")
        await stranger.post("/revoke-session", {"token": listed[1]["token"]})
        assert len((await ada.get("/list-sessions")).json) == 4
        await ada.post("/revoke-session", {"token": listed[1]["token"]})
        left = [(await it.session()).json is not None for it in (ada, *others)]
        assert left == [True, False, True, True]
        await ada.post("/revoke-other-sessions")
        left = [(await it.session()).json is not None for it in (ada, *others)]
        assert left == [True, False, False, False]
        assert (await stranger.session()).json is not None
        clock.advance(days=2)
        renewed = (await ada.session()).json["session"]
        assert renewed["expiresAt"] > own["expiresAt"]
        await ada.post("/sign-out")
        await ada.sign_in()
        await ada.post("/revoke-sessions")
        assert (await ada.session()).json is None

    async def test_an_ended_session(self, ada, clock):
        """It signs nobody in, and is purged."""
        clock.advance(days=8)

        assert (await ada.session()).json is None

    async def test_a_changed_password(self, ada, new_browser, instance):
        """The old one is nothing any more, and the sessions of others end."""
        other = new_browser(instance)
        await other.sign_in()
        body = {"currentPassword": PASSWORD, "newPassword": NEW, "revokeOtherSessions": True}

        refused = await ada.post("/change-password", {**body, "currentPassword": "wrong"})
        changed = await ada.post("/change-password", body)

        assert (refused.status, changed.status) == (400, 200)
        assert (await ada.session()).json is not None
        assert (await other.session()).json is None
        assert (await other.sign_in()).status == 401
        assert (await other.sign_in(password=NEW)).status == 200

    async def test_a_reset_password(self, ada, new_browser, instance, outbox):
        """By the link, once; for strangers nothing is sent."""
        other = new_browser(instance)
        for email in ("eve@example.org", "Ada@example.org"):
            answer = await other.post("/request-password-reset", {"email": email})
            assert answer.status == 200
        [mail] = outbox
        body = {"newPassword": NEW, "token": mail.token}

        answers = [await other.post("/reset-password", body) for _ in range(2)]

        assert [it.status for it in answers] == [200, 400]
        assert (await other.sign_in()).status == 401
        assert (await other.sign_in(password=NEW)).status == 200

    async def test_accounts(self, ada, stores):
        """Listed, linked, with tokens that only the instance reads, and unlinked but the last."""
        user_id = (await ada.session()).json["user"]["id"]
        linked = await stores.accounts.upsert(user_id, "google", "42", access_token="secret")
        again = await stores.accounts.upsert(user_id, "google", "42", access_token="newer")
        listed = (await ada.get("/list-accounts")).json
        assert (again.id, {it["providerId"] for it in listed}) == (
            *(linked.id, {"google", "credential"}),
        )
        found = await stores.accounts.find("google", "42")
        assert (found.access_token, found.user_id) == ("newer", user_id)
        owner = await stores.accounts.get_by_provider("google", "42")
        assert owner.id == user_id

        answers = [
            await ada.post("/unlink-account", {"accountId": it})
            for it in ("unknown", linked.id, linked.id)
        ]

        assert [it.refusal[1] if it.status == 400 else it.json for it in answers] == [
            *("ACCOUNT_NOT_FOUND", {"status": True}, "FAILED_TO_UNLINK_LAST_ACCOUNT"),
        ]

    async def test_deletion(self, ada, new_browser, instance, stores, heard):
        """Nothing of them is left, in whatever store, and others stay."""
        other, eve = new_browser(instance), new_browser(instance)
        await other.sign_in()
        await eve.sign_up(email="eve@example.org", username="eve")
        user_id = (await ada.session()).json["user"]["id"]
        heard.clear()

        answer = await ada.post("/delete-user", {"password": PASSWORD})

        assert answer.status == 200, answer.json
        told = Counter(it[:2] for it in heard)
        assert told == {("session", "delete"): 2, ("account", "delete"): 1, ("user", "delete"): 1}
        assert (await other.session()).json is None
        assert (await other.sign_in()).status == 401
        assert await stores.users.get(user_id) is None
        assert await stores.sessions.list_for_user(user_id) == []
        assert await stores.accounts.list_for_user(user_id) == []
        assert (await eve.session()).json is not None
        assert (await eve.sign_in(email="eve@example.org")).status == 200
        assert (await other.sign_up(username="ada_l")).status == 200

    async def test_purge(self, ada, stores, clock):
        """What has expired goes, wherever it is."""
        await stores.verifications.issue("sign-in", "ada", expires_in=timedelta(days=1))
        clock.advance(days=9)

        purged = [await stores.purge_expired() for _ in range(2)]

        assert purged == [Purged(sessions=1, verifications=1), Purged(sessions=0, verifications=0)]

    async def test_what_is_in_python(self, ada, stores):
        """Typed stores over the replaced ones: the same users, in pages, by name, changed."""
        user = await stores.users.get_by_field("username", "ADA_l")
        for number in range(7):
            await stores.users.create(email=f"u{number}@example.org", name="U")

        assert user.extra["plan"] == "pro"
        listed, total = await stores.users.list_users(limit=3)
        assert (len(listed), total) == (3, 8)
        rest = await stores.users.page(after=listed[-1].id)
        every = [it async for it in stores.all_users(batch_size=2)]
        assert [it.id for it in every] == [it.id for it in (*listed, *rest)]
        assert len(every) == 8
        changed = await stores.users.update(user.id, expected={"name": "Ada"}, name="Countess")
        assert changed.name == "Countess"
        assert await stores.users.update(user.id, expected={"name": "Ada"}, name="Eve") is None
        with pytest.raises(UniqueViolation):
            await stores.users.update(user.id, email="u1@example.org")
        assert await stores.users.delete(user.id)
        assert not await stores.users.delete(user.id)
        assert (await ada.session()).json is None

    @pytest.mark.slow
    async def test_races(self, ada, stores, race):
        """What happens once happens once through the instance, too."""
        user = (await ada.session()).json["user"]["id"]
        account = await stores.accounts.find("credential", user)
        session = (await stores.sessions.list_for_user(user))[0].id
        token = await stores.verifications.issue("x", "ada", expires_in=timedelta(days=1))
        old = {"password": account.password}
        for once in (
            lambda: stores.users.update(user, expected={"name": "Ada"}, name="Eve"),
            lambda: stores.accounts.update(account.id, expected=old, password=NEW_HASH),
            lambda: stores.sessions.update(session, expected={"theme": None}, theme="x"),
            lambda: stores.verifications.redeem("x", token),
            lambda: stores.sessions.revoke(session),
            lambda: stores.users.delete(user),
        ):
            results = await race(CALLERS, once)

            assert len([it for it in results if it]) == 1, results

    async def test_the_database(self, ada, stores, replaced):
        """It has no table of what is kept elsewhere, and nothing to complain of."""
        tables = {it.rpartition("_")[2] for it in stores.metadata.tables}
        elsewhere = {f"{it}" for it in replaced if it != "verifications"}
        assert tables & elsewhere == set()
        for name in {"session", "account"} & set(stores.schema.models):
            column = stores.metadata.tables[stores.schema.naming.table(name)].c.user_id
            assert bool(column.foreign_keys) is ("users" not in replaced)
            if "users" in replaced:
                assert stores.schema.models[name].fields["user_id"].type == "string"

        assert await stores.check_schema() == []
        await stores.migrate()
        assert await stores.check_schema() == []

    async def test_what_a_session_store_cannot_find(self, ada, stores, replaced):
        """It is not asked for what it cannot look up."""
        for model, field in (("sessions", "ip_address"), ("accounts", "scope")):
            if model in replaced:
                with pytest.raises(InvalidValue):
                    await stores.rows(MODELS[model], getattr(F, field) == "x")


class Awaitable:
    """The methods of a blocking store, awaited."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        """Wrap a method."""
        method = getattr(self.store, name)

        async def awaited(*args, **values):
            return method(*args, **values)

        return awaited


class Stores:
    """An instance, whichever kind, as the tests call it."""

    def __init__(self, auth, wrap):
        self.auth = auth
        self.metadata, self.schema = auth.metadata, auth.schema
        self.users, self.sessions = wrap(auth.users), wrap(auth.sessions)
        self.accounts, self.verifications = wrap(auth.accounts), wrap(auth.verifications)
        whole = wrap(auth)
        self.purge_expired, self.migrate = whole.purge_expired, whole.migrate
        self.check_schema = whole.check_schema
        self.rows = wrap(auth.store).find_many

    async def all_users(self, **values):
        """Go through all users, with `for` or `async for`."""
        found = self.auth.users.all(**values)
        if hasattr(found, "__aiter__"):
            async for it in found:
                yield it
        else:
            for it in found:
                yield it


class TestWatchword(Flows):
    """With an event loop, and driven without one."""

    @pytest.fixture
    def instance(self, ground, new_auth, watchword_mode, run):
        """An instance in which nobody is."""
        if ground.auth is None:
            url = make_url(ground.database)
            if watchword_mode.name == "loop":
                url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
            ground.auth = new_auth(url, **ground.settings)
            run(ground.auth.create_tables())
        yield ground.auth
        run(ground.auth.close())

    @pytest.fixture
    def stores(self, instance):
        """Its stores."""
        return Stores(instance, lambda it: it)


class TestBlockingWatchword(Flows):
    """Without an event loop; one store at a time is the same code, driven, in the class above."""

    never_loop = True

    @pytest.fixture(params=[it for it in SETTINGS if " all " in str(it)])
    def setting(self, request):
        """All stores at once."""
        return request.param.split()

    @pytest.fixture
    def instance(self, ground, cheap_passwords):
        """An instance in which nobody is."""
        if ground.auth is None:
            ground.auth = BlockingWatchword(
                ground.database,
                secret="correct-horse-battery-staple-0123456789",
                base_url="http://localhost:8000",
                email_password=EmailPassword(),
                passwords=cheap_passwords,
                rate_limits=RateLimits(enabled=False),
                **ground.settings,
            )
            ground.auth.create_tables()
        yield AsAwaited(ground.auth)
        ground.auth.close()

    @pytest.fixture
    def stores(self, instance):
        """Its stores, awaited."""
        return Stores(instance.blocking, Awaitable)
