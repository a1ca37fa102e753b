"""Opening a link that verifies an address: what it does, and that it does it once."""

from urllib.parse import urlsplit

import pytest

from watchword import (
    APIError,
    CoreError,
    DatabaseHook,
    DeleteUser,
    EmailVerification,
    UserOptions,
)
from watchword.storage.query import F

ADDRESS = "ada@example.org"
EVIL = ["https://evil.example", "//evil.example", "/\\evil.example", "/%2f/evil.example"]


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def new_verifying(new_auth, outbox):
    """Make instances that verify addresses."""

    def new_verifying(*, user=None, ids="uuid", database_hooks=(), **verification):
        return new_auth(
            mail=outbox.append,
            email_verification=EmailVerification(**verification),
            user=user or UserOptions(),
            ids=ids,
            database_hooks=database_hooks,
        )

    return new_verifying


@pytest.fixture
def ada(new_verifying, new_browser):
    """Sign Ada up at an instance that verifies addresses; return her browser."""

    async def ada(**verification):
        browser = new_browser(new_verifying(**verification))
        await browser.sign_up()
        return browser

    return ada


@pytest.fixture
def link_of(outbox, new_browser):
    """Ask for a link as a stranger would; return its mail."""

    async def link_of(auth, email=ADDRESS, **body):
        await new_browser(auth).post("/send-verification-email", {"email": email, **body})
        return outbox[-1]

    return link_of


async def opened(browser, mail, target=None):
    """Open the link of a mail, or its token with another target."""
    query = f"token={mail.token}" + (f"&callbackURL={target}" if target else "")
    return await browser.get("/verify-email", query=query)


async def is_verified(auth, email=ADDRESS):
    """Read what is stored of an address."""
    return (await auth.store.find_one("user", F.email == email))["email_verified"]


# --- opening it ---------------------------------------------------------------------------


async def test_a_link_verifies_the_address(ada, link_of, new_browser, clock):
    """Without a target the answer is JSON; nobody is signed in unless that is set."""
    auth = (await ada()).auth
    mail = await link_of(auth)
    clock.advance(minutes=5)

    answer = await opened(new_browser(auth), mail)

    assert (answer.status, answer.json) == (200, {"status": True, "user": None})
    assert answer.set_cookies == []
    user = await auth.store.find_one("user", F.email == ADDRESS)
    assert (user["email_verified"], user["updated_at"]) == (True, clock.now)


async def test_the_links_target_is_where_the_browser_goes(ada, link_of, new_browser):
    """Relative ones stay relative, with their query and fragment."""
    auth = (await ada()).auth
    mail = await link_of(auth, callbackURL="/welcome?a=b#top")

    answer = await new_browser(auth).get("/verify-email", query=urlsplit(mail.url).query)

    assert (answer.status, answer.body) == (302, b"")
    assert answer.header("location") == "/welcome?a=b#top"
    assert answer.header("content-type") == "application/json"
    assert await is_verified(auth)


async def test_a_link_opened_again_succeeds_and_does_nothing(ada, link_of, new_browser, clock):
    """A person comes after their mail scanner: told the truth, and not signed in."""
    told = []
    browser = await ada(auto_sign_in=True, before=told.append, after=told.append)
    auth, scanner, person = browser.auth, new_browser(browser.auth), new_browser(browser.auth)
    mail = await link_of(auth)
    await opened(scanner, mail, "/")
    clock.advance(minutes=1)
    before = await auth.store.find_many("user"), await auth.store.count("session")

    redirected = await opened(person, mail, "/welcome")
    answer = await opened(person, mail)

    assert (redirected.status, redirected.header("location")) == (302, "/welcome")
    assert (answer.status, answer.json) == (200, {"status": True, "user": None})
    assert redirected.set_cookies == answer.set_cookies == []
    assert (await auth.store.find_many("user"), await auth.store.count("session")) == before
    assert len(told) == 2
    assert (await scanner.session()).json["user"]["emailVerified"] is True


async def test_an_address_verified_by_another_link_needs_no_second(ada, link_of, new_browser):
    """Success without change and without sign-in."""
    auth = (await ada(auto_sign_in=True)).auth
    first, second = await link_of(auth), await link_of(auth)
    await opened(new_browser(auth), first)

    answer = await opened(new_browser(auth), second)

    assert (answer.json, answer.set_cookies) == ({"status": True, "user": None}, [])
    assert await auth.store.count("session") == 2


@pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
async def test_links_work_with_every_kind_of_id(new_verifying, new_browser, link_of, ids):
    """Also where the database counts them."""
    auth = new_verifying(ids=ids)
    await new_browser(auth).sign_up(email="eve@example.org")
    await new_browser(auth).sign_up()

    answer = await opened(new_browser(auth), await link_of(auth))

    assert answer.status == 200
    assert [await is_verified(auth), await is_verified(auth, "eve@example.org")] == [True, False]


# --- refusals -----------------------------------------------------------------------------


async def refusals(browser, token):
    """Return the refusal of a token, and where it leads with a target."""
    plain = await browser.get("/verify-email", query=f"token={token}")
    target = "callbackURL=%2Fwelcome%3Fa%3Db%23top"
    led = await browser.get("/verify-email", query=f"token={token}&{target}")
    assert (led.status, led.body) == (302, b"")
    assert plain.json["message"] == CoreError[plain.json["code"]].message
    return *plain.refusal, led.header("location")


@pytest.mark.parametrize("token", ["", "unknown", "x" * 5000, "eyJhbGciOiJIUzI1NiJ9.e30.x"])
async def test_an_unknown_token_is_refused(ada, token):
    """As JSON, or by the target's query."""
    refused = await refusals(await ada(), token)

    assert refused == (401, "INVALID_TOKEN", "/welcome?a=b&error=INVALID_TOKEN#top")


@pytest.mark.parametrize("query", ["", "callbackURL=%2F", "token=a&token=b", "token=%00"])
async def test_a_link_without_one_token_is_invalid(ada, query):
    """It is no link of ours, so nobody is led anywhere."""
    answer = await (await ada()).get("/verify-email", query=query)

    assert answer.refusal == (400, "VALIDATION_ERROR")
    assert "[query.token]" in answer.json["message"]


async def test_an_expired_link_is_refused_as_such(ada, link_of, new_browser, clock):
    """After its hour to the second, used or not."""
    auth = (await ada()).auth
    await new_browser(auth).sign_up(email="eve@example.org")
    first, second = await link_of(auth), await link_of(auth, "eve@example.org")
    clock.advance(seconds=3599)
    in_time = await opened(new_browser(auth), first)
    clock.advance(seconds=1)

    unused = await refusals(new_browser(auth), second.token)
    clock.advance(seconds=3599)
    used = await refusals(new_browser(auth), first.token)

    assert in_time.status == 200
    assert unused == used == (401, "TOKEN_EXPIRED", "/welcome?a=b&error=TOKEN_EXPIRED#top")
    assert not await is_verified(auth, "eve@example.org")


async def test_attack_link_of_a_user_who_is_gone(ada, link_of, new_browser):
    """Nothing of it comes to who registers the address next; used or not."""
    auth = (await ada()).auth
    used, unused = await link_of(auth), await link_of(auth)
    await opened(new_browser(auth), used)
    await auth.store.delete("user", F.email == ADDRESS)
    await new_browser(auth).sign_up()

    refused = [await refusals(new_browser(auth), it.token) for it in (used, unused)]

    expected = (401, "USER_NOT_FOUND", "/welcome?a=b&error=USER_NOT_FOUND#top")
    assert refused == [expected, expected]
    assert not await is_verified(auth)


async def test_attack_link_of_an_address_that_changed(ada, link_of, new_browser):
    """It proves nothing about the new one; used or not."""
    auth = (await ada()).auth
    used, unused = await link_of(auth), await link_of(auth)
    await opened(new_browser(auth), used)
    changes = {"email": "new@example.org", "email_verified": False}
    await auth.store.update("user", F.email == ADDRESS, changes)

    refused = [await refusals(new_browser(auth), it.token) for it in (used, unused)]

    expected = (401, "INVALID_TOKEN", "/welcome?a=b&error=INVALID_TOKEN#top")
    assert refused == [expected, expected]
    assert not await is_verified(auth, "new@example.org")


async def test_attack_used_link_after_the_proof_was_taken_back(ada, link_of, new_browser):
    """Whoever unverifies an address is not undone by an old mail."""
    auth = (await ada()).auth
    mail = await link_of(auth)
    await opened(new_browser(auth), mail)
    await auth.store.update("user", F.email == ADDRESS, {"email_verified": False})

    answer = await opened(new_browser(auth), mail)

    assert answer.refusal == (401, "INVALID_TOKEN")
    assert not await is_verified(auth)


async def test_attack_token_of_another_purpose(new_verifying, new_browser, outbox):
    """Tokens of a deletion and a reset verify nothing, and this one resets nothing."""
    options = UserOptions(delete_user=DeleteUser(confirm_by_mail=True))
    browser = new_browser(new_verifying(user=options))
    await browser.sign_up()
    await browser.post("/delete-user", {})
    await browser.post("/request-password-reset", {"email": ADDRESS})
    await browser.post("/send-verification-email", {"email": ADDRESS})
    deletion, reset, proof = outbox

    answers = [await opened(browser, it) for it in (deletion, reset)]
    body = {"token": proof.token, "newPassword": "difference-engine"}
    answers += [
        await browser.post("/reset-password", body),
        await browser.post("/delete-user", {"token": proof.token}),
    ]

    assert [it.refusal[1] for it in answers] == ["INVALID_TOKEN"] * 4
    assert not await is_verified(browser.auth)


@pytest.mark.parametrize("target", EVIL)
async def test_attack_open_redirect(ada, link_of, target):
    """A target that is not trusted is told as JSON, and the link does nothing."""
    browser = await ada()
    mail = await link_of(browser.auth)

    answer = await opened(browser, mail, target.replace("%", "%25").replace("\\", "%5C"))

    assert answer.refusal == (403, "INVALID_CALLBACK_URL")
    assert not await is_verified(browser.auth)


# --- callbacks ----------------------------------------------------------------------------


async def test_whoever_is_asked_before_may_refuse_and_burns_nothing(ada, link_of, new_browser):
    """The same link works when the answer is another."""
    refusal = [APIError(CoreError.OPERATION_REFUSED, message="Not yet")]

    async def ask(user):
        assert (user.email, user.email_verified) == (ADDRESS, False)
        if refusal:
            raise refusal[0]

    auth = (await ada(before=ask)).auth
    mail = await link_of(auth)

    plain = await opened(new_browser(auth), mail)
    led = await opened(new_browser(auth), mail, "/welcome")
    refusal[0] = APIError.bare(402, "Pay first")
    bare = await opened(new_browser(auth), mail, "/welcome")
    refusal.clear()
    allowed = await opened(new_browser(auth), mail)

    assert (plain.refusal, plain.json["message"]) == ((403, "OPERATION_REFUSED"), "Not yet")
    assert led.header("location") == "/welcome?error=OPERATION_REFUSED"
    assert (bare.status, bare.json) == (402, {"message": "Pay first"})
    assert (allowed.status, await is_verified(auth)) == (200, True)


async def test_who_is_told_after_sees_what_is_committed(ada, link_of, new_browser, caplog):
    """Its failure is logged: to answer otherwise would be a lie."""
    seen = []

    async def tell(user):
        seen.append((user.email_verified, await is_verified(auth)))
        raise ConnectionError("the queue is down")

    auth = (await ada(after=tell)).auth
    mail = await link_of(auth)

    answer = await opened(new_browser(auth), mail)

    assert (answer.status, seen) == (200, [(True, True)])
    assert "work after the commit failed" in caplog.text


@pytest.mark.needs_transactions
@pytest.mark.parametrize(
    ("model", "operation", "refusal"),
    [
        ("session", "create", (500, "FAILED_TO_CREATE_SESSION")),
        ("user", "update", (403, "OPERATION_REFUSED")),
    ],
)
async def test_a_database_hook_that_refuses_burns_nothing(ada, link_of, model, operation, refusal):
    """Neither the address nor the link nor a session; nobody is told."""
    told, verdict = [], []
    hook = DatabaseHook(
        model=model, operation=operation, before=lambda _row: verdict[-1] if verdict else None
    )
    browser = await ada(auto_sign_in=True, after=told.append, database_hooks=[hook])
    mail = await link_of(browser.auth)
    verdict.append(False)
    browser.cookies.clear()

    answer, led = await opened(browser, mail), await opened(browser, mail, "/welcome")

    assert (answer.refusal, answer.set_cookies) == (refusal, [])
    assert led.header("location") == f"/welcome?error={refusal[1]}"
    assert (told, await is_verified(browser.auth)) == ([], False)
    assert await browser.auth.store.count("session") == 1
    verdict.clear()
    assert (await opened(browser, mail)).status == 200


# --- signing in by it ---------------------------------------------------------------------


async def test_a_link_may_sign_in(ada, link_of, new_browser):
    """A week's session, with the redirect."""
    auth = (await ada(auto_sign_in=True)).auth
    browser = new_browser(auth)

    answer = await opened(browser, await link_of(auth), "/welcome")

    [(name, (_, attributes))] = answer.cookies.items()
    assert name == "better-auth.session_token"
    assert attributes == "Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"
    assert (answer.status, answer.header("location")) == (302, "/welcome")
    session = (await browser.session()).json
    assert (session["user"]["email"], session["user"]["emailVerified"]) == (ADDRESS, True)
    assert session["session"]["ipAddress"] == browser.address


async def test_who_is_signed_in_already_keeps_the_session(ada, link_of):
    """Its cookie is sent again; no second session is made."""
    browser = await ada(auto_sign_in=True)
    before = (await browser.session()).json["session"]

    answer = await opened(browser, await link_of(browser.auth))

    assert list(answer.cookies) == ["better-auth.session_token"]
    assert answer.cookies["better-auth.session_token"][0].startswith(before["token"])
    assert (await browser.session()).json["session"] == before
    assert await browser.auth.store.count("session") == 1


async def test_who_is_signed_in_as_another_becomes_the_links_user(ada, link_of, new_browser):
    """The other's session goes on, in no browser."""
    auth = (await ada(auto_sign_in=True)).auth
    eve = new_browser(auth)
    await eve.sign_up(email="eve@example.org")

    await opened(eve, await link_of(auth))

    assert (await eve.session()).json["user"]["email"] == ADDRESS
    assert await auth.store.count("session") == 3
