"""`watchword migrate` and `check` on MongoDB: as on any database, by its collections."""

import json
import signal
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from pymongo.synchronous.database import Database

from watchword.cli.commands import watchword

APP: Final = ("--app", "shop.auth:auth")
LATER: Final = ("--app", "shop.auth:later")
SHOP: Final = """\
from watchword import {kind}, Field, UserOptions

auth = {kind}("{url}")
later = {kind}(
    "{url}", user=UserOptions(additional_fields={{"plan": Field("string", default="free")}})
)
"""
MADE: Final = """\
  + table watchword_users
  + table watchword_verifications
  + table watchword_sessions
  + table watchword_accounts
"""
# The signal comes with the first validator that is sent.
INTERRUPTED: Final = """\
import os
from pymongo import {client}
from pymongo.monitoring import CommandListener
from watchword import {kind}, Field, UserOptions

class Interrupting(CommandListener):
    def started(self, event):
        if event.command_name == "collMod":
            os.kill(os.getpid(), {signal:d})

    def succeeded(self, event):
        pass

    failed = succeeded

database = {client}("{server}", event_listeners=[Interrupting()])["{name}"]
fields = {{"plan": Field("string", default="free")}}
auth = {kind}(database, user=UserOptions(additional_fields=fields))
"""
CLIENTS: Final = {"Watchword": "AsyncMongoClient", "BlockingWatchword": "MongoClient"}


@pytest.fixture(params=CLIENTS)
def kind(request) -> str:
    """The kind of an instance."""
    return request.param


@pytest.fixture
def shop(write, kind, mongodb_place) -> None:
    """The application, as it is and as it is later, when users have a plan."""
    write(SHOP.format(kind=kind, url=mongodb_place))


@pytest.fixture
def database(mongodb_client, mongodb_place) -> Database[Any]:
    """The application's database, past everything."""
    return mongodb_client[urlsplit(mongodb_place).path[1:]]


def run(*arguments: str):
    """Run a command in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, arguments)


def said(*arguments: str) -> str:
    """Run a command that comes to a good end, and return what it says."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_collections_are_made_once(shop):
    """The first run makes them, the second has nothing to do."""
    first, second = said("migrate", *APP), said("migrate", *APP)

    assert first == f"{MADE}The database is at version 1 now.\n"
    assert second == "Nothing to do: the database is at version 1.\n"
    assert "The database is up to date." in said("migrate", "status", *APP)


def test_a_url_is_enough(here, mongodb_place):
    """For the core without plugins."""
    place = ("--database-url", mongodb_place)

    made, checked = said("migrate", *place), said("check", *place)

    assert made == f"{MADE}The database is at version 1 now.\n"
    assert checked == "Nothing to mend.\n"


def test_what_is_missing_is_told(shop, database):
    """By `status`, by `check` and by a dry run, of which none writes anything."""
    status, check = run("migrate", "status", *APP), run("check", *APP)
    dry = said("migrate", "--dry-run", *APP)

    assert (status.exit_code, check.exit_code) == (1, 1)
    assert status.stdout.startswith(f"4 changes to be made:\n{MADE}")
    assert "Next: watchword migrate --app shop.auth:auth" in status.stdout
    assert "W001  table watchword_users of core is missing" in check.stdout
    assert dry.startswith(f"{MADE}4 changes would be made; nothing was done.\n")
    assert database.list_collection_names() == []


def test_check_is_read_by_programs(shop):
    """What is missing, and what mends it there."""
    result = run("check", "--json", *APP)

    told = [it for it in json.loads(result.stdout)["findings"] if it["code"] == "W001"]
    assert result.exit_code == 1
    assert [it["level"] for it in told] == ["error"] * 4
    assert {it["mend"] for it in told} == {"`watchword migrate --app shop.auth:auth`"}


def test_a_field_comes_and_goes(shop):
    """Forth by `migrate`; back by `downgrade`, with its values, if somebody has agreed."""
    said("migrate", *APP)

    forth = said("migrate", *LATER)
    refused = run("migrate", "downgrade", *LATER)
    back = said("migrate", "downgrade", "--yes", *LATER)

    assert forth == "  + column watchword_users.plan\nThe database is at version 2 now.\n"
    assert refused.exit_code == 1
    assert "Say --yes to remove it all the same." in refused.stderr
    assert back == "  - column watchword_users.plan\nThe database is at version 1 now.\n"


def test_older_code_is_refused(shop):
    """What came after it would be lost; `--keep` goes on all the same."""
    said("migrate", *APP)
    said("migrate", *LATER)

    refused, kept = run("migrate", *APP), said("migrate", "--keep", *APP)

    assert refused.exit_code == 1
    assert "the database is newer than the code" in refused.stderr
    assert "column watchword_users.plan is kept, with its values" in kept


def test_there_is_no_sql(shop):
    """Of either direction; exit code 2."""
    for direction in (("migrate",), ("migrate", "downgrade", "--to", "0")):
        result = run(*direction, "--sql", *APP)

        assert result.exit_code == 2
        assert result.stderr.startswith("error  MongoDB takes no SQL.\n")


@pytest.mark.slow
def test_ctrl_c_ends_it_with_a_sentence(write, kind, run_command, mongodb_place, database):
    """In the middle of it: the next run waits for nobody, and does the rest."""
    said("migrate", "--database-url", mongodb_place)
    server, name = mongodb_place.removesuffix(f"/{database.name}"), database.name
    place = {"kind": kind, "client": CLIENTS[kind], "server": server, "name": name}
    write(INTERRUPTED.format(signal=signal.SIGINT, **place))

    ended = run_command("migrate", *APP)
    lease = database["watchword_migrations"].find_one({"_id": "lease"})
    write(SHOP.format(kind=kind, url=mongodb_place))
    rest = said("migrate", *LATER)

    assert ended.returncode == 1
    assert ended.stderr == (
        "error  Stopped; what was done stays done.\n       hint  Run it again for the rest.\n"
    )
    assert lease is None
    assert "version 2" in rest
    assert "The database is up to date." in said("migrate", "status", *LATER)
