"""`watchword secret`: make a secret for an application."""

import sys
from typing import Final

import click

from watchword.crypto.tokens import new_token

__all__ = ["new_secret", "secret"]

_LENGTH: Final = 43  # alphanumerics: 256 bits, as many as the keys that are derived from it


@click.command()
def secret() -> None:
    """Print a new random secret.

    Each is another one and is stored nowhere. Give it to the application as WATCHWORD_SECRET,
    and keep it out of the code: who has it can sign in as anybody.
    """
    # No line break where a program reads it: some would take it for a part of the secret.
    click.echo(new_secret(), nl=sys.stdout.isatty())


def new_secret() -> str:
    """Return a secret that nobody can guess, of letters and digits alone."""
    return new_token(_LENGTH)
