"""`watchword users import`: bring in the users of another system, with their passwords."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import click

from watchword.cli.console import Colour, Unable, counted, painted, reason_of, say
from watchword.cli.loading import App, app_option, load_app
from watchword.cli.progress import progress_bar
from watchword.cli.running import run, with_options
from watchword.cli.users_import_database import digest_of_database
from watchword.cli.users_import_file import Checkpoint, Report, Source, readable
from watchword.engine.importing import (
    Imported,
    Progress,
    Refusal,
    Trace,
    are_traces_there,
    import_users,
    read_lines,
    spread,
)
from watchword.errors import ConfigurationError, StorageError
from watchword.migrations.start import find_vital

__all__ = ["import_command"]

# So many refusals are shown where they happen; a report has all of them.
_SHOWN: Final = 10
_MOST_LINES: Final = 10_000
# So many users of an import stand for it, by whom its database is known.
_TRACES: Final = 16

Show: TypeAlias = Callable[[int, int], None]
"""Hears how many bytes of the file are read, and how many lines."""


@click.command("import")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)
)
@app_option
@click.option("--dry-run", is_flag=True, help="Check every line, and write nothing.")
@click.option(
    "--batch-size",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1, max=_MOST_LINES),
    help="How many users are written at a time.",
)
@click.option(
    "--report",
    "report_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the refused lines with their reasons there, as JSON lines.",
)
def import_command(
    *, file: str, name: str | None, dry_run: bool, batch_size: int, report_path: Path | None
) -> None:
    """Bring in users from FILE, a line of JSON for each; - is the standard input.

    Passwords come as hashes, and go on to work. A line that cannot be imported is refused, and
    the others go in. Broken off at any point, it goes on from there when it is run again;
    nobody is imported twice.
    """
    _refuse_same_file(file, report_path)
    app = _durable(load_app(name))
    with closing(_opened(file)) as source, closing(Report(report_path)) as report:
        task = _Task(file, source, report, dry_run=dry_run, batch_size=batch_size)
        done = _run(app, task)
    (_say_what_would_be if dry_run else _say_what_was)(done)
    if done.refusals:
        raise _refused(done, task, report_path)


def _refuse_same_file(file: str, report_path: Path | None) -> None:
    """Refuse to write a report over the users.

    Raises:
        click.BadParameter: That was asked for.
    """
    if report_path is None or not report_path.exists():
        return
    if _is_same(report_path, file):
        raise click.BadParameter("it is the file of the users.", param_hint="--report")


def _is_same(report_path: Path, file: str) -> bool:
    """Tell whether both are one file, also if the shell has opened it as the standard input."""
    with suppress(OSError):  # what has no number is no file; what is gone is told of when opened
        users = os.fstat(sys.stdin.fileno()) if file == "-" else Path(file).stat()
        return os.path.samestat(report_path.stat(), users)
    return False


def _durable(app: App) -> App:
    if not app.adapter.capabilities.durable:
        raise ConfigurationError(
            "The application keeps its users in memory, where this command's end is theirs.",
            hint="Give the instance a database, such as sqlite:///app.db.",
        )
    return app


def _opened(file: str) -> Source:
    try:
        return Source(file)
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be opened: {error.strerror or error}.",
            hint="Name a file that you may read, or - for the standard input.",
        ) from error


# --- running -----------------------------------------------------------------------------


def _show_nothing(_position: int, _lines: int) -> None:
    """Stand where nobody looks."""


@dataclass(slots=True)
class _Task:
    """An import on its way: what is known of it if it has no end."""

    file: str
    source: Source
    report: Report
    dry_run: bool = field(kw_only=True)
    batch_size: int = field(kw_only=True)
    show: Show = _show_nothing
    begun_at: Checkpoint | None = None
    lines: int = 0
    so_far: Imported = field(default_factory=Imported)
    database: str | None = None
    traces: list[Trace] = field(default_factory=list)
    unreported: int = 0
    shown: list[Refusal] = field(default_factory=list)

    @property
    def checkpoint_path(self) -> Path | None:
        """Where it is noted how far this came, if it is."""
        path = self.source.path
        if self.dry_run or path is None or not self.source.is_regular:
            return None
        return Checkpoint.path_of(path)

    async def work(self, app: App) -> Imported:
        """Import what is not imported yet."""
        await _require_unique_keys(app)
        if self.checkpoint_path is not None:
            self.database = await digest_of_database(app.adapter, app.schema)
        await self._find_beginning(app)
        self._note()  # so that a folder that takes no checkpoint is found out now
        await import_users(
            app.instance.store,
            read_lines(self.source),
            batch_size=self.batch_size,
            dry_run=self.dry_run,
            first_line=self.lines + 1,
            on_batch=partial(self._heard, before=self.lines, counts=self.so_far),
        )
        if self.checkpoint_path is not None:
            self.checkpoint_path.unlink(missing_ok=True)
            Checkpoint.tidy(self.checkpoint_path)
        return self.so_far

    async def _find_beginning(self, app: App) -> None:
        """Go to where an earlier run stopped, if it was with this file and this database."""
        path = self.checkpoint_path
        found = None if path is None else Checkpoint.read(path)
        if found is not None and await self._is_here(app, found) and self.source.skip(found):
            self.lines, self.so_far, self.traces = found.lines, found.so_far, [*found.traces]
            self.begun_at = found
            say(f"Going on after line {found.lines:,}, where it was stopped.")
        self.unreported = self.report.open(self.begun_at)

    async def _is_here(self, app: App, found: Checkpoint) -> bool:
        """Tell whether it was this database, beyond doubt: whoever is skipped is in no database.

        To begin anew only takes longer.
        """
        if found.database is None or found.database != self.database or not found.traces:
            return False
        return await are_traces_there(app.instance.store, found.traces)

    def _heard(self, progress: Progress, *, before: int, counts: Imported) -> None:
        self.report.add(progress.refusals)
        self.shown += progress.refusals[: _SHOWN - len(self.shown)]
        self.lines = before + progress.lines
        self.so_far = counts.plus(progress.so_far)
        self.traces = spread([*self.traces, *progress.traces], _TRACES)
        self._note()
        self.show(self.source.position, self.lines)

    def _note(self) -> None:
        if self.checkpoint_path is None:
            return
        Checkpoint(
            digest=self.source.digest,
            offset=self.source.offset,
            lines=self.lines,
            so_far=self.so_far,
            database=self.database,
            traces=tuple(self.traces),
            report=self.report.size,
            report_name=self.report.name,
            unreported=self.unreported,
        ).write(self.checkpoint_path)

    @property
    def what_stays(self) -> str:
        """What there is after it was broken off."""
        return "; nothing was written" if self.dry_run else "; what was imported stays"

    @property
    def how_to_go_on(self) -> str:
        """What to do after it was broken off."""
        if self.dry_run:
            return "Run it again from the beginning."
        if self.checkpoint_path is None:
            return "Run it again with the same lines: whoever was imported is recognised."
        return "Run the same command again: it goes on from there, and imports nobody twice."


def _run(app: App, task: _Task) -> Imported:
    with _explained(task), readable(task.file, task.source), _bar(task.source) as task.show:
        return run(app.adapter, task.work(app))


async def _require_unique_keys(app: App) -> None:
    """Refuse a database that would take the same person twice, and say nothing.

    Raises:
        Unable: It is such a one.
    """
    vital = await find_vital(app.adapter, app.schema)
    if vital:
        ctx = click.get_current_context()
        mends = dict.fromkeys(with_options(ctx, it.mend) for it in vital)
        raise Unable(
            "The database is not as the schema wants it; nothing was imported.",
            hint="\n".join([*(f"{it.message}." for it in vital), *mends]),
        )


@contextmanager
def _explained(task: _Task) -> Iterator[None]:
    """Tell in a sentence of what is in the way."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Unable(
            f"Stopped after {counted(task.lines, 'line')}{task.what_stays}.",
            hint=task.how_to_go_on,
        ) from error
    except StorageError as error:
        raise Unable(
            f"The database cannot be used: {reason_of(error)}.",
            hint="Look whether it runs, lets you in and has its tables. What was imported stays.\n"
            + task.how_to_go_on,
        ) from error


@contextmanager
def _bar(source: Source) -> Iterator[Show]:
    start, first = time.monotonic(), None
    with progress_bar("Importing", total=source.size) as update:

        def show(position: int, lines: int) -> None:
            nonlocal first
            first = lines if first is None else first
            rate = (lines - first) / max(time.monotonic() - start, 0.001)
            words = f"Importing, {lines:,} lines, {rate:,.0f}/s"
            update(description=words, completed=position)

        yield show


# --- what is said ------------------------------------------------------------------------


def _say_what_would_be(done: Imported) -> None:
    _say_counts(done)
    say(f"{counted(done.imported, 'user')} would be imported; nothing was written.")
    if not done.refusals:
        say("Next: run it without --dry-run.")


def _say_what_was(done: Imported) -> None:
    _say_counts(done)
    say(f"Imported {counted(done.imported, 'user')}.")


def _say_counts(done: Imported) -> None:
    if done.imported:
        say(f"  {painted('+', Colour.DONE)} {counted(done.imported, 'user')}")
    if done.already_there:
        say(f"  = {counted(done.already_there, 'user')} already there")
    for reason, number in sorted(done.refused.items()):
        say(f"  {painted('!', Colour.WRONG)} {counted(number, 'line')} refused: {reason}")


def _refused(done: Imported, task: _Task, report_path: Path | None) -> Unable:
    """Return what is said of lines that did not go in."""
    lines = [f"line {it.line:,}: {it.sentence}" for it in task.shown]
    if report_path is not None:
        lines = [f"{report_path} has the number and the reason of each."]
    elif len(task.shown) < done.refusals - task.unreported:
        lines.append("--report FILE writes all of them to a file.")
    if task.unreported:
        lines.append(
            f"Without {task.unreported:,} of them in an earlier run, whose reasons are not kept: "
            "import the file again with --report FILE to have them all."
        )
    lines.append("Mend them and import the file again: whoever is there already is left alone.")
    return Unable(f"{counted(done.refusals, 'line')} refused.", hint="\n".join(lines))
