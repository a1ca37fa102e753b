"""Several processes change the tables of one database at once; one does it."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
ROUNDS: Final = 20 if IS_SOAK else 1

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here"),
]


@pytest.fixture(params=["sqlite", "postgresql", "mysql", "mongodb"])
def race(request, forked) -> Callable[[str], list[Counter[str]]]:
    """Run the rounds of a race on each kind of database, and count what the eight of each did."""
    database = request.getfixturevalue(f"{request.param}_database")

    def race(name: str) -> list[Counter[str]]:
        rounds = forked("racing", database, name, ROUNDS)
        assert len(rounds) == ROUNDS
        assert [it for it in rounds if it["flaws"]] == []
        return [Counter(it["did"]) for it in rounds]

    return race


class TestAtOnce:
    """Eight processes start at one moment."""

    @pytest.mark.parametrize("name", ["create", "add"])
    def test_one_does_it(self, race, name):
        """The others wait and find it done, with blocking drivers and on event loops."""
        for did in race(name):
            assert did == {"done": 1, "found": 7}

    @pytest.mark.parametrize("name", ["create beside tables", "add beside tables"])
    def test_tables_are_made_beside_it(self, race, name):
        """`create_tables()` waits as well, or was first; then one writes the version."""
        for did in race(name):
            assert did["tables"] == 4
            assert did["found"] + did["done"] == 4
            assert did["done"] <= 1

    def test_others_go_on_for_who_dies(self, race):
        """Processes are killed while they wait or in the middle; those that are left finish."""
        for did in race("some die"):
            assert set(did) <= {"done", "found", " and died"}
            assert did["done"] <= 1
            assert did["done"] + did["found"] >= 4

    def test_old_code_does_not_undo_what_new_code_did(self, race):
        """It finds its own version, or refuses in a sentence."""
        for did in race("old and new"):
            assert set(did) <= {"done", "found", "refused"}
            assert did["done"] == 1

    def test_every_command_ends_well(self, race):
        """As orchestrators start it beside each replica: one says what it did, the others not."""
        for did in race("command"):
            assert did == {
                "The database is at version 1 now.": 1,
                "Nothing to do: the database is at version 1.": 7,
            }
