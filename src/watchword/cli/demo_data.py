"""Where the demo keeps what it knows: its database, and beside it its secret."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from watchword.cli.console import Unable
from watchword.cli.secret import new_secret
from watchword.crypto.keys import check_secret
from watchword.errors import ConfigurationError

__all__ = ["DemoSecret", "demo_secret", "find_database_file", "shown_database"]

_VARIABLE: Final = "WATCHWORD_SECRET"
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class DemoSecret:
    """The secret of a demo.

    Args:
        value: The secret itself.
        kept: Where it is kept, in words that may be printed.
        made: The file that was just made for it, if one was.
    """

    value: str = field(repr=False)
    kept: str
    made: Path | None = None


def find_database_file(url: str) -> Path | None:
    """Return the file of an SQLite database; None if it is in memory or on a server."""
    scheme, _, rest = url.partition(":///")
    name = rest.partition("?")[0]
    if scheme.partition("+")[0] != "sqlite" or name in {"", ":memory:"} or name[:5] == "file:":
        return None
    return Path(name).absolute()


def shown_database(url: str) -> str:
    """Return what may be printed of a database's URL: never who signs in there, and how."""
    file = find_database_file(url)
    # All up to the last @, for a password may hold any other character.
    return str(file or re.sub("//.*@", "//", url).partition("?")[0])


def demo_secret(database: str) -> DemoSecret:
    """Return the secret that was used with this database before, or a new one.

    Raises:
        Unable: The file that keeps it cannot be read or made, or holds something else.
    """
    given = os.environ.get(_VARIABLE)
    if given:
        return DemoSecret(given, f"given by {_VARIABLE}")
    file = find_database_file(database)
    if file is None:
        return DemoSecret(new_secret(), "for this start only; the next signs everybody out")
    path = file.with_name(f"{file.name}.secret")
    try:
        made = _make(path)
        path.chmod(_OWNER_ONLY)  # a copy may have been made with other permissions
        value = path.read_text(encoding="utf-8").strip()
        check_secret(value)
    except OSError as error:
        raise Unable(
            f"The secret in {path} cannot be read or made: {error.strerror}.",
            hint="Look at the permissions, or choose another file with --database.",
        ) from error
    except (UnicodeError, ConfigurationError) as error:
        raise Unable(
            f"There is no good secret in {path}.",
            hint="Remove the file, and the next start makes another; everybody signs in again.",
        ) from error
    return DemoSecret(value, f"{path}, so that a restart keeps people signed in", made)


def _make(path: Path) -> Path | None:
    """Make the file and return it; None if it exists, and then nothing is changed."""
    try:
        # Never open to others, not even for an instant; a link that waits there is not followed.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(new_secret())
    return path
