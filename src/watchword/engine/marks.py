"""Methods of plugins that decorators mark with what they are for, found again in order."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

__all__ = ["Function", "mark", "marked"]

Function = TypeVar("Function", bound=Callable[..., Awaitable[object]])
Purpose = TypeVar("Purpose")

_MARKS: Final = "__watchword__"


def mark(function: Function, purpose: object) -> Function:
    """Note what a method is for; one method may be for several things."""
    setattr(function, _MARKS, (purpose, *getattr(function, _MARKS, ())))
    return function


def marked(
    plugin: object, kind: type[Purpose]
) -> Iterator[tuple[Purpose, Callable[..., Awaitable[Any]]]]:
    """Go through a plugin's methods that are for one kind of thing, as its class has them."""
    for name in _names(type(plugin)):
        for purpose in getattr(getattr(type(plugin), name), _MARKS, ()):
            if isinstance(purpose, kind):
                yield purpose, getattr(plugin, name)


def _names(plugin: type) -> Iterator[str]:
    """Go through a class's attributes, those of its bases first."""
    seen: set[str] = set()
    for owner in reversed(plugin.__mro__):
        for name in vars(owner):
            if name not in seen:
                seen.add(name)
                yield name
