"""Reads the async source that blocking classes are written from, without running it."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "SOURCE", "Module", "alias_in", "read_module"]

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src"


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the source: what it imports from where, and what it defines."""

    name: str
    text: str
    imports: Mapping[str, str]
    definitions: Mapping[str, ast.stmt]


@cache
def read_module(name: str) -> Module:
    """Read a module as Python does, without running it."""
    path = SOURCE.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = file.read_text(encoding="utf-8")
    body = ast.parse(text, str(file)).body
    imports = {
        alias.name: it.module
        for it in body
        if isinstance(it, ast.ImportFrom) and it.module
        for alias in it.names
    }
    return Module(name, text, imports, dict(_definitions(body)))


def _definitions(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    for statement in body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name, statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, statement


def alias_in(module: Module, name: str) -> tuple[Module, ast.expr] | None:
    """Return what a name stands for if it is an alias of a type, and where that was said."""
    while name in module.imports and module.imports[name].startswith("watchword"):
        module = read_module(module.imports[name])
    match module.definitions.get(name):
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias"), value=ast.expr() as value):
            return module, value
    return None
