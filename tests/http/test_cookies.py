"""Cookies are read leniently, written exactly, and carry nothing but their value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import ConfigurationError
from watchword.http.cookies import (
    CookieAttributes,
    CookieJar,
    decode_uri_component,
    encode_uri_component,
    parse_cookies,
)

PLAIN = CookieJar(attributes=CookieAttributes(secure=False))
SECURE = CookieJar(attributes=CookieAttributes(secure=True, domain="a.b"))

# Made with Node's encodeURIComponent of the first 128 characters.
ENCODED_ASCII = (
    "%00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F%10%11%12%13%14%15%16%17%18%19%1A%1B%1C%1D%1E"
    "%1F%20!%22%23%24%25%26'()*%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%7F"
)
# The same function's answers, and those of decodeURIComponent; None where it throws.
DECODED = {
    "a%20b+c": "a b+c",
    "%F0%9F%98%80": "😀",
    "ü%C3%BC": "üü",
    "%c3%bc": "ü",
    "%00": "\0",
    "%": None,
    "%4": None,
    "%zz": None,
    "%C3": None,
    "%C3%28": None,
    "%ED%A0%80": None,
    "%F4%90%80%80": None,
    "%C0%80": None,
}


def test_texts_are_escaped_as_javascript_does() -> None:
    """Letters, digits and -_.!~*'() stay; all else becomes UTF-8 in capitals."""
    assert encode_uri_component("".join(map(chr, range(128)))) == ENCODED_ASCII
    assert encode_uri_component("€😀\u2028ÿ") == "%E2%82%AC%F0%9F%98%80%E2%80%A8%C3%BF"
    with pytest.raises(ValueError, match="surrogates"):
        encode_uri_component("\ud800")


@pytest.mark.parametrize(("text", "expected"), DECODED.items())
def test_escapes_are_undone_as_javascript_does(text: str, expected: str | None) -> None:
    """What JavaScript refuses is refused."""
    if expected is None:
        with pytest.raises(ValueError):  # noqa: PT011 - two kinds of it, no message of ours
            decode_uri_component(text)
    else:
        assert decode_uri_component(text) == expected


@given(st.text())
def test_escaping_can_be_undone(text: str) -> None:
    """Every text survives the way out and back."""
    assert decode_uri_component(encode_uri_component(text)) == text


def test_cookies_are_read_as_browsers_send_them() -> None:
    """Names, equals signs in values, blanks, quotes and escapes."""
    header = 'theme=dark; better-auth.session_token=a.b%2B%3D;a=1=2;  q="x y" ; empty=; B=%C3%BC'

    assert parse_cookies(header) == {
        "theme": "dark",
        "better-auth.session_token": "a.b+=",
        "a": "1=2",
        "q": "x y",
        "empty": "",
        "B": "ü",
    }


def test_what_makes_no_sense_is_left_out() -> None:
    """Pairs without a name or an equals sign do not spoil their neighbours."""
    assert parse_cookies(";; lonely; =nameless; a=1; ;b=2;") == {"a": "1", "b": "2"}


def test_a_value_with_broken_escapes_stays_as_it_was_sent() -> None:
    """An application's own cookie is not lost for a percent sign."""
    assert parse_cookies('rate=100%; x=%FF; q="') == {"rate": "100%", "x": "%FF", "q": ""}


def test_attack_cookie_tossing() -> None:
    """The first of a name wins, so a cookie set for the parent domain replaces none."""
    assert parse_cookies("s=mine; s=planted") == {"s": "mine"}


@given(st.text(st.characters()))
def test_any_header_can_be_read(header: str) -> None:
    """No Cookie header makes the reader fail."""
    cookies = parse_cookies(header)

    assert all(isinstance(it, str) and name for name, it in cookies.items())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            PLAIN.set("session_token", "t.s+/=", max_age=6048),
            "better-auth.session_token=t.s%2B%2F%3D; Max-Age=6048; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            PLAIN.set("dont_remember", "true"),
            "better-auth.dont_remember=true; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            PLAIN.clear("session_data"),
            "better-auth.session_data=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            SECURE.set("s", "", max_age=9),
            (
                "__Secure-better-auth.s=; Max-Age=9; Domain=a.b; Path=/; HttpOnly; Secure; "
                "SameSite=Lax"
            ),
        ),
    ],
    ids=["kept", "until the browser ends", "deleted", "secure"],
)
def test_cookies_are_written_as_the_wire_does(header: str, expected: str) -> None:
    """The attributes and their order are those that clients have always seen."""
    assert header == expected


def test_attributes_can_be_chosen() -> None:
    """Another prefix, path and policy, for applications that need them."""
    attributes = CookieAttributes(secure=True, same_site="None", path="/app", http_only=False)

    header = CookieJar(attributes=attributes, prefix="shop").set("a", "b")

    assert header == "__Secure-shop.a=b; Path=/app; Secure; SameSite=None"


@given(st.text())
def test_a_cookie_comes_back_with_its_value(value: str) -> None:
    """What is written is read again, whatever it holds."""
    header = PLAIN.set("data", value, max_age=1)

    sent_back = header.partition("; ")[0]

    assert PLAIN.find(parse_cookies(sent_back), "data") == value
    assert PLAIN.name("data") == "better-auth.data"


def test_attack_response_splitting() -> None:
    """Line breaks and semicolons in a value become escapes."""
    header = PLAIN.set("a", "x; Domain=evil.example\r\nSet-Cookie: b=c")

    assert header == (
        "better-auth.a=x%3B%20Domain%3Devil.example%0D%0ASet-Cookie%3A%20b%3Dc; Path=/; "
        "HttpOnly; SameSite=Lax"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"same_site": "None", "secure": False},
        {"domain": "https://example.com"},
        {"domain": "example.com; Path=/x"},
        {"domain": "example.com\n"},
        {"domain": ""},
        {"path": "app"},
        {"path": "/\r\n"},
        {"path": "/;"},
    ],
    ids=repr,
)
def test_attributes_that_no_browser_takes_are_found_at_start_up(wrong: dict[str, Any]) -> None:
    """Otherwise the first user would find that nobody can sign in."""
    with pytest.raises(ConfigurationError):
        CookieAttributes(**{"secure": True, **wrong})


@pytest.mark.parametrize("prefix", ["", "a b", "a;", "ü", "a=b", "a\n"])
def test_a_prefix_must_fit_into_a_name(prefix: str) -> None:
    """A prefix that would break the header is found at start-up."""
    with pytest.raises(ConfigurationError):
        CookieJar(attributes=CookieAttributes(secure=True), prefix=prefix)
