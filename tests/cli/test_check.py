"""`watchword check`: what it says, its exit codes, and that it tells no password."""

import json
import os
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from watchword.adapters.memory_storage import MemoryStorage
from watchword.cli.commands import watchword
from watchword.concurrency import run_blocking
from watchword.engine.storage_check import check_storages
from watchword.errors import StorageUnavailable

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
SHOWN, HELP = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
APP: Final = ("--app", "shop.auth:auth")
SHOP: Final = """\
from watchword import EmailPassword, Watchword
from watchword.plugins.username import Username

async def send(mail): ...

auth = Watchword(
    "sqlite+aiosqlite:///shop.db",
    email_password=EmailPassword(),
    plugins=[Username()],
    base_url="https://shop.example",
    secret="{secret}",
    {settings}
)
"""
SECRET: Final = "MqXzR4wTnB7vKp2LhYc9sJd5fGaE8uWi3oNt6rQxVyZ"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write the application's module into an empty folder, and forget it after the test."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WATCHWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if it])
    before = set(sys.modules)

    def write(settings: str = "mail=send", secret: str = SECRET) -> None:
        (tmp_path / "shop").mkdir(exist_ok=True)
        code = SHOP.format(settings=settings, secret=secret)
        (tmp_path / "shop" / "auth.py").write_text(code, encoding="utf-8")

    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "shop":
            del sys.modules[name]


def run(*arguments: str):
    """Run a command in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, arguments)


def sql(statement: str) -> None:
    """Change the shop's database by hand."""
    with closing(sqlite3.connect("shop.db")) as database:
        database.execute(statement)
        database.commit()


class TestThePage:
    """`docs/reference/checks.md` tells of the command as it is."""

    def test_the_shop_is_checked_as_it_says(self, write):
        """Each line is the one that is printed."""
        write(settings="")
        run("migrate", *APP)
        sql("ALTER TABLE watchword_users DROP COLUMN display_username")

        result = run("check", *APP)

        assert f"$ watchword check --app shop.auth:auth\n{result.stdout}" == SHOWN
        assert result.exit_code == 1

    def test_the_help_is_the_one_that_is_printed(self):
        """Nobody reads of an option that is gone, or misses a new one."""
        result = CliRunner().invoke(
            watchword, ["check", "--help"], prog_name="watchword", terminal_width=80
        )

        assert f"$ watchword check --help\n{result.stdout}" == HELP


def test_what_is_named_mends_it(write):
    """As it is printed, with the application that was checked."""
    write()
    before = run("check", *APP)
    named = set(re.findall("`watchword (.*?)`", before.stdout))

    done = run(*named.pop().split())
    after = run("check", *APP)

    assert before.exit_code == 1
    assert not named
    assert done.exit_code == 0
    assert (after.exit_code, after.stdout) == (0, "Nothing to mend.\n")


def test_warnings_alone_are_no_failure_unless_asked(write):
    """`--strict` is for who wants none."""
    write()
    run("migrate", *APP)
    sql("DROP INDEX ix_watchword_sessions_expires_at")

    usual, strict = run("check", *APP), run("check", *APP, "--strict")

    assert (usual.exit_code, strict.exit_code) == (0, 1)
    assert usual.stdout == strict.stdout
    assert usual.stdout.splitlines()[0].startswith("warning  W013  ")
    assert usual.stdout.splitlines()[-1].startswith("1 warning. ")


def test_programs_read_the_same(write):
    """With titles and numbers."""
    write(settings="")
    run("migrate", *APP)
    sql("DROP TABLE watchword_verifications")

    result = run("check", *APP, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (told["errors"], told["warnings"]) == (1, 1)
    assert told["findings"][1] == {
        "code": "W001",
        "title": "A table is missing",
        "level": "error",
        "message": "table watchword_verifications of core is missing",
        "mend": "`watchword migrate --app shop.auth:auth`",
    }


def test_an_application_from_the_environment_is_named_by_it(write, monkeypatch):
    """The next command finds it there as well."""
    write()
    monkeypatch.setenv("WATCHWORD_APP", "shop.auth:auth")

    result = run("check")

    assert "hint  `watchword migrate`\n" in result.stdout


def test_a_url_alone_is_checked_for_the_core(write):
    """Without an application there are no settings to look at."""
    result = run("check", "--database-url", "sqlite:///other.db")

    assert result.exit_code == 1
    assert result.stdout.count("of core is missing") == 4
    assert "`watchword migrate --database-url …`" in result.stdout
    assert "W1" not in result.stdout


def test_a_database_that_does_not_answer_is_a_sentence(write):
    """What was found in the settings is told before; a password never is."""
    write(settings="mail=send", secret="an-example-of-32-characters-or-more")
    url = "postgresql+psycopg://ada:difference@127.0.0.1:1/shop"

    result = run("check", *APP, "--database-url", url)

    assert result.exit_code == 1
    assert "W101" in result.stdout
    assert "The database cannot be used" in result.stderr
    assert "difference" not in result.output


def test_in_memory_there_are_settings_alone(write):
    """And no tables."""
    write()
    file = Path("shop/auth.py")
    code = file.read_text(encoding="utf-8").replace(
        '"sqlite+aiosqlite:///shop.db"', "MemoryAdapter()"
    )
    file.write_text(
        f"from watchword.adapters.memory import MemoryAdapter\n{code}", encoding="utf-8"
    )

    result = run("check", *APP)

    assert (result.exit_code, result.stdout) == (0, "Nothing to mend.\n")


@pytest.mark.parametrize("arguments", [(), ("--app", "nowhere:auth"), ("--loud",)])
def test_wrong_use_is_another_exit_code(write, arguments):
    """A script tells a mistake of its own from a finding."""
    assert run("check", *arguments).exit_code == 2


# --- secondary storages -----------------------------------------------------------------------

STORAGE: Final = """\
mail=send,
    rate_limits=__import__("watchword").RateLimits(
        store=__import__("watchword.adapters.redis").adapters.redis.RedisStorage({url!r})
    )
"""


def test_a_storage_that_nobody_answers_for(write):
    """It is named, with what the driver met and without the password."""
    write(STORAGE.format(url="redis://:hidden-word@127.0.0.1:1"))
    run("migrate", *APP)

    result = run("check", *APP)

    assert result.exit_code == 1
    assert re.search(r"error +W113 +RedisStorage: The connection to Redis was lost", result.output)
    assert "hidden-word" not in result.output


def test_a_storage_that_answers(write, redis_url):
    """Nothing is said of it, and nothing is left in it."""
    write(STORAGE.format(url=redis_url))
    run("migrate", *APP)

    result = run("check", *APP)

    assert (result.exit_code, result.output.count("W113")) == (0, 0)


class Full(MemoryStorage):
    """A storage that has no room, and notes that it was closed."""

    closed = False

    async def set(self, key, value, *, ttl):
        """Refuse."""
        raise StorageUnavailable("No room.", retryable=True)

    async def close(self):
        """Note it."""
        self.closed = True


def test_a_storage_that_fails_is_closed_too():
    """Whoever looks at it leaves no connections behind."""
    storage = Full()

    [finding] = run_blocking(check_storages([storage]))

    assert "No room." in finding.message
    assert storage.closed
