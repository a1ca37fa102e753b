"""Whom MongoDB keeps can sign up, sign in, change the password and leave, by either client."""

import pytest

from watchword import AccountOptions, DeleteUser, UserOptions
from watchword.adapters.mongodb import MongoDBAdapter

PASSWORDS = {"currentPassword": "difference-engine", "newPassword": "analytical-engine"}
NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}


@pytest.fixture(params=["", "alone_"], ids=["transactions", "alone"])
def auth(request, new_auth, run):
    """An instance on MongoDB, with transactions and without them."""
    client, empty = (request.getfixturevalue(request.param + it) for it in ("client", "empty"))
    adapter = MongoDBAdapter(client, name=empty.name, transactions=not request.param)
    auth = new_auth(adapter, user=UserOptions(delete_user=DeleteUser()))
    run(auth.create_tables())
    return auth


async def test_a_user_comes_and_goes(auth, browser, new_browser, count_rows):
    """From the sign-up to the deletion, which leaves nothing."""
    elsewhere = new_browser(auth)

    assert (await browser.sign_up()).status == 200
    assert (await browser.sign_up()).refusal[0] == 422
    assert (await elsewhere.sign_in(password="wrong-engine")).status == 401
    assert (await elsewhere.sign_in()).status == 200
    assert (await elsewhere.session()).json["user"]["email"] == "ada@example.org"

    changed = await browser.post("/change-password", {**PASSWORDS, "revokeOtherSessions": True})
    assert changed.status == 200
    assert (await elsewhere.session()).json is None
    assert (await elsewhere.sign_in()).status == 401
    assert (await elsewhere.sign_in(password=PASSWORDS["newPassword"])).status == 200

    assert (await browser.post("/revoke-other-sessions")).status == 200
    assert (await elsewhere.session()).json is None
    assert (await browser.session()).json["user"]["name"] == "Ada"

    gone = await browser.post("/delete-user", {"password": PASSWORDS["newPassword"]})
    assert gone.json == {"success": True, "message": "User deleted"}
    assert (await browser.session()).json is None
    assert await count_rows(auth) == NOTHING


async def test_a_way_in_is_given_up_where_even_the_last_may_be(auth, new_auth, new_browser):
    """Nothing has to be counted then, which without transactions is refused."""
    account = AccountOptions(allow_unlinking_all=True)
    browser = new_browser(new_auth(auth.adapter, account=account))
    await browser.sign_up()
    [own] = await auth.store.find_many("account")

    answer = await browser.post("/unlink-account", {"accountId": own["id"]})

    assert answer.status == 200
    assert await auth.store.count("account") == 0
