"""Every error that Watchword raises, and every code that the core sends."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Self

__all__ = [
    "APIError",
    "ConfigurationError",
    "CoreError",
    "ErrorCode",
    "FieldTooLong",
    "InvalidValue",
    "LastAccount",
    "MigrationFailed",
    "MigrationRefused",
    "NoSuchUser",
    "OperationRefused",
    "Overloaded",
    "ReferenceViolation",
    "StorageError",
    "StorageUnavailable",
    "TransactionEnded",
    "UniqueViolation",
    "UnknownField",
    "UnknownModel",
    "WatchwordError",
]


class WatchwordError(Exception):
    """The root of all that Watchword raises on purpose."""


class ConfigurationError(WatchwordError):
    """The developer's mistake, found when an object is built.

    Args:
        message: What is wrong.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}\n  hint: {hint}")
        self.message = message
        self.hint = hint


class MigrationRefused(ConfigurationError):
    """The tables cannot be changed to what is wanted, and nothing was done."""


class Overloaded(WatchwordError):
    """Too much is waiting already; over HTTP it is 503 with Retry-After.

    Args:
        retry_after: Seconds after which a new try makes sense.
    """

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


# --- storage -------------------------------------------------------------------------


class StorageError(WatchwordError):
    """The storage refused or failed; the driver's own error is the cause."""


class UniqueViolation(StorageError):
    """Another row has these values already.

    `fields` holds logical names, sorted; it is empty if the backend named nothing.
    """

    def __init__(self, model: str, fields: Sequence[str]) -> None:
        super().__init__(f"{model}: {', '.join(sorted(fields)) or 'a value'} is taken")
        self.model = model
        self.fields = tuple(sorted(fields))


class ReferenceViolation(StorageError):
    """A row points at one that does not exist, or is still pointed at."""

    def __init__(self, model: str) -> None:
        super().__init__(f"{model}: a reference points at no row, or a row is still referenced")
        self.model = model


class InvalidValue(StorageError):
    """A value is not of its field's type, or no database could keep it."""

    def __init__(self, model: str, field: str, reason: str) -> None:
        super().__init__(f"{model}.{field}: {reason}")
        self.model = model
        self.field = field
        self.reason = reason


class FieldTooLong(InvalidValue):
    """A text has more characters than its field keeps."""

    def __init__(self, model: str, field: str, limit: int) -> None:
        super().__init__(model, field, f"longer than {limit:,} characters")
        self.limit = limit


class UnknownModel(StorageError):
    """The resolved schema has no model of this name."""

    def __init__(self, model: str) -> None:
        super().__init__(f"no model {model!r} in the schema")
        self.model = model


class UnknownField(StorageError):
    """The model has no field of this name."""

    def __init__(self, model: str, field: str) -> None:
        super().__init__(f"{model} has no field {field!r}")
        self.model = model
        self.field = field


class StorageUnavailable(StorageError):
    """The database cannot be reached, timed out, or asked for another try.

    Args:
        retryable: True if nothing was written, so the same work may be done again.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class TransactionEnded(StorageError):
    """An earlier error ended the transaction, or savepoint, though somebody caught it."""

    def __init__(self) -> None:
        super().__init__("an earlier error ended this transaction; nothing of it is kept")


class LastAccount(StorageError):
    """The account is the only way in that its user has."""

    def __init__(self) -> None:
        super().__init__("this is the last way in that its user has; nothing was deleted")


class NoSuchUser(WatchwordError):
    """There is nobody with this id, or not any more."""

    def __init__(self, user_id: object) -> None:
        super().__init__(f"there is no user {str(user_id)[:100]!r}")
        self.user_id = user_id


class MigrationFailed(StorageError):
    """The database refused a step of a migration; what was done before it stays done.

    Args:
        message: Which step, and why in the database's words.
        hint: What to do about it; the migration goes on from there when it is run again.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}\n  hint: {hint}")
        self.message = message
        self.hint = hint


class OperationRefused(StorageError):
    """A database hook said no."""

    def __init__(self, model: str, operation: str) -> None:
        super().__init__(f"a hook refused to {operation} {model}")
        self.model = model
        self.operation = operation


# --- the caller's, over HTTP -----------------------------------------------------------


class ErrorCode(Enum):
    """A refusal: its name goes on the wire, with a status and a sentence."""

    status: int
    message: str

    def __new__(cls, status: int, message: str) -> Self:
        """Give each member a value of its own: two may share status and sentence."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.status = status
        member.message = message
        return member


class CoreError(ErrorCode):
    """Refusals of the core endpoints."""

    BAD_REQUEST = 400, "Invalid JSON in request body"
    VALIDATION_ERROR = 400, "Validation Error"
    UNAUTHORIZED = 401, "Unauthorized"
    OPERATION_REFUSED = 403, "This was refused"
    UNSUPPORTED_MEDIA_TYPE = 415, "Unsupported media type"
    PAYLOAD_TOO_LARGE = 413, "Request body is too large"
    SERVICE_UNAVAILABLE = 503, "The service is busy. Please try again later."

    MISSING_OR_NULL_ORIGIN = 403, "Missing or null Origin"
    INVALID_ORIGIN = 403, "Invalid origin"
    INVALID_CALLBACK_URL = 403, "Invalid callbackURL"
    INVALID_REDIRECT_URL = 403, "Invalid redirectURL"
    INVALID_ERROR_CALLBACK_URL = 403, "Invalid errorCallbackURL"
    INVALID_NEW_USER_CALLBACK_URL = 403, "Invalid newUserCallbackURL"
    CROSS_SITE_NAVIGATION_LOGIN_BLOCKED = (
        403,
        "Cross-site navigation login blocked. This request appears to be a CSRF attack.",
    )

    EMAIL_PASSWORD_DISABLED = 400, "Email and password is not enabled"
    EMAIL_PASSWORD_SIGN_UP_DISABLED = 400, "Email and password sign up is not enabled"
    INVALID_EMAIL = 400, "Invalid email"
    INVALID_PASSWORD = 400, "Invalid password"
    INVALID_EMAIL_OR_PASSWORD = 401, "Invalid email or password"
    PASSWORD_TOO_SHORT = 400, "Password too short"
    PASSWORD_TOO_LONG = 400, "Password too long"
    PASSWORD_ALREADY_SET = 400, "User already has a password set"
    RESET_PASSWORD_DISABLED = 400, "Reset password isn't enabled"

    USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL = 422, "User already exists. Use another email."
    USER_NOT_FOUND = 400, "User not found"
    INVALID_USER = 401, "Invalid user"
    FAILED_TO_CREATE_USER = 422, "Failed to create user"
    FAILED_TO_UPDATE_USER = 422, "Failed to update user"
    FAILED_TO_DELETE_USER = 409, "Failed to delete user"
    FAILED_TO_GET_USER_INFO = 401, "Failed to get user info"

    FAILED_TO_CREATE_SESSION = 400, "Failed to create session"
    FAILED_TO_UPDATE_SESSION = 422, "Failed to update session"
    FAILED_TO_GET_SESSION = 401, "Failed to get session"
    SESSION_NOT_FRESH = 403, "Session is not fresh"
    SESSION_EXPIRED = 400, "Session expired. Re-authenticate to perform this action."
    METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED = (
        405,
        "POST method requires deferSessionRefresh to be enabled in session config",
    )

    INVALID_TOKEN = 401, "Invalid token"
    TOKEN_EXPIRED = 401, "Token expired"
    EMAIL_NOT_VERIFIED = 403, "Email not verified"
    VERIFICATION_EMAIL_NOT_ENABLED = 400, "Verification email isn't enabled"
    EMAIL_ALREADY_VERIFIED = 400, "Email is already verified"
    EMAIL_MISMATCH = 400, "Email mismatch"
    EMAIL_CAN_NOT_BE_UPDATED = 400, "Email can not be updated"
    CHANGE_EMAIL_DISABLED = 400, "Change email is disabled"

    FIELD_NOT_ALLOWED = 400, "Field not allowed to be set"
    MISSING_FIELD = 400, "Field is required"

    CREDENTIAL_ACCOUNT_NOT_FOUND = 400, "Credential account not found"
    ACCOUNT_NOT_FOUND = 400, "Account not found"
    FAILED_TO_UNLINK_LAST_ACCOUNT = 400, "You can't unlink your last account"
    NOT_FOUND = 404, "Not found"


class APIError(WatchwordError):
    """A refusal that becomes the response.

    Args:
        code: The refusal; its status and sentence are used unless others are given. The wire
            has a few without one: see `bare`.
        status: Another status, where the wire uses one code with several.
        message: Another sentence, where it names what was wrong.
        headers: Sent with the answer.
    """

    def __init__(
        self,
        code: ErrorCode,
        *,
        status: int | None = None,
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code: ErrorCode | None = code
        self.status = code.status if status is None else status
        self.message = code.message if message is None else message
        self.headers = dict(headers or {})
        super().__init__(f"{self.status} {code.name}: {self.message}")

    @classmethod
    def bare(
        cls, status: int, message: str = "", *, headers: Mapping[str, str] | None = None
    ) -> "APIError":
        """Return a refusal with a sentence and no code; without a sentence its body is empty."""
        refusal = cls(CoreError.BAD_REQUEST, status=status, message=message, headers=headers)
        refusal.code = None
        refusal.args = (f"{status}: {message}",)
        return refusal
