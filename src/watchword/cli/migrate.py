"""`watchword migrate`: bring a database up to date, or back."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.console import Colour, Unable, painted, reason_of, say
from watchword.cli.extras import require_module
from watchword.cli.loading import app_option
from watchword.cli.running import Place, database_option, place_of, run
from watchword.errors import MigrationFailed, StorageError
from watchword.migrations import Aim, Migrated, OnProgress, Progress, Renames
from watchword.migrations.plan import Plan

if TYPE_CHECKING:
    from watchword.migrations.history import Version
    from watchword.migrations.state import State

__all__ = ["explained", "migrate", "said_changes"]

_yes_option = click.option("--yes", is_flag=True, help="Do not ask before removing anything.")


@click.group(invoke_without_command=True)
@app_option
@database_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--sql", is_flag=True, help="Print the SQL that would be sent, and send none.")
@click.option("--to", type=click.IntRange(min=0), help="Go back to this version; 0 is nothing.")
@click.option("--rename", "renames", multiple=True, metavar="OLD:NEW", help="user.name:fullName")
@click.option("--drop", is_flag=True, help="Remove what nobody wants any more, with its values.")
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
    to: int | None,
    renames: Sequence[str],
    drop: bool,
    keep: bool,
    yes: bool,
) -> None:
    """Bring the tables up to what the application wants.

    It may be started by several processes at once: one does it, the others wait and find it
    done. Broken off at any point, it goes on from there when it is run again. What nobody
    wants any more is kept, unless you say otherwise.
    """
    ctx.obj = place_of(name, database_url)
    if ctx.invoked_subcommand is not None:
        return
    aim = Aim(renames=Renames.read(renames), drop=drop, keep=keep, to=to)
    with explained():
        if sql:
            _say_sql(run(ctx.obj.adapter, ctx.obj.migrator.statements(aim)))
        elif dry_run:
            _say_plan(run(ctx.obj.adapter, ctx.obj.migrator.plan(aim)))
        else:
            _migrate(ctx.obj, aim, asks=not yes)


@migrate.command()
@click.pass_obj
def status(place: Place) -> None:
    """Tell which version the database is at, and what is missing."""
    with explained():
        state = run(place.adapter, place.migrator.state())
    for version in state.versions:
        say(_line(version, is_last=version.number == state.version))
    plan = state.plan(Aim(keep=True))
    if state.newer_than is not None:
        say("The database is newer than this code.")
        raise click.exceptions.Exit(1)
    if state.is_recorded and not plan.changes:
        say("The database is up to date.")
        return
    say(f"{_counted(len(plan.changes), 'change')} to be made:" if plan.changes else _UNRECORDED)
    for line in said_changes(plan):
        say(line)
    say("Next: watchword migrate")
    raise click.exceptions.Exit(1)


_UNRECORDED = "The tables are there, but no version was recorded."


@migrate.command()
@click.option("--to", type=click.IntRange(min=0), help="The version; the one before the last.")
@_yes_option
@click.pass_obj
def downgrade(place: Place, *, to: int | None, yes: bool) -> None:
    """Go back to an earlier version, and remove what came after it with its values."""
    with explained():
        if to is None:
            to = _earlier(run(place.adapter, place.migrator.state()))
        _migrate(place, Aim(to=to), asks=not yes)


def _earlier(state: "State") -> int:
    if not state.versions:
        raise Unable(
            "No version is recorded, so there is none to go back to.",
            hint="`watchword migrate` records one.",
        )
    return state.versions[-2].number if len(state.versions) > 1 else 0


def _migrate(place: Place, aim: Aim, *, asks: bool) -> None:
    if asks and (aim.drop or aim.to is not None):
        _ask(run(place.adapter, place.migrator.plan(aim)))
    with _bar() as show:
        migrated = run(place.adapter, place.migrator.run(aim, on_progress=show))
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
        say(f"{_counted(len(plan.changes), 'change')} would be made; nothing was done.")
        say("Next: run it without --dry-run.")
    else:
        say("Nothing to do: the tables are as the application wants them.")


def _say_sql(statements: Sequence[str]) -> None:
    for sql in statements:
        code, _, comment = sql.partition("  -- ")
        say(f"{code};  -- {comment}" if comment else f"{code};")


def _say_migrated(migrated: Migrated) -> None:
    for change in migrated.changes:
        say(f"  {change}")
    for kept in migrated.kept:
        say(f"  = {kept} is kept, with its values")
    if migrated.changes:
        say(f"The database is at version {migrated.version} now.")
    else:
        say(f"Nothing to do: the database is at version {migrated.version}.")


def _line(version: "Version", *, is_last: bool) -> str:
    mark = painted("*", Colour.DONE) if is_last else " "
    when = version.started_at.strftime("%Y-%m-%d %H:%M UTC")
    tables = _counted(sum(not it.retired for it in version.snapshot.tables.values()), "table")
    return f"{mark} {version.number:>3}  {when}  {tables}  Watchword {version.release}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- running -----------------------------------------------------------------------------


@contextmanager
def explained() -> Iterator[None]:
    """Tell in a sentence of what is in the way.

    Raises:
        Unable: Something is.
    """
    try:
        yield
    except MigrationFailed as error:
        raise Unable(error.message, hint=error.hint) from error
    except StorageError as error:
        raise Unable(
            f"The database cannot be used: {reason_of(error)}.",
            hint="Look whether it runs and lets you in. What was done before stays done; run it "
            "again for the rest.",
        ) from error
    except KeyboardInterrupt as error:
        raise Unable(
            "Stopped; what was done stays done.", hint="Run it again for the rest."
        ) from error


@contextmanager
def _bar() -> Iterator[OnProgress | None]:
    """Show a bar to who sits before a terminal; it is gone in the end, and in no file."""
    if not sys.stderr.isatty():
        yield None
        return
    console = require_module("rich.console").Console(stderr=True)
    with require_module("rich.progress").Progress(console=console, transient=True) as bar:
        task: Any = bar.add_task("Migrating", total=None)

        def show(progress: Progress) -> None:
            rows = f", {progress.rows:,} rows" if progress.rows else ""
            bar.update(
                task,
                description=f"{progress.doing}{rows}",
                completed=progress.step - 1,
                total=progress.steps,
            )

        yield show
