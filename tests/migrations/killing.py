"""Kills a process that migrates, at one point after the other, and runs the same again.

    python killing.py URL SCENARIO HOW STEP

HOW is `statement`: before or after each STEP-th statement that it sends, until it comes
through; or `moment`: at STEP moments, wherever it is then. Prints a line of JSON for each point.
"""

import json
import os
import select
import signal
import sys
import time

from sqlalchemy import Engine, event
from stages import SCENARIOS, Place

from watchword.migrations import Aim, statements

# So that a few rows are more than one batch.
statements.BATCH = 2


def main() -> None:
    """Kill, mend, and tell."""
    url, name, how, step = sys.argv[1:]
    place, scenario = Place(url), SCENARIOS[name]
    kill = at_statements if how == "statement" else at_moments
    for point, was_killed in kill(place, scenario, int(step)):
        flaws = []
        try:
            place.migrate(scenario.schema, scenario.aim)
            flaws = place.flaws(scenario, place_rows)
            flaws += [f"again: {it}" for it in place.migrate(scenario.schema, scenario.aim)]
            for earlier in sorted({scenario.version - 1, 0}, reverse=True):
                place.migrate(scenario.schema, Aim(to=earlier))
            flaws += [f"after all: {it}" for it in place.tables()]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told
            flaws.append(f"{type(error).__name__}: {error}")
        sys.stdout.write(json.dumps({"point": point, "killed": was_killed, "flaws": flaws}) + "\n")


place_rows: dict = {}


def begin(place, scenario) -> None:
    """Prepare the database, and note who is in it."""
    global place_rows  # noqa: PLW0603
    place.prepare(scenario)
    place_rows = place.rows()


def at_statements(place, scenario, step):
    """Kill before and after statements, until there are no more."""
    point, was_killed = 1, True
    while was_killed:
        begin(place, scenario)
        pid = os.fork()
        if pid == 0:
            die_at(point)
            migrate_and_leave(place, scenario)
        was_killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
        yield point, was_killed
        point += step


def die_at(point: int) -> None:
    """Be killed before or after a statement: the first is 1 and 2, the second 3 and 4."""
    passed = 0

    def count(*_) -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "after_cursor_execute", count)


def at_moments(place, scenario, number):
    """Kill at moments that are spread over the time that it takes."""
    begin(place, scenario)
    start = time.monotonic()
    place.migrate(scenario.schema, scenario.aim)
    takes = time.monotonic() - start
    for moment in range(number):
        begin(place, scenario)
        pid = os.fork()
        if pid == 0:
            migrate_and_leave(place, scenario)
        ended = os.pidfd_open(pid)
        select.select([ended], [], [], takes * (moment + 0.5) / number)
        os.kill(pid, signal.SIGKILL)
        os.close(ended)
        yield moment, os.waitpid(pid, 0)[1] == signal.SIGKILL


def migrate_and_leave(place, scenario) -> None:
    """Migrate, and end without what Python does at the end."""
    signal.alarm(60)
    place.migrate(scenario.schema, scenario.aim)
    os._exit(0)


if __name__ == "__main__":
    main()
