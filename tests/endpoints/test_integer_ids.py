"""Integer ids, on every database: no text is taken for a number, and no name for an id."""

import pytest

from watchword.adapters.memory import MemoryAdapter
from watchword.storage.query import F

BOB = "bob@example.org"
NEW = "analytical-engine"


def spellings(number: int) -> list[object]:
    """Write a number as databases and JavaScript read it, and as somebody may who tries."""
    plain = str(number)
    texts = [f"0{plain}", f"+{plain}", f" {plain}", f"{plain} ", f"{plain}.0", f"{plain}e0"]
    arabic = "".join(chr(0x0660 + int(digit)) for digit in plain)
    return [number, plain, *texts, hex(number), f"{plain}\n", f"{plain}x", arabic]


class IntegerIds:
    """What every database has to keep."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def settings(self, outbox):
        """What the instance is made with."""
        return {"ids": "bigint", "mail": outbox.append}

    @pytest.fixture
    def outbox(self):
        """The mail that was sent."""
        return []

    @pytest.fixture
    def auth(self, sql_auth, database, settings):
        """An instance whose database counts."""
        return sql_auth(database, **settings)

    @pytest.fixture
    def bob(self, auth, new_browser, run):
        """Somebody whom none of this concerns."""
        run(new_browser(auth).sign_up(name="Bob", email=BOB))
        return run(auth.store.find_one("user", F.email == BOB))

    @pytest.fixture
    def bobs(self, auth, bob):
        """Read Bob's rows."""

        async def bobs():
            theirs = [
                await auth.store.find_many(model, F.user_id == bob["id"])
                for model in ("session", "account")
            ]
            return [await auth.store.find_one("user", F.id == bob["id"]), *theirs]

        return bobs

    async def test_attack_numbers_of_other_rows(self, browser_of, bobs):
        """Bob's session and account are named by their numbers, in every spelling: they stay."""
        ada = await browser_of(name="Ada")
        _, [session], [account] = before = await bobs()

        for it in spellings(session["id"]):
            await ada.post("/revoke-session", {"token": it})
        for it in spellings(account["id"]):
            await ada.post("/unlink-account", {"accountId": it})

        assert await bobs() == before

    async def test_attack_other_spellings_of_the_own_number(self, browser_of):
        """One row has one name: a check of the text and a look at the number agree."""
        ada, other = await browser_of(name="Ada"), await browser_of(name="Ada", signs_up=False)
        session = (await other.session()).json["session"]
        number = int(session["id"])

        for it in spellings(number):
            if it != session["id"]:
                await ada.post("/revoke-session", {"token": it})

        assert (await other.session()).json["session"] == session
        await ada.post("/revoke-session", {"token": session["id"]})
        assert (await other.session()).body == b"null"

    async def test_attack_a_name_that_is_the_id_of_another(self, browser_of, bob, bobs, outbox):
        """A user who is called by Bob's number resets and changes what is theirs alone."""
        number, before = str(bob["id"]), await bobs()
        email = f"{number}@example.org"
        page = await browser_of(name=number, email=email)

        await page.post("/update-user", {"name": number, "image": number})
        await page.post("/request-password-reset", {"email": email})
        body = {"token": outbox[-1].token, "newPassword": NEW}
        answer = await page.post("/reset-password", body)

        assert answer.status == 200
        assert await bobs() == before
        assert (await page.sign_in(email=email, password=NEW)).status == 200
        assert (await page.sign_in(email=BOB)).status == 200

    @pytest.fixture
    def browser_of(self, auth, bob, new_browser):
        """Sign somebody up, or in again, in a browser of their own."""

        async def browser_of(*, signs_up=True, **who):
            browser = new_browser(auth)
            answer = await (browser.sign_up(**who) if signs_up else browser.sign_in())
            assert answer.status == 200
            return browser

        return browser_of


class TestMemory(IntegerIds):
    """The adapter in memory."""

    @pytest.fixture
    def auth(self, new_auth, settings):
        """An instance that counts."""
        return new_auth(MemoryAdapter(), **settings)


class TestSQLite(IntegerIds):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(IntegerIds):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMariaDB(IntegerIds):
    """MariaDB, or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database
