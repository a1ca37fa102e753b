"""`watchword migrate`: what it does, says and asks, and what it says to a mistake."""

import os
import re
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import MetaData, NullPool, create_engine, inspect, make_url

from watchword.cli.commands import watchword

SECRET = "correct-horse-battery-staple-0123456789"
APP = """\
from watchword import {kind}, EmailPassword, Field, Naming, UserOptions
from watchword.plugins.username import Username

auth = {kind}(
    {url!r},
    email_password=EmailPassword(),
    plugins=[{plugins}],
    naming=Naming(prefix={prefix!r}),
    user=UserOptions(additional_fields={{{fields}}}),
)
"""
PLAN = '"plan": Field("string", default="it\'s 100% :free", max_length=20)'
TIER = PLAN.replace('"plan"', '"tier"')
ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
ASYNC["mysql"] = "mysql+aiomysql"
ADDED = """\
  + column watchword_users.username
  + column watchword_users.display_username
  + unique watchword_users(username)
"""
EVERYTHING = """\
  + table watchword_users
  + table watchword_verifications
  + table watchword_sessions
  + table watchword_accounts
"""


@dataclass
class Shop:
    """An application in the current folder, whose versions follow one another."""

    url: str

    def write(self, *, plugins: str = "", fields: str = "", prefix: str = "watchword_") -> None:
        """Write a version, and forget the one before."""
        kind = "Watchword" if make_url(self.url).get_dialect().is_async else "BlockingWatchword"
        code = APP.format(kind=kind, url=self.url, plugins=plugins, fields=fields, prefix=prefix)
        Path("shop.py").write_text(code, encoding="utf-8")
        sys.modules.pop("shop", None)

    def migrate(self, *options: str, **settings: object) -> Result:
        """Run the command in this process."""
        runner = CliRunner(catch_exceptions=False)
        return runner.invoke(watchword, ["migrate", "--app", "shop:auth", *options], **settings)


@pytest.fixture
def new_shop(tmp_path, monkeypatch) -> Iterator[Callable[[str], Shop]]:
    """Make an application in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if it])
    for name in [name for name in os.environ if name.startswith("WATCHWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATCHWORD_SECRET", SECRET)
    monkeypatch.setenv("WATCHWORD_BASE_URL", "http://localhost:8000")

    def new_shop(url: str) -> Shop:
        shop = Shop(url)
        shop.write()
        return shop

    yield new_shop
    sys.modules.pop("shop", None)


@pytest.fixture
def shop(new_shop, sqlite_database) -> Shop:
    """An application on SQLite, of the core alone."""
    return new_shop(sqlite_database)


def columns_of(url: str, table: str = "watchword_users") -> set[str]:
    """Return the columns of a table, past everything."""
    engine = create_engine(url, poolclass=NullPool)
    return {it["name"] for it in inspect(engine).get_columns(table)}


def empty(url: str) -> str:
    """Remove every table of a database."""
    engine = create_engine(url, poolclass=NullPool)
    everything = MetaData()
    everything.reflect(engine)
    everything.drop_all(engine)
    return url


# --- there ---------------------------------------------------------------------------------------


def test_the_first_run_makes_everything(shop, sqlite_database):
    """It says what it made and where that leads; the next one has nothing to do."""
    first, again = shop.migrate(), shop.migrate()

    assert first.stdout == f"{EVERYTHING}The database is at version 1 now.\n"
    assert again.stdout == "Nothing to do: the database is at version 1.\n"
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert (first.stderr, again.stderr) == ("", "")
    assert "email_verified" in columns_of(sqlite_database)


def test_a_plugin_is_added(shop, sqlite_database):
    """Only what it wants is made."""
    shop.migrate()
    shop.write(plugins="Username()")

    added = shop.migrate()

    assert added.stdout == f"{ADDED}The database is at version 2 now.\n"
    assert "username" in columns_of(sqlite_database)


@pytest.mark.parametrize("option", [["--dry-run"], ["--sql"], ["--yes"], ["--to", "1"]])
def test_an_option_that_a_subcommand_would_not_hear_of_is_refused(shop, option):
    """Nobody loses a column by a --dry-run that stands in the wrong place."""
    shop.migrate()
    shop.write(fields=PLAN)
    shop.migrate()

    result = shop.migrate(*option, "downgrade", "--yes")

    assert result.exit_code == 2
    assert "Say the options of downgrade behind it." in result.stderr
    assert shop.migrate("status").stdout.endswith("The database is up to date.\n")


def test_a_way_back_is_shown_before_it_is_gone(shop):
    """What would be removed is told, by words or by SQL, and nothing is."""
    shop.migrate()
    shop.write(fields=PLAN)
    shop.migrate()

    told = shop.migrate("downgrade", "--dry-run")
    sql = shop.migrate("downgrade", "--sql")

    assert told.stdout.startswith("  - column watchword_users.plan\n")
    assert sql.stdout.startswith("PRAGMA foreign_keys = OFF;\nBEGIN;\n")
    assert shop.migrate("status").stdout.endswith("The database is up to date.\n")


def test_the_application_may_be_named_behind_a_subcommand(shop):
    """The natural order works, and help needs no application."""
    runner = CliRunner()

    status = runner.invoke(watchword, ["migrate", "status", "--app", "shop:auth"])
    helped = runner.invoke(watchword, ["migrate", "downgrade", "--help"])

    assert status.exit_code == 1
    assert "4 changes to be made" in status.stdout
    assert helped.exit_code == 0


def test_what_nobody_wants_is_kept_until_it_is_dropped(shop, sqlite_database):
    """It is said, once."""
    shop.write(plugins="Username()")
    shop.migrate()
    shop.write()

    kept, again, dropped = shop.migrate(), shop.migrate(), shop.migrate("--drop", "--yes")

    assert "= column watchword_users.username is kept, with its values" in kept.stdout
    assert again.stdout == "Nothing to do: the database is at version 2.\n"
    assert "- column watchword_users.username" in dropped.stdout
    assert "username" not in columns_of(sqlite_database)


def test_a_rename_is_done_when_asked(shop, sqlite_database):
    """With its values."""
    shop.write(fields=PLAN)
    shop.migrate()
    shop.write(fields=TIER)

    done = shop.migrate("--rename", "user.plan:tier")

    assert "  ~ column watchword_users.plan becomes tier\n" in done.stdout
    assert "plan" not in columns_of(sqlite_database)


# --- only looking --------------------------------------------------------------------------------


def test_a_dry_run_does_nothing(shop):
    """It says what would be done, and leaves not even a version table."""
    dry = shop.migrate("--dry-run")
    done = shop.migrate()
    nothing = shop.migrate("--dry-run")

    assert dry.stdout == (
        f"{EVERYTHING}4 changes would be made; nothing was done.\n"
        "Next: run it without --dry-run.\n"
    )
    assert done.stdout.startswith(EVERYTHING)
    assert nothing.stdout == "Nothing to do: the tables are as the application wants them.\n"
    assert (dry.exit_code, nothing.exit_code) == (0, 0)


def test_a_dry_run_tells_of_conflicts(shop):
    """With a mark, and exit code 1."""
    shop.write(fields=PLAN)
    shop.migrate()
    shop.write(fields='"plan": Field("boolean", default=False)')

    dry = shop.migrate("--dry-run")
    real = shop.migrate()

    assert "  ! watchword_users.plan (the application) is text and should be boolean" in dry.stdout
    assert "This cannot be done." in dry.stderr
    assert dry.exit_code == 1
    assert "nothing was done" in real.stderr
    assert "watchword_users.plan (the application) is text and should be boolean" in real.stderr
    assert real.exit_code == 1


def test_status_tells_versions_and_what_is_missing(shop):
    """Exit code 1 as long as there is something to do."""
    before = shop.migrate("status")
    shop.migrate()
    after = shop.migrate("status")
    shop.write(plugins="Username()")
    behind = shop.migrate("status")

    assert before.stdout == (
        f"4 changes to be made:\n{EVERYTHING}Next: watchword migrate --app shop:auth\n"
    )
    assert re.fullmatch(
        r"\*   1  \d{4}-\d\d-\d\d \d\d:\d\d UTC  4 tables  Watchword \S+\n"
        r"The database is up to date\.\n",
        after.stdout,
    )
    assert behind.stdout.endswith(
        f"3 changes to be made:\n{ADDED}Next: watchword migrate --app shop:auth\n"
    )
    assert [it.exit_code for it in (before, after, behind)] == [1, 0, 1]


def test_tables_that_nobody_recorded_are_told(shop):
    """Made by `create_tables()`, they are recorded by the next run."""
    auth = run_path("shop.py")["auth"]
    auth.create_tables()
    auth.close()

    status = shop.migrate("status")
    done = shop.migrate()

    assert "that was not recorded.\n" in status.stdout
    assert status.exit_code == 1
    assert done.stdout == "The tables were right already; recorded as version 1.\n"
    assert shop.migrate("status").exit_code == 0


# --- back ----------------------------------------------------------------------------------------


def test_back_it_goes_by_version(shop, sqlite_database):
    """By `--to` or by `downgrade`, whose default is the version before."""
    shop.migrate()
    shop.write(plugins="Username()")
    shop.migrate()

    back = shop.migrate("downgrade", "--yes")
    shop.migrate()
    also_back = shop.migrate("--to", "1", "--yes")
    status = shop.migrate("status")
    gone = shop.migrate("downgrade", "--to", "0", "--yes")

    removed = [line.replace("+", "-") for line in reversed(ADDED.splitlines())]
    assert sorted(back.stdout.splitlines()[:3]) == sorted(removed)
    assert back.stdout == also_back.stdout
    assert back.stdout.endswith("The database is at version 1 now.\n")
    assert status.stdout.startswith("*   1  ")
    assert "  - table watchword_users\n" in gone.stdout
    engine = create_engine(sqlite_database, poolclass=NullPool)
    assert inspect(engine).get_table_names() in ([], ["sqlite_sequence"])


def test_nothing_is_removed_unasked(shop, sqlite_database):
    """Without a terminal nobody can answer: it says how to."""
    shop.write(plugins="Username()")
    shop.migrate()
    shop.write()

    asked = [
        shop.migrate("--drop"),
        shop.migrate("--to", "0"),
        shop.migrate("downgrade"),
        shop.migrate("downgrade", "--to", "0"),
    ]

    for it in asked:
        assert "This would remove tables or columns with their values." in it.stderr
        assert "--yes" in it.stderr
        assert it.exit_code == 1
    assert "  - column watchword_users.username\n" in asked[0].stdout
    assert "username" in columns_of(sqlite_database)


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_asks(shop, sqlite_database, monkeypatch, answer, code):
    """Whatever is not a yes is a no."""
    shop.write(plugins="Username()")
    shop.migrate()
    shop.write()
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    monkeypatch.setenv("NO_COLOR", "1")

    asked = shop.migrate("--drop", input=answer)

    assert "Remove these, with their values? [y/N]" in asked.stdout
    assert asked.exit_code == code
    assert ("username" in columns_of(sqlite_database)) == bool(code)


def test_a_version_that_never_was_is_an_error(shop):
    """It lists those that were."""
    shop.migrate()

    for wrong in (shop.migrate("--to", "7", "--yes"), shop.migrate("downgrade", "--to", "7")):
        assert "The database never was at version 7." in wrong.stderr
        assert "its versions: 1" in wrong.stderr
        assert wrong.exit_code == 2
    assert shop.migrate("--to", "-1").exit_code == 2


def test_there_may_be_nothing_to_go_back_to(shop):
    """It says what records a version."""
    wrong = shop.migrate("downgrade", "--yes")

    assert "No version is recorded" in wrong.stderr
    assert wrong.exit_code == 1


# --- older code ----------------------------------------------------------------------------------


def test_a_database_that_is_newer_than_the_code_is_left_alone(shop, sqlite_database):
    """It says at which version the code is; with `--keep` it goes on all the same."""
    shop.migrate()
    shop.write(plugins="Username()")
    shop.migrate()
    shop.write()

    refused, status = shop.migrate(), shop.migrate("status")
    kept = shop.migrate("--keep")
    after = shop.migrate()

    assert "the database is newer than the code" in refused.stderr
    assert "`--to 1`" in refused.stderr
    assert refused.exit_code == 1
    assert "The database is newer than this code.\n" in status.stdout
    assert status.exit_code == 1
    assert "username is kept, with its values" in kept.stdout
    assert (kept.exit_code, after.exit_code) == (0, 0)
    assert "username" in columns_of(sqlite_database)


def test_a_state_that_a_newer_release_wrote_is_refused(shop, sqlite_database):
    """Rather than misread."""
    shop.migrate()
    with closing(sqlite3.connect(make_url(sqlite_database).database)) as database:
        newer = '"format":1', '"format":2'
        database.execute(
            "UPDATE watchword_migrations SET snapshot = replace(snapshot, ?, ?)", newer
        )
        database.commit()

    for refused in (shop.migrate(), shop.migrate("status"), shop.migrate("--to", "0")):
        assert "this release cannot read it" in refused.stderr
        assert refused.exit_code == 2


@pytest.mark.parametrize("column", ["renames", "started_at", "finished_at"])
@pytest.mark.parametrize("garbage", ["not json", "7", "[1]", ""])
def test_a_state_that_somebody_spoilt_is_refused(shop, sqlite_database, column, garbage):
    """In whichever column, without a traceback."""
    shop.migrate()
    with closing(sqlite3.connect(make_url(sqlite_database).database)) as database:
        database.execute(f"UPDATE watchword_migrations SET {column} = ?", [garbage])
        database.commit()

    for refused in (shop.migrate(), shop.migrate("status")):
        assert "this release cannot read it" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert refused.exit_code == 2


# --- the SQL -------------------------------------------------------------------------------------


class Databases:
    """What every database has to keep."""

    @pytest.fixture
    def url(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    def test_printed_sql_does_the_same_when_it_is_sent(self, new_shop, url):
        """By hand, statement by statement; afterwards nothing is left to do."""
        shop = new_shop(empty(url))
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        versions = [
            {},
            {"plugins": "Username()", "fields": PLAN},
            {"plugins": "Username()", "fields": TIER},
            {"fields": TIER.replace("default=", "required=False, unique=True, default=")},
            {"fields": TIER},
        ]
        for version in versions:
            shop.write(**version)
            before = shop.migrate("status").stdout
            printed = shop.migrate("--sql", "--drop")

            assert (printed.exit_code, printed.stderr) == (0, "")
            assert shop.migrate("status").stdout == before
            with engine.connect() as connection:
                if engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                for statement in re.split(r";(?: *--.*)?\n", printed.stdout):
                    if statement.strip():
                        connection.connection.cursor().execute(statement)
            status = shop.migrate("status").stdout
            assert "to be made" not in status

        done = shop.migrate()
        assert done.stdout == "The tables were right already; recorded as version 1.\n"

    def test_rows_that_are_in_the_way_are_told(self, new_shop, url):
        """The step and the database's own words; once they are mended it goes on from there."""
        shop = new_shop(empty(url))
        shop.write(fields=PLAN)
        shop.migrate()
        engine = create_engine(url, poolclass=NullPool)
        users = "INSERT INTO watchword_users (id, name, email, plan) VALUES ('{}', 'A', '{}', 'b')"
        with engine.begin() as connection:
            for number in (1, 2):
                connection.exec_driver_sql(users.format(f"{number:032}", number))
        shop.write(fields=PLAN.replace("default=", "unique=True, default="))

        failed, status = shop.migrate(), shop.migrate("status")
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM watchword_users WHERE email = '2'")
        mended = shop.migrate()

        assert re.match("error  .*(unique|duplicate).*plan", failed.stderr, re.IGNORECASE)
        assert "Traceback" not in failed.stderr
        assert failed.exit_code == 1
        assert "  + unique watchword_users(plan)\n" in status.stdout
        assert "  + unique watchword_users(plan)\n" in mended.stdout
        assert shop.migrate("status").exit_code == 0

    def test_blocking_and_async_drivers_do_alike(self, new_shop, url):
        """The same words, whoever carries them out."""
        said = []
        for driver in (make_url(url).drivername, ASYNC[make_url(url).get_backend_name()]):
            empty(url)
            shop = new_shop(
                make_url(url).set(drivername=driver).render_as_string(hide_password=False)
            )
            runs = [shop.migrate("--dry-run"), shop.migrate("--sql"), shop.migrate()]
            shop.write(plugins="Username()")
            runs += [shop.migrate("status"), shop.migrate(), shop.migrate("downgrade", "--yes")]
            said.append([(it.stdout, it.stderr, it.exit_code) for it in runs])

        assert strip_times(said[0]) == strip_times(said[1])

    def test_a_url_alone_is_enough(self, new_shop, url):
        """For the core, without an application."""
        new_shop(empty(url))
        runner = CliRunner(catch_exceptions=False)

        done = runner.invoke(watchword, ["migrate", "--database-url", url])
        status = runner.invoke(watchword, ["migrate", "--database-url", url, "status"])

        assert done.stdout == f"{EVERYTHING}The database is at version 1 now.\n"
        assert status.exit_code == 0


def strip_times(said: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Leave out when something was done."""
    return [(re.sub(r"\d\d:\d\d UTC", "", out), err, code) for out, err, code in said]


class TestOnSQLite(Databases):
    """In a file."""

    @pytest.fixture
    def url(self, sqlite_database):
        """A new file."""
        return sqlite_database


class TestOnPostgreSQL(Databases):
    """Statement by statement."""

    @pytest.fixture
    def url(self, postgresql_database):
        """A database of this module."""
        return postgresql_database


class TestOnMariaDB(Databases):
    """Where nothing is undone."""

    @pytest.fixture
    def url(self, mysql_database):
        """A database of this module."""
        return mysql_database


# --- mistakes ------------------------------------------------------------------------------------

PASSWORD = "dont-print-me-0815"
COMMANDS = [
    (),
    ("--dry-run",),
    ("--sql",),
    ("status",),
    ("downgrade",),
    ("--to", "0"),
    ("--drop", "--yes"),
]


@pytest.mark.parametrize(
    "driver",
    [
        "postgresql+psycopg",
        "postgresql+asyncpg",
        "mysql+pymysql",
        "mysql+aiomysql",
    ],
)
def test_a_database_that_cannot_be_reached_is_told(new_shop, driver):
    """In a sentence, whichever command, and the password is in none of it."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    shop = new_shop(f"{driver}://ada:{PASSWORD}@127.0.0.1:{port}/shop")

    for command in COMMANDS:
        result = shop.migrate(*command)

        said = result.stdout + result.stderr
        assert "The database cannot be used:" in result.stderr
        assert "Look whether it runs and lets you in." in result.stderr
        assert "Traceback" not in said
        assert PASSWORD not in said
        assert result.exit_code == 1


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_server_that_lets_nobody_in_is_told(new_shop, postgresql_url, driver):
    """The password of the URL is not repeated, neither by us nor by the driver."""
    url = make_url(postgresql_url).set(
        drivername=f"postgresql+{driver}", password=PASSWORD, database="no_such_database"
    )
    shop = new_shop(url.render_as_string(hide_password=False))

    for command in COMMANDS:
        result = shop.migrate(*command)

        assert "no_such_database" in result.stderr
        assert PASSWORD not in result.stdout + result.stderr
        assert result.exit_code == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgres://ada:{PASSWORD}@127.0.0.1/shop", "postgres"),
        (f"oracle://ada:{PASSWORD}@127.0.0.1/shop", "oracle"),
        (f"nonsense {PASSWORD}", ""),
        ("", ""),
    ],
)
def test_a_url_that_leads_nowhere_is_told(new_shop, sqlite_database, url, words):
    """Without the password in it."""
    new_shop(sqlite_database)

    result = CliRunner().invoke(watchword, ["migrate", "--database-url", url])

    assert words in result.stderr
    assert "hint" in result.stderr
    assert PASSWORD not in result.stdout + result.stderr
    assert result.exit_code == 2


def test_an_instance_in_memory_has_nothing_to_migrate(shop):
    """It says what has."""
    code = APP.replace("{url!r}", "MemoryAdapter()").replace(
        "from watchword.plugins",
        "from watchword.adapters.memory import MemoryAdapter\nfrom watchword.plugins",
    )
    Path("shop.py").write_text(
        code.format(kind="Watchword", plugins="", fields="", prefix=""), encoding="utf-8"
    )

    result = shop.migrate()

    assert "MemoryAdapter has no tables to migrate." in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rename", "nonsense"), "is no rename"),
        (("--rename", "person:human"), "person cannot become human"),
        (("--rename", "user.name:nick"), "user.name cannot become nick"),
        (("--to", "x"), "is not a valid integer"),
        (("--nonsense",), "No such option"),
        (("nonsense",), "No such command"),
    ],
)
def test_wrong_use_is_told(shop, options, words):
    """Exit code 2, and nothing is done."""
    shop.migrate()

    result = shop.migrate(*options)

    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exit_code == 2
    assert shop.migrate().stdout == "Nothing to do: the database is at version 1.\n"


def test_rows_without_a_value_are_told(new_shop, sqlite_database):
    """How many, and of what; nothing is done before."""
    shop = new_shop(sqlite_database)
    shop.write(fields='"plan": Field("string", required=False)')
    shop.migrate()
    with closing(sqlite3.connect(make_url(sqlite_database).database)) as database:
        database.execute(
            "INSERT INTO watchword_users (id, name, email) VALUES ('1', 'Ada', 'a@b.example')"
        )
        database.commit()
    shop.write(fields='"plan": Field("string")')

    refused = shop.migrate()

    assert "1 rows have no value" in refused.stderr or "1 row has no value" in refused.stderr
    assert refused.exit_code == 1
