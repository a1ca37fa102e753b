"""What `docs/guides/sharing-a-database.md` changes in an `env.py` works in a new project."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import create_engine, inspect

GUIDE: Final = Path(__file__).parents[2] / "docs" / "guides" / "sharing-a-database.md"
PAGE: Final = GUIDE.read_text(encoding="utf-8")
AUTH, MODELS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[:2]
FILTERED, OWN_HISTORY = re.findall(r"^```diff\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(params=["generic", "async"])
def project(request, tmp_path) -> Path:
    """The guide's application, with a history as `alembic init` begins it."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "auth.py").write_text(AUTH, encoding="utf-8")
    (shop / "models.py").write_text(f"from shop.auth import auth\n{MODELS}", encoding="utf-8")
    alembic(tmp_path, "init", "-t", request.param, "alembic")
    driver = {"generic": "sqlite", "async": "sqlite+aiosqlite"}[request.param]
    settings = tmp_path / "alembic.ini"
    example = re.search(r"driver://\S+", text_of(settings))
    assert example is not None
    written = text_of(settings).replace(example[0], f"{driver}:///shop.db")
    settings.write_text(written, encoding="utf-8")
    return tmp_path


def text_of(file: Path) -> str:
    """Read a file."""
    return file.read_text(encoding="utf-8")


def run(folder: Path, *command: str) -> str:
    """Run Python in the folder of the project, and return what it prints."""
    environment = {it: value for it, value in os.environ.items() if "WATCHWORD" not in it}
    environment["WATCHWORD_SECRET"] = "correct-horse-battery-staple-0123456789"
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def alembic(folder: Path, *words: str) -> str:
    """Run Alembic as people do."""
    return run(folder, "-m", "alembic", *words)


def make_our_tables(folder: Path) -> None:
    """Do what the guide does before the application's tables are made."""
    run(folder, "-c", "import asyncio, shop.auth as it; asyncio.run(it.auth.create_tables())")


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


@pytest.mark.slow
def test_the_filters(project):
    """The application's tables are made and compared, ours are neither made nor dropped."""
    change(project, FILTERED)
    make_our_tables(project)
    ours = tables_of(project)

    alembic(project, "revision", "--autogenerate", "-m", "orders")
    alembic(project, "upgrade", "head")

    assert tables_of(project) == ours | {"orders", "alembic_version"}
    alembic(project, "check")
    printed = alembic(project, "upgrade", "head", "--sql")
    assert re.findall(r"CREATE TABLE (\w+)", printed) == ["alembic_version", "orders"]


@pytest.mark.slow
def test_our_tables_in_the_history(project):
    """One revision makes those of both, and nothing is left to do."""
    models = project / "shop" / "models.py"
    models.write_text(OWN_MODELS, encoding="utf-8")
    change(project, OWN_HISTORY)

    alembic(project, "revision", "--autogenerate", "-m", "everything")
    alembic(project, "upgrade", "head")

    assert {"watchword_users", "watchword_sessions", "articles"} <= tables_of(project)
    alembic(project, "check")
    assert "CREATE TABLE watchword_users" in alembic(project, "upgrade", "head", "--sql")


# Models that do not point at ours, for these would be registered in the application's metadata.
OWN_MODELS: Final = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
"""
