"""Sign-up and sign-in where addresses are verified: who gets a link, and what nobody learns."""

from urllib.parse import urlsplit

import pytest

from watchword import ConfigurationError, EmailPassword, EmailVerification
from watchword.storage.query import F

NOTHING = {"user": 0, "account": 0, "session": 0, "verification": 0}
ADDRESS = "ada@example.org"
REQUIRED = EmailPassword(require_email_verification=True)


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def new_verifying(new_auth, new_browser, outbox):
    """Return a browser at an instance that verifies addresses, and requires that."""

    def new_verifying(*, password=REQUIRED, mail=outbox.append, **verification):
        auth = new_auth(
            email_password=password,
            mail=mail,
            email_verification=EmailVerification(**verification),
        )
        return new_browser(auth)

    return new_verifying


# --- sign-up ------------------------------------------------------------------------------


async def test_a_sign_up_gets_a_link_and_no_session(new_verifying, outbox, count_rows):
    """The token is null, no cookie is set, and the link leads on to the target."""
    browser = new_verifying()

    answer = await browser.sign_up(callbackURL="/welcome?a=b")

    assert answer.status == 200
    assert set(answer.json) == {"token", "user"}
    assert (answer.json["token"], answer.set_cookies) == (None, [])
    assert answer.json["user"]["emailVerified"] is False
    [mail] = outbox
    assert (mail.purpose, mail.to, mail.user.id) == (
        "verify-email",
        ADDRESS,
        answer.json["user"]["id"],
    )
    base = "http://localhost:8000/api/auth/verify-email"
    assert mail.url == f"{base}?token={mail.token}&callbackURL=%2Fwelcome%3Fa%3Db"
    assert await count_rows(browser.auth) == {
        **NOTHING,
        **dict.fromkeys(("user", "account", "verification"), 1),
    }


@pytest.mark.parametrize(
    ("password", "send", "mails"),
    [
        (REQUIRED, None, 1),
        (REQUIRED, True, 1),
        (REQUIRED, False, 0),
        (EmailPassword(), None, 0),
        (EmailPassword(), True, 1),
        (EmailPassword(), False, 0),
        (EmailPassword(auto_sign_in=False), None, 0),
        (EmailPassword(auto_sign_in=False), True, 1),
    ],
)
async def test_who_gets_a_link_at_sign_up(new_verifying, outbox, password, send, mails):
    """By default where sign-in requires a verified address."""
    browser = new_verifying(password=password, send_on_sign_up=send)

    answer = await browser.sign_up()

    assert len(outbox) == mails
    signed_in = password == EmailPassword()
    assert [bool(browser.cookies), answer.json["token"] is not None] == [signed_in] * 2
    assert all(mail.url.endswith("&callbackURL=%2F") for mail in outbox)


async def test_the_link_of_a_sign_up_lets_in(new_verifying, outbox):
    """Refused before it, signed in by it or after it."""
    browser = new_verifying(auto_sign_in=True)
    await browser.sign_up()
    before = await browser.sign_in()

    opened = await browser.get("/verify-email", query=urlsplit(outbox[0].url).query)

    assert before.refusal == (403, "EMAIL_NOT_VERIFIED")
    assert (opened.status, opened.header("location")) == (302, "/")
    assert (await browser.session()).json["user"]["emailVerified"] is True
    assert (await browser.sign_in()).json["user"]["emailVerified"] is True


async def test_a_mail_server_that_fails_fails_no_sign_up(new_verifying, caplog):
    """The user is there; to answer otherwise would be a lie."""

    def fail(_mail):
        raise ConnectionError("no mail today")

    browser = new_verifying(mail=fail)

    answer = await browser.sign_up()

    assert (answer.status, await browser.auth.store.count("user")) == (200, 1)
    assert "could not be delivered" in caplog.text


# --- sign-up of a known address -----------------------------------------------------------

SILENT = [
    REQUIRED,
    EmailPassword(hide_existing_users=True),
    EmailPassword(auto_sign_in=False),
]


def shape(answer):
    """What an observer can compare: all but the random id and the address that was sent."""
    user = answer.json["user"]
    told = [(key, len(it) if key in {"id", "email"} else it) for key, it in user.items()]
    return answer.status, answer.headers, list(answer.json), answer.json["token"], told


@pytest.mark.parametrize("sends", [True, False])
@pytest.mark.parametrize("password", SILENT, ids=["required", "hidden", "no sign-in"])
async def test_attack_sign_up_tells_who_is_known(
    new_verifying, new_browser, outbox, password, sends
):
    """An answer of one shape; of a known address nothing is kept and no link goes out."""
    browser = new_verifying(password=password, send_on_sign_up=sends)
    body = {"name": "Eve", "image": "https://x.example/e.png", "callbackURL": "/welcome"}
    await browser.sign_up()
    stored = [await browser.auth.store.find_many(it) for it in ("user", "account")]

    known = await new_browser(browser.auth).sign_up(**body)
    kept = [await browser.auth.store.find_many(it) for it in ("user", "account")]
    links = await browser.auth.store.count("verification")
    unknown = await new_browser(browser.auth).sign_up(**body, email="eva@example.org")

    assert shape(known) == shape(unknown)
    assert kept == stored
    # As much is written for either; what is written for the known one proves nothing.
    assert [links, await browser.auth.store.count("verification")] == [2 * sends, 3 * sends]
    assert [mail.to for mail in outbox] == [ADDRESS, "eva@example.org"][: 2 * sends]


async def test_the_owner_of_a_known_address_can_be_written_to(new_verifying, new_browser):
    """With the stored user, not with what was sent; not for an unknown address."""
    told = []
    password = EmailPassword(require_email_verification=True, on_existing_user_sign_up=told.append)
    browser = new_verifying(password=password)
    unknown = await browser.sign_up()
    untold = list(told)

    await new_browser(browser.auth).sign_up(name="Eve", email="ADA@example.org")

    assert untold == []
    assert [(user.name, user.id) for user in told] == [("Ada", unknown.json["user"]["id"])]


async def test_attack_writing_to_the_owner_fails(new_verifying, new_browser, caplog):
    """The answer tells nothing of it."""

    async def fail(_user):
        raise ConnectionError("no mail today")

    password = EmailPassword(hide_existing_users=True, on_existing_user_sign_up=fail)
    browser = new_verifying(password=password)
    first = await browser.sign_up()

    second = await new_browser(browser.auth).sign_up()

    assert (second.status, second.headers) == (first.status, first.headers)
    assert "work in the background failed" in caplog.text


@pytest.mark.parametrize("kept_in", ["memory"], indirect=True)
def test_attack_integer_ids_tell_who_is_known(new_auth):
    """Where the answers have to be alike, nobody can invent what the database would give."""
    with pytest.raises(ConfigurationError, match="tells whether the address was known") as error:
        new_auth(email_password=REQUIRED, ids="bigint")

    assert 'ids="uuid"' in error.value.hint
    assert new_auth(email_password=EmailPassword(), ids="bigint")
    assert new_auth(email_password=None, ids="bigint")


# --- sign-in ------------------------------------------------------------------------------


async def test_an_unverified_address_is_told_to_who_knows_the_password(
    new_verifying, new_browser, count_rows
):
    """And to nobody else; no session is made."""
    browser = new_verifying()
    await browser.sign_up()
    before = await count_rows(browser.auth)

    right = await new_browser(browser.auth).sign_in()
    wrong = await new_browser(browser.auth).sign_in(password="analytical-engine")
    unknown = await new_browser(browser.auth).sign_in(email="eve@example.org")

    assert right.refusal == (403, "EMAIL_NOT_VERIFIED")
    assert right.json["message"] == "Email not verified"
    assert wrong.refusal == unknown.refusal == (401, "INVALID_EMAIL_OR_PASSWORD")
    assert right.set_cookies == []
    assert right.header("location") is None
    assert await count_rows(browser.auth) == before


@pytest.mark.parametrize(
    ("target", "encoded"), [({}, "%2F"), ({"callbackURL": "/dash?a=b"}, "%2Fdash%3Fa%3Db")]
)
async def test_a_sign_in_may_send_a_link(new_verifying, outbox, target, encoded):
    """To who knows the password alone; it leads where the sign-in would have."""
    browser = new_verifying(send_on_sign_up=False, send_on_sign_in=True)
    await browser.sign_up()
    await browser.sign_in(password="analytical-engine")
    unsent = list(outbox)

    answer = await browser.sign_in(**target)

    assert (answer.refusal, unsent) == ((403, "EMAIL_NOT_VERIFIED"), [])
    [mail] = outbox
    assert (mail.purpose, mail.to) == ("verify-email", ADDRESS)
    assert mail.url.endswith(f"?token={mail.token}&callbackURL={encoded}")
    await browser.get("/verify-email", query=f"token={mail.token}")
    assert (await browser.sign_in()).status == 200
    assert len(outbox) == 1


async def test_where_it_is_not_required_nobody_is_stopped(new_verifying, outbox):
    """Nor is a link sent."""
    browser = new_verifying(password=EmailPassword(), send_on_sign_in=True)
    await browser.sign_up()

    answer = await browser.sign_in()

    assert (answer.status, answer.json["user"]["emailVerified"]) == (200, False)
    assert outbox == []


async def test_without_links_an_address_can_be_verified_otherwise(new_auth, new_browser):
    """By the application itself."""
    browser = new_browser(new_auth(email_password=REQUIRED))
    await browser.sign_up()

    refused = await browser.sign_in()
    await browser.auth.store.update("user", F.email == ADDRESS, {"email_verified": True})
    allowed = await browser.sign_in()

    assert (refused.refusal, allowed.status) == ((403, "EMAIL_NOT_VERIFIED"), 200)
