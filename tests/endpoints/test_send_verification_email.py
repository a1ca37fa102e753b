"""Asking for a link that verifies an address: who gets one, and what the answer tells."""

import re
from urllib.parse import urlsplit

import pytest

from watchword import EmailVerification
from watchword.storage.query import F

ADDRESS = "ada@example.org"
EVIL = ["https://evil.example", "//evil.example", "/\\evil.example", "/%2f/evil.example"]


@pytest.fixture
def outbox():
    """The mail that went out."""
    return []


@pytest.fixture
def ada(new_auth, new_browser, outbox):
    """Sign Ada up at an instance that verifies addresses; return her browser."""

    async def ada(mail=outbox.append):
        browser = new_browser(new_auth(mail=mail, email_verification=EmailVerification()))
        await browser.sign_up()
        return browser

    return ada


async def test_the_mail_has_a_link_for_the_address(ada, outbox, clock):
    """The link is absolute; the table holds neither its token nor the link."""
    browser = await ada()

    answer = await browser.post("/send-verification-email", {"email": "ADA@Example.org"})

    assert (answer.status, answer.json) == (200, {"status": True})
    [mail] = outbox
    assert (mail.purpose, mail.to, mail.new_email) == ("verify-email", ADDRESS, None)
    assert (mail.user.name, mail.user.email) == ("Ada", ADDRESS)
    assert re.fullmatch("[A-Za-z0-9]{32}", mail.token)
    base = "http://localhost:8000/api/auth/verify-email"
    assert mail.url == f"{base}?token={mail.token}&callbackURL=%2F"
    [row] = await browser.auth.store.find_many("verification")
    assert mail.token not in str(row)
    assert (row["expires_at"] - clock.now).total_seconds() == 3600


@pytest.mark.parametrize(
    ("target", "encoded"),
    [
        ("/welcome?a=b&c=d#top", "%2Fwelcome%3Fa%3Db%26c%3Dd%23top"),
        ("http://localhost:8000/é(1)", "http%3A%2F%2Flocalhost%3A8000%2F%C3%A9(1)"),
        ("", "%2F"),
    ],
)
async def test_the_target_is_encoded_as_browsers_do(ada, outbox, target, encoded):
    """It is one value of the link's query; an empty one is none."""
    browser = await ada()

    body = {"email": ADDRESS, "callbackURL": target}
    await browser.post("/send-verification-email", body)

    [mail] = outbox
    assert urlsplit(mail.url).query == f"token={mail.token}&callbackURL={encoded}"


async def test_attack_who_asks_for_a_link_learns_who_is_known(
    ada, new_browser, outbox, count_rows
):
    """Unknown, known and verified addresses: one answer, one row each, mail for one alone."""
    browser = await ada()
    await browser.sign_up(email="eve@example.org")
    await browser.auth.store.update("user", F.email == "eve@example.org", {"email_verified": True})

    answers, rows = [], []
    for email in (ADDRESS, "eve@example.org", "nobody@example.org"):
        before = await count_rows(browser.auth)
        stranger = new_browser(browser.auth)
        answers.append(await stranger.post("/send-verification-email", {"email": email}))
        rows.append((await count_rows(browser.auth))["verification"] - before["verification"])

    assert {(it.status, it.body, tuple(it.headers)) for it in answers} == {
        (200, b'{"status":true}', tuple(answers[0].headers))
    }
    assert rows == [1, 1, 1]
    assert [mail.to for mail in outbox] == [ADDRESS]


async def test_without_mail_there_are_no_links(new_auth, new_browser):
    """Validation still comes first."""
    browser = new_browser(new_auth())

    answer = await browser.post("/send-verification-email", {"email": ADDRESS})
    invalid = await browser.post("/send-verification-email", {"email": "ada"})

    assert answer.refusal == (400, "VERIFICATION_EMAIL_NOT_ENABLED")
    assert answer.json["message"] == "Verification email isn't enabled"
    assert invalid.refusal == (400, "VALIDATION_ERROR")


async def test_who_is_signed_in_asks_for_their_own_address(ada, outbox):
    """Another's is a mismatch, a verified one needs no link."""
    browser = await ada()
    other = await browser.post("/send-verification-email", {"email": "eve@example.org"})
    own = await browser.post("/send-verification-email", {"email": ADDRESS})
    await browser.get("/verify-email", query=f"token={outbox[0].token}")

    again = await browser.post("/send-verification-email", {"email": ADDRESS})

    assert (other.refusal, other.json["message"]) == ((400, "EMAIL_MISMATCH"), "Email mismatch")
    assert own.json == {"status": True}
    assert again.refusal == (400, "EMAIL_ALREADY_VERIFIED")
    assert again.json["message"] == "Email is already verified"
    assert len(outbox) == 1


@pytest.mark.parametrize("target", EVIL)
async def test_attack_link_that_leads_elsewhere(ada, new_browser, outbox, target):
    """Refused before anything is written or sent."""
    browser = new_browser((await ada()).auth)

    body = {"email": ADDRESS, "callbackURL": target}
    answer = await browser.post("/send-verification-email", body)

    assert answer.refusal == (403, "INVALID_CALLBACK_URL")
    assert (outbox, await browser.auth.store.count("verification")) == ([], 0)


async def test_a_mail_server_that_fails_shows_to_nobody(ada, caplog):
    """Otherwise the answer would tell who is known."""

    async def fail(_mail):
        raise ConnectionError("no mail today")

    browser = await ada(mail=fail)

    answer = await browser.post("/send-verification-email", {"email": ADDRESS})

    assert (answer.status, answer.json) == (200, {"status": True})
    assert "the mail for verify-email could not be delivered" in caplog.text
