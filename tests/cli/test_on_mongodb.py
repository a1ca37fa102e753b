"""Commands of an application that keeps its users in MongoDB: what they do, and what is away."""

import json
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
    assert "The application's MongoDBAdapter takes no SQL." in sql.stderr


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
    assert "cret" not in result.output


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_url_that_cannot_be_read(write, command):
    """Exit code 2, and no password."""
    write(SHOP.format(kind="Watchword", url="mongodb://ada:secret@x:y:z/shop"))
    Path("users.jsonl").write_text("", "utf-8")

    result = run(*command)

    assert result.exit_code == 2
    assert "The MongoDB URL cannot be read." in result.stderr
    assert "secret" not in result.output
