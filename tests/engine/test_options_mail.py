"""Settings that need mail, and the names by which settings are passed on."""

import inspect
from dataclasses import fields
from typing import get_type_hints

import pytest

from watchword import (
    ChangeEmail,
    ConfigurationError,
    DeleteUser,
    EmailPassword,
    EmailVerification,
    UserOptions,
)
from watchword.engine.options import Options
from watchword.engine.settings import Settings

NEEDING = {
    "email_verification": {"email_verification": EmailVerification()},
    "DeleteUser(confirm_by_mail=True)": {
        "user": UserOptions(delete_user=DeleteUser(confirm_by_mail=True))
    },
    "ChangeEmail(confirm_with_old_address=True)": {
        "user": UserOptions(change_email=ChangeEmail(confirm_with_old_address=True))
    },
}
NOT_NEEDING = [
    {"email_password": EmailPassword(require_email_verification=True)},
    {"user": UserOptions(delete_user=DeleteUser(), change_email=ChangeEmail())},
]


def options(**settings) -> Options:
    """Make settings of one instance."""
    return Options(base_url="http://localhost", **settings)


@pytest.mark.parametrize("name", NEEDING)
def test_what_sends_mail_needs_who_delivers_it(name):
    """Found at start-up, not with the first person who waits for a mail."""
    with pytest.raises(ConfigurationError) as error:
        options(**NEEDING[name])

    assert error.value.message == f"{name} sends mail, but nothing delivers it."
    assert error.value.hint == "Pass mail=SMTPSender(…), or a function that takes a Mail."
    assert options(**NEEDING[name], mail=print)


@pytest.mark.parametrize("settings", NOT_NEEDING, ids=str)
def test_what_sends_no_mail_needs_nobody(settings):
    """It works without."""
    assert options(**settings).mail is None


@pytest.mark.parametrize(
    ("settings", "resets"),
    [
        ({}, False),
        ({"mail": print}, False),
        ({"email_password": EmailPassword()}, False),
        ({"email_password": EmailPassword(), "mail": print}, True),
        ({"email_password": EmailPassword(reset_password=False), "mail": print}, False),
    ],
    ids=str,
)
def test_passwords_are_reset_where_mail_is_delivered(settings, resets):
    """And passwords are used, and that is wanted."""
    assert options(**settings).resets_passwords is resets


@pytest.mark.parametrize(
    ("required", "send", "sends"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_a_sign_up_sends_a_link_where_it_is_needed(required, send, sends):
    """Unless that is set."""
    given = options(
        mail=print,
        email_password=EmailPassword(require_email_verification=required),
        email_verification=EmailVerification(send_on_sign_up=send),
    )

    assert given.verifies_at_sign_up is sends


def test_settings_have_the_names_and_types_of_the_options():
    """All but the base URL, which an instance takes by itself."""
    names = {it.name for it in fields(Options)} - {"base_url"}

    assert set(get_type_hints(Settings)) == names
    hints = get_type_hints(Options)
    assert get_type_hints(Settings) == {name: hints[name] for name in names}
    assert not Settings.__required_keys__


def test_every_option_is_explained():
    """By name, in the class's own words."""
    explained = inspect.getdoc(Options)

    for it in fields(Options):
        assert f"\n    {it.name}: " in explained, it.name
