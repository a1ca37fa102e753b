"""Lets processes change the tables of one database at once, and tells what came of it.

    python racing.py URL RACE ROUNDS

RACE is one of those below, or `command`: `python -m watchword migrate`, but for the start of the
interpreter. Prints a line of JSON for each round: what each process did, and what is not as it
should be.
"""

import asyncio
import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from datetime import timedelta

from killing import die_at
from running import run_main
from sqlalchemy import make_url
from stages import PLAIN, SCENARIOS, Scenario, place_at

from watchword.adapters import adapter_for
from watchword.clock import utc_now
from watchword.concurrency import run_blocking
from watchword.errors import ConfigurationError
from watchword.migrations import Aim, migrator_for
from watchword.migrations.mongodb import lease

ASYNC = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
}
# Nobody loses it who is slow for once; and who was killed is not waited for long.
lease.TERM = timedelta(seconds=3)
# Wherever it is then: waiting for the lock, or in the middle of the work.
DIES_AT = 40


@dataclass(frozen=True)
class Race:
    """What the processes do, by their numbers in turn."""

    scenario: Scenario
    does: tuple[str, ...]
    processes: int = 8


RACES = {
    "create": Race(SCENARIOS["create"], ("migrate", "migrate on a loop")),
    "add": Race(SCENARIOS["add"], ("migrate", "migrate on a loop")),
    "create beside tables": Race(SCENARIOS["create"], ("migrate", "create tables")),
    "add beside tables": Race(SCENARIOS["add"], ("migrate", "create tables")),
    "some die": Race(SCENARIOS["add"], ("migrate", "die", "die", "migrate on a loop")),
    "old and new": Race(SCENARIOS["add"], ("migrate", "migrate old code")),
}


def main(url: str, name: str, rounds: str) -> None:
    """Run the rounds."""
    if name == "command":
        race_commands(url, int(rounds))
        return
    place, race = place_at(url), RACES[name]
    for _ in range(int(rounds)):
        place.prepare(race.scenario)
        before = place.rows()
        told = run_at_once([lambda it=it: do(url, race, it) for it in range(race.processes)])
        try:
            flaws = place.flaws(race.scenario, before)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told
            flaws = [f"{type(error).__name__}: {error}"]
        sys.stdout.write(json.dumps({"did": told, "flaws": flaws}) + "\n")


def race_commands(url: str, rounds: int) -> None:
    """Run the rounds of those that start the command line."""
    os.environ["WATCHWORD_DATABASE_URL"] = url
    for _ in range(rounds):
        place_at(url).empty()
        told = run_at_once([lambda: command("migrate")] * 8)
        [status] = run_at_once([lambda: command("migrate", "status")])
        flaws = [] if status == "The database is up to date." else [status]
        sys.stdout.write(json.dumps({"did": told, "flaws": flaws}) + "\n")


def command(*words: str) -> str:
    """Run our command line, and return the last line it prints."""
    code, output, _ = run_main("watchword", *words)
    last = output.splitlines()[-1]
    return f"{code}: {last}" if code else last


def do(url: str, race: Race, number: int) -> str:
    """Do what a process is there for, and tell whether there was something to do."""
    what = race.does[number % len(race.does)]
    schema = PLAIN if what == "migrate old code" else race.scenario.schema
    if what == "die":
        die_at(DIES_AT + number)
    if what == "migrate on a loop":
        return asyncio.run(work(for_loops(url), schema, what))
    return run_blocking(work(url, schema, what))


def for_loops(url: str) -> str:
    """Return the URL of an async driver; MongoDB's serves both."""
    if url.startswith("mongodb://"):
        return url
    backend = make_url(url)
    backend = backend.set(drivername=ASYNC[backend.get_backend_name()])
    return backend.render_as_string(hide_password=False)


async def work(url, schema, what: str) -> str:
    """Migrate, or make the tables."""
    adapter = adapter_for(url)
    adapter.bind(schema)
    try:
        if what == "create tables":
            await adapter.create_schema(schema)
            return "tables"
        migrated = await migrator_for(adapter, schema, clock=utc_now).run(Aim())
    except ConfigurationError as error:
        if "newer than the code" in str(error):
            return "refused"
        raise
    finally:
        await adapter.close()
    return "done" if migrated.changes else "found"


def run_at_once(works) -> list[str]:
    """Run each in a process of its own, all from one moment on, and return what they told."""
    start, go = os.pipe()
    children = [begin(work, start, go) for work in works]
    os.close(start)
    os.close(go)  # every process waits for this
    told = []
    for pid, answer in children:
        with os.fdopen(answer) as pipe:
            told.append(pipe.read())
        if os.waitpid(pid, 0)[1]:
            told[-1] += " and died"
    return told


def begin(work, start: int, go: int) -> tuple[int, int]:
    """Fork a process that waits for the start, works, and writes what came of it."""
    answer, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, answer
    signal.alarm(90)
    os.close(go)
    os.read(start, 1)
    try:
        os.write(write, work().encode())
    except BaseException:  # noqa: BLE001 - it is told, and the process ends here
        os.write(write, traceback.format_exc().encode()[-3000:])
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
