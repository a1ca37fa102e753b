"""Signing in with a user name: every answer, and what a wrong password may learn."""

from datetime import timedelta

import pytest

from watchword import (
    APIError,
    BlockingWatchword,
    ConfigurationError,
    DatabaseHook,
    EmailPassword,
    EmailVerification,
)
from watchword.crypto.passwords import Passwords
from watchword.plugins.username import (
    BlockingUsernameAPI,
    Username,
    UsernameAPI,
    UsernameError,
)
from watchword.storage.query import F

WRONG = (401, "INVALID_USERNAME_OR_PASSWORD")
FULL_WIDTH = "\uff41\uff44\uff41"
CYRILLIC = "\u0430d\u0430"
RIGHT = {"username": "ada_l", "password": "difference-engine"}


async def sign_in(browser, **changes):
    """Sign Ada in by her name."""
    return await browser.post("/sign-in/username", {**RIGHT, **changes})


async def test_the_answer_is_the_token_the_user_and_where_to_go(ada, visitor):
    """The user has the name, normalized, and the form of it that is shown."""
    answer = await sign_in(visitor)

    token = answer.json["token"]
    assert answer.status == 200
    assert answer.json == {
        "redirect": False,
        "token": token,
        "user": (await ada.session()).json["user"],
    }
    assert answer.json["user"]["username"] == "ada_l"
    assert answer.json["user"]["displayUsername"] == "Ada_L"
    assert answer.header("location") is None
    assert (await visitor.session()).json["session"]["token"] == token


@pytest.mark.parametrize("spelling", ["ada_l", "Ada_L", "ADA_L"])
async def test_any_spelling_signs_in(ada, visitor, spelling):
    """Names are compared in their normalized form."""
    assert (await sign_in(visitor, username=spelling)).status == 200


async def test_the_address_still_signs_in(ada, visitor):
    """The name is another way to the same account."""
    assert (await visitor.sign_in()).status == 200


async def test_a_target_is_told_in_the_body_and_as_location(ada, visitor):
    """With status 200; one of another site is refused."""
    answer = await sign_in(visitor, callbackURL="/dash?a=b")
    foreign = await sign_in(visitor, callbackURL="https://evil.example/")

    assert (answer.status, answer.header("location")) == (200, "/dash?a=b")
    assert (answer.json["redirect"], answer.json["url"]) == (True, "/dash?a=b")
    assert foreign.refusal == (403, "INVALID_CALLBACK_URL")


async def test_who_is_not_to_be_remembered_gets_browser_cookies_for_a_day(ada, visitor, clock):
    """As with the address."""
    answer = await sign_in(visitor, rememberMe=False)

    assert {name: attributes for name, (_, attributes) in answer.cookies.items()} == {
        "better-auth.session_token": "Path=/; HttpOnly; SameSite=Lax",
        "better-auth.dont_remember": "Path=/; HttpOnly; SameSite=Lax",
    }
    later = F.expires_at == clock.now + timedelta(days=1)
    assert await ada.auth.store.count("session", later) == 1


async def test_a_hash_of_an_older_way_is_replaced(ada, visitor, password_of):
    """By the sign-in that brings the password."""
    old = await Passwords(memory_kib=16, iterations=1).hash("difference-engine")
    await ada.auth.store.update_many("account", None, {"password": old})

    answer = await sign_in(visitor)

    assert answer.status == 200
    assert "m=8," in await password_of(ada.auth)


# --- refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"username": ""}, WRONG),
        ({"password": ""}, WRONG),
        ({"username": "ab"}, (422, "USERNAME_TOO_SHORT")),
        ({"username": "a" * 31}, (422, "USERNAME_TOO_LONG")),
        ({"username": "ada l"}, (422, "INVALID_USERNAME")),
        ({"username": "ada_l\n"}, (422, "INVALID_USERNAME")),
        ({"username": FULL_WIDTH}, (422, "INVALID_USERNAME")),
        ({"username": CYRILLIC}, (422, "INVALID_USERNAME")),
        ({"username": "\u212aada"}, (422, "INVALID_USERNAME")),
        ({"username": "٣٣٣"}, (422, "INVALID_USERNAME")),
        ({"username": "%%%"}, (422, "INVALID_USERNAME")),
        ({"password": "x" * 129}, (400, "PASSWORD_TOO_LONG")),
        ({"password": "x" * 129, "username": "ab"}, (422, "USERNAME_TOO_SHORT")),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_nonsense_is_refused_before_any_work(new_named, new_browser, work, changes, refusal):
    """No password is hashed for it."""
    passwords, calls = work

    answer = await sign_in(new_browser(new_named(passwords=passwords)), **changes)

    assert answer.refusal == refusal
    assert calls == []


async def test_refusals_say_what_is_wrong(visitor):
    """In the wire's words."""
    names = ("", "ab", "a" * 31, "ada l")

    answers = [await sign_in(visitor, username=it) for it in names]

    assert [it.json["message"] for it in answers] == [
        *("Invalid username or password", "Username is too short"),
        *("Username is too long", "Username is invalid"),
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"password": "x"}, "[body.username] Invalid input: expected string, received undefined"),
        (
            {"username": 5, "password": ["x"]},
            (
                "[body.username] Invalid input: expected string, received number; "
                "[body.password] Invalid input: expected string, received array"
            ),
        ),
        (
            {"username": {"$ne": None}, "password": "x"},
            "[body.username] Invalid input: expected string, received object",
        ),
        ({"username": "a\0b", "password": "x"}, "[body.username] Invalid input"),
    ],
    ids=["missing", "types", "query", "nul"],
)
async def test_everything_that_is_wrong_is_named_at_once(visitor, body, message):
    """In the wire's words."""
    answer = await visitor.post("/sign-in/username", body)

    assert answer.refusal == (400, "VALIDATION_ERROR")
    assert answer.json["message"] == message


async def test_without_passwords_nobody_signs_in(new_named, new_browser):
    """With the code that the core has for it."""
    answer = await sign_in(new_browser(new_named(email_password=None)))

    assert answer.refusal == (400, "EMAIL_PASSWORD_DISABLED")


async def test_without_the_plugin_there_is_nothing_of_it(new_auth, new_browser):
    """Neither routes nor fields."""
    browser = new_browser(new_auth())

    signed_up = await browser.sign_up(username="ada_l")

    assert (await sign_in(browser)).status == 404
    assert (await browser.post("/is-username-available", RIGHT)).status == 404
    assert "username" not in signed_up.json["user"]


async def test_a_hook_that_refuses_the_session_is_told(new_named, new_browser):
    """With a status of its own, and no cookie."""
    refused = []
    hook = DatabaseHook(
        model="session", operation="create", before=lambda _row: False if refused else None
    )
    auth = new_named(database_hooks=[hook])
    await new_browser(auth).sign_up(username="ada_l")
    refused.append(True)

    answer = await sign_in(new_browser(auth))

    assert answer.refusal == (500, "FAILED_TO_CREATE_SESSION")
    assert answer.set_cookies == []


async def no_password(auth):
    """Take the hash away, as for who only ever came by a provider."""
    await auth.store.update_many("account", None, {"password": None})


async def no_account(auth):
    """Take the account away."""
    await auth.store.delete_many("account", None)


async def no_user(auth):
    """Take everything away."""
    await auth.store.delete_many("user", None)


@pytest.mark.parametrize("change", [no_password, no_account, no_user])
async def test_attack_sign_in_tells_who_is_known(new_named, new_browser, work, statements, change):
    """Unknown, wrong and missing passwords: one answer, one verification, the same reads."""
    passwords, calls = work
    auth = new_named(passwords=passwords)
    await new_browser(auth).sign_up(username="ada_l")
    costs = []

    async def guess(**changes):
        calls.clear()
        statements.clear()
        answer = await sign_in(new_browser(auth), **changes)
        costs.append(([name for name, _ in calls], list(statements)))
        return answer

    unknown = await guess(username="nobody")
    wrong = await guess(password="analytical-engine")
    await change(auth)
    without = await guess()

    assert unknown.refusal == WRONG
    assert unknown == wrong == without
    assert costs[0] == costs[1] == costs[2]
    assert costs[0][0] == ["_verify"]


# --- where addresses are verified --------------------------------------------------------


@pytest.mark.parametrize("send", [True, False])
async def test_who_did_not_verify_the_address_does_not_sign_in(
    new_named, new_browser, outbox, send
):
    """The link is sent to who has the password, and to nobody else."""
    auth = new_named(
        email_password=EmailPassword(require_email_verification=True),
        email_verification=EmailVerification(send_on_sign_up=False, send_on_sign_in=send),
        mail=outbox.append,
    )
    browser = new_browser(auth)
    await browser.sign_up(username="ada_l")

    wrong = await sign_in(browser, password="analytical-engine")
    unsent = len(outbox)
    right = await sign_in(browser, callbackURL="/dash?a=b")

    assert wrong.refusal == WRONG
    assert right.refusal == (403, "EMAIL_NOT_VERIFIED")
    assert (unsent, len(outbox)) == (0, int(send))
    for mail in outbox:
        assert mail.url.endswith(f"token={mail.token}&callbackURL=%2Fdash%3Fa%3Db")


# --- availability ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("username", "available"), [("ada_l", False), ("ADA_L", False), ("ada", True)]
)
async def test_a_name_is_available_or_not(ada, visitor, username, available):
    """In any spelling, and also for who has it."""
    asked = {"username": username}

    answers = [await it.post("/is-username-available", asked) for it in (ada, visitor)]

    assert [(it.status, it.json) for it in answers] == [(200, {"available": available})] * 2


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"username": ""}, (422, "INVALID_USERNAME")),
        ({"username": "ab"}, (422, "USERNAME_TOO_SHORT")),
        ({"username": "a" * 31}, (422, "USERNAME_TOO_LONG")),
        ({"username": "a b c"}, (422, "INVALID_USERNAME")),
        ({"username": "a\0b\0c"}, (400, "VALIDATION_ERROR")),
        ({"username": None}, (400, "VALIDATION_ERROR")),
        ({}, (400, "VALIDATION_ERROR")),
        ([], (400, "VALIDATION_ERROR")),
    ],
    ids=repr,
)
async def test_what_can_be_nobodys_name_is_refused(visitor, body, refusal):
    """With the reason."""
    assert (await visitor.post("/is-username-available", body)).refusal == refusal


# --- from Python --------------------------------------------------------------------------


async def test_the_endpoints_are_calls_too(ada):
    """With the refusals of the endpoints, and on somebody's behalf."""
    calls = ada.auth.calls(UsernameAPI).on_behalf_of({})

    signed_in = await calls.sign_in(username="Ada_L", password="difference-engine")
    available = await calls.is_available(username="eve")
    with pytest.raises(APIError) as refusal:
        await calls.sign_in(username="eve", password="difference-engine")

    assert signed_in.user.extra == {"username": "ada_l", "display_username": "Ada_L"}
    assert "session_token" in dict(calls.headers)["set-cookie"]
    assert available.available
    assert refusal.value.code is UsernameError.INVALID_USERNAME_OR_PASSWORD


def test_the_endpoints_are_functions_of_a_blocking_instance(sqlite_database, cheap_passwords):
    """Without an event loop."""
    auth = BlockingWatchword(
        sqlite_database,
        secret="correct-horse-battery-staple-0123456789",
        base_url="http://localhost:8000",
        email_password=EmailPassword(),
        passwords=cheap_passwords,
        plugins=[Username()],
    )
    auth.create_tables()

    available = auth.calls(BlockingUsernameAPI).is_available(username="eve")
    auth.close()

    assert available.available


async def test_without_the_plugin_there_are_no_calls(new_auth):
    """What is missing is said."""
    with pytest.raises(ConfigurationError, match="no endpoint Username"):
        await new_auth().calls(UsernameAPI).is_available(username="eve")
