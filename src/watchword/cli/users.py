"""`watchword users`: what is kept about one person, shown or erased."""

import json
import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import click

from watchword.cli.console import (
    Colour,
    Unable,
    complain,
    counted,
    painted,
    reason_of,
    say,
    wants_colours,
)
from watchword.cli.extras import require_module
from watchword.cli.loading import App, app_option, load_app
from watchword.cli.private_files import replace_file
from watchword.cli.running import run
from watchword.cli.users_import import import_command
from watchword.engine.personal_data import (
    Erased,
    StillReferenced,
    count_erasable,
    erase_user,
    export_user,
)
from watchword.errors import NoSuchUser, OperationRefused, StorageError
from watchword.http.emails import canonical_email
from watchword.storage.contract import Record
from watchword.storage.query import F

__all__ = ["users"]

T = TypeVar("T")

_WIDTH = 80


@click.group()
def users() -> None:
    """Show, erase or bring in people."""


users.add_command(import_command)


@users.command()
@click.argument("who", metavar="ID_OR_ADDRESS")
@app_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, for your eyes only; else it is printed.",
)
def export(*, who: str, name: str | None, output: Path | None) -> None:
    """Write all that is kept about one person, as JSON.

    Hashes, tokens and other secrets are named and not shown.
    """
    app = load_app(name)
    user = _find(app, who)
    found = _run(app, export_user(app.instance.store, user["id"]))
    if output is None:
        # A terminal of another encoding than Unicode's gets escapes, which say the same.
        is_unicode = "utf" in (sys.stdout.encoding or "").lower()
        shown = json.dumps(found, indent=2, ensure_ascii=not is_unicode)
        _print(_harmless(shown) if sys.stdout.isatty() else shown)
        return
    _write(output, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    rows = 1 + sum(len(it) for it in found["related"].values())
    _print(f"Wrote {counted(rows, 'row')} of {_named(user)} to {output}")


@users.command()
@click.argument("who", metavar="ID_OR_ADDRESS")
@app_option
@click.option("--yes", is_flag=True, help="Do not ask before erasing.")
def erase(*, who: str, name: str | None, yes: bool) -> None:
    """Delete one person with all that is theirs; it cannot be undone.

    Rows that belong to others stay, and no longer name the person.
    """
    app = load_app(name)
    user = _find(app, who)
    if not yes:
        _ask(user, _run(app, count_erasable(app.instance.store, user["id"])))
    erased = _run(app, erase_user(app.instance.store, user["id"]))
    _say_what_went(user, erased)


# --- printing ----------------------------------------------------------------------------


def _print(text: str) -> None:
    """Print lines at once.

    Raises:
        BrokenPipeError: Nobody reads them any more.
        Unable: They cannot be written.
    """
    try:
        say(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        _fall_silent()
        raise Unable(
            f"The output cannot be written: {error.strerror}.", hint="Send it to another place."
        ) from error


def _fall_silent() -> None:
    """Drop what waits to be written, or the interpreter tries it once more as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _harmless(text: str) -> str:
    """Return JSON with escapes for all that would rule a terminal or turn its lines around."""
    return "".join(it if it.isprintable() or it == "\n" else _escaped(it) for it in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[it : it + 4]}" for it in range(0, len(units), 4))


# --- finding -----------------------------------------------------------------------------


def _find(app: App, who: str) -> Record:
    """Return the one person who is meant.

    Raises:
        Unable: There is nobody, or several are.
    """
    named = (F.id == who) | F.email.in_({who, canonical_email(who)})
    found = _run(app, app.instance.store.find_many("user", named, limit=10))
    if not found:
        raise _nobody(who)
    if len(found) > 1:
        raise Unable(
            f"{who!r} may be any of {len(found)} people.",
            hint="\n".join(["Say which, by the id:", *map(_named, found)]),
        )
    return found[0]


def _nobody(who: object) -> Unable:
    return Unable(
        f"There is nobody with the id or address {str(who)!r}.",
        hint="Look for a mistyped letter, and whether this is the right database.",
    )


def _named(user: Record) -> str:
    words = f"{user['name']} <{user['email']}>, id {user['id']}"
    # People choose their names: one with control characters would rule the terminal.
    return "".join(it if it.isprintable() else "\N{REPLACEMENT CHARACTER}" for it in words)


# --- erasing -----------------------------------------------------------------------------


def _ask(user: Record, foreseen: Erased) -> None:
    """Show what would go, and ask.

    Raises:
        Unable: Nobody is there to be asked, or the answer is no.
    """
    _print(f"{_named(user)}:\n{_table(foreseen)}")
    hint = "Say --yes to erase all the same."
    if not sys.stdin.isatty():
        raise Unable("This would erase a person; nothing was changed.", hint=hint)
    if not click.confirm("Erase all of this?", default=False):
        raise Unable("Nothing was changed.", hint=hint)


def _say_what_went(user: Record, erased: Erased) -> None:
    """Tell what was done, which is done whether anybody hears of it or not."""
    told = f"Erased user {user['id']}. Backups and logs may still name the person."
    try:
        _print(f"{_table(erased, sign=painted('-', Colour.DONE))}\n{told}")
    except BrokenPipeError:
        _fall_silent()
    except Unable as error:
        complain(f"{told} {error.message}", hint="Nothing is left to do.")


def _table(erased: Erased, *, sign: str = "-") -> str:
    """Return a line for each model: how many rows go, and how many stay without a name."""
    table = require_module("rich.table").Table(box=None, show_header=False, padding=(0, 1))
    table.add_column()
    table.add_column(justify="right")
    for model, number in erased.deleted.items():
        table.add_row(_text(sign), f"{number:,}", _text(model))
    for model, number in erased.blanked.items():
        table.add_row("~", f"{number:,}", _text(f"{model}, kept without what is personal"))
    console = require_module("rich.console").Console(
        file=StringIO(),
        width=_WIDTH,
        color_system="standard" if wants_colours(sys.stdout) else None,
        force_terminal=wants_colours(sys.stdout),
        legacy_windows=False,
    )
    console.print(table)
    lines: list[str] = console.file.getvalue().splitlines()
    return "\n".join(f" {it.rstrip()}" for it in lines)


def _text(words: str) -> Any:
    """Return words as they are; in plain strings square brackets would be markup."""
    return require_module("rich.text").Text.from_ansi(words)


# --- running -----------------------------------------------------------------------------


def _run(app: App, work: Coroutine[Any, Any, T]) -> T:
    with _explained():
        return run(app.adapter, work)


@contextmanager
def _explained() -> Iterator[None]:
    """Tell in a sentence of what is in the way.

    Raises:
        Unable: Something is.
    """
    try:
        yield
    except NoSuchUser as error:
        raise _nobody(error.user_id) from error
    except StillReferenced as error:
        raise Unable(f"Nothing was erased: {error}.", hint=_way_out(error)) from error
    except OperationRefused as error:
        raise Unable(
            f"Nothing was erased: {error}.", hint="Ask the application whose hook that is."
        ) from error
    except StorageError as error:
        raise Unable(
            f"The database cannot be used: {reason_of(error)}.",
            hint="Look whether it runs, lets you in and has its tables. Nothing was changed.",
        ) from error
    except KeyboardInterrupt as error:
        raise Unable("Stopped; nothing was changed.", hint="Run it again.") from error


def _way_out(error: StillReferenced) -> str:
    if error.rows:
        return "Delete these, or let them point at nobody, as the application has to keep them."
    cause = error.__cause__
    return f"The database says: {reason_of(cause if isinstance(cause, StorageError) else error)}"


def _write(path: Path, text: str) -> None:
    """Write a file that nobody else may read: all of it, or none.

    Raises:
        Unable: It cannot be written.
    """
    if path.exists() and not path.is_file():
        raise Unable(f"{path} is no file.", hint="Leave --output out to print it.")
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise Unable(
            f"{path} cannot be written: {error.strerror}.", hint="Name a folder that you may use."
        ) from error
