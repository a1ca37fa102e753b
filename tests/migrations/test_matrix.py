"""A schema that lives, on every database: by `migrate()` and by revisions of a real Alembic."""

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    create_engine,
    inspect,
    make_url,
    text,
)

from watchword import BlockingWatchword, EmailPassword, RateLimits, UserOptions
from watchword.concurrency import run_blocking
from watchword.crypto.passwords import Passwords
from watchword.engine.plugin import Plugin
from watchword.migrations import Aim, Renames, migrator_for
from watchword.migrations.plan import make_plan
from watchword.migrations.revision import Revisions, write_revision
from watchword.migrations.sharing import alembic_filters, register_foreign_tables
from watchword.plugins.username import Username
from watchword.schema import NOW, Field, Model, Naming, Schema
from watchword.schema.snapshot import Snapshot
from watchword.storage.query import F

IS_SOAK = "WATCHWORD_SOAK" in os.environ
PASSWORD = "difference-engine"
HOSTILE = "it's 100% \"ünïcode\" :x \\n {y} ''' ?"


def factor(name: str) -> Model:
    """What a second factor is kept in."""
    return Model(
        name,
        {
            "secret": Field("string", index=True, returned=False),
            "backup_codes": Field("text", returned=False),
            "user_id": Field.reference("user"),
            "verified": Field("boolean", required=False, default=True, input=False),
            "failed_verification_count": Field("integer", default=0, input=False),
            "locked_until": Field("datetime", required=False, input=False),
        },
        comment='It\'s 100% a "second" factor: \\ {}',
    )


class TwoFactor(Plugin):
    """The tables of a plugin that adds a model and extends another."""

    id = "two-factor"
    models = (factor("two_factor"),)
    extends: ClassVar = {
        "user": {"two_factor_enabled": Field("boolean", required=False, default=False)}
    }


class SecondFactor(TwoFactor):
    """The same by another name."""

    id = "second-factor"
    models = (factor("second_factor"),)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A version of the application, and how it is reached.

    Args:
        plugins: That are enabled.
        fields: Of its own, of users.
        renames: Since the last one.
        drop: What is not wanted any more goes.
        breaks_old_code: The one before does not work any more when it is reached.
    """

    plugins: Sequence[Plugin] = ()
    fields: Mapping[str, Field] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    breaks_old_code: bool = False

    @property
    def aim(self) -> Aim:
        """What is asked of the migration."""
        return Aim(renames=Renames(self.renames), drop=self.drop)


MENTOR = Field.reference("user", required=False, on_delete="set null")
FIELDS = {
    "nickname": Field("string", default=HOSTILE, max_length=80, comment=HOSTILE),
    "level": Field("integer", required=False),
    "score": Field("bigint", default=5_000_000_000),
    "is_new": Field("boolean", default=True),
    "joined_at": Field("datetime", default=NOW),
    "notes": Field("text", default=HOSTILE),
    "tags": Field("strings", required=False),
    "mentor_id": MENTOR,
    "badge": Field("string", required=False, unique=True, max_length=20),
}
RENAMED = {("pen_name" if name == "nickname" else name): it for name, it in FIELDS.items()}
CHANGED = {
    **RENAMED,
    "pen_name": Field("string", default="it's new", max_length=200, index=True, comment=HOSTILE),
    "score": Field("bigint", required=False, default=7),
    "notes": Field("text", required=False),
    "mentor_id": Field.reference("user", required=False),
    "badge": Field("string", required=False, max_length=20),
}
REQUIRED = {**CHANGED, "level": Field("integer", default=7)}
STAGES = {
    "create": Stage(),
    "add plugins": Stage(plugins=(TwoFactor(), Username())),
    "add fields": Stage(plugins=(TwoFactor(), Username()), fields=FIELDS),
    "rename": Stage(
        plugins=(SecondFactor(), Username()),
        fields=RENAMED,
        renames={"user.nickname": "penName", "two_factor": "secondFactor"},
        breaks_old_code=True,
    ),
    "change": Stage(plugins=(SecondFactor(), Username()), fields=CHANGED),
    # Code that knows a column writes its nulls; code that does not leaves them to the default.
    "require": Stage(plugins=(SecondFactor(), Username()), fields=REQUIRED, breaks_old_code=True),
    "remove": Stage(fields={"pen_name": CHANGED["pen_name"]}),
    "drop": Stage(fields={"pen_name": CHANGED["pen_name"]}, drop=True),
}


RENAMES = STAGES["rename"].renames
ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}
OWN_SCHEMA = "watchword_matrix_auth"
# What the versions of an application have in common.
SETTINGS = {
    "numbers": {"ids": "bigint"},
    "texts in a schema": {
        "ids": "string",
        "naming": Naming(schema=OWN_SCHEMA, prefix="x_", plural=False),
    },
    "names of the wire": {"naming": Naming.wire()},
    "names to be quoted": {
        "ids": "bigint",
        "naming": Naming(
            prefix="Auth-100% ",
            case="camel",
            tables={"session": "order", "account": "a'b"},
            columns={"user.name": "full name", "user.nickname": "select", "user.level": "le:vel"},
        ),
    },
}


@dataclass
class Database:
    """A database, and the versions of the application that use it."""

    url: str
    engine: Engine
    passwords: Passwords
    settings: Mapping[str, Any] = field(default_factory=dict)
    made: dict[int, BlockingWatchword] = field(default_factory=dict)

    def at(self, stage: Stage) -> BlockingWatchword:
        """Start a version of the application, or go on with it if it was started."""
        started = self.made.get(id(stage))
        return started or self.made.setdefault(id(stage), self._started(stage))

    def _started(self, stage: Stage) -> BlockingWatchword:
        return BlockingWatchword(
            self.url,
            secret="correct-horse-battery-staple-0123456789",
            base_url="http://localhost:8000",
            email_password=EmailPassword(),
            passwords=self.passwords,
            rate_limits=RateLimits(enabled=False),
            plugins=stage.plugins,
            user=UserOptions(additional_fields=stage.fields),
            **self.settings,
        )

    @property
    def schema(self) -> str | None:
        """The database schema of our tables."""
        naming: Naming = self.settings.get("naming", Naming())
        return naming.schema

    @property
    def tables(self) -> set[tuple[Any, ...]]:
        """Tell all that the database knows of our tables."""
        return described(self.engine, self.schema)


def described(engine: Engine, schema: str | None = None) -> set[tuple[Any, ...]]:
    """Tell all that a database knows of the tables that are not the application's.

    But for the order of columns, and lengths on SQLite, which do not matter.
    """
    told, parts = inspect(engine), {}
    for kind, some in (
        ("column", told.get_multi_columns(schema=schema)),
        ("index", told.get_multi_indexes(schema=schema)),
        ("unique", told.get_multi_unique_constraints(schema=schema)),
        ("reference", told.get_multi_foreign_keys(schema=schema)),
        ("check", told.get_multi_check_constraints(schema=schema)),
    ):
        for (_, table), every in some.items():
            parts |= {(table, kind, it["name"]): of_part(it) for it in every}
    for (_, table), it in told.get_multi_pk_constraint(schema=schema).items():
        name = it["name"] if engine.dialect.name == "postgresql" else ""
        parts[table, "key", name] = it["constrained_columns"]
    if engine.dialect.name == "sqlite":
        parts |= {(name, "numbers", ""): numbers(engine, name) for name in told.get_table_names()}
    else:
        for (_, table), it in told.get_multi_table_comment(schema=schema).items():
            parts[table, "comment", ""] = it["text"]
    theirs = {"alembic_version", "orders"}
    return {
        (*where, repr(it))
        for where, it in parts.items()
        if where[0] not in theirs and "migrations" not in where[0]
    }


def of_part(told: Mapping[str, Any]) -> dict[str, Any]:
    """Tell all that matters of a part of a table."""
    parts = {key: it for key, it in told.items() if key not in {"type", "dialect_options"}}
    if "type" in told:
        collation = getattr(told["type"], "collation", None)
        kind = str(told["type"])
        parts["type"] = (kind, collation) if collation else re.sub(r"\(\d+\)", "", kind)
    return parts


def numbers(engine: Engine, name: str) -> bool:
    """Tell whether SQLite numbers the rows of a table, and never gives a number twice."""
    with engine.connect() as connection:
        query = text("SELECT sql FROM sqlite_master WHERE name = :name")
        return "AUTOINCREMENT" in connection.execute(query, {"name": name}).scalar_one()


# --- an Alembic project -----------------------------------------------------------------------

ENVIRONMENT = """
from alembic import context
from sqlalchemy import NullPool, create_engine, event

config = context.config
url = config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda it, _: it.execute("PRAGMA foreign_keys = ON"))
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
ORDERS = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {parent!r}


def upgrade():
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("words", sa.String(20)),
    )


def downgrade():
    op.drop_table("orders")
"""


@dataclass(frozen=True)
class Project:
    """An application whose history holds our revisions and its own."""

    folder: Path
    url: str

    @classmethod
    def begin(cls, folder: Path, url: str) -> "Project":
        """Write what `alembic init` would."""
        (folder / "versions").mkdir(parents=True)
        (folder / "env.py").write_text(ENVIRONMENT)
        return cls(folder, url)

    @property
    def versions(self) -> Path:
        """The folder of the revisions."""
        return self.folder / "versions"

    def config(self, url: str | None = None) -> Config:
        """Return what Alembic needs to know; its messages go nowhere."""
        config = Config(stdout=io.StringIO(), output_buffer=io.StringIO())
        config.set_main_option("script_location", str(self.folder))
        config.set_main_option("path_separator", "os")
        config.set_main_option("sqlalchemy.url", url or self.url)
        return config

    @property
    def head(self) -> str | None:
        """The one last revision, as Alembic finds it."""
        return ScriptDirectory.from_config(self.config()).get_current_head()

    def generate(self, schema: Schema, stage: Stage) -> Path:
        """Write the next revision of ours."""
        revisions = Revisions.read(self.versions)
        recorded = revisions.last_snapshot()
        present = recorded or Snapshot(schema=schema.naming.schema)
        wanted, aim = Snapshot.of(schema), stage.aim
        plan = make_plan(present, wanted, recorded=recorded, renames=aim.renames, drop=aim.drop)
        assert plan.conflicts == ()
        return write_revision(plan, present, output=self.versions, parent=revisions.head())

    def add_orders(self) -> None:
        """Write a revision of the application's own."""
        code = ORDERS.format(revision="0de5", parent=self.head)
        (self.versions / "0de5_orders.py").write_text(code)

    def reach(self, auth: BlockingWatchword, stage: Stage) -> None:
        """Reach a stage by a revision; the application has one between two of ours."""
        self.generate(auth.schema, stage)
        if stage is STAGES["add plugins"]:
            self.add_orders()
        self.upgrade()

    def upgrade(self) -> None:
        """Do as `alembic upgrade head`."""
        command.upgrade(self.config(), "head")

    def sql(self, url: str, span: str) -> list[str]:
        """Return the statements of `alembic upgrade --sql`, or of `downgrade`."""
        config = self.config(url)
        done = command.downgrade if span.endswith("base") else command.upgrade
        done(config, span, sql=True)
        script = config.output_buffer.getvalue()
        statements = re.split(r";\s*\n", re.sub(r"^--.*$", "", script, flags=re.MULTILINE))
        return [it.strip() for it in statements if it.strip()]


def proposals(auth: BlockingWatchword, engine: Engine) -> list[Any]:
    """Return what Alembic would write for an application that has one table of its own."""
    metadata = MetaData()
    register_foreign_tables(metadata, auth)
    if inspect(engine).has_table("orders"):
        Table(
            "orders",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("words", String(20)),
        )
    with engine.connect() as connection:
        filters = {**alembic_filters(auth), "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=filters)
        return compare_metadata(context, metadata)


# --- what is somebody else's ---------------------------------------------------------------------


@dataclass(frozen=True)
class Theirs:
    """A table that points at our users, and what was added to these."""

    engine: Engine
    auth: BlockingWatchword

    def make(self) -> None:
        """Make it all, by statements of their own."""
        kind = self.auth.adapter.tables.require("user").table.c.id.type.compile(
            self.engine.dialect
        )
        key = "REFERENCES watchword_users (id) ON DELETE CASCADE"
        self.run(
            "ALTER TABLE watchword_users ADD COLUMN crm_id INTEGER",
            "CREATE INDEX by_crm ON watchword_users (crm_id)",
            "CREATE UNIQUE INDEX one_of_crm ON watchword_users (crm_id)",
            f"CREATE TABLE carts (id INTEGER PRIMARY KEY, user_id {kind}, "
            f"CONSTRAINT to_users FOREIGN KEY (user_id) {key})",
        )

    def remove(self) -> None:
        """Remove their table."""
        self.run("DROP TABLE carts")

    def add_rows(self, people: Sequence["Person"]) -> None:
        """Let each have a cart and a number."""
        for number, person in enumerate(people, start=1):
            key = person.id.replace("-", "")
            self.run(
                f"UPDATE watchword_users SET crm_id = {number} WHERE email = '{person.email}'",
                f"INSERT INTO carts (id, user_id) VALUES ({number}, '{key}')",
            )

    def run(self, *statements: str) -> None:
        """Send statements."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    @property
    def rows(self) -> list[tuple[int, str]]:
        """The numbers of users, and whose cart it is."""
        query = "SELECT crm_id, user_id FROM carts JOIN watchword_users u ON u.id = user_id"
        with self.engine.connect() as connection:
            rows = connection.execute(text(f"{query} ORDER BY crm_id")).all()
        return [(number, str(UUID(str(key)))) for number, key in rows]

    @property
    def tables(self) -> list[tuple[Any, ...]]:
        """What the database knows of it all."""
        told = described(self.engine)
        return sorted(it for it in told if it[0] == "carts" or "crm" in it[2])


# --- people ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """Somebody who signed up, and stays signed in."""

    email: str
    id: str
    cookie: str

    @classmethod
    def signed_up(cls, auth: BlockingWatchword, name: str) -> "Person":
        """Sign somebody up."""
        calls = auth.api.on_behalf_of({"origin": "http://localhost:8000"})
        email = f"{name}@example.org".lower()
        made = calls.sign_up_email(name=name, email=email, password=PASSWORD)
        [cookie] = [value.partition(";")[0] for name, value in calls.headers]
        return cls(email, made.user.id, cookie)

    def require_welcome(self, auth: BlockingWatchword) -> None:
        """Fail unless the session is still there, and the password still right."""
        found = auth.api.on_behalf_of({"cookie": self.cookie}).get_session()
        assert found is not None
        assert found.user.email == self.email
        signed_in = auth.api.sign_in_email(email=self.email, password=PASSWORD)
        assert signed_in.user.id == self.id


def rows_of(auth: BlockingWatchword, person: Person) -> dict[str, Any]:
    """Read what is stored of somebody, but for what a sign-in changes."""
    user = auth.store.find_one("user", F.id == person.id)
    accounts = auth.store.find_many("account", F.user_id == person.id)
    return {"user": user, "accounts": accounts}


def require_cascade(auth: BlockingWatchword, name: str) -> str:
    """Fail unless a user who is deleted takes along what is theirs, and nothing else.

    Returns the id that was theirs.
    """
    other = Person.signed_up(auth, name)
    before = auth.store.count("session")
    auth.store.delete_many("user", F.id == other.id)
    assert auth.store.count("session") == before - 1
    assert auth.store.count("account", F.user_id == other.id) == 0
    return other.id


def plan_of(auth: BlockingWatchword) -> Any:
    """Return what would have to be done, from what the database itself tells."""
    migrator = migrator_for(auth.adapter, auth.schema, clock=auth.instance.clock)
    state = run_blocking(migrator.state())
    return state.plan(Aim(keep=True))


def require_nothing_to_do(auth: BlockingWatchword) -> None:
    """Fail unless the database is as the application wants it."""
    plan = plan_of(auth)
    assert [str(it) for it in plan.changes] == []
    assert plan.conflicts == ()
    assert auth.check_schema() == []


# --- the databases ----------------------------------------------------------------------------


@cache
def engine_of(url: str) -> Engine:
    """Make an engine for each database once: what it compiles, it compiles once."""
    return create_engine(url, poolclass=NullPool)


class Matrix:
    """What every database has to keep."""

    earlier: ClassVar = tuple(STAGES)

    @pytest.fixture
    def url(self) -> str:
        """Return the URL of a database, with its blocking driver."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, url, cheap_passwords) -> Iterator[Database]:
        """A database without tables."""
        engine = engine_of(url)
        empty(engine)
        database = Database(url, engine, cheap_passwords)
        yield database
        for auth in database.made.values():
            auth.close()
        empty(engine)
        engine.dispose()

    @pytest.fixture
    def project(self, tmp_path, url) -> Project:
        """A history without revisions."""
        return Project.begin(tmp_path / "alembic", url)

    def go_through(self, database: Database, reach: Callable[[BlockingWatchword, Stage], None]):
        """Reach each stage, with people at home, and fail unless they notice nothing."""
        old, ada, gone = None, None, []
        for number, (name, stage) in enumerate(STAGES.items(), start=1):
            auth = database.at(stage)
            before = rows_of(old, ada) if ada else None
            reach(auth, stage)
            require_nothing_to_do(auth)
            if stage.plugins or auth.schema.naming.prefix:
                assert proposals(auth, database.engine) == []
            ada = ada or Person.signed_up(auth, "Ada")
            ada.require_welcome(auth)
            gone.append(require_cascade(auth, f"Grace{number}"))
            if old and not stage.breaks_old_code and not stage.drop:
                ada.require_welcome(old)
                gone.append(require_cascade(old, f"Old{number}"))
            if before:
                require_same(before, rows_of(auth, ada), name)
            old = auth
        assert len({*gone, ada.id}) == len(gone) + 1, "an id was given twice"

    def test_every_migration_leaves_a_database_that_works(self, database):
        """Rows, sessions and keys survive, old code goes on, and nothing is left to do."""
        self.go_through(database, migrated)

    def test_every_revision_leaves_a_database_that_works(self, database, project):
        """The same, of revisions in a history that the application has a part in."""
        self.go_through(database, project.reach)

        told = ScriptDirectory.from_config(project.config())
        assert [it.down_revision for it in told.walk_revisions()].count(None) == 1
        assert len(told.get_heads()) == 1

    def go_both_ways(self, database: Database, project: Project) -> None:
        """Go through all stages and back by migrations, and the same by revisions."""
        if database.schema:
            with database.engine.begin() as connection:
                connection.exec_driver_sql(f"CREATE SCHEMA {database.schema}")
        self.go_through(database, migrated)
        database.at(STAGES["create"]).migrate(to=0)
        assert database.tables == set()
        self.go_through(database, project.reach)
        command.downgrade(project.config(), "base")
        assert database.tables == set()

    @pytest.mark.slow
    def test_every_earlier_state_leads_to_a_later_one(self, database):
        """At once, whichever it is: to the same tables as if they were new."""
        last = STAGES["require"]
        fresh = database.at(last)
        fresh.create_tables()
        created = database.tables
        for number, name in enumerate(self.earlier):
            empty(database.engine)
            earlier = database.at(STAGES[name])
            earlier.migrate()
            ada = Person.signed_up(earlier, "Ada")
            models = {model.name for it in STAGES[name].plugins for model in it.models}
            fields = {f"user.{it}" for it in STAGES[name].fields}

            auth = database.at(last)
            renames = {old: new for old, new in RENAMES.items() if old in models | fields}
            auth.migrate(renames=renames, drop=True)

            require_nothing_to_do(auth)
            ada.require_welcome(auth)
            require_cascade(auth, f"Grace{number}")
            assert database.tables ^ created == set(), name

    @pytest.mark.needs_loop
    async def test_drivers_of_an_event_loop_do_the_same(self, database, new_auth):
        """Up to the last stage and back to nothing, with somebody who signs in at each."""
        url = make_url(database.url)
        url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
        for stage in STAGES.values():
            fields = UserOptions(additional_fields=stage.fields)
            auth = new_auth(url, plugins=stage.plugins, user=fields)
            await auth.migrate(renames=stage.renames, drop=stage.drop)

            assert (await auth.migrate()).changes == ()
            if stage is STAGES["create"]:
                ada = {"email": "ada@example.org", "password": PASSWORD}
                await auth.api.sign_up_email(name="Ada", **ada)
            assert (await auth.api.sign_in_email(**ada)).user.name == "Ada"
            await auth.close()
        await auth.migrate(to=0)
        await auth.close()

        assert database.tables == set()

    def test_what_others_made_is_left_as_it_is(self, database, project):
        """Columns, indexes and tables that point at ours, with their rows, both ways."""
        for reach in (migrated, project.reach):
            empty(database.engine)
            auth = database.at(STAGES["create"])
            reach(auth, STAGES["create"])
            ada, bob = Person.signed_up(auth, "Ada"), Person.signed_up(auth, "Bob")
            theirs = Theirs(database.engine, auth)
            theirs.make()
            theirs.add_rows([ada, bob])
            before = theirs.tables
            for name, stage in list(STAGES.items())[1:]:
                auth = database.at(stage)
                reach(auth, stage)

                assert theirs.rows == [(1, ada.id), (2, bob.id)], name
                assert theirs.tables == before, name
            auth.store.delete_many("user", F.id == ada.id)
            assert theirs.rows == [(2, bob.id)]
            theirs.remove()

    def test_both_ways_lead_to_the_same_database(self, database, project):
        """At every stage; also the way back, and the way by SQL alone."""
        schemas = {name: database.at(stage) for name, stage in STAGES.items()}
        migrated = []
        for name, stage in STAGES.items():
            schemas[name].migrate(renames=stage.renames, drop=stage.drop)
            migrated.append(database.tables)
        back = []
        for number in range(len(STAGES) - 1, -1, -1):
            schemas["drop"].migrate(to=number)
            back.append(database.tables)
        generated, downgraded = [], []
        for name, stage in STAGES.items():
            project.generate(schemas[name].schema, stage)
            project.upgrade()
            generated.append(database.tables)
        for _ in STAGES:
            command.downgrade(project.config(), "-1")
            downgraded.append(database.tables)

        for number, name in enumerate(STAGES):
            assert generated[number] ^ migrated[number] == set(), name
        for number, name in enumerate(reversed(list(STAGES)), start=1):
            before = migrated[-number - 1] if number < len(migrated) else set()
            assert back[number - 1] ^ before == set(), name
            assert downgraded[number - 1] ^ before == set(), name


def migrated(auth: BlockingWatchword, stage: Stage) -> None:
    """Reach a stage by a migration."""
    auth.migrate(renames=stage.renames, drop=stage.drop)


def require_same(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> None:
    """Fail unless rows are what they were, but for what the stage gives a value."""
    kept = {key: it for key, it in before["user"].items() if key in after["user"]}
    changed = {key for key, it in kept.items() if after["user"][key] != it}
    assert changed <= ({"level"} if name == "require" else set()), name
    assert after["accounts"] == before["accounts"], name


def empty(engine: Engine) -> None:
    """Remove every table."""
    everything = MetaData()
    everything.reflect(engine)
    everything.drop_all(engine)
    if engine.dialect.name != "sqlite":
        cascade = " CASCADE" if engine.dialect.name == "postgresql" else ""
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {OWN_SCHEMA}{cascade}")


class TestOnSQLite(Matrix):
    """In a file."""

    # Names to be quoted come with numbers, and of the case of the wire: at the soak each alone.
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "name", ["names to be quoted", *(["numbers", "names of the wire"] if IS_SOAK else [])]
    )
    def test_whatever_ids_and_names_are(self, database, project, name):
        """Numbers are never given twice, though tables are made anew."""
        database.settings = SETTINGS[name]
        self.go_both_ways(database, project)

    def test_a_revision_does_not_begin_where_rows_would_be_lost(self, database, project):
        """Inside a transaction foreign keys cannot be switched off; rows would go with them."""
        auth = database.at(STAGES["create"])
        project.reach(auth, STAGES["create"])
        ada = Person.signed_up(auth, "Ada")
        environment = project.folder / "env.py"
        begun = (
            "context.configure(connection=connection)\n        connection.exec_driver_sql('BEGIN')"
        )
        code = ENVIRONMENT.replace("context.configure(connection=connection)", begun)
        environment.write_text(code)

        with pytest.raises(RuntimeError, match="Switch foreign keys off in"):
            project.reach(database.at(STAGES["add plugins"]), STAGES["add plugins"])

        ada.require_welcome(auth)
        assert "two_factor_enabled" not in str(database.tables)

    @pytest.fixture
    def url(self, sqlite_database):
        """A new file."""
        return sqlite_database


class Servers(Matrix):
    """What servers have to keep as well."""

    scheme: ClassVar[str]
    # One without a plugin, one with what is to be renamed, and one with what is to go.
    earlier = tuple(STAGES) if IS_SOAK else ("create", "add fields", "remove")

    def test_the_sql_of_revisions_does_the_same(self, database, project):
        """As `alembic upgrade --sql` prints it, with nobody to ask; and back."""
        for stage in STAGES.values():
            project.generate(database.at(stage).schema, stage)
        project.upgrade()
        online = database.tables
        url = (
            make_url(database.url)
            .set(drivername=self.scheme)
            .render_as_string(hide_password=False)
        )
        empty(database.engine)

        for span, end in (("base:head", online), ("head:base", set())):
            with database.engine.begin() as connection:
                for statement in project.sql(url, span):
                    connection.connection.cursor().execute(statement)
            assert database.tables == end


class TestOnPostgreSQL(Servers):
    """On a server with schemas."""

    scheme = "postgresql+psycopg"

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["texts in a schema"])
    def test_whatever_ids_and_names_are(self, database, project, name):
        """In a schema of our own."""
        database.settings = SETTINGS[name]
        self.go_both_ways(database, project)

    @pytest.fixture
    def url(self, postgresql_database):
        """A database of this module."""
        return postgresql_database


class TestOnMariaDB(Servers):
    """On a server that commits each change of a table."""

    scheme = "mariadb+pymysql"

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["names to be quoted"])
    def test_whatever_ids_and_names_are(self, database, project, name):
        """With names that have a percent sign, quotes and spaces."""
        database.settings = SETTINGS[name]
        self.go_both_ways(database, project)

    @pytest.fixture
    def url(self, mysql_database):
        """A database of this module."""
        return mysql_database
