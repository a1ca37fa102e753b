"""Mishaps that chance seldom brings together: outages, values that live too long, forgeries."""

from datetime import timedelta

import pytest
from tests.storage.cached_sessions.scene import (
    MAX_STALENESS,
    OTHER_TOKEN,
    SESSION_KEY,
    Scene,
)
from tests.storage.cached_sessions.shared_ground import copy_of

from watchword.concurrency import run_blocking
from watchword.crypto.tokens import digest


@pytest.fixture
def scene(new_auth, clock):
    """A session of which there is a copy."""
    return Scene(new_auth, clock, "warm")


def rename(scene: Scene, number: int) -> None:
    """Change the user in a process."""
    run_blocking(scene.processes[number].auth.users.update(scene.user_id, name="Augusta"))


def names_seen(scene: Scene, *numbers: int) -> list[str]:
    """Return whom processes see, one after the other."""
    return [run_blocking(scene.processes[it].find())[2] for it in numbers]


def test_what_could_not_be_told_is_told_when_the_storage_is_back(scene, clock):
    """By the first read of who changed it, which believes no copy before that."""
    ours = scene.processes[0].storage
    ours.fails_after = 0

    rename(scene, 0)

    assert names_seen(scene, 0) == ["Augusta"]
    ours.fails_after = None
    clock.advance(seconds=3)
    assert names_seen(scene, 0, 1) == ["Augusta", "Augusta"]


def test_a_change_is_told_a_moment_after_an_outage(scene):
    """Reads may spare themselves the storage for two seconds; the end of a change may not."""
    ours = scene.processes[0].storage
    ours.fails_after = 0
    names_seen(scene, 0)
    ours.fails_after = None

    rename(scene, 0)

    assert names_seen(scene, 1) == ["Augusta"]


def test_a_copy_in_the_place_of_another_is_not_believed(scene):
    """It is signed, and of another session."""
    entry = scene.ground.storage._entries[SESSION_KEY]
    key = f"session:{digest(OTHER_TOKEN)}"
    run_blocking(scene.ground.storage.set(key, entry.value, ttl=60))

    found = run_blocking(scene.processes[1].auth.instance.sessions.find(OTHER_TOKEN))

    assert found.session.id != scene.session.id


def test_an_old_snapshot_is_believed_no_longer_than_is_said(scene, clock):
    """Also where its values live longer than they were to."""
    snapshot = copy_of(scene.ground.storage)
    rename(scene, 0)
    scene.ground.storage = snapshot
    for it in list(snapshot._entries.values()):
        snapshot._put(it.key, it.value, it.ends_at + timedelta(hours=1))
    assert names_seen(scene, 1) == ["Ada"]

    clock.advance(seconds=MAX_STALENESS.total_seconds())

    assert names_seen(scene, 1) == ["Augusta"]
