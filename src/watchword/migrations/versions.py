"""States that a database was brought to, as they are written down in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from watchword.errors import ConfigurationError
from watchword.schema import Naming
from watchword.schema.snapshot import Snapshot

__all__ = ["Version", "read_version", "version_table_name", "written_version"]

_WITHOUT_PREFIX: Final = "watchword_"


def version_table_name(naming: Naming) -> str:
    """Return the name of the version table; it has a prefix even where tables have none."""
    return f"{naming.prefix or _WITHOUT_PREFIX}migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A state that a database was brought to.

    Args:
        number: From 1.
        snapshot: The tables as they were made, with those that were kept.
        fingerprint: Of the schema that was wanted.
        renames: That were asked for.
        release: Of Watchword, that made it.
        started_at: When it was begun, in UTC.
        finished_at: When it was done; None if it was not.
    """

    number: int
    snapshot: Snapshot
    fingerprint: str
    renames: Mapping[str, str]
    release: str
    started_at: datetime
    finished_at: datetime | None


def written_version(
    target: Snapshot, *, fingerprint: str, renames: Mapping[str, str], at: datetime
) -> dict[str, Any]:
    """Return what is recorded of a state that is about to be made, but for its number."""
    return {
        "fingerprint": fingerprint,
        "snapshot": json.dumps(target.to_json(), separators=(",", ":")),
        "renames": json.dumps(dict(renames)),
        "release": version("watchword"),
        "started_at": at,
    }


def read_version(row: Mapping[str, Any]) -> Version:
    """Return what was recorded.

    Raises:
        ConfigurationError: A newer release wrote what this one cannot read.
    """
    try:
        snapshot = Snapshot.from_json(json.loads(row["snapshot"]))
        renames = dict(json.loads(row["renames"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"Version {row['version']} of the database was made by Watchword {row['release']}, "
            "and this release cannot read it.",
            hint=f"Install Watchword {row['release']} or newer here, and run it again.",
        ) from error
    return Version(
        number=row["version"],
        snapshot=snapshot,
        fingerprint=row["fingerprint"],
        renames=renames,
        release=row["release"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
