"""`watchword migrate`: bring a database up to date, or back."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from watchword.cli.console import Colour, Unable, counted, painted, say
from watchword.cli.loading import app_option
from watchword.cli.progress import progress_bar
from watchword.cli.running import (
    Place,
    database_option,
    explained,
    place_of,
    run,
    typed,
    with_options,
)
from watchword.migrations import Aim, Migrated, OnMigration, Progress, Renames
from watchword.migrations.plan import Plan

if TYPE_CHECKING:
    from watchword.migrations.state import State
    from watchword.migrations.versions import Version

__all__ = ["migrate", "said_changes"]

_dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and do nothing."
)
_sql_option = click.option(
    "--sql", is_flag=True, help="Print the SQL that changes the tables, and send none."
)
_yes_option = click.option("--yes", is_flag=True, help="Do not ask before removing anything.")


@click.group(invoke_without_command=True)
@app_option
@database_option
@_dry_run_option
@_sql_option
@click.option(
    "--to",
    type=click.IntRange(min=0),
    help="Go back to this version, and remove what came after; 0 removes every table.",
)
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD:NEW",
    help="What has another name now, such as user.name:user.fullName; may be repeated.",
)
@click.option("--drop", is_flag=True, help="Remove what no plugin or field wants any more.")
@click.option("--keep", is_flag=True, help="Go on with older code, and keep what came after it.")
@_yes_option
@click.pass_context
def migrate(
    ctx: click.Context,
    *,
    name: str | None,
    database_url: str | None,
    dry_run: bool,
    sql: bool,
    yes: bool,
    to: int | None,
    renames: Sequence[str],
    drop: bool,
    keep: bool,
) -> None:
    """Bring the tables up to what the application wants.

    It may be started by several processes at once: one does it, the others wait and find it
    done. Broken off at any point, it goes on from there when it is run again. What nobody
    wants any more is kept, unless you say otherwise.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx, ctx.invoked_subcommand)
        return
    aim = Aim(renames=Renames.read(renames), drop=drop, keep=keep, to=to)
    place = place_of(name, database_url)
    with explained():
        _do(ctx, place, aim, _Way(dry_run=dry_run, sql=sql, asks=not yes))


def _refuse_options_before(ctx: click.Context, subcommand: str) -> None:
    """Refuse what the subcommand would not hear of.

    Raises:
        click.UsageError: Something was said before it.
    """
    for parameter in ("dry_run", "sql", "to", "renames", "drop", "keep", "yes"):
        if ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"Say the options of {subcommand} behind it.", ctx)


@migrate.command()
@app_option
@database_option
@click.pass_context
def status(ctx: click.Context, *, name: str | None, database_url: str | None) -> None:
    """Tell which version the database is at, and what is missing."""
    place = _place(ctx, name, database_url)
    with explained():
        state = run(place.adapter, place.migrator.state())
    if not _say_state(state):
        say(with_options(ctx, "Next: watchword migrate"))
        raise click.exceptions.Exit(1)


def _say_state(state: "State") -> bool:
    """Tell how far a database is; return whether nothing is to be done."""
    for version in state.versions:
        say(_line(version, is_last=version.number == state.version))
    if state.pending is not None:
        say(f"Version {state.pending.number} was begun and not finished.")
    if state.newer_than is not None:
        say("The database is newer than this code.")
        return False
    plan = state.plan(Aim(keep=True))
    if state.is_recorded and not plan.changes:
        say("The database is up to date.")
        return True
    say(f"{counted(len(plan.changes), 'change')} to be made:" if plan.changes else _UNRECORDED)
    for line in said_changes(plan):
        say(line)
    for conflict in plan.conflicts:
        say(f"  ! {conflict}")
    return False


_UNRECORDED = "The tables are as the application wants them, but that was not recorded."


@migrate.command()
@app_option
@database_option
@_dry_run_option
@_sql_option
@click.option("--to", type=click.IntRange(min=0), help="The version; the one before the last.")
@_yes_option
@click.pass_context
def downgrade(
    ctx: click.Context,
    *,
    name: str | None,
    database_url: str | None,
    dry_run: bool,
    sql: bool,
    to: int | None,
    yes: bool,
) -> None:
    """Go back to an earlier version, and remove what came after it with its values."""
    place = _place(ctx, name, database_url)
    with explained():
        if to is None:
            to = _earlier(run(place.adapter, place.migrator.state()))
        _do(ctx, place, Aim(to=to), _Way(dry_run=dry_run, sql=sql, asks=not yes))


def _place(ctx: click.Context, name: str | None, database_url: str | None) -> Place:
    """Return where a subcommand works: as typed behind it, before it, or as the process has it."""
    return place_of(typed(ctx, "name") or name, typed(ctx, "database_url") or database_url)


def _earlier(state: "State") -> int:
    if not state.versions:
        raise Unable(
            "No version is recorded, so there is none to go back to.",
            hint="`watchword migrate` records one.",
        )
    return state.versions[-2].number if len(state.versions) > 1 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a migration is gone about."""

    dry_run: bool
    sql: bool
    asks: bool


def _do(ctx: click.Context, place: Place, aim: Aim, way: _Way) -> None:
    migrator = place.migrator
    if way.dry_run and way.sql:
        raise click.UsageError("Say --dry-run or --sql.", ctx)
    if way.sql:
        _say_sql(run(place.adapter, migrator.statements(aim)))
        return
    if way.dry_run:
        _say_plan(run(place.adapter, migrator.plan(aim)))
        return
    if way.asks and (aim.drop or aim.to is not None):
        _ask(run(place.adapter, migrator.plan(aim)))
    with _bar() as show:
        migrated = run(place.adapter, migrator.run(aim, on_progress=show))
    _say_migrated(migrated)


def _ask(plan: Plan) -> None:
    """Ask before anything is removed.

    Raises:
        Unable: Nobody is there to be asked, or the answer is no.
    """
    lost = [it for it in plan.changes if it.sign == "-"]
    if not lost:
        return
    for line in said_changes(plan):
        say(line)
    hint = "Say --yes to remove it all the same."
    if not sys.stdin.isatty():
        raise Unable("This would remove tables or columns with their values.", hint=hint)
    if not click.confirm("Remove these, with their values?", default=False):
        raise Unable("Nothing was changed.", hint=hint)


# --- what is said ------------------------------------------------------------------------


def said_changes(plan: Plan) -> Iterator[str]:
    """Return a line for each change, and for what is kept."""
    colours = {"+": Colour.DONE, "-": Colour.WRONG, "~": Colour.PLACE}
    for change in plan.changes:
        yield f"  {painted(change.sign, colours[change.sign])} {change}"
    for kept in plan.kept:
        yield f"  = {kept} is kept, with its values"


def _say_plan(plan: Plan) -> None:
    for line in said_changes(plan):
        say(line)
    for conflict in plan.conflicts:
        say(f"  ! {conflict}")
    if plan.conflicts:
        raise Unable("This cannot be done.", hint="Mend what is marked with an exclamation mark.")
    if plan.changes:
        say(f"{counted(len(plan.changes), 'change')} would be made; nothing was done.")
        say("Next: run it without --dry-run.")
    else:
        say("Nothing to do: the tables are as the application wants them.")


def _say_sql(statements: Sequence[str]) -> None:
    if not statements:
        say("-- Nothing to do: the tables are as the application wants them.")
        return
    for sql in statements:
        say(f"{sql};")
    say("-- Then run `watchword migrate`, which records the version.")


def _say_migrated(migrated: Migrated) -> None:
    for change in migrated.changes:
        say(f"  {change}")
    for kept in migrated.kept:
        say(f"  = {kept} is kept, with its values")
    if migrated.changes:
        say(f"The database is at version {migrated.version} now.")
    elif migrated.is_new:
        say(f"The tables were right already; recorded as version {migrated.version}.")
    else:
        say(f"Nothing to do: the database is at version {migrated.version}.")


def _line(version: "Version", *, is_last: bool) -> str:
    mark = painted("*", Colour.DONE) if is_last else " "
    when = version.started_at.strftime("%Y-%m-%d %H:%M UTC")
    tables = counted(sum(not it.retired for it in version.snapshot.tables.values()), "table")
    return f"{mark} {version.number:>3}  {when}  {tables}  Watchword {version.release}"


# --- running -----------------------------------------------------------------------------


@contextmanager
def _bar() -> Iterator[OnMigration]:
    with progress_bar("Migrating") as update:

        def show(progress: Progress) -> None:
            rows = f", {progress.rows:,} rows" if progress.rows else ""
            update(
                description=f"{progress.doing}{rows}",
                completed=progress.step - 1,
                total=progress.steps,
            )

        yield show
