"""The parts that a picture is written with: texts, boxes and lines as elements of SVG."""

import re
from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["circle", "group", "number", "path", "rect", "text", "written"]

# What XML cannot hold at all, not even escaped.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def written(words: str) -> str:
    """Return words as XML holds them, between tags and in attributes."""
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", words), {'"': "&quot;"})


def text(words: str, *, at: tuple[float, float], width: float, kind: str) -> str:
    """Return a text that is as wide as it is said to be, whatever font draws it."""
    x, y = at
    return (
        f'<text class="{kind}" x="{number(x)}" y="{number(y)}" textLength="{number(width)}"'
        f' lengthAdjust="spacingAndGlyphs">{written(words)}</text>'
    )


def rect(*, at: tuple[float, float], size: tuple[float, float], kind: str, more: str = "") -> str:
    """Return a rectangle; `more` is further attributes."""
    (x, y), (width, height) = at, size
    return (
        f'<rect class="{kind}" x="{number(x)}" y="{number(y)}"'
        f' width="{number(width)}" height="{number(height)}"{more and " " + more}/>'
    )


def circle(*, at: tuple[float, float], radius: float, kind: str) -> str:
    """Return a circle around a point."""
    return (
        f'<circle class="{kind}" cx="{number(at[0])}" cy="{number(at[1])}" r="{number(radius)}"/>'
    )


def path(steps: Iterable[str | float], *, kind: str) -> str:
    """Return a path of commands and numbers."""
    words = (it if isinstance(it, str) else number(it) for it in steps)
    return f'<path class="{kind}" d="{" ".join(words)}"/>'


def group(title: str, parts: Iterable[str]) -> str:
    """Return parts that belong together, with a title that is shown over them."""
    return "\n".join([f"<g><title>{written(title)}</title>", *parts, "</g>"])


def number(value: float) -> str:
    """Return a number with a tenth, if it has one."""
    return f"{round(value, 1):g}"
