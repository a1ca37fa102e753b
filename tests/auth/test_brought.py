"""What is refused as a store of the application's own, and what as a password."""

from secrets import token_hex

import pytest

from watchword import ConfigurationError
from watchword.errors import InvalidValue
from watchword.storage.stores import StoredVerifications


class NoStore:
    """Has nothing of a store."""


@pytest.mark.parametrize("name", ["users", "sessions", "accounts", "verifications"])
def test_what_is_no_store(new_auth, name):
    """Found when the instance is built, not when somebody signs in."""
    with pytest.raises(
        ConfigurationError, match=r"NoStore is no \w+Store: it has no (all|attempt|create)"
    ):
        new_auth(**{name: NoStore()})


def test_a_class_that_was_not_called(new_auth):
    """The hint says what was forgotten."""
    with pytest.raises(ConfigurationError, match=r"verifications=StoredVerifications\(…\)"):
        new_auth(verifications=StoredVerifications)


async def test_a_password_in_clear_is_not_kept(app_auth, everywhere):
    """A stolen table would tell it, and no sign-in could verify it."""
    auth = await app_auth(everywhere)
    ada = await auth.users.create(email="ada@example.org", name="Ada")
    in_clear = token_hex()

    for write in (
        auth.accounts.create(ada.id, "credential", ada.id, password=in_clear),
        auth.accounts.upsert(ada.id, "credential", ada.id, password=in_clear),
        auth.accounts.update(ada.id, password=in_clear),
    ):
        with pytest.raises(InvalidValue, match="no password hash") as refused:
            await write
        assert in_clear not in str(refused.value)

    hashed = await auth.instance.passwords.hash("difference-engine")
    await auth.accounts.create(ada.id, "credential", ada.id, password=hashed)
    signed_in = await auth.api.sign_in_email(email=ada.email, password="difference-engine")
    assert signed_in.user.id == ada.id
