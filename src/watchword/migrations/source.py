"""Python source as values: calls and literals, laid out as a formatter leaves them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

__all__ = ["INDENT", "Bracketed", "Source", "assigned", "literal"]

INDENT: Final = "    "
_WIDTH: Final = 99


@dataclass(frozen=True, slots=True)
class Bracketed:
    """A call, a list or a dict: what stands in its brackets is source again.

    Args:
        before: What stands before the brackets, such as the name of a function.
        arguments: In their order.
        keywords: By name, behind the arguments.
        brackets: The two that open and close.
        sign: Between a keyword and its value.
    """

    before: str
    arguments: Sequence["Source"] = ()
    keywords: Mapping[str, "Source"] = field(default_factory=dict)
    brackets: str = "()"
    sign: str = "="

    def __str__(self) -> str:
        parts = (f"{before}{part}" for before, part in self._parts())
        return f"{self.before}{self.brackets[0]}{', '.join(parts)}{self.brackets[1]}"

    def _parts(self) -> Iterator[tuple[str, "Source"]]:
        yield from (("", it) for it in self.arguments)
        yield from ((f"{key}{self.sign}", it) for key, it in self.keywords.items())

    def lines(self, indent: str, before: str = "", after: str = "") -> Iterator[str]:
        """Return it in one line if it fits, else a part a line.

        Args:
            indent: Of the first line.
            before: Stands before it in its first line.
            after: Stands behind it in its last line.
        """
        line = f"{indent}{before}{self}{after}"
        parts = list(self._parts())
        if len(line) <= _WIDTH or not parts:
            yield line
            return
        yield f"{indent}{before}{self.before}{self.brackets[0]}"
        for name, part in parts:
            if isinstance(part, Bracketed):
                yield from part.lines(indent + INDENT, name, ",")
            else:
                yield f"{indent}{INDENT}{name}{part},"
        yield f"{indent}{self.brackets[1]}{after}"


Source: TypeAlias = str | Bracketed
"""A piece of source that stays in one line, or one that may be laid out over several."""


def literal(value: Any) -> Source:
    """Return a value in the source."""
    match value:
        case str():
            return _quoted(value)
        case list() | tuple():
            return Bracketed("", [literal(it) for it in value], brackets="[]")
        case dict():
            parts = {_quoted(str(key)): literal(it) for key, it in value.items()}
            return Bracketed("", (), parts, brackets="{}", sign=": ")
    return repr(value)


def _quoted(text: str) -> str:
    """Put a text in double quotes, or in single ones if it then has less to escape."""
    quoted = json.dumps(text, ensure_ascii=False)
    if text.count('"') <= text.count("'"):
        return quoted
    inside = quoted[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inside}'"


def assigned(name: str, value: Source) -> str:
    """Return the lines that give a value to a name, where nothing is indented."""
    if isinstance(value, Bracketed):
        return "\n".join(value.lines("", f"{name} = "))
    return f"{name} = {value}"
