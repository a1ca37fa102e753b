"""`watchword schema`: what it shows and writes, and what it says to a mistake."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from sqlalchemy import NullPool, create_engine, inspect

from watchword import BlockingWatchword, Naming, UserOptions
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.adapters.sqlalchemy.ddl import DIALECTS, create_statements, dialect_of
from watchword.adapters.sqlalchemy.tables import Tables
from watchword.cli.commands import watchword
from watchword.schema import CORE_MODELS, Field, resolve_schema
from watchword.schema.snapshot import snapshot_of

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = (ROOT / "docs" / "guides" / "schema.md").read_text(encoding="utf-8")
PICTURE: Final = (ROOT / "docs" / "images" / "schema.svg").read_text(encoding="utf-8")
TABLE, WRITTEN, SQL, HELP = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
[SHOP] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)

SECRET: Final = "correct-horse-battery-staple-0123456789"
BASE_URL: Final = "http://localhost:8000"
APP: Final = ("--app", "shop.auth:auth")
IN_MEMORY: Final = """\
from watchword import Watchword
from watchword.adapters.memory import MemoryAdapter

auth = Watchword(MemoryAdapter())
"""


@pytest.fixture
def shop(write) -> None:
    """The shop of the guide."""
    write(SHOP)


@pytest.fixture
def in_memory(write) -> None:
    """A shop whose database takes no SQL."""
    write(IN_MEMORY)


def run(*options: str):
    """Run the command in this process."""
    return CliRunner(catch_exceptions=False).invoke(watchword, ["schema", *options])


def options(block: str) -> list[str]:
    """Return the options of the command in a block."""
    return shlex.split(block.splitlines()[0])[3:]


class TestTheGuide:
    """`docs/guides/schema.md` tells of the command as it is."""

    @pytest.mark.parametrize("block", [TABLE, SQL], ids=["table", "sql"])
    def test_what_is_shown(self, shop, block):
        """Each line of the guide is the one that is printed."""
        expected = block.splitlines()[1:-1]

        result = run(*options(block))

        assert result.exit_code == 0
        assert result.stdout.splitlines()[: len(expected)] == expected

    def test_the_picture(self, shop, here):
        """The one in the guide is the one that is written today."""
        (here / "docs").mkdir()

        result = run(*options(WRITTEN))

        assert f"{WRITTEN.splitlines()[0]}\n{result.stdout}" == WRITTEN
        assert (here / "docs" / "schema.svg").read_text(encoding="utf-8") == PICTURE

    def test_the_help_is_the_one_that_is_printed(self):
        """Nobody reads of an option that is gone, or misses a new one."""
        result = CliRunner().invoke(
            watchword, ["schema", "--help"], prog_name="watchword", terminal_width=80
        )

        assert f"$ watchword schema --help\n{result.stdout}" == HELP


class TestFormats:
    """Each is the whole schema, also of an application without SQL."""

    @pytest.mark.parametrize("form", ["table", "json", "mermaid", "svg"])
    def test_no_database_is_needed(self, in_memory, form):
        """An application in memory has a schema like any other."""
        result = run(*APP, "--format", form)

        assert result.exit_code == 0
        for model in CORE_MODELS:
            assert f"watchword_{model.name}s" in result.stdout

    def test_the_table_has_every_column_and_its_owner(self, shop):
        """One line for each, aligned in all tables."""
        lines = [it.split() for it in run(*APP).stdout.splitlines() if it.startswith("  ")]
        rows = [it for it in lines if it[0] not in {"column", "unique"}]

        assert len(rows) == 37
        assert {it[0]: it[-1] for it in rows if it[-1] != "core"} == {
            "plan": "application",
            "username": "username",
            "display_username": "username",
        }

    def test_names_in_python_stand_behind_those_in_the_database(self, write):
        """Where they differ."""
        naming = "from watchword import Naming\n"
        write(naming + IN_MEMORY.replace("()", "(), naming=Naming.wire()"))

        lines = run(*APP).stdout.splitlines()

        assert any(it.startswith("  emailVerified (email_verified) ") for it in lines)
        assert any(it.startswith("  email  ") for it in lines)

    def test_brackets_are_no_markup(self, write):
        """A comment is shown as it was written."""
        fields = "user=UserOptions(additional_fields={'plan': Field('string', default='[red]x')})"
        imports = "from watchword import Field, UserOptions\n"
        write(imports + IN_MEMORY.replace("()", f"(), {fields}"))

        assert '"[red]x"' in run(*APP).stdout

    def test_json_is_the_snapshot(self, in_memory):
        """The one that migrations are made from."""
        result = run(*APP, "--format", "json")

        snapshot = snapshot_of(resolve_schema(CORE_MODELS))
        assert json.loads(result.stdout) == json.loads(json.dumps(snapshot))

    @pytest.mark.parametrize(
        ("url", "sign"),
        [
            ("sqlite:///shop.db", "BOOLEAN DEFAULT 0"),
            ("postgresql+psycopg://ada:hidden@localhost/shop", "TIMESTAMP WITH TIME ZONE"),
            ("mysql+pymysql://ada:hidden@localhost/shop", "utf8mb4_0900_bin"),
            ("mariadb+pymysql://ada:hidden@localhost/shop", "utf8mb4_nopad_bin"),
        ],
    )
    def test_sql_is_for_the_database_of_the_application(self, write, url, sign):
        """As far as its URL tells; nothing is connected to."""
        write(f"from watchword import BlockingWatchword\nauth = BlockingWatchword({url!r})")

        result = run(*APP, "--format", "sql")

        assert result.exit_code == 0
        assert sign in result.stdout
        assert "hidden" not in result.stdout

    def test_a_server_that_may_be_mariadb(self, write):
        """Who has one learns of the other option."""
        write(SHOP.replace("postgresql+asyncpg", "mysql+aiomysql"))

        first = run(*APP, "--format", "sql").stdout.partition("\n")[0]

        assert first.endswith("For MariaDB add --dialect mariadb.")

    def test_every_dialect_can_be_asked_for(self, in_memory):
        """Also by an application that has no database of it."""
        results = [run(*APP, "--format", "sql", "--dialect", it) for it in DIALECTS]

        assert [it.exit_code for it in results] == [0] * 4
        assert len({it.stdout for it in results}) == 4


# --- the SQL, on databases ---------------------------------------------------------------

# What a text in SQL has to survive: quotes, percent signs, backslashes and line breaks.
ODD: Final = "50% \\ of 'x' \"y\",  \n\tnext \\' line"
OWN_FIELDS: Final = {
    "plan": Field("string", default=ODD, input=False, comment=ODD),
    "seats": Field("integer", default=3, index=True, input=False),
    "since": Field("datetime", required=False, unique=True, input=False),
    "picture": Field("bytes", required=False, input=False),
    "tags": Field("strings", required=False),
}


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def server(request) -> str:
    """A database of each kind, without tables of ours."""
    return request.getfixturevalue(f"{request.param}_database")


def described(engine) -> object:
    """Describe all that is in the database, as it says itself."""
    inspector = inspect(engine)
    return {
        table: [
            [{**it, "type": repr(it["type"])} for it in inspector.get_columns(table)],
            inspector.get_pk_constraint(table),
            sorted(map(str, inspector.get_unique_constraints(table))),
            sorted(map(str, inspector.get_foreign_keys(table))),
            sorted(map(str, inspector.get_indexes(table))),
            inspector.get_table_options(table),
            comment_of(inspector, table),
        ]
        for table in sorted(inspector.get_table_names())
        if table.startswith("shown_")
    }


def comment_of(inspector, table: str) -> str | None:
    """Return the comment on a table; SQLite has none."""
    if inspector.dialect.name == "sqlite":
        return None
    return inspector.get_table_comment(table)["text"]


@pytest.mark.parametrize("ids", ["uuid", "bigint"])
def test_the_statements_make_what_create_tables_makes(server, ids):
    """On a real database: columns, defaults, keys, indexes, options and comments."""
    engine = create_engine(server, poolclass=NullPool)
    auth = BlockingWatchword(
        server,
        secret=SECRET,
        base_url=BASE_URL,
        ids=ids,
        naming=Naming(prefix="shown_"),
        user=UserOptions(additional_fields=OWN_FIELDS),
    )
    auth.create_tables()
    made = described(engine)
    name = "mariadb" if getattr(engine.dialect, "is_mariadb", False) else engine.dialect.name
    drop(engine, auth)
    assert described(engine) == {}

    send(engine, create_statements(auth.adapter.tables, name))

    assert described(engine) == made
    assert set(made) == {f"shown_{it.name}s" for it in CORE_MODELS}
    drop(engine, auth)
    auth.close()


def send(engine, statements: list[str]) -> None:
    """Send statements as they are, as a server's own client does."""
    connection = engine.raw_connection()
    cursor = connection.cursor()
    for it in statements:
        cursor.execute(it)
    connection.commit()
    connection.close()


def drop(engine, auth) -> None:
    """Leave the database as it was."""
    auth.adapter.tables.metadata.drop_all(engine)


def test_an_engine_that_has_connected_knows_its_server(mysql_database):
    """Its URL alone does not tell MySQL from MariaDB."""
    engine = create_engine(mysql_database)
    with engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT VERSION()").scalar()

    known = dialect_of(SQLAlchemyAdapter(engine))

    assert known == ("mariadb" if "MariaDB" in version else "mysql")
    assert dialect_of(SQLAlchemyAdapter(mysql_database)) == "mysql"
    engine.dispose()


def test_a_table_of_the_application_is_not_made():
    """It is there, and not ours to make."""
    schema = resolve_schema(CORE_MODELS)
    models = {**schema.models, "user": replace(schema.models["user"], ours=False)}

    statements = create_statements(Tables(replace(schema, models=models)), "sqlite")

    made = re.findall("CREATE TABLE (\\w+)", "\n".join(statements))
    assert sorted(made) == ["watchword_accounts", "watchword_sessions", "watchword_verifications"]


# --- files and mistakes --------------------------------------------------------------------


# Files that people have, in the formats that the command writes.
ALIKE: Final = {
    "diagram.mmd": "erDiagram\n    CUSTOMER ||--o{ ORDER : places\n",
    "diagram with a title.mmd": "%% Orders, beside the Watchword schema\nerDiagram\n",
    "settings.json": '{\n  "format": 1,\n  "theme": "dark"\n}\n',
    "words.json": '{"format": "png", "core": "apple", "tables": []}\n',
    "switch.json": '{"format": true, "core": 1, "tables": []}\n',
    "list.json": '["format", "core", "tables"]\n',
    "broken.json": '{"format": 1, "core": 1, "tables": [',
    "picture.svg": '<svg viewBox="0 0 9 9"><g class="watchword-schema"/></svg>\n',
    "notes.txt": "The schema has to be looked at again.\n",
    "dump.sql": "-- Not from us\n-- The tables of Watchword for an empty database\n",
}


class TestFiles:
    """What is written is said, and nothing of anybody else's is lost."""

    @pytest.mark.parametrize(
        ("name", "sign"),
        [
            ("schema.svg", "<svg "),
            ("schema.mmd", "%% Watchword schema\nerDiagram\n"),
            ("schema.sql", "-- The tables of Watchword for an empty postgresql database."),
            ("schema.json", "{"),
            ("schema.txt", "The schema has 4 tables"),
            ("schema", "The schema has 4 tables"),
        ],
    )
    def test_the_name_tells_the_format(self, shop, here, name, sign):
        """And a second run finds its own file."""
        first, second = run(*APP, "--output", name), run(*APP, "--output", name)

        assert (first.exit_code, second.exit_code) == (0, 0)
        assert first.stdout.startswith(f"Wrote {name}\nNext: ")
        assert second.stdout == f"{name} is as it was: nothing has changed.\n"
        assert (here / name).read_text(encoding="utf-8").startswith(sign)

    def test_an_option_says_more_than_a_name(self, shop, here):
        """Who names both knows why."""
        run(*APP, "--output", "schema.txt", "--format", "mermaid")

        assert "\nerDiagram\n" in (here / "schema.txt").read_text(encoding="utf-8")

    @pytest.mark.parametrize("form", ["table", "sql", "json", "mermaid", "svg"])
    def test_an_older_one_is_replaced(self, shop, here, form):
        """The schema changes, the file with it."""
        options = ("--format", form, "--output", "it")
        run(*APP, *options)
        written = (here / "it").read_text(encoding="utf-8")
        older = written.replace("email", "mail")
        (here / "it").write_text(older, encoding="utf-8")

        result = run(*APP, *options)

        assert older != written
        assert result.stdout.startswith("Replaced it\n")
        assert (here / "it").read_text(encoding="utf-8") == written

    @pytest.mark.parametrize("form", ["table", "sql", "json", "mermaid", "svg"])
    def test_a_file_of_somebody_else_stays(self, shop, here, form):
        """Something to do: exit code 1."""
        result = run(*APP, "--format", form, "--output", "shop/auth.py")

        assert result.exit_code == 1
        assert result.stderr.startswith(
            "error  shop/auth.py is there already, and was not written by this command.\n"
        )
        assert (here / "shop" / "auth.py").read_text(encoding="utf-8") == SHOP

    @pytest.mark.parametrize(("name", "theirs"), ALIKE.items(), ids=ALIKE)
    def test_a_file_that_looks_like_one_of_ours_stays(self, shop, here, name, theirs):
        """A diagram, a picture or a table that somebody drew by hand is not ours to replace."""
        file = here / f"mine{Path(name).suffix}"
        file.write_text(theirs, encoding="utf-8")

        result = run(*APP, "--output", file.name)

        assert result.exit_code == 1
        assert result.stderr.startswith(f"error  {file.name} is there already, ")
        assert file.read_text(encoding="utf-8") == theirs

    @pytest.mark.parametrize("name", ["nowhere/schema.svg", "shop"])
    def test_a_place_that_cannot_be_written(self, shop, name):
        """Something to do: exit code 1, in a sentence."""
        result = run(*APP, "--output", name)

        assert result.exit_code == 1
        assert result.stderr.startswith(f"error  {name} cannot be written: ")
        assert "hint  " in result.stderr


class TestMistakes:
    """Each is a sentence, a hint and an exit code."""

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ((), "No application is named."),
            (("--app", "shop.auth:nobody"), "shop.auth has no 'nobody'."),
            ((*APP, "--dialect", "mysql"), "--format table is the same for every database."),
            (
                (*APP, "--format", "svg", "--dialect", "mysql"),
                "--format svg is the same for every database.",
            ),
            ((*APP, "--format", "sql"), "The application's MemoryAdapter takes no SQL."),
        ],
    )
    def test_wrong_use(self, in_memory, options, sentence):
        """Exit code 2, and nothing is shown."""
        result = run(*options)

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error  {sentence}\n")
        assert "hint  " in result.stderr

    @pytest.mark.parametrize("option", [("--format", "png"), ("--dialect", "oracle")])
    def test_a_choice_that_is_none(self, in_memory, option):
        """Exit code 2, and the choices."""
        result = run(*APP, *option)

        assert result.exit_code == 2
        assert option[0] in result.stderr


@pytest.fixture
def on_a_terminal(in_terminal):
    """Run the command in a terminal of some width, and return all that is written there."""
    command = ("schema", *APP)

    def on_a_terminal(columns: int, **environment: str) -> str:
        shown, exit_code = in_terminal(*command, COLUMNS=str(columns), **environment)
        assert exit_code == 0
        return shown

    return on_a_terminal


@pytest.mark.slow
class TestATerminal:
    """Who looks sees colours, and lines that fit."""

    def test_owners_have_colours(self, shop, on_a_terminal):
        """A column that somebody has added is in theirs."""
        shown = on_a_terminal(160)

        assert re.search(r"\x1b\[32musername +\x1b\[0m", shown)
        assert shown.endswith("Next: `--output schema.svg` draws it.\r\n")

    def test_no_colours_for_who_wants_none(self, shop, on_a_terminal):
        """Nor any other sequence."""
        assert "\x1b" not in on_a_terminal(160, NO_COLOR="1")

    def test_lines_fit(self, shop, on_a_terminal):
        """What is too long is folded, and nothing is cut off."""
        shown = on_a_terminal(76, NO_COLOR="1").splitlines()

        assert max(map(len, shown)) <= 76
        assert len([it for it in shown if it.startswith("  refresh_token_expires_at ")]) == 1
        assert "…" not in "".join(shown)
