"""The password of who is signed in: changed, and verified."""

import pytest

from watchword import DatabaseHook, EmailPassword
from watchword.storage.query import F

TOKEN, FORGET = (f"better-auth.{name}" for name in ("session_token", "dont_remember"))
LASTING = "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"
PASSING = "Path=/; HttpOnly; SameSite=Lax"
OLD, NEW = "difference-engine", "analytical-engine"
CHANGE = {"currentPassword": OLD, "newPassword": NEW}
REPLACE = {**CHANGE, "revokeOtherSessions": True}
MISSING = "Invalid input: expected string, received undefined"


async def may_sign_in(new_browser, auth, password):
    """Tell whether a password is Ada's."""
    return (await new_browser(auth).sign_in(password=password)).status == 200


async def without_password(auth):
    """Let Ada sign in at a provider alone."""
    [account] = await auth.store.find_many("account")
    await auth.store.delete_many("account", None)
    await auth.store.create(
        "account",
        {"user_id": account["user_id"], "provider_id": "github", "account_id": "4242"},
    )


async def with_empty_password(auth):
    """Leave Ada an account for a password, and none in it."""
    await auth.store.update("account", F.provider_id == "credential", {"password": None})


@pytest.fixture
def watched(new_auth, new_browser, work):
    """A browser, and the list of all work that is done for passwords."""
    passwords, calls = work
    return new_browser(new_auth(passwords=passwords)), calls


# --- changing ----------------------------------------------------------------------------


async def test_a_password_is_changed(auth, browser, new_browser, clock):
    """The answer has no token and the user as before; no cookie is sent."""
    user = (await browser.sign_up()).json["user"]
    clock.advance(minutes=1)

    answer = await browser.post("/change-password", CHANGE)

    assert (answer.status, answer.json) == (200, {"token": None, "user": user})
    assert answer.set_cookies == []
    assert await may_sign_in(new_browser, auth, NEW)
    assert not await may_sign_in(new_browser, auth, OLD)


@pytest.mark.parametrize("body", [CHANGE, {**CHANGE, "revokeOtherSessions": False}])
async def test_sessions_go_on_unless_told_otherwise(auth, browser, new_browser, body):
    """Here and elsewhere."""
    await browser.sign_up()
    elsewhere = new_browser(auth)
    await elsewhere.sign_in()

    await browser.post("/change-password", body)

    for it in (browser, elsewhere):
        assert (await it.session()).json["user"]["email"] == "ada@example.org"


async def test_all_sessions_are_replaced_by_one(auth, browser, new_browser, clock):
    """The answer has the new token, the cookie too, and no older cookie works."""
    user = (await browser.sign_up()).json["user"]
    elsewhere = new_browser(auth)
    await elsewhere.sign_in()
    stolen = new_browser(auth, dict(browser.cookies))
    clock.advance(minutes=1)

    answer = await browser.post("/change-password", REPLACE)

    token = answer.json["token"]
    assert (answer.status, answer.json) == (200, {"token": token, "user": user})
    [(name, (value, attributes))] = answer.cookies.items()
    assert (name, attributes) == (TOKEN, LASTING)
    assert value.startswith(f"{token}.")
    [session] = [(await browser.session()).json["session"]]
    assert (session["token"], session["createdAt"]) == (token, "2026-05-17T12:01:00.123Z")
    assert [(await it.session()).body for it in (elsewhere, stolen)] == [b"null"] * 2
    assert await auth.store.count("session") == 1


async def test_who_is_not_remembered_stays_so(auth, browser, clock):
    """The new session lives a day, its cookies until the browser closes."""
    await browser.sign_up(rememberMe=False)

    answer = await browser.post("/change-password", REPLACE)

    assert {name: it for name, (_, it) in answer.cookies.items()} == {
        TOKEN: PASSING,
        FORGET: PASSING,
    }
    [session] = await auth.store.find_many("session")
    assert (session["expires_at"] - clock.now).days == 1


async def test_sessions_of_others_go_on(auth, browser, new_browser):
    """Bob's is none of Ada's business."""
    await browser.sign_up()
    bob = new_browser(auth)
    await bob.sign_up(email="bob@example.org")

    await browser.post("/change-password", REPLACE)

    assert (await bob.session()).json["user"]["email"] == "bob@example.org"
    assert (await bob.sign_in(email="bob@example.org")).status == 200


@pytest.fixture(params=["create", "delete"])
def failing(request, auth, new_auth, new_browser):
    """Make a browser at an instance on the same memory where a session cannot be written."""

    def failing(browser, before):
        hook = DatabaseHook(model="session", operation=request.param, before=before)
        return new_browser(new_auth(auth.adapter, database_hooks=[hook]), browser.cookies)

    return failing


@pytest.mark.needs_transactions
@pytest.mark.parametrize(("hook", "status"), [(lambda _: False, 403), (lambda _: 1 / 0, 500)])
async def test_a_change_that_fails_half_way_changes_nothing(
    browser, new_browser, failing, hook, status
):
    """The password, the sessions, the cookies: what the hook stops is undone altogether."""
    store = browser.auth.store
    await browser.sign_up()
    await new_browser(browser.auth).sign_in()
    before = await store.find_many("account"), await store.find_many("session")

    answer = await failing(browser, hook).post("/change-password", REPLACE)

    assert (answer.status, answer.set_cookies) == (status, [])
    assert (await store.find_many("account"), await store.find_many("session")) == before


SHORT, LONG = "x" * 7, "x" * 129
TOO_SHORT = "PASSWORD_TOO_SHORT", "Password too short"
TOO_LONG = "PASSWORD_TOO_LONG", "Password too long"
WRONG = "INVALID_PASSWORD", "Invalid password"
NO_ACCOUNT = "CREDENTIAL_ACCOUNT_NOT_FOUND", "Credential account not found"


async def nothing(_auth):
    """Leave the password as it is."""


@pytest.mark.parametrize(
    ("prepare", "current", "new", "refusal"),
    [
        (nothing, LONG, SHORT, TOO_SHORT),
        (nothing, OLD, "", TOO_SHORT),
        (nothing, LONG, LONG, TOO_LONG),
        (without_password, LONG, NEW, TOO_LONG),
        (without_password, "wrong", NEW, NO_ACCOUNT),
        (with_empty_password, "", NEW, NO_ACCOUNT),
        (nothing, "wrong", NEW, WRONG),
        (nothing, "", NEW, WRONG),
        (nothing, NEW, NEW, WRONG),
    ],
)
async def test_a_refused_change_changes_nothing(browser, prepare, current, new, refusal):
    """The first of these reasons is told, though sessions were to be ended."""
    auth = browser.auth
    await browser.sign_up()
    await prepare(auth)
    before = await auth.store.find_many("account"), await auth.store.find_many("session")

    answer = await browser.post(
        "/change-password",
        {"currentPassword": current, "newPassword": new, "revokeOtherSessions": True},
    )

    code, message = refusal
    assert (answer.status, answer.json) == (400, {"message": message, "code": code})
    assert answer.set_cookies == []
    after = await auth.store.find_many("account"), await auth.store.find_many("session")
    assert after == before


@pytest.mark.parametrize(
    ("password", "status"),
    [("\U0001f600" * 4, 200), ("\U0001f600" * 3 + "x", 400), ("\u00e9" * 8, 200)],
)
async def test_a_length_is_counted_as_browsers_do(browser, password, status):
    """In UTF-16 code units, of which an emoji has two."""
    await browser.sign_up()

    answer = await browser.post("/change-password", {**CHANGE, "newPassword": password})

    assert answer.status == status


async def test_lengths_can_be_chosen(new_auth, new_browser):
    """They hold for a new password here as at sign-up."""
    options = EmailPassword(min_password_length=12, max_password_length=20)
    browser = new_browser(new_auth(email_password=options))
    await browser.sign_up()

    short, long, right = [
        (await browser.post("/change-password", {**CHANGE, "newPassword": "x" * length}))
        for length in (11, 21, 20)
    ]

    assert (short.refusal[1], long.refusal[1]) == ("PASSWORD_TOO_SHORT", "PASSWORD_TOO_LONG")
    assert right.status == 200


async def test_a_password_of_an_older_rule_can_be_changed(auth, new_auth, browser, new_browser):
    """Only the new one has to be long enough."""
    await browser.sign_up(password="x" * 8)
    strict = new_auth(auth.adapter, email_password=EmailPassword(min_password_length=12))

    answer = await new_browser(strict, browser.cookies).post(
        "/change-password", {"currentPassword": "x" * 8, "newPassword": "x" * 12}
    )

    assert answer.status == 200


@pytest.mark.parametrize(
    ("current", "new", "done"),
    [
        ("x", SHORT, []),
        ("x", LONG, []),
        (LONG, NEW, []),
        ("wrong", NEW, ["_verify"]),
        (OLD, NEW, ["_verify", "_hash"]),
    ],
)
async def test_attack_work_without_the_password(watched, current, new, done):
    """A new password is hashed only for who knows the old one."""
    browser, calls = watched
    await browser.sign_up()
    calls.clear()

    await browser.post("/change-password", {"currentPassword": current, "newPassword": new})

    assert [name for name, _ in calls] == done


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        ([CHANGE], "[body] Invalid input: expected object, received array"),
        ({}, f"[body.newPassword] {MISSING}; [body.currentPassword] {MISSING}"),
        ({"newPassword": NEW}, f"[body.currentPassword] {MISSING}"),
        (
            {**CHANGE, "newPassword": None},
            "[body.newPassword] Invalid input: expected string, received null",
        ),
        (
            {**CHANGE, "currentPassword": 12345678},
            "[body.currentPassword] Invalid input: expected string, received number",
        ),
        (
            {**CHANGE, "revokeOtherSessions": "true"},
            "[body.revokeOtherSessions] Invalid input: expected boolean, received string",
        ),
        (
            {**CHANGE, "revokeOtherSessions": None},
            "[body.revokeOtherSessions] Invalid input: expected boolean, received null",
        ),
    ],
)
async def test_a_change_of_the_wrong_shape(browser, body, message):
    """All that is wrong is named; no password is sent back."""
    await browser.sign_up()

    answer = await browser.post("/change-password", body)

    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})


# --- verifying ---------------------------------------------------------------------------


async def test_the_right_password_is_told(browser):
    """And nothing changes."""
    await browser.sign_up()

    answer = await browser.post("/verify-password", {"password": OLD})

    assert (answer.status, answer.json, answer.set_cookies) == (200, {"status": True}, [])


@pytest.mark.parametrize(
    ("prepare", "password", "refusal", "done"),
    [
        (nothing, "wrong", WRONG, ["_verify"]),
        (nothing, "", WRONG, ["_verify"]),
        (nothing, LONG, TOO_LONG, []),
        (without_password, OLD, WRONG, ["_verify"]),
        (with_empty_password, OLD, WRONG, ["_verify"]),
        (with_empty_password, "", WRONG, ["_verify"]),
    ],
)
async def test_any_other_password_is_wrong(watched, prepare, password, refusal, done):
    """Whether there is a right one is not told, by no answer and by no time."""
    browser, calls = watched
    await browser.sign_up()
    await prepare(browser.auth)
    calls.clear()

    answer = await browser.post("/verify-password", {"password": password})

    code, message = refusal
    assert (answer.status, answer.json) == (400, {"message": message, "code": code})
    assert [name for name, _ in calls] == done


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        ({}, f"[body.password] {MISSING}"),
        ({"password": 1}, "[body.password] Invalid input: expected string, received number"),
        ({"password": None}, "[body.password] Invalid input: expected string, received null"),
    ],
)
async def test_a_question_of_the_wrong_shape(browser, body, message):
    """What is wrong is named."""
    await browser.sign_up()

    answer = await browser.post("/verify-password", body)

    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})


async def test_attack_a_password_of_another_user(auth, browser, new_browser):
    """Right for Bob, wrong for Ada."""
    await browser.sign_up()
    await new_browser(auth).sign_up(email="bob@example.org", password=NEW)

    answer = await browser.post("/verify-password", {"password": NEW})

    assert answer.refusal == (400, "INVALID_PASSWORD")
