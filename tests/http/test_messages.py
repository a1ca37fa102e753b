"""Requests are read lazily and alike from every framework; responses are the wire's."""

from typing import Any

import pytest

from watchword.errors import APIError
from watchword.http.messages import Request, Response

GET: dict[str, Any] = {"method": "GET", "path": "/api/auth/get-session"}


def test_a_header_is_found_by_its_lower_case_name() -> None:
    """Of several with one name the first counts; one that is missing is None."""
    request = Request(**GET, headers=(("origin", "https://a"), ("origin", "https://b")))

    assert request.header("origin") == "https://a"
    assert request.header("referer") is None
    assert request.header_values("origin") == ["https://a", "https://b"]
    assert request.header_values("referer") == []


def test_cookies_are_those_of_every_cookie_header() -> None:
    """HTTP/2 may send one cookie a line; the first of a name still wins."""
    one = Request(**GET, headers=(("cookie", "a=1; b=%20"),))
    many = Request(**GET, headers=(("cookie", "a=1"), ("x", ""), ("cookie", "b=2; a=3")))

    assert one.cookies == {"a": "1", "b": " "}
    assert many.cookies == {"a": "1", "b": "2"}
    assert Request(**GET).cookies == {}


def test_a_query_keeps_every_value() -> None:
    """A repeated key has a list; plus signs and escapes are undone."""
    request = Request(**GET, query_string="a=1&b=x+y%26&a=2&a=3&empty=&flag&%C3%BC=%FF")

    assert request.query == {
        "a": ["1", "2", "3"],
        "b": "x y&",
        "empty": "",
        "flag": "",
        "ü": "\ufffd",
    }
    assert Request(**GET).query == {}


def test_attack_endless_query() -> None:
    """A thousand values are read, more are a refusal and no work."""
    with pytest.raises(APIError) as refusal:
        _ = Request(**GET, query_string="a&" * 2000).query

    assert refusal.value.status == 400


def test_what_was_read_once_is_not_read_again() -> None:
    """A request is asked many times; each part of it is read once."""
    request = Request(**GET, query_string="a=1", headers=(("cookie", "a=1"),))

    assert request.query is request.query
    assert request.cookies is request.cookies


def test_requests_are_values() -> None:
    """Alike if they say the same, whatever was read from them already; never changed."""
    one, other = Request(**GET, query_string="a=1"), Request(**GET, query_string="a=1")

    _ = one.query

    assert one == other
    with pytest.raises(AttributeError):
        one.path = "/elsewhere"  # type: ignore[misc]  # the refusal is tested


def test_attack_secrets_in_a_log() -> None:
    """A printed request or response shows no token, password or code."""
    request = Request(
        method="GET",
        path="/api/auth/reset-password/hunter2",
        query_string="token=hunter2",
        headers=(("cookie", "s=hunter2"),),
        body=b'{"password":"hunter2"}',
    )

    assert "hunter2" not in repr(request)
    assert "GET" in repr(request)
    assert "hunter2" not in repr(Response.json({"token": "hunter2"}))


def test_answers_are_json() -> None:
    """200 with a type; nothing is the literal null."""
    answer, nothing = Response.json({"ok": True}), Response.json(None)

    assert (answer.status, answer.body) == (200, b'{"ok":true}')
    assert answer.headers == [("content-type", "application/json")]
    assert (nothing.status, nothing.body) == (200, b"null")
    assert Response.json({}, status=422).status == 422


def test_a_missing_page_is_empty() -> None:
    """404 has neither body nor type."""
    answer = Response.empty(404)

    assert (answer.status, answer.headers, answer.body) == (404, [], b"")


def test_a_redirect_is_302_with_an_empty_body() -> None:
    """The location stays as it is, relative ones too."""
    answer = Response.redirect("/dash?error=a%20b#top")

    assert (answer.status, answer.body) == (302, b"")
    assert answer.headers == [
        ("content-type", "application/json"),
        ("location", "/dash?error=a%20b#top"),
    ]


def test_attack_response_splitting() -> None:
    """A line break never ends a header early."""
    answer = Response.redirect("/x\r\nset-cookie: a=b")

    assert ("location", "/x%0D%0Aset-cookie:%20a=b") in answer.headers
    with pytest.raises(ValueError, match="set-cookie"):
        answer.add_header("set-cookie", "a=b\r\nx: y")


def test_a_location_of_foreign_letters_is_escaped() -> None:
    """A framework that writes headers in Latin-1 must not fail on it."""
    assert Response.redirect("/grüße/\ud800").headers[1] == ("location", "/gr%C3%BC%C3%9Fe/%3F")


def test_headers_can_be_added_to_one_answer_alone() -> None:
    """Cookies of one answer never appear in another."""
    one, other = Response.json(None), Response.json(None)

    one.add_header("set-cookie", "a=b")
    one.add_header("set-cookie", "c=d")

    assert one.headers[1:] == [("set-cookie", "a=b"), ("set-cookie", "c=d")]
    assert len(other.headers) == 1
