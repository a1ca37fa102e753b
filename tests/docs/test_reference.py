"""The pages of reference are made from the code, and are as new as it is.

`python tests/docs/test_reference.py` writes them anew.
"""

from pathlib import Path
from typing import Final

from watchword.errors import CoreError

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
INTRODUCTION: Final = """\
# Codes of refusals

A refusal is answered with `{"message": …, "code": …}`. Programs look at the code: messages may say
more than the table, such as which field was wrong, and a few codes come with another status where
the table's would mislead. A few refusals have a message alone, and an empty 404 means that there
is no such endpoint or that it is switched off. Plugins add codes of their own.

In Python a refusal is an `APIError`; its `code` is a member of `CoreError`, from which this table
is made.

"""


def page() -> str:
    """Return the page as the code is."""
    rows = [
        f"| `{code.name}` | {code.status} | {code.message} |"
        for code in sorted(CoreError, key=lambda code: code.name)
    ]
    return INTRODUCTION + "\n".join(["| code | status | message |", "|---|---|---|", *rows, ""])


def test_every_code_of_the_core_is_explained():
    """With its status and its message, in the order of the alphabet."""
    found = PAGE.read_text(encoding="utf-8")

    assert found == page(), "the page is stale: run `python tests/docs/test_reference.py`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
