"""Real Alembic projects of an application whose tables live beside ours, on every database."""

import ast
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData, NullPool, create_engine, inspect, make_url, text

from watchword import BlockingWatchword
from watchword.schema import Naming

NEEDED = {
    "secret": "correct-horse-battery-staple-0123456789",
    "base_url": "http://localhost:8000",
}
OURS = ("watchword_users", "watchword_sessions", "watchword_accounts", "watchword_verifications")
# Of a plugin that was disabled, and of our own migrations.
LEFT_BEHIND = ("watchword_passkeys", "watchword_migrations")
ADA = {"name": "Ada", "email": "ada@example.org"}

ENVIRONMENT = """
from runpy import run_path

from alembic import context
from sqlalchemy import NullPool, create_engine

config = context.config
application = run_path(config.get_main_option("application"))
engine = create_engine(config.get_main_option("sqlalchemy.url"), poolclass=NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=application["target_metadata"],
        compare_type=True,
        compare_server_default=True,
        **application["options"],
    )
    with context.begin_transaction():
        context.run_migrations()
"""
TEMPLATE = '''
"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''
# One of each type that the core's models do without, with and without a default.
EVERY_TYPE = """user=UserOptions(additional_fields={
    "tags": Field("strings", required=False), "notes": Field("json", required=False),
    "photo": Field("bytes", required=False, input=False),
    "visits": Field("bigint", default=7),
    "level": Field("integer", default=1), "motto": Field("string", default="it's"),
    "is_new": Field("boolean", default=True), "other": Field("uuid", required=False),
})"""
# What every version of the application begins with; {auth} are the arguments of its instance.
APPLICATION = """
from sqlalchemy import ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from watchword import BlockingWatchword, UserOptions
from watchword.migrations.own_history import alembic_options
from watchword.migrations.sharing import alembic_filters, register_foreign_tables
from watchword.schema import Field, Naming

auth = BlockingWatchword({url!r}, **{needed}, {auth})


class Base(DeclarativeBase):
    pass


target_metadata = Base.metadata
"""
ARTICLES = """
class Article(Base):
    __tablename__ = "articles"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
"""
MORE = "    words: Mapped[int | None]\n"
ORDERS = """
tables = register_foreign_tables(Base.metadata, auth)


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(
        ForeignKey(tables["user"].c.id, ondelete="CASCADE", name="fk_orders_user")
    )
"""
FILTERS = "options = alembic_filters(auth)"


@dataclass(frozen=True)
class Project:
    """An application with an Alembic history."""

    folder: Path
    url: str

    @classmethod
    def begin(cls, folder: Path, url: str) -> "Project":
        """Write what `alembic init` would."""
        project = cls(folder, url)
        (folder / "versions").mkdir()
        (folder / "env.py").write_text(ENVIRONMENT)
        (folder / "script.py.mako").write_text(TEMPLATE.lstrip())
        (folder / "alembic.ini").write_text(
            f"[alembic]\nscript_location = {folder}\napplication = {folder}/application.py\n"
        )
        return project

    def write(self, *parts: str, auth: str = "") -> None:
        """Write a version of the application."""
        code = APPLICATION.format(url=self.url, needed=NEEDED, auth=auth) + "\n\n".join(
            map(dedent, parts)
        )
        (self.folder / "application.py").write_text(code)

    @property
    def config(self) -> Config:
        """Read alembic.ini; Alembic's messages go nowhere."""
        config = Config(self.folder / "alembic.ini", stdout=io.StringIO())
        config.set_main_option("sqlalchemy.url", self.url)
        return config

    def revise(self) -> Path:
        """Let Alembic write a revision."""
        script = command.revision(self.config, message="next", autogenerate=True)
        return Path(script.path)

    def proposals(self) -> list[str]:
        """Return what a revision would do, as `drop_table orders`; none is kept."""
        file = self.revise()
        found = list(operations_of(file))
        file.unlink()
        return sorted(found)

    def upgrade(self) -> None:
        """Write a revision and apply it."""
        self.revise()
        command.upgrade(self.config, "head")

    def take_back(self) -> None:
        """Undo every revision."""
        command.downgrade(self.config, "base")


def operations_of(file: Path) -> Iterator[str]:
    """Go through what `upgrade()` of a revision does: the operation and what it is about."""
    [upgrade] = [
        it
        for it in ast.parse(file.read_text()).body
        if isinstance(it, ast.FunctionDef) and it.name == "upgrade"
    ]
    for statement in upgrade.body:
        match statement:
            case ast.Expr(ast.Call(ast.Attribute(attr="create_table"), [table, *_])):
                yield f"create_table {table.value}"
            case ast.Expr(ast.Call(ast.Attribute(attr=operation), arguments)):
                yield " ".join([operation, *map(name_of, arguments[:2])])


def name_of(argument: ast.expr) -> str:
    """Return the name in `"orders"`, `op.f("ix_orders")` or `sa.Column("id", …)`."""
    return name_of(argument.args[0]) if isinstance(argument, ast.Call) else argument.value


def description(engine: Engine, schema: str | None = None) -> dict:
    """Tell all that the database knows of the tables that are not the application's."""
    metadata = MetaData()
    metadata.reflect(engine, schema=schema, resolve_fks=False)
    theirs = {"orders", "articles", "alembic_version"}
    told = inspect(engine)
    return {
        name: (
            [(it["name"], str(it["type"]), it["nullable"], it["default"]) for it in columns],
            sorted(it["name"] for it in told.get_indexes(name, schema=schema)),
            sorted(it["name"] for it in told.get_unique_constraints(name, schema=schema)),
            sorted(it["name"] for it in told.get_foreign_keys(name, schema=schema)),
        )
        for name in told.get_table_names(schema=schema)
        if name not in theirs
        for columns in [told.get_columns(name, schema=schema)]
    }


class Projects:
    """What every database has to keep."""

    @pytest.fixture
    def database(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def engine(self, database) -> Iterator[Engine]:
        """An engine on a database without tables."""
        engine = create_engine(database, poolclass=NullPool)
        everything = MetaData()
        everything.reflect(engine)
        everything.drop_all(engine)
        yield engine
        engine.dispose()

    @pytest.fixture
    def project(self, tmp_path, database, engine) -> Project:
        """A new project on the database."""
        folder = tmp_path / "alembic"
        folder.mkdir()
        return Project.begin(folder, database)

    @pytest.fixture
    def new_auth(self, database, engine) -> Iterator:
        """Make instances whose tables are there."""
        made = []

        def new_auth(**settings) -> BlockingWatchword:
            auth = BlockingWatchword(database, **NEEDED, **settings)
            auth.create_tables()
            made.append(auth)
            return auth

        yield new_auth
        for auth in made:
            auth.close()

    def test_autogenerate_would_drop_our_tables_and_does_not(self, project, new_auth, engine):
        """Nor what a disabled plugin or our own migrations left; the application's goes on."""
        auth = new_auth()
        with engine.begin() as connection:
            for name in LEFT_BEHIND:
                connection.execute(text(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)"))
        auth.store.create("user", ADA)
        before = description(engine)

        project.write(ARTICLES, "options = {}")
        unprotected = project.proposals()
        project.write(ARTICLES, FILTERS)
        protected = project.proposals()
        project.upgrade()
        after_upgrade = project.proposals()
        project.write(ARTICLES + MORE, FILTERS)
        after_change = project.proposals()
        project.upgrade()
        project.take_back()

        assert {f"drop_table {name}" for name in (*OURS, *LEFT_BEHIND)} <= set(unprotected)
        assert protected == ["create_table articles"]
        assert after_upgrade == []
        assert after_change == ["add_column articles words"]
        assert description(engine) == before
        assert set(before) == {*OURS, *LEFT_BEHIND}
        assert auth.store.count("user") == 1

    @pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
    def test_a_foreign_key_to_our_users_is_in_the_revision(self, project, new_auth, engine, ids):
        """Our tables, registered and not there yet, would be made as well, and are not."""
        project.write(ORDERS, "options = alembic_options(auth)", auth=f"ids={ids!r}")
        unprotected = project.proposals()
        auth = new_auth(ids=ids)
        before = description(engine)

        project.write(ORDERS, FILTERS, auth=f"ids={ids!r}")
        protected = project.proposals()
        project.upgrade()
        after_upgrade = project.proposals()

        assert {f"create_table {name}" for name in OURS} <= set(unprotected)
        assert protected == ["create_table orders"]
        assert after_upgrade == []
        [key] = inspect(engine).get_foreign_keys("orders")
        assert (key["referred_table"], key["options"]["ondelete"]) == (OURS[0], "CASCADE")
        project.take_back()
        assert description(engine) == before
        assert auth.store.count("user") == 0

    def test_a_change_of_ours_is_not_proposed_to_the_application(self, project, new_auth, engine):
        """A column and an index of an older release stay for us to change."""
        new_auth()
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE watchword_users ADD COLUMN nickname INTEGER"))
            connection.execute(text("CREATE INDEX ix_nickname ON watchword_users (nickname)"))

        project.write(ORDERS, "options = {}")
        unprotected = project.proposals()
        project.write(ORDERS, FILTERS)
        protected = project.proposals()

        assert "drop_column watchword_users nickname" in unprotected
        assert "drop_index ix_nickname" in unprotected
        assert protected == ["create_table orders"]

    def test_hooks_of_the_application_are_asked_too(self, project, new_auth, engine):
        """What they hide stays hidden, and what they write is written."""
        new_auth()
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE geometry (id INTEGER PRIMARY KEY)"))
            connection.execute(text("CREATE TABLE archive (id INTEGER PRIMARY KEY)"))
            connection.execute(text("CREATE TABLE obsolete (id INTEGER PRIMARY KEY)"))

        project.write(
            ARTICLES,
            """
            options = alembic_filters(
                auth,
                include_name=lambda name, kind, _: (kind, name) != ("table", "geometry"),
                include_object=lambda item, name, kind, *_: (kind, name) != ("table", "archive"),
                render_item=lambda kind, item, _: "sa.BigInteger()" if kind == "type" else False,
            )
            """,
        )

        assert project.proposals() == ["create_table articles", "drop_table obsolete"]
        assert "'id', sa.BigInteger()" in project.revise().read_text()

    def test_our_prefix_hides_no_table_of_the_application(self, project, new_auth, engine):
        """However short it is: what a model describes is the application's."""
        new_auth(naming=Naming(prefix="a"))
        given = {"auth": 'naming=Naming(prefix="a")'}

        project.write(ARTICLES, FILTERS, **given)
        first = project.proposals()
        project.upgrade()
        project.write(ARTICLES + MORE, FILTERS, **given)
        changed = project.proposals()
        project.write(FILTERS, **given)

        assert first == ["create_table articles"]
        assert changed == ["add_column articles words"]
        assert project.proposals() == []

    def test_without_a_prefix_our_tables_are_known_by_name(self, project, new_auth, engine):
        """The names of another server's database, or those that were given one by one."""
        new_auth(naming=Naming(prefix="", tables={"session": "signed_in"}))
        given = {"auth": 'naming=Naming(prefix="", tables={"session": "signed_in"})'}

        project.write(ORDERS, FILTERS, **given)
        project.upgrade()

        assert {"users", "signed_in", "orders"} <= set(inspect(engine).get_table_names())
        assert project.proposals() == []
        project.write(FILTERS, **given)
        assert project.proposals() == ["drop_table orders"]

    @pytest.mark.parametrize("ids", ["uuid", "string", "bigint"])
    def test_our_tables_can_be_in_the_history_of_the_application(
        self, project, database, engine, ids
    ):
        """The revision imports nothing of ours, makes what works, and leaves nothing to do."""
        project.write(
            ARTICLES,
            "target_metadata = [Base.metadata, auth.metadata]",
            "options = alembic_options(auth)",
            auth=f"ids={ids!r}, {EVERY_TYPE}",
        )

        file = project.revise()
        command.upgrade(project.config, "head")

        assert "import watchword" not in file.read_text()
        assert "watchword." not in file.read_text().replace("watchword_users.id", "")
        assert project.proposals() == []
        with_ours = BlockingWatchword(database, ids=ids, **NEEDED)
        made = with_ours.store.create("user", ADA)
        with_ours.close()
        assert made["email_verified"] is False
        project.take_back()
        assert inspect(engine).get_table_names() == ["alembic_version"]

    def test_one_history_may_hold_ours_and_foreign_keys_to_them(self, project, engine):
        """With registered tables, one metadata describes everything."""
        project.write(ORDERS, "options = alembic_options(auth)")

        project.upgrade()

        assert {*OURS, "orders"} <= set(inspect(engine).get_table_names())
        assert project.proposals() == []
        project.take_back()
        assert inspect(engine).get_table_names() == ["alembic_version"]

    def test_a_version_table_of_ours_outlives_the_change_to_one_history(self, project, engine):
        """Whoever migrated by us before does not lose what we know of the database."""
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE watchword_migrations (id INTEGER PRIMARY KEY)"))

        project.write("target_metadata = auth.metadata", "options = alembic_options(auth)")
        proposed = project.proposals()
        unprotected = "options = dict(alembic_options(auth), include_name=None)"
        project.write("target_metadata = auth.metadata", unprotected)

        assert "drop_table watchword_migrations" not in proposed
        assert "drop_table watchword_migrations" in project.proposals()


class TestOnSQLite(Projects):
    """In a file."""

    @pytest.fixture
    def database(self, sqlite_database):
        """A new file."""
        return sqlite_database


class WithSchemas(Projects):
    """What databases with schemas have to keep as well."""

    @pytest.fixture
    def schema(self, engine) -> Iterator[str]:
        """A database schema for our tables alone."""
        name = f"{make_url(engine.url).database}_auth"
        cascade = " CASCADE" if engine.dialect.name == "postgresql" else ""
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
        yield name
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS orders"))
            connection.execute(text(f"DROP SCHEMA {name}{cascade}"))

    def test_a_schema_of_our_own_is_left_alone(self, project, new_auth, engine, schema):
        """With whatever is in it, and tables of the same names beside it are compared."""
        new_auth(naming=Naming(schema=schema, prefix=""))
        with engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE {schema}.passkeys (id INTEGER PRIMARY KEY)"))
        before = description(engine, schema)
        given = {"auth": f'naming=Naming(schema="{schema}", prefix="")'}
        users = ARTICLES.replace("articles", "users").replace("Article", "User")
        # Every schema of the server is looked at; those of other tests are not.
        seen = f"lambda name, kind, _: kind != 'schema' or name in (None, '{schema}')"

        project.write(users, f"options = dict(include_schemas=True, include_name={seen})", **given)
        unprotected = project.proposals()
        filters = (
            f"options = dict(alembic_filters(auth, include_name={seen}), include_schemas=True)"
        )
        project.write(users, ORDERS, filters, **given)
        project.upgrade()

        assert "drop_table sessions" in unprotected
        assert "drop_table passkeys" in unprotected
        assert project.proposals() == []
        [key] = inspect(engine).get_foreign_keys("orders")
        assert (key["referred_schema"], key["referred_table"]) == (schema, "users")
        project.write(users + MORE, ORDERS, filters, **given)
        assert project.proposals() == ["add_column users words"]
        project.take_back()
        assert description(engine, schema) == before

    def test_the_default_schema_may_be_named(self, project, new_auth, engine):
        """Alembic calls it None, and we as it is in the naming."""
        default = inspect(engine).default_schema_name
        new_auth(naming=Naming(schema=default))

        project.write(ARTICLES, FILTERS, auth=f'naming=Naming(schema="{default}")')
        project.upgrade()

        assert {*OURS, "articles"} <= set(inspect(engine).get_table_names())
        assert project.proposals() == []


class TestOnPostgreSQL(WithSchemas):
    """On a server whose databases have schemas."""

    @pytest.fixture
    def database(self, postgresql_database):
        """A database of this module."""
        return postgresql_database

    def test_a_revision_that_was_made_on_sqlite_runs_here(self, project, sqlite_database):
        """Whoever develops on a file and deploys on a server is common."""
        on_file = replace(project, url=sqlite_database)
        project.write(
            "target_metadata = auth.metadata", "options = alembic_options(auth)", auth=EVERY_TYPE
        )

        on_file.revise()
        command.upgrade(project.config, "head")

        assert project.proposals() == []


class TestOnMariaDB(WithSchemas):
    """On a server whose databases are schemas."""

    @pytest.fixture
    def database(self, mysql_database):
        """A database of this module."""
        return mysql_database
