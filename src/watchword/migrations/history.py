"""Our own version table: every state that a database was brought to, the last one last."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    RowMapping,
    Table,
    delete,
    insert,
    inspect,
    select,
    update,
)

from watchword.adapters.sqlalchemy.tables import column_type
from watchword.errors import ConfigurationError
from watchword.migrations.calls import TABLE_OPTIONS
from watchword.schema import Field, Naming
from watchword.schema.snapshot import Snapshot

__all__ = ["History", "Version", "version_table_name"]

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


class History:
    """Reads and writes the version table."""

    def __init__(self, naming: Naming) -> None:
        def column(name: str, field: Field) -> Column[Any]:
            return Column(name, column_type(field), nullable=not field.required)

        self.has_prefix = bool(naming.prefix)
        self.table = Table(
            version_table_name(naming),
            MetaData(schema=naming.schema),
            Column("version", Integer, autoincrement=False),
            column("fingerprint", Field("string", max_length=64)),
            column("snapshot", Field("text")),
            column("renames", Field("text")),
            column("release", Field("string", max_length=64)),
            column("started_at", Field("datetime")),
            column("finished_at", Field("datetime", required=False)),
            PrimaryKeyConstraint("version", name=f"pk_{version_table_name(naming)}"),
            comment="States that the tables were brought to, the last one last",
            **TABLE_OPTIONS,
        )

    def read(self, connection: Connection) -> list[Version]:
        """Return every state, the first one first.

        Raises:
            ConfigurationError: A newer release, or somebody else, wrote what this one cannot
                read.
        """
        if not inspect(connection).has_table(self.table.name, schema=self.table.schema):
            return []
        rows = connection.execute(select(self.table).order_by(self.table.c.version))
        try:
            return [_version(row) for row in rows.mappings()]
        except (ValueError, TypeError) as error:  # SQLite keeps anything as an instant
            raise ConfigurationError(
                f"What is no time stands for one in {self.table.name}, and this release cannot "
                "read it.",
                hint="Put back what stood there, or install the newest Watchword here, and run "
                "it again.",
            ) from error

    def make(self, connection: Connection) -> None:
        """Make the table, if it is not there."""
        self.table.create(connection, checkfirst=True)

    def begin(
        self,
        connection: Connection,
        target: Snapshot,
        *,
        fingerprint: str,
        renames: Mapping[str, str],
        at: datetime,
    ) -> int:
        """Write down what is about to be done; whatever was not finished before is forgotten."""
        connection.execute(delete(self.table).where(self.table.c.finished_at.is_(None)))
        last = connection.execute(
            select(self.table.c.version).order_by(self.table.c.version.desc()).limit(1)
        ).scalar()
        number = int(last or 0) + 1
        connection.execute(
            insert(self.table).values(
                version=number,
                fingerprint=fingerprint,
                snapshot=json.dumps(target.to_json(), separators=(",", ":")),
                renames=json.dumps(dict(renames)),
                release=version("watchword"),
                started_at=at,
            )
        )
        return number

    def finish(self, connection: Connection, number: int, at: datetime) -> None:
        """Write down that it is done."""
        done = update(self.table).where(self.table.c.version == number)
        connection.execute(done.values(finished_at=at))

    def go_back(self, connection: Connection, number: int) -> None:
        """Forget the states after one, in one statement."""
        connection.execute(delete(self.table).where(self.table.c.version > number))


def _version(row: RowMapping) -> Version:
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
