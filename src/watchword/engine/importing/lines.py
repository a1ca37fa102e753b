"""Lines of a file that is being imported: bounded, decoded one by one, and cut into batches."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from watchword.engine.importing.outcome import LineRefused, Reason

__all__ = ["LONGEST_LINE", "Line", "Readable", "batches", "decoded", "is_blank", "read_lines"]

Line: TypeAlias = bytes | str | Mapping[str, Any]
"""One user: JSON, or the value that it stands for."""
_KINDS: Final = (bytes, str, Mapping)

LONGEST_LINE: Final = 1_048_576
"""Bytes of a line; one that is longer is refused, and not kept in memory."""
# A batch of the longest lines must not fill the memory either.
_LARGEST_BATCH: Final = 8 * LONGEST_LINE
_BYTE_ORDER_MARK: Final = "\ufeff"
_LONGEST_NAME: Final = 64


class Readable(Protocol):
    """What lines are read from, such as a file that was opened for bytes."""

    def readline(self, size: int, /) -> bytes:
        """Return what is left of a line, this many bytes at most; nothing at the end."""


def read_lines(stream: Readable) -> Iterator[bytes]:
    """Go through the lines of a stream; of one that is too long only the beginning is kept."""
    while line := stream.readline(LONGEST_LINE + 1):
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE + 1)
        yield line


def batches(
    lines: Iterable[Line], *, size: int, first: int
) -> Iterator[tuple[int, list[tuple[int, Line]]]]:
    """Cut lines into batches of this many, or of a few megabytes.

    Yields:
        How many lines were taken for it, and its lines with their numbers; blank ones are left
        out.
    """
    batch: list[tuple[int, Line]] = []
    taken, length = 0, 0
    for number, line in enumerate(lines, first):
        taken += 1
        length += len(line) if isinstance(line, _KINDS) else 0
        if not is_blank(line):
            batch.append((number, line))
        if taken == size or length >= _LARGEST_BATCH:
            yield taken, batch
            batch, taken, length = [], 0, 0
    if taken:
        yield taken, batch


def is_blank(line: Line) -> bool:
    """Tell whether a line is nothing but white space."""
    return isinstance(line, bytes | str) and not line.strip()


def decoded(line: object) -> Mapping[str, Any]:
    """Return what a line says.

    Raises:
        LineRefused: It is too long, no object in JSON, or says something twice.
    """
    if isinstance(line, Mapping):
        return line
    if not isinstance(line, bytes | str):
        kind = type(line).__name__
        raise LineRefused(Reason.INVALID_VALUE, f"Expected a line of JSON or a dict, not {kind}.")
    if len(line) > LONGEST_LINE:
        raise LineRefused(Reason.LINE_TOO_LONG, "The line is longer than 1 MiB.")
    try:
        text = line if isinstance(line, str) else line.decode()
        text = text.removeprefix(_BYTE_ORDER_MARK)
        value = msgspec.json.decode(text)
        # The strict reader keeps the last of two values in silence; this one only counts keys.
        json.loads(text, object_pairs_hook=_refuse_repeated)
    except (ValueError, RecursionError):  # of msgspec, and of UTF-8
        raise LineRefused(Reason.INVALID_JSON, "The line is no JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise LineRefused(Reason.INVALID_JSON, "The line is JSON, but no object.")
    return value


def _refuse_repeated(pairs: Sequence[tuple[str, Any]]) -> None:
    """Refuse an object that has two values for a key: which is meant nobody knows."""
    met: set[str] = set()
    for key, _ in pairs:
        if key in met:
            raise LineRefused(
                Reason.INVALID_JSON, f"The key {key[:_LONGEST_NAME]!r} stands there twice."
            )
        met.add(key)
