"""Links that are opened, and users who are deleted, by many at once; on every database."""

import os
from collections import Counter
from itertools import count
from typing import Final

import pytest

from watchword import ChangeEmail, DatabaseHook, DeleteUser, EmailVerification, UserOptions
from watchword.adapters.memory import MemoryAdapter
from watchword.storage.query import F

NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}
ADDRESS = "ada@example.org"
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
# More than there are connections, so that some of them wait for one.
CALLERS: Final = 32 if IS_SOAK else 18
USERS: Final = 8 if IS_SOAK else 4

# In a soak all of this runs, with more callers.
pytestmark = [pytest.mark.slow] if IS_SOAK else []


class Races:
    """What every database has to keep."""

    @pytest.fixture
    def adapter(self, sql_auth, database, run):
        """The adapter of the database, which has no rows yet."""
        auth = sql_auth(database)
        run(auth.store.delete_many("verification", None))
        return auth.adapter

    @pytest.fixture
    def new_instance(self, new_auth, adapter):
        """Make instances on the database."""
        return lambda **settings: new_auth(adapter, **settings)

    @pytest.fixture
    def outbox(self):
        """The mail that went out."""
        return []

    @pytest.fixture
    def told(self):
        """Whom the callbacks after a commit were told about."""
        return []

    @pytest.fixture
    def auth(self, new_instance, outbox, told):
        """An instance that verifies, changes and deletes."""
        return new_instance(
            mail=outbox.append,
            email_verification=EmailVerification(auto_sign_in=True, after=told.append),
            user=UserOptions(
                change_email=ChangeEmail(confirm_with_old_address=True),
                delete_user=DeleteUser(after=told.append),
            ),
        )

    @pytest.fixture
    def open_all(self, auth, new_browser, race, outbox):
        """Let many open the link of the last mail at once."""

        async def open_all(cookies=None):
            query = f"token={outbox[-1].token}"
            return await race(
                CALLERS,
                lambda: new_browser(auth, dict(cookies or {})).get("/verify-email", query=query),
            )

        return open_all

    async def test_attack_one_link_signs_in_many(
        self, auth, new_browser, open_all, told, count_rows
    ):
        """One of many is signed in; the others are told the truth, that it has succeeded."""
        await new_browser(auth).sign_up()
        await auth.store.delete_many("session", None)
        await new_browser(auth).post("/send-verification-email", {"email": ADDRESS})

        answers = await open_all()

        assert Counter((it.status, it.body) for it in answers) == {
            (200, b'{"status":true,"user":null}'): CALLERS
        }
        assert Counter(len(it.set_cookies) for it in answers) == {1: 1, 0: CALLERS - 1}
        assert [user.email_verified for user in told] == [True]
        assert (await count_rows(auth))["session"] == 1

    async def test_a_change_is_confirmed_once(self, auth, new_browser, open_all, outbox):
        """Of many openings one sends the mail to the new address."""
        browser = new_browser(auth)
        await browser.sign_up()
        await auth.store.update("user", F.email == ADDRESS, {"email_verified": True})
        await browser.post("/change-email", {"newEmail": "new@example.org"})

        answers = await open_all()

        assert Counter((it.status, it.body) for it in answers) == {
            (200, b'{"status":true}'): CALLERS
        }
        assert [mail.purpose for mail in outbox] == ["confirm-email-change", "verify-new-email"]

    async def test_an_address_is_changed_once(self, auth, new_browser, open_all, told):
        """Of many openings one changes it; for the others the link is dead."""
        browser = new_browser(auth)
        await browser.sign_up()
        await browser.post("/change-email", {"newEmail": "new@example.org"})

        answers = await open_all(browser.cookies)

        assert Counter(it.status for it in answers) == {200: 1, 401: CALLERS - 1}
        assert {it.refusal[1] for it in answers if it.status == 401} == {"INVALID_TOKEN"}
        [user] = await auth.store.find_many("user")
        assert (user["email"], told) == ("new@example.org", [])

    async def test_one_of_many_gets_a_free_address(self, auth, new_browser, race, outbox):
        """Of links of several users to one new address one is theirs; it is taken for others."""
        for number in range(USERS):
            browser = new_browser(auth)
            await browser.sign_up(email=f"ada{number}@example.org")
            await browser.post("/change-email", {"newEmail": "new@example.org"})
        tokens = iter([mail.token for mail in outbox])

        answers = await race(
            USERS, lambda: new_browser(auth).get("/verify-email", query=f"token={next(tokens)}")
        )

        assert Counter(it.status for it in answers) == {200: 1, 422: USERS - 1}
        assert await auth.store.count("user", F.email == "new@example.org") == 1
        assert await auth.store.count("user") == USERS

    async def test_a_user_is_deleted_once(self, auth, new_browser, race, told, count_rows):
        """Whoever comes second is told the same or signed out, and nobody hears of it twice."""
        browser = new_browser(auth)
        await browser.sign_up()

        answers = await race(
            16, lambda: new_browser(auth, dict(browser.cookies)).post("/delete-user", {})
        )

        assert {it.status for it in answers} <= {200, 401}
        assert [user.email for user in told] == [ADDRESS]
        assert await count_rows(auth) == NOTHING

    async def test_attack_session_that_outlives_its_user(
        self, auth, new_browser, race, count_rows
    ):
        """Sign-ins that race the deletion are signed in before it, or refused."""
        browser = new_browser(auth)
        await browser.sign_up()
        turns = count()

        async def sign_in_or_delete():
            if next(turns) == 5:
                return await browser.post("/delete-user", {})
            return await new_browser(auth).sign_in()

        answers = await race(16, sign_in_or_delete)

        assert {it.status for it in answers} <= {200, 401}
        assert await count_rows(auth) == NOTHING

    async def test_attack_link_that_signs_in_who_is_being_deleted(
        self, auth, new_browser, race, outbox, count_rows
    ):
        """Either the link comes first, or its user is gone; no session is left."""
        browser = new_browser(auth)
        await browser.sign_up()
        await browser.post("/send-verification-email", {"email": ADDRESS})
        query, turns = f"token={outbox[-1].token}", count()

        async def open_or_delete():
            if next(turns) == 3:
                return await browser.post("/delete-user", {})
            return await new_browser(auth).get("/verify-email", query=query)

        answers = await race(8, open_or_delete)

        assert {it.status for it in answers} <= {200, 401}
        rows = await count_rows(auth)
        assert (rows["user"], rows["session"]) == (0, 0)

    @pytest.mark.parametrize("model", ["session", "account", "user"])
    async def test_a_deletion_that_fails_half_way_keeps_all(
        self, new_instance, new_browser, told, count_rows, model
    ):
        """In one transaction; the user is still signed in and nobody was told."""

        def fail(_row):
            raise RuntimeError("out of order")

        hook = DatabaseHook(model=model, operation="delete", before=fail)
        options = UserOptions(delete_user=DeleteUser(after=told.append))
        auth = new_instance(database_hooks=[hook], user=options)
        browser = new_browser(auth)
        await browser.sign_up()
        before = await count_rows(auth)

        answer = await browser.post("/delete-user", {})

        assert (answer.status, answer.body, answer.set_cookies) == (500, b"", [])
        assert (
            await count_rows(auth)
            == before
            == {**NOTHING, "user": 1, "account": 1} | {"session": 1}
        )
        assert (await browser.session()).json["user"]["email"] == ADDRESS
        assert told == []

    async def test_mail_of_a_sign_up_that_is_undone_is_not_sent(
        self, new_instance, new_browser, outbox, count_rows
    ):
        """The address is nobody's, and no link is kept."""
        hook = DatabaseHook(model="session", operation="create", before=lambda _row: False)
        auth = new_instance(
            database_hooks=[hook],
            mail=outbox.append,
            email_verification=EmailVerification(send_on_sign_up=True),
        )

        answer = await new_browser(auth).sign_up()

        assert answer.refusal == (400, "FAILED_TO_CREATE_SESSION")
        assert (outbox, await count_rows(auth)) == ([], NOTHING)


class TestMemory(Races):
    """The adapter in memory."""

    @pytest.fixture
    def adapter(self):
        """Return one of this test."""
        return MemoryAdapter()


class TestSQLite(Races):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(Races):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(Races):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestMongoDB(Races):
    """MongoDB."""

    @pytest.fixture
    def database(self, mongodb_place):
        """Return a database of this test."""
        return mongodb_place
