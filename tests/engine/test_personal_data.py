"""One person's rows on every database: all of them are shown, all of them go, and no others."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    make_url,
)

from watchword import (
    DatabaseHook,
    DeleteUser,
    EmailVerification,
    Field,
    Naming,
    Plugin,
    UserOptions,
)
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.crypto.tokens import digest
from watchword.engine.personal_data import (
    Erased,
    StillReferenced,
    count_erasable,
    erase_user,
    export_user,
)
from watchword.engine.personal_data.belonging import children_first
from watchword.errors import NoSuchUser, OperationRefused
from watchword.schema import Model, Unique
from watchword.storage.query import F, OrderBy

ROOT: Final = Path(__file__).parents[2]
ADDRESS = "ada@example.org"
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}
SCAN = datetime(2026, 5, 17, 12, 0, 0, 987654, tzinfo=UTC)

DEVICE = Model(
    "my_device",
    {
        "user_id": Field.reference("user"),
        "serial": Field("string", pii=True),
        "pin": Field("string", required=False, digest=True),
        "key": Field("text", required=False, sealed=True),
        "seen_at": Field("datetime"),
        "picture": Field("bytes", required=False),
        "settings": Field("json", required=False),
        "note": Field("string", required=False, returned=False),
    },
)
READING = Model(
    "reading",
    {
        "device_id": Field.reference("my_device"),
        "owner_id": Field.reference("user", required=False),
        "place": Field("string", pii=True),
        "degrees": Field("integer"),
    },
)
COMMENT = Model(
    "comment",
    {
        "author_id": Field.reference("user", required=False, on_delete="set null"),
        "editor_id": Field.reference("user", required=False, on_delete="set null"),
        "device_id": Field.reference("my_device", required=False, on_delete="set null"),
        "signed": Field("string", pii=True),
        "handle": Field("string", max_length=20, unique=True, pii=True),
        "home": Field("string", required=False, pii=True),
        "born_at": Field("datetime", pii=True),
        "tags": Field("strings", pii=True),
        "text": Field("text"),
    },
)
MEMBER = Model(
    "member",
    {
        "user_id": Field.reference("user"),
        "invited_by": Field.reference("user", required=False, on_delete="set null"),
        "nickname": Field("string", pii=True),
    },
)
ORDER = Model(
    "order",
    {
        "user_id": Field.reference("user", on_delete="restrict"),
        "device_id": Field.reference("my_device", required=False),
        "street": Field("string", pii=True),
    },
)
REPLY = Model(
    "reply",
    {
        "user_id": Field.reference("user", required=False),
        "parent_id": Field.reference("reply", required=False),
        "text": Field("text"),
    },
)
MEDAL = Model(
    "medal",
    {
        "winner_id": Field.reference("user", required=False, on_delete="set null"),
        "won_at": Field("datetime", unique=True, pii=True),
        "is_gold": Field("boolean", pii=True),
    },
    uniques=(Unique("winner_id", "is_gold"),),
)
MODELS = (MEDAL, REPLY, ORDER, MEMBER, COMMENT, READING, DEVICE)
# Identifiers and values of links.
LINKS_OF_ADA: Final = (
    ("delete:1", "{id}"),
    ("reset:1", '{{"user_id":"{id}"}}'),
    ("reset:2", '{{"link": {{"userId": "{id}"}}}}'),
    ("verify:1", '{{"user_id":"","email":"ada@example.org"}}'),
    ("verify:2", '{{"user_id":"x","new_email":"ada@example.org"}}'),
    ("code:ada@example.org", "123456"),
    (f"code:{digest(ADDRESS)}", "123456"),
    ("code", "123456:ada@example.org"),
    ("mails", '["eve@example.org", "ada@example.org"]'),
)
LINKS_OF_OTHERS: Final = (
    ("reset:1", '{"user_id":"7777","email":"bob@example.org"}'),
    ("verify:1", '{"user_id":"x","email":"not-ada@example.org"}'),
    ("verify:2", '{"user_id":"x","email":"ada@example.org.au"}'),
    ("code:eve+ada@example.org", "123456"),
)


class House(Plugin):
    """Models that hang on people in every way."""

    id = "house"
    models = MODELS
    extends: ClassVar[Mapping[str, Mapping[str, Field]]] = {
        "user": {"referred_by": Field.reference("user", required=False, on_delete="set null")}
    }


class Desk(Plugin):
    """Letters that outlive who wrote them, and bills that nobody goes before."""

    id = "desk"
    models = (
        Model(
            "letter",
            {
                "author_id": Field.reference("user", required=False, on_delete="set null"),
                "signed": Field("string", pii=True),
            },
        ),
        Model("bill", {"payer_id": Field.reference("user", on_delete="restrict")}),
    )


class PersonalData:
    """What every backend has to keep."""

    @pytest.fixture
    def database(self):
        """Return the URL of a database, with its blocking driver; None is memory."""
        raise NotImplementedError

    @pytest.fixture
    def auth(self, database, new_auth, sql_auth, run):
        """An instance without rows."""
        given = {"plugins": [House()]}
        auth = new_auth(**given) if database is None else sql_auth(database, **given)
        for model in ("comment", "medal", "reply", "verification"):
            run(auth.instance.store.delete_many(model, None))
        yield auth
        run(auth.instance.store.delete_many("order", None))  # which keep people from going

    @pytest.fixture
    def another(self, auth, new_auth):
        """Make instances with other settings on the same rows."""
        return lambda **settings: new_auth(auth.adapter, plugins=[House()], **settings)

    @pytest.fixture
    def store(self, auth):
        """Its rows."""
        return auth.instance.store

    @pytest.fixture
    def people(self, auth, new_browser, run):
        """The ids of Ada and of Bob, who signed up."""
        ada, bob = new_browser(auth), new_browser(auth)
        answers = [run(ada.sign_up()), run(bob.sign_up(name="Bob", email="bob@example.org"))]
        return [it.json["user"]["id"] for it in answers]

    @pytest.fixture
    def add_device(self, store):
        """Make a device of somebody."""

        async def add_device(user_id, **values):
            row = {"user_id": user_id, "serial": "X1", "seen_at": SCAN, **values}
            return (await store.create("my_device", row))["id"]

        return add_device

    @pytest.fixture
    def add_comment(self, store):
        """Make a comment that points at somebody."""

        async def add_comment(handle, **values):
            said = {"signed": "Ada L.", "home": "London", "text": "Hear, hear", "tags": ["a"]}
            row = {**said, "handle": handle, "born_at": SCAN, **values}
            return (await store.create("comment", row))["id"]

        return add_comment

    # --- export ------------------------------------------------------------------------------

    async def test_an_export_shows_all_but_secrets(self, auth, store, people, add_device):
        """By wire names, as JSON can hold it; of nobody else anything."""
        ada, bob = people
        device = await add_device(
            ada, pin="1234", key="k", picture=b"\x00\xff", settings={"dark": True}, note="rude"
        )
        await add_device(bob)
        await store.create("reading", {"device_id": device, "place": "Kitchen", "degrees": 21})

        export = await export_user(store, ada)

        assert json.loads(json.dumps(export)) == export
        user = export["user"]
        assert (user["id"], user["email"], user["emailVerified"]) == (ada, ADDRESS, False)
        assert user["createdAt"] == "2026-05-17T12:00:00.123Z"
        assert set(export["related"]) == {"session", "account", "myDevice", "reading"}
        [session] = export["related"]["session"]
        assert (session["userId"], session["ipAddress"]) == (ada, "203.0.113.7")
        [account] = export["related"]["account"]
        assert (account["providerId"], account["userId"]) == ("credential", ada)
        [shown] = export["related"]["myDevice"]
        assert shown == {
            "id": str(device),
            "userId": ada,
            "serial": "X1",
            "seenAt": "2026-05-17T12:00:00.987Z",
            "picture": "AP8=",
            "settings": {"dark": True},
        }
        [reading] = export["related"]["reading"]
        assert (reading["deviceId"], reading["place"], reading["degrees"]) == (
            str(device),
            "Kitchen",
            21,
        )
        assert export["keptButNotShown"] == {
            "account": ["password"],
            "myDevice": ["key", "note", "pin"],
            "session": ["token"],
        }
        assert export["keptForOthers"] == {}

    async def test_what_is_another_persons_is_not_told(self, store, people, add_device):
        """Who invited somebody learns that, and not what is personal of theirs."""
        ada, bob = people
        device = await add_device(ada)
        of_bob = {"device_id": device, "owner_id": bob, "place": "Attic", "degrees": 3}
        await store.create("reading", of_bob)
        await store.create("member", {"user_id": bob, "invited_by": ada, "nickname": "Bobby"})
        await store.update("user", F.id == bob, {"referred_by": ada})

        export = await export_user(store, ada)

        assert "Bob" not in json.dumps(export)
        assert "Attic" not in json.dumps(export)
        assert export["related"]["member"][0]["userId"] == bob
        assert export["related"]["user"][0]["referredBy"] == ada
        assert export["keptForOthers"] == {
            "member": ["nickname"],
            "reading": ["place"],
            "user": ["email", "name"],
        }
        assert (await export_user(store, bob))["related"]["reading"][0]["place"] == "Attic"

    async def test_an_export_follows_what_is_theirs_alone(self, store, people, add_comment):
        """A comment that would stay without them is shown; a device of Bob's on it is not."""
        ada, bob = people
        await add_comment("ada", author_id=ada)
        await add_comment("bob", author_id=bob)

        export = await export_user(store, ada)

        assert [it["handle"] for it in export["related"]["comment"]] == ["ada"]

    async def test_attack_comment_on_ones_own_shows_its_author(
        self, store, people, add_device, add_comment
    ):
        """What Bob wrote about a thing of Ada's, or Ada edited, is his."""
        ada, bob = people
        about = {"device_id": await add_device(ada), "signed": "Bob", "home": "Paris"}
        await add_comment("one", author_id=bob, **about)
        await add_comment("two", author_id=bob, editor_id=ada, **about)

        export = await export_user(store, ada)

        assert len(export["related"]["comment"]) == 2
        assert "Bob" not in json.dumps(export)
        assert export["keptForOthers"] == {
            "comment": ["bornAt", "handle", "home", "signed", "tags"]
        }
        shown = (await export_user(store, bob))["related"]["comment"]
        assert [it["signed"] for it in shown] == ["Bob", "Bob"]

    async def test_an_export_has_more_rows_than_a_page(self, store, people, clock):
        """None is left out, and none is there twice."""
        ada, _ = people
        rows = [{"user_id": ada, "token": str(it), "expires_at": clock.now} for it in range(1001)]
        await store.create_many("session", rows)

        export = await export_user(store, ada)

        assert len({it["id"] for it in export["related"]["session"]}) == 1002

    async def test_links_are_named(self, store, people, clock):
        """That they are kept is told; what they hold is not."""
        ada, _ = people
        await add_link(store, clock, "reset:1", json.dumps({"user_id": ada}))

        export = await export_user(store, ada)

        [link] = export["related"]["verification"]
        assert set(link) == {"id", "expiresAt", "createdAt", "updatedAt"}
        assert export["keptButNotShown"]["verification"] == ["identifier", "value"]

    async def test_nobody(self, store, people):
        """Told by a type, whatever the id looks like."""
        for unknown in ("", "nobody", "0" * 400, "018f2d5e-0000-7000-8000-0", 7):
            for ask in (export_user, erase_user, count_erasable):
                with pytest.raises(NoSuchUser):
                    await ask(store, unknown)

    # --- erasure -----------------------------------------------------------------------------

    async def test_all_that_is_theirs_goes(self, store, people, add_device, clock):
        """At whatever hand; what is Bob's stays."""
        ada, bob = people
        device, _ = await add_device(ada), await add_device(bob)
        for degrees in range(3):
            row = {"device_id": device, "place": "Kitchen", "degrees": degrees}
            await store.create("reading", row)
        await add_link(store, clock, "reset:1", json.dumps({"user_id": ada, "email": ADDRESS}))
        foreseen = await count_erasable(store, ada)

        erased = await erase_user(store, ada)

        assert erased == foreseen
        gone = {"user": 1, "account": 1, "session": 1, "my_device": 1, "reading": 3}
        assert erased == Erased(deleted={**gone, "verification": 1}, blanked={})
        assert erased.total == 8
        left = ("user", "account", "session", "my_device", "reading", "verification")
        assert [await store.count(it) for it in left] == [1, 1, 1, 1, 0, 0]
        with pytest.raises(NoSuchUser):
            await erase_user(store, ada)

    async def test_what_stays_is_blanked(self, store, people, add_device, add_comment):
        """Null where it may be, else what says nothing; each row counts once."""
        ada, bob = people
        device = await add_device(ada)
        ids = [
            await add_comment("one", author_id=ada, editor_id=ada),
            await add_comment("two", device_id=device),
        ]
        bobs = await add_comment("bob", author_id=bob)
        foreseen = await count_erasable(store, ada)

        erased = await erase_user(store, ada)

        assert erased == foreseen
        assert erased.blanked == {"comment": 2}
        rows = [await store.find_one("comment", F.id == it) for it in ids]
        assert len({it.pop("handle") for it in rows} - {"one", "two"}) == 2
        for row in rows:
            assert (row["author_id"], row["editor_id"], row["device_id"]) == (None,) * 3
            assert (row["signed"], row["home"], row["tags"]) == ("", None, [])
            assert (row["born_at"].year, row["text"]) == (1970, "Hear, hear")
        row = await store.find_one("comment", F.id == bobs)
        assert (row["signed"], row["handle"]) == ("Ada L.", "bob")

    async def test_what_is_another_persons_is_not_blanked(self, store, people):
        """Bob keeps his name though Ada, who is gone, invited him."""
        ada, bob = people
        await store.create("member", {"user_id": bob, "invited_by": ada, "nickname": "Bobby"})
        await store.update("user", F.id == bob, {"referred_by": ada})

        erased = await erase_user(store, ada)

        assert erased.blanked == {}
        [member] = await store.find_many("member")
        assert (member["nickname"], member["invited_by"]) == ("Bobby", None)
        [user] = await store.find_many("user")
        assert (user["name"], user["referred_by"]) == ("Bob", None)

    async def test_what_a_living_author_wrote_is_not_blanked(
        self, store, people, add_device, add_comment
    ):
        """Not for its thing's owner, nor for its editor; Ada's own words are, whoever edits."""
        ada, bob = people
        device = await add_device(ada)
        await add_comment("one", author_id=bob, device_id=device)
        await add_comment("two", author_id=bob, editor_id=ada)
        await add_comment("three", author_id=ada, editor_id=bob)
        foreseen = await count_erasable(store, ada)

        erased = await erase_user(store, ada)

        assert erased == foreseen
        assert erased.blanked == {"comment": 1}
        rows = await store.find_many("comment", order_by=[OrderBy("id")])
        assert [it["signed"] for it in rows] == ["Ada L.", "Ada L.", ""]
        assert [it["author_id"] for it in rows] == [bob, bob, None]
        assert [it["editor_id"] for it in rows] == [None, None, bob]
        assert {it["device_id"] for it in rows} == {None}

    async def test_what_no_two_rows_share_is_random(self, store, people):
        """An instant too; and a key that held the person holds nobody first."""
        ada, _ = people
        for number, is_gold in enumerate((True, False)):
            row = {"won_at": SCAN + timedelta(days=number), "is_gold": is_gold}
            await store.create("medal", {"winner_id": ada, **row})

        erased = await erase_user(store, ada)

        assert erased.blanked == {"medal": 2}
        medals = await store.find_many("medal")
        assert {it["winner_id"] for it in medals} == {None}
        assert len({it["won_at"] for it in medals}) == 2
        assert all(datetime(1970, 1, 1, tzinfo=UTC) <= it["won_at"] for it in medals)
        assert not {it["won_at"].date() for it in medals} & {SCAN.date()}

    async def test_what_must_not_lose_them_stands_in_the_way(self, store, people):
        """Nothing is erased, and the error says what it is."""
        ada, _ = people
        for street in ("St James's Square", "Ockham Park"):
            await store.create("order", {"user_id": ada, "street": street})

        for ask in (erase_user, count_erasable):
            with pytest.raises(StillReferenced, match=r"\(2 of order\) still point at") as refusal:
                await ask(store, ada)
            assert refusal.value.rows == {"order": 2}

        assert [await store.count(it) for it in ("user", "session", "account")] == [2, 2, 2]

    async def test_what_goes_anyway_stands_in_nobodys_way(self, store, people, add_device):
        """An order for a device that goes is gone before the person is."""
        ada, _ = people
        row = {"user_id": ada, "device_id": await add_device(ada), "street": "Ockham Park"}
        await store.create("order", row)

        erased = await erase_user(store, ada)

        assert (erased.deleted["order"], erased.deleted["user"]) == (1, 1)

    async def test_hooks_see_each_row_gochildren_first(self, another, people):
        """Also where rows point at others of their model, and in rings."""
        gone = []
        models = ("user", "account", "session", "my_device", "reading", "reply", "verification")
        hooks = [
            DatabaseHook(
                model=it, operation="delete", after=lambda row, it=it: gone.append((it, row["id"]))
            )
            for it in models
        ]
        store, (ada, _) = another(database_hooks=hooks).instance.store, people
        first = await store.create("reply", {"user_id": ada, "text": "1"})
        second = await store.create("reply", {"parent_id": first["id"], "text": "2"})
        third = await store.create(
            "reply", {"user_id": ada, "parent_id": second["id"], "text": ""}
        )

        erased = await erase_user(store, ada)

        assert [it for it, _ in gone] == ["session", "account", *["reply"] * 3, "user"]
        assert [it for _, it in gone[2:5]] == [third["id"], second["id"], first["id"]]
        assert erased.deleted["reply"] == 3

    async def test_a_ring_goes_too(self, store, people):
        """Rows that point at one another have no order."""
        ada, _ = people
        first = await store.create("reply", {"user_id": ada, "text": "1"})
        second = await store.create("reply", {"parent_id": first["id"], "text": "2"})
        await store.update("reply", F.id == first["id"], {"parent_id": second["id"]})

        erased = await erase_user(store, ada)

        assert erased.deleted["reply"] == 2
        assert await store.count("reply") == 0

    @pytest.mark.parametrize("model", ["session", "user"])
    async def test_a_hook_that_refuses_keeps_all(self, another, people, model):
        """Nothing is half erased."""
        hook = DatabaseHook(model=model, operation="delete", before=lambda _row: False)
        store = another(database_hooks=[hook]).instance.store

        with pytest.raises(OperationRefused):
            await erase_user(store, people[0])

        assert [await store.count(it) for it in ("user", "session", "account")] == [2, 2, 2]

    # --- links -------------------------------------------------------------------------------

    async def test_links_that_name_them_go(self, store, people, clock):
        """By the id or the address, wherever it stands."""
        ada, _ = people
        for identifier, value in LINKS_OF_ADA:
            await add_link(store, clock, identifier, value.format(id=ada))

        erased = await erase_user(store, ada)

        assert [it["identifier"] for it in await store.find_many("verification")] == []
        assert erased.deleted["verification"] == len(LINKS_OF_ADA)

    async def test_links_of_others_stay(self, store, people, clock):
        """An address that contains another one is not the same."""
        for identifier, value in LINKS_OF_OTHERS:
            await add_link(store, clock, identifier, value)
        before = await store.find_many("verification")

        erased = await erase_user(store, people[0])

        assert "verification" not in erased.deleted
        assert await store.find_many("verification") == before
        assert len(before) == len(LINKS_OF_OTHERS)

    async def test_attack_link_nested_too_deep(self, store, people, clock):
        """It is found as any other, and nothing breaks."""
        ada, _ = people
        for depth in (900, 5000):
            value = "[" * depth + f'"{ADDRESS}"' + "]" * depth
            await add_link(store, clock, f"state:{depth}", value)

        export = await export_user(store, ada)
        erased = await erase_user(store, ada)

        assert len(export["related"]["verification"]) == 2
        assert erased.deleted["verification"] == 2

    async def test_attack_name_that_is_anothers_address(self, store, people, clock):
        """Nobody sees, or takes along, the links of those whom they call themselves like."""
        ada, _ = people
        await store.update("user", F.id == ada, {"name": "bob@example.org"})
        await add_link(store, clock, f"code:{digest('bob@example.org')}", "123456")

        export = await export_user(store, ada)
        erased = await erase_user(store, ada)

        assert "verification" not in export["related"]
        assert "verification" not in erased.deleted
        assert await store.count("verification") == 1

    async def test_links_of_that_very_moment_go_too(self, another, people, clock):
        """Whoever asked for one at the same time writes it when the person is gone."""
        ada, _ = people

        async def add_late(row):
            await add_link(store, clock, "reset:1", json.dumps({"user_id": str(row["id"])}))

        hook = DatabaseHook(model="user", operation="delete", after=add_late)
        store = another(database_hooks=[hook]).instance.store

        erased = await erase_user(store, ada)

        assert "verification" not in erased.deleted
        assert await store.count("verification") == 0

    async def test_all_links_of_ours_go(self, another, new_browser):
        """Whatever the endpoints wrote about them, they find."""
        outbox = []
        auth = another(mail=outbox.append, email_verification=EmailVerification())
        browser = new_browser(auth)
        ada = (await browser.sign_up()).json["user"]["id"]
        await browser.post("/send-verification-email", {"email": ADDRESS})
        await browser.post("/request-password-reset", {"email": ADDRESS})
        await browser.post("/request-password-reset", {"email": "eve@example.org"})
        assert len(outbox) == 2

        erased = await erase_user(auth.instance.store, ada)

        assert erased.deleted["verification"] == 2
        [left] = await auth.instance.store.find_many("verification")
        assert "eve@example.org" in left["value"]

    # --- races -------------------------------------------------------------------------------

    async def test_of_racing_erasures_one_erases(self, store, people, race):
        """The others are told that there is nobody."""
        ada, _ = people

        results = await race(8, lambda: erase_user(store, ada))

        erased = [it for it in results if isinstance(it, Erased)]
        assert [it.deleted["user"] for it in erased] == [1]
        assert [type(it) for it in results if it not in erased] == [NoSuchUser] * 7

    async def test_attack_sign_in_while_being_erased(self, auth, store, people, race, new_browser):
        """No session is left, and nobody gets a 500."""
        ada, _ = people
        turns = iter(range(100))

        async def erase_or_sign_in():
            if next(turns) == 4:
                return await erase_user(store, ada)
            return (await new_browser(auth).sign_in()).status

        results = await race(12, erase_or_sign_in)

        statuses = [it for it in results if not isinstance(it, Erased)]
        assert len(statuses) == 11
        assert set(statuses) <= {200, 401}
        assert await store.count("session", F.user_id == ada) == 0
        assert await store.count("session") == 1

    async def test_who_signs_in_waits_for_the_erasure(
        self, auth, store, people, spawn, new_browser
    ):
        """And is refused."""
        async with store.transaction():
            await erase_user(store, people[0])
            sign_in = spawn(lambda: new_browser(auth).sign_in())
            await sign_in.ended(within=0.2)
        answer = await sign_in.result()

        assert answer.refusal == (401, "INVALID_EMAIL_OR_PASSWORD")
        assert await store.count("session") == 1

    async def test_nobody_adds_rows_during_an_export(self, store, people, spawn, add_device):
        """What is read fits together: who writes waits."""
        ada, _ = people

        async with store.transaction():
            export = await export_user(store, ada)
            adding = spawn(lambda: add_device(ada))
            waited = not await adding.ended(within=0.2)
        await adding.result()

        assert waited
        assert "myDevice" not in export["related"]


async def add_link(store, clock, identifier, value):
    """Keep a verification value."""
    row = {"identifier": identifier, "value": value, "expires_at": clock.now + timedelta(hours=1)}
    await store.create("verification", row)


class TestMemory(PersonalData):
    """In memory."""

    @pytest.fixture
    def database(self):
        """Return none."""
        return


class TestSQLite(PersonalData):
    """SQLite."""

    @pytest.fixture
    def database(self, sqlite_database):
        """Return a file."""
        return sqlite_database


class TestPostgreSQL(PersonalData):
    """PostgreSQL."""

    @pytest.fixture
    def database(self, postgresql_database):
        """Return a database of this module."""
        return postgresql_database


class TestMySQL(PersonalData):
    """MariaDB or MySQL."""

    @pytest.fixture
    def database(self, mysql_database):
        """Return a database of this module."""
        return mysql_database


class TestOtherIds:
    """Ids that are texts or numbers."""

    @pytest.fixture(params=["string", "bigint"])
    def auth(self, request, sqlite_database, sql_auth):
        """An instance whose ids are of the kind."""
        return sql_auth(sqlite_database, plugins=[House()], ids=request.param)

    async def test_an_export_and_an_erasure(self, auth, new_browser, clock):
        """Ids are texts on the wire; a number that is part of another text is nobody's name."""
        store = auth.instance.store
        ada = (await new_browser(auth).sign_up()).json["user"]["id"]
        bob = (await new_browser(auth).sign_up(email="bob@example.org")).json["user"]["id"]
        row = {"user_id": ada, "serial": "X1", "seen_at": SCAN}
        device = await store.create("my_device", row)
        row = {"device_id": device["id"], "place": "Kitchen", "degrees": 21}
        await store.create("reading", row)
        values = [f'{{"user_id":"{ada}"}}', ada, f'{{"userId":{json.dumps(ada)},"step":2}}']
        values += [f'{{"user_id":"{bob}","code":"{ada}","step":{ada!r}}}'.replace("'", '"')] * (
            len(ada) < 16
        )
        for number, value in enumerate(values):
            await add_link(store, clock, f"link:{number}{ada}", value)

        export = await export_user(store, ada)
        erased = await erase_user(store, ada)

        assert export["related"]["reading"][0]["deviceId"] == str(device["id"])
        assert export["related"]["session"][0]["userId"] == ada
        assert len(export["related"]["verification"]) == 3
        gone = {"user": 1, "account": 1, "session": 1, "my_device": 1, "reading": 1}
        assert erased.deleted == {**gone, "verification": 3}
        assert await store.count("user", F.id == bob) == 1


def people_and_bills() -> tuple[Table, Table]:
    """Tables of an application's, of which it knows one more than we."""
    metadata = MetaData()
    people = Table(
        "people",
        metadata,
        Column("number", Integer, primary_key=True),
        Column("name", String(100), nullable=False),
        Column("email", String(120), nullable=False, unique=True),
        Column("email_verified", Boolean, nullable=False),
        Column("image", Text),
        Column("created_at", DateTime, nullable=False),
        Column("updated_at", DateTime, nullable=False),
        Column("tier", String(10), nullable=False, server_default="free"),
        Column("shoe_size", Integer),
        Column("referred_by", ForeignKey("people.number", ondelete="SET NULL")),
    )
    number = Column("number", Integer, primary_key=True)
    payer = Column("payer", Integer, ForeignKey("people.number"), nullable=False)
    return people, Table("bills", metadata, number, payer)


class TestOwnUserTable:
    """The application's own user table, with what hangs on it there."""

    @pytest.fixture(params=["sqlite", "postgresql", "mysql"])
    def database(self, request) -> str:
        """A database of each kind, by its blocking driver."""
        return request.getfixturevalue(f"{request.param}_database")

    @pytest.fixture
    def engine(self, database):
        """The application's own way to the database."""
        return create_engine(database, poolclass=NullPool)

    @pytest.fixture
    def bills(self, engine):
        """A table that only the application knows."""
        _, bills = people_and_bills()
        bills.metadata.drop_all(engine)
        bills.metadata.create_all(engine)
        return bills

    @pytest.fixture
    def url(self, database, watchword_mode):
        """The URL of the database, by the driver that fits the test's mode."""
        url = make_url(database)
        if watchword_mode.name == "loop":
            url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
        return url

    @pytest.fixture
    def auth(self, url, engine, bills, new_auth, run):
        """An instance on the application's table."""
        people, _ = people_and_bills()
        adapter = SQLAlchemyAdapter(url, user_model=people, fields={"id": "number"})
        auth = new_auth(adapter, plugins=[House()], naming=Naming(prefix="own_"))
        run(auth.create_tables())
        yield auth
        run(auth.close())
        auth.metadata.drop_all(engine)
        bills.metadata.drop_all(engine)

    async def test_an_export_and_an_erasure(self, auth, new_browser):
        """Columns that nobody asked for are named; the person goes, and the next one stays."""
        store = auth.instance.store
        ada = (await new_browser(auth).sign_up()).json["user"]["id"]
        await new_browser(auth).sign_up(email="bob@example.org")
        await store.create("my_device", {"user_id": ada, "serial": "X1", "seen_at": SCAN})

        export = await export_user(store, ada)
        erased = await erase_user(store, ada)

        assert (ada, export["user"]["id"], export["user"]["email"]) == ("1", "1", ADDRESS)
        assert export["related"]["myDevice"][0]["userId"] == "1"
        assert export["keptButNotShown"]["user"] == ["tier"]
        assert erased.deleted == {"user": 1, "account": 1, "session": 1, "my_device": 1}
        [left] = await store.find_many("user")
        assert left["email"] == "bob@example.org"

    async def test_what_only_the_application_knows_stands_in_the_way(
        self, auth, engine, bills, new_browser
    ):
        """The database keeps it whole, so nothing is erased."""
        store = auth.instance.store
        ada = (await new_browser(auth).sign_up()).json["user"]["id"]
        with engine.begin() as connection:
            connection.execute(insert(bills).values(payer=int(ada)))

        with pytest.raises(StillReferenced, match="own tables still point at") as refusal:
            await erase_user(store, ada)

        assert refusal.value.rows == {}
        assert [await store.count(it) for it in ("user", "session", "account")] == [1, 1, 1]


class TestManyRows:
    """Nobody's erasure stalls the others."""

    @pytest.fixture
    def auth(self, sqlite_database, sql_auth):
        """An instance on SQLite."""
        return sql_auth(sqlite_database, plugins=[House()])

    @pytest.fixture
    def statements(self):
        """What is sent to databases."""
        sent: list[str] = []

        def note(_connection, _cursor, statement, *_):
            sent.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        yield sent
        event.remove(Engine, "before_cursor_execute", note)

    async def test_a_page_is_a_statement(self, auth, new_browser, statements):
        """Not each row."""
        store = auth.instance.store
        ada = (await new_browser(auth).sign_up()).json["user"]["id"]
        row = {"user_id": ada, "serial": "X1", "seen_at": SCAN}
        await store.create_many("my_device", [row] * 2500)
        statements.clear()

        erased = await erase_user(store, ada)

        assert erased.deleted["my_device"] == 2500
        assert len(statements) < 60

    def test_an_order_is_found_in_one_pass(self):
        """Each row is looked at as often as others point at it, be it broad or deep."""
        deep = {it: CountedRow(id=it, parent=it - 1) for it in range(2000)}
        broad = {it: CountedRow(id=it, parent=-1) for it in range(2000)}

        levels = [list(children_first(it, ["parent"])) for it in (deep, broad)]

        assert [len(it) for it in levels] == [2000, 1]
        assert levels[0][0] == [1999]
        assert {it.looks for rows in (deep, broad) for it in rows.values()} == {1}


class CountedRow(dict):
    """Counts how often somebody looks at where it points."""

    looks = 0

    def get(self, name, default=None):
        """Return a value."""
        self.looks += 1
        return super().get(name, default)


class TestOwnUsers:
    """People whom the application keeps: no foreign key leads to them."""

    @pytest.fixture
    def auth(self, tmp_path, sql_auth, sqlite_database):
        """An instance with the user store of the guide."""
        guide = (ROOT / "docs" / "guides" / "own-stores.md").read_text(encoding="utf-8")
        scope: dict[str, Any] = {"__name__": "guide"}
        exec(re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0], scope)
        users = scope["CSVUsers"](tmp_path / "users.csv")
        return sql_auth(sqlite_database, users=users, plugins=[Desk()])

    async def test_what_stays_points_at_nobody(self, auth, new_browser):
        """And says nothing of them; what Bob wrote stays his."""
        store = auth.instance.store
        ada = (await new_browser(auth).sign_up()).json["user"]["id"]
        bob = (await new_browser(auth).sign_up(email="bob@example.org")).json["user"]["id"]
        for author, name in ((ada, "Ada"), (bob, "Bob")):
            await store.create("letter", {"author_id": author, "signed": name})

        erased = await erase_user(store, ada)

        assert erased.blanked == {"letter": 1}
        letters = await store.find_many("letter", order_by=[OrderBy("id")])
        assert [(it["author_id"], it["signed"]) for it in letters] == [(None, ""), (bob, "Bob")]

    async def test_what_must_not_lose_them_stands_in_the_way(self, auth, new_browser):
        """Nothing is erased."""
        store = auth.instance.store
        ada = (await new_browser(auth).sign_up()).json["user"]["id"]
        await store.create("bill", {"payer_id": ada})

        with pytest.raises(StillReferenced, match="1 of bill"):
            await erase_user(store, ada)

        assert [await store.count(it) for it in ("user", "session", "bill")] == [1, 1, 1]


class TestDeletingOneself:
    """`POST /delete-user` takes along what any plugin keeps."""

    @pytest.fixture
    def browser(self, new_auth, new_browser, run):
        """Ada's browser, where people can delete themselves."""
        options = UserOptions(delete_user=DeleteUser())
        browser = new_browser(new_auth(plugins=[House()], user=options))
        run(browser.sign_up())
        return browser

    async def test_what_plugins_keep_goes_or_is_blanked(self, browser):
        """As by any other erasure."""
        store = browser.auth.instance.store
        [ada] = await store.find_many("user")
        row = {"user_id": ada["id"], "serial": "X1", "seen_at": SCAN}
        await store.create("my_device", row)
        said = {"signed": "Ada", "handle": "ada", "born_at": SCAN, "tags": [], "text": "Hear"}
        await store.create("comment", {"author_id": ada["id"], **said})

        answer = await browser.post("/delete-user", {})

        assert answer.json == {"success": True, "message": "User deleted"}
        assert [await store.count(it) for it in ("user", "my_device", "comment")] == [0, 0, 1]
        [comment] = await store.find_many("comment")
        assert comment["signed"] == ""

    async def test_what_must_not_lose_them_stands_in_the_way(self, browser):
        """The user stays, signed in."""
        store = browser.auth.instance.store
        [ada] = await store.find_many("user")
        await store.create("order", {"user_id": ada["id"], "street": "Ockham Park"})

        answer = await browser.post("/delete-user", {})

        assert answer.refusal == (409, "FAILED_TO_DELETE_USER")
        assert (await browser.session()).json["user"]["id"] == ada["id"]
