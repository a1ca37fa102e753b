"""`watchword users import` on MongoDB: what has to be there, and how it goes on."""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from pymongo.synchronous.database import Database

from watchword.cli.commands import watchword

APP: Final = ("--app", "shop.auth:auth")
IMPORT: Final = ("users", "import", "users.jsonl", *APP)
NAMES: Final = ["P1", "P2", "P3", "P4"]
USERS: Final = "watchword_users"
# Ctrl-C comes with the third, while there is a file that says so.
SHOP: Final = """\
from pathlib import Path
from watchword import {kind}, DatabaseHook

def stop(user):
    if user["name"] == "P3" and Path("stop").exists():
        Path("stop").unlink()
        raise KeyboardInterrupt

hooks = [DatabaseHook(model="user", operation="create", before=stop)]
auth = {kind}("{url}", database_hooks=hooks)
"""


@pytest.fixture(params=["Watchword", "BlockingWatchword"])
def database(write, request, mongodb_client, mongodb_place) -> Database[Any]:
    """The database of an application of either kind, without collections; a file of users."""
    write(SHOP.format(kind=request.param, url=mongodb_place))
    people = [{"email": f"{it.lower()}@example.org", "name": it} for it in NAMES]
    Path("users.jsonl").write_text("".join(f"{json.dumps(it)}\n" for it in people), "utf-8")
    return mongodb_client[urlsplit(mongodb_place).path[1:]]


def run(*arguments: str):
    """Run a command in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, arguments)


def migrate() -> None:
    """Make what is missing."""
    assert run("migrate", *APP).exit_code == 0


def names(database: Database[Any]) -> list[str]:
    """Return who is there."""
    return sorted(it["name"] for it in database[USERS].find())


@pytest.mark.parametrize("option", [(), ("--dry-run",)], ids=["import", "dry run"])
def test_attack_users_come_where_nothing_keeps_them_apart(database, option):
    """Without its unique keys a collection takes a person twice, and would be made silently."""
    result = run(*IMPORT, *option)

    assert result.exit_code == 1
    assert result.stderr == (
        "error  The database is not as the schema wants it; nothing was imported.\n"
        "       hint  table watchword_users of core is missing.\n"
        "             table watchword_verifications of core is missing.\n"
        "             table watchword_sessions of core is missing.\n"
        "             table watchword_accounts of core is missing.\n"
        "             `watchword migrate --app shop.auth:auth`\n"
    )
    assert database.list_collection_names() == []
    assert list(Path().glob("*checkpoint*")) == []


def test_attack_a_unique_key_is_gone(database):
    """Until somebody has made it again."""
    migrate()
    database[USERS].drop_indexes()

    refused, before = run(*IMPORT), names(database)
    migrate()
    imported = run(*IMPORT)

    assert refused.exit_code == 1
    assert "nothing keeps watchword_users(email) unique." in refused.stderr
    assert before == []
    assert imported.exit_code == 0
    assert names(database) == NAMES


def stop_halfway() -> None:
    """Import into collections that are there, and stop after two users."""
    migrate()
    Path("stop").touch()
    stopped = run(*IMPORT, "--batch-size", "1")
    assert stopped.exit_code == 1
    assert "Stopped after 2 lines; what was imported stays." in stopped.stderr


def test_an_import_goes_on(database):
    """Where it was broken off."""
    stop_halfway()

    result = run(*IMPORT)

    assert result.exit_code == 0
    assert "Going on after line 2, where it was stopped." in result.stdout
    assert names(database) == NAMES


def test_the_same_people_in_another_database(database):
    """A copy for trials has them too, in collections that were made anew: it begins anew."""
    stop_halfway()
    people = list(database[USERS].find())
    for name in database.list_collection_names():
        database.drop_collection(name)
    migrate()
    database[USERS].insert_many(people)

    result = run(*IMPORT)

    assert "Going on" not in result.stdout
    assert names(database) == NAMES
