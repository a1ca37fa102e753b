"""`watchword secret`: one secret, good enough, and nothing else."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from watchword.cli.commands import watchword
from watchword.crypto.keys import check_secret

COMMAND = [sys.executable, "-m", "watchword", "secret"]


def made() -> str:
    """Return what a program that runs the command reads."""
    result = CliRunner().invoke(watchword, ["secret"])
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout


def test_it_is_a_good_secret():
    """An application takes it, and no shell, file or URL misreads it."""
    secret = made()

    check_secret(secret)
    assert secret.isascii()
    assert secret.isalnum()
    assert len(secret) == 43


def test_each_is_another_one():
    """Nothing is stored, and nothing repeats."""
    secrets = {made() for _ in range(20)}

    assert len(secrets) == 20


@pytest.mark.slow
def test_a_program_reads_the_secret_and_no_line_break():
    """A pipe carries what a shell's substitution gives."""
    piped = subprocess.run(COMMAND, check=True, capture_output=True).stdout
    quoted = ["sh", "-c", f"printf '[%s]' \"$({' '.join(COMMAND)})\""]
    substituted = subprocess.run(quoted, check=True, capture_output=True, text=True).stdout

    assert piped.isalnum()
    assert substituted[1:-1].isalnum()
    assert len(substituted) == 45


@pytest.mark.slow
def test_a_terminal_gets_one_line():
    """The prompt comes on the next one."""
    ours, theirs = os.openpty()

    subprocess.run(COMMAND, check=True, stdout=theirs)
    shown = os.read(ours, 1000).replace(b"\r\n", b"\n")
    os.close(ours)
    os.close(theirs)

    assert shown.endswith(b"\n")
    assert shown[:-1].isalnum()
