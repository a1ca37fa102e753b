"""What `docs/guides/migrations.md` shows of the first runs is what they print."""

import os
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "migrations.md"
PAGE: Final = GUIDE.read_text(encoding="utf-8")
FIRST_SHOP, SECOND_SHOP = re.findall(r"```python\n(# shop/auth.py.*?)```", PAGE, re.DOTALL)
FIRST_RUN, SECOND_RUN = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)[:2]


@pytest.fixture
def shop(tmp_path) -> Path:
    """An empty folder for the guide's application."""
    (tmp_path / "shop").mkdir()
    return tmp_path


@pytest.fixture
def printed(shop, run_command):
    """Run every command of a block but the shell's own, and return it as it comes out.

    The commands have the settings that the guide names, and no others.
    """
    environment = {it: value for it, value in os.environ.items() if "WATCHWORD" not in it}
    environment["WATCHWORD_SECRET"] = "correct-horse-battery-staple-0123456789"

    def run(command: str) -> str:
        words = shlex.split(command)[1:]
        done = run_command(*words, folder=shop, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def printed(block: str) -> str:
        commands = [it for it in block.splitlines() if it.startswith("$ ")]
        outputs = [
            "" if it.startswith("$ export ") else run(it.removeprefix("$ ")) for it in commands
        ]
        return "".join(f"{it}\n{output}" for it, output in zip(commands, outputs, strict=True))

    return printed


@pytest.mark.slow
def test_the_first_runs(shop, printed):
    """Four tables are version 1, the field that was added later is version 2."""
    (shop / "shop" / "auth.py").write_text(FIRST_SHOP, encoding="utf-8")
    first = printed(FIRST_RUN)
    (shop / "shop" / "auth.py").write_text(SECOND_SHOP, encoding="utf-8")
    second = printed(SECOND_RUN)

    assert first == FIRST_RUN
    assert second == SECOND_RUN
