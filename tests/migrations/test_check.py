"""What is found in a database that was broken by hand, and whether what is named mends it."""

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any, Final

import pytest
from click.testing import CliRunner
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    inspect,
    make_url,
)

from watchword import BlockingWatchword, Plugin, UserOptions
from watchword.adapters.sqlalchemy import SQLAlchemyAdapter
from watchword.cli.commands import watchword
from watchword.engine.findings import Code, Finding
from watchword.plugins.username import Username
from watchword.schema import Field, Index, Model, Naming, Unique

NEEDED: Final = {
    "secret": "correct-horse-battery-staple-0123456789",
    "base_url": "http://localhost:8000",
}
IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
# SQLite is the first: it is quick.
BACKENDS: Final = ("sqlite", "postgresql", "mysql")
WAYS: Final = ("create_tables", "migrate")


def either_way(cases: Mapping[str, tuple[Any, ...]]) -> list[Any]:
    """Have tables made for each case by both ways on SQLite, by one in turn on the servers.

    At the soak by both on each. A case begins with the database.
    """
    either, seen = [], Counter[str]()
    for name, case in cases.items():
        server = BACKENDS.index(case[0])
        in_turn = WAYS[(seen[case[0]] + server) % 2]
        seen[case[0]] += 1
        for way in WAYS:
            is_extra = server > 0 and way != in_turn
            if IS_SOAK or not is_extra:
                marks = [pytest.mark.slow] if is_extra else []
                either.append(pytest.param(*case, way, id=f"{name}-{way}", marks=marks))
    return either


class TwoFactor(Plugin):
    """A plugin with a table, keys of each kind, and columns in a table of the core's."""

    id = "two-factor"
    models = (
        Model(
            "two_factor",
            {
                "user_id": Field.reference("user"),
                "secret": Field("string", max_length=64, digest=True),
                "backup_codes": Field("text", sealed=True),
                "verified": Field("boolean", default=True),
                "locked_until": Field("datetime", required=False),
            },
            uniques=(Unique("user_id", "secret"),),
            indexes=(Index("verified", "locked_until"),),
        ),
    )
    extends = {  # noqa: RUF012 - declared as applications do
        "user": {
            "two_factor_enabled": Field("boolean", default=False),
            "invited_by": Field.reference("user", required=False, on_delete="set null"),
        }
    }


@dataclass(frozen=True)
class Place:
    """An empty database, and what is done to it past everything."""

    url: str
    engine: Engine

    @property
    def backend(self) -> str:
        """Which kind of database it is."""
        return make_url(self.url).get_backend_name()

    def sql(self, *statements: str) -> None:
        """Run statements past the application."""
        with self.engine.begin() as connection:
            for it in statements:
                connection.exec_driver_sql(it)

    def rewrite(self, table: str, old: str, new: str) -> None:
        """Make a table of SQLite's anew with other words: no ALTER changes it."""
        with self.engine.begin() as connection:
            written = connection.exec_driver_sql(
                f"SELECT sql FROM sqlite_master WHERE tbl_name = '{table}' AND sql IS NOT NULL"
            ).scalars()
            first, *indexes = written
            assert old in first, first
            connection.exec_driver_sql(f"DROP TABLE {table}")
            for it in (first.replace(old, new, 1), *indexes):
                connection.exec_driver_sql(it)


@cache
def engine_of(url: str) -> Engine:
    """Make an engine for each database once: what it compiles, it compiles once."""
    return create_engine(url)


@pytest.fixture(params=BACKENDS)
def place(request) -> Iterator[Place]:
    """Each kind of database in turn, without a table."""
    url = request.getfixturevalue(f"{request.param}_database")
    engine = engine_of(url)
    _empty(engine)
    yield Place(url, engine)
    engine.dispose()


def _empty(engine: Engine) -> None:
    names = inspect(engine).get_table_names()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        elif names:
            connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
            for name in names:
                connection.exec_driver_sql(f"DROP TABLE `{name}`")


@pytest.fixture
def new_app(place) -> Iterator[Callable[..., BlockingWatchword[Any]]]:
    """Make applications on the database, each with the plugins unless others are given."""
    made = []

    def new_app(database: Any = None, **settings: Any) -> BlockingWatchword[Any]:
        given = {"plugins": [Username(), TwoFactor()], **NEEDED, **settings}
        app = BlockingWatchword(database or place.engine, **given)
        made.append(app)
        return app

    yield new_app
    for it in made:
        it.close()


@pytest.fixture
def command(monkeypatch) -> Callable[[BlockingWatchword[Any], Finding], str]:
    """Run the command that a finding names, for an application that a module holds."""

    def command(app: BlockingWatchword[Any], finding: Finding) -> str:
        module = ModuleType("broken_shop")
        module.auth = app
        monkeypatch.setitem(sys.modules, module.__name__, module)
        named = re.search("`watchword (.*?)`", finding.mend)[1].split()
        result = CliRunner(catch_exceptions=False).invoke(
            watchword, [*named, "--app", "broken_shop:auth"]
        )
        assert result.exit_code == 0, result.output
        return result.output

    return command


def codes(findings: list[Finding]) -> list[Code]:
    """Return which kinds of things were found, in their order."""
    return [it.code for it in findings]


# --- what is right is silent ---------------------------------------------------------------


NAMINGS: Final = {
    "usual": {},
    "of the wire": {"naming": Naming.wire()},
    "with numbers": {"ids": "bigint", "naming": Naming(prefix="numbered_")},
    "with texts": {"ids": "string", "naming": Naming(prefix="")},
}


EVERY_NAMING: Final = {
    f"{backend}-{name}": (backend, settings)
    for name, settings in NAMINGS.items()
    for backend in BACKENDS
}


@pytest.mark.parametrize(
    ("place", "settings", "made_by"), either_way(EVERY_NAMING), indirect=["place"]
)
def test_nothing_is_found_in_a_database_that_is_right(new_app, made_by, settings):
    """Whatever made the tables; with plugins, every kind of id, and other names."""
    app = new_app(**settings)
    getattr(app, made_by)()

    assert app.check_schema() == []


def test_a_look_changes_nothing(new_app, place):
    """Nor does it make a version table."""
    new_app().check_schema()

    assert inspect(place.engine).get_table_names() == []


def test_rows_and_comments_do_not_matter(new_app, place):
    """Nor do tables and columns of others that keep out of the way."""
    app = new_app()
    app.create_tables()
    place.sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, login VARCHAR(20))",
        "CREATE TABLE account (id INTEGER PRIMARY KEY)",
        "ALTER TABLE watchword_users ADD COLUMN shoe_size INTEGER",
        "ALTER TABLE watchword_users ADD COLUMN grade INTEGER DEFAULT 5 NOT NULL",
    )

    assert app.check_schema() == []


FILLED: Final = {
    "sqlite": ["twice INTEGER NOT NULL GENERATED ALWAYS AS (2) VIRTUAL"],
    "postgresql": [
        "twice INTEGER NOT NULL GENERATED ALWAYS AS (2) STORED",
        "number INTEGER GENERATED ALWAYS AS IDENTITY",
        "serial SERIAL",
    ],
    "mysql": ["number INTEGER NOT NULL AUTO_INCREMENT UNIQUE"],
}


def test_columns_that_the_database_fills_are_not_in_the_way(new_app, place):
    """They may be NOT NULL: nobody has to give them a value."""
    app = new_app()
    app.create_tables()
    for column in FILLED[place.backend]:
        place.sql(f"ALTER TABLE watchword_users ADD COLUMN {column}")

    assert app.check_schema() == []


# --- what is broken, and what mends it -------------------------------------------------------

EXACT: Final = "COLLATE utf8mb4_nopad_bin"
# What is found, in words, and how each database is broken: by SQL, or on SQLite by changing
# what a table is written down as.
BROKEN: Final[dict[str, tuple[Code, str, dict[str, Any]]]] = {
    "a table": (
        Code.W001,
        "table watchword_two_factors of two-factor is missing",
        {it: ["DROP TABLE watchword_two_factors"] for it in BACKENDS},
    ),
    "a column": (
        Code.W002,
        "column watchword_users.two_factor_enabled of two-factor is missing",
        {it: ["ALTER TABLE watchword_users DROP COLUMN two_factor_enabled"] for it in BACKENDS},
    ),
    "a shorter type": (
        Code.W006,
        "column watchword_users.name is string(40) and should be string(255)",
        {
            "postgresql": ['ALTER TABLE watchword_users ALTER name TYPE VARCHAR(40) COLLATE "C"'],
            "mysql": [f"ALTER TABLE watchword_users MODIFY name VARCHAR(40) {EXACT} NOT NULL"],
        },
    ),
    "a longer type": (
        Code.W007,
        "column watchword_users.name is string(300) and should be string(255)",
        {
            "postgresql": ['ALTER TABLE watchword_users ALTER name TYPE VARCHAR(300) COLLATE "C"'],
            "mysql": [f"ALTER TABLE watchword_users MODIFY name VARCHAR(300) {EXACT} NOT NULL"],
        },
    ),
    "a limit where there was none": (
        Code.W006,
        "column watchword_users.image is string(255) and should be text",
        {
            "postgresql": [
                'ALTER TABLE watchword_users ALTER image TYPE VARCHAR(255) COLLATE "C"'
            ],
            "mysql": [f"ALTER TABLE watchword_users MODIFY image VARCHAR(255) {EXACT}"],
        },
    ),
    "a collation": (
        Code.W008,
        "column watchword_users.email is collated",
        {
            "postgresql": [
                'ALTER TABLE watchword_users ALTER email TYPE VARCHAR(254) COLLATE "und-x-icu"'
            ],
            "mysql": [
                (
                    "ALTER TABLE watchword_users MODIFY email VARCHAR(254) "
                    "COLLATE utf8mb4_general_ci NOT NULL"
                )
            ],
        },
    ),
    "a value that is asked for": (
        Code.W009,
        "column watchword_users.image is NOT NULL, but may have no value",
        {
            "sqlite": ("watchword_users", "image TEXT", "image TEXT NOT NULL"),
            "postgresql": ["ALTER TABLE watchword_users ALTER image SET NOT NULL"],
            "mysql": [f"ALTER TABLE watchword_users MODIFY image LONGTEXT {EXACT} NOT NULL"],
        },
    ),
    "a value that may be missing": (
        Code.W010,
        "column watchword_users.name may be null, but always has a value",
        {
            "sqlite": ("watchword_users", "name VARCHAR(255) NOT NULL", "name VARCHAR(255)"),
            "postgresql": ["ALTER TABLE watchword_users ALTER name DROP NOT NULL"],
            "mysql": [f"ALTER TABLE watchword_users MODIFY name VARCHAR(255) {EXACT} NULL"],
        },
    ),
    "a default": (
        Code.W011,
        "column watchword_users.email_verified has no default and should have the default False",
        {
            "sqlite": ("watchword_users", "BOOLEAN DEFAULT 0 NOT NULL", "BOOLEAN NOT NULL"),
            "postgresql": ["ALTER TABLE watchword_users ALTER email_verified DROP DEFAULT"],
            "mysql": ["ALTER TABLE watchword_users ALTER email_verified DROP DEFAULT"],
        },
    ),
    "an index": (
        Code.W013,
        "no index finds rows by watchword_sessions(expires_at)",
        {
            "sqlite": ["DROP INDEX ix_watchword_sessions_expires_at"],
            "postgresql": ["DROP INDEX ix_watchword_sessions_expires_at"],
            "mysql": ["DROP INDEX ix_watchword_sessions_expires_at ON watchword_sessions"],
        },
    ),
    "an index of other columns": (
        Code.W013,
        "no index finds rows by watchword_two_factors(verified, locked_until)",
        {
            "postgresql": [
                "DROP INDEX ix_watchword_two_factors_verified_locked_until",
                (
                    "CREATE INDEX ix_watchword_two_factors_verified_locked_until "
                    "ON watchword_two_factors (locked_until)"
                ),
            ],
            "mysql": [
                (
                    "DROP INDEX ix_watchword_two_factors_verified_locked_until "
                    "ON watchword_two_factors"
                ),
                (
                    "CREATE INDEX ix_watchword_two_factors_verified_locked_until "
                    "ON watchword_two_factors (locked_until)"
                ),
            ],
        },
    ),
    "a unique": (
        Code.W014,
        "nothing keeps watchword_users(email) unique",
        {
            "sqlite": (
                "watchword_users",
                "CONSTRAINT uq_watchword_users_email UNIQUE (email)",
                "CONSTRAINT spare UNIQUE (id, name)",
            ),
            "postgresql": ["ALTER TABLE watchword_users DROP CONSTRAINT uq_watchword_users_email"],
            "mysql": ["ALTER TABLE watchword_users DROP INDEX uq_watchword_users_email"],
        },
    ),
    "a foreign key": (
        Code.W015,
        "no foreign key keeps watchword_sessions.user_id to rows of watchword_users",
        {
            "sqlite": (
                "watchword_sessions",
                (
                    "CONSTRAINT fk_watchword_sessions_user_id FOREIGN KEY(user_id) "
                    "REFERENCES watchword_users (id) ON DELETE CASCADE"
                ),
                "CONSTRAINT spare UNIQUE (id, token)",
            ),
            "postgresql": [
                "ALTER TABLE watchword_sessions DROP CONSTRAINT fk_watchword_sessions_user_id"
            ],
            "mysql": [
                "ALTER TABLE watchword_sessions DROP FOREIGN KEY fk_watchword_sessions_user_id"
            ],
        },
    ),
    "what a foreign key does": (
        Code.W016,
        "foreign key watchword_sessions.user_id says ON DELETE RESTRICT and should say CASCADE",
        {
            "sqlite": ("watchword_sessions", "ON DELETE CASCADE", "ON DELETE RESTRICT"),
            "postgresql": [
                "ALTER TABLE watchword_sessions DROP CONSTRAINT fk_watchword_sessions_user_id",
                (
                    "ALTER TABLE watchword_sessions ADD CONSTRAINT fk_watchword_sessions_user_id "
                    "FOREIGN KEY (user_id) REFERENCES watchword_users (id) ON DELETE RESTRICT"
                ),
            ],
            "mysql": [
                "ALTER TABLE watchword_sessions DROP FOREIGN KEY fk_watchword_sessions_user_id",
                (
                    "ALTER TABLE watchword_sessions ADD CONSTRAINT fk_watchword_sessions_user_id "
                    "FOREIGN KEY (user_id) REFERENCES watchword_users (id) ON DELETE RESTRICT"
                ),
            ],
        },
    ),
    "an index that was begun": (
        Code.W018,
        "index ix_watchword_sessions_expires_at of watchword_sessions was begun and not finished",
        {
            "postgresql": [
                (
                    "UPDATE pg_index SET indisvalid = false "
                    "WHERE indexrelid = 'ix_watchword_sessions_expires_at'::regclass"
                )
            ],
        },
    ),
    "a foreign key that was begun": (
        Code.W018,
        "constraint fk_watchword_sessions_user_id of watchword_sessions was begun",
        {
            "postgresql": [
                "ALTER TABLE watchword_sessions DROP CONSTRAINT fk_watchword_sessions_user_id",
                (
                    "ALTER TABLE watchword_sessions ADD CONSTRAINT fk_watchword_sessions_user_id "
                    "FOREIGN KEY (user_id) REFERENCES watchword_users (id) ON DELETE CASCADE "
                    "NOT VALID"
                ),
            ],
        },
    ),
}


CASES: Final = {
    f"{backend}-{what}": (backend, (code, words, how))
    for what, (code, words, breaks) in BROKEN.items()
    for backend, how in breaks.items()
}


@pytest.mark.parametrize(("place", "case", "made_by"), either_way(CASES), indirect=["place"])
def test_what_is_broken_is_found_and_mended(new_app, place, command, case, made_by):
    """In one line; the command that it names mends it, and nothing is found then."""
    code, words, how = case
    app = new_app()
    getattr(app, made_by)()
    place.rewrite(*how) if isinstance(how, tuple) else place.sql(*how)

    found = app.check_schema()

    assert codes(found) == [code], found
    assert words in found[0].message
    assert "\n" not in str(found[0])
    assert found[0].mend == "`watchword migrate`"
    command(app, found[0])
    assert app.check_schema() == []


FOREIGN_RULE: Final = {
    "postgresql": "DROP CONSTRAINT theirs",
    "mysql": "DROP FOREIGN KEY theirs",
}


@pytest.mark.parametrize("place", ["postgresql", "mysql"], indirect=True)
def test_a_foreign_key_of_somebody_elses_that_is_in_the_way_is_found(new_app, place, command):
    """A migration adds ours and leaves theirs: only both steps mend it."""
    app = new_app()
    app.migrate()
    drop = FOREIGN_RULE[place.backend].replace("theirs", "fk_watchword_sessions_user_id")
    place.sql(
        f"ALTER TABLE watchword_sessions {drop}",
        "ALTER TABLE watchword_sessions ADD CONSTRAINT theirs FOREIGN KEY (user_id) "
        "REFERENCES watchword_users (id) ON DELETE RESTRICT",
    )

    [before] = app.check_schema()
    command(app, before)
    [between] = app.check_schema()
    place.sql(f"ALTER TABLE watchword_sessions {FOREIGN_RULE[place.backend]}")

    assert before.code is between.code is Code.W016
    assert before.mend == "Drop the foreign key theirs, then `watchword migrate`"
    assert app.check_schema() == []


def test_a_column_of_somebody_elses_that_refuses_every_row_is_found(new_app, place):
    """NOT NULL without a default: nobody of ours gives it a value."""
    app = new_app()
    app.create_tables()
    if place.backend == "sqlite":
        place.rewrite("watchword_users", "image TEXT", "legacy INTEGER NOT NULL, image TEXT")
    else:
        place.sql("ALTER TABLE watchword_users ADD COLUMN legacy INTEGER NOT NULL")

    [found] = app.check_schema()

    assert (found.code, found.level) == (Code.W012, "error")
    assert found.message.startswith("column watchword_users.legacy is NOT NULL without a default")


def test_a_column_that_nobody_wants_any_more_and_that_refuses_rows_is_found(
    new_app, place, command
):
    """Its field is gone, so nobody gives it a value; a migration lets it be null."""
    field = Field("string", max_length=20)
    with_it = new_app(user=UserOptions(additional_fields={"badge": field}))
    with_it.migrate()
    without = new_app()

    found = without.check_schema()
    command(without, found[-1])

    assert codes(found) == [Code.W021, Code.W012]
    assert "column watchword_users.badge is not wanted any more" in found[1].message
    assert without.check_schema() == []


def test_what_keeps_values_apart_that_may_be_alike_now_is_found(new_app, command):
    """It refuses rows that the schema allows."""
    field = Field("string", required=False, max_length=20, unique=True)
    new_app(user=UserOptions(additional_fields={"badge": field})).migrate()
    shared = replace(field, unique=False)
    app = new_app(user=UserOptions(additional_fields={"badge": shared}))

    found = app.check_schema()
    command(app, found[-1])

    assert [(it.code, it.level) for it in found] == [
        (Code.W021, "warning"),
        (Code.W017, "warning"),
    ]
    assert found[1].message == "unique watchword_users(badge) is not wanted any more"
    assert app.check_schema() == []


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_tables_in_a_schema_of_their_own_are_looked_at_there(new_app, place, command):
    """What is in another one, by the same name, does not matter."""
    place.sql("DROP SCHEMA IF EXISTS auth CASCADE", "CREATE SCHEMA auth")
    app = new_app(naming=Naming(schema="auth"))
    app.create_tables()
    new_app(naming=Naming(case="camel")).create_tables()
    right = app.check_schema()
    place.sql(
        "ALTER TABLE auth.watchword_users RENAME COLUMN email_verified TO emailverified",
        "DROP INDEX auth.ix_watchword_sessions_expires_at",
    )

    found = app.check_schema()
    place.sql(re.search("`(ALTER .*)`", found[0].mend)[1])
    command(app, found[1])

    assert right == []
    assert codes(found) == [Code.W003, Code.W013]
    assert "ALTER TABLE auth.watchword_users RENAME" in found[0].mend
    assert app.check_schema() == []


@pytest.mark.parametrize("place", ["postgresql", "mysql"], indirect=True)
def test_what_no_migration_can_do_is_said(new_app, place):
    """The sentence does not name a command that would refuse."""
    app = new_app()
    app.create_tables()
    kind = f"MODIFY email_verified VARCHAR(5) {EXACT} NOT NULL"
    if place.backend == "postgresql":
        kind = "ALTER email_verified DROP DEFAULT, ALTER email_verified TYPE VARCHAR(5)"
    place.sql(f"ALTER TABLE watchword_users {kind}")

    found = app.check_schema()[0]

    assert (found.code, found.level) == (Code.W005, "error")
    assert found.message.endswith("email_verified is string(5) and should be boolean")
    assert found.mend.startswith("Add a field of another name")


# --- other names ---------------------------------------------------------------------------


def mended_by(finding: Finding) -> Naming:
    """Return the Naming that a finding names."""
    written = re.match(r"naming=(Naming.*?\))(, or|$)", finding.mend)[1]
    return eval(written, {"Naming": Naming})


def test_the_names_of_a_wire_compatible_server_are_known(new_app):
    """One line, not one for each table and column."""
    new_app(naming=Naming.wire()).create_tables()

    [found] = new_app().check_schema()

    assert found.code is Code.W003
    assert found.mend == "naming=Naming.wire()"
    assert new_app(naming=mended_by(found)).check_schema() == []


@pytest.mark.parametrize(
    "naming", [Naming(case="camel"), Naming(plural=False), Naming(prefix="")], ids=repr
)
def test_the_names_of_another_naming_are_known(new_app, naming):
    """Another case, number or prefix."""
    new_app(naming=naming).create_tables()

    [found] = new_app().check_schema()

    assert found.code is Code.W003
    assert mended_by(found) == naming


OTHER_COLUMNS: Final = ("emailverified", "emailVerified", "EmailVerified", "Email_Verified")


@pytest.mark.parametrize(
    ("place", "name", "made_by"),
    either_way({f"{it}-{name}": (it, name) for name in OTHER_COLUMNS for it in BACKENDS}),
    indirect=["place"],
)
def test_a_column_of_another_case_is_one_finding(new_app, place, name, made_by):
    """It is neither missing nor superfluous; both cures work."""
    app = new_app()
    getattr(app, made_by)()
    quoted = f'"{name}"' if place.backend != "mysql" else name
    place.sql(f"ALTER TABLE watchword_users RENAME COLUMN email_verified TO {quoted}")

    [found] = app.check_schema()
    with_naming = new_app(naming=mended_by(found)).check_schema() if made_by[0] == "c" else []
    place.sql(re.search("`(ALTER .*)`", found.mend)[1])

    assert found.code is Code.W003
    assert found.message == f"column watchword_users.email_verified is there as {name}"
    # Most databases take the names of columns in any case.
    in_any_case = name.lower() == "email_verified" and place.backend != "postgresql"
    assert found.level == ("warning" if in_any_case else "error")
    assert with_naming == []
    assert app.check_schema() == []


@pytest.mark.parametrize("name", ["Watchword_Users", "watchwordUsers", "user", "users"])
def test_a_table_of_another_case_is_one_finding(new_app, place, name):
    """What hangs on it is not missing, either; both cures work."""
    app = new_app()
    app.create_tables()
    quoted = f"`{name}`" if place.backend == "mysql" else f'"{name}"'
    place.sql("ALTER TABLE watchword_users RENAME TO between_names")
    place.sql(f"ALTER TABLE between_names RENAME TO {quoted}")

    [found] = app.check_schema()
    with_naming = new_app(naming=mended_by(found)).check_schema()
    if name != "Watchword_Users" or place.backend != "sqlite":  # SQLite takes it for the same
        place.sql(re.search("`(ALTER .*)`", found.mend)[1])
        assert app.check_schema() == []

    assert found.code is Code.W003
    assert found.message == f"table watchword_users is there as {name}"
    assert with_naming == []


@pytest.mark.parametrize("prefix", ["", "watchword_"])
def test_tables_of_another_application_are_not_ours(new_app, prefix):
    """Who has a prefix of their own shares the database."""
    new_app(naming=Naming(prefix=prefix)).create_tables()

    found = new_app(naming=Naming(prefix="shop_")).check_schema()

    assert set(codes(found)) == {Code.W001}


def test_a_users_table_of_the_applications_own_is_not_ours(new_app, place):
    """It lacks most of the columns; nothing is to be renamed."""
    place.sql("CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(20), email VARCHAR(99))")

    assert set(codes(new_app().check_schema())) == {Code.W001}


def test_a_case_that_has_changed_is_mended_by_a_migration(new_app, command):
    """A database that we wrote down the names of has no others."""
    new_app().migrate()
    app = new_app(naming=Naming(case="camel"))

    found = app.check_schema()
    command(app, found[-1])

    assert set(codes(found)) == {Code.W021, Code.W004}
    assert "column watchword_users.email_verified should be emailVerified" in {
        it.message for it in found
    }
    assert app.check_schema() == []


def test_a_name_that_has_changed_is_mended_by_a_migration(new_app, command):
    """The database has the names that we wrote down."""
    new_app().migrate()
    app = new_app(naming=Naming(columns={"user.name": "full_name"}))

    found = app.check_schema()
    command(app, found[-1])

    assert codes(found) == [Code.W021, Code.W004]
    assert found[1].message == "column watchword_users.name should be full_name"
    assert app.check_schema() == []


def test_two_names_for_one_thing_are_found(new_app, place):
    """No migration chooses between them."""
    new_app().migrate()
    place.sql("ALTER TABLE watchword_users ADD COLUMN full_name VARCHAR(255)")

    found = new_app(naming=Naming(columns={"user.name": "full_name"})).check_schema()

    assert Code.W019 in codes(found)
    [both] = [it for it in found if it.code is Code.W019]
    assert both.mend.startswith("Copy what is needed and remove one")


# --- versions ------------------------------------------------------------------------------


def test_a_database_behind_the_code_is_found(new_app, command):
    """With what is missing, and who wants it."""
    new_app(plugins=[]).migrate()
    app = new_app(plugins=[Username()])

    found = app.check_schema()
    command(app, found[0])

    assert found[0].code is Code.W021
    assert found[0].level == "warning"
    assert {it.message for it in found[1:]} == {
        "column watchword_users.username of username is missing",
        "column watchword_users.display_username of username is missing",
        "nothing keeps watchword_users(username) unique",
    }
    assert app.check_schema() == []


def test_a_database_ahead_of_the_code_is_a_warning(new_app):
    """Older code goes on with it."""
    old = new_app(plugins=[])
    old.migrate()
    new_app().migrate()

    [found] = old.check_schema()

    assert (found.code, found.level) == (Code.W022, "warning")
    assert found.message == "the database is at version 2, and this code is version 1"


def test_a_database_of_a_newer_release_is_an_error(new_app, place):
    """Be it that its tables are newer, or that nobody can read what it wrote down."""
    app = new_app()
    app.migrate()
    versions = "UPDATE watchword_migrations SET release = '99.0', snapshot = "
    if place.backend == "mysql":
        versions = versions.replace("release", "`release`")

    place.sql(f"{versions} REPLACE(snapshot, '\"core\":1', '\"core\":99')")
    [newer] = app.check_schema()
    place.sql(f"{versions} REPLACE(snapshot, '\"format\":1', '\"format\":99')")
    [unreadable] = app.check_schema()

    assert (newer.code, newer.level) == (unreadable.code, unreadable.level)
    assert newer.message == "the database was made by a newer Watchword, 99.0"
    assert newer.mend == "Install Watchword 99.0 or newer"
    assert "this release cannot read it" in unreadable.message


def test_a_migration_that_was_broken_off_is_found(new_app, place, command):
    """What it names goes on with it."""
    app = new_app()
    app.migrate()
    place.sql("UPDATE watchword_migrations SET finished_at = NULL")

    [found] = app.check_schema()
    command(app, found)

    assert (found.code, found.level) == (Code.W020, "warning")
    assert app.check_schema() == []


def test_who_has_alembic_alone_is_told_of_it(new_app, place):
    """A migration of ours would do; they may want a revision."""
    app = new_app()
    app.create_tables()
    place.sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32))",
        "ALTER TABLE watchword_users DROP COLUMN two_factor_enabled",
    )

    [found] = app.check_schema()
    app.migrate()
    place.sql("ALTER TABLE watchword_users DROP COLUMN two_factor_enabled")
    [recorded] = app.check_schema()

    assert "`alembic upgrade head`" in found.mend
    assert recorded.mend == "`watchword migrate`"


# --- the application's own table --------------------------------------------------------------


def people() -> Table:
    """A user table of the application's."""
    return Table(
        "people",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("name", String(100), nullable=False),
        Column("email", String(120), nullable=False, unique=True),
        Column("email_verified", Boolean, nullable=False),
        Column("image", Text),
        Column("created_at", DateTime, nullable=False),
        Column("updated_at", DateTime, nullable=False),
    )


def texts() -> Table:
    """Likewise, by texts of the database's own collation."""
    columns = [it._copy() for it in people().columns if it.name != "id"]
    return Table("people", MetaData(), Column("id", String(64), primary_key=True), *columns)


@pytest.mark.parametrize("make", ["create_tables", "migrate"])
@pytest.mark.parametrize("table", [people, texts])
def test_an_own_user_table_that_is_right_is_silent(new_app, place, table, make):
    """Our tables point at it, with its collation."""
    own = table()
    own.create(place.engine)
    app = new_app(SQLAlchemyAdapter(place.url, user_model=own), plugins=[])
    getattr(app, make)()

    assert app.check_schema() == []


def test_what_an_own_user_table_lacks_is_for_the_application_to_mend(new_app, place):
    """None of our commands changes it."""
    own = people()
    own.create(place.engine)
    app = new_app(SQLAlchemyAdapter(place.url, user_model=own), plugins=[])
    app.create_tables()
    place.sql("ALTER TABLE people DROP COLUMN image")

    [found] = app.check_schema()

    assert (found.code, found.level) == (Code.W023, "error")
    assert found.message == "column people.image, the application's own, is missing"
    assert found.mend == "Add it by the application's own migrations"


def test_an_own_user_table_that_is_missing_is_found(new_app, place):
    """Beside our own tables, which are missing too."""
    app = new_app(SQLAlchemyAdapter(place.url, user_model=people()), plugins=[])

    found = app.check_schema()

    assert codes(found) == [Code.W023, Code.W001, Code.W001, Code.W001]
    assert found[0].message == "table people, the application's own, is missing"
