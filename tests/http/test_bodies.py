"""Bodies are checked before anything else sees them, and answers are the wire's."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta

from watchword.errors import APIError, CoreError
from watchword.http.bodies import (
    UNSET,
    Body,
    NonEmpty,
    SafeInt,
    UnsetType,
    dump,
    format_instant,
    parse_body,
    parse_form,
    parse_json,
    parse_query,
    validate,
    wire_name,
)
from watchword.http.emails import Email

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Name(Body):
    """A part of another body."""

    first_name: str


class Dated(Body):
    """A body that holds an instant."""

    made_at: datetime


class SignUp(Body):
    """One field of each kind."""

    name: str
    email: Email
    password: NonEmpty
    image: str | UnsetType = UNSET
    callback_url: str | UnsetType = UNSET
    remember_me: bool | UnsetType = UNSET
    scopes: list[str] | UnsetType = UNSET
    expires_in: SafeInt | UnsetType = UNSET
    role: Literal["admin", "user"] | UnsetType = UNSET
    kind: Literal["web"] | UnsetType = UNSET
    names: Name | UnsetType = UNSET
    extra: dict[str, str] | UnsetType = UNSET
    nickname: Annotated[str, Meta(max_length=3, pattern=r"\A[a-z]*\Z")] | None = None
    limit: int | str | UnsetType = UNSET
    ratio: float | UnsetType = UNSET


GOOD: dict[str, Any] = {"name": "Ada", "email": "ada@example.org", "password": "correct horse"}


def refusal_of(value: object, expected: Any = SignUp, **at: Any) -> str:
    """Return the message of a value that is not accepted."""
    with pytest.raises(APIError) as refusal:
        validate(value, expected, **at)
    assert refusal.value.code is CoreError.VALIDATION_ERROR
    assert refusal.value.status == 400
    return refusal.value.message


# --- names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("name", "name"),
        ("url", "url"),
        ("remember_me", "rememberMe"),
        ("id_token", "idToken"),
        ("callback_url", "callbackURL"),
        ("new_user_callback_url", "newUserCallbackURL"),
    ],
)
def test_fields_have_the_wires_names(name: str, wire: str) -> None:
    """Camel case, and URL in capitals, as all clients send it."""
    assert wire_name(name) == wire


# --- reading -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [JSON, "Application/JSON; charset=utf-8", "application/vnd.api+json", " application/json ;x"],
)
def test_json_is_read(content_type: str) -> None:
    """Whatever its parameters and capitals."""
    assert parse_body(content_type, b'{"a":[1,null,"\xc3\xbc"]}') == {"a": [1, None, "ü"]}


@pytest.mark.parametrize("content_type", [None, "", JSON, "text/plain"])
def test_an_empty_body_is_none_at_all(content_type: str | None) -> None:
    """Nothing was sent, so nothing is wrong with its type."""
    assert parse_body(content_type, b"") is UNSET


@pytest.mark.parametrize("content_type", [None, ""])
def test_a_body_without_a_type_is_ignored(content_type: str | None) -> None:
    """What it holds is not guessed."""
    assert parse_body(content_type, b'{"a":1}') is UNSET


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain; application/json",
        "multipart/form-data",
        FORM,
        "application/jsonp",
        "application/json-seq",
        "xapplication/json",
        "application/json\nx",
    ],
)
def test_attack_json_posted_by_a_form_of_another_site(content_type: str) -> None:
    """Types that a browser sends without a preflight are refused, in the wire's words."""
    with pytest.raises(APIError) as refusal:
        parse_body(content_type, b'{"a":1}')

    assert refusal.value.code is CoreError.UNSUPPORTED_MEDIA_TYPE
    assert refusal.value.status == 415
    assert refusal.value.message == (
        f'Content-Type "{content_type}" is not allowed. Allowed types: application/json'
    )


def test_forms_are_read_where_they_are_allowed() -> None:
    """Of several fields with one name the last counts; JSON is still taken."""
    form = b"email=a%40b.co&name=A+B&x=1&x=2&empty=&bad=%FF"

    fields = parse_body(f"{FORM}; charset=UTF-8", form, form_allowed=True)

    assert fields == {"email": "a@b.co", "name": "A B", "x": "2", "empty": "", "bad": "\ufffd"}
    assert parse_body(JSON, b"{}", form_allowed=True) == {}
    with pytest.raises(APIError, match="x-www-form-urlencoded, application/json"):
        parse_body("text/plain", form, form_allowed=True)


def test_attack_endless_form() -> None:
    """A thousand fields are read, more are refused."""
    assert len(parse_form(b"&".join(b"%d=" % it for it in range(1000)))) == 1000
    with pytest.raises(APIError):
        parse_form(b"a&" * 2000)
    with pytest.raises(APIError):
        parse_query("a&" * 2000)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"{}{}",
        b" ",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"NaN",
        b"1e999",
        b"1" * 5000,
        b'{"a":"\x00"}',
        b'"\\ud800"',
        b'"\\udc00x"',
        b"[" * 100_000,
        b"[" * 66 + b"]" * 66,
        b'{"a":' * 66 + b"1" + b"}" * 66,
    ],
    ids=lambda it: repr(it[:12]),
)
def test_attack_what_is_no_json(body: bytes) -> None:
    """Bad syntax, bad UTF-8, impossible numbers and bottomless nesting are one 400."""
    with pytest.raises(APIError) as refusal:
        parse_json(body)

    assert refusal.value.code is CoreError.BAD_REQUEST
    assert refusal.value.message == "Invalid JSON in request body"


def test_long_and_reasonably_deep_json_is_read() -> None:
    """Only depth is limited, not how many lists and objects stand side by side."""
    assert parse_json(b"[" * 64 + b"]" * 64)
    assert parse_json(b"[" + b"{}," * 999 + b"[]]") == [{}] * 999 + [[]]


@given(st.binary() | st.text().map(str.encode), st.text(st.characters()) | st.sampled_from([JSON]))
@example(b'{"name":1e400}', JSON)
def test_any_request_is_read_or_refused(body: bytes, content_type: str) -> None:
    """Whatever is sent as body and type, the answer is a value or an APIError."""

    def read(*, form_allowed: bool) -> SignUp:
        return validate(parse_body(content_type, body, form_allowed=form_allowed), SignUp)

    for outcome in (
        _outcome(lambda: read(form_allowed=False)),
        _outcome(lambda: read(form_allowed=True)),
    ):
        assert isinstance(outcome, SignUp) or dump({"message": outcome.message})


def _outcome(read: Callable[[], SignUp]) -> SignUp | APIError:
    try:
        return read()
    except APIError as refusal:
        return refusal


# --- checking ------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "email", "x"]), inner)
    ),
    max_leaves=6,
)


def test_a_good_body_becomes_a_struct() -> None:
    """In snake_case; what was left out is UNSET, and false where it is asked for."""
    body = validate({**GOOD, "callbackURL": "/dash", "rememberMe": False}, SignUp)

    assert (body.name, body.callback_url, body.remember_me) == ("Ada", "/dash", False)
    assert body.image is UNSET
    assert not body.image


def test_unknown_keys_are_ignored() -> None:
    """A client cannot set what an endpoint does not ask for."""
    body = validate({**GOOD, "role2": "admin", "id": 1}, SignUp)

    assert not hasattr(body, "id")


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (None, "null"),
        (1, "number"),
        (1.5, "number"),
        (True, "boolean"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_a_wrong_type_is_named_in_the_wires_words(value: Any, received: str) -> None:
    """Nothing is coerced: not a number to a text, not null to a missing one."""
    message = f"Invalid input: expected string, received {received}"

    assert refusal_of({**GOOD, "name": value}) == f"[body.name] {message}"
    assert refusal_of({**GOOD, "image": value}) == f"[body.image] {message}"
    assert refusal_of({**GOOD, "email": value}) == f"[body.email] {message}"


@pytest.mark.parametrize(
    ("value", "received"),
    [(UNSET, "undefined"), (None, "null"), ([], "array"), ("x", "string"), (1, "number")],
)
def test_a_body_that_is_no_object_is_refused(value: Any, received: str) -> None:
    """A missing body too, where one is needed."""
    assert refusal_of(value) == f"[body] Invalid input: expected object, received {received}"


def test_everything_that_is_wrong_is_named_at_once() -> None:
    """In the order of the fields, so that a form can show all of it."""
    message = refusal_of({"name": 5, "email": "nobody", "password": "", "rememberMe": "yes"})

    assert message == (
        "[body.name] Invalid input: expected string, received number; "
        "[body.email] Invalid email address; "
        "[body.password] Too small: expected string to have >=1 characters; "
        "[body.rememberMe] Invalid input: expected boolean, received string"
    )
    assert refusal_of({}) == "; ".join(
        f"[body.{it}] Invalid input: expected string, received undefined"
        for it in ("name", "email", "password")
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("scopes", ["a", 1], "[body.scopes.1] Invalid input: expected string, received number"),
        ("scopes", "a", "[body.scopes] Invalid input: expected array, received string"),
        ("expiresIn", 1.5, "[body.expiresIn] Invalid input: expected int, received number"),
        ("expiresIn", "1", "[body.expiresIn] Invalid input: expected number, received string"),
        ("expiresIn", True, "[body.expiresIn] Invalid input: expected number, received boolean"),
        (
            "expiresIn",
            2**53,
            "[body.expiresIn] Too big: expected number to be <=9007199254740991",
        ),
        (
            "expiresIn",
            -(10**400),
            "[body.expiresIn] Too small: expected number to be >=-9007199254740991",
        ),
        ("ratio", "1", "[body.ratio] Invalid input: expected number, received string"),
        ("role", "root", '[body.role] Invalid option: expected one of "admin"|"user"'),
        ("role", [], '[body.role] Invalid option: expected one of "admin"|"user"'),
        ("kind", "app", '[body.kind] Invalid input: expected "web"'),
        ("names", [], "[body.names] Invalid input: expected object, received array"),
        (
            "names",
            {},
            "[body.names.firstName] Invalid input: expected string, received undefined",
        ),
        ("extra", [], "[body.extra] Invalid input: expected record, received array"),
        ("extra", {"k": 1}, "[body.extra] Invalid input: expected string, received number"),
        ("nickname", 1, "[body.nickname] Invalid input: expected string, received number"),
        ("nickname", "abcd", "[body.nickname] Too big: expected string to have <=3 characters"),
        ("nickname", "A", "[body.nickname] Invalid input"),
        ("limit", [], "[body.limit] Invalid input"),
    ],
)
def test_each_kind_of_field_has_its_sentence(field: str, value: Any, message: str) -> None:
    """The words are those that clients of this wire show."""
    assert refusal_of({**GOOD, field: value}) == message


@pytest.mark.parametrize(("field", "value"), [("nickname", None), ("limit", "5"), ("limit", 5)])
def test_alternatives_are_accepted(field: str, value: Any) -> None:
    """Null only where a field says so."""
    body = validate({**GOOD, field: value}, SignUp)

    assert getattr(body, field) == value


def test_attack_endless_refusal() -> None:
    """A body full of mistakes gets a short answer."""
    message = refusal_of({**GOOD, "scopes": [1] * 100_000})

    assert message.count("expected string") == 20


def test_only_what_is_wrong_is_named() -> None:
    """Fields that are as they should be are not blamed beside one that is not."""
    right: dict[str, Any] = {
        "nickname": None,
        "limit": 5,
        "role": "user",
        "kind": "web",
        "ratio": 1,
        "extra": {},
    }

    assert refusal_of({**GOOD, **right, "names": {"firstName": "A"}, "rememberMe": 1}) == (
        "[body.rememberMe] Invalid input: expected boolean, received number"
    )


def test_a_record_is_described_as_one() -> None:
    """An endpoint that takes any object says so when it gets none."""
    assert validate({"a": 1}, dict[str, Any]) == {"a": 1}
    assert refusal_of([], dict[str, Any]) == (
        "[body] Invalid input: expected record, received array"
    )


def test_a_query_is_checked_alike() -> None:
    """A value that was repeated is an array, and no text."""
    query = parse_query("name=a&name=b&email=x")

    assert refusal_of(query, at="query") == (
        "[query.name] Invalid input: expected string, received array; "
        "[query.email] Invalid email address; "
        "[query.password] Invalid input: expected string, received undefined"
    )
    assert validate(parse_query("firstName=A"), Name, at="query").first_name == "A"


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "ü\udfff"])
def test_attack_nul_is_500_on_postgresql(text: str) -> None:
    """Characters that no database keeps are refused wherever in a body they stand."""
    assert refusal_of({**GOOD, "name": text}) == "[body.name] Invalid input"
    assert refusal_of({**GOOD, "scopes": ["a", text]}) == "[body.scopes] Invalid input"
    assert refusal_of({**GOOD, "extra": {text: "a"}}) == "[body.extra] Invalid input"
    assert refusal_of({**GOOD, "unknown": {"deep": [text]}}) == "[body] Invalid input"
    assert refusal_of({**GOOD, text: 1}) == "[body] Invalid input"
    assert refusal_of({"a": text}, dict[str, Any]) == "[body] Invalid input"


def test_attack_nul_in_a_query() -> None:
    """An escape brings it in there."""
    assert refusal_of(parse_query("firstName=%00"), Name, at="query") == (
        "[query.firstName] Invalid input"
    )


@given(ANY_JSON | st.dictionaries(st.sampled_from(["name", "email", "password"]), ANY_JSON))
def test_attack_wrong_json_types_and_empty_bodies_are_500(value: Any) -> None:
    """Any value of JSON is accepted or a 400 that can itself be sent."""
    outcome = _outcome(lambda: validate(value, SignUp))

    if isinstance(outcome, APIError):
        assert outcome.code is CoreError.VALIDATION_ERROR
        assert outcome.message.startswith("[body")
        assert dump(outcome.message)


@given(st.sampled_from(SignUp.__struct_encode_fields__))
def test_attack_400_bodies_echo_the_password(field: str) -> None:
    """No refusal repeats what was sent, neither values nor keys."""
    secret = "Hunter2-Hunter2"
    wrong = [secret, [secret, 1], {secret: secret}, {"x": [secret]}, secret + "\0"]

    for value in wrong:
        assert secret not in refusal_of({**GOOD, field: value, "kind": secret, secret: secret})
        assert secret not in refusal_of({**GOOD, secret: f"{secret}\0"})


# --- answering -----------------------------------------------------------------------

NOW = datetime(2026, 11, 21, 10, 20, 10, 169_999, tzinfo=UTC)
ZONES = st.integers(-840, 840).map(lambda it: timezone(timedelta(minutes=it)))


def test_instants_have_three_decimals() -> None:
    """The rest is cut off, never rounded, and zeros are written."""
    assert format_instant(NOW) == "2026-11-21T10:20:10.169Z"
    assert format_instant(NOW.replace(microsecond=0)) == "2026-11-21T10:20:10.000Z"
    assert format_instant(NOW.replace(microsecond=999)) == "2026-11-21T10:20:10.000Z"


def test_instants_of_any_zone_are_written_in_utc() -> None:
    """An instant is the same wherever it was noted down."""
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert format_instant(there) == format_instant(NOW)


def test_a_naive_datetime_is_no_instant() -> None:
    """Whoever forgot the zone learns of it here, not from a user five hours away."""
    with pytest.raises(ValueError, match="naive"):
        format_instant(NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="naive"):
        dump({"createdAt": NOW.replace(tzinfo=None)})


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES | st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zones
)
def test_instants_are_written_as_a_plain_reading_of_the_format_says(instant: datetime) -> None:
    """Of any year and zone."""
    utc = instant.astimezone(UTC)
    date = f"{utc.year:04}-{utc.month:02}-{utc.day:02}"
    time = f"{utc.hour:02}:{utc.minute:02}:{utc.second:02}.{utc.microsecond // 1000:03}"

    assert format_instant(instant) == f"{date}T{time}Z"


def test_answers_hold_instants_at_any_depth() -> None:
    """In records, lists and bodies; a text that looks like one stays as it is."""
    answer = {
        "a": NOW,
        "b": [{"c": NOW}, (NOW, None)],
        "d": MappingProxyType({"e": NOW}),
        "f": Name(first_name="2026-11-21T10:20:10.169999Z"),
        "g": Dated(made_at=NOW),
    }
    written = "2026-11-21T10:20:10.169Z"

    assert json.loads(dump(answer)) == {
        "a": written,
        "b": [{"c": written}, [written, None]],
        "d": {"e": written},
        "f": {"firstName": "2026-11-21T10:20:10.169999Z"},
        "g": {"madeAt": written},
    }


def test_answers_are_compact_and_unescaped() -> None:
    """As JavaScript writes them: no blanks, foreign letters as they are."""
    assert dump({"ü": None, "b": [True, 1, 1.5]}) == '{"ü":null,"b":[true,1,1.5]}'.encode()
    assert dump(None) == b"null"
    assert dump(NOW) == b'"2026-11-21T10:20:10.169Z"'


def test_what_was_left_out_is_absent_from_an_answer() -> None:
    """UNSET is no value, in a record as in a body."""
    assert dump(SignUp(name="a", email="b", password="c")) == (
        b'{"name":"a","email":"b","password":"c","nickname":null}'
    )
