"""Signing up: every answer, and what is written with each."""

import re
from datetime import timedelta

import pytest

from watchword import DatabaseHook, EmailPassword
from watchword.errors import ConfigurationError, UniqueViolation
from watchword.storage.query import F

INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}
ONE_OF_EACH = {"user": 1, "account": 1, "session": 1, "verification": 0}
WEEK, DAY = timedelta(days=7), timedelta(days=1)


async def test_the_answer_is_the_token_and_the_user(browser, clock):
    """Exactly these keys, the image null and instants with three decimals."""
    answer = await browser.sign_up()

    assert answer.status == 200
    assert set(answer.json) == {"token", "user"}
    user = answer.json["user"]
    assert re.fullmatch(r"[A-Za-z0-9]{32}", answer.json["token"])
    assert re.fullmatch(r"[0-9a-f-]{36}", user.pop("id"))
    assert user == {
        "name": "Ada",
        "email": "ada@example.org",
        "emailVerified": False,
        "image": None,
        "createdAt": "2026-05-17T12:00:00.123Z",
        "updatedAt": "2026-05-17T12:00:00.123Z",
    }


async def test_a_row_was_changed_when_it_was_made(new_auth, new_browser, clock):
    """Both instants are one, however long the work between them takes."""

    def ticking():
        clock.advance(milliseconds=1)
        return clock.now

    answer = await new_browser(new_auth(clock=ticking)).sign_up()

    assert answer.json["user"]["createdAt"] == answer.json["user"]["updatedAt"]


async def test_the_cookie_is_a_signed_token_for_a_week(browser):
    """One cookie, with these attributes in this order."""
    answer = await browser.sign_up()

    [(name, (value, attributes))] = answer.cookies.items()
    assert name == "better-auth.session_token"
    assert re.fullmatch(re.escape(answer.json["token"]) + r"\.[A-Za-z0-9+/]{43}=", value)
    assert attributes == "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"


async def test_a_user_an_account_and_a_session_are_written(auth, browser, count_rows, clock):
    """The table holds no token and no password, and the session ends in a week."""
    token = (await browser.sign_up(image="https://example.org/ada.png")).json["token"]

    assert await count_rows(auth) == ONE_OF_EACH
    [user], [account], [session] = [
        await auth.store.find_many(model) for model in ("user", "account", "session")
    ]
    assert user["image"] == "https://example.org/ada.png"
    assert (account["provider_id"], account["account_id"]) == ("credential", user["id"])
    assert account["password"].startswith("$argon2id$")
    assert session["token"] != token
    assert session["expires_at"] == clock.now + WEEK
    assert session["ip_address"] == "203.0.113.7"


async def test_who_is_not_to_be_remembered_gets_browser_cookies_for_a_day(auth, browser, clock):
    """Neither cookie has a Max-Age, and the session ends in a day."""
    answer = await browser.sign_up(rememberMe=False)

    assert {name: attributes for name, (_, attributes) in answer.cookies.items()} == {
        "better-auth.session_token": "Path=/; HttpOnly; SameSite=Lax",
        "better-auth.dont_remember": "Path=/; HttpOnly; SameSite=Lax",
    }
    assert answer.cookies["better-auth.dont_remember"][0].startswith("true.")
    [session] = await auth.store.find_many("session")
    assert session["expires_at"] == clock.now + DAY


async def test_addresses_are_kept_in_lower_case(auth, browser):
    """Who signed up as ADA signs in as ada, and is nobody else."""
    answer = await browser.sign_up(email="ADA@Example.ORG")

    assert answer.json["user"]["email"] == "ada@example.org"
    assert (await browser.sign_up()).refusal[0] == 422
    assert (await browser.sign_in()).status == 200


async def test_a_form_signs_up_too(browser):
    """An HTML form's body is taken; a name may be empty."""
    answer = await browser.post(
        "/sign-up/email",
        b"name=&email=ada%40example.org&password=difference+engine",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )

    assert (answer.status, answer.json["user"]["name"]) == (200, "")
    assert (await browser.sign_in(password="difference engine")).status == 200


async def test_attack_fields_that_are_not_the_clients_to_set(auth, browser, clock):
    """Id, verification and times come from us whatever the body says."""
    answer = await browser.sign_up(
        id="00000000-0000-0000-0000-000000000000",
        emailVerified=True,
        email_verified=True,
        role="admin",
        createdAt="1999-01-01T00:00:00.000Z",
    )

    [user] = await auth.store.find_many("user")
    assert answer.status == 200
    assert "role" not in answer.json["user"]
    assert user["id"] != "00000000-0000-0000-0000-000000000000"
    assert (user["email_verified"], user["created_at"]) == (False, clock.now)


# --- refusals ----------------------------------------------------------------------------

MISSING = "Invalid input: expected string, received undefined"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        ([], "[body] Invalid input: expected object, received array"),
        ("text", "[body] Invalid input: expected object, received string"),
        ({}, f"[body.name] {MISSING}; [body.email] {MISSING}; [body.password] {MISSING}"),
        (
            {"name": None, "email": 1, "password": ["x"]},
            (
                "[body.name] Invalid input: expected string, received null; "
                "[body.email] Invalid input: expected string, received number; "
                "[body.password] Invalid input: expected string, received array"
            ),
        ),
        (
            {"name": "", "email": "ada", "password": ""},
            (
                "[body.email] Invalid email address; "
                "[body.password] Too small: expected string to have >=1 characters"
            ),
        ),
        (
            {"name": "", "email": "a@b.co", "password": "x", "image": None, "rememberMe": "yes"},
            (
                "[body.image] Invalid input: expected string, received null; "
                "[body.rememberMe] Invalid input: expected boolean, received string"
            ),
        ),
    ],
    ids=["nothing", "list", "text", "empty", "types", "values", "optional"],
)
async def test_everything_that_is_wrong_is_named_at_once(browser, body, message):
    """In the wire's words, joined by semicolons, in the order of the fields."""
    answer = await browser.post("/sign-up/email", body)

    assert answer.refusal == (400, "VALIDATION_ERROR")
    assert answer.json["message"] == message


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("1234567", "PASSWORD_TOO_SHORT"),
        ("😀😀😀", "PASSWORD_TOO_SHORT"),
        ("x" * 129, "PASSWORD_TOO_LONG"),
        ("😀" * 65, "PASSWORD_TOO_LONG"),
    ],
)
async def test_passwords_are_measured_as_browsers_do(auth, browser, count_rows, password, code):
    """In UTF-16 units: 8 at least, 128 at most."""
    answer = await browser.sign_up(password=password)

    assert answer.refusal == (400, code)
    assert await count_rows(auth) == NOTHING


@pytest.mark.parametrize("password", ["12345678", "x" * 128, "😀😀😀😀"])
async def test_passwords_at_the_limits_are_accepted(browser, password):
    """And they are the ones that sign in."""
    assert (await browser.sign_up(password=password)).status == 200
    assert (await browser.sign_in(password=password)).status == 200


async def test_a_taken_address_is_422(auth, browser, count_rows, new_browser):
    """Nothing is written, and nobody is signed in by it."""
    await browser.sign_up()
    stranger = new_browser(auth)

    answer = await stranger.sign_up(password="another-password")

    assert answer.refusal == (422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")
    assert answer.json["message"] == "User already exists. Use another email."
    assert (answer.set_cookies, stranger.cookies) == ([], {})
    assert await count_rows(auth) == ONE_OF_EACH


@pytest.mark.parametrize("options", [None, EmailPassword(sign_up=False)])
async def test_sign_up_can_be_switched_off(new_auth, new_browser, options):
    """Validation still comes first."""
    browser = new_browser(new_auth(email_password=options))

    answer = await browser.sign_up()

    assert answer.refusal == (400, "EMAIL_PASSWORD_SIGN_UP_DISABLED")
    assert answer.json["message"] == "Email and password sign up is not enabled"
    assert (await browser.sign_up(name=1)).refusal == (400, "VALIDATION_ERROR")


async def test_a_name_that_no_column_keeps_is_refused_by_its_length(auth, browser, count_rows):
    """300 characters are told apart from a failure of ours, and nothing is written."""
    answer = await browser.sign_up(name="é" * 300)

    assert answer.refusal == (400, "VALIDATION_ERROR")
    assert answer.json["message"] == (
        "[body.name] Too big: expected string to have <=255 characters"
    )
    assert await count_rows(auth) == NOTHING


# --- hooks -------------------------------------------------------------------------------


@pytest.mark.needs_transactions
@pytest.mark.parametrize(
    ("model", "refusal"),
    [
        ("user", (400, "FAILED_TO_CREATE_USER")),
        ("account", (400, "FAILED_TO_CREATE_USER")),
        ("session", (400, "FAILED_TO_CREATE_SESSION")),
    ],
)
async def test_a_hook_that_refuses_leaves_nothing(
    new_auth, new_browser, count_rows, model, refusal
):
    """No user without an account, and no account without its session."""
    hook = DatabaseHook(model=model, operation="create", before=lambda _row: False)
    auth = new_auth(database_hooks=[hook])

    answer = await new_browser(auth).sign_up()

    assert answer.refusal == refusal
    assert answer.set_cookies == []
    assert await count_rows(auth) == NOTHING


async def test_what_a_hook_adds_is_stored_and_told(new_auth, new_browser):
    """The answer is the row, not the body."""
    hook = DatabaseHook(
        model="user", operation="create", before=lambda row: {"name": row["name"].upper()}
    )
    auth = new_auth(database_hooks=[hook])

    answer = await new_browser(auth).sign_up()

    assert answer.json["user"]["name"] == "ADA"
    assert await auth.store.count("user", F.name == "ADA") == 1


async def test_a_backend_that_cannot_name_the_field_still_answers_422(new_auth, new_browser):
    """The contract lets a violation name no field."""
    racing = []

    def other_sign_up(_row):
        racing.append(True)
        raise UniqueViolation("user", ())

    hook = DatabaseHook(model="user", operation="create", before=other_sign_up)

    answer = await new_browser(new_auth(database_hooks=[hook])).sign_up()

    assert racing
    assert answer.refusal == (422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")


# --- without telling ----------------------------------------------------------------------

SILENT = [EmailPassword(auto_sign_in=False), EmailPassword(hide_existing_users=True)]


def shape(answer):
    """What an observer can compare: everything but ids, times and the name."""
    user = {key: type(value) for key, value in answer.json["user"].items()}
    return answer.status, answer.headers, answer.json["token"], user


@pytest.mark.parametrize(
    "settings",
    [{"email_password": options, "ids": ids} for options in SILENT for ids in ("uuid", "string")],
    ids=str,
)
async def test_attack_sign_up_tells_who_is_known(
    new_auth, new_browser, count_rows, clock, settings
):
    """A known and an unknown address get one answer, and the known one's rows stay."""
    auth = new_auth(**settings)
    new = await new_browser(auth).sign_up()
    clock.advance(days=400)

    known = await new_browser(auth).sign_up(name="Eve", image="https://x.example/e.png")
    unknown = await new_browser(auth).sign_up(
        name="Eve", image="https://x.example/e.png", email="eve@example.org"
    )

    assert shape(known) == shape(unknown)
    assert (known.json["token"], known.set_cookies) == (None, [])
    invented = known.json["user"]
    assert (invented["name"], invented["image"]) == ("Eve", "https://x.example/e.png")
    assert invented["createdAt"] == unknown.json["user"]["createdAt"]
    assert invented["id"] != new.json["user"]["id"]
    assert len(invented["id"]) == len(unknown.json["user"]["id"])
    assert await count_rows(auth) == {**NOTHING, "user": 2, "account": 2}
    assert await auth.store.count("user", F.name == "Ada") == 1


@pytest.mark.parametrize("options", SILENT, ids=["no sign-in", "hidden"])
async def test_attack_time_of_a_sign_up_tells_who_is_known(new_auth, new_browser, options, work):
    """Exactly one password is hashed for either."""
    passwords, calls = work
    browser = new_browser(new_auth(email_password=options, passwords=passwords))

    await browser.sign_up()
    unknown = list(calls)
    await browser.sign_up()

    assert [name for name, _ in unknown] == ["_hash"]
    assert [name for name, _ in calls[len(unknown) :]] == ["_hash"]


@pytest.mark.parametrize("options", SILENT, ids=["no sign-in", "hidden"])
def test_attack_integer_ids_tell_who_is_known(new_auth, options):
    """Nobody can invent the number that a database would give, so the two are not joined."""
    with pytest.raises(ConfigurationError, match="tells whether the address was known"):
        new_auth(email_password=options, ids="bigint")


async def test_attack_hooks_tell_who_is_known(new_auth, new_browser):
    """A hook's additions are in the answer about a known address as well."""
    hook = DatabaseHook(
        model="user", operation="create", before=lambda row: {"name": row["name"].upper()}
    )
    options = EmailPassword(hide_existing_users=True)
    browser = new_browser(new_auth(email_password=options, database_hooks=[hook]))
    unknown = await browser.sign_up()

    known = await browser.sign_up()

    assert known.json["user"]["name"] == unknown.json["user"]["name"]
