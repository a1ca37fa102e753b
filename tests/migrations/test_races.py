"""Several processes change the tables of one database at once; one does it."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

RACING: Final = Path(__file__).with_name("racing.py")
IS_SOAK: Final = bool(os.environ.get("WATCHWORD_SOAK"))
ROUNDS: Final = 20 if IS_SOAK else 1

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
]


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request) -> str:
    """Each kind of database, by its blocking driver."""
    return str(request.getfixturevalue(f"{request.param}_database"))


def _race(database: str, race: str) -> Iterator[Counter[str]]:
    """Run the rounds of a race, and count what the eight of each did."""
    run = subprocess.run(
        [sys.executable, str(RACING), database, race, str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=60 + 30 * ROUNDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rounds: list[dict[str, Any]] = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(rounds) == ROUNDS
    for it in rounds:
        assert it["flaws"] == []
        yield Counter(it["did"])


class TestAtOnce:
    """Eight processes start at one moment."""

    @pytest.mark.parametrize("race", ["create", "add"])
    def test_one_does_it(self, database, race):
        """The others wait and find it done, with blocking drivers and on event loops."""
        for did in _race(database, race):
            assert did == {"done": 1, "found": 7}

    @pytest.mark.parametrize("race", ["create beside tables", "add beside tables"])
    def test_tables_are_made_beside_it(self, database, race):
        """`create_tables()` waits as well, or was first; then one writes the version."""
        for did in _race(database, race):
            assert did["tables"] == 4
            assert did["found"] + did["done"] == 4
            assert did["done"] <= 1

    def test_others_go_on_for_who_dies(self, database):
        """Processes are killed while they wait or in the middle; those that are left finish."""
        for did in _race(database, "some die"):
            assert set(did) <= {"done", "found", " and died"}
            assert did["done"] <= 1
            assert did["done"] + did["found"] >= 4

    def test_old_code_does_not_undo_what_new_code_did(self, database):
        """It finds its own version, or refuses in a sentence."""
        for did in _race(database, "old and new"):
            assert set(did) <= {"done", "found", "refused"}
            assert did["done"] == 1


class TestCommand:
    """`watchword migrate`, as an orchestrator starts it beside each replica."""

    def test_every_process_ends_well(self, database):
        """One says what it did, the others that there is nothing to do."""
        for _ in range(ROUNDS):
            _command(database, "--to", "0", "--yes")
            started = [_begin(database) for _ in range(8)]
            told = [it.communicate(timeout=120) for it in started]

            assert [(it.returncode, error) for it, (_, error) in zip(started, told, strict=True)]
            assert {it.returncode for it in started} == {0}
            last = [out.splitlines()[-1] for out, _ in told]
            assert Counter(last) == {
                "The database is at version 1 now.": 1,
                "Nothing to do: the database is at version 1.": 7,
            }
        assert _command(database, "status").endswith("The database is up to date.\n")


def _begin(database: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "WATCHWORD_DATABASE_URL": database}
    return subprocess.Popen(
        [sys.executable, "-m", "watchword", "migrate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def _command(database: str, *arguments: str) -> str:
    run = _begin(database, *arguments)
    out, error = run.communicate(timeout=120)
    assert run.returncode == 0, error
    return out
