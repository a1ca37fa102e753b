"""What an instance does with its tables when the application starts."""

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from sqlalchemy import NullPool, create_engine, inspect, make_url

from watchword import BlockingWatchword, Watchword
from watchword.adapters.memory import MemoryAdapter
from watchword.adapters.sqlalchemy.dialects import schema_lock
from watchword.engine.findings import Code
from watchword.errors import ConfigurationError, StorageUnavailable
from watchword.plugins.username import Username

ASYNC_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}
OURS: Final = {
    *("watchword_users", "watchword_sessions", "watchword_accounts", "watchword_verifications"),
}
DROP_INDEX: Final = {
    "sqlite": "DROP INDEX ix_watchword_sessions_expires_at",
    "postgresql": "DROP INDEX ix_watchword_sessions_expires_at",
    "mysql": "DROP INDEX ix_watchword_sessions_expires_at ON watchword_sessions",
}


# So often do many start at once; at the soak more often.
ROUNDS: Final = 5 if "WATCHWORD_SOAK" in os.environ else 1


class Place:
    """A database without tables, looked at past everything."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.engine = create_engine(url, poolclass=NullPool)

    def sql(self, statement: str) -> None:
        """Run a statement."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement)

    @property
    def tables(self) -> set[str]:
        """The names of all tables."""
        return set(inspect(self.engine).get_table_names())

    def empty(self) -> None:
        """Drop every table."""
        late = ("watchword_users",)
        for name in sorted(self.tables, key=lambda it: it in late):
            self.sql(f"DROP TABLE {name}")

    def break_something(self) -> None:
        """Let an index be missing: a warning; and a column: an error."""
        self.sql(DROP_INDEX[self.url.get_backend_name()])
        self.sql("ALTER TABLE watchword_users DROP COLUMN image")


@pytest.fixture(params=ASYNC_DRIVERS)
def place(request) -> Iterator[Place]:
    """Each kind of database in turn."""
    place = Place(request.getfixturevalue(f"{request.param}_database"))
    place.empty()
    yield place
    place.engine.dispose()


@pytest.fixture
def start(new_auth, watchword_mode) -> Callable[..., Any]:
    """Start instances, by the driver that fits the test's mode, and end them."""

    async def start(place: Place, **settings: Any) -> Watchword:
        auth = at(place, **settings)
        async with auth.lifespan():
            return auth

    def at(place: Place, **settings: Any) -> Watchword:
        url = place.url
        if watchword_mode.name == "loop":
            url = url.set(drivername=ASYNC_DRIVERS[url.get_backend_name()])
        return new_auth(url, **settings)

    start.at = at
    return start


def logged(caplog) -> list[str]:
    """Return the codes that were logged."""
    return [it.getMessage().split()[0] for it in caplog.records if it.name == "watchword"]


@pytest.mark.parametrize("check", ["warn", "off"])
async def test_the_first_start_makes_the_tables(place, start, caplog, check):
    """And says nothing."""
    await start(place, schema_check=check)

    assert place.tables == OURS
    assert logged(caplog) == []


async def test_a_later_start_changes_nothing_and_tells_what_is_amiss(place, start, caplog):
    """Once for each thing, with what mends it."""
    await start(place)
    place.break_something()

    await start(place, plugins=[Username()])

    assert sorted(logged(caplog)) == ["W002", "W002", "W002", "W013", "W014"]
    assert {it.levelname for it in caplog.records if it.name == "watchword"} == {"WARNING"}
    said = [it.getMessage() for it in caplog.records]
    assert (
        "W002 column watchword_users.image of core is missing; to mend it: `watchword migrate`"
        in said
    )
    columns = {it["name"] for it in inspect(place.engine).get_columns("watchword_users")}
    assert not columns & {"image", "username"}


async def test_a_missing_table_is_not_made_beside_others(place, start, caplog):
    """It was dropped by somebody, or belongs to a migration."""
    await start(place)
    place.sql("DROP TABLE watchword_verifications")

    await start(place)

    assert logged(caplog) == ["W001"]
    assert place.tables == OURS - {"watchword_verifications"}


async def test_without_a_look_missing_tables_are_made(place, start, caplog):
    """And nothing is said of the others."""
    await start(place)
    place.break_something()
    place.sql("DROP TABLE watchword_verifications")

    await start(place, schema_check="off")

    assert logged(caplog) == []
    assert place.tables == OURS


async def test_a_start_that_must_find_tables_makes_none(place, start):
    """A first `alembic upgrade` finds the database as it expects it."""
    with pytest.raises(ConfigurationError) as refusal:
        await start(place, schema_check="error")

    assert place.tables == set()
    assert "table watchword_users of core is missing" in refusal.value.message
    assert refusal.value.hint == "`watchword migrate`"


async def test_a_start_fails_for_every_error_at_once(place, start, caplog):
    """For warnings alone it does not."""
    await start(place)
    place.sql(DROP_INDEX[place.url.get_backend_name()])

    await start(place, schema_check="error")
    only_warned = logged(caplog)
    place.sql("ALTER TABLE watchword_users DROP COLUMN image")
    place.sql("DROP TABLE watchword_verifications")
    with pytest.raises(ConfigurationError) as refusal:
        await start(place, schema_check="error")

    assert only_warned == ["W013"]
    assert "W001 table watchword_verifications" in refusal.value.message
    assert "W002 column watchword_users.image" in refusal.value.message
    assert "W013" not in refusal.value.message


@pytest.mark.slow
async def test_many_first_starts_at_once_say_nothing(place, start, race, caplog):
    """Who comes while another one makes the tables waits for it."""
    for _ in range(ROUNDS):
        place.empty()

        ended = await race(8, lambda: start(place))

        assert [it for it in ended if isinstance(it, BaseException)] == []
        assert place.tables == OURS
        assert logged(caplog) == []


@pytest.mark.parametrize("place", ["postgresql", "mysql"], indirect=True)
async def test_a_start_waits_for_who_makes_the_tables(place, start, spawn, caplog):
    """It would take those for missing that are not there yet."""
    await start(place)
    place.sql("ALTER TABLE watchword_verifications RENAME TO not_yet")

    with place.engine.connect() as connection, schema_lock(connection):
        beside = spawn(lambda: start(place))
        waited = not await beside.ended(0.5)
        place.sql("ALTER TABLE not_yet RENAME TO watchword_verifications")
    await beside.result()

    assert waited
    assert logged(caplog) == []


@pytest.mark.parametrize("place", ["postgresql", "mysql"], indirect=True)
async def test_a_start_does_not_wait_for_a_migration(place, start, caplog):
    """That may take its time, and old code works meanwhile."""
    auth = start.at(place)
    await auth.migrate()
    await auth.close()
    place.sql("UPDATE watchword_migrations SET finished_at = NULL")

    with place.engine.connect() as connection, schema_lock(connection):
        await start(place)

    assert logged(caplog) == ["W020"]


@pytest.mark.parametrize("place", ["postgresql", "mysql"], indirect=True)
async def test_a_start_waits_for_others_a_moment_only(place, start, caplog, monkeypatch):
    """Whoever changes other tables in the same database for hours holds up no start."""
    await start(place)
    place.sql(DROP_INDEX[place.url.get_backend_name()])
    monkeypatch.setattr("watchword.migrations.check._PATIENCE", 0.05)

    with place.engine.connect() as connection, schema_lock(connection):
        await start(place)

    assert logged(caplog) == ["W013"]


async def test_what_is_found_can_be_asked_for(place, start):
    """By who has no lifespan to start with, too."""
    await start(place)
    auth = start.at(place)
    right = await auth.check_schema()
    place.break_something()

    found = await auth.check_schema()
    await auth.close()
    blocking = BlockingWatchword(
        place.url, secret="x" + "0123456789abcdef" * 2, base_url="http://a"
    )
    likewise = blocking.check_schema()
    blocking.close()

    assert right == []
    assert {it.code for it in found} == {Code.W002, Code.W013}
    assert likewise == found


@pytest.mark.parametrize("check", ["warn", "error", "off"])
async def test_in_memory_there_is_nothing_to_look_at(new_auth, caplog, check):
    """It starts by every setting."""
    auth = new_auth(MemoryAdapter(), schema_check=check)

    async with auth.lifespan():
        found = await auth.check_schema()

    assert found == []
    assert logged(caplog) == []


@pytest.mark.parametrize("check", ["warn", "error", "off"])
async def test_a_database_that_is_down_stops_the_start(start, check):
    """Whatever is to be looked at."""
    nobody = Place("postgresql+psycopg://postgres@127.0.0.1:1/nowhere")

    with pytest.raises(StorageUnavailable):
        await start(nobody, schema_check=check)


def test_an_unknown_way_to_check_is_refused(new_auth):
    """Not at the first start: when the instance is made."""
    with pytest.raises(ConfigurationError, match="cannot be checked by 'maybe'"):
        new_auth(schema_check="maybe")


async def test_a_request_to_tables_that_lack_something_tells_of_the_check(
    place, start, new_browser, caplog
):
    """The log does; the caller hears nothing of it."""
    await start(place)
    newer, older = start.at(place, plugins=[Username()]), start.at(place)
    caplog.set_level(logging.ERROR)

    of_columns = await new_browser(newer).sign_up()
    place.sql("DROP TABLE watchword_sessions")
    of_tables = await new_browser(older).sign_up()
    await newer.close()
    await older.close()

    assert [(it.status, it.body) for it in (of_columns, of_tables)] == [(500, b"")] * 2
    told = [str(it.exc_info[1]) for it in caplog.records if it.exc_info]
    assert [it.partition("; ")[2] for it in told] == ["`watchword check` tells which"] * 2
