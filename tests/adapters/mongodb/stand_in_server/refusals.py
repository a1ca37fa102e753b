"""The errors of MongoDB, as its answers have them."""

from typing import Any, Final

NAMES: Final = {
    2: "BadValue",
    9: "FailedToParse",
    14: "TypeMismatch",
    20: "IllegalOperation",
    26: "NamespaceNotFound",
    27: "IndexNotFound",
    40: "ConflictingUpdateOperators",
    43: "CursorNotFound",
    48: "NamespaceExists",
    59: "CommandNotFound",
    66: "ImmutableField",
    67: "CannotCreateIndex",
    72: "InvalidOptions",
    85: "IndexOptionsConflict",
    86: "IndexKeySpecsConflict",
    112: "WriteConflict",
    121: "DocumentValidationFailure",
    168: "InvalidPipelineOperator",
    251: "NoSuchTransaction",
    256: "TransactionCommitted",
    263: "OperationNotSupportedInTransaction",
    11000: "DuplicateKey",
}
TRANSIENT: Final = frozenset({112, 251})


class Refusal(Exception):
    """An answer with `ok: 0`, or an entry of `writeErrors`.

    Args:
        code: The server's code.
        message: Its words.
        details: What else stands in the answer.
    """

    def __init__(self, code: int, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def answer(self, *, in_transaction: bool) -> dict[str, Any]:
        """Return it as the answer to a command."""
        labels = ["TransientTransactionError"] if in_transaction and self.code in TRANSIENT else []
        return {
            "ok": 0.0,
            "errmsg": self.message,
            "code": self.code,
            "codeName": NAMES.get(self.code, f"Location{self.code}"),
            **self.details,
            **({"errorLabels": labels} if labels else {}),
        }

    def write_error(self, index: int) -> dict[str, Any]:
        """Return it as what became of one write of several."""
        return {"index": index, "code": self.code, "errmsg": self.message, **self.details}


def write_conflict() -> Refusal:
    """Return what a transaction is told that meets another one."""
    return Refusal(
        112,
        "Caused by :: Write conflict during plan execution and yielding is disabled. :: Please "
        "retry your operation or multi-document transaction.",
    )
