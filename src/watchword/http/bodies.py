"""Bodies and queries: between JSON in camelCase and Python in snake_case, checked on the way."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
)
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Meta, UnsetType

from watchword.errors import APIError, CoreError
from watchword.http.issues import Issue, find_issues

__all__ = [
    "UNSET",
    "Answer",
    "Body",
    "Done",
    "NonEmpty",
    "OpenBody",
    "Query",
    "SafeInt",
    "UnsetType",
    "dump",
    "format_instant",
    "parse_body",
    "parse_form",
    "parse_json",
    "parse_query",
    "utf16_length",
    "validate",
    "wire_name",
]

T = TypeVar("T")

Query: TypeAlias = Mapping[str, str | list[str]]
"""A query's values by key; a repeated key has a list."""

NonEmpty: TypeAlias = Annotated[str, Meta(min_length=1)]
"""A text of at least one character."""

SafeInt: TypeAlias = Annotated[int, Meta(ge=-(2**53) + 1, le=2**53 - 1)]
"""An integer that JavaScript knows exactly; a plain int may be of any size."""

_UNKNOWN: Final = Issue((), "Invalid input")
_REST: Final = "additionalFields"
_DEEPEST: Final = 64
_MOST_PAIRS: Final = 1000
_JSON_TYPE: Final = re.compile(r"application/([a-z0-9.+-]*\+)?json")
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Written as they are; asking for these first halves the time of an answer.
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def wire_name(name: str) -> str:
    """Return the key of a field: `remember_me` is `rememberMe`, `callback_url` `callbackURL`."""
    first, *rest = name.split("_")
    return first + "".join("URL" if word == "url" else word.capitalize() for word in rest)


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Body(msgspec.Struct, frozen=True, rename=wire_name):
    """What a client sends; unknown keys are ignored. Subclasses are frozen too.

    An optional field is `text: str | UnsetType = UNSET`: it may be left out, but not be null.
    A query's fields are texts, and a flag in a query is set if its text is not empty.
    """

    def __repr__(self) -> str:
        """Show no values: passwords and tokens are among them, and logs are read by many."""
        return f"{type(self).__name__}(…)"


class OpenBody(Body, frozen=True, kw_only=True):
    """A body that keeps the keys it does not name in `additional_fields`.

    `model` names the model whose additional fields these are; `creates` tells that a row is
    made of them, so that some may be required.
    """

    model: ClassVar[str] = "user"
    creates: ClassVar[bool] = False
    additional_fields: dict[str, Any] = {}


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Answer(msgspec.Struct, frozen=True, rename=wire_name):
    """What an endpoint answers; a field that is UNSET is left out."""

    def __repr__(self) -> str:
        """Show no token: logs are read by many."""
        shown = (it for it in self.__struct_fields__ if it != "token")
        return f"{type(self).__name__}({', '.join(f'{it}={getattr(self, it)!r}' for it in shown)})"


class Done(Answer, frozen=True):
    """It is done; there is nothing more to say."""

    status: bool = True


# --- reading -------------------------------------------------------------------------


def parse_body(content_type: str | None, body: bytes, *, form_allowed: bool = False) -> object:
    """Return what a request carries; UNSET if there is nothing, or if its type is not told.

    Only JSON is taken: a page of another site can post forms and plain text without asking,
    JSON only after a preflight.

    Args:
        content_type: The header's value.
        body: As received.
        form_allowed: Also take HTML forms; the endpoint then guards against other sites.

    Raises:
        APIError: The type is not allowed, or the body is not of its type.
    """
    if not body or not content_type:
        return UNSET
    media_type = content_type.partition(";")[0].strip().lower()
    if _JSON_TYPE.fullmatch(media_type):
        return parse_json(body)
    if form_allowed and media_type == _FORM_TYPE:
        return parse_form(body)
    allowed = f"{_FORM_TYPE}, application/json" if form_allowed else "application/json"
    shown = content_type.encode("ascii", "replace").decode()[:128]
    raise APIError(
        CoreError.UNSUPPORTED_MEDIA_TYPE,
        message=f'Content-Type "{shown}" is not allowed. Allowed types: {allowed}',
    )


def parse_json(body: bytes) -> object:
    """Return the value of a JSON text.

    Raises:
        APIError: It is no JSON in UTF-8, or nested deeper than any client means to.
    """
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise APIError(CoreError.BAD_REQUEST) from None
    if body.count(b"[") + body.count(b"{") > _DEEPEST and _is_deeper(value, _DEEPEST):
        raise APIError(CoreError.BAD_REQUEST)
    return value


def _is_deeper(value: object, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [inner for it in level for inner in _inside(it)]
        if not level:
            return False
    return any(isinstance(it, dict | list) for it in level)


def _inside(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def parse_form(body: bytes) -> dict[str, str]:
    """Return the fields of an HTML form; of several with one name the last.

    Raises:
        APIError: There are more fields than any form has.
    """
    return dict(_pairs(body.decode("utf-8", "replace")))


def parse_query(query_string: str) -> dict[str, str | list[str]]:
    """Return the values of a query by key; a repeated key has a list.

    Raises:
        APIError: There are more values than any link has.
    """
    query: dict[str, str | list[str]] = {}
    for key, value in _pairs(query_string):
        present = query.get(key)
        if present is None:
            query[key] = value
        elif isinstance(present, list):
            present.append(value)
        else:
            query[key] = [present, value]
    return query


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PAIRS)
    except ValueError:
        raise APIError(CoreError.BAD_REQUEST, message="Too many fields") from None


# --- checking ------------------------------------------------------------------------


def validate(value: object, expected: type[T], *, at: Literal["body", "query"] = "body") -> T:
    """Return a parsed value as the type that an endpoint expects.

    Nothing is coerced: a number where a text belongs would compare with stored tokens in
    ways that differ from database to database.

    Raises:
        APIError: It is of another shape. The message names all that is wrong, up to 20 things,
            and never repeats what was sent.
    """
    if value is UNSET and UnsetType in get_args(expected):
        return cast("T", value)  # one of the types that T joins
    if _is_struct(expected) and issubclass(expected, OpenBody):
        value = _with_rest(value, expected)
    try:
        result = msgspec.convert(value, expected)
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter: half a surrogate pair
        issues = find_issues(value, expected)
    else:
        if not _holds_unstorable_text(value):
            return result
        issues = _unstorable_fields(value, expected)
    raise APIError(CoreError.VALIDATION_ERROR, message=_sentence(issues or [_UNKNOWN], at))


def _with_rest(value: object, expected: type[OpenBody]) -> object:
    if not isinstance(value, dict):
        if any(it.required for it in msgspec.structs.fields(expected)):
            return value
        issues = find_issues(value, dict[str, Any])
        raise APIError(CoreError.VALIDATION_ERROR, message=_sentence(issues, "body"))
    own = {it.encode_name for it in msgspec.structs.fields(expected)} - {_REST}
    rest = {key: it for key, it in value.items() if key not in own}
    return {**{key: it for key, it in value.items() if key in own}, _REST: rest}


def _sentence(issues: list[Issue], at: str) -> str:
    return "; ".join(f"[{'.'.join((at, *issue.path))}] {issue.text}" for issue in issues)


def _holds_unstorable_text(value: object) -> bool:
    """Tell whether a text in the value has characters that no database keeps.

    PostgreSQL refuses NUL; half a surrogate pair cannot be encoded at all.
    """
    waiting = [value]
    while waiting:
        it = waiting.pop()
        if isinstance(it, str):
            if "\0" in it or (not it.isascii() and _SURROGATE.search(it)):
                return True
        elif isinstance(it, dict):
            waiting += it
            waiting += it.values()
        elif isinstance(it, list):
            waiting += it
    return False


def _unstorable_fields(value: object, expected: Any) -> list[Issue]:
    """Name the fields with such texts; only by names of ours, never by the client's."""
    if not isinstance(value, dict) or not _is_struct(expected):
        return []
    names = [it.encode_name for it in msgspec.structs.fields(expected)]
    return [
        Issue((name,), _UNKNOWN.text)
        for name in names
        if name in value and _holds_unstorable_text(value[name])
    ]


def _is_struct(expected: Any) -> bool:
    return isinstance(expected, type) and issubclass(expected, msgspec.Struct)


def utf16_length(text: str) -> int:
    """Return how long a text is to JavaScript, and so to the people who count in browsers."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


# --- answering -----------------------------------------------------------------------


def dump(value: object) -> bytes:
    """Return a value as JSON, its instants as `format_instant` writes them.

    Keys are written as they are: a record has its wire names already, a Body has them by
    declaration.
    """
    return msgspec.json.encode(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, dict):
        return {key: it if type(it) in _PLAIN else _plain(it) for key, it in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(it) for it in value]
    if isinstance(value, msgspec.Struct):
        return _plain(msgspec.to_builtins(value, builtin_types=(datetime,)))
    return _plain(dict(value)) if isinstance(value, Mapping) else value


def format_instant(instant: datetime) -> str:
    """Return an instant as JavaScript writes one: `2026-11-21T10:20:10.169Z`.

    Always three decimals, the rest cut off: JavaScript misreads longer fractions.

    Raises:
        ValueError: It is naive, so nobody knows which instant it is.
    """
    if instant.tzinfo is not UTC:
        if instant.utcoffset() is None:
            raise ValueError("a naive datetime is no instant")
        instant = instant.astimezone(UTC)
    # Six times as fast as isoformat(); with six decimals, or with none where all are zero.
    text: str = msgspec.to_builtins(instant)
    return f"{text[:19]}.{text[20:23] if instant.microsecond else '000'}Z"
