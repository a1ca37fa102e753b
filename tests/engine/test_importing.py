"""Users are imported line by line: once each, with their accounts, or refused with a reason."""

import json
import tracemalloc
from datetime import UTC, datetime
from io import BytesIO
from typing import Final
from uuid import uuid4

import bcrypt
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    make_url,
)

from watchword import ConfigurationError, DatabaseHook, EmailPassword, Field, Naming, UserOptions
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.engine.importing import (
    LONGEST_LINE,
    Reason,
    Trace,
    are_traces_there,
    import_users,
    read_lines,
)
from watchword.errors import APIError, CoreError, StorageUnavailable
from watchword.plugins.username import Username
from watchword.storage.query import F, OrderBy

PASSWORD: Final = "difference-engine"
HASH: Final = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
OTHER_HASH: Final = HASH[:-1] + "E"
KNOWN: Final = "0190f3a5-1b2c-7d3e-8f40-516273849506"
DATABASES: Final = ("sqlite", "postgresql", "mysql")
ASYNC_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}


@pytest.fixture(params=["memory", *DATABASES])
def database(request):
    """Every kind of database."""
    if request.param == "memory":
        return None
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture
def new(new_auth, run, watchword_mode):
    """Make instances on any of them; those of a test share their rows, of which none is old."""
    made = []

    async def new(database, **settings):
        if database is None:
            return new_auth(**settings)
        url = make_url(database)
        if watchword_mode.name == "loop":
            url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
        # Plugins have columns of their own, so they have tables of their own.
        plugins = "".join(f"{it.id}_" for it in settings.get("plugins", ()))
        naming = Naming(prefix=f"import_{plugins}")
        auth = new_auth(url, naming=naming, **settings)
        await auth.create_tables()
        if not made:
            await auth.store.delete_many("user", None)
        made.append(auth)
        return auth

    yield new
    for auth in made:
        run(auth.close())


def person(name: str, /, **more) -> dict:
    """What a line says of somebody."""
    return {"email": f"{name.lower()}@example.org", "name": name, "password": HASH, **more}


class Told:
    """What an import tells of its batches."""

    def __init__(self) -> None:
        self.batches = []

    def __call__(self, progress) -> None:
        """Note a batch."""
        self.batches.append(progress)

    @property
    def refusals(self) -> dict:
        """Line to reason."""
        return {it.line: it.reason for batch in self.batches for it in batch.refusals}

    @property
    def sentences(self) -> list[str]:
        """Why, in words."""
        return [it.sentence for batch in self.batches for it in batch.refusals]


async def bring(auth, lines, **options):
    """Import lines, and return the outcome with what was told."""
    told = Told()
    texts = [it if isinstance(it, bytes) else json.dumps(it).encode() for it in lines]
    return await import_users(auth.store, texts, on_batch=told, **options), told


async def names_of(auth) -> list[str]:
    """Return who is there."""
    return [it["name"] for it in await auth.store.find_many("user", order_by=[OrderBy("name")])]


class TestOneUser:
    """A line becomes a user and their accounts."""

    async def test_all_that_a_line_says_is_written(self, database, new):
        """Wire names in, logical names kept; the address in its canonical form."""
        auth = await new(database, plugins=[Username()])
        line = {
            "email": "Ada@Example.org",
            "name": "Ada",
            "emailVerified": True,
            "image": "https://example.org/ada.png",
            "createdAt": "2020-02-03T04:05:06.789Z",
            "updatedAt": "2021-02-03T04:05:06+01:00",
            "username": "Countess",
            "password": HASH,
            "accounts": [{"providerId": "google", "accountId": "117", "scope": "openid"}],
        }

        outcome, _ = await bring(auth, [line])

        [ada] = await auth.store.find_many("user")
        assert (outcome.imported, outcome.already_there, outcome.refused) == (1, 0, {})
        assert (ada["email"], ada["email_verified"]) == ("ada@example.org", True)
        assert ada["image"] == "https://example.org/ada.png"
        assert ada["created_at"] == datetime(2020, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
        assert ada["updated_at"] == datetime(2021, 2, 3, 3, 5, 6, tzinfo=UTC)
        assert (ada["username"], ada["display_username"]) == ("countess", "Countess")
        accounts = await auth.store.find_many("account", order_by=[OrderBy("provider_id")])
        assert [
            (it["provider_id"], it["account_id"], it["user_id"], it["password"], it["scope"])
            for it in accounts
        ] == [
            ("credential", str(ada["id"]), ada["id"], HASH, None),
            ("google", "117", ada["id"], None, "openid"),
        ]

    async def test_logical_names_and_values_are_taken_as_well(self, auth):
        """As whoever imports from Python has them."""
        made_at = datetime(2020, 1, 1, tzinfo=UTC)
        line = {
            "email": "ada@example.org",
            "name": "Ada",
            "email_verified": True,
            "created_at": made_at,
            "accounts": [{"provider_id": "google", "account_id": "117"}],
        }

        await import_users(auth.store, [line, json.dumps(person("Eve"))])

        ada = await auth.store.find_one("user", F.name == "Ada")
        assert (ada["email_verified"], ada["created_at"]) == (True, made_at)
        assert await names_of(auth) == ["Ada", "Eve"]

    async def test_an_exported_credential_account_is_a_password(self, auth):
        """Its number in the other system is nothing here."""
        line = person("Ada", password=None)
        line["accounts"] = [{"providerId": "credential", "accountId": "7", "password": HASH}]

        await bring(auth, [line])

        [ada] = await auth.store.find_many("user")
        [account] = await auth.store.find_many("account")
        assert (account["account_id"], account["password"]) == (str(ada["id"]), HASH)

    @pytest.mark.parametrize(
        "stored",
        [
            bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
            PBKDF2PasswordHasher().encode(PASSWORD, "saltsaltsalt", iterations=10),
        ],
        ids=["bcrypt", "django"],
    )
    async def test_the_old_password_signs_in(
        self, database, new, new_browser, password_of, stored
    ):
        """And its hash is today's after that."""
        auth = await new(database)
        await bring(auth, [person("Ada", password=stored)])
        browser = new_browser(auth)

        wrong = await browser.sign_in(password="analytical-engine")
        right = await browser.sign_in(password=PASSWORD)

        assert (wrong.status, right.status) == (401, 200)
        assert (await password_of(auth)).startswith("$argon2id$")
        assert (await browser.sign_in(password=PASSWORD)).status == 200


REFUSED: Final = {
    "no JSON": (b"{'email': 1}", Reason.INVALID_JSON, "no JSON"),
    "no UTF-8": (b'{"email": "\xff"}', Reason.INVALID_JSON, "no JSON in UTF-8"),
    "too deep": (b"[" * 100_000, Reason.INVALID_JSON, "no JSON"),
    "a key twice": (
        b'{"email": "eve@example.org", "name": "Eve", "name": "Zoe"}',
        Reason.INVALID_JSON,
        "'name' stands there twice",
    ),
    "an account's key twice": (
        b'{"email": "eve@example.org", "name": "Eve", "accounts": [{"a": 1, "a": 1}]}',
        Reason.INVALID_JSON,
        "'a' stands there twice",
    ),
    "a list": (b"[1, 2]", Reason.INVALID_JSON, "no object"),
    "no address": ({"name": "Eve"}, Reason.INVALID_EMAIL, "email: is missing"),
    "a bad address": (person("Eve", email="eve"), Reason.INVALID_EMAIL, "no e-mail address"),
    "no name": ({"email": "eve@example.org"}, Reason.INVALID_VALUE, "name: is required."),
    "a misspelt field": (person("Eve", emailverified=True), Reason.UNKNOWN_FIELD, "'emailv"),
    "a wrong type": (person("Eve", emailVerified="yes"), Reason.INVALID_VALUE, "a boolean"),
    "too long": (person("Eve", name="x" * 256), Reason.INVALID_VALUE, "name: longer than 255"),
    "NUL": (person("Eve", name="E\0e"), Reason.INVALID_VALUE, "name: contains NUL."),
    "no instant": (person("Eve", createdAt="yesterday"), Reason.INVALID_VALUE, "createdAt: exp"),
    "no zone": (person("Eve", createdAt="2020-01-01T00:00:00"), Reason.INVALID_VALUE, "naive"),
    "said twice": (person("Eve", createdAt=None, created_at=None), Reason.INVALID_VALUE, "requi"),
    "no id": (person("Eve", id="5"), Reason.INVALID_VALUE, "id: is no UUID."),
    "clear text": (person("Eve", password=PASSWORD), Reason.INVALID_PASSWORD_HASH, "no password"),
    "no text": (person("Eve", password=7), Reason.INVALID_PASSWORD_HASH, "is no text"),
    "accounts of no list": (person("Eve", accounts={}), Reason.INVALID_VALUE, "a list of obj"),
    "accounts of texts": (person("Eve", accounts=["x"]), Reason.INVALID_VALUE, "a list of obj"),
    "whose account": (
        person("Eve", accounts=[{"accountId": "1"}]),
        Reason.INVALID_VALUE,
        "accounts.providerId: is required.",
    ),
    "an account's field": (
        person("Eve", accounts=[{"providerId": "google", "accountId": "1", "userId": "1"}]),
        Reason.UNKNOWN_FIELD,
        "accounts.'userId' is no field of account.",
    ),
    "a provider's password": (
        person("Eve", accounts=[{"providerId": "google", "accountId": "1", "password": HASH}]),
        Reason.INVALID_VALUE,
        "accounts.password: belongs to credential alone.",
    ),
    "an account twice": (
        person("Eve", accounts=[{"providerId": "google", "accountId": "1"}] * 2),
        Reason.INVALID_VALUE,
        "stands there twice",
    ),
    "two passwords": (
        person("Eve", accounts=[{"providerId": "credential", "password": OTHER_HASH}]),
        Reason.INVALID_PASSWORD_HASH,
        "more than one password",
    ),
}


class TestRefusedLines:
    """One line is refused with its reason; the others go in."""

    @pytest.mark.parametrize("is_dry", [False, True], ids=["real", "dry"])
    @pytest.mark.parametrize(("line", "reason", "words"), REFUSED.values(), ids=REFUSED)
    async def test_what_is_wrong_with_a_line(self, auth, line, reason, words, is_dry):
        """The sentence says it, and repeats no secret."""
        outcome, told = await bring(auth, [person("Ada"), line, person("Zoe")], dry_run=is_dry)

        assert (outcome.imported, outcome.refused) == (2, {reason: 1})
        assert told.refusals == {2: reason}
        assert words in told.sentences[0]
        assert PASSWORD not in repr(told.batches)
        assert OTHER_HASH not in repr(told.batches)
        assert await names_of(auth) == ([] if is_dry else ["Ada", "Zoe"])

    async def test_what_is_no_address_is_not_repeated(self, auth):
        """It may be the password, in a file with its columns mixed up."""
        _, told = await bring(auth, [person("Ada", email=PASSWORD)])

        assert told.batches[0].refusals[0].email is None
        assert PASSWORD not in repr(told.batches)

    async def test_a_line_that_is_too_long(self, auth):
        """It is one refused line, of which only the beginning is ever in memory."""
        good = json.dumps(person("Ada")).encode()
        stream = BytesIO(good + b"\n" + b"x" * (40 * LONGEST_LINE) + b"\n\n" + good[:-1] + b" }")
        told = Told()
        tracemalloc.start()

        await import_users(auth.store, read_lines(stream), on_batch=told)

        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert told.refusals == {2: Reason.LINE_TOO_LONG}
        assert (told.batches[0].lines, told.batches[0].so_far.already_there) == (4, 1)
        assert peak < 8 * LONGEST_LINE

    @pytest.mark.parametrize("kind", ["bytes", "text"])
    async def test_the_longest_line_is_taken(self, auth, kind):
        """One byte more is too much."""
        line = json.dumps(person("Ada"))
        longest = line + " " * (LONGEST_LINE - len(line))
        lines = [longest + " ", longest]
        told = Told()

        given = [it.encode() for it in lines] if kind == "bytes" else lines
        await import_users(auth.store, given, on_batch=told)

        assert told.refusals == {1: Reason.LINE_TOO_LONG}
        assert await names_of(auth) == ["Ada"]

    @pytest.mark.parametrize("is_dry", [False, True], ids=["real", "dry"])
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (5, "not int"),
            (None, "not NoneType"),
            (["email"], "not list"),
            ({1: 2}, "a key is no text"),
            ({None: "x", "email": "eve@example.org"}, "a key is no text"),
            (
                person("Eve", accounts=[{"providerId": "google", "accountId": "1", 7: 7}]),
                "accounts.a key is no text",
            ),
        ],
    )
    async def test_what_is_no_line_at_all(self, auth, line, words, is_dry):
        """From Python anything may come; it is one refused line."""
        told = Told()

        lines = [person("Ada"), line, person("Zoe")]
        outcome = await import_users(auth.store, lines, dry_run=is_dry, on_batch=told)

        assert (outcome.imported, told.refusals) == (2, {2: Reason.INVALID_VALUE})
        assert words in told.sentences[0]

    async def test_a_byte_order_mark_in_a_text(self, auth):
        """As whoever opens a file for texts has it."""
        outcome = await import_users(auth.store, ["\ufeff" + json.dumps(person("Ada"))])

        assert (outcome.imported, outcome.refusals) == (1, 0)

    async def test_a_byte_order_mark_and_blank_lines_are_no_mistake(self, auth):
        """As editors leave them."""
        outcome, _ = await bring(
            auth, [b"\xef\xbb\xbf" + json.dumps(person("Ada")).encode() + b"\r\n", b" \r\n", b""]
        )

        assert (outcome.imported, outcome.refusals) == (1, 0)


MIXED: Final = [
    person("Ada"),
    person("Bea", username="bea"),
    person("Ada"),  # the same line again
    person("Cyd", username="BEA"),  # a name that another line has
    person("Ada", name="Another"),  # one that differs, but not in its password
    person("Ada", password=OTHER_HASH),  # another password
    person("Dot", username="x"),  # a name that the plugin refuses
    person("Eli", username="old-one"),
    person("Fay", accounts=[{"providerId": "google", "accountId": "1"}]),
    person("Gus", accounts=[{"providerId": "google", "accountId": "1"}]),  # Fay's account
    person("Hal", accounts=[{"providerId": "github", "accountId": "1"}]),
    person("Old"),  # who signed up already
    person("Ian", username="taken"),  # a name of somebody who is there
    person("Joy", accounts=[{"providerId": "google", "accountId": "old"}]),  # an account too
    person("Kit"),
]
FATES: Final = {
    4: Reason.VALUE_TAKEN,
    6: Reason.EMAIL_TAKEN,
    7: Reason.REFUSED_BY_HOOK,
    8: Reason.REFUSED_BY_HOOK,
    10: Reason.ACCOUNT_TAKEN,
    12: Reason.EMAIL_TAKEN,
    13: Reason.VALUE_TAKEN,
    14: Reason.ACCOUNT_TAKEN,
}


async def with_an_old_one(new, database):
    """Return an instance with somebody in it."""
    auth = await new(database, plugins=[Username()])
    old = {"name": "Old", "email": "old@example.org", "username": "taken"}
    user = await auth.store.create("user", old)
    account = {"user_id": user["id"], "provider_id": "google", "account_id": "old"}
    await auth.store.create("account", account)
    return auth


@pytest.mark.parametrize("size", [1, 2, 4, 1000])
class TestBatches:
    """Only lines at fault are refused, wherever batches begin and end."""

    async def test_others_of_a_batch_go_in(self, database, new, size):
        """Addresses, accounts and plugins' names that are taken, in the file or before it."""
        auth = await with_an_old_one(new, database)

        outcome, told = await bring(auth, MIXED, batch_size=size)

        assert told.refusals == FATES
        assert (outcome.imported, outcome.already_there) == (5, 2)
        assert await names_of(auth) == ["Ada", "Bea", "Fay", "Hal", "Kit", "Old"]
        assert await auth.store.count("account") == 5 + 2 + 1

    async def test_again_nothing_is_written(self, database, new, size):
        """Whoever went in is recognised; the others are refused as before."""
        auth = await with_an_old_one(new, database)
        await bring(auth, MIXED)

        outcome, told = await bring(auth, MIXED, batch_size=size)

        # Gus's account is Fay's and so on; none of them is there now.
        assert told.refusals == FATES
        assert (outcome.imported, outcome.already_there) == (0, 7)
        assert await names_of(auth) == ["Ada", "Bea", "Fay", "Hal", "Kit", "Old"]

    async def test_a_dry_run_foretells_it(self, database, new, size, count_rows):
        """The same counts, and no row."""
        auth = await with_an_old_one(new, database)
        before = await count_rows(auth)

        outcome, told = await bring(auth, MIXED, batch_size=size, dry_run=True)

        assert (outcome.imported, outcome.already_there) == (5 + (size < 4), 2)
        # A plugin's name that an earlier batch would bring is not remembered.
        expected = FATES if size >= 4 else {it: FATES[it] for it in FATES if it != 4}
        assert told.refusals == expected
        assert await count_rows(auth) == before


class TestRaces:
    """People sign up while others are imported."""

    @pytest.mark.parametrize("kind", ["postgresql", "mysql"])
    async def test_a_sign_up_between_the_look_and_the_write(self, request, new, kind):
        """The line in its way is refused; the rest of its batch goes in."""
        database = request.getfixturevalue(f"{kind}_database")
        live = await new(database)
        left = ["c@example.org", "f@example.org"]

        async def sign_up_first(user):
            if user["email"] in left:
                left.remove(user["email"])
                await live.store.create("user", {"name": "Live", "email": user["email"]})

        hook = DatabaseHook(model="user", operation="create", before=sign_up_first)
        auth = await new(database, database_hooks=[hook])

        outcome, told = await bring(auth, [person(it) for it in "ABCDEFGH"])

        assert told.refusals == {3: Reason.EMAIL_TAKEN, 6: Reason.EMAIL_TAKEN}
        assert outcome.imported == 6
        assert await names_of(auth) == [*"ABDEGH", "Live", "Live"]

    @pytest.mark.parametrize("kind", ["postgresql", "mysql"])
    async def test_another_import_of_the_same_lines(self, request, new, kind):
        """Who was faster wrote them; they are there, and refused by neither."""
        database = request.getfixturevalue(f"{kind}_database")
        other = await new(database)
        lines = [person(it) for it in "ABCD"]
        left = [lines]

        async def import_first(_user):
            if left:
                await bring(other, left.pop())

        hook = DatabaseHook(model="user", operation="create", before=import_first)
        auth = await new(database, database_hooks=[hook])

        outcome, told = await bring(auth, lines)

        assert (outcome.imported, outcome.already_there, told.refusals) == (0, 4, {})
        assert await names_of(auth) == [*"ABCD"]


BARE: Final = {"password": None}
THEN: Final = "2020-01-01T00:00:00Z"
GOOGLE: Final = {"accounts": [{"providerId": "google", "accountId": "1"}]}
GITHUB: Final = {"accounts": [{"providerId": "github", "accountId": "2"}]}
# Of each the first line goes in, and is in the way of the others.
ALIKE: Final = [
    ("Ada", [BARE, BARE, {**BARE, "name": "Other"}, {**BARE, "createdAt": THEN}]),
    ("Bea", [{**BARE, "createdAt": THEN}] * 2 + [{**BARE, "createdAt": "2021-01-01T00:00:00Z"}]),
    ("Cyd", [{}, {"createdAt": THEN}, {"name": "Other"}, {"password": OTHER_HASH}]),
    ("Dot", [{"createdAt": THEN}, {"createdAt": THEN, "password": OTHER_HASH}]),
    ("Eli", [{"id": KNOWN}, {"id": KNOWN, "email": "other@example.org"}, {"id": KNOWN, **BARE}]),
    ("Fay", [GOOGLE, {**GOOGLE, "password": OTHER_HASH}, {**GOOGLE, "email": "f@example.org"}]),
    ("Gus", [{**BARE, "createdAt": THEN}, {"createdAt": THEN, **GITHUB}]),
]


class TestRecognition:
    """Who was imported is told from somebody who signed up with the same address."""

    @pytest.mark.parametrize(
        "line",
        [
            person("Ada", createdAt="2020-01-01T00:00:00.123456Z"),
            person("Ada", id=KNOWN),
            person("Ada", accounts=[{"providerId": "google", "accountId": "1"}]),
        ],
        ids=["by the time", "by the id", "by an account"],
    )
    async def test_after_the_password_was_changed(self, database, new, line):
        """As by the first sign-in, which replaces the hash."""
        auth = await new(database)
        await bring(auth, [line])
        await auth.store.update("account", F.provider_id == "credential", {"password": "new"})

        outcome, _ = await bring(auth, [line])

        assert (outcome.already_there, outcome.refusals) == (1, 0)

    @pytest.mark.parametrize("is_dry", [False, True], ids=["real", "dry"])
    async def test_a_name_alone_proves_nothing(self, auth, new_browser, is_dry):
        """Somebody signed up with the address and the name of another, who would lose both."""
        await new_browser(auth).sign_up(name="Vic", email="vic@example.org", password=PASSWORD)
        line = {"email": "vic@example.org", "name": "Vic", "emailVerified": True}

        outcome, _ = await bring(auth, [line], dry_run=is_dry)

        [vic] = await auth.store.find_many("user")
        assert (outcome.already_there, outcome.refused) == (0, {Reason.EMAIL_TAKEN: 1})
        assert not vic["email_verified"]

    @pytest.mark.parametrize("size", [1, 1000])
    async def test_a_dry_run_recognises_as_the_run_does(self, database, new, size):
        """Lines with one address, one id or one account, which say more or less of each other."""
        auth = await new(database)
        lines = [line for name, more in ALIKE for line in (person(name, **it) for it in more)]

        dry, foretold = await bring(auth, lines, batch_size=size, dry_run=True)
        real, told = await bring(auth, lines, batch_size=size)

        assert foretold.refusals == told.refusals
        assert dry == real
        assert real.imported == len(ALIKE)
        assert (real.already_there, real.refusals) == (6, 8)

    @pytest.mark.parametrize(
        "more",
        [{}, {"accounts": [{"providerId": "google", "accountId": "1"}]}],
        ids=["a password", "an account too"],
    )
    async def test_whoever_lacks_an_account_is_somebody_else(self, auth, more):
        """To count the line as there would lose the way to sign in that it brings."""
        made_at = "2020-01-01T00:00:00Z"
        await bring(auth, [person("Ada", password=None, createdAt=made_at)])

        outcome, _ = await bring(auth, [person("Ada", createdAt=made_at, **more)])

        assert outcome.refused == {Reason.EMAIL_TAKEN: 1}

    async def test_an_id_with_another_address_is_another_person(self, auth):
        """Numbers of two systems mean different people."""
        known = str(uuid4())
        await bring(auth, [person("Ada", id=known)])

        _, told = await bring(auth, [person("Eve", id=known), person("Ada", id=str(uuid4()))])

        assert told.refusals == {1: Reason.ID_TAKEN, 2: Reason.EMAIL_TAKEN}

    async def test_a_trace_is_there_or_not(self, database, new):
        """By which a later run knows the database."""
        auth = await new(database)
        _, told = await bring(auth, [person("Ada")])
        [trace] = told.batches[0].traces
        other = Trace(id=trace.id, email="eve@example.org")

        assert trace.email == "ada@example.org"
        assert await are_traces_there(auth.store, [trace])
        assert not await are_traces_there(auth.store, [other])
        assert not await are_traces_there(auth.store, [trace, other])

    async def test_a_batch_leaves_its_first_its_last_and_one_between(self, auth):
        """One alone may be in two databases."""
        _, told = await bring(auth, [person(f"P{it}") for it in range(9)])

        assert [it.email[:2] for it in told.batches[0].traces] == ["p0", "p4", "p8"]


class TestIds:
    """Whatever ids are."""

    @pytest.mark.parametrize(("ids", "given"), [("uuid", KNOWN), ("string", "u-1")])
    async def test_an_id_that_is_given_is_kept(self, database, new, ids, given):
        """Of either type that is made in Python."""
        auth = await new(None if ids == "string" else database, ids=ids)

        await bring(auth, [person("Ada", id=given), person("Eve")])

        ada = await auth.store.find_one("user", F.name == "Ada")
        assert ada["id"] == given
        assert await auth.store.count("account", F.user_id == given) == 1

    async def test_the_database_makes_them(self, tmp_path, new):
        """Then none may be given: its own next one could be the same."""
        auth = await new(f"sqlite:///{tmp_path}/numbers.db", ids="bigint")

        outcome, told = await bring(auth, [person("Ada"), person("Eve", id="7"), person("Zoe")])

        assert told.refusals == {2: Reason.INVALID_VALUE}
        assert "leave it out" in told.sentences[0]
        rows = await auth.store.find_many("user")
        assert [(it["id"], it["name"]) for it in rows] == [(1, "Ada"), (2, "Zoe")]
        again, _ = await bring(auth, [person("Ada"), person("Zoe")])
        assert (outcome.imported, again.already_there) == (2, 2)

    async def test_a_dry_run_where_the_database_makes_them(self, tmp_path, new, count_rows):
        """Accounts are checked with a number that stands for theirs."""
        auth = await new(f"sqlite:///{tmp_path}/numbers.db", ids="bigint")

        outcome, _ = await bring(auth, [person("Ada")], dry_run=True)

        assert outcome.imported == 1
        assert sum((await count_rows(auth)).values()) == 0

    async def test_the_applications_own_table(self, tmp_path, new_auth, run, watchword_mode):
        """Its key by its own name, its columns and their limits."""
        metadata = MetaData()
        members = Table(
            "members",
            metadata,
            Column("username", String(40), primary_key=True),
            Column("name", String(10), nullable=False),
            Column("email", String(120), nullable=False, unique=True),
            Column("email_verified", Boolean, nullable=False),
            Column("image", Text),
            Column("created_at", DateTime, nullable=False),
            Column("updated_at", DateTime, nullable=False),
            Column("tier", String(10), server_default="free"),
        )
        engine = create_engine(f"sqlite:///{tmp_path}/club.db")
        metadata.create_all(engine)
        engine.dispose()
        driver = "sqlite+aiosqlite" if watchword_mode.name == "loop" else "sqlite"
        adapter = SQLAlchemyAdapter(
            f"{driver}:///{tmp_path}/club.db", user_model=members, fields={"id": "username"}
        )
        auth = new_auth(adapter, user=UserOptions(additional_fields={"username": Field("string")}))
        await auth.create_tables()
        lines = [
            person("Ada", username="ada", tier="gold"),
            person("Eve"),
            person("Zoe", id="zoe", name="x" * 11),
            person("Bea", id="bea"),
        ]

        _, told = await bring(auth, lines)

        assert told.refusals == {2: Reason.INVALID_VALUE, 3: Reason.INVALID_VALUE}
        rows = await auth.store.find_many("user")
        assert [(it["id"], it["tier"]) for it in rows] == [("ada", "gold"), ("bea", "free")]
        again, _ = await bring(auth, [lines[0], lines[3]])
        assert again.already_there == 2
        await auth.close()


class TestHooks:
    """They run as with every new user."""

    async def test_who_is_written_is_told_of_after_the_commit(self, database, new):
        """And nobody who was refused."""
        heard = []
        hooks = [
            DatabaseHook(model="user", operation="create", before=_shout, after=heard.append),
            DatabaseHook(
                model="account", operation="create", before=lambda row: row["scope"] != "no"
            ),
        ]
        auth = await new(database, database_hooks=hooks)
        refused = {"providerId": "google", "accountId": "1", "scope": "no"}
        allowed = {"providerId": "google", "accountId": "2", "scope": "yes"}
        lines = [
            person("Ada", password=None, accounts=[allowed]),
            person("Eve", password=None, accounts=[refused]),
        ]

        _, told = await bring(auth, lines)

        assert told.refusals == {2: Reason.REFUSED_BY_HOOK}
        assert [it["name"] for it in heard] == ["ADA"]
        assert await names_of(auth) == ["ADA"]
        assert await auth.store.count("account") == 1

    async def test_a_dry_run_asks_those_of_accounts_too(self, new_auth):
        """And tells nobody of what was not written."""
        heard = []
        allows = DatabaseHook(
            model="account", operation="create", before=lambda row: row["scope"] != "no"
        )
        tells = DatabaseHook(model="user", operation="create", after=heard.append)
        auth = new_auth(database_hooks=[allows, tells])
        account = {"providerId": "google", "accountId": "1"}
        lines = [
            person("Ada", password=None, accounts=[{**account, "scope": "yes"}]),
            person("Eve", password=None, accounts=[{**account, "accountId": "2", "scope": "no"}]),
        ]

        outcome, told = await bring(auth, lines, dry_run=True)

        assert (outcome.imported, told.refusals) == (1, {2: Reason.REFUSED_BY_HOOK})
        assert (heard, await names_of(auth)) == ([], [])

    async def test_a_hook_may_refuse_in_its_own_words(self, new_auth):
        """An `APIError` is no crash."""

        def refuse(user):
            if user["name"] == "Eve":
                raise APIError(CoreError.INVALID_USER, message="Not her")

        hook = DatabaseHook(model="user", operation="create", before=refuse)
        auth = new_auth(database_hooks=[hook])

        _, told = await bring(auth, [person("Ada"), person("Eve")])

        assert told.sentences == ["A hook refused it: Not her."]
        assert await names_of(auth) == ["Ada"]

    async def test_a_value_that_a_hook_gives_may_be_taken(self, new_auth):
        """Two lines that a hook makes alike: the first goes in."""
        nick = {"nick": Field("string", unique=True, required=False)}

        hook = DatabaseHook(
            model="user", operation="create", before=lambda user: {"nick": user["name"][0]}
        )
        auth = new_auth(user=UserOptions(additional_fields=nick), database_hooks=[hook])

        _, told = await bring(auth, [person("Ada"), person("Amy"), person("Bea")])

        assert told.refusals == {2: Reason.VALUE_TAKEN}
        assert told.sentences == ["Another user has its nick."]
        assert await names_of(auth) == ["Ada", "Bea"]


def _shout(user):
    return {"name": user["name"].upper()}


class TestTheWay:
    """How lines are taken, and what stays when it ends early."""

    async def test_no_line_is_taken_ahead(self, auth):
        """When a batch is told of, what was read is what was written."""
        taken = []

        def lines():
            for number in range(10):
                taken.append(number)
                yield person(f"P{number}")

        seen = []
        await import_users(
            auth.store,
            lines(),
            batch_size=4,
            on_batch=lambda it: seen.append((it.lines, len(taken), it.so_far.imported)),
        )

        assert seen == [(4, 4, 4), (8, 8, 8), (10, 10, 10)]

    async def test_a_batch_is_no_larger_than_memory_allows(self, auth):
        """However many lines it may have."""
        told = Told()
        padding = " " * (LONGEST_LINE - 200)

        lines = (json.dumps(person(f"P{number}")) + padding for number in range(20))
        await import_users(auth.store, lines, on_batch=told)

        assert [it.lines for it in told.batches] == [9, 18, 20]

    async def test_what_was_told_of_stays(self, database, new):
        """The import ends in the third batch, and goes on there."""
        auth = await new(database)
        people = [person(f"P{number}") for number in range(10)]
        told = Told()

        def lines():
            yield from people[:9]
            raise StorageUnavailable("gone", retryable=False)

        with pytest.raises(StorageUnavailable):
            await import_users(auth.store, lines(), batch_size=4, on_batch=told)
        done = told.batches[-1].lines
        outcome, rest = await bring(
            auth, [*people[done:], b"x"], batch_size=4, first_line=done + 1
        )

        assert (done, outcome.imported) == (8, 2)
        assert rest.refusals == {11: Reason.INVALID_JSON}
        assert await auth.store.count("user") == 10

    async def test_a_batch_of_nothing(self, auth):
        """Wrong use is refused before a line is taken."""
        with pytest.raises(ConfigurationError, match="imports nothing"):
            await import_users(auth.store, [], batch_size=0)

    @pytest.mark.parametrize("kind", ["text", "bytes", "dict", "nothing", "async"])
    async def test_what_has_no_lines(self, auth, kind):
        """A name of a file has letters, and a dict keys: neither is a line."""

        async def later():
            yield person("Ada")

        lines = {"text": "u.jsonl", "bytes": b"u", "dict": person("Ada"), "async": later()}

        with pytest.raises(ConfigurationError, match="from lines") as error:
            await auth.import_users(lines.get(kind))

        assert 'open("users.jsonl", "rb")' in error.value.hint

    async def test_users_in_a_store_of_the_applications(self, new_auth):
        """What is written there could not be undone with its accounts."""

        class Directory:
            create = get = get_by_email = get_by_field = update = print
            delete = list_users = page = all = print

        auth = new_auth(users=Directory())

        with pytest.raises(ConfigurationError, match="stores of the application's own"):
            await auth.import_users([])

    async def test_an_adapter_without_transactions(self, new_auth):
        """A user without their accounts could be left behind."""

        class Bare:
            def __init__(self) -> None:
                self.inner = MemoryAdapter()
                self.capabilities = self.inner.capabilities

            def __getattr__(self, name):
                if name in {"transaction", "using"}:
                    raise AttributeError(name)
                return getattr(self.inner, name)

        auth = new_auth(Bare(), email_password=EmailPassword())

        with pytest.raises(ConfigurationError, match="together"):
            await import_users(auth.store, [person("Ada")])
