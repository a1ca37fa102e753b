"""The ways in of who is signed in: listed without their secrets, and given up but the last."""

from datetime import timedelta

import pytest

from watchword import AccountOptions, DatabaseHook, SessionOptions
from watchword.storage.query import F

DONE = (200, {"status": True})
LAST = (
    400,
    {"message": "You can't unlink your last account", "code": "FAILED_TO_UNLINK_LAST_ACCOUNT"},
)
UNKNOWN = (400, {"message": "Account not found", "code": "ACCOUNT_NOT_FOUND"})
KEYS = {"id", "accountId", "providerId", "userId", "createdAt", "updatedAt", "scopes"}


async def link(auth, browser, provider="github", subject="4242", **fields):
    """Give who is signed in a further way in; return its id."""
    user_id = (await browser.session()).json["user"]["id"]
    row = await auth.store.create(
        "account",
        {"user_id": user_id, "provider_id": provider, "account_id": subject, **fields},
    )
    return str(row["id"])


async def accounts_of(browser):
    """Return the list by provider."""
    listed = (await browser.get("/list-accounts")).json
    return {it["providerId"]: it for it in listed}


async def unlink(browser, account_id):
    """Give up a way in."""
    return await browser.post("/unlink-account", {"accountId": account_id})


# --- listing -----------------------------------------------------------------------------


async def test_a_password_is_an_account(ada):
    """Named `credential`, its subject the user, without scopes."""
    user = (await ada.session()).json["user"]

    answer = await ada.get("/list-accounts")

    [account] = answer.json
    assert (answer.status, answer.set_cookies) == (200, [])
    assert account == {
        "id": account["id"],
        "accountId": user["id"],
        "providerId": "credential",
        "userId": user["id"],
        "createdAt": "2026-05-17T12:00:00.123Z",
        "updatedAt": "2026-05-17T12:00:00.123Z",
        "scopes": [],
    }
    assert account["id"] != user["id"]


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        (None, []),
        ("", []),
        ("openid", ["openid"]),
        ("read:user,user:email", ["read:user", "user:email"]),
        ("openid email", ["openid email"]),
    ],
)
async def test_scopes_are_a_list(auth, ada, scope, scopes):
    """Stored with commas between."""
    await link(auth, ada, scope=scope)

    accounts = await accounts_of(ada)

    assert accounts["github"]["scopes"] == scopes
    assert accounts["github"]["accountId"] == "4242"


async def test_attack_a_list_shows_no_secrets(auth, ada):
    """Neither tokens nor the password's hash, sealed or not."""
    await link(
        auth,
        ada,
        access_token="gho_access",
        refresh_token="ghr_refresh",
        id_token="eyJ_identity",
        scope="repo",
    )

    answer = await ada.get("/list-accounts")

    assert [set(it) for it in answer.json] == [KEYS, KEYS]
    for row in await auth.store.find_many("account"):
        for name in ("access_token", "refresh_token", "id_token", "password"):
            assert row[name] is None or row[name].encode() not in answer.body
    assert b"gh" not in answer.body.replace(b"github", b"")


async def test_accounts_of_others_are_not_listed(auth, ada, new_browser):
    """Each sees their own, and all of them."""
    bob = new_browser(auth)
    await bob.sign_up(email="bob@example.org")
    for number in range(150):
        await link(auth, bob, subject=f"bob-{number}")

    listed = [(await it.get("/list-accounts")).json for it in (ada, bob)]

    assert [len(it) for it in listed] == [1, 151]


async def test_a_list_needs_no_recent_sign_in(ada, clock):
    """Only giving up does."""
    clock.advance(days=3)

    answer = await ada.get("/list-accounts")

    assert (answer.status, len(answer.json)) == (200, 1)


# --- giving up ---------------------------------------------------------------------------


async def test_a_way_in_is_given_up(auth, ada):
    """By its row's id; the others stay, and so does the session."""
    github = await link(auth, ada)

    answer = await unlink(ada, github)

    assert (answer.status, answer.json, answer.set_cookies) == (*DONE, [])
    assert set(await accounts_of(ada)) == {"credential"}


async def test_a_password_can_be_given_up(auth, ada, new_browser):
    """It signs in no longer."""
    await link(auth, ada)

    answer = await unlink(ada, (await accounts_of(ada))["credential"]["id"])

    assert (answer.status, answer.json) == DONE
    assert (await new_browser(auth).sign_in()).status == 401


async def test_the_last_way_in_stays(auth, ada):
    """Otherwise nobody could sign in as Ada again."""
    [account] = (await accounts_of(ada)).values()

    answer = await unlink(ada, account["id"])

    assert (answer.status, answer.json) == LAST
    assert set(await accounts_of(ada)) == {"credential"}


async def test_the_last_way_in_is_looked_at_first(ada):
    """Before it is looked for an account of that id."""
    answer = await unlink(ada, "unknown")

    assert (answer.status, answer.json) == LAST


async def test_the_last_way_in_can_be_let_go(new_auth, new_browser):
    """If the application says so; an id that is unknown still is."""
    auth = new_auth(account=AccountOptions(allow_unlinking_all=True))
    browser = new_browser(auth)
    await browser.sign_up()
    [account] = (await accounts_of(browser)).values()

    unknown = await unlink(browser, "unknown")
    answer = await unlink(browser, account["id"])
    again = await unlink(browser, account["id"])

    assert (unknown.status, unknown.json) == UNKNOWN
    assert (answer.status, answer.json) == DONE
    assert (again.status, again.json) == UNKNOWN
    assert await auth.store.count("account") == 0


@pytest.mark.parametrize("account_id", ["", "unknown", "4242", "github", "%", "x" * 10_000])
async def test_an_unknown_account_is_told(auth, ada, account_id):
    """The provider's own id is none of ours."""
    await link(auth, ada)

    answer = await unlink(ada, account_id)

    assert (answer.status, answer.json) == UNKNOWN
    assert len(await accounts_of(ada)) == 2


async def test_attack_to_unlink_a_strangers_account(auth, ada, new_browser):
    """Answered as if it did not exist, and it stays."""
    await link(auth, ada)
    bob = new_browser(auth)
    await bob.sign_up(email="bob@example.org")
    theirs = await link(auth, bob, subject="bob")

    answer = await unlink(ada, theirs)

    assert (answer.status, answer.json) == UNKNOWN
    assert len(await accounts_of(bob)) == 2


async def test_giving_up_needs_a_recent_sign_in(auth, ada, clock):
    """A day after it, 403, before anything is looked for."""
    github = await link(auth, ada)
    clock.advance(days=1)

    answer = await unlink(ada, github)

    assert (answer.status, answer.json) == (
        403,
        {"message": "Session is not fresh", "code": "SESSION_NOT_FRESH"},
    )
    assert len(await accounts_of(ada)) == 2


async def test_any_sign_in_can_be_recent_enough(new_auth, new_browser, clock):
    """With a fresh age of zero."""
    auth = new_auth(session=SessionOptions(fresh_age=timedelta(0)))
    browser = new_browser(auth)
    await browser.sign_up()
    github = await link(auth, browser)
    clock.advance(days=3)

    answer = await unlink(browser, github)

    assert (answer.status, answer.json) == DONE


async def test_a_hook_may_refuse(auth, ada, new_auth, new_browser):
    """The account stays."""
    github = await link(auth, ada)
    hook = DatabaseHook(model="account", operation="delete", before=lambda _row: False)
    refusing = new_browser(new_auth(auth.adapter, database_hooks=[hook]), dict(ada.cookies))

    answer = await unlink(refusing, github)

    assert answer.refusal == (403, "OPERATION_REFUSED")
    assert await auth.store.count("account", F.provider_id == "github") == 1


MISSING = "Invalid input: expected string, received undefined"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "[body] Invalid input: expected object, received undefined"),
        ([], "[body] Invalid input: expected object, received array"),
        ({}, f"[body.accountId] {MISSING}"),
        ({"providerId": "github"}, f"[body.accountId] {MISSING}"),
        ({"accountId": 0}, "[body.accountId] Invalid input: expected string, received number"),
        ({"accountId": None}, "[body.accountId] Invalid input: expected string, received null"),
        (
            {"accountId": {"$ne": ""}},
            "[body.accountId] Invalid input: expected string, received object",
        ),
    ],
)
async def test_attack_ids_that_are_no_text(auth, ada, body, message):
    """A number would match texts on some databases, an operator everything on others."""
    await link(auth, ada)

    answer = await ada.post("/unlink-account", body)

    assert (answer.status, answer.json) == (400, {"message": message, "code": "VALIDATION_ERROR"})
    assert len(await accounts_of(ada)) == 2
