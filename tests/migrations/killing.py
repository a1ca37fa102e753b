"""Kills a process that migrates, at one point after the other, and runs the same again.

    python killing.py URL SCENARIO HOW NUMBER

HOW is `statement`: before or after so many of the statements, or commands, that it sends, the
first and the last among them, once it has been let through; or `moment`: at so many moments,
wherever it is then. Prints a line of JSON for each point.
"""

import json
import os
import select
import signal
import sys
import time
from datetime import timedelta
from itertools import count

from pymongo import monitoring
from sqlalchemy import Engine, event
from stages import SCENARIOS, place_at

from watchword.migrations import Aim, statements
from watchword.migrations.mongodb import lease, steps

# So that a few rows are more than one batch, and nobody waits for who was killed.
statements.BATCH = steps.BATCH = 2
lease.TERM = timedelta(seconds=0.2)


def main(url: str, name: str, how: str, number: str) -> None:
    """Kill, mend, and tell."""
    place, scenario = place_at(url), SCENARIOS[name]
    kill = at_statements if how == "statement" else at_moments
    for point, was_killed in kill(place, scenario, int(number)):
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


def at_statements(place, scenario, number):
    """Let it through, then kill it before and after statements, spread over all there are."""
    last = count_points(place, scenario)
    yield last + 1, False
    for point in sorted({1 + round(it * (last - 1) / (number - 1)) for it in range(number)}):
        begin(place, scenario)
        pid = os.fork()
        if pid == 0:
            die_at(point)
            migrate_and_leave(place, scenario)
        yield point, os.waitpid(pid, 0)[1] == signal.SIGKILL


def count_points(place, scenario) -> int:
    """Migrate in a process of its own, and return at how many points it could be killed."""
    begin(place, scenario)
    answer, write = os.pipe()
    if os.fork() == 0:
        listen(lambda _: os.write(write, b"."))
        migrate_and_leave(place, scenario)
    os.close(write)
    with os.fdopen(answer, "rb") as points:
        last = len(points.read())
    assert os.wait()[1] == 0
    return last


def die_at(point: int) -> None:
    """Be killed before or after a statement: the first is 1 and 2, the second 3 and 4."""
    listen(lambda passed: passed == point and os.kill(os.getpid(), signal.SIGKILL))


def listen(reach) -> None:
    """Tell the number of each point that is reached from now on."""
    numbers = count(1)

    def pass_point(*_) -> None:
        reach(next(numbers))

    event.listen(Engine, "before_cursor_execute", pass_point)
    event.listen(Engine, "after_cursor_execute", pass_point)
    monitoring.register(_Commands(pass_point))


class _Commands(monitoring.CommandListener):
    """Passes a point before and after each command that MongoDB is sent."""

    def __init__(self, pass_point) -> None:
        self.started = self.succeeded = self.failed = pass_point


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
    """Migrate, knowing nothing yet, and end without what Python does at the end."""
    signal.alarm(60)
    place_at(place.url).migrate(scenario.schema, scenario.aim)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
