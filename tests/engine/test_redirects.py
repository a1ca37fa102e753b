"""Redirects: what is added to a target leaves all the rest of it as it was."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.engine.redirects import redirect, with_query


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/dash", "/dash?error=CODE"),
        ("/", "/?error=CODE"),
        ("/dash?", "/dash?error=CODE"),
        ("/dash?a=b", "/dash?a=b&error=CODE"),
        ("/dash?a=b&", "/dash?a=b&error=CODE"),
        ("/dash?a=b#top", "/dash?a=b&error=CODE#top"),
        ("/dash#top?a=b#c", "/dash?error=CODE#top?a=b#c"),
        ("/dash?next=/a?b=c", "/dash?next=/a?b=c&error=CODE"),
        ("/dash?a=%2F&b=x+y", "/dash?a=%2F&b=x+y&error=CODE"),
        ("/dash?error=OLD", "/dash?error=OLD&error=CODE"),
        ("http://localhost:8000", "http://localhost:8000?error=CODE"),
        ("https://a.example/x;y?z", "https://a.example/x;y?z&error=CODE"),
        ("myapp://", "myapp://?error=CODE"),
        ("myapp:///open", "myapp:///open?error=CODE"),
        ("myapp://open/it#now", "myapp://open/it?error=CODE#now"),
    ],
)
def test_a_parameter_is_added_to_the_query(target, expected):
    """Behind those that are there, before the fragment; relative targets stay relative."""
    assert with_query(target, error="CODE") == expected


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("a b", "a%20b"),
        ("a&b=c#d?e", "a%26b%3Dc%23d%3Fe"),
        ("é/\\", "%C3%A9%2F%5C"),
        ("x\r\nset-cookie: a=b", "x%0D%0Aset-cookie%3A%20a%3Db"),
        ("", ""),
    ],
)
def test_attack_values_that_would_be_more_than_a_value(value, encoded):
    """No further parameter, no fragment, no header."""
    assert with_query("/dash?a=b#top", error=value) == f"/dash?a=b&error={encoded}#top"


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="#?")),
    st.text(st.characters(codec="utf-8", exclude_characters="#")),
    st.text(st.characters(codec="utf-8")),
    st.text(st.characters(codec="utf-8")),
)
def test_whatever_the_target_it_is_kept(path, query, fragment, value):
    """Cut at the parameter, it is the target again; the page reads what was meant."""
    target = f"/{path}?{query}#{fragment}"

    led = with_query(target, error=value)

    before, _, behind = led.partition("#")
    assert behind == fragment
    assert before.startswith(f"/{path}?{query}")
    added = before[len(f"/{path}?{query}") :].removeprefix("&")
    assert dict(parse_qsl(added, keep_blank_values=True)) == {"error": value}


def test_several_parameters_keep_their_order():
    """As they are named."""
    led = with_query("/dash", error="CODE", error_description="It failed")

    assert parse_qsl(urlsplit(led).query) == [
        ("error", "CODE"),
        ("error_description", "It failed"),
    ]


@pytest.mark.parametrize("parameters", [{}, {"error": "CODE"}])
def test_a_redirect_is_302_without_a_body(parameters):
    """A target without parameters is not touched."""
    response = redirect("/dash?#top", **parameters)

    assert (response.status, response.body) == (302, b"")
    assert dict(response.headers) == {
        "content-type": "application/json",
        "location": "/dash?error=CODE#top" if parameters else "/dash?#top",
    }


def test_attack_header_in_a_target():
    """Line breaks and what is not ASCII are escaped."""
    response = redirect("/é\r\nset-cookie: a=b", error="x")

    assert dict(response.headers)["location"] == "/%C3%A9%0D%0Aset-cookie:%20a=b?error=x"
