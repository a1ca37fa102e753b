"""What commands print: words and symbols first, colours only where somebody sees them."""

import os
import re
import sys
from enum import StrEnum
from typing import Final, TextIO

from watchword.errors import StorageError, WatchwordError

__all__ = [
    "Colour",
    "Unable",
    "complain",
    "counted",
    "painted",
    "reason_of",
    "say",
    "wants_colours",
]

# What PyMongo and MongoDB add to their words: all that is known of each server, an answer as it
# came, and the command that was not permitted, with people's values in it.
_ADDED: Final = re.compile(
    r" \(configured timeouts: |, Timeout: |, full error: | to execute command \{"
)


class Colour(StrEnum):
    """The colours, by what they are for: each is a terminal's control sequence."""

    DONE = "\x1b[32m"
    WRONG = "\x1b[1;31m"
    PLACE = "\x1b[1;36m"
    QUIET = "\x1b[2m"


class Unable(WatchwordError):
    """Something outside the program is in the way, and the user can change it; exit code 1.

    Args:
        message: What is in the way.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def say(text: str = "") -> None:
    """Print a line at once, also where the output is a file or a pipe."""
    print(text, flush=True)  # noqa: T201 - the one place that prints


def complain(message: str, *, hint: str) -> None:
    """Print what is wrong and what to do about it, where errors go."""
    first, *more = hint.splitlines()
    lines = [
        f"{painted('error', Colour.WRONG, sys.stderr)}  {message}",
        f"       {painted('hint', Colour.QUIET, sys.stderr)}  {first}",
        *(f"             {line}" for line in more),
    ]
    print(*lines, sep="\n", file=sys.stderr, flush=True)  # noqa: T201 - the other one


def reason_of(error: StorageError) -> str:
    """Return the driver's own words, which say more than ours; their first line."""
    cause = error.__cause__
    words = str(getattr(cause, "orig", cause) or error).strip() or str(error)
    return _ADDED.split(words.splitlines()[0])[0].rstrip(".")


def counted(number: int, noun: str) -> str:
    """Return how many there are, in words: `1 row`, `1,200 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def painted(text: str, colour: Colour, stream: TextIO | None = None) -> str:
    """Return a text in a colour, if it goes to a terminal whose user wants colours."""
    return f"{colour}{text}\x1b[0m" if wants_colours(stream or sys.stdout) else text


def wants_colours(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal whose user wants colours."""
    refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or os.name == "nt"
    return stream.isatty() and not refused
