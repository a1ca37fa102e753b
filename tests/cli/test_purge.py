"""`watchword purge`: what it deletes, what it says, and what it says to a mistake."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio
import click
import pytest
from click.testing import CliRunner

from watchword import BlockingWatchword, EmailPassword
from watchword.cli.commands import watchword
from watchword.cli.purge import _lines
from watchword.clock import utc_now
from watchword.concurrency import run_blocking
from watchword.storage.purge import Purged

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "guides" / "purging.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
SNIPPETS: Final = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
DRY, DONE, SMALL, HELP = BLOCKS

COMMAND: Final = ("purge", "--app", "shop.auth:auth")
BLOCKING: Final = """\
from watchword import BlockingWatchword

auth = BlockingWatchword("sqlite:///shop.db")
"""
KINDS: Final = {"async": SNIPPETS[0], "blocking": BLOCKING}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def shop(write, request) -> None:
    """The shop of the guide, with an instance of either kind."""
    write(request.param)


@pytest.fixture
def add_rows(here):
    """Make the shop's tables, with rows that have expired and a session that lives."""

    def add_rows(*, sessions=0, verifications=0):
        auth = BlockingWatchword("sqlite:///shop.db", email_password=EmailPassword())
        auth.create_tables()
        run_blocking(_add_rows(auth, sessions, verifications))
        auth.close()

    return add_rows


async def _add_rows(auth, sessions, verifications):
    past, future = utc_now() - timedelta(days=1), utc_now() + timedelta(days=1)
    async with auth.instance.store.transaction():
        ada = {"name": "Ada", "email": "ada@example.org"}
        user = await auth.instance.store.create("user", ada)
        for number in range(sessions + 1):
            end = future if number == sessions else past
            row = {"user_id": user["id"], "token": str(number), "expires_at": end}
            await auth.instance.store.create("session", row)
        for number in range(verifications):
            row = {"identifier": str(number), "value": "", "expires_at": past}
            await auth.instance.store.create("verification", row)


def rows_left() -> tuple[int, int]:
    """Count sessions and verifications, past everything."""
    with closing(sqlite3.connect("shop.db")) as database:
        count = "SELECT count(*) FROM watchword_{}"
        return tuple(
            database.execute(count.format(table)).fetchone()[0]
            for table in ("sessions", "verifications")
        )


def run(*options: str):
    """Run the command in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, ["purge", *options])


def as_in_the_guide(output: str) -> str:
    """Return what was said, with the folder and the interpreter of the guide."""
    return output.replace(sys.executable, "/srv/shop/.venv/bin/python").replace(
        str(Path.cwd()), "/srv/shop"
    )


class TestTheGuide:
    """`docs/guides/purging.md` tells of the command as it is."""

    def test_the_shop_is_purged_as_it_says(self, shop, add_rows):
        """Each line is the one that is printed, for both kinds of instances."""
        add_rows(sessions=1200, verifications=34)

        dry, before, done = *(run(*options(DRY)), rows_left()), run(*options(DONE))

        assert f"{DRY.splitlines()[0]}\n{dry.stdout}" == DRY
        assert f"{DONE.splitlines()[0]}\n{as_in_the_guide(done.stdout)}" == DONE
        assert (dry.exit_code, done.exit_code) == (0, 0)
        assert (before, rows_left()) == ((1201, 34), (1, 0))

    def test_the_method_does_the_same(self, here, write, add_rows, capsys):
        """The lines of Python run in a coroutine of the application."""
        write(SNIPPETS[0])
        add_rows(sessions=3, verifications=2)
        scope = {}
        body = SNIPPETS[1].replace("\n", "\n    ")
        exec(f"{SNIPPETS[0]}\nasync def main():\n    {body}\n    await auth.close()", scope)

        anyio.run(scope["main"])

        assert capsys.readouterr().out == "3 2\n"
        assert rows_left() == (1, 0)

    @pytest.mark.parametrize("block", BLOCKS)
    def test_every_command_is_understood(self, block):
        """Its options exist and take what they are given."""
        if "--help" not in block:
            with click.Context(watchword.commands["purge"], info_name="purge") as context:
                context.command.parse_args(context, options(block))

    def test_the_help_is_the_one_that_is_printed(self):
        """Nobody reads of an option that is gone, or misses a new one."""
        result = CliRunner().invoke(
            watchword, ["purge", "--help"], prog_name="watchword", terminal_width=80
        )

        assert f"$ watchword purge --help\n{result.stdout}" == HELP


def options(block: str) -> list[str]:
    """Return the options of the command in a block."""
    return shlex.split(block.splitlines()[0])[3:]


APP: Final = ("--app", "shop.auth:auth")


def test_only_what_went_is_named():
    """Counters of requests too, where the database has them."""
    assert _lines(Purged(sessions=0, verifications=1, rate_limits=2))[1:] == ["2 rate limits"]


def test_the_line_for_cron_works(shop, add_rows):
    """In a folder and with a path that are not ours; what it says is thrown away."""
    add_rows(sessions=3)
    said = run(*APP)
    line = said.stdout.splitlines()[-1].split(maxsplit=5)[5]
    with closing(sqlite3.connect("shop.db")) as database:
        database.execute("UPDATE watchword_sessions SET expires_at = created_at")
        database.commit()

    ended = subprocess.run(
        ["sh", "-c", line],
        cwd="/",
        env={it: os.environ[it] for it in os.environ if it.startswith("WATCHWORD_")},
        check=False,
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert rows_left() == (0, 0)


def test_one_row_is_no_rows(shop, add_rows):
    """What is not there is not listed."""
    add_rows(verifications=1)

    lines = run(*APP).stdout.splitlines()

    assert lines[:2] == [
        "  - 1 verification",
        "Deleted 1 row that had expired. Nobody was signed out.",
    ]


def test_no_connection_is_left_open(write, add_rows):
    """Whoever runs the command in a process of theirs has the pool as it was."""
    write(BLOCKING)
    add_rows(sessions=1)

    run(*APP)

    engine = sys.modules["shop.auth"].auth.adapter._source.line._engine()
    assert engine.pool.checkedin() == 0


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ([], "Nothing had expired: no row"),
        (["--dry-run"], "Nothing has expired: there is nothing"),
    ],
)
def test_nothing_to_delete(shop, add_rows, option, sentence):
    """It is no failure."""
    add_rows()

    result = run(*APP, *option)

    assert result.exit_code == 0
    assert result.stdout.startswith(sentence)
    assert rows_left() == (1, 0)


def test_the_application_may_be_named_by_the_environment(shop, add_rows, monkeypatch):
    """As in a container."""
    add_rows(sessions=2)
    monkeypatch.setenv("WATCHWORD_APP", "shop.auth:auth")

    result = run()

    assert result.exit_code == 0
    assert rows_left() == (1, 0)
    assert "--app shop.auth:auth" in result.stdout


class TestMistakes:
    """Each is a sentence, a hint and an exit code."""

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ([], "No application is named."),
            (["--app", "shop.auth"], "'shop.auth' names no application."),
            (["--app", "store:auth"], "There is no module 'store'."),
            (["--app", "shop.auth:nobody"], "shop.auth has no 'nobody'."),
            (["--app", "shop.auth:Watchword"], "shop.auth:Watchword is a class, not a"),
        ],
    )
    def test_an_application_that_is_not_there(self, write, name, sentence):
        """Wrong use: exit code 2."""
        write(SNIPPETS[0])

        result = run(*name)

        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"error  {sentence}")
        assert "hint  " in result.stderr

    def test_an_application_that_fails(self, write):
        """Wrong use: exit code 2, in the module's own words."""
        write("import nothing_at_all")

        result = run(*APP)

        assert result.exit_code == 2
        assert "No module named 'nothing_at_all'" in result.stderr
        assert "Traceback" not in result.output

    @pytest.mark.parametrize("size", ["0", "-5", "many"])
    def test_a_batch_size_that_is_none(self, shop, size):
        """Wrong use: exit code 2."""
        result = run(*APP, "--batch-size", size)

        assert result.exit_code == 2
        assert "--batch-size" in result.stderr

    @pytest.mark.parametrize("option", [[], ["--dry-run"]])
    @pytest.mark.parametrize(
        ("kind", "url"),
        [
            ("Watchword", "postgresql+asyncpg://ada:secret@127.0.0.1:1/shop?ssl=disable"),
            ("Watchword", "mysql+aiomysql://ada:secret@127.0.0.1:1/shop"),
            ("BlockingWatchword", "postgresql+psycopg://ada:secret@127.0.0.1:1/shop"),
        ],
    )
    def test_a_database_that_is_away(self, write, kind, url, option):
        """Something to do: exit code 1, and no password is printed."""
        write(f"from watchword import {kind}\nauth = {kind}({url!r})")

        result = run(*APP, *option)

        assert result.exit_code == 1
        assert result.stderr.startswith("error  The database cannot be used: ")
        assert "secret" not in result.output

    def test_a_database_without_tables(self, shop):
        """Something to do: exit code 1, in the database's words."""
        result = run(*APP)

        assert result.exit_code == 1
        assert "no such table" in result.stderr
        assert "has its tables" in result.stderr

    def test_a_hook_that_refuses(self, write, add_rows):
        """Something to do: exit code 1, and the row is there."""
        hooks = "[DatabaseHook(model='session', operation='delete', before=lambda row: False)]"
        write(
            "from watchword import BlockingWatchword, DatabaseHook\n"
            f"auth = BlockingWatchword('sqlite:///shop.db', database_hooks={hooks})"
        )
        add_rows(sessions=2)

        result = run(*APP)

        assert result.exit_code == 1
        assert result.stderr.startswith(
            "error  The application keeps a row: a hook refused to delete session.\n"
        )
        assert rows_left() == (3, 0)


STOPPED_BY_ITSELF: Final = """
import os, signal
from watchword import DatabaseHook

def stop(row, seen=[]):
    seen.append(row)
    if len(seen) == 25:
        os.kill(os.getpid(), signal.SIGINT)

HOOKS = [DatabaseHook(model="session", operation="delete", before=stop)]
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_ends_it_with_a_sentence(write, add_rows, run_command, kind):
    """Whole batches are gone and stay gone, the next run takes the rest: exit code 1."""
    code = re.sub(r"(= \w*Watchword\([^,)]*)", r"\1, database_hooks=HOOKS", KINDS[kind])
    write(STOPPED_BY_ITSELF + code)
    add_rows(sessions=100)

    ended = run_command(*COMMAND, "--batch-size", "10")

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "error  Stopped after 20 rows; what was deleted stays deleted.\n"
        "       hint  Run it again for the rest.\n"
    )
    assert rows_left() == (81, 0)


@pytest.fixture
def on_a_terminal(in_terminal):
    """Run the command in a terminal, and return all that is written there."""

    def on_a_terminal(**environment: str) -> str:
        shown, exit_code = in_terminal(*COMMAND, "--batch-size", "10", **environment)
        assert exit_code == 0
        return shown

    return on_a_terminal


@pytest.mark.slow
class TestATerminal:
    """Who looks sees how far it is."""

    def test_a_bar_is_shown_and_gone_in_the_end(self, shop, add_rows, on_a_terminal):
        """What stays is what was done."""
        add_rows(sessions=50)

        shown = on_a_terminal()

        assert "Deleting" in shown
        assert "\x1b[32m-\x1b[0m 50 sessions" in shown
        assert "\x1b[2K" in shown.rpartition("Deleting")[2].partition("50 sessions")[0]

    def test_no_colours_for_who_wants_none(self, shop, add_rows, on_a_terminal):
        """Neither in the bar nor in the words."""
        add_rows(sessions=50)

        shown = on_a_terminal(NO_COLOR="1")

        assert "Deleting" in shown
        assert re.findall(r"\x1b\[[\d;]*[1-9]\d*(?:;\d+)*m", shown) == []

    def test_no_bar_where_it_cannot_be_drawn(self, shop, add_rows, on_a_terminal):
        """A dumb terminal gets the lines that a file gets."""
        add_rows(sessions=50)

        shown = on_a_terminal(TERM="dumb")

        assert "Deleting" not in shown
        assert "\x1b" not in shown
        assert "50 sessions" in shown


@pytest.mark.slow
def test_a_file_gets_no_bar(shop, add_rows, run_command):
    """Not even in its errors."""
    add_rows(sessions=50)

    ended = run_command(*COMMAND)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("  - 50 sessions\n")
