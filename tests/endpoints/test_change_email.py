"""Changing the address: the three ways it goes, and what each link on the way proves."""

from urllib.parse import urlsplit

import pytest

from watchword import ChangeEmail, DatabaseHook, EmailVerification, UserOptions
from watchword.storage.query import F

ADDRESS, NEW = "ada@example.org", "new@example.org"


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def ada(new_auth, new_browser, outbox):
    """Sign Ada up where addresses can be changed; return her browser."""

    async def ada(change=None, *, verified=False, verification=None, **settings):
        options = {
            "mail": outbox.append,
            "email_verification": verification or EmailVerification(),
            "user": UserOptions(change_email=change or ChangeEmail()),
            **settings,
        }
        browser = new_browser(new_auth(**options))
        await browser.sign_up()
        if verified:
            await browser.auth.store.update("user", F.email == ADDRESS, {"email_verified": True})
        return browser

    return ada


async def changed(browser, email=NEW, **body):
    """Ask for another address."""
    return await browser.post("/change-email", {"newEmail": email, **body})


async def opened(browser, mail, target=None):
    """Open the link of a mail, or its token with another target."""
    query = f"token={mail.token}" + (f"&callbackURL={target}" if target else "")
    return await browser.get("/verify-email", query=query)


async def stored(auth):
    """Read every address with its verification."""
    rows = await auth.store.find_many("user")
    return {(row["email"], row["email_verified"]) for row in rows}


# --- refusals -----------------------------------------------------------------------------


async def test_addresses_stay_as_they_are_unless_that_is_set(browser):
    """Validation comes first, then the session, then this."""
    anonymous = await changed(browser)
    await browser.sign_up()

    invalid = await changed(browser, "new")
    disabled = await changed(browser, ADDRESS)

    assert anonymous.refusal == (401, "UNAUTHORIZED")
    assert invalid.refusal == (400, "VALIDATION_ERROR")
    assert invalid.json["message"] == "[body.newEmail] Invalid email address"
    assert disabled.refusal == (400, "CHANGE_EMAIL_DISABLED")
    assert disabled.json["message"] == "Change email is disabled"


async def test_the_same_address_is_no_change(ada):
    """However it is spelt; told without a code, before anything else."""
    browser = await ada(mail=None, email_verification=None)

    answer = await changed(browser, "ADA@Example.org")

    assert (answer.status, answer.json) == (400, {"message": "Email is the same"})


@pytest.mark.parametrize(("at_once", "verified"), [(False, False), (False, True), (True, True)])
async def test_without_links_nobody_can_prove_a_new_address(ada, at_once, verified):
    """Told without a code, also about a taken address."""
    change = ChangeEmail(unverified_at_once=at_once)
    browser = await ada(change, verified=verified, mail=None, email_verification=None)

    answer = await changed(browser)

    assert answer.status == 400
    assert answer.json == {"message": "Verification email isn't enabled"}


async def test_attack_link_that_leads_elsewhere(ada, outbox):
    """Refused before a mail goes out."""
    answer = await changed(await ada(), callbackURL="https://evil.example")

    assert (answer.refusal, outbox) == ((403, "INVALID_CALLBACK_URL"), [])


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("confirms", [True, False])
async def test_attack_a_change_tells_who_is_known(ada, new_browser, outbox, verified, confirms):
    """A taken address is answered as a free one, with as many rows; its owner gets no mail."""
    browser = await ada(ChangeEmail(confirm_with_old_address=confirms), verified=verified)
    await new_browser(browser.auth).sign_up(email="eve@example.org")

    taken = await changed(browser, "EVE@example.org")
    rows = [await browser.auth.store.count("verification")]
    sent = [mail.to for mail in outbox]
    free = await changed(browser)
    rows.append(await browser.auth.store.count("verification"))

    assert (taken.status, taken.json) == (200, {"status": True})
    assert (taken.body, taken.headers) == (free.body, free.headers)
    assert rows == [1, 2]
    # Who asks reads the mail to the old address: it tells nothing by coming or not.
    asks_first = verified and confirms
    assert sent == ([ADDRESS] if asks_first else [])
    assert [mail.to for mail in outbox[len(sent) :]] == [ADDRESS if asks_first else NEW]


# --- the first way: at once ---------------------------------------------------------------


async def test_an_unverified_address_may_change_at_once(ada, outbox, clock):
    """The cookie is sent again, and the new address gets a link to verify it."""
    browser = await ada(ChangeEmail(unverified_at_once=True))
    token = browser.cookies["better-auth.session_token"]

    answer = await changed(browser, "NEW@example.org", callbackURL="/profile")

    assert (answer.status, answer.json) == (200, {"status": True})
    assert [it.partition(";")[0] for it in answer.set_cookies] == [
        f"better-auth.session_token={token}"
    ]
    assert (await browser.session()).json["user"]["email"] == NEW
    [mail] = outbox
    assert (mail.purpose, mail.to, mail.user.email) == ("verify-email", NEW, NEW)
    assert mail.url.endswith(f"/verify-email?token={mail.token}&callbackURL=%2Fprofile")
    assert await stored(browser.auth) == {(NEW, False)}
    await opened(browser, mail)
    assert await stored(browser.auth) == {(NEW, True)}


async def test_at_once_needs_no_mail(ada):
    """Where none is sent, none is asked for."""
    change = ChangeEmail(unverified_at_once=True)
    browser = await ada(change, mail=None, email_verification=None)

    answer = await changed(browser)

    assert (answer.status, await stored(browser.auth)) == (200, {(NEW, False)})


async def test_a_verified_address_never_changes_at_once(ada, outbox):
    """The new one has to be proved."""
    browser = await ada(ChangeEmail(unverified_at_once=True), verified=True)

    answer = await changed(browser)

    assert (answer.json, answer.set_cookies) == ({"status": True}, [])
    assert await stored(browser.auth) == {(ADDRESS, True)}
    assert [mail.purpose for mail in outbox] == ["verify-new-email"]


async def test_at_once_a_taken_address_changes_nothing(ada, new_browser, outbox):
    """Answered as a success."""
    browser = await ada(ChangeEmail(unverified_at_once=True))
    await new_browser(browser.auth).sign_up(email=NEW)

    answer = await changed(browser)

    assert (answer.status, answer.json) == (200, {"status": True})
    assert await stored(browser.auth) == {(ADDRESS, False), (NEW, False)}
    assert outbox == []


async def test_mail_of_a_change_that_is_undone_is_not_sent(ada, outbox):
    """A hook refuses the change; no link is kept for it."""
    hook = DatabaseHook(model="user", operation="update", before=lambda _row: False)
    browser = await ada(ChangeEmail(unverified_at_once=True), database_hooks=[hook])

    answer = await changed(browser)

    assert answer.refusal == (403, "OPERATION_REFUSED")
    assert (outbox, await browser.auth.store.count("verification")) == ([], 0)
    assert await stored(browser.auth) == {(ADDRESS, False)}


# --- the second way: asked at the old address ---------------------------------------------


async def test_a_change_is_confirmed_at_the_old_address_and_proved_at_the_new(ada, outbox):
    """Two links, both with the target; neither does the other's work."""
    after = []
    verification = EmailVerification(after=after.append)
    change = ChangeEmail(confirm_with_old_address=True)
    browser = await ada(change, verified=True, verification=verification)

    asked = await changed(browser, callbackURL="/profile?a=b")
    [old] = outbox
    confirmed = await browser.get("/verify-email", query=urlsplit(old.url).query)
    between = await stored(browser.auth)
    [_, new] = outbox
    done = await browser.get("/verify-email", query=urlsplit(new.url).query)

    assert (asked.status, asked.json, asked.set_cookies) == (200, {"status": True}, [])
    base = "http://localhost:8000/api/auth/verify-email"
    for mail, purpose, to in (
        (old, "confirm-email-change", ADDRESS),
        (new, "verify-new-email", NEW),
    ):
        assert (mail.purpose, mail.to, mail.new_email) == (purpose, to, NEW)
        assert mail.user.email == ADDRESS
        assert mail.url == f"{base}?token={mail.token}&callbackURL=%2Fprofile%3Fa%3Db"
    for answer in (confirmed, done):
        assert (answer.status, answer.header("location")) == (302, "/profile?a=b")
    assert between == {(ADDRESS, True)}
    assert await stored(browser.auth) == {(NEW, True)}
    assert [user.email for user in after] == [NEW]


async def test_without_a_target_the_answers_are_json(ada, outbox):
    """A confirmation has no user, the change has the new one."""
    browser = await ada(ChangeEmail(confirm_with_old_address=True), verified=True)
    await changed(browser)

    confirmed = await opened(browser, outbox[0])
    done = await opened(browser, outbox[1])

    assert urlsplit(outbox[0].url).query.endswith("&callbackURL=%2F")
    assert (confirmed.status, confirmed.json) == (200, {"status": True})
    assert done.json == {"status": True, "user": (await browser.session()).json["user"]}
    assert done.json["user"]["email"] == NEW
    assert list(done.cookies) == ["better-auth.session_token"]
    assert confirmed.set_cookies == []


async def test_a_confirmation_opened_again_sends_nothing(ada, outbox):
    """A person comes after their mail scanner; once the address has changed it is dead."""
    browser = await ada(ChangeEmail(confirm_with_old_address=True), verified=True)
    await changed(browser)
    first = await opened(browser, outbox[0])

    again = await opened(browser, outbox[0])
    sent = len(outbox)
    await opened(browser, outbox[1])
    dead = await opened(browser, outbox[0])

    assert (first.json, again.json, sent) == ({"status": True}, {"status": True}, 2)
    assert dead.refusal == (401, "INVALID_TOKEN")


async def test_an_unverified_user_is_not_asked_at_the_old_address(ada, outbox):
    """Whoever reads its mail has never been proved."""
    browser = await ada(ChangeEmail(confirm_with_old_address=True))

    await changed(browser)

    assert [(mail.purpose, mail.to) for mail in outbox] == [("verify-new-email", NEW)]


# --- the third way: proved at the new address ---------------------------------------------


@pytest.mark.parametrize("verified", [True, False])
async def test_the_new_address_is_as_verified_as_the_old(ada, outbox, verified):
    """Of an unverified one nobody is told that it was verified."""
    after = []
    browser = await ada(verified=verified, verification=EmailVerification(after=after.append))
    await changed(browser)

    answer = await opened(browser, outbox[0])

    assert answer.json["user"]["emailVerified"] is verified
    assert await stored(browser.auth) == {(NEW, verified)}
    assert len(after) == verified


async def test_a_link_to_change_acts_once(ada, outbox):
    """The address it was sent for is no longer the user's."""
    browser = await ada(verified=True)
    await changed(browser)
    await changed(browser, "other@example.org")
    await opened(browser, outbox[0])

    again = await opened(browser, outbox[0])
    other = await opened(browser, outbox[1], "/profile")

    assert again.refusal == (401, "INVALID_TOKEN")
    assert other.header("location") == "/profile?error=INVALID_TOKEN"
    assert await stored(browser.auth) == {(NEW, True)}


async def test_a_link_to_change_needs_no_session(ada, new_browser, outbox):
    """Nobody is signed in by it."""
    auth = (await ada()).auth
    browser = new_browser(auth)
    await browser.sign_in()
    await changed(browser)

    answer = await opened(new_browser(auth), outbox[0])

    assert (answer.status, answer.set_cookies) == (200, [])
    assert answer.json["user"]["email"] == NEW


async def test_attack_session_of_another_user(ada, new_browser, outbox):
    """Neither link acts in it, new or opened before; nothing is burnt."""
    browser = await ada(ChangeEmail(confirm_with_old_address=True), verified=True)
    eve = new_browser(browser.auth)
    await eve.sign_up(email="eve@example.org")
    await changed(browser)

    answers = [await opened(eve, outbox[0])]
    await opened(browser, outbox[0])
    answers += [await opened(eve, mail) for mail in outbox]
    led = await opened(eve, outbox[1], "/profile")
    done = await opened(browser, outbox[1])

    assert [it.refusal for it in answers] == [(401, "INVALID_USER")] * 3
    assert led.header("location") == "/profile?error=INVALID_USER"
    assert done.status == 200


@pytest.mark.needs_transactions
async def test_an_address_that_was_taken_meanwhile_is_told_to_its_reader(ada, new_browser, outbox):
    """And the link works when the address is free again."""
    browser = await ada(verified=True)
    await changed(browser)
    await new_browser(browser.auth).sign_up(email=NEW)

    taken = await opened(browser, outbox[0])
    led = await opened(browser, outbox[0], "/profile")
    await browser.auth.store.delete("user", F.email == NEW)
    free = await opened(browser, outbox[0])

    assert taken.refusal == (422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")
    assert led.header("location") == "/profile?error=USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"
    assert free.json["user"]["email"] == NEW


async def test_links_end_with_their_hour_and_with_their_user(ada, outbox, clock):
    """Expired, and then nobody's."""
    browser = await ada(verification=EmailVerification())
    await changed(browser)
    clock.advance(hours=1)
    await changed(browser)

    expired, live = outbox
    refused = [await opened(browser, expired)]
    await browser.auth.store.delete("user", F.email == ADDRESS)
    refused.append(await opened(browser, live))

    assert [it.refusal for it in refused] == [(401, "TOKEN_EXPIRED"), (401, "USER_NOT_FOUND")]
