"""The secret is strong, and each purpose has a key of its own."""

import hashlib
import hmac

import pytest

from watchword.crypto.keys import check_secret, derive_key
from watchword.errors import ConfigurationError

SECRET = "watchword-test-secret-of-32-chars"


def test_each_purpose_and_each_secret_has_its_own_key() -> None:
    """A key is the same each time, and unlike that of any other purpose or secret."""
    key = derive_key(SECRET, "csrf")

    assert key == derive_key(SECRET, "csrf")
    assert len(key) == 32
    assert key != derive_key(SECRET, "mail")
    assert key != derive_key(SECRET.upper(), "csrf")


def test_a_key_is_derived_by_hkdf_without_salt() -> None:
    """Extract and expand as RFC 5869 says, so that another program can derive it too."""
    info = b"watchword/1/32/csrf"

    pseudorandom = hmac.digest(bytes(32), SECRET.encode(), hashlib.sha256)
    expected = hmac.digest(pseudorandom, info + b"\x01", hashlib.sha256)

    assert derive_key(SECRET, "csrf") == expected


def test_a_shorter_key_is_not_the_beginning_of_a_longer_one() -> None:
    """A short value that is public shows nothing of a key that is not."""
    short, long = derive_key(SECRET, "csrf", length=6), derive_key(SECRET, "csrf")

    assert len(short) == 6
    assert not long.startswith(short)


@pytest.mark.parametrize(
    "secret", ["", "x", SECRET[:31], "a" * 64, "abcdefg" * 10, "0123456" * 5], ids=repr
)
def test_attack_secrets_of_one_character(secret: str) -> None:
    """A short or monotonous secret is refused at start-up, with the way to a better one."""
    with pytest.raises(ConfigurationError) as refusal:
        check_secret(secret)

    assert "`watchword secret`" in refusal.value.hint


@pytest.mark.parametrize("secret", [SECRET, "0123456789abcdef" * 2])
def test_a_random_secret_of_32_characters_is_accepted(secret: str) -> None:
    """The check asks for no more than `watchword secret` gives."""
    check_secret(secret)
