"""`watchword users import`: what it writes, what it says, and how it goes on after a kill."""

import gzip
import json
import os
import re
import shlex
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

from watchword import BlockingWatchword, EmailPassword
from watchword.cli.commands import watchword

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "guides" / "import-users.md").read_text(encoding="utf-8")
CONSOLE: Final = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
PYTHON: Final = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
JSON: Final = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
DRY, REAL, HELP = CONSOLE[1:]
KILLING: Final = Path(__file__).with_name("import_killing.py")
IS_SOAK: Final = bool(os.environ.get("WATCHWORD_SOAK"))

HASH: Final = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
APP: Final = ("--app", "shop.auth:auth")
BLOCKING: Final = """\
from watchword import BlockingWatchword

auth = BlockingWatchword("sqlite:///shop.db")
"""
KINDS: Final = {"async": PYTHON[0], "blocking": BLOCKING}
CHECKPOINT: Final = Path("users.jsonl.import-checkpoint")


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def shop(write, request) -> None:
    """The shop of the guide with its tables, and an instance of either kind."""
    write(request.param)
    Path("shop.db").write_bytes(first_tables())


def make_tables() -> None:
    """Make the tables of a database without rows, in place of another."""
    Path("shop.db").unlink(missing_ok=True)
    auth = BlockingWatchword("sqlite:///shop.db", email_password=EmailPassword())
    auth.create_tables()
    auth.close()


@cache
def first_tables() -> bytes:
    """Return the file of a database without rows, which is made once for all the tests."""
    make_tables()
    return Path("shop.db").read_bytes()


def people(first: int, last: int) -> str:
    """Return the lines of these people."""
    lines = [
        {"email": f"p{it}@example.org", "name": f"P{it}", "password": HASH}
        for it in range(first, last + 1)
    ]
    return "".join(f"{json.dumps(it)}\n" for it in lines)


def users_file(text: str | bytes) -> None:
    """Write the file that is imported."""
    Path("users.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())


def run(*options: str, **more):
    """Run the command in this process."""
    return CliRunner().invoke(watchword, ["users", "import", *options], **more)


def names() -> list[str]:
    """Return who is there, each with an account, past everything."""
    with closing(sqlite3.connect("shop.db")) as database:
        found = database.execute(
            "SELECT name FROM watchword_users u "
            "LEFT JOIN watchword_accounts a ON a.user_id = u.id ORDER BY email"
        )
        return [name for (name,) in found]


def command(block: str) -> list[str]:
    """Return the options of the command in a block of the guide."""
    return shlex.split(block.splitlines()[0])[4:]


class TestTheGuide:
    """`docs/guides/import-users.md` tells of the command as it is."""

    def test_the_shop_is_filled_as_it_says(self, shop):
        """Each line is the one that is printed."""
        users_file(JSON[0])

        dry, before = run(*command(DRY)), names()
        real = run(*command(REAL))

        assert f"{DRY.splitlines()[0]}\n{dry.stdout}{dry.stderr}" == DRY
        assert f"{REAL.splitlines()[0]}\n{real.stdout}{real.stderr}" == REAL
        assert Path("refused.jsonl").read_text(encoding="utf-8") == JSON[1]
        assert (dry.exit_code, real.exit_code) == (1, 1)
        assert (before, names()) == ([], ["Ada", "Eve"])

    def test_every_command_is_understood(self, shop):
        """Its options exist and take what they are given."""
        users_file("")
        group = watchword.commands["users"]

        for block in (DRY, REAL):
            with click.Context(group.commands["import"], info_name="import") as context:
                context.command.parse_args(context, command(block))

    def test_the_help_is_the_one_that_is_printed(self):
        """Nobody reads of an option that is gone, or misses a new one."""
        result = CliRunner().invoke(
            watchword,
            ["users", "import", "--help"],
            prog_name="watchword",
            terminal_width=80,
        )

        assert f"$ watchword users import --help\n{result.stdout}" == HELP


class TestAFile:
    """Whatever kind it is of."""

    def test_all_go_in(self, shop):
        """Exit code 0, and no checkpoint is left."""
        users_file(people(1, 25))

        result = run("users.jsonl", *APP, "--batch-size", "10")

        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == "  + 25 users\nImported 25 users.\n"
        assert len(names()) == 25
        assert not CHECKPOINT.exists()

    def test_again(self, shop):
        """Everybody is there already, and nobody is written."""
        users_file(people(1, 3))
        run("users.jsonl", *APP)

        result = run("users.jsonl", *APP)

        assert result.exit_code == 0
        assert result.stdout == "  = 3 users already there\nImported 0 users.\n"
        assert len(names()) == 3

    @pytest.mark.parametrize("name", ["users.jsonl.gz", "users.jsonl"])
    def test_packed(self, shop, name):
        """Told by its first bytes, whatever its name is."""
        Path(name).write_bytes(gzip.compress(people(1, 25).encode()))

        result = run(name, *APP, "--batch-size", "10")

        assert (result.exit_code, len(names())) == (0, 25)

    @pytest.mark.slow
    @pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
    def test_the_standard_input(self, shop, run_command, pack):
        """It has no checkpoint; who is there is recognised."""
        lines = pack(people(1, 3).encode())

        first, second = (with_input(run_command, lines) for _ in range(2))

        assert (first.returncode, second.returncode) == (0, 0)
        assert "3 users already there" in second.stdout
        assert (len(names()), list(Path().glob("*checkpoint*"))) == (3, [])

    def test_an_empty_one(self, shop):
        """Nothing to do is no failure."""
        users_file("")

        result = run("users.jsonl", *APP)

        assert (result.exit_code, result.stdout) == (0, "Imported 0 users.\n")

    def test_a_dry_run_leaves_nothing(self, shop):
        """No row and no checkpoint; nor does it touch the one of a run that was stopped."""
        users_file(people(1, 25))
        CHECKPOINT.write_text("{}")

        result = run("users.jsonl", *APP, "--dry-run", "--batch-size", "10")

        assert result.exit_code == 0
        assert result.stdout == (
            "  + 25 users\n"
            "25 users would be imported; nothing was written.\n"
            "Next: run it without --dry-run.\n"
        )
        assert (names(), CHECKPOINT.read_text()) == ([], "{}")

    def test_the_first_refusals_are_shown(self, shop):
        """Ten of them; how to see the others is said."""
        users_file("{}\n" * 12)

        result = run("users.jsonl", *APP)

        assert result.exit_code == 1
        assert result.stderr.startswith("error  12 lines refused.\n       hint  line 1: email: is")
        assert "line 10: " in result.stderr
        assert "line 11: " not in result.stderr
        assert "--report FILE" in result.stderr

    def test_the_report_is_private_and_begun_anew(self, shop):
        """It names people; and an earlier one is not of this import."""
        report = Path("refused.jsonl")
        users_file("{}\n")
        run("users.jsonl", *APP, "--report", "refused.jsonl")

        run("users.jsonl", *APP, "--report", "refused.jsonl")

        [entry] = [json.loads(it) for it in report.read_text(encoding="utf-8").splitlines()]
        assert (entry["line"], entry["email"], entry["code"]) == (1, None, "invalid_email")
        assert stat.S_IMODE(report.stat().st_mode) == 0o600

    def test_a_report_that_all_may_read_is_made_private(self, shop):
        """It was somebody else's to read before it named people."""
        report = Path("refused.jsonl")
        report.write_text("old", encoding="utf-8")
        report.chmod(0o644)
        users_file("{}\n")

        run("users.jsonl", *APP, "--report", "refused.jsonl")

        assert stat.S_IMODE(report.stat().st_mode) == 0o600
        assert "old" not in report.read_text(encoding="utf-8")

    def test_a_report_that_is_no_file(self, shop):
        """A device keeps its rights: they are everybody's."""
        before = Path(os.devnull).stat().st_mode
        users_file("{}\n")

        run("users.jsonl", *APP, "--report", os.devnull)

        assert Path(os.devnull).stat().st_mode == before

    @pytest.mark.slow
    def test_the_standard_input_is_no_report(self, shop, run_command):
        """The shell has opened the file of the users: exit code 2, and it stays as it is."""
        users_file(people(1, 2))
        with Path("users.jsonl").open("rb") as file:
            ended = run_command(*COMMAND, "-", "--report", "users.jsonl", stdin=file.fileno())

        assert ended.returncode == 2
        assert "it is the file of the users" in ended.stderr
        assert Path("users.jsonl").read_text(encoding="utf-8") == people(1, 2)

    def test_a_link_beside_the_file_leads_nowhere(self, shop):
        """Whoever may write in the folder has no file of others written over."""
        Path("precious").write_text("precious", encoding="utf-8")
        for name in (f"{CHECKPOINT}.new", f".{CHECKPOINT}.new-abc", str(CHECKPOINT)):
            Path(name).symlink_to("precious")
        users_file(people(1, 25))

        result = run("users.jsonl", *APP, "--batch-size", "10")

        assert (result.exit_code, len(names())) == (0, 25)
        assert Path("precious").read_text(encoding="utf-8") == "precious"

    def test_what_a_killed_program_was_writing_is_removed(self, shop):
        """Addresses of people stand there as well."""
        Path(f".{CHECKPOINT}.new-abc").write_text("{}", encoding="utf-8")
        users_file(people(1, 1))

        run("users.jsonl", *APP)

        assert list(Path().glob("*checkpoint*")) == []


STOPPED: Final = """
import os, signal
from watchword import DatabaseHook

def stop(row):
    if row["name"] == "P25" and not os.path.exists("stopped"):
        open("stopped", "w").close()
        os.kill(os.getpid(), signal.{signal})

HOOKS = [DatabaseHook(model="user", operation="create", before=stop)]
"""
COMMAND: Final = ("users", "import", *APP)


def with_input(run_command, content: bytes) -> subprocess.CompletedProcess[str]:
    """Import what comes through a pipe."""
    theirs, ours = os.pipe()
    with os.fdopen(ours, "wb") as pipe:
        pipe.write(content)
    with os.fdopen(theirs, "rb") as pipe:
        return run_command(*COMMAND, "-", stdin=pipe.fileno())


REPORTED: Final = ("--report", "refused.jsonl")


@pytest.fixture
def stop_halfway(write, run_command):
    """Import 40 people of whom the 25th ends the program; the 5th and the 33rd are refused."""

    def stop_halfway(
        kind: str, how: str, *, report: Sequence[str] = REPORTED
    ) -> subprocess.CompletedProcess[str]:
        code = re.sub(r"(= \w*Watchword\([^,)]*)", r"\1, database_hooks=HOOKS", KINDS[kind])
        write(STOPPED.replace("{signal}", how) + code)
        Path("shop.db").write_bytes(first_tables())
        users_file(f"{people(1, 4)}{{}}\n{people(6, 32)}{{}}\n{people(34, 40)}")
        return run_command(*COMMAND, "users.jsonl", "--batch-size", "10", *report)

    return stop_halfway


def copy_people(path: str, which: str) -> None:
    """Bring people of another database into the shop's, with their ids and accounts."""
    with closing(sqlite3.connect("shop.db")) as database:
        database.execute("ATTACH ? AS other", (path,))
        mine = f"SELECT * FROM other.watchword_users WHERE {which}"
        database.execute(f"INSERT INTO watchword_users {mine}")
        database.execute(
            "INSERT INTO watchword_accounts SELECT * FROM other.watchword_accounts "
            "WHERE user_id IN (SELECT id FROM watchword_users)"
        )
        database.commit()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
class TestGoingOn:
    """An import that was broken off is finished by the same command."""

    OPTIONS = ("users.jsonl", *APP, "--batch-size", "10", "--report", "refused.jsonl")

    def test_ctrl_c_ends_it_with_a_sentence(self, stop_halfway, kind):
        """Whole batches stay: exit code 1."""
        ended = stop_halfway(kind, "SIGINT")

        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == (
            "error  Stopped after 20 lines; what was imported stays.\n"
            "       hint  Run the same command again: it goes on from there, and imports nobody "
            "twice.\n"
        )
        assert len(names()) == 19
        assert stat.S_IMODE(CHECKPOINT.stat().st_mode) == 0o600

    @pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
    def test_the_rest_goes_in(self, stop_halfway, kind, how):
        """Counts and report are those of the whole file."""
        stop_halfway(kind, how)

        result = run(*self.OPTIONS)

        assert result.exit_code == 1
        assert result.stdout == (
            "Going on after line 20, where it was stopped.\n"
            "  + 38 users\n"
            "  ! 2 lines refused: invalid_email\n"
            "Imported 38 users.\n"
        )
        assert len(names()) == len(set(names())) == 38
        report = Path("refused.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(it)["line"] for it in report] == [5, 33]
        assert list(Path().glob("*checkpoint*")) == []

    @pytest.mark.parametrize("change", ["file", "database", "checkpoint"])
    def test_what_is_no_longer_the_same_is_begun_anew(self, stop_halfway, kind, change):
        """A line of it would be left out otherwise."""
        stop_halfway(kind, "SIGKILL")
        if change == "file":
            users_file(people(101, 140))
        elif change == "database":
            make_tables()
        else:
            CHECKPOINT.write_bytes(CHECKPOINT.read_bytes()[:-20])

        result = run(*self.OPTIONS)

        assert "Going on" not in result.stdout
        assert len(names()) == {"file": 19 + 40, "database": 38, "checkpoint": 38}[change]

    @pytest.mark.parametrize("copies", ["the last", "all"])
    def test_the_same_people_in_another_database(self, stop_halfway, kind, copies):
        """A copy for trials has them too: whoever is not in this one goes in."""
        stop_halfway(kind, "SIGKILL")
        with closing(sqlite3.connect("shop.db")) as database:
            database.execute("VACUUM INTO 'staging.db'")
        Path("old.db").hardlink_to("shop.db")  # so that the next file gets another inode
        make_tables()
        copy_people("staging.db", "name = 'P20'" if copies == "the last" else "TRUE")
        assert len(names()) == {"the last": 1, "all": 19}[copies]

        result = run(*self.OPTIONS)

        assert "Going on" not in result.stdout
        assert len(names()) == 38

    def test_somebody_of_an_earlier_batch_is_gone(self, stop_halfway, kind):
        """The rows of a backup: it is the same file, but not what was written."""
        stop_halfway(kind, "SIGKILL")
        with closing(sqlite3.connect("shop.db")) as database, database:
            database.execute("DELETE FROM watchword_accounts")
            database.execute("DELETE FROM watchword_users WHERE name <> 'P20'")

        result = run("users.jsonl", *APP)

        assert "Going on" not in result.stdout
        assert len(names()) == 37 + 1

    @pytest.mark.parametrize(
        ("first", "again", "words"),
        [
            ((), (), "Without 1 of them in an earlier run, whose reasons are not kept"),
            ((), REPORTED, "Without 1 of them in an earlier run, whose reasons are not kept"),
            (REPORTED, (), "Without 1 of them in an earlier run, whose reasons are not kept"),
            (REPORTED, REPORTED, None),
        ],
    )
    def test_reasons_of_an_earlier_run(self, stop_halfway, kind, first, again, words):
        """What is not in the report, nor shown, is not claimed to be."""
        stop_halfway(kind, "SIGKILL", report=first)

        result = run("users.jsonl", *APP, "--batch-size", "10", *again)

        said = " ".join(result.stderr.split())
        assert result.exit_code == 1
        assert "2 lines refused." in said
        assert ("line 33: " in said) == (not again)
        assert words is None or words in said
        assert words is not None or "earlier run" not in said

    def test_lines_that_were_added_behind_go_in(self, stop_halfway, kind):
        """What was read is the same still."""
        stop_halfway(kind, "SIGKILL")
        with Path("users.jsonl").open("a", encoding="utf-8") as file:
            file.write(people(41, 50))

        result = run(*self.OPTIONS)

        assert "Going on after line 20" in result.stdout
        assert len(names()) == 48


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize(("server", "step"), [("sqlite", 17), ("postgresql", 13), ("mysql", 13)])
def test_killed_at_any_point_it_goes_on(request, tmp_path, server, step):
    """Statements, commits and files: everybody is written once, or refused once."""
    database = request.getfixturevalue(f"{server}_database")
    tool = [sys.executable, str(KILLING), database, str(tmp_path), str(1 if IS_SOAK else step)]

    ended = subprocess.run(tool, check=False, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    points = [json.loads(it) for it in ended.stdout.splitlines()]
    assert [it for it in points if it["flaws"]] == []
    assert [it["killed"] for it in points][-1] is False
    assert len(points) > 5


class TestMistakes:
    """Each is a sentence, a hint and an exit code."""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["nobody.jsonl", *APP], "'nobody.jsonl' does not exist"),
            ([".", *APP], "is a directory"),
            (["users.jsonl", *APP, "--batch-size", "0"], "--batch-size"),
            (["users.jsonl", *APP, "--batch-size", "10001"], "--batch-size"),
            (["users.jsonl", *APP, "--report", "users.jsonl"], "it is the file of the users"),
            (["users.jsonl", *APP, "--report", "."], "is a directory"),
            (["users.jsonl"], "No application is named."),
            (["users.jsonl", "--app", "shop.auth:nobody"], "shop.auth has no 'nobody'."),
            ([], "Missing argument"),
        ],
    )
    def test_wrong_use(self, shop, options, words):
        """Exit code 2, and nothing was touched."""
        users_file(people(1, 1))

        result = run(*options)

        assert result.exit_code == 2
        assert words in result.stderr
        assert Path("users.jsonl").read_text(encoding="utf-8") == people(1, 1)
        assert names() == []

    def test_users_in_memory(self, write):
        """They would be gone with the command."""
        write(
            "from watchword import BlockingWatchword\n"
            "from watchword.adapters.memory import MemoryAdapter\n"
            "auth = BlockingWatchword(MemoryAdapter())"
        )
        users_file(people(1, 1))

        result = run("users.jsonl", *APP)

        assert result.exit_code == 2
        assert "keeps its users in memory" in result.stderr

    @pytest.mark.parametrize("option", [[], ["--dry-run"]])
    @pytest.mark.parametrize(
        ("kind", "url"),
        [
            ("Watchword", "postgresql+asyncpg://ada:secret@127.0.0.1:1/shop?ssl=disable"),
            ("BlockingWatchword", "mysql+pymysql://ada:secret@127.0.0.1:1/shop"),
        ],
    )
    def test_a_database_that_is_away(self, write, kind, url, option):
        """Something to do: exit code 1, and no password is printed."""
        write(f"from watchword import {kind}\nauth = {kind}({url!r})")
        users_file(people(1, 1))

        result = run("users.jsonl", *APP, *option)

        assert result.exit_code == 1
        assert result.stderr.startswith("error  The database cannot be used: ")
        assert "secret" not in result.output

    def test_a_database_without_tables(self, shop):
        """Something to do: exit code 1."""
        Path("shop.db").unlink()
        users_file(people(1, 1))

        result = run("users.jsonl", *APP)

        assert result.exit_code == 1
        assert "has its tables" in result.stderr

    @pytest.mark.parametrize("harm", [lambda it: it[:-30], lambda it: it[:200] + b"x" * 400])
    def test_a_damaged_file(self, shop, harm):
        """What came before stays; exit code 1."""
        users_file(harm(gzip.compress(people(1, 500).encode())))

        result = run("users.jsonl", *APP, "--batch-size", "20")

        assert result.exit_code == 1
        assert result.stderr.startswith("error  users.jsonl is damaged: ")
        assert len(names()) % 20 == 0

    def test_a_folder_that_takes_no_checkpoint(self, shop):
        """It is found out before anybody is written."""
        users_file(people(1, 1))
        CHECKPOINT.mkdir()

        result = run("users.jsonl", *APP)

        assert result.exit_code == 1
        assert "the folder has to be writable" in " ".join(result.stderr.split())
        assert names() == []


@pytest.fixture
def on_a_terminal(in_terminal):
    """Run the command in a terminal, and return all that is written there."""
    command = (*COMMAND, "users.jsonl", "--batch-size", "10")

    def on_a_terminal(**environment: str) -> str:
        shown, exit_code = in_terminal(*command, **{"COLUMNS": "120", **environment})
        assert exit_code == 0
        return shown

    return on_a_terminal


@pytest.mark.slow
class TestATerminal:
    """Who looks sees how far it is."""

    def test_a_bar_is_shown_and_gone_in_the_end(self, shop, on_a_terminal):
        """With the lines that were read; what stays is what was done."""
        users_file(people(1, 300))

        shown = on_a_terminal()

        assert re.search(r"Importing, \d+ lines, [\d,]+/s", shown)
        assert "100%" in shown
        assert "\x1b[32m+\x1b[0m 300 users" in shown
        assert "\x1b[2K" in shown.rpartition("Importing")[2].partition("300 users")[0]

    def test_no_bar_where_it_cannot_be_drawn(self, shop, on_a_terminal):
        """A dumb terminal gets the lines that a file gets."""
        users_file(people(1, 30))

        shown = on_a_terminal(TERM="dumb")

        assert "Importing" not in shown
        assert "\x1b" not in shown
