"""`watchword schema`: show the tables of an application, and who wants each of them."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click

from watchword.cli.console import Colour, Unable, painted, say, wants_colours
from watchword.cli.extras import require_module
from watchword.cli.loading import App, app_option, load_app
from watchword.cli.schema_table import schema_table
from watchword.errors import ConfigurationError
from watchword.migrations import has_documents
from watchword.schema.diagram import mermaid, svg
from watchword.schema.diagram.mermaid import SIGN
from watchword.schema.snapshot import snapshot_of

__all__ = ["schema"]

# Who reads a file breaks its lines alone.
_ENDLESS: Final = 10_000
_DIALECTS: Final = ("sqlite", "postgresql", "mysql", "mariadb")


@dataclass(frozen=True, slots=True)
class _Wish:
    """Whose schema is to be shown, in which database's SQL, and where."""

    app: App
    dialect: str | None
    output: Path | None


@dataclass(frozen=True, slots=True)
class _Format:
    """A way to show a schema.

    Args:
        write: Returns the text of it.
        suffix: How files of it end.
        is_ours: Tells whether the text of a file was written so.
        hint: What to do with such a file.
    """

    write: Callable[[_Wish], str]
    suffix: str
    is_ours: Callable[[str], bool]
    hint: str


@click.command()
@app_option
@click.option(
    "--format",
    "chosen",
    type=click.Choice(["table", "sql", "json", "mermaid", "svg"]),
    help="How to show it; otherwise what the name of the output file says, or a table.",
)
@click.option(
    "--dialect",
    type=click.Choice(_DIALECTS),
    help="The database to write SQL for; otherwise the application's.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write into a file, such as schema.svg; one of this command's is replaced.",
)
def schema(
    *, name: str | None, chosen: str | None, dialect: str | None, output: Path | None
) -> None:
    """Show the tables that the application needs.

    They are the core's, those of its plugins and its additional fields, by the names that they
    have in the database, each with who wants it. No database is asked.
    """
    chosen = chosen or _named_by(output)
    if dialect and chosen != "sql":
        raise ConfigurationError(
            f"--format {chosen} is the same for every database.", hint="Add --format sql."
        )
    shown = _FORMATS[chosen].write(_Wish(load_app(name), dialect, output))
    if output is not None:
        _keep(output, shown, _FORMATS[chosen])
        return
    say(shown.removesuffix("\n"))
    if chosen == "table" and sys.stdout.isatty():
        say("\nNext: `--output schema.svg` draws it.")


def _named_by(output: Path | None) -> str:
    suffix = output.suffix.lower() if output else ""
    return next((name for name, it in _FORMATS.items() if it.suffix == suffix), "table")


# --- formats -----------------------------------------------------------------------------


def _table(wish: _Wish) -> str:
    is_seen = wish.output is None and sys.stdout.isatty()
    return schema_table(
        wish.app.schema,
        width=shutil.get_terminal_size().columns if is_seen else _ENDLESS,
        is_coloured=is_seen and wants_colours(sys.stdout),
    )


def _ddl() -> Any:
    return require_module("watchword.adapters.sqlalchemy.ddl", extra="sqlalchemy")


def _sql(wish: _Wish) -> str:
    if wish.dialect is None and has_documents(wish.app.adapter):
        # First: nobody should install a library for the same refusal.
        raise ConfigurationError(
            "The application's database is MongoDB, which takes no SQL.",
            hint="`watchword migrate` makes its collections. For another database add --dialect "
            f"{' or '.join(_DIALECTS)}.",
        )
    ddl = _ddl()
    dialect = wish.dialect or _own_dialect(wish.app)
    statements = ddl.create_statements(ddl.tables_of(wish.app.adapter, wish.app.schema), dialect)
    other = {"mysql": " For MariaDB add --dialect mariadb."}.get(dialect, "")
    head = f"-- The tables of Watchword for an empty {dialect} database.{other}"
    return "\n\n".join([head, *statements]) + "\n"


def _own_dialect(app: App) -> str:
    dialect: str | None = _ddl().dialect_of(app.adapter)
    if dialect is None:
        raise ConfigurationError(
            f"The application's {type(app.adapter).__name__} takes no SQL.",
            hint=f"Add --dialect {' or '.join(_DIALECTS)}.",
        )
    return dialect


def _json(wish: _Wish) -> str:
    return json.dumps(snapshot_of(wish.app.schema), indent=2, ensure_ascii=False) + "\n"


# --- signs of files that were written by this command ------------------------------------


def _begins(pattern: str) -> Callable[[str], bool]:
    sign = re.compile(pattern)
    return lambda text: sign.match(text) is not None


def _is_snapshot(text: str) -> bool:
    """Tell whether a file is a snapshot: many others are JSON, and have a format."""
    try:
        written = json.loads(text)
    except ValueError:
        return False
    return (
        isinstance(written, dict)
        and type(written.get("format")) is int
        and {"core", "tables"} <= written.keys()
    )


_FORMATS: Final[Mapping[str, _Format]] = MappingProxyType(
    {
        "table": _Format(
            _table,
            ".txt",
            _begins(r"The schema has \d+ tables? with \d+ columns?, of: "),
            "keep it beside the code, so that a review shows what changes",
        ),
        "sql": _Format(
            _sql,
            ".sql",
            _begins("-- The tables of Watchword for an empty "),
            "read it, then run it where none of them are",
        ),
        "json": _Format(_json, ".json", _is_snapshot, "compare it with a later one"),
        "mermaid": _Format(
            lambda wish: mermaid(wish.app.schema),
            ".mmd",
            _begins(f"{re.escape(SIGN)}\n"),
            "put it into Markdown, between ```mermaid and ```",
        ),
        "svg": _Format(
            lambda wish: svg(wish.app.schema),
            ".svg",
            _begins('<svg [^>]*class="watchword-schema"'),
            "open it in a browser, or put it into your documentation",
        ),
    }
)


# --- files -------------------------------------------------------------------------------


def _keep(output: Path, shown: str, form: _Format) -> None:
    """Write the file, unless it is somebody else's."""
    try:
        before = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
        _check_ours(output, before, form)
        output.write_text(shown, encoding="utf-8", newline="\n")
    except OSError as error:
        raise Unable(
            f"{output} cannot be written: {error.strerror}.",
            hint="Choose another file, in a folder that is there.",
        ) from error
    if before == shown:
        say(f"{output} is as it was: nothing has changed.")
        return
    say(f"{painted('Replaced' if before else 'Wrote', Colour.DONE)} {output}")
    say(f"Next: {form.hint}.")


def _check_ours(output: Path, before: str, form: _Format) -> None:
    if before.strip() and not form.is_ours(before):
        raise Unable(
            f"{output} is there already, and was not written by this command.",
            hint="Choose another name, or remove it first.",
        )
