"""No order of steps lets a read believe what was changed before it began."""

import logging
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

import pytest
from tests.storage.cached_sessions.interleaving import Actor
from tests.storage.cached_sessions.scene import MAX_STALENESS, SESSION_KEY, STATES, WRITES, Scene

IS_SOAK: Final = "WATCHWORD_SOAK" in os.environ
ALL: Final = tuple(WRITES)
# Of several callers there are many more schedules, and most between two in one process, who
# also race for what that remembers: these writers take few steps, and `make soak` takes all.
BRIEF: Final = ALL if IS_SOAK else ("revoke", "revoke by user", "update user", "renew")
BRIEFER: Final = ALL if IS_SOAK else ("revoke by user", "update user")
OTHERS: Final = ("update user", *(("update and revoke in a transaction",) if IS_SOAK else ()))
# Not only such as stand alone.
IN_TRANSACTION: Final = (
    () if IS_SOAK else ("update and revoke in a transaction", "look at it in a transaction")
)
Known: TypeAlias = tuple[bool, ...]
KNOWN: Final[Known] = (False, True) if IS_SOAK else (True,)
MISHAPS: Final = ("revoke", *(("update and revoke in a transaction",) if IS_SOAK else ()))


@pytest.fixture(autouse=True)
def _silence(caplog):
    """The dead complain of their work after the commit, thousands of times."""
    caplog.set_level(logging.CRITICAL, logger="watchword")


@pytest.fixture
def explore(new_auth, clock, record_property):
    """Play every schedule of some actors from every state, and report how many there were.

    Whoever remembers whose a session is asks for its version before its copy, and else after it.
    """

    def explore(
        make_actors: Callable[[Scene], list[Actor]], *, least: int, known: Known = KNOWN
    ) -> None:
        scenes = [Scene(new_auth, clock, state, is_known=it) for state in STATES for it in known]
        schedules = [scene.explore(make_actors) for scene in scenes]
        played = sum(it.played for it in schedules)
        record_property("schedules", played)
        assert played >= least

    return explore


@pytest.mark.parametrize("kind", WRITES)
def test_a_read_and_a_write(explore, kind):
    """Whatever is changed, and whatever the storage had before."""
    explore(lambda it: [it.reader(0), it.writer(1, kind)], least=50, known=(False, True))


@pytest.mark.parametrize("kind", BRIEFER)
def test_a_read_and_a_write_in_one_process(explore, kind):
    """What a process remembers of its own changes is told and forgotten in time."""
    explore(lambda it: [it.reader(0), it.writer(0, kind)], least=800)


@pytest.mark.parametrize("kind", BRIEF)
def test_two_reads_and_a_write(explore, kind):
    """One of the readers is late, and finds what the other one has kept."""
    explore(lambda it: [it.reader(0), it.reader(1, "other reader"), it.writer(2, kind)], least=300)


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("kind", BRIEFER)
def test_a_read_and_two_writes(explore, kind, other):
    """The mark of one writer covers nothing of the other's."""
    explore(
        lambda it: [it.reader(0), it.writer(1, kind), it.writer(2, other, "other writer")],
        least=1500,
    )


@pytest.mark.parametrize("kind", WRITES)
def test_a_writer_that_dies(explore, kind):
    """At any step: before its commit nothing was changed, and after it everybody sees that."""

    def make_actors(scene: Scene) -> list[Actor]:
        writer = scene.writer(1, kind)
        return [scene.reader(0), writer, scene.death(writer)]

    explore(make_actors, least=120, known=(False, True))


@pytest.mark.parametrize("kind", [*BRIEF, *IN_TRANSACTION])
def test_a_value_that_is_lost(explore, kind):
    """At any moment: the copy, the version or mark, or everything."""
    for lost in (
        lambda it: it.eviction(SESSION_KEY),
        lambda it: it.eviction(it.version_key),
        lambda it: it.flush(),
    ):
        explore(lambda it, lost=lost: [it.reader(0), it.writer(1, kind), lost(it)], least=60)


@pytest.mark.parametrize("kind", [*BRIEF, *IN_TRANSACTION])
def test_a_mark_that_ends(explore, kind):
    """A writer that lives may take as long as it likes."""
    explore(lambda it: [it.reader(0), it.writer(1, kind), it.passing_of_time()], least=300)


@pytest.mark.parametrize("kind", MISHAPS)
@pytest.mark.parametrize("lost", ["version", "time"])
def test_a_writer_that_dies_when_its_mark_is_gone(new_auth, clock, record_property, kind, lost):
    """Two mishaps at once cost more than none: an old state may be seen, until it is too old."""
    scene = Scene(new_auth, clock, "cold", patience=MAX_STALENESS + timedelta(seconds=1))

    def make_actors(scene: Scene) -> list[Actor]:
        writer = scene.writer(1, kind)
        mishap = {"version": scene.eviction(scene.version_key), "time": scene.passing_of_time()}
        return [scene.reader(0), writer, scene.death(writer), mishap[lost]]

    schedules = scene.explore(make_actors)

    record_property("schedules", schedules.played)
    assert schedules.played >= 300
    assert scene.stale_reads > 0
