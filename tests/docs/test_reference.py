"""The pages of reference are made from the code, and are as new as it is.

`python tests/docs/test_reference.py` writes them anew.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Final

from watchword import Plugin, plugins
from watchword.errors import CoreError, ErrorCode

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
INTRODUCTION: Final = """\
# Codes of refusals

A refusal is answered with `{"message": …, "code": …}`. Programs look at the code: messages may say
more than the table, such as which field was wrong, and a few codes come with another status where
the table's would mislead. A few refusals have a message alone, and an empty 404 means that there
is no such endpoint or that it is switched off. Plugins add codes of their own, which follow.

In Python a refusal is an `APIError`; its `code` is a member of `CoreError`, from which this table
is made, or of the plugin's own errors.

"""


def table_of(errors: type[ErrorCode]) -> str:
    """Return codes as a table."""
    rows = [
        f"| `{code.name}` | {code.status} | {code.message} |"
        for code in sorted(errors, key=lambda code: code.name)
    ]
    return "\n".join(["| code | status | message |", "|---|---|---|", *rows, ""])


def errors_of_plugins() -> dict[str, type[ErrorCode]]:
    """Return the errors of every plugin that has some, by the plugin's id."""
    modules = [
        importlib.import_module(f"{plugins.__name__}.{it.name}")
        for it in pkgutil.iter_modules(plugins.__path__)
    ]
    classes = [value for module in modules for value in vars(module).values()]
    found = [it for it in classes if isinstance(it, type) and issubclass(it, Plugin)]
    return {it.id: it.errors for it in found if it is not Plugin and it.errors is not None}


def page() -> str:
    """Return the page as the code is."""
    sections = [
        f"\n## [{name}](../plugins/{name}.md)\n\n{table_of(errors)}"
        for name, errors in sorted(errors_of_plugins().items())
    ]
    return INTRODUCTION + table_of(CoreError) + "".join(sections)


def test_every_code_is_explained():
    """With its status and its message, in the order of the alphabet."""
    found = PAGE.read_text(encoding="utf-8")

    assert found == page(), "the page is stale: run `python tests/docs/test_reference.py`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
