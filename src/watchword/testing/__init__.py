"""Test kits for adapters, shipped with the library."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchword.testing.adapter_suite import AdapterSuite

__all__ = ["AdapterSuite"]


def __getattr__(name: str) -> Any:
    """Load a suite when it is asked for.

    The pytest plugin beside it is imported wherever the package is installed, so it must not
    bring hypothesis and all suites along.
    """
    if name == "AdapterSuite":
        return import_module("watchword.testing.adapter_suite").AdapterSuite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
