"""Every Python block of the guides and of the plugins' pages runs, in the order of its page."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import Any, Final

import pytest

DOCS: Final = Path(__file__).parents[2] / "docs"
# What these say has tests of its own, which need more than the page: other frameworks, a
# database with tables.
ELSEWHERE: Final = {"frameworks", "purging"}
# Excerpts, which leave out what README says of an application's address.
WITHOUT_ADDRESS: Final = {
    *("additional-fields", "email-and-password", "hooks", "mail", "open-api", "python-api"),
}
PAGES: Final = sorted(
    it
    for name in ("guides", "plugins")
    for it in (DOCS / name).glob("*.md")
    if it.stem not in ELSEWHERE
)
BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks_of(page: Path) -> list[CodeType]:
    """Compile the Python blocks of a page; they may await, as in a coroutine."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [compile(it, page.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT) for it in found]


async def run_in_order(page: Path) -> None:
    """Run the blocks of a page; each knows what those before it named."""
    names: dict[str, Any] = {"__name__": "guide"}
    for code in blocks_of(page):
        # `eval` returns the coroutine of a block that awaits, and runs any other at once.
        waiting = eval(code, names)
        if inspect.isawaitable(waiting):
            await waiting


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page, tmp_path, monkeypatch) -> None:
    """Whoever copies the blocks of a page one after another meets no error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WATCHWORD_SECRET", "correct-horse-battery-staple-0123456789")
    monkeypatch.delenv("WATCHWORD_BASE_URL", raising=False)
    if page.stem in WITHOUT_ADDRESS:
        monkeypatch.setenv("WATCHWORD_BASE_URL", "http://localhost:8000")

    asyncio.run(run_in_order(page))
