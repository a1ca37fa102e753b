"""Whom a dry run has met: what the lines before would have put into a line's way."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from watchword.engine.importing.newcomer import Newcomer
from watchword.engine.importing.outcome import LineRefused, Reason
from watchword.engine.importing.presence import is_same_instant

__all__ = ["Seen"]

# Of this many lines the addresses are remembered: some 150 MB.
_REMEMBERED: Final = 500_000


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a later line is compared with; digests in the place of values."""

    email: int
    id: int | None
    password_hash: int | None
    linked: frozenset[int]
    created_at: datetime | None

    @classmethod
    def of(cls, newcomer: Newcomer) -> "_Mark":
        """Return the mark of a line."""
        return cls(
            hash(newcomer.email),
            None if newcomer.id is None else hash(newcomer.id),
            None if newcomer.password_hash is None else hash(newcomer.password_hash),
            frozenset(map(hash, newcomer.linked)),
            newcomer.created_at,
        )

    def is_made_of(self, line: "_Mark", resolution: timedelta) -> bool:
        """Tell whether this one, once written, would be recognised as the user of a line."""
        if not self.linked >= line.linked:
            return False
        if line.password_hash is not None and self.password_hash is None:
            return False
        if line.id is not None:
            return line.id == self.id
        if line.linked or (
            line.password_hash is not None and line.password_hash == self.password_hash
        ):
            return True
        if line.created_at is None or self.created_at is None:
            return False
        return is_same_instant(line.created_at, self.created_at, resolution)


@dataclass(slots=True)
class Seen:
    """Lines that would have been written; digests alone, and of so many lines at most."""

    resolution: timedelta
    _marks: dict[int, _Mark] = field(default_factory=dict)

    def remember(self, newcomers: Iterable[Newcomer]) -> None:
        """Keep what later lines must not have."""
        for newcomer in newcomers:
            if len(self._marks) < _REMEMBERED:
                self._marks |= dict.fromkeys(map(hash, newcomer.keys), _Mark.of(newcomer))

    def has(self, newcomer: Newcomer) -> bool:
        """Tell whether the user of a line would be there by an earlier one.

        Raises:
            LineRefused: An earlier line has its address, id or account, and is another one.
        """
        mark = _Mark.of(newcomer)
        met = {key[0]: self._marks[hash(key)] for key in newcomer.keys if hash(key) in self._marks}
        if "id" in met and met["id"].email != mark.email:
            raise _taken("id")
        if "email" in met:
            if not met["email"].is_made_of(mark, self.resolution):
                raise _taken("email")
            return True
        if "account" in met:
            raise _taken("account")
        return False


_TAKEN: Final = {
    "email": Reason.EMAIL_TAKEN,
    "id": Reason.ID_TAKEN,
    "account": Reason.ACCOUNT_TAKEN,
}


def _taken(kind: str) -> LineRefused:
    return LineRefused(_TAKEN[kind], f"An earlier line has the same {kind}.")
