"""The command `watchword`: it starts the commands, or says what is missing to start them."""

import signal
import sys

from watchword.cli.console import complain
from watchword.cli.extras import require_module
from watchword.errors import ConfigurationError

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end the program with its exit code."""
    try:
        # Not imported above: without the extra there is no click.
        commands = require_module("watchword.cli.commands")
    except ConfigurationError as error:
        complain(error.message, hint=error.hint)
        sys.exit(2)
    try:
        commands.watchword()
    finally:
        # All is said. Ctrl-C while threads come to their end is no reason for a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
