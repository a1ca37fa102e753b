"""A value too long for one cookie is divided, found again, and never taken for another's end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.http.cookies import CookieAttributes, CookieJar, parse_cookies

JAR = CookieJar(attributes=CookieAttributes(secure=True, domain="a.example"))
NAME = "__Secure-better-auth.data"
ATTRIBUTES = "; Max-Age=300; Domain=a.example; Path=/; HttpOnly; Secure; SameSite=Lax"
LONGEST = 4050
ROOM = LONGEST - len(f"{NAME}.99={ATTRIBUTES}")
CLEARED = ATTRIBUTES.replace("300", "0")


def kept(cookies: dict[str, str], headers: list[str]) -> dict[str, str]:
    """Return what a browser has after an answer."""
    for header in headers:
        name, _, value = header.partition(";")[0].partition("=")
        if "Max-Age=0" in header:
            cookies.pop(name, None)
        else:
            cookies[name] = value
    return cookies


def stored(value: str, cookies: dict[str, str] | None = None) -> dict[str, str]:
    """Return what a browser has once a value is stored."""
    sent = dict(cookies or {})
    return kept(sent, JAR.set_divided("data", value, max_age=300, sent=dict(sent)))


@pytest.mark.parametrize(
    ("length", "names"),
    [
        (0, [NAME]),
        (ROOM, [NAME]),
        (ROOM + 1, [f"{NAME}.0", f"{NAME}.1"]),
        (2 * ROOM, [f"{NAME}.0", f"{NAME}.1"]),
        (2 * ROOM + 1, [f"{NAME}.{number}" for number in range(3)]),
        (100 * ROOM, [f"{NAME}.{number}" for number in range(100)]),
    ],
)
def test_a_value_is_divided_where_a_browser_would_drop_it(length, names) -> None:
    """No header is longer than 4,050 characters, attributes and all."""
    headers = JAR.set_divided("data", "x" * length, max_age=300, sent={})

    assert [it.partition("=")[0] for it in headers] == names
    assert max(map(len, headers)) <= LONGEST
    assert all(it.endswith(ATTRIBUTES) for it in headers)
    assert "".join(it.partition(";")[0].partition("=")[2] for it in headers) == "x" * length


@given(st.integers(0, 3 * ROOM), st.integers(0, 3 * ROOM))
def test_what_is_stored_is_found_whatever_was_there(before: int, after: int) -> None:
    """Parts of an older value go in the same answer."""
    cookies = stored("a" * before)

    cookies = stored("b" * after, cookies)

    assert (JAR.find_divided(cookies, "data") or "") == "b" * after
    assert {it for value in cookies.values() for it in value} <= {"b"}


def test_more_than_a_hundred_parts_are_not_stored() -> None:
    """Nor does anything of an older value stay, which would not be true any more."""
    before = stored("a" * (2 * ROOM))

    headers = JAR.set_divided("data", "x" * (100 * ROOM + 1), max_age=300, sent=before)

    assert headers == [f"{NAME}.0={CLEARED}", f"{NAME}.1={CLEARED}"]


def test_a_prefix_that_leaves_no_room_stores_nothing() -> None:
    """No browser would keep it."""
    jar = CookieJar(attributes=CookieAttributes(secure=False), prefix="p" * LONGEST)

    assert jar.set_divided("data", "x", max_age=None, sent={}) == []


def test_an_undivided_value_comes_before_parts() -> None:
    """As the published server reads them; an empty one is none."""
    parts = {f"{NAME}.1": "b", f"{NAME}.0": "a"}

    assert JAR.find_divided(parts, "data") == "ab"
    assert JAR.find_divided({NAME: "x", **parts}, "data") == "x"
    assert JAR.find_divided({NAME: "", **parts}, "data") == "ab"
    assert JAR.find_divided({f"{NAME}s": "x", "data": "x", f"{NAME}.": "x"}, "data") is None


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ({0: "a", 2: "c"}, "a"),
        ({1: "b", 2: "c"}, None),
        ({0: "a", 1: ""}, "a"),
        ({0: "a", "01": "b", "1x": "b", "-1": "b", "\u0661": "b"}, "a"),
        (dict.fromkeys(range(500), "x"), "x" * 100),
        ({0: "x" * (LONGEST + 1)}, None),
    ],
)
def test_attack_parts_that_are_missing_or_too_many(sent, found) -> None:
    """No more is joined than a value of ours was divided into; what is joined is then verified."""
    cookies = {f"{NAME}.{number}": value for number, value in sent.items()}

    assert JAR.find_divided(cookies, "data") == found


def test_attack_one_value_of_any_length() -> None:
    """Longer than a browser keeps, it is none of ours."""
    assert JAR.find_divided({NAME: "x" * LONGEST}, "data") is not None
    assert JAR.find_divided({NAME: "x" * (LONGEST + 1)}, "data") is None


def test_attack_ten_thousand_names_to_delete() -> None:
    """An answer deletes no more than a value of ours was divided into."""
    header = "; ".join(f"{NAME}.{number}=x" for number in range(10_000))
    sent = parse_cookies(f"{header}; {NAME}.x=1; {NAME}.٣=1; {NAME}=1")

    headers = JAR.set_divided("data", "", max_age=300, sent=sent)

    assert len(headers) == 101
    assert headers[-1] == f"{NAME}={ATTRIBUTES}"
    assert [*JAR.names_of_divided(sent, "data")][:3] == ["data", "data.0", "data.1"]
