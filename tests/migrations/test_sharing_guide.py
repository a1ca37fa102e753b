"""What `docs/guides/sharing-a-database.md` changes in an `env.py` works in a new project."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import create_engine, inspect

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "sharing-a-database.md"
PAGE: Final = GUIDE.read_text(encoding="utf-8")
AUTH, MODELS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[:2]
FILTERED, OWN_HISTORY = re.findall(r"^```diff\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
]


@dataclass(frozen=True)
class Project:
    """A folder, and how Python is run in it."""

    folder: Path
    forked: Callable[..., Any]

    def run(self, *words: str) -> str:
        """Run `python -m` in the folder, and return what it prints."""
        [(code, output, errors)] = self.forked("python -m", self.folder, *words)
        assert code == 0, errors
        return output

    def alembic(self, *words: str) -> str:
        """Run Alembic as people do."""
        return self.run("alembic", *words)


@pytest.fixture(params=["generic", "async"])
def project(request, tmp_path, forked) -> Project:
    """The guide's application, with a history as `alembic init` begins it."""
    project = Project(tmp_path, forked)
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "auth.py").write_text(AUTH, encoding="utf-8")
    (shop / "models.py").write_text(f"from shop.auth import auth\n{MODELS}", encoding="utf-8")
    (shop / "make_tables.py").write_text(MAKE_TABLES, encoding="utf-8")
    project.alembic("init", "-t", request.param, "alembic")
    driver = {"generic": "sqlite", "async": "sqlite+aiosqlite"}[request.param]
    settings = tmp_path / "alembic.ini"
    example = re.search(r"driver://\S+", text_of(settings))
    assert example is not None
    written = text_of(settings).replace(example[0], f"{driver}:///shop.db")
    settings.write_text(written, encoding="utf-8")
    return project


def text_of(file: Path) -> str:
    """Read a file."""
    return file.read_text(encoding="utf-8")


# What the guide does before the application's tables are made.
MAKE_TABLES: Final = "import asyncio, shop.auth as it; asyncio.run(it.auth.create_tables())"


def change(folder: Path, diff: str) -> None:
    """Change `env.py` as a reader does; each part has to be there once."""
    file = folder / "alembic" / "env.py"
    text = text_of(file)
    is_async = "async_engine_from_config" in text
    for part in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        before, after = (without(part, sign) for sign in "+-")
        if is_async and "connection=connection" in before:
            before = (
                "    context.configure(connection=connection, target_metadata=target_metadata)\n"
            )
            after = "".join(line[4:] for line in after.splitlines(keepends=True))
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    file.write_text(text, encoding="utf-8")


def without(part: str, sign: str) -> str:
    """Return one side of a part of a diff."""
    lines = part.splitlines(keepends=True)
    return "".join(line[1:] or "\n" for line in lines if not line.startswith(sign))


def tables_of(folder: Path) -> set[str]:
    """Return what is in the database."""
    engine = create_engine(f"sqlite:///{folder / 'shop.db'}")
    found = inspect(engine).get_table_names()
    engine.dispose()
    return set(found)


def test_the_filters(project):
    """The application's tables are made and compared, ours are neither made nor dropped."""
    change(project.folder, FILTERED)
    project.run("shop.make_tables")
    ours = tables_of(project.folder)

    project.alembic("revision", "--autogenerate", "-m", "orders")
    project.alembic("upgrade", "head")

    assert tables_of(project.folder) == ours | {"orders", "alembic_version"}
    project.alembic("check")
    printed = project.alembic("upgrade", "head", "--sql")
    assert re.findall(r"CREATE TABLE (\w+)", printed) == ["alembic_version", "orders"]


def test_our_tables_in_the_history(project):
    """One revision makes those of both, and nothing is left to do."""
    models = project.folder / "shop" / "models.py"
    models.write_text(OWN_MODELS, encoding="utf-8")
    change(project.folder, OWN_HISTORY)

    project.alembic("revision", "--autogenerate", "-m", "everything")
    project.alembic("upgrade", "head")

    assert {"watchword_users", "watchword_sessions", "articles"} <= tables_of(project.folder)
    project.alembic("check")
    assert "CREATE TABLE watchword_users" in project.alembic("upgrade", "head", "--sql")


# Models that do not point at ours, for these would be registered in the application's metadata.
OWN_MODELS: Final = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
"""
