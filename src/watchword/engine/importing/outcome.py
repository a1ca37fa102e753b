"""What becomes of the lines of an import: counts, and a reason for each that is refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

__all__ = [
    "Imported",
    "LineRefused",
    "OnBatch",
    "Progress",
    "Reason",
    "Refusal",
    "Trace",
    "spread",
]


class Reason(StrEnum):
    """Why a line is refused, as a report has it."""

    LINE_TOO_LONG = "line_too_long"
    INVALID_JSON = "invalid_json"
    UNKNOWN_FIELD = "unknown_field"
    INVALID_VALUE = "invalid_value"
    INVALID_EMAIL = "invalid_email"
    INVALID_PASSWORD_HASH = "invalid_password_hash"  # noqa: S105 - the name of a refusal
    EMAIL_TAKEN = "email_taken"
    ID_TAKEN = "id_taken"
    ACCOUNT_TAKEN = "account_taken"
    VALUE_TAKEN = "value_taken"
    NO_SUCH_REFERENCE = "no_such_reference"
    REFUSED_BY_HOOK = "refused_by_hook"


class LineRefused(Exception):
    """A line cannot be imported; caught by the importer, which goes on with the next one."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A line that was not imported.

    Args:
        line: Its number; the first is 1.
        email: The address in it, if there is one that can be read.
        reason: Why, for programs.
        sentence: Why, for people; it holds neither a password's hash nor a token.
    """

    line: int
    email: str | None
    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """How many lines came to which end; blank lines do not count.

    Args:
        imported: Users who were written, or would be.
        already_there: Lines whose user an earlier run has written.
        refused: The others, by reason.
    """

    imported: int = 0
    already_there: int = 0
    refused: Mapping[Reason, int] = field(default_factory=dict)

    @property
    def refusals(self) -> int:
        """How many lines were refused."""
        return sum(self.refused.values())

    def plus(self, other: "Imported") -> "Imported":
        """Return both together."""
        reasons = sorted({*self.refused, *other.refused})
        return replace(
            self,
            imported=self.imported + other.imported,
            already_there=self.already_there + other.already_there,
            refused={it: self.refused.get(it, 0) + other.refused.get(it, 0) for it in reasons},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One user of a batch, by whom a later run recognises the database that it was written to."""

    id: str
    email: str


def spread(traces: Sequence[Trace], number: int) -> list[Trace]:
    """Return the first, the last, and some between, this many at most."""
    if len(traces) <= number:
        return list(traces)
    return [traces[it * (len(traces) - 1) // (number - 1)] for it in range(number)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is known after a batch; what it tells of is committed.

    Args:
        lines: How many lines were taken so far, blank ones too; none beyond was looked at.
        so_far: What became of them.
        refusals: Those of this batch, in the order of their lines.
        traces: A few users of this batch who are in the database now.
    """

    lines: int
    so_far: Imported
    refusals: Sequence[Refusal]
    traces: Sequence[Trace]


OnBatch: TypeAlias = Callable[[Progress], None]
"""Hears of each batch when it is committed, before another line is taken."""
