"""Importing users: lines of JSON become people, each line once, or refused with its reason."""

from watchword.engine.importing.importer import import_users
from watchword.engine.importing.lines import LONGEST_LINE, Line, read_lines
from watchword.engine.importing.outcome import (
    Imported,
    OnBatch,
    Progress,
    Reason,
    Refusal,
    Trace,
    spread,
)
from watchword.engine.importing.presence import are_traces_there

__all__ = [
    "LONGEST_LINE",
    "Imported",
    "Line",
    "OnBatch",
    "Progress",
    "Reason",
    "Refusal",
    "Trace",
    "are_traces_there",
    "import_users",
    "read_lines",
    "spread",
]
