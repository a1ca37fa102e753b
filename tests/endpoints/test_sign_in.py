"""Signing in: every answer, the work behind it, and what a wrong password may learn."""

import hashlib
import re
from datetime import timedelta

import pytest

from watchword import DatabaseHook, EmailPassword
from watchword.crypto.passwords import Passwords
from watchword.storage.query import F

WEEK, DAY = timedelta(days=7), timedelta(days=1)
ADDRESS = "ada@example.org"


@pytest.fixture
def stranger(auth, new_browser):
    """Another browser at the same instance, which was never here."""
    return new_browser(auth)


def scrypt_of(password: str) -> str:
    """Hash as the wire's own servers do: the salt is the hexadecimal text itself."""
    salt = "0f" * 16
    key = hashlib.scrypt(
        password.encode(), salt=salt.encode(), n=16384, r=16, p=1, dklen=64, maxmem=2**26
    )
    return f"{salt}:{key.hex()}"


async def test_the_answer_is_the_token_the_user_and_where_to_go(browser, stranger):
    """Without a target there is no `url` key and no location."""
    user = (await browser.sign_up()).json["user"]

    answer = await stranger.sign_in()

    assert answer.status == 200
    token = answer.json["token"]
    assert answer.json == {"redirect": False, "token": token, "user": user}
    assert re.fullmatch(r"[A-Za-z0-9]{32}", token)
    assert answer.header("location") is None
    assert [name for name, _ in answer.headers] == [
        *("content-type", "set-cookie"),
        *("cache-control", "x-content-type-options", "referrer-policy"),
    ]


async def test_the_cookie_is_a_signed_token_for_a_week(browser, stranger):
    """One cookie, with these attributes in this order."""
    await browser.sign_up()

    answer = await stranger.sign_in()

    [(name, (value, attributes))] = answer.cookies.items()
    assert name == "better-auth.session_token"
    assert value.startswith(f"{answer.json['token']}.")
    assert attributes == "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/dash", "/dash"),
        ("/dash?tab=1&next=%2Fa#top", "/dash?tab=1&next=%2Fa#top"),
        ("http://localhost:8000/dash?a=b", "http://localhost:8000/dash?a=b"),
        ("/caf\u00e9/\u20ac 5", "/caf%C3%A9/%E2%82%AC%205"),
        ("/\u2028line\x85break", "/%E2%80%A8line%C2%85break"),
    ],
)
async def test_a_target_is_told_in_the_body_and_as_location(browser, target, location):
    """With status 200; relative ones stay relative, and a header holds ASCII alone."""
    await browser.sign_up()

    answer = await browser.sign_in(callbackURL=target)

    assert answer.status == 200
    assert (answer.json["redirect"], answer.json["url"]) == (True, target)
    assert answer.header("location") == location


async def test_an_empty_target_is_none(browser):
    """As for a client that sends the key always."""
    await browser.sign_up()

    answer = await browser.sign_in(callbackURL="")

    assert (answer.status, answer.json["redirect"], "url" in answer.json) == (200, False, False)


async def test_a_session_is_written_for_a_week(auth, browser, clock):
    """With the client's address and name, and a digest where the token was."""
    await browser.sign_up()
    await auth.store.delete_many("session", None)

    answer = await browser.post(
        "/sign-in/email",
        {"email": ADDRESS, "password": "difference-engine"},
        headers={"user-agent": "Analytical/1.0"},
    )

    [session] = await auth.store.find_many("session")
    assert session["expires_at"] == clock.now + WEEK
    assert (session["ip_address"], session["user_agent"]) == ("203.0.113.7", "Analytical/1.0")
    assert session["token"] == hashlib.sha256(answer.json["token"].encode()).hexdigest()


async def test_who_is_not_to_be_remembered_gets_browser_cookies_for_a_day(auth, browser, clock):
    """Max-Age is absent, not zero."""
    await browser.sign_up()
    await auth.store.delete_many("session", None)

    answer = await browser.sign_in(rememberMe=False)

    assert {name: attributes for name, (_, attributes) in answer.cookies.items()} == {
        "better-auth.session_token": "Path=/; HttpOnly; SameSite=Lax",
        "better-auth.dont_remember": "Path=/; HttpOnly; SameSite=Lax",
    }
    [session] = await auth.store.find_many("session")
    assert session["expires_at"] == clock.now + DAY


async def test_a_remembered_sign_in_clears_the_wish_to_be_forgotten(browser):
    """Otherwise every later cookie would still end with the browser."""
    await browser.sign_up(rememberMe=False)

    answer = await browser.sign_in()

    assert answer.cookies["better-auth.dont_remember"] == (
        "",
        "Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
    )
    assert "Max-Age=604800" in answer.cookies["better-auth.session_token"][1]
    assert list(browser.cookies) == ["better-auth.session_token"]


async def test_https_cookies_are_secure(new_auth, new_browser):
    """By name and by attribute."""
    auth = new_auth(base_url="https://example.org")
    origin = {"origin": "https://example.org"}
    browser = new_browser(auth)
    body = {"name": "", "email": ADDRESS, "password": "difference-engine", "rememberMe": False}

    answer = await browser.post("/sign-up/email", body, headers=origin)

    assert {name: attributes for name, (_, attributes) in answer.cookies.items()} == {
        "__Secure-better-auth.session_token": "Path=/; HttpOnly; Secure; SameSite=Lax",
        "__Secure-better-auth.dont_remember": "Path=/; HttpOnly; Secure; SameSite=Lax",
    }
    assert (await browser.session()).json["user"]["email"] == ADDRESS


async def test_attack_user_agent_of_kilobytes(auth, browser):
    """A header of any length and content is cut to what a column keeps."""
    await browser.sign_up()
    await auth.store.delete_many("session", None)

    answer = await browser.post(
        "/sign-in/email",
        {"email": ADDRESS, "password": "difference-engine"},
        headers={"user-agent": "\0" + "\ud800" + "x" * 100_000},
    )

    [session] = await auth.store.find_many("session")
    assert answer.status == 200
    assert session["user_agent"] == "?" + "x" * 1023


# --- refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        (
            {"email": 0, "password": True},
            (
                "[body.email] Invalid input: expected string, received number; "
                "[body.password] Invalid input: expected string, received boolean"
            ),
        ),
        (
            {"email": "", "password": "", "rememberMe": 1},
            "[body.rememberMe] Invalid input: expected boolean, received number",
        ),
        (
            {"email": "", "password": "", "callbackURL": None},
            "[body.callbackURL] Invalid input: expected string, received null",
        ),
    ],
    ids=["nothing", "types", "remember", "target"],
)
async def test_everything_that_is_wrong_is_named_at_once(browser, body, message):
    """In the wire's words."""
    answer = await browser.post("/sign-in/email", body)

    assert answer.refusal == (400, "VALIDATION_ERROR")
    assert answer.json["message"] == message


async def test_a_form_signs_in_too(browser):
    """But a form's "false" is a text and no answer to be remembered."""
    await browser.sign_up()
    form = {"content-type": "application/x-www-form-urlencoded"}
    fields = b"email=ada%40example.org&password=difference-engine"

    accepted = await browser.post("/sign-in/email", fields, headers=form)
    refused = await browser.post("/sign-in/email", fields + b"&rememberMe=false", headers=form)

    assert accepted.status == 200
    assert refused.refusal == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"email": "ada"}, ("INVALID_EMAIL", "Invalid email")),
        ({"email": "ada@example.org\n"}, ("INVALID_EMAIL", "Invalid email")),
        ({"email": f"{'a' * 300}@example.org"}, ("INVALID_EMAIL", "Invalid email")),
        ({"password": "x" * 129}, ("PASSWORD_TOO_LONG", "Password too long")),
    ],
)
async def test_nonsense_is_refused_before_any_work(new_auth, new_browser, work, changes, refusal):
    """No password is hashed for it."""
    passwords, calls = work

    answer = await new_browser(new_auth(passwords=passwords)).sign_in(**changes)

    assert answer.status == 400
    assert (answer.json["code"], answer.json["message"]) == refusal
    assert calls == []


async def test_sign_in_can_be_switched_off(new_auth, new_browser):
    """With a code of its own."""
    answer = await new_browser(new_auth(email_password=None)).sign_in()

    assert answer.refusal == (400, "EMAIL_PASSWORD_DISABLED")
    assert answer.json["message"] == "Email and password is not enabled"


async def test_a_short_password_of_an_older_rule_still_signs_in(new_auth, new_browser):
    """The shortest length is asked for when a password is made."""
    adapter = new_auth().adapter
    lenient = new_auth(adapter, email_password=EmailPassword(min_password_length=1))
    await new_browser(lenient).sign_up(password="old")

    answer = await new_browser(new_auth(adapter)).sign_in(password="old")

    assert answer.status == 200


# --- uniform answers ----------------------------------------------------------------------


async def no_password(auth):
    """Take the hash away, as for who only ever came by a provider."""
    await auth.store.update_many("account", None, {"password": None})


async def no_account(auth):
    """Take the account away."""
    await auth.store.delete_many("account", None)


async def of_another_user(auth):
    """Make the account one that is about somebody else."""
    await auth.store.update_many("account", None, {"account_id": "another"})


async def owned_by_another_user(auth):
    """Give the account about Ada to Eve, as a careless import might."""
    eve = await auth.store.create("user", {"name": "Eve", "email": "eve@example.org"})
    await auth.store.update_many("account", None, {"user_id": eve["id"]})


async def of_a_provider(auth):
    """Make the account one of a provider, which happens to hold a hash."""
    await auth.store.update_many("account", None, {"provider_id": "google"})


async def not_a_hash(auth):
    """Leave something that no password has."""
    await auth.store.update_many("account", None, {"password": "disabled"})


@pytest.mark.parametrize(
    "change",
    [
        *(no_password, no_account, of_another_user, owned_by_another_user, of_a_provider),
        not_a_hash,
    ],
)
async def test_attack_sign_in_tells_who_is_known(new_auth, new_browser, work, change):
    """Unknown, wrong and missing passwords: one answer to the byte, one verification each."""
    passwords, calls = work
    auth = new_auth(passwords=passwords)
    browser = new_browser(auth)
    await browser.sign_up()
    browser.cookies.clear()
    calls.clear()

    unknown = await browser.sign_in(email="nobody@example.org")
    wrong = await browser.sign_in(password="analytical-engine")
    await change(auth)
    without = await browser.sign_in()

    assert unknown.refusal == (401, "INVALID_EMAIL_OR_PASSWORD")
    assert unknown.json["message"] == "Invalid email or password"
    assert unknown == wrong == without
    assert [name for name, _ in calls] == ["_verify"] * 3
    assert await auth.store.count("session") == 1


async def test_a_wrong_password_signs_nobody_out(browser):
    """The session that the browser has stays."""
    await browser.sign_up()

    answer = await browser.sign_in(password="analytical-engine")

    assert answer.set_cookies == []
    assert (await browser.session()).json["user"]["email"] == ADDRESS


# --- hashes of older ways -----------------------------------------------------------------


async def test_a_hash_of_the_wires_own_format_is_replaced(auth, browser, password_of):
    """The first sign-in leaves an Argon2id hash of the same password."""
    await browser.sign_up()
    await auth.store.update_many("account", None, {"password": scrypt_of("difference-engine")})

    answers = [await browser.sign_in() for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert (await password_of(auth)).startswith("$argon2id$")


async def test_racing_sign_ins_with_an_older_hash_all_succeed(
    new_auth, new_browser, race, password_of
):
    """Who loses the race for replacing the hash still gave the right password."""
    adapter = new_auth().adapter
    old, today = Passwords(memory_kib=8, iterations=1), Passwords(memory_kib=16, iterations=1)
    await new_browser(new_auth(adapter, passwords=old)).sign_up()
    auth = new_auth(adapter, passwords=today)

    answers = await race(16, lambda: new_browser(auth).sign_in())

    assert [answer.status for answer in answers] == [200] * 16
    assert "m=16," in await password_of(auth)


async def test_a_hash_that_may_not_be_replaced_still_signs_in(new_auth, new_browser, password_of):
    """A hook that refuses the replacement keeps the old hash, not the user out."""
    hook = DatabaseHook(model="account", operation="update", before=lambda _changes: False)
    auth = new_auth(database_hooks=[hook])
    await new_browser(auth).sign_up()
    old = await Passwords(memory_kib=16, iterations=1).hash("difference-engine")
    account = await auth.store.find_one("account", F.provider_id == "credential")
    await auth.adapter.update("account", F.id == account["id"], {"password": old})

    answer = await new_browser(auth).sign_in()

    assert answer.status == 200
    assert await password_of(auth) == old


async def test_a_hook_that_refuses_the_session_is_told(new_auth, new_browser, auth):
    """With the code that sign-in has for it, and no cookie."""
    adapter = auth.adapter
    await new_browser(auth).sign_up()
    hook = DatabaseHook(model="session", operation="create", before=lambda _row: False)

    answer = await new_browser(new_auth(adapter, database_hooks=[hook])).sign_in()

    assert answer.refusal == (401, "FAILED_TO_CREATE_SESSION")
    assert answer.set_cookies == []
