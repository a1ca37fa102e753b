"""The files of `watchword users import`: what is read, how far it came, and what was refused."""

import glob
import gzip
import hashlib
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from watchword.cli.console import Unable
from watchword.cli.private_files import draft_of, replace_file
from watchword.engine.importing import Imported, Refusal, Trace

__all__ = ["Checkpoint", "Report", "Source", "readable"]

_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1 << 20
# Addresses of people stand in both files.
_PRIVATE: Final = stat.S_IRUSR | stat.S_IWUSR


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import came.

    Args:
        digest: SHA-256 of all that was read.
        offset: How many bytes that was, unpacked.
        lines: And how many lines.
        so_far: What became of them.
        database: Which database it was, if that has a name.
        traces: Some who are in it since then.
        report: How many bytes the report had.
        report_name: Where that was.
        unreported: How many refused lines are not in it.
    """

    digest: str
    offset: int
    lines: int
    so_far: Imported
    database: str | None
    traces: tuple[Trace, ...]
    report: int
    report_name: str
    unreported: int

    @staticmethod
    def path_of(file: Path) -> Path:
        """Return where the checkpoint of a file is kept: beside it."""
        return file.with_name(f"{file.name}.import-checkpoint")

    @classmethod
    def read(cls, path: Path) -> "Checkpoint | None":
        """Return what an earlier run has left; None if that is nothing, or broken."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            # Whoever begins anew recognises all who are there: it takes longer, and no more.
            return None

    def write(self, path: Path) -> None:
        """Replace the checkpoint; whoever is killed meanwhile leaves the old one or the new."""
        with suppress(FileNotFoundError):  # another import of the file has tidied up
            replace_file(path, msgspec.json.encode(self))

    @staticmethod
    def tidy(path: Path) -> None:
        """Remove the drafts of programs that were killed while they wrote."""
        for draft in path.parent.glob(f"{glob.escape(draft_of(path))}*"):
            with suppress(OSError):
                draft.unlink()


class Source:
    """The lines' file, plain or packed by gzip; `-` is the standard input.

    Args:
        name: The path.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, name: str) -> None:
        self.path = None if name == "-" else Path(name)
        self._raw: BinaryIO = sys.stdin.buffer if self.path is None else self.path.open("rb")
        known = os.fstat(self._raw.fileno()) if self.path is not None else None
        self.is_regular = known is not None and stat.S_ISREG(known.st_mode)
        self.size = known.st_size if known is not None and self.is_regular else None
        self._begin()

    def _begin(self) -> None:
        if self.is_regular:
            self._raw.seek(0)
        peeking = self._raw if isinstance(self._raw, io.BufferedReader) else None
        is_packed = peeking is not None and peeking.peek(2)[:2] == _GZIP
        self._stream = gzip.GzipFile(fileobj=self._raw) if is_packed else self._raw
        self._digest = hashlib.sha256()
        self.offset = 0

    def readline(self, size: int, /) -> bytes:
        """Return what is left of a line, this many bytes at most."""
        return self._noted(self._stream.readline(size))

    @property
    def position(self) -> int:
        """How much of the file is read, packed as it is."""
        return self._raw.tell() if self.is_regular else self.offset

    @property
    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._digest.hexdigest()

    def skip(self, checkpoint: Checkpoint) -> bool:
        """Go to where an earlier run stopped; to the beginning, if this is another file."""
        while self.offset < checkpoint.offset:
            if not self._noted(self._stream.read(min(_PIECE, checkpoint.offset - self.offset))):
                break
        if self.digest == checkpoint.digest:
            return True
        self._begin()
        return False

    def _noted(self, piece: bytes) -> bytes:
        self._digest.update(piece)
        self.offset += len(piece)
        return piece

    def close(self) -> None:
        """Close the file, unless it is the standard input."""
        if self.path is not None:
            self._raw.close()


@contextmanager
def readable(name: str, source: Source) -> Iterator[None]:
    """Tell in a sentence of a file that cannot be read to its end.

    Raises:
        Unable: It cannot.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unable(
            f"{name} is damaged: what gzip has packed ends or changes near byte "
            f"{source.position:,}.",
            hint="What was imported stays. Fetch the file again, and run the same command.",
        ) from error
    except OSError as error:
        raise Unable(
            f"A file cannot be read or written: {error.strerror or error}.",
            hint="What was imported stays. The checkpoint of a file stands beside it: the folder "
            "has to be writable, or else pass the lines on the standard input.",
        ) from error


class Report:
    """The refused lines as JSON lines, if somebody wants them.

    Args:
        path: Where to; None keeps no report.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    @property
    def name(self) -> str:
        """Where it is; empty if there is none."""
        return "" if self._path is None else str(self._path.absolute())

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return 0 if self._file is None else self._file.tell()

    def open(self, found: Checkpoint | None) -> int:
        """Begin it, or go on after what a checkpoint knows of it.

        Nobody else may read it, not even if it was there for all to read.

        Returns:
            How many lines that an earlier run has refused are not in it.
        """
        before = 0 if found is None else found.so_far.refusals
        if self._path is None:
            return before
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, _PRIVATE), "r+b")
        known = os.fstat(self._file.fileno())
        if stat.S_ISREG(known.st_mode):
            self._path.chmod(_PRIVATE)
        if found is None or found.report_name != self.name or known.st_size < found.report:
            self._file.truncate(0)
            return before
        # What was told of a batch that the checkpoint does not know is told again.
        self._file.truncate(found.report)
        self._file.seek(0, os.SEEK_END)
        return found.unreported

    def add(self, refusals: Sequence[Refusal]) -> None:
        """Write a line for each, so that it is in the file if the program is killed."""
        if self._file is None:
            return
        for it in refusals:
            entry = {
                "line": it.line,
                "email": it.email,
                "code": it.reason,
                "sentence": it.sentence,
            }
            self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
