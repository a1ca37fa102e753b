"""`watchword users`: what is shown and erased, what is said, and what is said to a mistake."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

from watchword import BlockingWatchword
from watchword.cli.commands import watchword
from watchword.concurrency import run_blocking

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "guides" / "personal-data.md").read_text(encoding="utf-8")
EXPORTED, ERASED = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
SHOP: Final = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)[0]

ADA: Final = "019a0000-0000-7000-8000-000000000001"
ADDRESS: Final = "ada@example.org"
APP: Final = ("--app", "shop.auth:auth")
BLOCKING: Final = SHOP.replace("Watchword(", "BlockingWatchword(").replace(
    "Plugin, Watchword", "Plugin, BlockingWatchword"
)
KINDS: Final = {"async": SHOP, "blocking": BLOCKING.replace("+aiosqlite", "")}
ALL: Final = {"users": 2, "sessions": 2, "accounts": 2, "notes": 1, "comments": 1}
LEFT: Final = {"users": 1, "sessions": 1, "accounts": 1, "notes": 0, "comments": 1}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def shop(write, request) -> None:
    """The shop of the guide, with an instance of either kind."""
    write(request.param)


@pytest.fixture(scope="module")
def first_shop(tmp_path_factory) -> Path:
    """The place of a database that is made once, and copied."""
    return tmp_path_factory.mktemp("users") / "shop.db"


@pytest.fixture
def people(here, first_shop):
    """The shop's tables: Ada with all that the guide gives her, and Bob."""
    if not first_shop.exists():
        make_people()
        shutil.copy("shop.db", first_shop)
    shutil.copy(first_shop, "shop.db")


def make_people() -> None:
    """Make the tables, and fill them."""
    scope: dict[str, object] = {}
    exec(KINDS["blocking"], scope)
    auth = scope["auth"]
    assert isinstance(auth, BlockingWatchword)
    auth.create_tables()
    run_blocking(_add_people(auth.instance.store, scope["auth"].instance.clock()))
    auth.close()


async def _add_people(store, now):
    for user_id, name in ((ADA, "Ada"), (ADA[:-1] + "2", "Bob")):
        address = f"{name.lower()}@example.org"
        await store.create("user", {"id": user_id, "name": name, "email": address})
        session = {"user_id": user_id, "token": name, "expires_at": now, "user_agent": "Müller"}
        await store.create("session", session)
        account = {"provider_id": "credential", "account_id": user_id, "password": "argon2"}
        await store.create("account", {"user_id": user_id, **account})
    await store.create("note", {"user_id": ADA, "text": "Note G"})
    await store.create("comment", {"author_id": ADA, "signature": "Ada", "text": "Well said"})


def rows() -> dict[str, int]:
    """Count rows, past everything."""
    with closing(sqlite3.connect("shop.db")) as database:
        count = "SELECT count(*) FROM watchword_{}"
        return {it: database.execute(count.format(it)).fetchone()[0] for it in ALL}


def change(sql: str) -> None:
    """Write past everything."""
    with closing(sqlite3.connect("shop.db")) as database:
        database.execute(sql)
        database.commit()


def run(*options: str, **settings):
    """Run the command in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, ["users", *options], **settings)


class TestTheGuide:
    """`docs/guides/personal-data.md` tells of the commands as they are."""

    def test_ada_is_shown_and_erased_as_it_says(self, shop, people):
        """Each line is the one that is printed, for both kinds of instances."""
        exported = run(*options(EXPORTED))
        before = rows()
        erased = run(*options(ERASED))

        assert f"{EXPORTED.splitlines()[0]}\n{exported.stdout}" == EXPORTED
        assert f"{ERASED.splitlines()[0]}\n{erased.stdout}" == ERASED
        assert (exported.exit_code, erased.exit_code) == (0, 0)
        assert (before, rows()) == (ALL, LEFT)

    @pytest.mark.parametrize("block", [EXPORTED, ERASED])
    def test_every_command_is_understood(self, block):
        """Its options exist and take what they are given."""
        name, *given = options(block)
        with click.Context(watchword.commands["users"].commands[name]) as context:
            context.command.parse_args(context, given)


def options(block: str) -> list[str]:
    """Return the subcommand in a block, with its options."""
    return shlex.split(block.splitlines()[0])[3:]


class TestExport:
    """`watchword users export`."""

    @pytest.mark.parametrize("who", [ADA, ADDRESS, "Ada@Example.ORG"])
    def test_it_prints_json(self, shop, people, who):
        """By id or by address, in any spelling that signs in."""
        result = run("export", who, *APP)

        found = json.loads(result.stdout)
        assert result.exit_code == 0
        assert (found["user"]["id"], found["user"]["email"]) == (ADA, ADDRESS)
        assert {it: len(rows) for it, rows in found["related"].items()} == {
            "session": 1,
            "account": 1,
            "note": 1,
            "comment": 1,
        }
        assert "argon2" not in result.stdout
        assert found["keptButNotShown"] == {"account": ["password"], "session": ["token"]}
        assert "Müller" in result.stdout
        assert '\n  "user": {\n' in result.stdout

    def test_a_file_is_for_its_owner_alone(self, shop, people, here):
        """Nothing is printed of what is in it, and an older one is replaced."""
        path = here / "ada.json"
        path.write_text("older")
        path.chmod(0o644)

        result = run("export", ADA, *APP, "--output", str(path))

        assert result.exit_code == 0
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_text(encoding="utf-8"))["user"]["id"] == ADA
        assert "Note G" not in result.stdout
        assert [it.name for it in here.glob("*ada*")] == ["ada.json"]

    @pytest.mark.slow
    def test_a_terminal_without_unicode_gets_escapes(self, shop, people):
        """And no error."""
        ended = subprocess.run(
            [sys.executable, "-m", "watchword", "users", "export", ADA, *APP],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            check=True,
            capture_output=True,
        )

        assert b"M\\u00fcller" in ended.stdout

    @pytest.mark.slow
    def test_attack_user_agent_that_rules_the_terminal(self, shop, people, on_a_terminal):
        """There it is escaped, which says the same; a file or a pipe gets it as it is."""
        change("UPDATE watchword_sessions SET user_agent = 'é' || char(155, 8238, 127)")

        shown, code = on_a_terminal("export", ADA, *APP, answer="")
        piped = run("export", ADA, *APP)

        assert code == 0
        assert '"userAgent": "é\\u009b\\u202e\\u007f"' in shown
        assert '"userAgent": "é\x9b\u202e\x7f"' in piped.stdout

    @pytest.mark.slow
    def test_a_full_disk(self, shop, people, into):
        """Something to do: exit code 1, and no traceback."""
        ended = into("/dev/full", "export", ADA, *APP)

        assert ended.returncode == 1
        assert ended.stderr.startswith("error  The output cannot be written: No space left")
        assert ended.stderr.count("\n") == 2

    @pytest.mark.parametrize("place", ["nowhere/ada.json", "shop/auth.py/ada.json"])
    def test_a_file_that_cannot_be_written(self, shop, people, place):
        """Something to do: exit code 1."""
        result = run("export", ADA, *APP, "--output", place)

        assert result.exit_code == 1
        assert result.stderr.startswith(f"error  {place} cannot be written: ")

    def test_a_device_is_not_replaced(self, shop, people):
        """A file put in its place would break it."""
        result = run("export", ADA, *APP, "--output", "/dev/null")

        assert result.exit_code == 1
        assert result.stderr.startswith("error  /dev/null is no file.")
        assert Path("/dev/null").is_char_device()

    def test_a_failure_leaves_no_file(self, shop, people, here, monkeypatch):
        """Neither a part of it nor what it is written to first, and an older one is as it was."""
        (here / "ada.json").write_text("older")
        monkeypatch.setattr(Path, "replace", _fail)

        result = run("export", ADA, *APP, "--output", "ada.json")

        assert result.exit_code == 1
        assert "No space left" in result.stderr
        assert (here / "ada.json").read_text() == "older"
        assert [it.name for it in here.glob("*ada*")] == ["ada.json"]


def _fail(*_):
    raise OSError(28, "No space left on device")


class TestErase:
    """`watchword users erase`."""

    def test_without_a_terminal_it_needs_a_yes(self, shop, people):
        """What would go is shown, and nothing goes: exit code 1."""
        result = run("erase", ADA, *APP)

        assert result.exit_code == 1
        assert result.stdout.startswith(f"Ada <{ADDRESS}>, id {ADA}:\n  -  1  session\n")
        assert result.stderr == (
            "error  This would erase a person; nothing was changed.\n"
            "       hint  Say --yes to erase all the same.\n"
        )
        assert rows() == ALL

    @pytest.mark.slow
    @pytest.mark.parametrize(("answer", "end"), [("n", (1, ALL)), ("y", (0, LEFT))])
    def test_on_a_terminal_it_asks(self, shop, people, on_a_terminal, answer, end):
        """Only a yes erases."""
        shown, code = on_a_terminal("erase", ADA, *APP, answer=answer)

        assert "Erase all of this? [y/N]" in shown
        assert ("Nothing was changed." in shown) == (answer == "n")
        assert (code, rows()) == end

    def test_twice(self, shop, people):
        """The second time there is nobody: exit code 1."""
        run("erase", ADA, *APP, "--yes")

        result = run("erase", ADA, *APP, "--yes")

        assert result.exit_code == 1
        assert result.stderr.startswith("error  There is nobody with the id or address ")
        assert rows() == LEFT

    def test_rows_that_stand_in_the_way(self, write, people):
        """Nothing goes: exit code 1, and the rows are counted."""
        write(
            KINDS["blocking"].replace(
                'reference("user")', 'reference("user", on_delete="restrict")'
            )
        )

        result = run("erase", ADA, *APP, "--yes")

        assert result.exit_code == 1
        assert "(1 of note) still point at them" in result.stderr
        assert rows() == ALL

    def test_rows_of_a_table_that_nobody_knows(self, shop, people):
        """Nothing goes: exit code 1, in the database's words."""
        change("CREATE TABLE bill (payer TEXT REFERENCES watchword_users (id))")
        change(f"INSERT INTO bill SELECT id FROM watchword_users WHERE email = '{ADDRESS}'")

        result = run("erase", ADA, *APP, "--yes")

        assert result.exit_code == 1
        assert "rows of the application's own tables still point at them" in result.stderr
        assert "FOREIGN KEY constraint failed" in result.stderr
        assert rows() == ALL

    def test_a_hook_that_refuses(self, write, people):
        """Nothing goes: exit code 1."""
        hooks = "[DatabaseHook(model='note', operation='delete', before=lambda row: False)]"
        code = KINDS["blocking"].replace("import ", "import DatabaseHook, ", 1)
        write(code.replace("plugins=", f"database_hooks={hooks}, plugins="))

        result = run("erase", ADA, *APP, "--yes")

        assert result.exit_code == 1
        assert result.stderr.startswith("error  Nothing was erased: a hook refused to delete note")
        assert rows() == ALL

    @pytest.mark.slow
    def test_a_full_disk_after_it_erased(self, shop, people, into):
        """It is done, and said where errors go."""
        ended = into("/dev/full", "erase", ADA, *APP, "--yes")

        assert ended.returncode == 0
        assert ended.stderr.startswith(f"error  Erased user {ADA}.")
        assert "No space left" in ended.stderr
        assert ended.stderr.count("\n") == 2
        assert rows() == LEFT

    @pytest.mark.slow
    def test_a_full_disk_before_it_erases(self, shop, people, into):
        """Nothing goes: exit code 1."""
        ended = into("/dev/full", "erase", ADA, *APP)

        assert ended.returncode == 1
        assert ended.stderr.startswith("error  The output cannot be written: No space left")
        assert rows() == ALL

    @pytest.mark.slow
    def test_nobody_reads_what_was_erased(self, shop, people, into):
        """It is done, and that is no failure."""
        theirs, ours = os.pipe()
        os.close(theirs)

        ended = into(ours, "erase", ADA, *APP, "--yes")
        os.close(ours)

        assert (ended.returncode, ended.stderr) == (0, "")
        assert rows() == LEFT

    def test_attack_name_that_rules_the_terminal(self, shop, people):
        """It is shown without its control characters."""
        change("UPDATE watchword_users SET name = 'A' || char(27) || '[2J' || char(155) || '[da]'")

        result = run("erase", ADA, *APP)

        assert result.stdout.startswith(
            "A\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}[da]"
        )
        assert "\x1b" not in result.output


@pytest.fixture
def into(run_command):
    """Run the command in a process of its own, with another place for what it prints."""

    def into(output: str | int, *options: str) -> subprocess.CompletedProcess[str]:
        with open(output, "w", closefd=isinstance(output, str)) as file:
            return run_command("users", *options, stdout=file.fileno())

    return into


@pytest.fixture
def on_a_terminal(in_terminal):
    """Run the command in a terminal, and return all that is shown there with the exit code."""
    return partial(in_terminal, "users")


@pytest.mark.parametrize("command", ["export", "erase"])
class TestMistakes:
    """Each is a sentence, a hint and an exit code."""

    @pytest.mark.parametrize("who", ["eve@example.org", "1", "", "x" * 500, "ada", "%", "\0"])
    def test_nobody(self, shop, people, command, who):
        """Something to do: exit code 1."""
        result = run(command, who, *APP)

        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("error  There is nobody with the id or address ")
        assert rows() == ALL

    def test_several(self, write, people, command):
        """Something to do: exit code 1, and each is named."""
        write(KINDS["blocking"].replace("plugins=", "ids='string', plugins="))
        plain = ADA.replace("-", "")  # as SQLite keeps it
        change(f"UPDATE watchword_users SET email = '{plain}' WHERE name = 'Bob'")

        result = run(command, plain, *APP)

        assert result.exit_code == 1
        assert result.stderr.startswith(f"error  {plain!r} may be any of 2 people.")
        assert f"Bob <{plain}>, id " in result.stderr
        assert rows() == ALL

    def test_no_application(self, here, command):
        """Wrong use: exit code 2."""
        result = run(command, ADA)

        assert result.exit_code == 2
        assert result.stderr.startswith("error  No application is named.")

    def test_a_database_without_tables(self, shop, command):
        """Something to do: exit code 1, in the database's words."""
        result = run(command, ADA, *APP)

        assert result.exit_code == 1
        assert "no such table" in result.stderr

    @pytest.mark.parametrize("kind", ["Watchword", "BlockingWatchword"])
    def test_a_database_that_is_away(self, write, command, kind):
        """Something to do: exit code 1, and no password is printed."""
        driver = "asyncpg" if kind == "Watchword" else "psycopg"
        url = f"postgresql+{driver}://ada:secret@127.0.0.1:1/shop"
        write(f"from watchword import {kind}\nauth = {kind}({url!r}, base_url='http://localhost')")

        result = run(command, ADA, *APP)

        assert result.exit_code == 1
        assert result.stderr.startswith("error  The database cannot be used: ")
        assert "secret" not in result.output
