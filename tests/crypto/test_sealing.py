"""Sealed texts open for their purpose only, unchanged, across a rotation."""

import re
from base64 import urlsafe_b64decode

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from watchword.crypto.keys import derive_key
from watchword.crypto.sealing import KeyRing, UnsealError
from watchword.errors import ConfigurationError, WatchwordError

SECRET = "watchword-test-secret-of-32-chars"
OLDER = "an-older-secret-0123456789-abcdef"
RING = KeyRing([SECRET])


@given(st.text())
def test_a_sealed_text_opens_again(text: str) -> None:
    """Any text comes back as it was."""
    assert RING.open("oauth tokens", RING.seal("oauth tokens", text)) == text


def test_a_sealed_text_names_its_key_and_shows_nothing_else() -> None:
    """Version, key id, base64url; the text itself is nowhere in it, nor any repetition."""
    first, second = RING.seal("p", "refresh-token"), RING.seal("p", "refresh-token")

    assert re.fullmatch(r"ww1\.[\w-]{8}\.[\w-]{55}", first)
    assert first != second
    assert first[:13] == second[:13]


@given(st.text(max_size=20), st.data())
def test_a_changed_character_keeps_a_text_shut(text: str, data: st.DataObject) -> None:
    """Not one character of the whole can be exchanged."""
    sealed = RING.seal("p", text)
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters().filter(lambda it: it != sealed[at]))

    changed = sealed[:at] + other + sealed[at + 1 :]

    with pytest.raises(UnsealError):
        RING.open("p", changed)


def test_attack_second_spelling_of_a_sealed_text() -> None:
    """Unused bits at the end, padding and foreign characters make no second one."""
    sealed = RING.seal("p", "")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    spellings = [sealed[:-1] + it for it in last if it != sealed[-1]]

    for forged in (*spellings, sealed + "=", sealed + "==", sealed + "\n", sealed + "!!!!"):
        with pytest.raises(UnsealError):
            RING.open("p", forged)


def test_a_text_is_sealed_by_aes_gcm_under_a_key_of_its_purpose() -> None:
    """So another program can open it, and no other purpose's key ever does."""
    _, _, encoded = RING.seal("p", "text").split(".")
    payload = urlsafe_b64decode(encoded + "==")

    cipher = AESGCM(derive_key(SECRET, "seal p"))

    assert cipher.decrypt(payload[:12], payload[12:], b"p") == b"text"
    with pytest.raises(InvalidTag):
        AESGCM(derive_key(SECRET, "p")).decrypt(payload[:12], payload[12:], b"p")


def test_a_key_is_derived_once() -> None:
    """Sealing many texts for one purpose costs one derivation."""
    ring = KeyRing([SECRET])
    ring.seal("p", "text")
    ring.open("p", ring.seal("p", "text"))

    [cipher] = ring._ciphers.values()

    assert ring._cipher(ring._current_id, "p") is cipher


def test_a_text_sealed_for_one_purpose_is_shut_for_another() -> None:
    """A sealed TOTP seed cannot be passed off as an OAuth state."""
    sealed = RING.seal("totp", "seed")

    with pytest.raises(UnsealError):
        RING.open("oauth state", sealed)


def test_a_rotation_keeps_old_texts_readable_and_marks_them() -> None:
    """Old texts open while their secret is listed, and say that they want a new seal."""
    old = KeyRing([OLDER]).seal("p", "text")
    ring = KeyRing([SECRET, OLDER])

    assert ring.open("p", old) == "text"
    assert ring.needs_reseal(old)
    assert not ring.needs_reseal(ring.seal("p", "text"))


def test_a_text_of_an_unknown_secret_is_refused_as_such() -> None:
    """Whoever took a secret away too early is told so."""
    old = KeyRing([OLDER]).seal("p", "text")

    with pytest.raises(UnsealError, match="not in the key ring"):
        RING.open("p", old)


@given(st.text(st.characters()))
def test_any_text_can_be_tried(text: str) -> None:
    """Garbage is an UnsealError and nothing else."""
    for sealed in (text, f"ww1.{text}", RING.seal("p", "")[:13] + text):
        with pytest.raises(UnsealError):
            RING.open("p", sealed)
        assert RING.needs_reseal(text)


def test_the_error_is_one_of_ours() -> None:
    """Who catches WatchwordError catches this too."""
    assert issubclass(UnsealError, WatchwordError)


@pytest.mark.parametrize("secrets", [[], ["short"], ["a" * 64, SECRET]])
def test_attack_weak_secrets_seal_nothing(secrets: list[str]) -> None:
    """A ring is not made with a secret that could be guessed in front."""
    with pytest.raises(ConfigurationError):
        KeyRing(secrets)


def test_a_weak_older_secret_can_be_rotated_away() -> None:
    """What was sealed with it must be read once more to be sealed anew."""
    assert KeyRing([SECRET, "weak"]).needs_reseal("ww1.unknown.text")


def test_attack_secrets_in_a_log() -> None:
    """A printed key ring shows no secret."""
    assert SECRET not in repr(RING)
