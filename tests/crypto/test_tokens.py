"""Tokens are random, and what is stored in their place gives nothing away."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from watchword.crypto.tokens import ALPHANUMERIC, digest, equal, new_token

ANY_TEXT = st.text(st.characters())


def test_a_token_has_the_length_and_the_alphabet_asked_for() -> None:
    """32 letters and digits unless told otherwise."""
    plain, short = new_token(), new_token(200, "ab")

    assert len(plain) == 32
    assert set(plain) <= set(ALPHANUMERIC)
    assert len(ALPHANUMERIC) == 62
    assert (len(short), set(short)) == (200, {"a", "b"})


def test_no_two_tokens_are_alike() -> None:
    """A thousand tokens are a thousand different ones."""
    tokens = {new_token() for _ in range(1000)}

    assert len(tokens) == 1000


def test_a_digest_is_the_sha256_of_the_token_in_hexadecimal() -> None:
    """64 characters, the same for the same token on every server."""
    token = "XXLD360TqYQokdVND7TufrhGmedl6j9P"

    stored = digest(token)

    assert stored == sha256(token.encode()).hexdigest()
    assert len(stored) == 64


@given(ANY_TEXT, ANY_TEXT)
def test_any_two_texts_can_be_compared(a: str, b: str) -> None:
    """Texts are equal if they are the same, whatever characters they hold."""
    assert equal(a, a)
    assert equal(a, b) is (a == b)


def test_attack_compare_digest_with_non_ascii() -> None:
    """A token of foreign letters, or of broken text, is wrong and no exception."""
    assert not equal("pässword", "password")
    assert not equal("\ud800", "a")


@given(ANY_TEXT)
def test_any_text_has_a_digest(text: str) -> None:
    """What a client sends as a token may be anything, and is looked up all the same."""
    assert len(digest(text)) == 64
