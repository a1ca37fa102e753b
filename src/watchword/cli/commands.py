"""All commands, and how each tells of a mistake: a sentence, a hint and an exit code."""

import click

from watchword.cli.check import check
from watchword.cli.console import Unable, complain
from watchword.cli.dev import dev
from watchword.cli.generate import generate
from watchword.cli.migrate import migrate
from watchword.cli.purge import purge
from watchword.cli.schema import schema
from watchword.cli.secret import secret
from watchword.cli.users import users
from watchword.errors import ConfigurationError, MigrationRefused

__all__ = ["watchword"]


class _Commands(click.Group):
    """A group whose commands may raise; nobody sees a traceback for a mistake of theirs."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (Unable, MigrationRefused) as error:
            complain(error.message, hint=error.hint)
            ctx.exit(1)
        except ConfigurationError as error:
            complain(error.message, hint=error.hint)
            ctx.exit(2)


@click.group(cls=_Commands)
@click.version_option(package_name="watchword", message="watchword %(version)s")
def watchword() -> None:
    """Authentication for Python applications."""


watchword.add_command(check)
watchword.add_command(dev)
watchword.add_command(generate)
watchword.add_command(migrate)
watchword.add_command(purge)
watchword.add_command(schema)
watchword.add_command(secret)
watchword.add_command(users)
