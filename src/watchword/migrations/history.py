"""Our own version table: every state that a database was brought to, the last one last."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
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
from watchword.migrations.versions import (
    Version,
    read_version,
    version_table_name,
    written_version,
)
from watchword.schema import Field, Naming
from watchword.schema.snapshot import Snapshot

__all__ = ["History"]


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
            return [read_version(dict(row)) for row in rows.mappings()]
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
                **written_version(target, fingerprint=fingerprint, renames=renames, at=at),
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
