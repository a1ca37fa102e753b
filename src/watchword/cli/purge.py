"""`watchword purge`: delete the sessions and verifications that have expired."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from watchword.cli.console import Colour, Unable, counted, painted, reason_of, say
from watchword.cli.loading import App, app_option, load_app
from watchword.cli.progress import progress_bar
from watchword.cli.running import run
from watchword.errors import OperationRefused, StorageError
from watchword.storage.purge import Purged, count_expired, purge_expired

__all__ = ["purge"]


@click.command()
@app_option
@click.option(
    "--batch-size",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many rows are deleted at a time.",
)
@click.option("--dry-run", is_flag=True, help="Say how many rows would go, and delete none.")
def purge(*, name: str | None, batch_size: int, dry_run: bool) -> None:
    """Delete sessions and verifications that have expired.

    Nobody is signed out by it, and requests are served meanwhile: rows go in batches, each
    for itself. It may be broken off and run again at any time. Run it daily.
    """
    app = load_app(name)
    if dry_run:
        _say_what_would_go(_count(app))
        return
    purged = _purge(app, batch_size)
    _say_what_went(purged)
    say(f"Next: let cron do it daily:\n  {_cron_line(str(name))}")


# --- running -----------------------------------------------------------------------------


def _count(app: App) -> Purged:
    it = app.instance
    with _explained():
        return run(app.adapter, count_expired(it.store, it.clock, elsewhere=it.purges))


def _purge(app: App, batch_size: int) -> Purged:
    done = 0
    try:
        with _explained(), progress_bar("Deleting") as show:

            def heard(so_far: int, expected: int) -> None:
                nonlocal done
                done = so_far
                show(completed=so_far, total=expected)

            it = app.instance
            work = purge_expired(
                it.store,
                it.clock,
                batch_size=batch_size,
                on_progress=heard,
                elsewhere=it.purges,
            )
            return run(app.adapter, work)
    except KeyboardInterrupt as error:
        raise Unable(
            f"Stopped after {counted(done, 'row')}; what was deleted stays deleted.",
            hint="Run it again for the rest.",
        ) from error


@contextmanager
def _explained() -> Iterator[None]:
    """Tell in a sentence of what is in the way."""
    try:
        yield
    except OperationRefused as error:
        raise Unable(
            f"The application keeps a row: {error}.",
            hint="What was deleted before stays deleted. Let the hook return nothing for rows "
            "that have expired.",
        ) from error
    except StorageError as error:
        raise Unable(
            f"The database cannot be used: {reason_of(error)}.",
            hint="Look whether it runs, lets you in and has its tables. What was deleted before "
            "stays deleted; run it again for the rest.",
        ) from error


# --- what is said ------------------------------------------------------------------------


def _say_what_would_go(expired: Purged) -> None:
    for line in _lines(expired):
        say(f"  {line}")
    if not expired.total:
        say("Nothing has expired: there is nothing to delete.")
        return
    say(f"{counted(expired.total, 'row')} would go; nothing was deleted.")
    say("Next: run it without --dry-run. Nobody is signed out by it.")


def _say_what_went(purged: Purged) -> None:
    for line in _lines(purged):
        say(f"  {painted('-', Colour.DONE)} {line}")
    if purged.total:
        say(f"Deleted {counted(purged.total, 'row')} that had expired. Nobody was signed out.")
    else:
        say("Nothing had expired: no row was deleted.")


def _lines(purged: Purged) -> list[str]:
    counts = (
        (purged.sessions, "session"),
        (purged.verifications, "verification"),
        (purged.rate_limits, "rate limit"),
    )
    return [counted(number, noun) for number, noun in counts if number]


def _cron_line(name: str) -> str:
    """Return a line for a crontab: cron has another folder and another path."""
    command = [sys.executable, "-m", "watchword", "purge", "--app", name]
    # What is said is thrown away, for cron would mail it; complaints are mailed.
    return f"0 4 * * *  cd {shlex.quote(str(Path.cwd()))} && {shlex.join(command)} > /dev/null"
