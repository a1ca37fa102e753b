"""Fields that applications and plugins add to users: what a sign-up may set of them."""

import pytest

from watchword import EmailPassword, Field, Plugin, UserOptions
from watchword.storage.query import F

NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}
FIELDS = {
    "must": Field("string", max_length=10),
    "nick_name": Field("string", required=False),
    "role": Field("string", default="member", input=False),
    "credit": Field("integer", required=False, input=False),
    "secret_note": Field("text", required=False, returned=False),
    "plan": Field("string", default="free"),
}


class Loyalty(Plugin):
    """Adds fields to users."""

    id = "loyalty"
    extends = {  # noqa: RUF012 - as the style asks: class attributes
        "user": {
            "points": Field("integer", default=lambda: 5, input=False),
            "card": Field("string", required=False, unique=True, max_length=40),
        }
    }


@pytest.fixture
def new_shop(new_auth, new_browser):
    """Return a browser at an instance whose users have further fields."""

    def new_shop(fields=FIELDS, **settings):
        user = UserOptions(additional_fields=fields)
        return new_browser(new_auth(user=user, plugins=[Loyalty()], **settings))

    return new_shop


async def test_a_sign_up_sets_what_clients_may_set(new_shop):
    """By wire names; defaults for the rest, null for what is unset, and never absent."""
    browser = new_shop()

    answer = await browser.sign_up(must="yes", nickName="Countess", secretNote="poet", card="1")

    assert answer.status == 200
    shown = {
        key: answer.json["user"].get(key, "absent")
        for key in ("must", "nickName", "role", "credit", "plan", "points", "card")
    }
    assert shown == {
        "must": "yes",
        "nickName": "Countess",
        "role": "member",
        "credit": None,
        "plan": "free",
        "points": 5,
        "card": "1",
    }
    assert "secretNote" not in answer.json["user"]
    assert (await browser.session()).json["user"] == answer.json["user"]
    [row] = await browser.auth.store.find_many("user")
    assert row["secret_note"] == "poet"


async def test_a_field_that_must_be_there_is_named(new_shop, count_rows):
    """Nothing is written without it."""
    browser = new_shop()

    answer = await browser.sign_up(nickName="Countess")

    assert answer.refusal == (400, "MISSING_FIELD")
    assert answer.json["message"] == "must is required"
    assert await count_rows(browser.auth) == NOTHING


async def test_attack_fields_that_are_not_the_clients_to_set(new_shop, count_rows):
    """With a default, that stands, silently; without one, a value is refused by name."""
    browser = new_shop()

    refused = await browser.sign_up(must="yes", credit=1_000_000)
    rows = await count_rows(browser.auth)
    ignored = await browser.sign_up(must="yes", role="admin", points=1_000_000, credit=0)

    assert refused.refusal == (400, "FIELD_NOT_ALLOWED")
    assert refused.json["message"] == "credit is not allowed to be set"
    assert rows == NOTHING
    assert ignored.status == 200
    user = ignored.json["user"]
    assert (user["role"], user["points"], user["credit"]) == ("member", 5, None)


@pytest.mark.parametrize(
    "spelling", ["nick_name", "NickName", "nickname", "additionalFields", "additional_fields"]
)
async def test_attack_another_spelling_of_a_field(new_shop, spelling):
    """What is not its wire name is nobody's."""
    value = {"role": "admin", "nickName": "x"} if spelling.startswith("add") else "x"
    browser = new_shop()

    answer = await browser.sign_up(must="yes", **{spelling: value})

    assert (answer.status, answer.json["user"]["nickName"]) == (200, None)
    assert answer.json["user"]["role"] == "member"


async def test_attack_fields_of_the_core_in_a_sign_up(new_shop):
    """They are not additional fields."""
    answer = await new_shop().sign_up(must="yes", emailVerified=True, id="1", updatedAt="x")

    assert answer.status == 200
    assert answer.json["user"]["emailVerified"] is False
    assert answer.json["user"]["id"] != "1"


TYPES = [
    ("string", "x" * 255, ["x" * 256, 1, True, None, [], "\0"]),
    ("text", "x" * 300, [1, None, {}]),
    ("integer", 2**31 - 1, [2**31, -(2**31) - 1, 1.5, "1", True, None]),
    ("bigint", 2**53 - 1, [2**53, -(2**53), 1.5, "1", None]),
    ("boolean", False, [0, "false", None]),
    ("strings", ["a", "é"], ["a", [1], [None], None, {}]),
    ("json", {"a": [1, None, "é"]}, []),
]


@pytest.mark.parametrize(("kind", "good", "bad"), TYPES, ids=[it[0] for it in TYPES])
async def test_values_are_of_their_fields_type(new_shop, kind, good, bad):
    """Nothing is coerced; what no column keeps is a refusal, not a failure of ours."""
    browser = new_shop({"thing": Field(kind)})

    refused = [await browser.sign_up(thing=value) for value in bad]
    answer = await browser.sign_up(thing=good)

    assert [it.refusal for it in refused] == [(400, "VALIDATION_ERROR")] * len(bad)
    assert answer.json["user"]["thing"] == good


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("1815-12-10T00:00:00Z", "1815-12-10T00:00:00.000Z"),
        ("1815-12-10T01:00:00.1239+01:00", "1815-12-10T00:00:00.123Z"),
        ("1815-12-10T00:00:00", None),
        ("1815-12-10", None),
        (1, None),
    ],
)
async def test_instants_have_a_zone(new_shop, given, kept):
    """And come back as JavaScript writes them."""
    answer = await new_shop({"born_at": Field("datetime")}).sign_up(bornAt=given)

    if kept is None:
        assert answer.refusal == (400, "VALIDATION_ERROR")
    else:
        assert answer.json["user"]["bornAt"] == kept


async def test_the_sentence_names_the_field_and_both_types(new_shop):
    """As for the fields of the core."""
    answer = await new_shop({"age": Field("integer"), "on": Field("boolean")}).sign_up(
        age="36", on=None
    )

    assert answer.json["message"] == (
        "[body.age] Invalid input: expected number, received string; "
        "[body.on] Invalid input: expected boolean, received null"
    )


async def test_null_unsets_what_is_optional(new_shop):
    """And nothing else."""
    browser = new_shop()

    optional = await browser.sign_up(must="yes", nickName=None)
    required = await browser.sign_up(must=None, email="eve@example.org")

    assert (optional.status, optional.json["user"]["nickName"]) == (200, None)
    assert required.refusal == (400, "VALIDATION_ERROR")


# --- values that are taken ----------------------------------------------------------------


async def test_a_value_that_is_taken_fails_the_sign_up(new_shop, count_rows):
    """It is no taken address, and no failure of ours."""
    browser = new_shop()
    await browser.sign_up(must="yes", card="1")
    before = await count_rows(browser.auth)

    answer = await browser.sign_up(must="yes", card="1", email="eve@example.org")

    assert answer.refusal == (422, "FAILED_TO_CREATE_USER")
    assert answer.json["message"] == "Failed to create user"
    assert await count_rows(browser.auth) == before


async def test_a_value_that_points_at_nobody_fails_the_sign_up(new_shop):
    """It is no failure of ours."""
    browser = new_shop({"referred_by": Field.reference("user", required=False)})
    ada = (await browser.sign_up()).json["user"]

    nobody = ada["id"][:-12] + "0" * 12
    unknown = await browser.sign_up(email="eve@example.org", referredBy=nobody)
    known = await browser.sign_up(email="eve@example.org", referredBy=ada["id"])

    assert unknown.refusal == (422, "FAILED_TO_CREATE_USER")
    assert known.json["user"]["referredBy"] == ada["id"]


@pytest.mark.parametrize("database", ["memory", "sqlite"])
async def test_attack_ones_own_value_tells_who_is_known(
    new_shop, sqlite_database, database, watchword_mode
):
    """A taken value is refused for known and unknown addresses alike."""
    driver = {"loop": "sqlite+aiosqlite", "driven": "sqlite"}[watchword_mode.name]
    url = sqlite_database.replace("sqlite", driver, 1) if database == "sqlite" else None
    browser = new_shop(database=url, email_password=EmailPassword(hide_existing_users=True))
    await browser.auth.create_tables()
    await browser.sign_up(must="yes")
    await browser.sign_up(must="yes", email="eve@example.org", card="hers")

    answers = [
        await browser.sign_up(must="yes", email=email, card="hers")
        for email in ("ada@example.org", "nobody@example.org")
    ]
    free = await browser.sign_up(must="yes", card="free")

    assert [it.refusal for it in answers] == [(422, "FAILED_TO_CREATE_USER")] * 2
    assert free.status == 200
    assert await browser.auth.store.count("user", F.card == "free") == 0
    await browser.auth.close()


async def test_attack_additional_fields_tell_who_is_known(new_shop):
    """The invented user has the defaults, the values that were sent, and null for the rest."""
    browser = new_shop(email_password=EmailPassword(hide_existing_users=True))
    body = {"must": "yes", "nickName": "Eve", "role": "admin", "secretNote": "x"}
    unknown = await browser.sign_up(**body)

    known = await browser.sign_up(**body)

    ours, theirs = [
        [pair for pair in it.json["user"].items() if pair[0] != "id"] for it in (unknown, known)
    ]
    assert ours == theirs
    assert known.json["user"]["id"] != unknown.json["user"]["id"]
    assert (await browser.sign_up(email="ada@example.org")).refusal == (400, "MISSING_FIELD")
