"""`watchword generate`: what it writes, says, and says to a mistake; then Alembic runs it."""

import io
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from click.testing import CliRunner, Result
from sqlalchemy import NullPool, create_engine, inspect

from watchword import BlockingWatchword
from watchword.cli.commands import watchword

SECRET = "correct-horse-battery-staple-0123456789"
APP = """\
from watchword import BlockingWatchword, Field, UserOptions
from watchword.adapters.memory import MemoryAdapter
from watchword.plugins.username import Username

auth = BlockingWatchword(
    {database},
    plugins=[{plugins}],
    user=UserOptions(additional_fields={{{fields}}}),
)
"""
ENVIRONMENT = """
from alembic import context
from sqlalchemy import NullPool, create_engine

url = context.config.get_main_option("sqlalchemy.url")
with create_engine(url, poolclass=NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
PLAN = '"plan": Field("string", default="free", max_length=20)'
EVERYTHING = """\
  + table watchword_users
  + table watchword_verifications
  + table watchword_sessions
  + table watchword_accounts
"""
PASSWORD = "dont-print-me-0815"
MERGE = """\
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    pass
"""


@dataclass
class Shop:
    """An application in the current folder, with an Alembic project."""

    def write(self, *, plugins: str = "", fields: str = "", database: str = "MemoryAdapter()"):
        """Write a version, and forget the one before."""
        code = APP.format(database=database, plugins=plugins, fields=fields)
        Path("shop.py").write_text(code, encoding="utf-8")
        sys.modules.pop("shop", None)

    def generate(self, *options: str) -> Result:
        """Run the command in this process."""
        runner = CliRunner(catch_exceptions=False)
        return runner.invoke(watchword, ["generate", "--app", "shop:auth", *options])

    @property
    def files(self) -> list[str]:
        """The revisions."""
        return sorted(it.name for it in Path("alembic/versions").glob("*.py"))

    def alembic(self, url: str) -> Config:
        """Return what Alembic needs to know; its messages go nowhere."""
        Path("alembic/env.py").write_text(ENVIRONMENT)
        config = Config(stdout=io.StringIO())
        config.set_main_option("script_location", "alembic")
        config.set_main_option("path_separator", "os")
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        return config


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Iterator[Shop]:
    """An application in an otherwise empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if it])
    for name in [name for name in os.environ if name.startswith("WATCHWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATCHWORD_SECRET", SECRET)
    monkeypatch.setenv("WATCHWORD_BASE_URL", "http://localhost:8000")
    Path("alembic/versions").mkdir(parents=True)
    shop = Shop()
    shop.write()
    yield shop
    sys.modules.pop("shop", None)


def test_the_first_revision_holds_everything(shop):
    """It says what is in it, where it is, and what to do with it."""
    result = shop.generate()

    [file] = shop.files
    assert re.fullmatch(r"[0-9a-f]{12}_add_user_verification_session_account\.py", file)
    assert result.stdout == (
        f"{EVERYTHING}Wrote alembic/versions/{file}\nNext: read it, then `alembic upgrade head`.\n"
    )
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_next_revision_holds_what_was_added(shop, sqlite_database):
    """And no more; Alembic applies both, one after the other, and takes them back."""
    shop.generate()
    shop.write(plugins="Username()", fields=PLAN)

    result = shop.generate()

    assert result.stdout.splitlines()[:4] == [
        "  + column watchword_users.plan",
        "  + column watchword_users.username",
        "  + column watchword_users.display_username",
        "  + unique watchword_users(username)",
    ]
    assert len(shop.files) == 2
    config = shop.alembic(sqlite_database)
    command.upgrade(config, "head")
    engine = create_engine(sqlite_database, poolclass=NullPool)
    assert "plan" in {it["name"] for it in inspect(engine).get_columns("watchword_users")}
    command.downgrade(config, "-1")
    assert "plan" not in {it["name"] for it in inspect(engine).get_columns("watchword_users")}
    command.downgrade(config, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]


def test_there_may_be_nothing_to_do(shop):
    """It says so, writes nothing, and that is no failure, with `--check` neither."""
    shop.generate()
    before = shop.files

    again, checked = shop.generate(), shop.generate("--check")

    said = "Nothing to do: the revisions lead to what the application wants.\n"
    assert [it.stdout for it in (again, checked)] == [said, said]
    assert [it.exit_code for it in (again, checked)] == [0, 0]
    assert shop.files == before


def test_check_fails_where_a_revision_is_missing(shop):
    """It says what would be in it, and writes nothing."""
    result = shop.generate("--check")

    assert result.stdout == EVERYTHING
    assert "A revision is missing; nothing was written." in result.stderr
    assert result.exit_code == 1
    assert shop.files == []


def test_a_rename_is_written_when_asked(shop):
    """Otherwise the old one is kept, and said to be."""
    shop.write(fields=PLAN)
    shop.generate()
    shop.write(fields=PLAN.replace("plan", "tier"))

    unasked = shop.generate("--check")
    asked = shop.generate("--rename", "user.plan:tier")

    assert unasked.stdout.splitlines() == [
        "  + column watchword_users.tier",
        "  = column watchword_users.plan is kept, with its values",
    ]
    assert asked.stdout.startswith("  ~ column watchword_users.plan becomes tier\nWrote ")
    assert shop.generate("--check").exit_code == 0


def test_what_nobody_wants_is_dropped_when_asked(shop):
    """Until then nothing has to be written for it."""
    shop.write(plugins="Username()")
    shop.generate()
    shop.write()

    kept, dropped = shop.generate(), shop.generate("--drop")

    assert "= column watchword_users.username is kept, with its values" in kept.stdout
    assert "Nothing to do" in kept.stdout
    assert "  - column watchword_users.username\n" in dropped.stdout
    assert (kept.exit_code, dropped.exit_code) == (0, 0)
    assert len(shop.files) == 2


def test_the_file_may_be_named(shop):
    """Its folder is where the revisions are; it is never overwritten."""
    named = "alembic/versions/auth.py"

    first = shop.generate("--output", named)
    shop.write(plugins="Username()")
    again = shop.generate("--output", named)
    other = shop.generate("--output", "alembic/versions/username.py")

    assert f"Wrote {named}" in first.stdout
    assert "is there already" in again.stderr
    assert again.exit_code == 2
    assert "table" not in other.stdout
    assert shop.files == ["auth.py", "username.py"]


def test_a_database_can_be_compared_with(shop, sqlite_database):
    """What it has need not be made; that it was never recorded does not matter."""
    auth = BlockingWatchword(sqlite_database, secret=SECRET, base_url="http://localhost:8000")
    auth.create_tables()
    auth.close()
    shop.write(plugins="Username()")

    result = shop.generate("--database-url", sqlite_database)

    assert "+ table" not in result.stdout
    assert "  + column watchword_users.username\n" in result.stdout
    command.upgrade(shop.alembic(sqlite_database), "head")
    again = shop.generate("--database-url", sqlite_database)
    assert "Nothing to do" in again.stdout


# --- mistakes ------------------------------------------------------------------------------------


def test_a_conflict_is_told_and_nothing_written(shop):
    """With what to do instead."""
    shop.write(fields=PLAN)
    shop.generate()
    shop.write(fields='"plan": Field("integer", default=0), "tier": Field("string")')

    result = shop.generate()

    assert "No revision can do this; nothing was written." in result.stderr
    assert "watchword_users.plan (the application) is string(20)" in result.stderr
    assert "watchword_users.tier (the application) is required" in result.stderr
    assert result.exit_code == 1
    assert len(shop.files) == 1


def test_a_folder_that_is_not_there_is_told(shop):
    """It is not made."""
    result = shop.generate("--output", "migrations/versions")

    assert "There is no folder migrations/versions." in result.stderr
    assert "alembic init" in result.stderr
    assert result.exit_code == 2
    assert not Path("migrations").exists()


def test_several_last_revisions_are_told(shop):
    """With the command that joins them."""
    for name in ("one", "two"):
        text = f"revision = {name!r}\ndown_revision = None\n"
        Path(f"alembic/versions/{name}.py").write_text(text)

    result = shop.generate()

    assert "several last revisions: one, two" in result.stderr
    assert "alembic merge heads" in result.stderr
    assert result.exit_code == 2


def test_merged_branches_go_on_from_a_database(shop, sqlite_database):
    """Both added something of ours: neither's state will do, the database's will."""
    shop.generate()
    shop.write(fields=PLAN)
    shop.generate()
    [plan] = Path("alembic/versions").glob("*plan.py")
    kept = plan.rename("plan.txt")
    shop.write(plugins="Username()")
    shop.generate()
    kept.rename(plan)
    config = shop.alembic(sqlite_database)
    Path("alembic/script.py.mako").write_text(MERGE)
    command.merge(config, "heads", rev_id="merged")
    shop.write(plugins="Username()", fields=PLAN)

    refused = shop.generate()
    before = len(shop.files)
    command.upgrade(config, "head")
    joined = shop.generate("--database-url", sqlite_database)
    again = shop.generate()

    assert "were merged" in refused.stderr
    assert "watchword generate --database-url" in refused.stderr
    assert (refused.exit_code, before) == (2, 4)
    assert "start_from_what_is_there.py" in joined.stdout
    assert "column" not in joined.stdout
    assert again.stdout.startswith("Nothing to do")
    command.upgrade(config, "head")


def test_only_the_folder_that_is_named_is_read(shop):
    """One that is not there is told, whatever lies beside it."""
    Path("odd.py").write_text("def (")

    result = shop.generate("--output", "versions")

    assert "There is no folder versions." in result.stderr
    assert result.exit_code == 2


def test_a_file_that_cannot_be_read_is_told(shop):
    """By its name, and nothing of it is run."""
    Path("alembic/versions/odd.py").write_text("def (")

    result = shop.generate()

    assert "alembic/versions/odd.py cannot be read" in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rename", "person:human"), "person cannot become human"),
        (("--rename", "nonsense"), "is no rename"),
        (("--nonsense",), "No such option"),
        (("--database-url", f"nonsense://ada:{PASSWORD}@127.0.0.1/x"), "nonsense"),
        (("--database-url", f"nonsense {PASSWORD}"), "hint"),
    ],
)
def test_wrong_use_is_told(shop, options, words):
    """Exit code 2, and nothing is written."""
    shop.generate()
    before = shop.files

    result = shop.generate(*options)

    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert PASSWORD not in result.stdout + result.stderr
    assert result.exit_code == 2
    assert shop.files == before


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "mysql+aiomysql", "mysql+pymysql"])
def test_a_parameter_that_the_driver_does_not_know_is_told(shop, driver):
    """By its name, with what it may be called there."""
    url = f"{driver}://ada:{PASSWORD}@127.0.0.1:1/shop?sslmode=require"

    result = shop.generate("--database-url", url)

    assert "does not take all that the database URL says" in result.stderr
    assert "ssl=require" in result.stderr
    assert PASSWORD not in result.stdout + result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "postgresql+asyncpg", "mysql+aiomysql"])
def test_a_database_that_cannot_be_reached_is_told(shop, unused_port, driver):
    """Without the password of its URL."""
    url = f"{driver}://ada:{PASSWORD}@127.0.0.1:{unused_port}/shop"

    result = shop.generate("--database-url", url)

    assert "The database cannot be used:" in result.stderr
    assert PASSWORD not in result.stdout + result.stderr
    assert result.exit_code == 1
    assert shop.files == []


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def test_no_application_is_told(shop):
    """It says how to name one."""
    result = CliRunner().invoke(watchword, ["generate"])

    assert "No application is named." in result.stderr
    assert result.exit_code == 2


def test_tables_that_are_there_are_a_beginning(shop, tmp_path):
    """A first revision that changes nothing carries the state that later ones start from."""
    made = CliRunner(catch_exceptions=False).invoke(
        watchword,
        ["migrate", "--app", "shop:auth", "--database-url", f"sqlite:///{tmp_path}/x.db"],
    )
    assert made.exit_code == 0

    first = shop.generate("--database-url", f"sqlite:///{tmp_path}/x.db")
    second = shop.generate()
    shop.write(plugins="Username()")
    third = shop.generate()

    assert "Wrote alembic/versions/" in first.stdout
    assert "start_from_what_is_there.py" in first.stdout
    assert second.stdout.startswith("Nothing to do")
    assert "+ column watchword_users.username" in third.stdout
    assert "table" not in third.stdout
