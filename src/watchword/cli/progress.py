"""A bar that shows how far long work has come."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from watchword.cli.extras import require_module

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(doing: str, *, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show a bar to who sits before a terminal; it is gone in the end, and in no file.

    Args:
        doing: What is being done.
        total: How much there is to do, if it is known.

    Yields:
        What moves it, by keywords: `completed`, `total` and `description`.
    """
    if not sys.stderr.isatty():
        yield _show_nothing
        return
    console = require_module("rich.console").Console(stderr=True)
    with require_module("rich.progress").Progress(console=console, transient=True) as bar:
        task = bar.add_task(doing, total=total)

        def update(**changes: Any) -> None:
            bar.update(task, **changes)

        yield update


def _show_nothing(**_changes: Any) -> None:
    """Stand where nobody looks."""
