"""The guide to the development server tells of the commands as they are."""

import re
import shlex
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

from watchword.cli.commands import watchword
from watchword.cli.demo_forms import FORMS

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "guides" / "development-server.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS: Final = re.findall(r"^\$ watchword (.*)$", "\n".join(BLOCKS), re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_understood(line):
    """Its options exist and take what they are given."""
    name, *options = shlex.split(line)
    command = watchword.commands[name]

    with click.Context(command, info_name=name) as context:
        if "--help" not in options:
            command.parse_args(context, options)


def test_the_help_is_the_one_that_is_printed():
    """Nobody reads of an option that is gone, or misses a new one."""
    result = CliRunner().invoke(
        watchword, ["dev", "--help"], prog_name="watchword", terminal_width=80
    )

    assert f"$ watchword dev --help\n{result.stdout}```" in GUIDE


def test_pages_and_endpoints_are_those_of_the_demo():
    """The table is what the forms do."""
    rows = dict(re.findall(r"^\| `(/[\w-]+)` \| `POST /api/auth(\S+)` \|$", GUIDE, re.MULTILINE))

    assert rows == {path: form.endpoint for path, form in FORMS.items()}


def test_what_it_links_to_exists():
    """Pictures too, and they are small."""
    links = re.findall(r"\]\((\.\.[^)]*)\)", GUIDE)

    for link in links:
        file = ROOT / "docs" / "guides" / link
        assert file.exists(), link
        assert file.stat().st_size < 150_000
