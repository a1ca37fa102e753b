"""Signed values are the wire's, byte for byte, and cannot be forged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.crypto.signing import sign, unsign

SECRET = "watchword-test-secret-of-32-chars"
OLDER = "an-older-secret-0123456789-abcdef"
ANY_TEXT = st.text(st.characters())

# Made with Node's crypto.createHmac("sha256", secret).update(value).digest("base64").
VECTORS = [
    (
        "XXLD360TqYQokdVND7TufrhGmedl6j9P",
        SECRET,
        "XXLD360TqYQokdVND7TufrhGmedl6j9P.U687Zj4lOfNsF5ih+EBQ/R29YrHI4CA/SrNvoDdBhQI=",
    ),
    ("true", SECRET, "true.wXNzI8ajiqJ40VqLmf6SYQQ4My+rWvqdgyfE4oipvPs="),
    (
        "a.b c/ü",
        "geheim-ü-0123456789-abcdefghijklmn",
        "a.b c/ü.ydK+T3h35xCq/UqFM1A0pYeNOIAO0Rf9t73TfVSFWaA=",
    ),
]


EMPTY = sign("", SECRET)


@pytest.mark.parametrize(("value", "secret", "signed"), VECTORS)
def test_values_are_signed_as_the_wire_does(value: str, secret: str, signed: str) -> None:
    """A cookie signed elsewhere is read here, and the other way round."""
    assert sign(value, secret) == signed
    assert unsign(signed, [secret]) == value


@given(ANY_TEXT)
def test_a_signed_value_comes_back(value: str) -> None:
    """Whatever was signed is returned, dots and foreign letters included."""
    assert unsign(sign(value, SECRET), [SECRET]) == value


@given(st.text(), st.data())
def test_a_changed_character_makes_the_value_worthless(value: str, data: st.DataObject) -> None:
    """Not one character of value, dot or signature can be exchanged."""
    signed = sign(value, SECRET)
    at = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.characters().filter(lambda it: it != signed[at]))

    changed = signed[:at] + other + signed[at + 1 :]

    assert unsign(changed, [SECRET]) is None


def test_an_older_secret_is_still_accepted_while_it_is_listed() -> None:
    """A rotation signs nobody out; taking the old secret away does."""
    signed = sign("token", OLDER)

    assert unsign(signed, [SECRET, OLDER]) == "token"
    assert unsign(signed, [SECRET]) is None
    assert unsign(signed, []) is None


def test_attack_second_spelling_of_a_signature() -> None:
    """The last character's unused bits, a line break or lost padding make no second one."""
    signed = sign("true", SECRET)

    assert signed.endswith("Ps=")
    for forged in (signed[:-2] + "t=", signed[:-1], signed + "\n", signed + "=", EMPTY[1:]):
        assert unsign(forged, [SECRET]) is None


@pytest.mark.parametrize(
    "garbage", ["", ".", "..", "value", "value.", ".sig", "é.ü", "\ud800.\udfff", "v." + "=" * 44]
)
def test_attack_malformed_signed_cookies(garbage: str) -> None:
    """Nonsense is answered like a missing cookie, never by an exception."""
    assert unsign(garbage, [SECRET]) is None


@given(ANY_TEXT)
def test_any_text_can_be_unsigned(text: str) -> None:
    """No cookie value makes the reader fail."""
    assert unsign(text, [SECRET, OLDER]) is None
