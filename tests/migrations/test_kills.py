"""A migration that is killed at any point is finished by the next run."""

import os
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import pytest
from sqlalchemy import make_url

from watchword.errors import StorageUnavailable
from watchword.plugins.username import Username
from watchword.schema import Field

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
SCENARIOS: Final = ("create", "add", "change", "downgrade", "drop")
# So many points; at the soak each. SQLite's are all of one transaction.
POINTS: Final = dict.fromkeys(("sqlite", "postgresql", "mysql", "mongodb"), 10_000)
if not IS_SOAK:
    POINTS.update({"sqlite": 3, "postgresql": 4, "mysql": 4, "mongodb": 3})
MOMENTS: Final = 40 if IS_SOAK else 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("server", ["sqlite", "postgresql", "mysql", "mongodb"])
class TestKilled:
    """A process gets SIGKILL, and another one is started with the same command."""

    @pytest.fixture
    def kill(self, request, server, forked) -> Callable[..., list[dict[str, Any]]]:
        """Kill, mend, and return what was found at each point."""
        database = request.getfixturevalue(f"{server}_database")
        return lambda *words: forked("killing", database, *words)

    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_at_statements(self, kill, server, scenario, record_property):
        """Before and after any statement: rows, versions and tables are as they should be."""
        end, *points = kill(scenario, "statement", POINTS[server])

        assert [it for it in (end, *points) if it["flaws"]] == []
        assert [it["killed"] for it in (end, *points)] == [False] + [True] * len(points)
        assert (points[0]["point"], points[-1]["point"]) == (1, end["point"] - 1)
        assert len(points) == min(POINTS[server], end["point"] - 1)
        record_property("kill_points", len(points))

    @pytest.mark.parametrize("scenario", SCENARIOS if IS_SOAK else ["add"])
    def test_at_moments(self, kill, scenario):
        """The same whatever it is doing; a server may be in the middle of a statement."""
        points = kill(scenario, "moment", MOMENTS)

        assert len(points) == MOMENTS
        assert [it for it in points if it["flaws"]] == []


ENDS: Final = {
    "postgresql": (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ),
    "mysql": (
        "SELECT id FROM information_schema.processlist "
        "WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    ),
}


class TestLostConnection:
    """The server ends the connection in the middle of a migration."""

    @pytest.mark.parametrize("emptied", ["postgresql", "mysql"], indirect=True)
    async def test_the_next_run_finishes(self, emptied, application, execute):
        """It is told in a sentence, before whichever statement it happens."""
        old = application(emptied, {"language": Field("string", required=False)})
        await old.migrate()
        await old.store.create("user", {"name": "Ada", "email": "ada@example.org"})
        new = application(
            emptied, {"language": Field("string", default="en")}, plugins=[Username()]
        )
        lost, told = 0, set()

        for number in count(1):
            before = _Interruption(number, lambda: _end_others(execute, emptied))
            try:
                migrated = await new.migrate(on_progress=before)
            except StorageUnavailable as error:
                told.add(str(error))
                lost += 1
            else:
                break

        assert told == {"The connection to the database was lost."}
        assert lost >= 3
        assert migrated.version == 2
        assert (await new.migrate()).changes == ()
        [ada] = await new.store.find_many("user")
        assert (ada["name"], ada["language"]) == ("Ada", "en")


class BrokenOffError(Exception):
    """Somebody pulls the plug."""


class TestRenames:
    """A rename that was asked for once is not forgotten on the way."""

    @pytest.mark.parametrize("emptied", ["postgresql", "mysql"], indirect=True)
    async def test_it_is_finished_and_undone(self, emptied, application):
        """Though the runs that finish it do not ask for it again."""
        name = Field("string", required=False)
        old = application(emptied, {"nickname": name, "town": name})
        new = application(emptied, {"handle": name, "city": name})
        await old.migrate()
        given = {"name": "Ada", "email": "ada@example.org", "nickname": "ada", "town": "London"}
        await old.store.create("user", given)
        asked = {"user.nickname": "handle", "user.town": "city"}
        for number, renames in ((2, asked), (1, {})):
            with pytest.raises(BrokenOffError):
                await new.migrate(renames=renames, on_progress=_Interruption(number, _break_off))

        migrated = await new.migrate()

        [ada] = await new.store.find_many("user")
        assert (ada["handle"], ada["city"]) == ("ada", "London")
        assert migrated.version == 2
        await new.migrate(to=1)
        [ada] = await old.store.find_many("user")
        assert (ada["nickname"], ada["town"]) == ("ada", "London")


class TestBack:
    """Who does not want to go on after a migration was broken off goes back."""

    @pytest.mark.parametrize("emptied", ["postgresql", "mysql"], indirect=True)
    async def test_what_was_begun_is_removed(self, emptied, application, execute):
        """Columns and tables that are there already go, and renames are undone."""
        name = Field("string", required=False)
        old = application(emptied, {"nickname": name})
        new = application(emptied, {"handle": name, "city": name}, plugins=[Username()])
        await old.migrate()
        given = {"name": "Ada", "email": "ada@example.org", "nickname": "ada"}
        await old.store.create("user", given)
        before = _columns(execute, emptied)
        with pytest.raises(BrokenOffError):
            await new.migrate(
                renames={"user.nickname": "handle"}, on_progress=_Interruption(4, _break_off)
            )

        await new.migrate(to=1)

        [ada] = await old.store.find_many("user")
        assert ada["nickname"] == "ada"
        assert _columns(execute, emptied) == before

    @pytest.mark.parametrize("emptied", ["postgresql", "mysql"], indirect=True)
    async def test_back_to_nothing(self, emptied, application, execute):
        """The very first run was broken off, and no version is recorded yet."""
        auth = application(emptied)
        for number in (1, 3):
            with pytest.raises(BrokenOffError):
                await auth.migrate(on_progress=_Interruption(number, _break_off))

            await auth.migrate(to=0)

            assert _columns(execute, emptied) == []


def _columns(execute, database: str) -> list[Any]:
    """Return the names of every table and column."""
    mine = "current_schema()" if database.startswith("postgresql") else "DATABASE()"
    columns = "SELECT table_name, column_name FROM information_schema.columns"
    return sorted(execute(database, f"{columns} WHERE table_schema = {mine}"))


def _break_off() -> None:
    raise BrokenOffError


def _end_others(execute, database: str) -> None:
    """End every connection to a database but the one that does it."""
    backend = make_url(database).get_backend_name()
    found = execute(database, ENDS[backend])
    if backend == "mysql":
        for (number,) in found:
            execute(database, f"KILL {number}")


class _Interruption:
    """Lets something happen before the n-th statement."""

    def __init__(self, number: int, happen: Any) -> None:
        self._left = number
        self._happen = happen

    def __call__(self, _progress: Any) -> None:
        """Count."""
        self._left -= 1
        if self._left == 0:
            self._happen()
