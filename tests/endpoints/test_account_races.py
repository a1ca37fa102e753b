"""Many at once on passwords, links and accounts, on every database: once means once."""

import os
from collections import Counter
from itertools import count
from typing import Final

import pytest

from watchword import APIError, CoreError, DatabaseHook
from watchword.storage.query import F

ADDRESS = "ada@example.org"
OLD, NEW, NEWER = "difference-engine", "analytical-engine", "jacquard-loom"
INVALID = (400, "INVALID_TOKEN")
REPLACE = {"currentPassword": OLD, "newPassword": NEW, "revokeOtherSessions": True}
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
# More than there are connections, so that some of them wait for one.
CALLERS: Final = 32 if IS_SOAK else 18
LINKS: Final = 8 if IS_SOAK else 4

# In a soak all of this runs, with more callers.
pytestmark = [pytest.mark.slow] if IS_SOAK else []


async def reset(browser, token, password):
    """Redeem a link."""
    return await browser.post("/reset-password", {"newPassword": password, "token": token})


def calls_of(browser):
    """Call endpoints from Python for who is signed in at a browser."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return browser.auth.api.on_behalf_of({"Cookie": cookie})


async def link_github(auth):
    """Give Ada a second way in."""
    user = await auth.store.find_one("user", F.email == ADDRESS)
    await auth.store.create(
        "account", {"user_id": user["id"], "provider_id": "github", "account_id": "4242"}
    )


class AccountRaces:
    """What every database has to keep."""

    ids = "uuid"

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def outbox(self):
        """Every mail that was sent."""
        return []

    @pytest.fixture
    def pool(self, interrupted_passwords):
        """Where passwords are worked on."""
        return interrupted_passwords.pool

    @pytest.fixture
    def settings(self, outbox, interrupted_passwords):
        """What the instance is made with."""
        return {"mail": outbox.append, "passwords": interrupted_passwords, "ids": self.ids}

    @pytest.fixture
    def auth(self, sql_auth, database, settings, run):
        """An instance on the database, without rows."""
        auth = sql_auth(database, **settings)
        run(auth.store.delete_many("verification", None))
        return auth

    @pytest.fixture
    def ada(self, auth, new_browser, run):
        """Ada's browser, in which she is signed in."""
        browser = new_browser(auth)
        run(browser.sign_up())
        return browser

    @pytest.fixture
    def failing(self, auth, new_auth, settings):
        """An instance on the same database where no session can be made."""
        hook = DatabaseHook(model="session", operation="create", before=lambda _row: False)
        return new_auth(auth.adapter, database_hooks=[hook], **settings)

    @pytest.fixture
    def works(self, auth, new_browser):
        """Tell which of some passwords sign in as Ada, and leave no session of it."""

        async def works(*passwords):
            answers = [(it, await new_browser(auth).sign_in(password=it)) for it in passwords]
            for _, answer in answers:
                if answer.status == 200:
                    await auth.instance.sessions.delete(answer.json["token"])
            return [it for it, answer in answers if answer.status == 200]

        return works

    @pytest.fixture
    def link(self, auth, new_browser, outbox):
        """Ask for a link and return its token."""

        async def link():
            await new_browser(auth).post("/request-password-reset", {"email": ADDRESS})
            return outbox[-1].token

        return link

    @pytest.fixture
    def reset_to(self, auth, new_browser, link):
        """Do all that sets a new password by mail."""

        async def reset_to(password):
            return await reset(new_browser(auth), await link(), password)

        return reset_to

    # --- links -----------------------------------------------------------------------

    async def test_a_link_is_redeemed_once(self, ada, new_browser, race, link, works):
        """Of many with one token one succeeds; the password is theirs, and nobody gets a 500."""
        token, numbers = await link(), count()

        async def redeem():
            password = f"password-{next(numbers)}"
            return password, await reset(new_browser(ada.auth), token, password)

        answers = await race(CALLERS, redeem)

        assert Counter(it.status for _, it in answers) == {200: 1, 400: CALLERS - 1}
        assert {it.refusal for _, it in answers if it.status == 400} == {INVALID}
        [winner] = [password for password, it in answers if it.status == 200]
        assert await works(winner, OLD) == [winner]
        assert await ada.auth.store.count("session") == 0
        assert await ada.auth.store.count("verification") == 0

    @pytest.mark.parametrize("has_password", [True, False])
    async def test_of_several_links_one_is_redeemed(
        self, ada, new_browser, race, link, has_password
    ):
        """The others were for a password that is no longer, or that was none."""
        if not has_password:
            await ada.auth.store.delete_many("account", None)
        tokens = [await link() for _ in range(LINKS)]
        turns = count()

        async def redeem():
            return await reset(new_browser(ada.auth), tokens[next(turns)], NEW)

        answers = await race(LINKS, redeem)

        assert Counter(it.status for it in answers) == {200: 1, 400: LINKS - 1}
        assert {it.refusal for it in answers if it.status == 400} == {INVALID}
        assert await ada.auth.store.count("account") == 1

    async def test_a_link_for_who_is_deleted_meanwhile(
        self, ada, new_browser, pool, link, count_rows
    ):
        """Refused as what it is, and nothing is written for nobody."""
        token = await link()
        pool.interruption = lambda: ada.auth.store.delete("user", F.email == ADDRESS)

        answer = await reset(new_browser(ada.auth), token, NEW)

        assert answer.refusal == (400, "USER_NOT_FOUND")
        assert (await count_rows(ada.auth))["account"] == 0

    async def test_attack_sign_in_with_the_password_that_is_reset(
        self, ada, new_browser, race, link, works
    ):
        """Whoever gets in with the old one meanwhile is out again with the reset."""
        token, turns = await link(), count()

        async def sign_in_or_reset():
            if next(turns) == 3:
                return await reset(new_browser(ada.auth), token, NEW)
            return await new_browser(ada.auth).sign_in()

        answers = await race(12, sign_in_or_reset)

        assert {it.status for it in answers} <= {200, 401}
        assert await ada.auth.store.count("session") == 0
        assert await works(OLD, NEW) == [NEW]

    # --- changes of the password -------------------------------------------------------

    @pytest.mark.parametrize("revokes", [True, False])
    async def test_of_two_changes_one_wins(self, ada, new_browser, race, works, revokes):
        """The other is told that the password is wrong: it no longer knows it."""
        passwords, turns = (NEW, NEWER), count()

        async def change():
            password = passwords[next(turns)]
            body = {**REPLACE, "newPassword": password, "revokeOtherSessions": revokes}
            browser = new_browser(ada.auth, dict(ada.cookies))
            return password, await browser.post("/change-password", body)

        answers = await race(2, change)

        [winner] = [password for password, it in answers if it.status == 200]
        [loser] = [it for password, it in answers if password != winner]
        assert loser.refusal in {(400, "INVALID_PASSWORD"), (401, "UNAUTHORIZED")}
        assert all("Max-Age=0" in it for it in loser.set_cookies)
        assert await works(OLD, *passwords) == [winner]
        assert await ada.auth.store.count("session") == 1

    async def test_attack_sign_in_with_the_password_that_is_changed(
        self, ada, new_browser, race, works
    ):
        """Whoever gets in with the old one meanwhile is out again; the one new session stays."""
        turns = count()

        async def sign_in_or_change():
            if next(turns) == 3:
                return await ada.post("/change-password", REPLACE)
            return await new_browser(ada.auth).sign_in()

        answers = await race(12, sign_in_or_change)

        assert {it.status for it in answers} <= {200, 401}
        assert await ada.auth.store.count("session") == 1
        assert (await ada.session()).json["user"]["email"] == ADDRESS
        assert await works(OLD, NEW) == [NEW]

    @pytest.mark.parametrize("revokes", [True, False])
    async def test_attack_a_change_that_undoes_a_reset(self, ada, pool, reset_to, works, revokes):
        """A thief's change that was begun before the owner's reset does not end after it."""
        pool.interruption = lambda: reset_to(NEWER)

        answer = await ada.post("/change-password", {**REPLACE, "revokeOtherSessions": revokes})

        assert answer.refusal == (400, "INVALID_PASSWORD")
        assert await works(OLD, NEW, NEWER) == [NEWER]
        assert await ada.auth.store.count("session") == 0

    async def test_a_first_password_is_given_once(self, ada, race, works):
        """Of eight calls one succeeds; the others are told that there is one."""
        await ada.auth.store.delete_many("account", None)
        numbers = count()

        async def give():
            password = f"password-{next(numbers)}"
            try:
                await calls_of(ada).set_password(new_password=password)
            except APIError as refusal:
                return refusal.code.name
            return password

        outcomes = await race(8, give)

        [password] = set(outcomes) - {"PASSWORD_ALREADY_SET"}
        assert outcomes.count("PASSWORD_ALREADY_SET") == 7
        assert await works(password) == [password]
        assert await ada.auth.store.count("account") == 1

    async def test_a_first_password_for_who_is_deleted_meanwhile(self, ada, pool, count_rows):
        """Refused as for anybody who is not there, and nothing is written."""
        await ada.auth.store.delete_many("account", None)
        pool.interruption = lambda: ada.auth.store.delete("user", F.email == ADDRESS)

        with pytest.raises(APIError) as refusal:
            await calls_of(ada).set_password(new_password=NEW)

        assert refusal.value.code is CoreError.UNAUTHORIZED
        assert (await count_rows(ada.auth))["account"] == 0

    async def test_the_password_and_all_sessions_are_replaced_in_one_step(
        self, ada, new_browser, failing, works
    ):
        """If the new session cannot be made, the old ones and the old password go on."""
        await new_browser(ada.auth).sign_in()

        answer = await new_browser(failing, dict(ada.cookies)).post("/change-password", REPLACE)

        assert answer.refusal == (403, "OPERATION_REFUSED")
        assert await ada.auth.store.count("session") == 2
        assert await works(OLD, NEW) == [OLD]

    # --- ways in -----------------------------------------------------------------------

    @pytest.mark.parametrize("callers", [2, 8])
    async def test_two_who_each_leave_one_never_leave_none(self, ada, new_browser, race, callers):
        """One way in goes; whoever wants the other is told that it is the last."""
        await link_github(ada.auth)
        accounts = [str(it["id"]) for it in await ada.auth.store.find_many("account")]
        turns = count()

        async def unlink():
            browser = new_browser(ada.auth, dict(ada.cookies))
            account_id = accounts[next(turns) % 2]
            return await browser.post("/unlink-account", {"accountId": account_id})

        answers = await race(callers, unlink)

        codes = Counter(it.json.get("code", "done") for it in answers)
        assert codes == {"done": 1, "FAILED_TO_UNLINK_LAST_ACCOUNT": callers - 1}
        assert await ada.auth.store.count("account") == 1

    async def test_who_gives_up_the_other_way_in_waits(self, ada, spawn):
        """Whoever counted two before the commit would leave none after it."""
        await link_github(ada.auth)
        store, password = ada.auth.store, F.provider_id == "credential"
        [other] = [str(it["id"]) for it in await store.find_many("account", password)]

        async with store.transaction():
            await store.find_one("user", F.email == ADDRESS, lock=True)
            await store.delete_many("account", F.provider_id == "github")
            unlink = spawn(lambda: ada.post("/unlink-account", {"accountId": other}))
            await unlink.ended(within=0.2)
        answer = await unlink.result()

        assert answer.refusal == (400, "FAILED_TO_UNLINK_LAST_ACCOUNT")
        assert await store.count("account", password) == 1

    # --- what names nothing ------------------------------------------------------------

    async def test_attack_ids_that_no_column_takes(self, ada):
        """No database is asked to read them as numbers or UUIDs, and none matches them."""
        await link_github(ada.auth)
        store = ada.auth.store

        for text in ("unknown", "", "0", "1' OR '1'='1", "\u00e9", "x" * 5000):
            revoked = await ada.post("/revoke-session", {"token": text})
            unlinked = await ada.post("/unlink-account", {"accountId": text})
            followed = await ada.get(f"/reset-password/{text or 0}", query="callbackURL=/x")

            assert (revoked.status, revoked.json) == (200, {"status": True}), text
            assert unlinked.refusal == (400, "ACCOUNT_NOT_FOUND"), text
            where = followed.header("location")
            assert where == "http://localhost:8000/x?error=INVALID_TOKEN", text
            assert (await store.count("session"), await store.count("account")) == (1, 2), text

    async def test_sessions_are_ended_by_handle_and_by_token(self, ada, new_browser):
        """Of whatever type ids are."""
        first, second = new_browser(ada.auth), new_browser(ada.auth)
        await first.sign_in()
        handle = (await first.session()).json["session"]["id"]

        for it in (handle, (await second.sign_in()).json["token"]):
            await ada.post("/revoke-session", {"token": it})

        assert [(await it.session()).body for it in (first, second)] == [b"null"] * 2
        [own] = (await ada.get("/list-sessions")).json
        assert own["token"] == (await ada.session()).json["session"]["token"]


class TestMemory(AccountRaces):
    """The memory of this process."""

    @pytest.fixture
    def auth(self, new_auth, settings):
        """An instance in memory."""
        return new_auth(**settings)


class TestSQLite(AccountRaces):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestIntegerIds(TestSQLite):
    """SQLite, with ids that it counts."""

    ids = "bigint"
    never_loop = not IS_SOAK  # a loop changes nothing about ids


class TestPostgreSQL(AccountRaces):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(AccountRaces):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestMongoDB(AccountRaces):
    """MongoDB."""

    @pytest.fixture
    def database(self, mongodb_place):
        """Return a database of this test."""
        return mongodb_place
