"""Commands of an application that keeps its users in MongoDB: what they do, and what is away."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from watchword import BlockingWatchword, EmailPassword
from watchword.cli.commands import watchword
from watchword.clock import utc_now
from watchword.concurrency import run_blocking

APP: Final = ("--app", "shop.auth:auth")
SHOP: Final = """\
from watchword import {kind}

auth = {kind}("{url}")
"""
AWAY: Final = "mongodb://ada:se%40cret@127.0.0.1:1/shop?serverSelectionTimeoutMS=100"
USERS: Final = ("ada@example.org", "bob@example.org")
COMMANDS: Final = {
    "export": ("users", "export", USERS[0]),
    "erase": ("users", "erase", USERS[0], "--yes"),
    "import": ("users", "import", "users.jsonl"),
    "purge": ("purge",),
    "purge --dry-run": ("purge", "--dry-run"),
    "migrate": ("migrate",),
    "migrate --dry-run": ("migrate", "--dry-run"),
    "migrate --to": ("migrate", "--to", "0"),
    "status": ("migrate", "status"),
    "downgrade": ("migrate", "downgrade"),
    "check": ("check",),
    "check --json": ("check", "--json"),
}


@pytest.fixture(params=["Watchword", "BlockingWatchword"])
def shop(write, request, mongodb_place):
    """The application, with an instance of either kind and two users; another one to look in."""
    write(SHOP.format(kind=request.param, url=mongodb_place))
    auth = BlockingWatchword(mongodb_place, email_password=EmailPassword())
    auth.create_tables()
    for email in USERS:
        row = {"name": email, "email": email}
        run_blocking(auth.instance.store.create("user", row))
    yield auth
    auth.close()


def run(*arguments: str):
    """Run a command in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, [*arguments, *APP])


def start_without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python that lacks a package."""
    code = f"import sys; sys.modules[{package!r}] = None; from watchword.cli.main import main; "
    program = [sys.executable, "-c", f"{code}main()", *arguments]
    return subprocess.run(program, check=False, capture_output=True, text=True)


def emails(auth: BlockingWatchword) -> list[str]:
    """Return who is there."""
    return sorted(it["email"] for it in run_blocking(auth.instance.store.find_many("user")))


def test_a_user_is_exported(shop):
    """All that is kept, as JSON."""
    result = run(*COMMANDS["export"])

    assert result.exit_code == 0
    assert json.loads(result.stdout)["user"]["email"] == USERS[0]


def test_a_user_is_erased(shop):
    """And nobody else."""
    result = run(*COMMANDS["erase"])

    assert result.exit_code == 0
    assert emails(shop) == [USERS[1]]


def test_users_are_imported_once(shop):
    """Who is there is told of, line by line."""
    lines = [{"email": email, "name": "New"} for email in ("eve@example.org", USERS[1])]
    Path("users.jsonl").write_text("".join(f"{json.dumps(it)}\n" for it in lines), "utf-8")

    result = run(*COMMANDS["import"])

    assert result.exit_code == 1
    assert "Imported 1 user." in result.stdout
    assert "line 2: The address is that of a user who is there." in result.stderr
    assert emails(shop) == [*USERS, "eve@example.org"]


def test_what_has_expired_is_purged(shop):
    """Counted first, then deleted; what lives stays."""
    store = shop.instance.store
    for days in (-1, 1):
        row = {"identifier": str(days), "value": "", "expires_at": utc_now() + timedelta(days)}
        run_blocking(store.create("verification", row))

    counted, purged = run("purge", "--dry-run"), run("purge")

    assert (counted.exit_code, purged.exit_code) == (0, 0)
    assert "1" in counted.stdout
    assert [it["identifier"] for it in run_blocking(store.find_many("verification"))] == ["1"]


def test_the_schema_is_shown(shop):
    """As on any database; there is no SQL of it."""
    shown, sql = run("schema"), run("schema", "--format", "sql")

    assert shown.exit_code == 0
    assert "watchword_users" in shown.stdout
    assert sql.exit_code == 2
    assert sql.stderr == (
        "error  The application's database is MongoDB, which takes no SQL.\n"
        "       hint  `watchword migrate` makes its collections. For another database add "
        "--dialect sqlite or postgresql or mysql or mariadb.\n"
    )


@pytest.mark.parametrize("place", [(), ("--database-url", AWAY)], ids=["app", "url"])
def test_there_are_no_revisions(write, place):
    """Alembic knows nothing of MongoDB; no server is asked, and no folder needed."""
    write(SHOP.format(kind="Watchword", url="sqlite+aiosqlite:///shop.db" if place else AWAY))

    result = run("generate", *place)

    assert result.exit_code == 2
    assert result.stderr == (
        "error  Alembic has no revisions for MongoDB.\n"
        "       hint  `watchword migrate` changes its collections; --dry-run tells what it would "
        "do.\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", ["schema --format sql", "generate"])
def test_sqlalchemy_is_not_asked_for(write, command):
    """Who has MongoDB alone is not told to install it for a refusal."""
    write(SHOP.format(kind="Watchword", url=AWAY))

    ended = start_without("sqlalchemy", *command.split(), *APP)

    assert ended.returncode == 2
    assert "MongoDB" in ended.stderr
    assert "install" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["migrate", "migrate status", "check"])
def test_without_its_extra_it_says_how_to_install_it(here, command):
    """A sentence and no traceback."""
    ended = start_without("pymongo", *command.split(), "--database-url", AWAY)

    assert ended.returncode == 2
    assert ended.stderr == (
        "error  MongoDBAdapter needs pymongo, which is not installed.\n"
        '       hint  pip install "watchword[mongodb]"\n'
    )


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_server_that_is_away(write, command):
    """Exit code 1, a line of the driver's words, and no password."""
    write(SHOP.format(kind="BlockingWatchword", url=AWAY))
    Path("users.jsonl").write_text('{"email": "ada@example.org", "name": "Ada"}\n', "utf-8")

    result = run(*command)

    assert result.exit_code == 1
    assert (
        "error  The database cannot be used: 127.0.0.1:1: [Errno 111] Connection refused.\n"
    ) in result.stderr
    assert not any(it in result.output for it in ("40cret", "@cret"))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_url_that_cannot_be_read(write, command):
    """Exit code 2, and no password."""
    write(SHOP.format(kind="Watchword", url="mongodb://ada:secret@x:y:z/shop"))
    Path("users.jsonl").write_text("", "utf-8")

    result = run(*command)

    assert result.exit_code == 2
    assert "The MongoDB URL cannot be read." in result.stderr
    assert "secret" not in result.output
