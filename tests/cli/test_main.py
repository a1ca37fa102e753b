"""The command `watchword`: how it starts, what it lists, and what it says if it cannot."""

import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from watchword.cli.commands import watchword


def run(*arguments: str):
    """Run the command line in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, arguments)


def test_the_help_lists_every_command_with_a_sentence():
    """What a command does is known before it is tried."""
    lines = run("--help").stdout.splitlines()
    listed = [line.split(maxsplit=1) for line in lines[lines.index("Commands:") + 1 :]]

    assert [name for name, _ in listed] == sorted(watchword.commands)
    assert all(sentence.endswith(".") for _, sentence in listed)


def test_a_command_is_in_the_file_of_its_name():
    """One guess leads from a command to its code."""
    for name, command in watchword.commands.items():
        assert command.callback.__module__ == f"watchword.cli.{name}"


def test_it_tells_its_version():
    """The one that is installed."""
    assert run("--version").stdout == f"watchword {version('watchword')}\n"


@pytest.mark.parametrize("arguments", [["nonsense"], ["dev", "--nonsense"], ["secret", "x"]])
def test_wrong_use_ends_with_2(arguments):
    """A script can tell a mistake from a failure."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""


def start(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program of one line."""
    return subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )


@pytest.mark.slow
def test_ctrl_c_at_the_very_end_shows_no_traceback():
    """All was said before; Python comes to its end by it, and no sooner or louder."""
    ended = start(
        "import atexit, os, signal, sys; atexit.register(os.kill, os.getpid(), signal.SIGINT); "
        "from watchword.cli.main import main; sys.argv[1:] = ['--version']; main()"
    )

    assert ended.stdout.startswith("watchword ")
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


@pytest.mark.slow
def test_without_its_extra_it_says_how_to_install_it():
    """The script is installed with the core; a traceback would be no answer."""
    ended = start(
        "import sys; sys.modules['click'] = None; from watchword.cli.main import main; main()"
    )

    assert ended.returncode == 2
    assert ended.stderr == (
        "error  This command needs click, which is not installed.\n"
        '       hint  pip install "watchword[cli]"\n'
    )


@pytest.mark.slow
def test_a_secret_is_made_without_a_database_and_a_server():
    """A command asks for what it needs itself, and no more."""
    ended = start(
        "import sys; "
        "sys.modules.update(dict.fromkeys(('sqlalchemy', 'aiosqlite', 'uvicorn'))); "
        "sys.argv[1:] = ['secret']; from watchword.cli.main import main; main()"
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.isalnum()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [[str(Path(sys.executable).with_name("watchword"))], [sys.executable, "-m", "watchword"]],
    ids=["script", "module"],
)
def test_there_are_two_ways_to_start_it(command):
    """By its name, and by the interpreter where the name is not on the path."""
    ended = subprocess.run([*command, "--help"], check=False, capture_output=True, text=True)

    assert ended.returncode == 0
    assert "dev" in ended.stdout


SHOP: Final = """\
from watchword import BlockingWatchword

auth = BlockingWatchword("sqlite:///shop.db")
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["migrate", "schema"])
def test_a_command_imports_what_it_needs(write, command):
    """In an interpreter of its own, where no other command was before it."""
    write(SHOP)

    ended = subprocess.run(
        [sys.executable, "-m", "watchword", command, "--app", "shop.auth:auth"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "watchword_users" in ended.stdout
