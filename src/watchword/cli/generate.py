"""`watchword generate`: write the next Alembic revision."""

from pathlib import Path

import click

from watchword.cli.console import Unable, say
from watchword.cli.loading import app_option, load_app
from watchword.cli.migrate import said_changes
from watchword.cli.running import Place, explained, place_of, run
from watchword.errors import ConfigurationError, MigrationRefused
from watchword.migrations import Renames, has_documents
from watchword.migrations.plan import Plan, make_plan
from watchword.migrations.revision import Revisions, write_revision
from watchword.schema.snapshot import Snapshot

__all__ = ["generate"]


@click.command()
@app_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("alembic/versions"),
    show_default=True,
    help="The folder of the revisions, or the file to write.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="Start from what is in this database, not from the last revision.",
)
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD:NEW",
    help="What has another name now, such as user.name:user.fullName; may be repeated.",
)
@click.option("--drop", is_flag=True, help="Remove what no plugin or field wants any more.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if something would be.")
def generate(
    *,
    name: str | None,
    output: Path,
    database_url: str | None,
    renames: tuple[str, ...],
    drop: bool,
    check: bool,
) -> None:
    """Write an Alembic revision for what the application's schema has that the last one lacks.

    The state travels inside the revisions, so no database is needed; with --database-url the
    revision starts from what is in a database instead.
    """
    place = place_of(name, database_url)
    _refuse_documents(place)
    schema = load_app(name).schema
    revisions = Revisions.read(output.parent if output.suffix == ".py" else output)
    by_revisions = database_url is None
    recorded = revisions.last_snapshot() if by_revisions else revisions.agreed_snapshot()
    wanted = Snapshot.of(schema)
    present = recorded or Snapshot(schema=wanted.schema)
    if database_url is not None:
        present = _present(place, recorded)
    plan = make_plan(present, wanted, recorded=recorded, renames=Renames.read(renames), drop=drop)
    if plan.conflicts:
        raise MigrationRefused(
            "No revision can do this; nothing was written.", hint="\n".join(plan.conflicts)
        )
    # Tables that were made without revisions need one that later ones start from.
    is_first = database_url is not None and recorded is None and bool(present.tables)
    if plan.changes or is_first:
        _write(plan, present, output, revisions.head(), check=check)
    else:
        _say(plan)
        say("Nothing to do: the revisions lead to what the application wants.")


def _refuse_documents(place: Place) -> None:
    """Refuse a database that Alembic knows nothing of.

    Raises:
        ConfigurationError: It is one.
    """
    if has_documents(place.adapter):
        raise ConfigurationError(
            "Alembic has no revisions for MongoDB.",
            hint="`watchword migrate` changes its collections; --dry-run tells what it would do.",
        )


def _present(place: Place, recorded: Snapshot | None) -> Snapshot:
    with explained():
        return run(place.adapter, place.migrator.present(recorded))


def _say(plan: Plan) -> None:
    for line in said_changes(plan):
        say(line)


def _write(
    plan: Plan, present: Snapshot, output: Path, parent: str | None, *, check: bool
) -> None:
    _say(plan)
    if check:
        raise Unable(
            "A revision is missing; nothing was written.",
            hint="Run it without --check, and commit what it writes.",
        )
    path = write_revision(plan, present, output=output, parent=parent)
    say(f"Wrote {path}")
    say("Next: read it, then `alembic upgrade head`.")
