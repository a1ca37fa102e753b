"""How far a database is: what was recorded, what is there, and what is to be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from watchword.errors import ConfigurationError, MigrationRefused
from watchword.migrations.aims import Aim
from watchword.migrations.live import Live
from watchword.migrations.plan import Plan, make_plan
from watchword.migrations.renames import Renames
from watchword.migrations.versions import Version
from watchword.schema import camel_case
from watchword.schema.core import CORE_VERSION
from watchword.schema.snapshot import Snapshot, TableState

__all__ = ["State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far a database is.

    Args:
        wanted: As it should be.
        versions: What it was brought to, the last one last.
        pending: What was begun and not finished.
        live: What is there.
        has_prefix: Tables of ours are told from others by their names.
    """

    wanted: Snapshot
    versions: Sequence[Version]
    pending: Version | None
    live: Live
    has_prefix: bool = True

    @classmethod
    def of(cls, wanted: Snapshot, versions: Sequence[Version], *, has_prefix: bool = True) -> Self:
        """Return what was recorded; nobody has looked at the tables yet."""
        finished = [it for it in versions if it.finished_at is not None]
        pending = next((it for it in versions if it.finished_at is None), None)
        live = Live(Snapshot())
        return cls(
            wanted=wanted, versions=finished, pending=pending, live=live, has_prefix=has_prefix
        )

    def looked_for(self, to: int | None) -> tuple[Snapshot, Snapshot | None]:
        """Return which tables are to be read: what matters, and what is known besides.

        Raises:
            ConfigurationError: There is no such version.
        """
        return (self.wanted, self.recorded) if to is None else (self.target(to), self.begun)

    @property
    def version(self) -> int:
        """The number of the last version; 0 if there is none."""
        return self.versions[-1].number if self.versions else 0

    @property
    def recorded(self) -> Snapshot | None:
        """What was made; None if nobody wrote it down."""
        return self.versions[-1].snapshot if self.versions else None

    @property
    def begun(self) -> Snapshot | None:
        """What was made, with what somebody began to make and did not come to the end of."""
        if self.recorded is None or self.pending is None:
            return self.pending.snapshot if self.pending else self.recorded
        tables = dict(self.recorded.tables)
        for name, table in self.pending.snapshot.tables.items():
            tables[name] = _joined(tables[name], table) if name in tables else table
        return self.recorded.with_tables(tables.values())

    @property
    def is_recorded(self) -> bool:
        """Tell whether the last version is of the schema that is wanted."""
        return bool(self.versions) and self._is_wanted(self.versions[-1]) and not self.pending

    def is_at(self, aim: Aim) -> bool:
        """Tell whether what is asked for is what was recorded last."""
        if aim.to is None:
            return self.is_recorded
        return self.version == aim.to and not self.pending

    @property
    def newer_than(self) -> Version | None:
        """Return the version that the application's code is of, if the database is ahead.

        It is if it has something in use that the code, which had its turn before, does not know.
        """
        if self.recorded is None or not _unknown(self.recorded, self.wanted):
            return None
        earlier = (it for it in reversed(self.versions) if self._is_wanted(it))
        return next(earlier, None)

    def _is_wanted(self, version: Version) -> bool:
        return version.fingerprint == self.wanted.fingerprint

    def check_not_newer(self) -> None:
        """Refuse to undo what newer code did.

        Raises:
            MigrationRefused: The database is ahead of the code.
        """
        if self.recorded is not None and self.recorded.core > CORE_VERSION:
            release = self.versions[-1].release
            raise MigrationRefused(
                f"The database was made by a newer Watchword, {release}.",
                hint=f"Install Watchword {release} or newer here.",
            )
        code = self.newer_than
        if code is not None:
            raise MigrationRefused(
                f"The database is at version {self.version}, and the schema of this code is "
                f"version {code.number}: the database is newer than the code.",
                hint="Start the newer code.\nOr `watchword migrate --keep`, which keeps what came "
                f"after, unused; or `--to {code.number}`, which removes it with its values.",
            )

    def plan(self, aim: Aim) -> Plan:
        """Return what is to be done.

        Raises:
            ConfigurationError: The database is newer than the code, a rename names nothing,
                or there is no such version.
        """
        if aim.to is not None:
            return self._plan_back(aim.to)
        if not aim.keep:
            self.check_not_newer()
        return make_plan(
            self.live.snapshot,
            self.wanted,
            recorded=self.recorded,
            renames=replace(aim.renames, earlier=self.pending.renames if self.pending else {}),
            drop=aim.drop,
            adopts=aim.keep or self.has_prefix,
        )

    def renames(self, aim: Aim) -> Mapping[str, str]:
        """Return what is asked for, and was when somebody did not come to the end."""
        if aim.to is not None or self.pending is None:
            return aim.renames.asked
        return {**self.pending.renames, **aim.renames.asked}

    def _plan_back(self, to: int) -> Plan:
        begun = [self.pending] if self.pending else []
        undone = [it for it in (*self.versions, *begun) if it.number > to]
        return make_plan(
            self.live.snapshot,
            self.target(to),
            recorded=_as_present(self.begun, self.live.snapshot),
            renames=Renames(earlier=_inverted([it.renames for it in undone])),
            drop=True,
        )

    def target(self, number: int) -> Snapshot:
        """Return what a version was.

        Raises:
            ConfigurationError: There is none with this number.
        """
        if number == 0:
            return Snapshot(schema=self.wanted.schema)
        for version in self.versions:
            if version.number == number:
                return version.snapshot
        known = ", ".join(str(it.number) for it in self.versions) or "none"
        raise ConfigurationError(
            f"The database never was at version {number}.",
            hint=f"`watchword migrate status` shows its versions: {known}.",
        )


def _joined(before: TableState, after: TableState) -> TableState:
    """Return a table with what it has before and after a change."""
    return replace(
        after,
        columns={**before.columns, **after.columns},
        uniques=tuple(dict.fromkeys((*before.uniques, *after.uniques))),
        indexes=tuple(dict.fromkeys((*before.indexes, *after.indexes))),
        references=tuple(dict.fromkeys((*before.references, *after.references))),
    )


def _as_present(known: Snapshot | None, present: Snapshot) -> Snapshot | None:
    """Leave out what is not there: of what was to be renamed it has one name, or the other."""
    if known is None:
        return None
    there = [it for it in known.tables.values() if it.name in present.tables]
    return known.with_tables(
        replace(
            table,
            columns={
                name: column
                for name, column in table.columns.items()
                if name in present.tables[table.name].columns
            },
        )
        for table in there
    )


def _unknown(recorded: Snapshot, wanted: Snapshot) -> set[tuple[str, str]]:
    """Return the fields that are in use in the database and that are not wanted."""
    return _in_use(recorded) - _in_use(wanted)


def _in_use(snapshot: Snapshot) -> set[tuple[str, str]]:
    tables = [it for it in snapshot.tables.values() if not it.retired]
    return {
        (table.model, column.field)
        for table in tables
        for column in table.columns.values()
        if not column.retired
    }


def _inverted(steps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the renames that undo several steps of renames at once; models first."""
    models: dict[str, str] = {}
    fields: dict[tuple[str, str], str] = {}
    for step in steps:
        asked = {camel_case(old): camel_case(new) for old, new in step.items()}
        for old, new in asked.items():
            if "." not in old:
                models[new] = models.pop(old, old)
                moved = [it for it in fields if it[0] == old]
                fields |= {(new, name): fields.pop((old, name)) for _, name in moved}
        for old, new in asked.items():
            # The model of a field is called what it is called after the step.
            model, is_field, name = old.partition(".")
            if is_field:
                fields[model, new.rpartition(".")[2]] = fields.pop((model, name), name)
    undone = {f"{models.get(model, model)}.{now}": was for (model, now), was in fields.items()}
    return {**models, **undone}
