"""What commands do in a database: on an event loop where its driver needs one."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import click
from click.core import ParameterSource

from watchword.adapters import adapter_for
from watchword.cli.console import Unable, reason_of
from watchword.cli.loading import load_app
from watchword.clock import Clock, utc_now
from watchword.concurrency import run_blocking
from watchword.errors import MigrationFailed, StorageError
from watchword.migrations import migrator_for
from watchword.schema import CORE_MODELS, Schema, resolve_schema
from watchword.storage.contract import Adapter

if TYPE_CHECKING:
    from watchword.migrations.migrator import Migrator

__all__ = ["Place", "database_option", "explained", "place_of", "run", "typed", "with_options"]

T = TypeVar("T")


def database_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--database-url`."""
    return click.option(
        "--database-url",
        envvar="WATCHWORD_DATABASE_URL",
        show_envvar=True,
        metavar="URL",
        help="The database, if it is not the application's; alone, for the core without plugins.",
    )(command)


@dataclass(frozen=True, slots=True)
class Place:
    """A schema, and the database that it is wanted in."""

    adapter: Adapter
    schema: Schema
    clock: Clock

    @property
    def migrator(self) -> "Migrator":
        """What changes its tables."""
        return migrator_for(self.adapter, self.schema, clock=self.clock)


def place_of(name: str | None, database_url: str | None) -> Place:
    """Return where the application, or the URL, leads to.

    Raises:
        ConfigurationError: Neither leads anywhere.
    """
    if name is None and database_url is not None:
        place = Place(adapter_for(database_url), resolve_schema(CORE_MODELS), utc_now)
        place.adapter.bind(place.schema)
        return place
    app = load_app(name)
    if database_url is None:
        return Place(app.adapter, app.schema, app.instance.clock)
    elsewhere = adapter_for(database_url)
    elsewhere.bind(app.schema)
    return Place(elsewhere, app.schema, app.instance.clock)


def run(adapter: Adapter, work: Coroutine[Any, Any, T]) -> T:
    """Do work to its end, and leave no connection behind."""
    if adapter.capabilities.needs_loop:
        return anyio.run(_done, adapter, work)
    return run_blocking(_done(adapter, work))


async def _done(adapter: Adapter, work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    finally:
        await adapter.close()


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


def typed(ctx: click.Context | None, parameter: str) -> str | None:
    """Return an option that was typed in, here or before the subcommand; no environment's."""
    while ctx is not None:
        if ctx.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            given: str | None = ctx.params[parameter]
            return given
        ctx = ctx.parent
    return None


def with_options(ctx: click.Context, sentence: str) -> str:
    """Return a sentence whose commands are meant for the same place; no password is in it."""
    app, url = (typed(ctx, it) for it in ("name", "database_url"))
    options = f"{f' --app {app}' if app else ''}{' --database-url …' if url else ''}"
    for command in ("migrate", "generate"):
        sentence = sentence.replace(f"watchword {command}", f"watchword {command}{options}")
    return sentence.replace(" --database-url … --database-url …", " --database-url …")
