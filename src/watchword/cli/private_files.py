"""Files that nobody else may read, written whole or not at all."""

import os
from pathlib import Path
from tempfile import mkstemp

__all__ = ["draft_of", "replace_file"]


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in a place; whoever is killed meanwhile leaves the old one or the new.

    Raises:
        FileNotFoundError: The draft was removed meanwhile, as by another run that tidied up.
        OSError: It cannot be written.
    """
    # A name that nobody foresees: a link that waits there would lead to a file of others.
    number, draft = mkstemp(dir=path.parent, prefix=draft_of(path))
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def draft_of(path: Path) -> str:
    """Return how the names of a file's drafts begin."""
    return f".{path.name}.new-"
