"""The words of mail: what each message says, and that no name can add to it."""

from datetime import UTC, datetime
from html import unescape
from typing import Final, get_args

import pytest

from watchword.adapters.mail_texts import Rendered, render_mail
from watchword.engine.mail import Mail, MailPurpose
from watchword.storage.entities import User

NOW: Final = datetime(2026, 5, 17, 12, 0, tzinfo=UTC)
ADA: Final = User(
    id="1",
    name="{app} {0} Eve",
    email="ada@example.org",
    email_verified=True,
    image=None,
    created_at=NOW,
    updated_at=NOW,
)
URL: Final = "https://shop.example/api/auth/verify?token=secret-token&callbackURL=%2F"
NEW: Final = "lovelace@example.org"


def render(purpose: MailPurpose) -> Rendered:
    """Put a message of a purpose into words, as the engine would ask for it."""
    is_change = purpose in {"confirm-email-change", "verify-new-email"}
    mail = Mail(
        purpose=purpose,
        to=NEW if purpose == "verify-new-email" else ADA.email,
        user=ADA,
        url=URL,
        token="secret-token",
        new_email=NEW if is_change else None,
    )
    return render_mail(mail, app_name="The {Shop}")


every_purpose = pytest.mark.parametrize("purpose", get_args(MailPurpose))


@every_purpose
def test_every_message_names_the_application_and_has_the_link(purpose):
    """Whoever reads it knows where it comes from, and the link is on a line of its own."""
    words = render(purpose)

    assert "The {Shop}" in words.subject
    assert "The {Shop}" in words.text
    assert URL in words.text.splitlines()
    assert f'href="{URL.replace("&", "&amp;")}"' in words.html


@every_purpose
def test_every_message_says_what_to_do_if_one_did_not_ask_for_it(purpose):
    """In the plain text and in the HTML."""
    words = render(purpose)

    *_, last = words.text.strip().split("\n\n")
    assert last.startswith("If ")
    assert " not " in last
    assert ("ignore this message" in last) or ("do not open the link" in last)
    assert last in unescape(words.html)


@pytest.mark.parametrize("purpose", ["confirm-email-change", "verify-new-email"])
def test_a_change_of_address_names_both(purpose):
    """Nobody agrees to a change without reading from what to what."""
    words = render(purpose)

    for text in (words.text, words.html):
        assert f"from {ADA.email} to {NEW}" in text


@pytest.mark.parametrize("purpose", ["verify-email", "reset-password", "delete-user"])
def test_other_messages_name_the_account(purpose):
    """Who has several addresses knows which one it is about."""
    assert ADA.email in render(purpose).text


@every_purpose
def test_no_message_repeats_the_users_name(purpose):
    """Who signs a stranger up would write to them with it."""
    words = render(purpose)

    assert "Eve" not in words.subject + words.text + words.html


@every_purpose
def test_subjects_differ_and_fit_in_a_list(purpose):
    """A mail program shows about sixty characters."""
    subjects = [render(it).subject for it in get_args(MailPurpose)]

    assert subjects.count(render(purpose).subject) == 1
    assert len(render(purpose).subject) <= 65


def test_the_text_form_shows_no_link():
    """Logs are read by many."""
    assert "secret-token" not in repr(render("reset-password"))
