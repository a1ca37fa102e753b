"""Frameworks: each file turns its requests and responses into ours."""

from watchword.errors import ConfigurationError

__all__ = ["missing_framework"]


def missing_framework(extra: str, error: ModuleNotFoundError) -> ConfigurationError:
    """Return what to raise where a framework cannot be imported.

    Args:
        extra: Named like the framework's file here.
        error: Names the module that was not found.
    """
    return ConfigurationError(
        f"watchword.integrations.{extra} needs {error.name}, which is not installed.",
        hint=f'pip install "watchword[{extra}]"',
    )
