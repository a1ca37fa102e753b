"""The rules of the house, as tests: what a reviewer would otherwise have to remember."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
SOURCE: Final = ROOT / "src" / "watchword"
FILES: Final = sorted(SOURCE.rglob("*.py"))

NOBODY_GUESSES: Final = {"utils", "helpers", "common", "base", "types", "manager", "misc"}
EVENT_LOOPS: Final = {"asyncio", "anyio", "threading", "concurrent", "_thread"}
# Where every request passes; `testing` runs races and frameworks bring their own loop.
CORE: Final = {
    *("errors", "clock", "http", "schema", "crypto", "storage", "engine", "endpoints"),
    *("plugins", "providers", "oauth", "adapters", "auth"),
}
LOADED_BY_NEED: Final = (
    *("sqlalchemy", "alembic", "pymongo", "redis", "asyncpg", "psycopg", "aiosqlite", "aiomysql"),
    *("pymysql", "sqlite3", "fastapi", "starlette", "flask", "django", "litestar", "click"),
    *("rich", "httpx", "aiosmtplib", "smtplib", "bcrypt", "pytest", "hypothesis"),
)
# Who runs the code of others, and has to go on whatever that does.
CATCHES_WHATEVER_COMES: Final = {
    *("engine/handler.py", "storage/after_commit.py", "concurrency/pools.py", "testing"),
}
LONGEST_FUNCTION: Final = 50
LONGEST_FILE: Final = 400
KINDS: Final = "security|removed|deprecated|added|changed|fixed"

in_every_file = pytest.mark.parametrize(
    "file", FILES, ids=[str(file.relative_to(SOURCE)) for file in FILES]
)


def tree_of(file: Path) -> ast.Module:
    """Read a file as Python does."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def module_name(file: Path) -> str:
    """Name a file as an import would."""
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(tree: ast.Module) -> Iterator[str]:
    """Go through the packages that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@in_every_file
def test_the_first_line_says_what_a_file_is_for(file: Path) -> None:
    """`head -1` of every file is the map of the house."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]

    assert re.match(r'"""[A-Z`].*[.:!?]("""|$)', first), first


@in_every_file
def test_a_file_is_named_after_what_a_reader_looks_for(file: Path) -> None:
    """A name that fits everything finds nothing."""
    names = {part.strip("_") for part in file.relative_to(SOURCE).with_suffix("").parts}

    assert not names & NOBODY_GUESSES


@in_every_file
def test_a_function_fits_in_the_eye(file: Path) -> None:
    """What is longer has a second thought that wants a name."""
    functions = [
        node
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}

    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


@in_every_file
def test_a_file_is_read_in_one_sitting(file: Path) -> None:
    """What is longer is split by what a reader would look for."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@in_every_file
def test_hardly_anyone_catches_whatever_comes(file: Path) -> None:
    """Elsewhere a broad `except` hides a refusal; one that cleans up has to raise again."""
    if any(file.is_relative_to(SOURCE / it) for it in CATCHES_WHATEVER_COMES):
        return
    handlers = [it for it in ast.walk(tree_of(file)) if isinstance(it, ast.ExceptHandler)]

    broad = [it for it in handlers if caught(it) & {"", "Exception", "BaseException"}]

    assert [it.lineno for it in broad if not raises_again(it)] == []


def caught(handler: ast.ExceptHandler) -> set[str]:
    """Name the classes that a handler catches; "" is all of them."""
    kind = handler.type
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return {ast.unparse(it) if it is not None else "" for it in kinds}


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler ends by letting the exception go on."""
    last = handler.body[-1]
    return "Exception" not in caught(handler) and isinstance(last, ast.Raise) and last.exc is None


@in_every_file
def test_only_one_module_knows_event_loops_and_threads(file: Path) -> None:
    """Everything else is written once and runs with a loop and without one."""
    if file.relative_to(SOURCE).parts[0].removesuffix(".py") in CORE:
        assert set(imported(tree_of(file))) & EVENT_LOOPS == set()


@in_every_file
def test_what_a_module_offers_exists(file: Path) -> None:
    """`from module import *` works, and documentation is made from `__all__`."""
    module = importlib.import_module(module_name(file))

    offered = getattr(module, "__all__", [])

    assert [name for name in offered if not hasattr(module, name)] == []
    assert len(set(offered)) == len(offered)


@pytest.mark.parametrize(
    "module",
    ["watchword", "watchword.storage", "watchword.schema", "watchword.errors", "watchword.http"],
)
def test_importing_the_core_loads_no_database_and_no_framework(module: str) -> None:
    """An installation without extras works, and starts fast with them."""
    program = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"

    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "watchword" in loaded
    assert set(loaded) & set(LOADED_BY_NEED) == set()


def test_a_plugin_is_loaded_by_whoever_imports_it_alone() -> None:
    """Dozens of plugins, of which an application uses three, do not slow down its start."""
    program = (
        "import sys, watchword, watchword.plugins;"
        "print(*(it for it in sys.modules if it.startswith('watchword.plugins.')))"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()

    assert loaded == []


OPTIONS: Final = SOURCE / "engine" / "options.py"


def asked_of_options(tree: ast.Module) -> set[str]:
    """Name what is read from settings: from `options`, or from what was taken from there."""
    taken = {"options", "_options"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and "options" in ast.unparse(node.value):
            taken |= {it.id for it in ast.walk(node.targets[0]) if isinstance(it, ast.Name)}
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and taken & set(re.findall(r"\w+", ast.unparse(node.value)))
    }


def test_every_option_is_read() -> None:
    """One that nothing reads promises what nobody keeps."""
    classes = [it for it in tree_of(OPTIONS).body if isinstance(it, ast.ClassDef)]
    read: set[str] = set()
    for file in FILES:
        if file != OPTIONS:
            read |= asked_of_options(tree_of(file))
    # What one property computes from, if anybody reads the property.
    methods = [it for owner in classes for it in owner.body if isinstance(it, ast.FunctionDef)]
    for method in methods * 2:  # twice, for those that ask another one
        if method.name in read:
            read |= {it.attr for it in ast.walk(method) if isinstance(it, ast.Attribute)}

    options = {
        f"{owner.name}.{it.target.id}": it.target.id
        for owner in classes
        for it in owner.body
        if "dataclass" in "".join(map(ast.unparse, owner.decorator_list))
        and isinstance(it, ast.AnnAssign)
        and isinstance(it.target, ast.Name)
    }

    assert len(options) > 30
    assert [name for name, it in options.items() if it not in read] == []


FRAGMENTS: Final = sorted(it.name for it in (ROOT / "changelog.d").iterdir())


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_changelog_fragment_says_its_kind(name: str) -> None:
    """The changelog is made from the names; one that is spelt wrongly would be left out."""
    assert name == "README.md" or re.fullmatch(rf"[a-z0-9]+(-[a-z0-9]+)*\.({KINDS})\.md", name)


@pytest.mark.parametrize("name", sorted(set(FRAGMENTS) - {"README.md"}))
def test_a_changelog_fragment_is_a_list_of_sentences(name: str) -> None:
    """Each line stands on its own in the list that users read."""
    lines = (ROOT / "changelog.d" / name).read_text(encoding="utf-8").strip().splitlines()

    assert lines
    assert [line for line in lines if not line.endswith(".")] == []


DECISIONS: Final = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_in_the_index_and_says_what_why_and_what_else(page: Path) -> None:
    """Whoever wants to undo it finds it, and the reasons against."""
    index = (DECISIONS[0].parent / "README.md").read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")

    assert f"({page.name})" in index
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["What", "Why", "What else was weighed"]


PLUGINS: Final = sorted(
    it.stem for it in (SOURCE / "plugins").iterdir() if not it.name.startswith("_")
)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_has_a_page_and_a_test(name: str) -> None:
    """One guess leads from a plugin to its page and its test, be that a file or a folder."""
    tests = ROOT / "tests" / "plugins"

    assert (ROOT / "docs" / "plugins" / f"{name.replace('_', '-')}.md").exists()
    assert (tests / f"test_{name}.py").exists() or (tests / name).is_dir()


# Written in halves, so that this file may be looked through like any other.
NOT_OURS_TO_NAME: Final = (
    *("/" + "work/", "/" + "tmp/tools", "/" + "root/"),
    *("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org"),
)
FOLDERS: Final = (
    *("src", "tests", "docs", "changelog.d", "requirements", "bench", "examples", "tools", ".ci"),
)
TEXTS: Final = sorted(
    path
    for path in (*ROOT.iterdir(), *(it for name in FOLDERS for it in (ROOT / name).rglob("*")))
    if path.is_file() and path.suffix not in {".pyc", ".db", ".png", ".ico", ".woff2"}
)


def test_the_project_names_no_machine_and_no_registry() -> None:
    """A checkout works anywhere, with whatever index its reader trusts."""
    named = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in TEXTS
        for place in NOT_OURS_TO_NAME
        if place in path.read_text(encoding="utf-8", errors="replace")
    ]

    assert named == []


def test_what_is_installed_is_pinned_by_its_hash() -> None:
    """A package that was exchanged under its version is refused, wherever it comes from."""
    lines = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    pins = [number for number, line in enumerate(lines) if re.match(r"\S+==\S+", line)]

    assert pins
    assert [line for line in lines if not re.match(r"\S+==\S+|    --hash=sha256:", line)] == []
    assert [lines[it] for it in pins if "--hash=sha256:" not in lines[it + 1]] == []
