"""The page of checks explains every code, under its title and in its order."""

import re
from pathlib import Path
from typing import Final

from watchword.engine.findings import Code

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "checks.md"


def test_every_check_is_explained():
    """Whoever reads a code in a log finds it by its name."""
    text = PAGE.read_text(encoding="utf-8")

    sections = re.findall(r"^### (W\d+ .*)\n\n(.+)", text, re.MULTILINE)

    assert [title for title, _ in sections] == [f"{it.name} {it.title}" for it in Code]
    assert all(explained for _, explained in sections)
