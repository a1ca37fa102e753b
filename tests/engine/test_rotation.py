"""Secrets that are rotated away, and ids of other kinds: what people hold goes on working."""

from itertools import count

import pytest

from watchword import ChangeEmail, DeleteUser, EmailVerification, UserOptions
from watchword.adapters.memory import MemoryAdapter
from watchword.storage.query import F

OLD = "old-horse-battery-staple-0123456789-abc"
NEW = "new-horse-battery-staple-0123456789-abc"
ADDRESS = "ada@example.org"


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def under(new_auth, outbox):
    """Make instances on one database under different secrets."""
    adapter = MemoryAdapter()
    options = UserOptions(change_email=ChangeEmail(), delete_user=DeleteUser(confirm_by_mail=True))
    return lambda *secrets, **settings: new_auth(
        adapter,
        secret=secrets,
        mail=outbox.append,
        email_verification=EmailVerification(),
        user=options,
        **settings,
    )


# --- secrets ------------------------------------------------------------------------------


async def test_a_cookie_under_an_older_secret_still_counts(under, new_browser, clock):
    """It is renewed under the first, and is nothing once the old secret has gone."""
    browser = new_browser(under(OLD))
    await browser.sign_up()
    old = dict(browser.cookies)

    browser.auth = under(NEW, OLD)
    found = await browser.session()
    clock.advance(days=1)
    await browser.session()
    browser.auth = under(NEW)
    renewed = await browser.session()
    gone = await new_browser(under(NEW), old).session()

    assert found.json["user"]["email"] == ADDRESS
    assert browser.cookies != old
    assert renewed.json["user"]["email"] == ADDRESS
    assert gone.json is None


async def test_new_cookies_are_signed_with_the_first_secret(under, new_browser):
    """A server that has only the old one yet does not know them."""
    browser = new_browser(under(NEW, OLD))
    await browser.sign_up()

    assert (await new_browser(under(OLD), dict(browser.cookies)).session()).json is None
    assert (await new_browser(under(NEW), dict(browser.cookies)).session()).json is not None


async def test_the_wish_to_be_forgotten_survives_a_rotation(under, new_browser, clock):
    """The session is not renewed."""
    browser = new_browser(under(OLD))
    await browser.sign_up(rememberMe=False)
    browser.auth = under(NEW, OLD)
    clock.advance(hours=23)

    answer = await browser.session()

    assert (answer.json["user"]["email"], answer.set_cookies) == (ADDRESS, [])


async def test_links_that_were_sent_survive_a_rotation(under, new_browser, outbox):
    """Their tokens are random: no secret is behind them."""
    browser = new_browser(under(OLD))
    await browser.sign_up()
    await browser.post("/send-verification-email", {"email": ADDRESS})
    await browser.post("/request-password-reset", {"email": ADDRESS})
    await browser.post("/delete-user", {})
    verify, reset, deletion = [mail.token for mail in outbox]
    later = new_browser(under(NEW))

    body = {"token": reset, "newPassword": "difference-engine"}
    answers = [
        await later.post("/reset-password", body),
        await later.get("/verify-email", query=f"token={verify}"),
        await later.sign_in(),
        await later.get("/delete-user/callback", query=f"token={deletion}"),
    ]

    assert [it.status for it in answers] == [200] * 4
    assert await later.auth.store.count("user") == 0


async def test_a_change_of_address_survives_a_rotation(under, new_browser, outbox):
    """The link that was sent still makes the new address the user's."""
    browser = new_browser(under(OLD))
    await browser.sign_up()
    await browser.post("/change-email", {"newEmail": "new@example.org"})
    later = new_browser(under(NEW))

    answer = await later.get("/verify-email", query=f"token={outbox[0].token}")

    assert answer.status == 200
    assert (await later.sign_in(email="new@example.org")).status == 200


# --- ids ----------------------------------------------------------------------------------


async def test_ids_may_be_texts(new_auth, new_browser):
    """Of 32 letters and digits, like those of the wire's own servers."""
    auth = new_auth(ids="string")
    browser = new_browser(auth)

    user = (await browser.sign_up()).json["user"]

    assert len(user["id"]) == 32
    assert user["id"].isalnum()
    session = (await browser.session()).json
    assert session["session"]["userId"] == session["user"]["id"] == user["id"]


@pytest.mark.parametrize("database", ["memory", "sqlite"])
async def test_ids_may_be_made_by_the_application(
    new_auth, new_browser, sqlite_database, database, watchword_mode
):
    """For every row; what depends on them works as with our own."""
    numbers = count(1)
    driver = {"loop": "sqlite+aiosqlite", "driven": "sqlite"}[watchword_mode.name]
    url = sqlite_database.replace("sqlite", driver, 1) if database == "sqlite" else None
    outbox = []
    auth = new_auth(
        url,
        ids="string",
        new_id=lambda: f"id_{next(numbers)}",
        mail=outbox.append,
        email_verification=EmailVerification(send_on_sign_up=True),
        user=UserOptions(delete_user=DeleteUser(confirm_by_mail=True)),
    )
    await auth.create_tables()
    browser = new_browser(auth)

    user = (await browser.sign_up()).json["user"]
    verified = await browser.get("/verify-email", query=f"token={outbox[0].token}")
    [account] = await auth.store.find_many("account", F.user_id == user["id"])
    await browser.post("/delete-user", {})
    deleted = await browser.get("/delete-user/callback", query=f"token={outbox[1].token}")

    assert (user["id"], account["id"], account["account_id"]) == ("id_1", "id_2", "id_1")
    assert [verified.status, deleted.status] == [200, 200]
    assert await auth.store.count("session") == 0
    await auth.close()
