"""The resolved schema as people look at it: an outline, a Mermaid diagram, a picture."""

from watchword.schema.diagram.legend import counted
from watchword.schema.diagram.mermaid import mermaid
from watchword.schema.diagram.outline import (
    APPLICATION,
    ColumnOutline,
    Mark,
    Reference,
    TableOutline,
    outline,
    owners_of,
)
from watchword.schema.diagram.svg import svg

__all__ = [
    "APPLICATION",
    "ColumnOutline",
    "Mark",
    "Reference",
    "TableOutline",
    "counted",
    "mermaid",
    "outline",
    "owners_of",
    "svg",
]
