"""What an extra of the package brings; missing, it is a sentence and no traceback."""

from importlib import import_module
from typing import Any, Final

from watchword.errors import ConfigurationError

__all__ = ["require_module"]

# On a server nobody wants what `dev` brings beside.
_EXTRAS: Final = {"click": "cli", "rich": "cli"}


def require_module(name: str, *, extra: str = "dev") -> Any:
    """Return a module that comes with the extra `cli` or another, or that needs one that does.

    Args:
        name: The module's.
        extra: The one that brings what `cli` does not.

    Raises:
        ConfigurationError: It is not installed; the hint says how to.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if missing.startswith("watchword"):
            raise
        raise ConfigurationError(
            f"This command needs {missing}, which is not installed.",
            hint=f'pip install "watchword[{_EXTRAS.get(missing.partition(".")[0], extra)}]"',
        ) from error
