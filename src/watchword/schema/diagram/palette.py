"""The colours of a picture, on light screens and on dark ones."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from watchword.schema.diagram.outline import APPLICATION, CORE
from watchword.schema.diagram.sizes import LABEL, NAME, NOTE, SMALL, TITLE

__all__ = ["CLASS", "owner_classes", "style"]

CLASS: Final = "watchword-schema"
"""The class of a picture: where it stands within a page, its rules hold for it alone."""

_FONT: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"

# Each class on light screens and on dark ones. Text has a contrast of 4.5 to 1 at least.
_RULES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        ".page": ("fill:#f7f8fb", "fill:#0e131d"),
        ".box": ("fill:#ffffff;stroke:#cfd6e3", "fill:#171e2b;stroke:#37425a"),
        ".foreign": ("stroke-dasharray:5 4;stroke:#667085", "stroke:#94a0b8"),
        ".rule": ("stroke:#e9edf3", "stroke:#242d3f"),
        ".line": ("fill:none;stroke:#7b879d;stroke-width:1.4", "stroke:#8492ad"),
        ".end": ("fill:#f7f8fb", "fill:#0e131d"),
        ".title": (f"font-size:{TITLE}px;font-weight:700;fill:#1b2330", "fill:#f0f3f9"),
        ".name": (f"font-size:{NAME}px;fill:#1b2330", "fill:#e6eaf2"),
        ".optional": ("fill:#4a5567", "fill:#b3bdcf"),
        ".type": (f"font-size:{SMALL}px;fill:#5c6678", "fill:#97a3ba"),
        ".mark": (f"font-size:{LABEL}px;font-weight:700;fill:#5c6678", "fill:#97a3ba"),
        ".note": (f"font-size:{NOTE}px;fill:#5c6678", "fill:#97a3ba"),
        ".label": (f"font-size:{LABEL}px;fill:#5c6678", "fill:#97a3ba"),
        ".head": (f"font-size:{NAME}px;font-weight:700;fill:#ffffff", ""),
        ".by": (f"font-size:{NOTE}px;fill:#ffffff", ""),
    }
)
# Areas with white text on them, on light screens and on dark ones.
_COLOURS: Final = (
    *("#0f766e", "#be185d", "#a14d07", "#6d28d9", "#15803d", "#0369a1"),
    *("#b91c1c", "#a21caf", "#4d7c0f", "#0e7490", "#9f1239", "#854d0e"),
)
_KNOWN: Final = MappingProxyType({CORE: "#4050b5", APPLICATION: "#475569"})


def owner_classes(owners: Sequence[str]) -> Mapping[str, str]:
    """Return the class that each owner has in `style()`."""
    return {owner: f"o{number}" for number, owner in enumerate(owners)}


def style(owners: Sequence[str]) -> str:
    """Return the style sheet, in which each owner has a class for areas."""
    light = [f".{CLASS} {name}{{{it[0]}}}" for name, it in _RULES.items()]
    dark = [f".{CLASS} {name}{{{it[1]}}}" for name, it in _RULES.items() if it[1]]
    return "\n".join(
        [
            f".{CLASS} text{{font-family:{_FONT};white-space:pre}}",
            *light,
            *_owner_rules(owners),
            "@media (prefers-color-scheme:dark){",
            *dark,
            "}",
        ]
    )


def _owner_rules(owners: Sequence[str]) -> Iterator[str]:
    others = [it for it in owners if it not in _KNOWN]
    for owner, name in owner_classes(owners).items():
        colour = _KNOWN.get(owner) or _COLOURS[others.index(owner) % len(_COLOURS)]
        yield f".{CLASS} .{name}{{fill:{colour}}}"
