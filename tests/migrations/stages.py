"""Schemas that an application has one after the other, and databases that are at one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.synchronous.database import Database
from sqlalchemy import Engine, MetaData, NullPool, create_engine, inspect, make_url, select, text

from watchword.adapters import adapter_for
from watchword.clock import utc_now
from watchword.concurrency import run_blocking
from watchword.crypto.sealing import KeyRing
from watchword.migrations import Aim, Renames, migrator_for
from watchword.plugins.username import Username
from watchword.schema import CORE_MODELS, Field, Index, Model, Naming, Unique, resolve_schema
from watchword.storage.store import Store

USERS = 5
FILLED = ("watchword_users", "watchword_accounts")


@dataclass(frozen=True)
class Extension:
    """What a plugin, or the application, adds to the schema."""

    id: str
    models: tuple[Model, ...] = ()
    extends: dict[str, dict[str, Field]] = field(default_factory=dict)


APPLICATION = Extension(
    "application",
    extends={
        "user": {
            "nickname": Field("string", required=False, max_length=20),
            "language": Field("string", required=False, max_length=8),
        }
    },
)
CHANGED_APPLICATION = Extension(
    "application",
    extends={
        "user": {
            "handle": Field("string", required=False, max_length=200),
            "language": Field("string", default="en", max_length=8),
        }
    },
)
TWO_FACTOR = Extension(
    "two-factor",
    models=(
        Model(
            "two_factor",
            {
                "user_id": Field.reference("user"),
                "secret": Field("string", index=True, digest=True, max_length=64),
                "backup_codes": Field("text", sealed=True),
                "verified": Field("boolean", default=True),
                "failed_verification_count": Field("integer", default=0),
                "locked_until": Field("datetime", required=False),
            },
            uniques=(Unique("user_id", "secret"),),
            indexes=(Index("verified", "locked_until"),),
        ),
    ),
    extends={
        "user": {
            "two_factor_enabled": Field("boolean", default=False),
            "invited_by": Field.reference("user", required=False, on_delete="set null"),
        }
    },
)

CORE = resolve_schema(CORE_MODELS)
PLAIN = resolve_schema(CORE_MODELS, [APPLICATION])
WITH_PLUGINS = resolve_schema(CORE_MODELS, [APPLICATION, Username(), TWO_FACTOR])
CHANGED = resolve_schema(
    CORE_MODELS, [CHANGED_APPLICATION], naming=Naming(columns={"user.name": "full_name"})
)
WITH_EVERYTHING = resolve_schema(
    CORE_MODELS,
    [CHANGED_APPLICATION, Username(), TWO_FACTOR],
    naming=Naming(columns={"user.name": "full_name"}),
)
RENAMES = Renames({"user.nickname": "handle"})


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A command, and what the database was before.

    Args:
        before: The schemas that it was brought to, each with what was asked for then.
        schema: The one of the code that is started.
        aim: What is asked for now.
        then: The one that the tables are of in the end, if it is another.
        version: That is recorded in the end.
        names: What a column of users is called then.
        lost: Columns of users that are removed.
        filled: What users have who had no value.
    """

    schema: Any
    version: int
    before: tuple[Any, ...] = ()
    aim: Aim = field(default_factory=Aim)
    then: Any = None
    names: dict[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    filled: dict[str, Any] = field(default_factory=dict)


_CHANGE = {"name": "full_name", "nickname": "handle"}
SCENARIOS = {
    "create": Scenario(schema=PLAIN, version=1),
    "add": Scenario(before=((PLAIN, Aim()),), schema=WITH_PLUGINS, version=2),
    "change": Scenario(
        before=((PLAIN, Aim()),),
        schema=CHANGED,
        aim=Aim(renames=RENAMES),
        version=2,
        names=_CHANGE,
        filled={"language": "en"},
    ),
    "downgrade": Scenario(
        before=((PLAIN, Aim()), (WITH_EVERYTHING, Aim(renames=RENAMES))),
        schema=WITH_EVERYTHING,
        aim=Aim(to=1),
        then=PLAIN,
        version=1,
        names={new: old for old, new in _CHANGE.items()},
        lost=frozenset({"username", "display_username", "two_factor_enabled", "invited_by"}),
    ),
    "drop": Scenario(
        before=((WITH_PLUGINS, Aim()),),
        schema=CORE,
        aim=Aim(drop=True),
        version=2,
        lost=frozenset(
            {
                "nickname",
                "language",
                "username",
                "display_username",
                "two_factor_enabled",
                "invited_by",
            }
        ),
    ),
}


@dataclass(frozen=True)
class Place:
    """A database that is emptied, filled, changed and looked at."""

    url: str
    adapters: dict[int, Any] = field(default_factory=dict)

    def adapter(self, schema: Any) -> Any:
        """Return the one of a schema: what is compiled for it is compiled once."""
        if id(schema) not in self.adapters:
            self.adapters[id(schema)] = adapter_for(self.url)
            self.adapters[id(schema)].bind(schema)
        return self.adapters[id(schema)]

    def run(self, schema: Any, work: Any) -> Any:
        """Do something with a migrator, and leave no connection behind."""
        adapter = self.adapter(schema)

        async def done() -> Any:
            try:
                return await work(migrator_for(adapter, schema, clock=utc_now))
            finally:
                await adapter.close()

        return run_blocking(done())

    def migrate(self, schema: Any, aim: Aim | None = None) -> list[str]:
        """Migrate, and return what was done."""
        return list(self.run(schema, lambda it: it.run(aim or Aim())).changes)

    def prepare(self, scenario: Scenario) -> None:
        """Bring an empty database to where a scenario begins, with people in it."""
        self.empty()
        for schema, aim in scenario.before:
            self.migrate(schema, aim)
        if scenario.before:
            self.fill(scenario.before[-1][0])

    def fill(self, schema: Any) -> None:
        """Let some people sign up."""
        adapter = self.adapter(schema)
        store = Store(adapter, schema, clock=utc_now, sealer=KeyRing(["0123456789" * 4]))
        known = schema.require_model("user").fields

        async def write() -> None:
            for number in range(USERS):
                given = {
                    "name": f"Ada {number}",
                    "email": f"ada{number}@example.org",
                    "nickname": f"ada-{number}",
                    "handle": f"ada-{number}",
                    "username": f"ada_{number}",
                }
                user = await store.create(
                    "user", {name: it for name, it in given.items() if name in known}
                )
                of_user = {"user_id": user["id"]}
                await store.create(
                    "account", {**of_user, "account_id": str(number), "provider_id": "x"}
                )
            await adapter.close()

        run_blocking(write())

    def flaws(self, scenario: Scenario, before: dict[str, list[dict[str, Any]]]) -> list[str]:
        """Tell what is not as it should be after a scenario's command has come to its end."""
        wanted = scenario.then or scenario.schema
        state = self.run(wanted, lambda it: it.state())
        flaws = [f"to do: {it}" for it in state.plan(Aim(keep=True)).changes]
        flaws += [f"left over: {it}" for it in state.live.left_over]
        flaws += [f"pending: {state.pending.number}"] if state.pending else []
        numbers = [it.number for it in state.versions]
        if numbers != list(range(1, scenario.version + 1)):
            flaws.append(f"versions: {numbers}")
        return [*flaws, *self.stray(), *_lost(scenario, before, self.rows())]

    def empty(self) -> None:
        """Remove everything."""
        raise NotImplementedError

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return what is in the tables of users and accounts."""
        raise NotImplementedError

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        raise NotImplementedError

    def stray(self) -> list[str]:
        """Tell what a migration should have taken away."""
        return [f"table: {it}" for it in self.tables() if not it.startswith("watchword_")]


class SQLPlace(Place):
    """An SQL database."""

    @cached_property
    def engine(self) -> Engine:
        """Connections past the application; none is kept."""
        return create_engine(self.url, poolclass=NullPool)

    def empty(self) -> None:
        """Remove every table; and an SQLite file, which the first who comes makes again."""
        url = make_url(self.url)
        if url.get_backend_name() == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{url.database}{suffix}").unlink(missing_ok=True)
            return
        with self.engine.begin() as connection:
            if url.get_backend_name() == "postgresql":
                connection.exec_driver_sql("DROP SCHEMA public CASCADE")
                connection.exec_driver_sql("CREATE SCHEMA public")
            else:
                connection.exec_driver_sql(f"DROP DATABASE {url.database}")
                connection.exec_driver_sql(f"CREATE DATABASE {url.database}")

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return what is in the tables of users and accounts."""
        found = {}
        with self.engine.connect() as connection:
            metadata = MetaData()
            metadata.reflect(connection)
            for name in FILLED:
                if name in metadata.tables:
                    table = metadata.tables[name]
                    read = connection.execute(select(table).order_by(table.c.id))
                    found[name] = [dict(row) for row in read.mappings()]
        return found

    def tables(self) -> list[str]:
        """Return the names of all tables."""
        with self.engine.connect() as connection:
            return inspect(connection).get_table_names()

    def stray(self) -> list[str]:
        """Tell of tables, and of indexes and constraints that were begun."""
        stray = super().stray()
        if self.engine.dialect.name == "postgresql":
            with self.engine.connect() as connection:
                stray += [f"begun: {it}" for it in connection.execute(text(_BEGUN)).scalars()]
        return stray


class MongoDBPlace(Place):
    """A database of MongoDB. A client is no use to who is forked, so none is kept."""

    @contextmanager
    def database(self) -> Iterator[Database[Any]]:
        """Look past the application."""
        with MongoClient(self.url, tz_aware=True) as client:
            yield client.get_default_database()

    def empty(self) -> None:
        """Remove every collection."""
        with self.database() as database:
            database.client.drop_database(database.name)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the documents of users and accounts."""
        with self.database() as database:
            there = set(database.list_collection_names())
            return {
                name: list(database[name].find(sort=[("_id", 1)]))
                for name in FILLED
                if name in there
            }

    def tables(self) -> list[str]:
        """Return the names of all collections."""
        with self.database() as database:
            return database.list_collection_names()


def place_at(url: str) -> Place:
    """Return the place of a URL."""
    return MongoDBPlace(url) if url.startswith("mongodb://") else SQLPlace(url)


_BEGUN = """
    SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid
    UNION ALL SELECT conname FROM pg_constraint
    WHERE NOT convalidated OR conname LIKE 'watchword%not_null'
"""


def _lost(scenario: Scenario, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Tell which values are not what they were."""
    lost = []
    for table, rows in before.items():
        expected = [_expected(scenario, table, it) for it in rows]
        kept = set(expected[0]) if expected else set()
        found = [{name: it.get(name) for name in kept} for it in after.get(table, [])]
        if found != expected:
            lost.append(f"rows of {table}: {found} are not {expected}")
    return lost


def _expected(scenario: Scenario, table: str, row: dict[str, Any]) -> dict[str, Any]:
    if table != "watchword_users":
        return row
    renamed = {scenario.names.get(name, name): it for name, it in row.items()}
    filled = {
        name: scenario.filled.get(name) if it is None else it for name, it in renamed.items()
    }
    return {name: it for name, it in filled.items() if name not in scenario.lost}
