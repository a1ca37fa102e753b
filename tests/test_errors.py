"""Errors say whose fault it is, and codes say what goes on the wire."""

import inspect

import pytest

from watchword import errors
from watchword.errors import (
    APIError,
    ConfigurationError,
    CoreError,
    ErrorCode,
    FieldTooLong,
    InvalidValue,
    StorageError,
    UniqueViolation,
    WatchwordError,
)


class TwinError(ErrorCode):
    """A plugin's refusals; two share status and sentence, one shares its name with the core."""

    FIRST = 400, "Something is wrong"
    SECOND = 400, "Something is wrong"
    BAD_REQUEST = 400, "Invalid JSON in request body"


EXCEPTIONS = [
    it for it in vars(errors).values() if inspect.isclass(it) and issubclass(it, Exception)
]


@pytest.mark.parametrize("error", EXCEPTIONS)
def test_one_class_catches_all_that_is_raised_on_purpose(error: type[Exception]) -> None:
    """An application that catches WatchwordError misses none, and can import each."""
    assert issubclass(error, WatchwordError)
    assert error.__name__ in errors.__all__


def test_a_configuration_error_says_what_to_do() -> None:
    """The hint is part of what a developer sees in the terminal."""
    error = ConfigurationError("The secret is missing.", hint="Set WATCHWORD_SECRET.")

    shown = str(error)

    assert shown.splitlines() == ["The secret is missing.", "  hint: Set WATCHWORD_SECRET."]


def test_a_unique_violation_names_its_fields_in_one_order() -> None:
    """Whatever order a database reports, callers compare with one tuple."""
    error = UniqueViolation("account", ["provider_id", "account_id"])

    assert error.fields == ("account_id", "provider_id")
    assert str(error) == "account: account_id, provider_id is taken"


def test_a_unique_violation_without_fields_is_a_sentence_too() -> None:
    """Some backends do not tell what was taken."""
    assert str(UniqueViolation("account", [])) == "account: a value is taken"


def test_a_text_that_is_too_long_is_an_invalid_value() -> None:
    """Who handles invalid values handles this one; its limit is at hand for the message."""
    error = FieldTooLong("user", "name", 2_000)

    assert isinstance(error, InvalidValue)
    assert isinstance(error, StorageError)
    assert (error.field, error.limit) == ("name", 2_000)
    assert "2,000" in str(error)


def test_codes_with_one_sentence_stay_apart() -> None:
    """A code's name goes on the wire, so none may become an alias of another."""
    assert [code.name for code in TwinError] == ["FIRST", "SECOND", "BAD_REQUEST"]
    assert TwinError.FIRST is not TwinError.SECOND


def test_codes_of_one_name_in_two_places_stay_apart() -> None:
    """A plugin's refusal is not mistaken for the core's."""
    codes: set[ErrorCode] = {TwinError.BAD_REQUEST, CoreError.BAD_REQUEST}

    assert len(codes) == 2


@pytest.mark.parametrize("code", CoreError)
def test_each_refusal_of_the_core_is_an_error_with_a_sentence(code: CoreError) -> None:
    """Clients tell success by the status and show the sentence."""
    assert 400 <= code.status < 600
    assert code.message[0].isupper()


def test_a_refusal_takes_status_and_sentence_from_its_code() -> None:
    """The place of the raise says which refusal it is, and no more."""
    refusal = APIError(CoreError.INVALID_ORIGIN)

    code = CoreError.INVALID_ORIGIN
    assert (refusal.status, refusal.message) == (code.status, code.message)
    assert "INVALID_ORIGIN" in str(refusal)


def test_a_refusal_can_be_sent_with_another_status_and_sentence() -> None:
    """The wire uses some codes with several; the code itself stays as it was."""
    refusal = APIError(CoreError.VALIDATION_ERROR, status=422, message="email: too long")

    assert (refusal.status, refusal.message) == (422, "email: too long")
    assert CoreError.VALIDATION_ERROR.status == APIError(CoreError.VALIDATION_ERROR).status


def test_headers_of_one_refusal_do_not_reach_another() -> None:
    """What a handler adds to one answer is not sent with the next."""
    shared = {"retry-after": "1"}
    first, second = (APIError(CoreError.SERVICE_UNAVAILABLE, headers=shared) for _ in "ab")
    bare, other = APIError(CoreError.BAD_REQUEST), APIError(CoreError.BAD_REQUEST)

    first.headers["set-cookie"] = "a=b"
    bare.headers["set-cookie"] = "a=b"

    assert second.headers == shared == {"retry-after": "1"}
    assert other.headers == {}
