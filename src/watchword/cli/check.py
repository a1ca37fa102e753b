"""`watchword check`: compare a database with what is wanted, and look over the settings."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import anyio
import click

from watchword.cli.console import Colour, Unable, counted, painted, reason_of, say
from watchword.cli.loading import app_option, load_app
from watchword.cli.running import database_option, place_of, run, with_options
from watchword.concurrency import run_blocking
from watchword.engine.configuration import check_configuration
from watchword.engine.findings import Finding, Level
from watchword.engine.storage_check import check_storages
from watchword.errors import StorageError
from watchword.migrations.start import check_tables
from watchword.storage.secondary import SecondaryStorage

__all__ = ["check"]

_COLOURS: Final = {"error": Colour.WRONG, "warning": Colour.PLACE}


@click.command()
@app_option
@database_option
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
@click.pass_context
def check(
    ctx: click.Context, *, name: str | None, database_url: str | None, strict: bool, as_json: bool
) -> None:
    """Tell what is amiss with the database and with the settings, and what mends it.

    Nothing is changed. The exit code is 1 if there are errors.
    """
    report = _Report(as_json=as_json)
    if name is not None:
        app = load_app(name)
        report.add(check_configuration(app.options, app.instance.secrets))
        report.add(_check_storages(app.storages))
    place = place_of(name, database_url)
    with report.kept_if_unable():
        found = run(place.adapter, check_tables(place.adapter, place.schema))
    report.add([replace(it, mend=with_options(ctx, it.mend)) for it in found])
    report.say()
    if report.errors or (strict and report.findings):
        ctx.exit(1)


def _check_storages(storages: Sequence[SecondaryStorage]) -> list[Finding]:
    if any(it.needs_loop for it in storages):
        return anyio.run(check_storages, storages)
    return run_blocking(check_storages(storages))


# --- what is said ----------------------------------------------------------------------------


@dataclass
class _Report:
    """What was found so far, and how it is told."""

    as_json: bool
    findings: Sequence[Finding] = ()

    def add(self, findings: Sequence[Finding]) -> None:
        self.findings = [*self.findings, *findings]

    @property
    def errors(self) -> int:
        return self._count("error")

    def _count(self, level: Level) -> int:
        return sum(it.level == level for it in self.findings)

    @contextmanager
    def kept_if_unable(self) -> Iterator[None]:
        """Tell what was found before, if the database cannot be looked at.

        Raises:
            Unable: It cannot.
        """
        try:
            yield
        except StorageError as error:
            for it in () if self.as_json else self.findings:
                _say(it)
            raise Unable(
                f"The database cannot be used: {reason_of(error)}.",
                hint="Look whether it runs and lets you in; nothing is known of its tables.",
            ) from error

    def say(self) -> None:
        """Tell all of it."""
        if self.as_json:
            say(json.dumps(self._json(), indent=2, ensure_ascii=False))
            return
        for it in self.findings:
            _say(it)
        say(self._sum())

    def _sum(self) -> str:
        if not self.findings:
            return "Nothing to mend."
        counts = ((self.errors, "error"), (self._count("warning"), "warning"))
        told = ", ".join(counted(number, noun) for number, noun in counts if number)
        return f"{told}. Each code is explained in docs/reference/checks."

    def _json(self) -> dict[str, object]:
        findings = [
            {
                "code": it.code.name,
                "title": it.code.title,
                "level": it.level,
                "message": it.message,
                "mend": it.mend,
            }
            for it in self.findings
        ]
        return {
            "findings": findings,
            "errors": self.errors,
            "warnings": self._count("warning"),
        }


def _say(finding: Finding) -> None:
    level = painted(finding.level.ljust(7), _COLOURS[finding.level])
    say(f"{level}  {finding.code.name}  {finding.message}")
    say(f"         {painted('hint', Colour.QUIET)}  {finding.mend}")
